// This host exchanges nothing with anybody.

import { denied } from './error.mjs';

const refuse = () => denied('exchange');
/** Where a remote's own refusals are told apart from this side's. */
const refuseRemote = () => {
  throw { tag: 'failed', val: { tag: 'denied', val: 'exchange' } };
};

export class Advertisement {
  static ask = refuseRemote;
  page = refuse;
}

export const remotes = () => [];
export const push = refuseRemote;
export const pushBelow = refuseRemote;
export const fetch = refuseRemote;
export const fetchBelow = refuseRemote;
export const mergeNotes = refuse;
export const parents = refuse;
export const descends = refuse;
export const dataRemotes = () => [];
export const weigh = refuse;
export const send = refuse;
export const bring = refuse;
