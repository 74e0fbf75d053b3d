// This host keeps nothing.

import { denied } from './error.mjs';

const refuse = () => denied('store');

export const add = refuse;
export const has = refuse;

export class ByteStream {}
