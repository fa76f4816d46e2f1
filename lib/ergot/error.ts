/** Failures of a conversation in an ergot network. Each has a stable `code`. */

import { type ProtocolError, protocolErrorName } from './frame-error.js';

/** Codes of {@link ErgotError}. */
export type ErgotCode =
  /** A protocol error, of the own net stack or of another node. */
  | 'ERR_ERGOT_PROTOCOL'
  /** Nobody answered in time. */
  | 'ERR_ERGOT_TIMEOUT'
  /** All ports are taken. */
  | 'ERR_ERGOT_NO_PORT'
  /** What came is not what the schema says. */
  | 'ERR_ERGOT_BAD_MESSAGE'
  /** The node has ended. */
  | 'ERR_ERGOT_CLOSED';

/** A failure of the network or of the peer. */
export class ErgotError extends Error {
  readonly code: ErgotCode;
  /** With `ERR_ERGOT_PROTOCOL`: which one. */
  readonly protocolError: ProtocolError | undefined;
  /** With `IsePacketTooBig`: bytes that a frame may have there; else 0. */
  readonly mtu: number;

  constructor(code: ErgotCode, message: string, protocolError?: ProtocolError, mtu = 0) {
    super(message);
    this.name = 'ErgotError';
    this.code = code;
    this.protocolError = protocolError;
    this.mtu = mtu;
  }

  /** What a protocol error is to the application that it concerns. */
  static of(error: ProtocolError, mtu = 0): ErgotError {
    const size = mtu > 0 ? `, of ${mtu} bytes at most` : '';
    return new ErgotError('ERR_ERGOT_PROTOCOL', `${protocolErrorName(error)}${size}`, error, mtu);
  }
}
