// Files below the project's folder, which is the working one.

import { lstatSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';

import { LONGEST, invalidPath, other, present } from './error.mjs';

export function inspect(path) {
  check(path, dirname(path));
  const found = present(() => lstatSync(path));
  if (found === undefined) return undefined;
  if (found.isFile()) return 'file';
  return found.isDirectory() ? 'directory' : 'other';
}

export function read(path) {
  check(path, path);
  const found = present(() => statSync(path));
  if (!found?.isFile()) return undefined;
  if (found.size > LONGEST) other(`\`${path}\` is larger than 4 MiB`);
  return present(() => readFileSync(path));
}

export function listNames(path) {
  check(path, path);
  return (present(() => readdirSync(path)) ?? []).sort();
}

/** Refuses what is not a path of `wit/types.wit`, and where `place`, links followed, lies outside. */
function check(path, place) {
  const parts = path.split('/');
  if (parts.some((part) => ['', '.', '..'].includes(part) || part.toLowerCase() === '.git') || /[\0\\]/.test(path)) {
    invalidPath(path);
  }
  const root = realpathSync('.');
  const real = present(() => realpathSync(place));
  if (real !== undefined && real !== root && !real.startsWith(root + sep)) invalidPath(path);
}
