/**
 * Errors as Node's own `net` and `dgram` give them: system errors with `code`, `errno`, `syscall`, `address`, `port`, and usage errors with
 * an `ERR_...` code. Only the Node-shaped faces use this; the others give plain {@link NetError}s.
 */

import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { type NetCode, NetError } from '../core/errors.js';

/** An error of Node's usage kind, with a stable code. */
export type CodedError<E extends Error = Error> = E & { readonly code: string };

const numbers: Readonly<Record<string, number>> = constants.errno;

function withErrno(error: NetError): NetError {
  const number = numbers[error.code];
  return number === undefined ? error : Object.assign(error, { errno: -number });
}

/** The error of a failed system call, e.g. `connect ECONNREFUSED 10.0.0.1:80`. */
export function systemError(code: NetCode, syscall: string, address?: string, port?: number): NetError {
  return withErrno(NetError.of(code, syscall, address, port === 0 ? undefined : port));
}

/** The same with the system's words in it, as Node phrases a failed `listen`: `listen EADDRINUSE: address already in use :::80`. */
export function describedError(code: NetCode, syscall: string, address: string, port: number): NetError {
  const errno = numbers[code] ?? 0;
  const words = getSystemErrorMap().get(-errno)?.[1] ?? 'unknown error';
  const details = port > 0 ? { syscall, address, port } : { syscall, address };
  return withErrno(
    new NetError(code, `${syscall} ${code}: ${words} ${address}${port > 0 ? `:${port}` : ''}`, { ...details }),
  );
}

/** The code of whatever was thrown, where it is one of the network's; else `otherwise`. */
export function netCode(error: unknown, otherwise: NetCode): NetCode {
  return error instanceof NetError ? error.code : otherwise;
}

/** Wrong use, in Node's words. */
export function codedError(code: string, message: string): CodedError {
  return Object.assign(new Error(message), { code });
}

/** An argument of the wrong type. */
export function typeError(code: string, message: string): CodedError<TypeError> {
  return Object.assign(new TypeError(message), { code });
}

/** A port out of range. */
export function badPort(name: string, port: unknown): CodedError<RangeError> {
  const shown = typeof port === 'string' ? `'${port}'` : String(port);
  const message = `${name} should be >= 0 and < 65536. Received ${typeof port} (${shown}).`;
  return Object.assign(new RangeError(message), { code: 'ERR_SOCKET_BAD_PORT' });
}

/** Nobody knows the address of `hostname`. */
export function notFound(hostname: string): CodedError {
  const properties = { code: 'ENOTFOUND', errno: -3008, syscall: 'getaddrinfo', hostname };
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), properties);
}

/** A port number given as a number or as its text. @throws RangeError `ERR_SOCKET_BAD_PORT` */
export function portOf(port: unknown, name: string, lowest = 0): number {
  const usable = typeof port === 'number' || (typeof port === 'string' && port.trim() !== '');
  const value = usable ? Number(port) : Number.NaN;
  if (!Number.isInteger(value) || value < lowest || value > 0xffff) throw badPort(name, port);
  return value;
}
