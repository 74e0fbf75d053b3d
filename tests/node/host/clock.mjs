export const now = () => BigInt(Date.now());
export const offsetMinutes = () => -new Date().getTimezoneOffset();
