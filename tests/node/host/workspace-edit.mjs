// This host changes nothing.

import { denied } from './error.mjs';

const refuse = () => denied('workspace-edit');

export const makeDirectory = refuse;
export const write = refuse;
export const exchange = refuse;
export const remove = refuse;
