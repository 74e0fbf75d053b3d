// node transpile.mjs: makes JavaScript of the component, in ./out, with its imports bound to ./host.
//
// The component is what $AURUM_COMPONENT names, else the newest that a build of the native host left below target/.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const TARGET = join(HERE, '../../target');

function* built() {
  for (const profile of existsSync(TARGET) ? readdirSync(TARGET) : []) {
    const build = join(TARGET, profile, 'build');
    if (!existsSync(build)) continue;
    for (const unit of readdirSync(build)) {
      const component = join(build, unit, 'out/core.wasm');
      if (unit.startsWith('aurum-host-') && existsSync(component)) yield component;
    }
  }
}

function component() {
  if (process.env.AURUM_COMPONENT) return process.env.AURUM_COMPONENT;
  const age = (path) => statSync(path).mtimeMs;
  const [newest] = [...built()].sort((a, b) => age(b) - age(a));
  if (newest) return newest;
  throw 'there is no component below target/: build the native host first, or name one in AURUM_COMPONENT';
}

try {
  const path = component();
  const jco = join(HERE, 'node_modules/.bin/jco');
  rmSync(join(HERE, 'out'), { recursive: true, force: true });
  const options = ['--quiet', '--no-typescript', '--name', 'tracker', '--out-dir', join(HERE, 'out')];
  execFileSync(jco, ['transpile', path, ...options, '--map', 'aurum:tracker/*=../host/*.mjs'], { stdio: 'inherit' });
  console.log(path);
} catch (error) {
  console.error(`error: ${error.message ?? error}`);
  process.exitCode = 1;
}
