// This host changes nothing.

import { denied } from './error.mjs';

const refuse = () => denied('repository-edit');

export const create = refuse;
export const commit = refuse;
export const setReference = refuse;
export const shield = refuse;
export const removeReferences = refuse;
export const changeReferences = refuse;
export const stage = refuse;
export const switchDetached = refuse;
export const setLocalSetting = refuse;
export const exchangeExclude = refuse;

export class TreeEdit {
  static begin = refuse;
  take = refuse;
  put = refuse;
  remove = refuse;
  write = refuse;
}

export class BlobWriter {
  static begin = refuse;
  static finish = refuse;
  write = refuse;
  size = refuse;
}
