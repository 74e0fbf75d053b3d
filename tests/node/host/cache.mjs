// This host keeps nothing derived: it is derived each time.

import { denied } from './error.mjs';

const refuse = () => denied('cache');

export const read = () => undefined;
export const write = refuse;
export const retain = refuse;
