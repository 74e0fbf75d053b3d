// Reading git by running git.

import { existsSync, readFileSync, realpathSync } from 'node:fs';

import { LONGEST, denied, other, present } from './error.mjs';
import * as git from './git.mjs';

const FAILED = 128;
const OPERATIONS = [
  ['MERGE_HEAD', 'merge'],
  ['rebase-merge', 'rebase'],
  ['rebase-apply', 'rebase'],
  ['CHERRY_PICK_HEAD', 'cherry-pick'],
  ['REVERT_HEAD', 'revert'],
  ['BISECT_LOG', 'bisection'],
];

export function readStanding() {
  const bare = git.text(['rev-parse', '--is-bare-repository'], { absent: [FAILED] });
  if (bare === undefined) return { tag: 'absent' };
  if (bare === 'true') return { tag: 'bare' };
  const top = git.text(['rev-parse', '--show-toplevel']);
  return realpathSync(top) === realpathSync('.') ? { tag: 'root' } : { tag: 'below', val: top };
}

export function readHead() {
  const object = (name) => git.text(['rev-parse', '--verify', '--quiet', name], { absent: [1] });
  const underWay = ([file]) => existsSync(git.text(['rev-parse', '--git-path', file]));
  return {
    commit: object('HEAD^{commit}'),
    tree: object('HEAD^{tree}'),
    branch: git.text(['symbolic-ref', '--quiet', '--short', 'HEAD'], { absent: [1] }),
    operation: OPERATIONS.find(underWay)?.[1],
  };
}

export function readIdentity() {
  const [, name, email] = git.text(['var', 'GIT_COMMITTER_IDENT'], { absent: [FAILED] })?.match(/^(.*) <(.*)> /) ?? [];
  return name && { name, email };
}

export function setting(key) {
  return git.list(['config', '--null', '--get', key], { absent: [1] })[0];
}

export function references(prefix, after, limit) {
  // git matches whole parts of a name; the prefix may end within one.
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  const format = '%(refname)%00%(objectname)%00%(*objectname)%00';
  const fields = git.list(['for-each-ref', `--format=${format}`, ...(folder ? [folder] : [])]);
  const found = [];
  for (let at = 0; at + 2 < fields.length && found.length < limit; at += 3) {
    const name = fields[at].replace(/^\n/, '');
    const passed = after !== undefined && Buffer.compare(Buffer.from(name), Buffer.from(after)) <= 0;
    if (name.startsWith(prefix) && !passed) found.push({ name, target: fields[at + 2] || fields[at + 1] });
  }
  return found;
}

export class ReferenceList {
  #lines;

  static of(prefix) {
    const list = new ReferenceList();
    const lines = references(prefix, undefined, Infinity).map(({ name, target }) => `${target} ${name.slice(prefix.length)}\n`);
    list.#lines = Buffer.from(lines.join(''));
    return list;
  }

  next() {
    const piece = this.#lines.subarray(0, LONGEST);
    const end = piece.lastIndexOf('\n') + 1;
    this.#lines = this.#lines.subarray(end);
    return new Uint8Array(piece.subarray(0, end));
  }
}

// Whoever asks looks at the references then.
export function referenceState() {
  return undefined;
}

export function readFiles(locations) {
  if (locations.length === 0) return [];
  const names = locations.map(({ root, path }) => `${root}:${path}`);
  const sizes = git.text(['cat-file', '--batch-check=%(objecttype) %(objectsize)', '-z'], { input: names.join('\0') + '\0' });
  const fits = [];
  let rest = LONGEST;
  for (const line of sizes.split('\n')) {
    const [, size] = line.match(/^blob (\d+)$/) ?? [];
    if (size > LONGEST) {
      if (fits.length > 0) break;
      other(`\`${locations[0].path}\` is larger than 4 MiB`);
    }
    if ((rest -= size ?? 0) < 0) break;
    fits.push(size && Number(size));
  }
  const wanted = names.filter((_, at) => fits[at] !== undefined);
  const contents = git.bytes(['cat-file', '--batch=', '-z'], { input: wanted.map((name) => name + '\0').join('') });
  // Each after an empty line, and before another.
  let at = 0;
  return fits.map((size) => {
    if (size === undefined) return undefined;
    const begin = at + 1;
    at = begin + size + 1;
    return contents.subarray(begin, begin + size);
  });
}

export function copyFile({ root, path }, sink) {
  const bytes = git.bytes(['cat-file', 'blob', `${root}:${path}`], { absent: [FAILED] });
  if (bytes) sink.write(bytes);
  return bytes !== undefined;
}

export class FileReader {
  #rest;

  static open({ root, path }) {
    const bytes = git.bytes(['cat-file', 'blob', `${root}:${path}`], { absent: [FAILED] });
    if (bytes === undefined) return undefined;
    const reader = new FileReader();
    reader.#rest = bytes;
    return reader;
  }

  next() {
    const piece = this.#rest.subarray(0, LONGEST);
    this.#rest = this.#rest.subarray(LONGEST);
    return new Uint8Array(piece);
  }
}

export function listFolder({ root, path }) {
  return git.list(['ls-tree', '-z', '--name-only', `${root}:${path}`], { absent: [FAILED] });
}

export function fileCommits(path) {
  const apart = ['refs/tags/au/*', 'refs/aurum/*', 'refs/notes/*'].map((name) => `--exclude=${name}`);
  const words = ['rev-list', '--full-history', '--no-commit-header', '--format=%H %ct%x00', ...apart, '--all', '--', path];
  return git.list(words).filter((line) => line.trim()).map((line) => {
    const [commit, seconds] = line.trim().split(' ');
    return { commit, seconds: BigInt(seconds) };
  });
}

export function readStaged(path) {
  return git.bytes(['cat-file', 'blob', `:0:${path}`], { absent: [FAILED] });
}

export function isTracked(path) {
  return git.list(['ls-files', '-z', '--', path]).length > 0;
}

export function readExclude() {
  const folder = git.text(['rev-parse', '--git-common-dir']);
  return present(() => readFileSync(`${folder}/info/exclude`));
}

// What it takes to keep the working tree, this host does not give.
const refuse = () => denied('changes');

export const changes = refuse;

export class ChangeSet {
  length = refuse;
  page = refuse;
}
