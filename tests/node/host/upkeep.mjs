// This host checks and clears nothing.

import { denied } from './error.mjs';

const refuse = () => denied('upkeep');

export const checkCommits = refuse;
export const checkRepository = refuse;
export const brokenReferences = refuse;
export const fileVersions = refuse;
export const looseObjects = refuse;
export const temporaries = refuse;
export const checkStore = refuse;

export class Sweep {
  static begin = refuse;
  keep = refuse;
  measure = refuse;
  remove = refuse;
}
