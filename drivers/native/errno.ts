/** Error numbers of the system as errors with codes. */

import { constants } from 'node:os';
import { type NetCode, NetError } from '../../lib/core/errors.js';

/** Linux: the descriptor's interface is gone (Node has no name for it). */
export const EBADFD = 77;
export const EAGAIN: number = constants.errno.EAGAIN;
export const EINTR: number = constants.errno.EINTR;
export const EINVAL: number = constants.errno.EINVAL;
export const EOPNOTSUPP: number = constants.errno.EOPNOTSUPP;
export const EIO: number = constants.errno.EIO;
export const ENOBUFS: number = constants.errno.ENOBUFS;
export const ENOMEM: number = constants.errno.ENOMEM;

// What NetError has no code for, by the nearest that it has.
const NEAREST: Readonly<Record<string, NetCode>> = {
  EEXIST: 'EADDRINUSE',
  ENXIO: 'ENODEV',
  ENOENT: 'ENODEV',
  ENOMEM: 'ENOBUFS',
  EROFS: 'EACCES',
};

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);

/** The code of an error number. */
export function codeOf(errno: number): NetCode {
  if (errno === EBADFD) return 'ENODEV';
  const name = NAMES.get(errno) ?? 'EIO';
  return NEAREST[name] ?? (name as NetCode);
}

/** The error of a failed call: `message` says what was tried, in the words of whoever asked for it. */
export function systemError(errno: number, syscall: string, message: string): NetError {
  const code = codeOf(errno);
  return new NetError(code, `${message}: ${code} (${syscall})`, { syscall });
}
