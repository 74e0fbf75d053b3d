// This host reaches nobody.

import { denied } from './error.mjs';

export const stat = (url) => denied(`remote: ${new URL(url).hostname}`);
export const fetch = stat;
