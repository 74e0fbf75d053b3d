// node viewer.mjs MODULE [SELECTOR [CONDITION [SORT [LIMIT]]]]: the rows of the records on stdin, asked of the ES module in the
// folder MODULE. An empty word is as good as none.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { end } from './end.mjs';

const [folder, ...words] = process.argv.slice(2);
const [selector, condition, sort, limit] = words.map((word) => word || undefined);
const { initSync, rows } = await import(pathToFileURL(resolve(folder, 'aurum.js')));
initSync({ module: readFileSync(resolve(folder, 'aurum_bg.wasm')) });

end(() => rows(readFileSync(0), selector, condition, sort, limit && Number(limit), Date.now()));
