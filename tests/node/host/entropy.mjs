import { randomBytes } from 'node:crypto';

export const bytes = (count) => randomBytes(count);
