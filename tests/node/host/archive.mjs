// This host packs nothing up.

import { denied } from './error.mjs';

const refuse = () => denied('archive');

export class Destination {}

export class Writer {
  static begin = refuse;
  static finish = refuse;
  addBytes = refuse;
  addFile = refuse;
  addTree = refuse;
  addStored = refuse;
}
