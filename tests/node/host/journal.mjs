// Journals to read. Node has no `flock`, so this host can't tell who holds one: a run that goes on looks lost to it.

import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { LONGEST, denied, invalidPath, present } from './error.mjs';
import * as git from './git.mjs';

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const folder = () => join(git.text(['rev-parse', '--git-common-dir']), 'aurum/runs');

export function entries() {
  const ids = (present(() => readdirSync(folder())) ?? []).filter((name) => ID.test(name)).sort();
  return ids.flatMap((id) => {
    const found = present(() => statSync(join(folder(), id, 'journal')));
    return found ? [{ id, held: false, size: BigInt(found.size), modified: BigInt(Math.trunc(found.mtimeMs)) }] : [];
  });
}

export function read(id, offset, limit) {
  if (!ID.test(id)) invalidPath(id);
  const file = present(() => openSync(join(folder(), id, 'journal')));
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
  static open = refuse;
  append = refuse;
  sync = refuse;
  truncate = refuse;
}
