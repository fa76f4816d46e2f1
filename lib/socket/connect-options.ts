/** The many ways of calling `connect` in Node, read and validated once. */

import type { LookupFunction } from 'node:net';
import { literal } from './names.js';
import { portOf, typeError } from './node-errors.js';

/** Options of `connect`, as of `net.connect`; what makes no sense over this stack is accepted and ignored. */
export interface ConnectOptions {
  readonly port: number | string;
  /** An address or a name. Default `localhost`. */
  readonly host?: string | null | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  /** Which addresses of a name will do: 4, 6, or 0 for any. */
  readonly family?: number | string | undefined;
  readonly hints?: number | undefined;
  readonly lookup?: LookupFunction | undefined;
  /** Milliseconds for `setTimeout`. */
  readonly timeout?: number | undefined;
  readonly noDelay?: boolean | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly keepAliveInitialDelay?: number | undefined;
  /** Whether to try all addresses of a name, each a little after the last (RFC 8305), or the first only. Default true. */
  readonly autoSelectFamily?: boolean | undefined;
  /** Milliseconds between the attempts, 10 to 2000. Default 250. */
  readonly autoSelectFamilyAttemptTimeout?: number | undefined;
  readonly path?: string | null | undefined;
}

/** Arguments of `connect`. */
export type ConnectArguments = readonly [
  first: ConnectOptions | number | string,
  second?: string | (() => void) | undefined,
  third?: (() => void) | undefined,
];

/** What arguments of `connect` say. */
export interface ConnectCall {
  readonly options: ConnectOptions;
  readonly port: number;
  readonly connected: (() => void) | undefined;
}

/** @throws TypeError, RangeError with Node's codes */
export function connectArguments(args: ConnectArguments): ConnectCall {
  const [first, second, third] = args;
  const connected = [second, third].find((argument) => typeof argument === 'function');
  const options = optionsOf(first, second);
  if (options.path) throw typeError('ERR_INVALID_ARG_VALUE', `Paths are not supported here: '${options.path}'`);
  if (options.port === undefined) {
    throw typeError('ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
  }
  if (typeof options.port !== 'number' && typeof options.port !== 'string') {
    throw typeError('ERR_INVALID_ARG_TYPE', 'The "options.port" property must be one of type number or string.');
  }
  if (options.localAddress && literal(options.localAddress) === undefined) {
    throw typeError('ERR_INVALID_IP_ADDRESS', `Invalid IP address: ${options.localAddress}`);
  }
  return { options, port: portOf(options.port, 'Port'), connected };
}

function optionsOf(first: ConnectOptions | number | string, second: unknown): ConnectOptions {
  if (typeof first === 'object' && first !== null) return first;
  return { port: first, ...(typeof second === 'string' ? { host: second } : {}) };
}
