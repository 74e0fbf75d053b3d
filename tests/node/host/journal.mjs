// Journals to read. Node has no `flock`, so this host can't tell who holds one: a run that goes on looks lost to it.

import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { LONGEST, denied, invalidPath, present } from './error.mjs';
import * as git from './git.mjs';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const folder = () => join(git.text(['rev-parse', '--git-common-dir']), 'aurum/runs');

const NAME = /^journal(?:\.([1-9][0-9]*))?$/;
const path = (id, number) => join(folder(), id, number === 0 ? 'journal' : `journal.${number}`);

export function entries() {
  const ids = (present(() => readdirSync(folder())) ?? []).filter((name) => ID.test(name)).sort();
  return ids.flatMap((id) => {
    const own = parts(id);
    if (own.length === 0) return [];
    const size = own.reduce((sum, part) => sum + part.size, 0n);
    const modified = own.reduce((latest, part) => (part.modified > latest ? part.modified : latest), 0n);
    return [{ id, held: false, size, modified }];
  });
}

export function parts(id) {
  if (!ID.test(id)) invalidPath(id);
  const names = present(() => readdirSync(join(folder(), id))) ?? [];
  const numbers = names.flatMap((name) => (NAME.test(name) ? [Number(NAME.exec(name)[1] ?? 0)] : [])).sort((a, b) => a - b);
  if (numbers[0] !== 0) return [];
  return numbers.flatMap((number) => {
    const found = present(() => statSync(path(id, number)));
    return found ? [{ number, held: false, size: BigInt(found.size), modified: BigInt(Math.trunc(found.mtimeMs)) }] : [];
  });
}

export function read(id, number, offset, limit) {
  if (!ID.test(id)) invalidPath(id);
  const file = present(() => openSync(path(id, number)));
  if (file === undefined) return new Uint8Array();
  try {
    const bytes = Buffer.alloc(Math.min(limit, LONGEST));
    return bytes.subarray(0, present(() => readSync(file, bytes, { position: offset })));
  } finally {
    closeSync(file);
  }
}

const refuse = () => denied('journal');

export const remove = refuse;

export class Writer {
  static create = refuse;
  static join = refuse;
  static open = refuse;
  append = refuse;
  sync = refuse;
  truncate = refuse;
}
