import * as os from 'node:os';

export function describe() {
  return {
    system: os.type(),
    release: os.release(),
    architecture: os.machine(),
    processors: os.availableParallelism(),
    memory: BigInt(os.totalmem()),
    processor: undefined,
    disk: undefined,
    gpus: [],
    gpuDriver: undefined,
  };
}
