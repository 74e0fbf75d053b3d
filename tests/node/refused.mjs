// node refused.mjs PROJECT: what each call says that needs more than this host grants, as a JSON object of failures.

import { end } from './end.mjs';

process.chdir(process.argv[2]);
const { datasets, experiments, project, reproduction } = await import('./out/tracker.js');

const calls = {
  init: () => project.init(),
  start: () => experiments.start({ tags: [], arguments: [] }),
  download: () => {
    const source = { tag: 'address', val: 'https://example.org/data.csv' };
    const { failures } = datasets.add([source], { folder: '' });
    throw { payload: failures[0] };
  },
  load: () => reproduction.load('@'),
};

function failure(call) {
  try {
    call();
  } catch (error) {
    if (error.payload === undefined) throw error;
    return error.payload;
  }
  return null;
}

end(() => JSON.stringify(Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, failure(call)]))));
