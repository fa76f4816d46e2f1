/**
 * Errors of the stack: every one carries a stable `code`.
 *
 * Wrong use (a bad option, a bad address) throws a {@link UsageError} at once from the factory; what the network or the
 * device did to a socket is a {@link NetError} with the code that Node's own `net` and `dgram` would give.
 */

/** Codes of {@link UsageError}. */
export type UsageCode =
  | 'ERR_INVALID_ADDRESS'
  | 'ERR_INVALID_OPTION'
  | 'ERR_INVALID_STATE'
  | 'ERR_NO_HEADROOM'
  | 'ERR_FRAME_RELEASED'
  | 'ERR_FRAME_TOO_LARGE'
  | 'ERR_BAD_PACKET_TEXT'
  | 'ERR_BAD_CAPTURE'
  | 'ERR_BAD_FILTER'
  | 'ERR_BAD_MESSAGE'
  | 'ERR_BAD_RULE'
  | 'ERR_DUPLICATE_STAGE'
  | 'ERR_UNKNOWN_STAGE'
  | 'ERR_UNSUPPORTED'
  | 'ERR_OUT_OF_RANGE'
  | 'ERR_TOO_MANY_EVENTS';

/** The caller did something that can never work; thrown synchronously. */
export class UsageError extends Error {
  readonly code: UsageCode;

  constructor(code: UsageCode, message: string) {
    super(message);
    this.name = 'UsageError';
    this.code = code;
  }
}

/** Codes of {@link NetError}: those of Node and of `errno`. */
export type NetCode =
  | 'EACCES'
  | 'EADDRINUSE'
  | 'EADDRNOTAVAIL'
  | 'EAGAIN'
  | 'EALREADY'
  | 'EBADF'
  | 'EBUSY'
  | 'ECANCELED'
  | 'ECONNABORTED'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EDESTADDRREQ'
  | 'EHOSTDOWN'
  | 'EHOSTUNREACH'
  | 'EINPROGRESS'
  | 'EINVAL'
  | 'EIO'
  | 'EISCONN'
  | 'EMSGSIZE'
  | 'ENETDOWN'
  | 'ENETUNREACH'
  | 'ENOBUFS'
  | 'ENODEV'
  | 'ENONET'
  | 'ENOPROTOOPT'
  | 'ENOTCONN'
  | 'ENOTSUP'
  | 'EOPNOTSUPP'
  | 'EPERM'
  | 'EPIPE'
  | 'EPROTO'
  | 'ETIMEDOUT';

/** What a {@link NetError} may say besides its code; the names are those of Node's system errors. */
export interface NetErrorDetails {
  readonly syscall?: string;
  readonly address?: string;
  readonly port?: number;
}

/** A failure of the network, the peer or the device, shaped like Node's system errors. */
export class NetError extends Error {
  readonly code: NetCode;
  readonly syscall: string | undefined;
  readonly address: string | undefined;
  readonly port: number | undefined;

  constructor(code: NetCode, message: string, details: NetErrorDetails = {}) {
    super(message);
    this.name = 'NetError';
    this.code = code;
    this.syscall = details.syscall;
    this.address = details.address;
    this.port = details.port;
  }

  /** The error that a failed call on a socket gives, e.g. `connect ECONNREFUSED 10.0.0.1:80`. */
  static of(code: NetCode, syscall: string, address?: string, port?: number): NetError {
    const where = address === undefined ? '' : port === undefined ? ` ${address}` : ` ${address}:${port}`;
    return new NetError(code, `${syscall} ${code}${where}`, {
      syscall,
      ...(address === undefined ? {} : { address }),
      ...(port === undefined ? {} : { port }),
    });
  }
}
