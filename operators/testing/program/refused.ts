/** What a program may not have. */

/** A function, and a class to derive from, that cannot be used. */
export function refused(what: string): () => never {
  return function notSimulated() {
    throw Object.assign(new Error(`${what} is not simulated`), { code: 'ERR_NOT_SIMULATED' });
  };
}
