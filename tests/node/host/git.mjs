// Running git in the project's folder, which is the working one.

import { spawnSync } from 'node:child_process';

import { LONGEST, other } from './error.mjs';

const OPTIONS = { env: { ...process.env, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' }, maxBuffer: 64 * LONGEST };

/** The bytes that git prints, or undefined when it ends in one of the `absent` codes. */
export function bytes(args, { absent = [], input } = {}) {
  const done = spawnSync('git', args, { ...OPTIONS, input });
  if (done.error) other(`git can't be run: ${done.error.message}`);
  if (done.status === 0) return done.stdout;
  if (absent.includes(done.status)) return undefined;
  other(`git ${args[0]}: ${done.stderr.toString().trim()}`);
}

/** The same as text, without the end of the last line. */
export function text(args, options) {
  return bytes(args, options)?.toString().replace(/\n$/, '');
}

/** The same as a list of what stands before each NUL. */
export function list(args, options) {
  return (bytes(args, options) ?? '').toString().split('\0').slice(0, -1);
}
