/** What few connections set, so that most do without the memory for it; and the limits of one connection. */

import type { Timer } from '../../core/timers.js';
import type { EcnMode } from './ecn.js';
import type { TcpConfig, TcpLimits } from './options.js';

/** Settings of a connection that are made when the first of them is set. */
export class Settings {
  /** How long `close` lingers, in milliseconds: 0 resets; -1: not at all. */
  linger = -1;
  /** Runs while `close` lingers. */
  lingering: Timer | undefined = undefined;
  /** How long the peer's FIN is waited for; -1: not at all; `undefined`: as the host says. */
  finWait2Timeout: number | undefined = undefined;
  /** The SYN-ACK was acknowledged, and data are waited for: for so many timeouts more. */
  deferrals: number | undefined = undefined;
  /** What our SYN-ACK took there and its acknowledgment back, in ms, where that did not complete the handshake; -1: nobody knows. */
  roundTrip: number | undefined = undefined;
  /** Segments that are not full are held back. */
  corked = false;
  /** The last write said that more follows. */
  more = false;
}

/** The host's configuration, with the limits of one connection in their place. */
export function withLimits(config: TcpConfig, limits: TcpLimits | undefined): TcpConfig {
  return limits === undefined ? config : { ...config, ...limits };
}

/** The options of a host for a connection that wants another kind of ECN. */
export function withEcn(config: TcpConfig, ecn: EcnMode | undefined): TcpConfig {
  return ecn === undefined || ecn === config.ecn ? config : { ...config, ecn };
}
