// This host looks after no data.

import { denied } from './error.mjs';

const refuse = () => denied('data');

export const measure = refuse;
export const keep = refuse;
export const compare = refuse;
export const checkStored = refuse;
export const checkPlace = refuse;
export const isKept = refuse;
export const canRestore = refuse;
export const restore = refuse;
export const remove = refuse;
