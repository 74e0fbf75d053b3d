// The `error` of `wit/types.wit`, thrown. Whatever else is thrown is a fault of this host, and a trap to the component.

export const LONGEST = 4 << 20;

export function denied(capability) {
  throw { tag: 'denied', val: capability };
}

export function invalidPath(path) {
  throw { tag: 'invalid-path', val: path };
}

export function other(message) {
  throw { tag: 'other', val: message };
}

/** The answer, or undefined where there is nothing. */
export function present(look) {
  try {
    return look();
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    if (error.code === undefined) throw error;
    other(error.message);
  }
}
