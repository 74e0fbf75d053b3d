// node viewer.mjs MODULE [SELECTOR]: the rows of the records on stdin, asked of the ES module in the folder MODULE.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { end } from './end.mjs';

const [folder, selector] = process.argv.slice(2);
const { initSync, rows } = await import(pathToFileURL(resolve(folder, 'aurum.js')));
initSync({ module: readFileSync(resolve(folder, 'aurum_bg.wasm')) });

end(() => rows(readFileSync(0), selector));
