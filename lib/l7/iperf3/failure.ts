/** How a test fails. */

import type { IperfErrorCode } from './messages.js';

/** Codes of {@link IperfError}. */
export type IperfFailure =
  /** The server measures with somebody else. */
  | 'EBUSY'
  /** The other side ended the test. */
  | 'ECANCELED'
  /** We were told to end before the test did. */
  | 'EINTR'
  /** The other side does not speak the protocol, or asks for what cannot be. */
  | 'EPROTO'
  /** Nothing came for too long. */
  | 'ETIMEDOUT'
  /** The control connection, or a stream, is gone. */
  | 'ECONNRESET';

/** A test that failed. */
export class IperfError extends Error {
  readonly code: IperfFailure;
  /** What a server tells the client about it. */
  readonly reason: IperfErrorCode | undefined;

  constructor(code: IperfFailure, message: string, reason?: IperfErrorCode) {
    super(message);
    this.name = 'IperfError';
    this.code = code;
    this.reason = reason;
  }
}

/** How the program says that a test failed. */
export function failureText(error: Error): string {
  const isInterrupt = error instanceof IperfError && error.code === 'EINTR';
  return `${isInterrupt ? 'interrupt' : 'error'} - ${error.message}`;
}
