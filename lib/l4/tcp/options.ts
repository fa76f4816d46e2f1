/** The knobs of TCP, their defaults, and what a connection makes of its peer's SYN options. */

import type { NetCode } from '../../core/errors.js';
import { UsageError } from '../../core/errors.js';
import { type CongestionName, congestionFactory } from './congestion/choose.js';
import type { CongestionFactory } from './congestion/congestion.js';
import { OPTION_POLICIES, type OptionPolicy } from './accecn.js';
import { ECN_MODES, type EcnMode } from './ecn.js';

/** Options of a TCP host. Times are in milliseconds, sizes in bytes. */
export interface TcpOptions {
  /** Timestamps (RFC 7323). Default true. */
  readonly timestamps?: boolean;
  /** Window scaling (RFC 7323). Default true. */
  readonly windowScaling?: boolean;
  /** Selective acknowledgments: blocks are sent where the peer permits them (RFC 2018, 2883). Default true. */
  readonly sack?: boolean;
  /**
   * Explicit congestion notification (RFC 3168): `off`; `passive`, the default: where the peer asks for it; `on`: asked for; `accurate`:
   * accurate ECN (RFC 9768) is asked for and agreed to, or else what the peer can; `accurate-passive`: it is agreed to, and nothing asked
   * for; `accurate-classic`: it is agreed to, and that of RFC 3168 asked for.
   */
  readonly ecn?: EcnMode;
  /**
   * When the option of accurate ECN is sent: `off`; `sparing`: when it has news, and three times a round trip; `full`, the default, as Linux:
   * with every segment that has room, and data segments have.
   */
  readonly ecnOption?: OptionPolicy;
  /** A SYN that was lost is sent again without asking for ECN (RFC 3168 6.1.1.1, RFC 9768 3.1.4.1). Default true. */
  readonly ecnFallback?: boolean;
  /** Reports of duplicates by the peer are believed (RFC 2883): recoveries that they show to be needless are undone. Default true. */
  readonly dsack?: boolean;
  /** Losses are found by the time at which segments were sent (RFC 8985), where the peer permits SACK; else as in RFC 6675. Default true. */
  readonly rack?: boolean;
  /** Without RACK, what may only be lost is sent again where the window has room (rules 3 and 4 of NextSeg, RFC 6675 4); Linux does not. Default true. */
  readonly resendSuspects?: boolean;
  /** Tail loss probes (RFC 8985 7), where the peer permits SACK. Default true. */
  readonly tlp?: boolean;
  /** Spurious timeouts are detected (F-RTO, RFC 5682). Default true. */
  readonly frto?: boolean;
  /** A timeout makes what the peer selectively acknowledged count for nothing (RFC 2018 8); else only if it took that back, as with Linux. Default true. */
  readonly expungeSacks?: boolean;
  /** While losses are repaired the window shrinks in step with what arrives (RFC 6937); else at once. Default true. */
  readonly prr?: boolean;
  /** New data are sent for the first duplicate acknowledgments (RFC 3042). Default true. */
  readonly limitedTransmit?: boolean;
  /** Segments that may overtake another before it is believed lost: DupThresh at first (RFC 5681). Default 3. */
  readonly reordering?: number;
  /** Retransmissions of a SYN that still ask for ECN. Default 0, as Linux; FreeBSD has 1. Accurate ECN is asked for again once at least. */
  readonly ecnSynRetries?: number;
  /** Retransmission timeout before the first measurement (RFC 6298 2.1). Default 1000. */
  readonly initialRto?: number;
  /** What the timeout exceeds the round-trip time by, at least. Default 200, as Linux; RFC 6298 2.4 asks for 1000 in all. */
  readonly minRto?: number;
  /** Default 120,000. */
  readonly maxRto?: number;
  /**
   * Added to every timeout that was measured, after it was doubled, and minRto then bounds what is measured, as with FreeBSD, which has 200 and 30: there the first
   * round trip of 50 ms makes a timeout of 350, with Linux one of 250. Default 0.
   */
  readonly rtoSlop?: number;
  /**
   * Every sample of the round-trip time counts in full, and the timeout covers the largest deviation of the last round trips, as with Linux;
   * else they count less the more there are in a flight, and the mean deviation counts (RFC 7323 G, RFC 6298 2.3). Default false.
   */
  readonly peakVariation?: boolean;
  /** Retransmissions of a SYN before the connection attempt fails. Default 7: more than four minutes (RFC 9293 MUST-23). */
  readonly synRetries?: number;
  /** How long an active open may take, however often its SYN is still to be sent again. Default 0: as long as that takes. */
  readonly handshakeTimeout?: number;
  /**
   * Which ICMP errors end an active open: `any`, the default, as with Linux; or, as with FreeBSD, only those that are `hard`, as RFC 9293 3.9.2.2
   * has it: of a port or protocol that nobody serves, and of what is prohibited.
   */
  readonly connectErrors?: 'any' | 'hard';
  /** SYNs say how large segments may be (RFC 9293 SHLD-5). Default true. */
  readonly mssOption?: boolean;
  /** What smaller offers of a segment size are taken for: they would make every segment mostly header. Default 48, as Linux; FreeBSD has 216. */
  readonly minMss?: number;
  /** A SYN with a FIN opens a connection, as with FreeBSD; the FIN has to come again. Default false: it is dropped, as with Linux. */
  readonly acceptSynFin?: boolean;
  /** A close before everything was read sends RST (RFC 9293 SHLD-3); or, as with FreeBSD, FIN. Default true. */
  readonly resetUnread?: boolean;
  /** Retransmissions of a SYN-ACK before an embryonic connection is forgotten. Default 5. */
  readonly synAckRetries?: number;
  /** Retransmissions of data, or unanswered window probes, before the connection fails: R2 (RFC 9293 3.8.3). Default 15. */
  readonly dataRetries?: number;
  /**
   * The same once the application has closed the connection, if that is less; then probes that are answered count, too, once they are `maxRto`
   * apart. Default 8, as Linux.
   */
  readonly orphanRetries?: number;
  /** Longest time that data may stay unacknowledged, for connections that set none. Default 0: as the retries have it. */
  readonly userTimeout?: number;
  /** What the user timeout counts from: when data were `sent`, the default; or first `resent` after a timeout, as Linux has it. */
  readonly userTimeoutSince?: 'sent' | 'resent';
  /** Silence before the first keep-alive, where they are on (RFC 9293 MUST-28). Default 7,200,000: two hours. */
  readonly keepAliveIdle?: number;
  /** Time between keep-alives. Default 75,000. */
  readonly keepAliveInterval?: number;
  /** Keep-alives without an answer that end the connection. Default 9. */
  readonly keepAliveCount?: number;
  /** 2 MSL. Default 60,000, as Linux. */
  readonly timeWait?: number;
  /** Connections in TIME-WAIT beyond this many are forgotten at once. Default 16,384. */
  readonly maxTimeWait?: number;
  /** How long a closed connection waits for the peer's FIN. Default 60,000. */
  readonly finWait2Timeout?: number;
  /**
   * When data are acknowledged that arrive in order: `adaptive`, the default, as Linux does; `every-second` segment at once, as FreeBSD;
   * every second segment that is `full-sized` at once (RFC 5681 4.2). What remains, {@link TcpOptions.delayedAck} later.
   */
  readonly ackPolicy?: 'adaptive' | 'every-second' | 'full-sized';
  /** Delay of an acknowledgment, under 500 (RFC 9293 MUST-40); if it is adaptive, the least. Default 40; 0 acknowledges at once. */
  readonly delayedAck?: number;
  /** The longest delay, if it is adaptive. Default 200. */
  readonly maxDelayedAck?: number;
  /** Data segments at the start of a connection that are acknowledged at once; if it is adaptive, at most. Default 16, as Linux. */
  readonly quickAcks?: number;
  /** Initial congestion window in segments (RFC 6928). Default 10. */
  readonly initialWindow?: number;
  /** SYNs or SYN-ACKs that may be lost before the initial window is one segment (RFC 5681 3.1). Default 0; Linux has 1, after RFC 6928 2. */
  readonly forgivenSyns?: number;
  /**
   * Packetisation-layer path MTU discovery (RFC 4821, RFC 8899): `off`; `blackhole`, the default: where full segments vanish without an ICMP
   * error, and where the path is known to be narrower than its first link; `always`: every connection begins with small segments and searches.
   */
  readonly mtuProbing?: 'off' | 'blackhole' | 'always';
  /** The congestion control of connections: by name, or what makes it. Default `cubic`. */
  readonly congestion?: CongestionName | CongestionFactory;
  /**
   * What NewReno halves: the bytes in `flight`, the default (RFC 5681 3.1); or the `window`, in whole segments, as Linux and FreeBSD, where a
   * window does not grow unused.
   */
  readonly halve?: 'flight' | 'window';
  /** Whether CUBIC leaves slow start when round trips grow longer (HyStart++, RFC 9406). Default true. */
  readonly hystart?: boolean;
  /**
   * Segments that one acknowledgment may add to the window in slow start, also after a timeout; Linux knows no limit. Default 0: 8 with CUBIC
   * (RFC 9406 4.2), unlimited if it is paced; 2 with NewReno (RFC 3465); 1 after a timeout.
   */
  readonly slowStartLimit?: number;
  /** Whether a pause longer than the retransmission timeout leaves only the initial window (RFC 5681 4.1). Default true. */
  readonly slowStartAfterIdle?: boolean;
  /** Congestion window validation (RFC 7661): in place of slow start after idle. Default false: a window only does not grow unused. */
  readonly windowValidation?: boolean;
  /** Whether segments are spread over the round trip: `auto`, if the congestion control says how fast to send. Default `auto`. */
  readonly pacing?: 'auto' | boolean;
  /** Challenge acknowledgments per connection and {@link TcpOptions.challengePeriod} (RFC 5961 7). Default 10. */
  readonly challengeLimit?: number;
  /** Default 5000. */
  readonly challengePeriod?: number;
  /**
   * A RST ends a connection only if it is exact, else it is challenged (RFC 5961 3). Otherwise it does so anywhere in the window, as RFC 793
   * had it, and blind attackers like it. Default true.
   */
  readonly exactResets?: boolean;
  /** A SYN never ends a connection, but is challenged (RFC 5961 4). Otherwise it resets the connection if it is in the window. Default true. */
  readonly challengeSyns?: boolean;
  /** Accept segments without the negotiated timestamp, as Linux does. Default false (RFC 7323 3.2). */
  readonly acceptMissingTimestamps?: boolean;
  /** Ignore every RST in TIME-WAIT (RFC 1337). Default false: an exact one ends it. */
  readonly ignoreTimeWaitResets?: boolean;
  /** Bytes of received data that may wait to be read, to begin with. Default 128 KiB. */
  readonly receiveBuffer?: number;
  /** What the receive buffer may grow to; no growth where it is not larger. Sets the window scale. Default 6 MiB, as Linux. */
  readonly receiveBufferMax?: number;
  /** Bytes that may wait to be acknowledged, to begin with. Default 256 KiB. */
  readonly sendBuffer?: number;
  /** What the send buffer may grow to. Default 4 MiB, as Linux. */
  readonly sendBufferMax?: number;
  /** The window in SYNs, at most, in bytes. Default 65,535; Linux has 64,240 where its receive buffer is the default. */
  readonly initialReceiveWindow?: number;
  /**
   * How much of the receive buffer is offered: what was in the SYN, and more as data come, if it is `gradual`, the default, as with Linux;
   * or the `whole`, as with FreeBSD.
   */
  readonly receiveWindow?: 'gradual' | 'whole';
  /** Whether receive buffers are rounded up to a whole number of segments, and taken is what they have room for, as with FreeBSD. Default false. */
  readonly wholeSegmentBuffers?: boolean;
  /** Segments have no more than half of the largest window that the peer offered, so that two fit, as with Linux. Default false. */
  readonly halfWindowSegments?: boolean;
  /** Memory for queued data of all connections together, in bytes. When it is short, windows shrink. Default 256 MiB. */
  readonly memory?: number;
  /** Embryonic connections per listener. Default 1024. */
  readonly maxEmbryonic?: number;
  /**
   * Cookies instead of embryonic connections (RFC 4987 3.6): when a listener has {@link TcpOptions.maxEmbryonic} of these, `auto`, the
   * default; for every SYN, `always`; or never, `off`: then SYNs are dropped while there is no room.
   */
  readonly synCookies?: 'auto' | 'always' | 'off';
  /**
   * The secret of Fast Open cookies, four words (RFC 7413 4.1.2), for servers that share an address, and so their cookies. Default: one of the
   * host's own, which changes every day.
   */
  readonly fastOpenKey?: readonly [number, number, number, number];
  /** Fast Open goes without cookies, either way: for networks in which no address is spoofed (RFC 7413 5.1). Default false. */
  readonly fastOpenWithoutCookie?: boolean;
  /** Default backlog of listeners. Default 511. */
  readonly backlog?: number;
  /** Ephemeral ports, inclusive (RFC 6335 6). Default 49152 to 65535. */
  readonly portRange?: readonly [first: number, last: number];
}

/** Those of them that a connection, or a listener for its connections, may have of its own. */
export type TcpLimits = Pick<
  TcpOptions,
  | 'initialRto'
  | 'minRto'
  | 'maxRto'
  | 'rtoSlop'
  | 'synRetries'
  | 'synAckRetries'
  | 'handshakeTimeout'
  | 'timestamps'
  | 'windowScaling'
  | 'sack'
  | 'mssOption'
  | 'dataRetries'
  | 'orphanRetries'
  | 'finWait2Timeout'
  | 'timeWait'
  | 'delayedAck'
  | 'ackPolicy'
  | 'maxDelayedAck'
  | 'quickAcks'
  | 'initialWindow'
  | 'initialReceiveWindow'
  | 'receiveWindow'
>;

/** The options of a host with all defaults filled in. */
export type TcpConfig = Required<Omit<TcpOptions, 'fastOpenKey'>> & Pick<TcpOptions, 'fastOpenKey'>;

const DEFAULTS: TcpConfig = {
  timestamps: true,
  windowScaling: true,
  sack: true,
  ecn: 'passive',
  ecnOption: 'full',
  ecnFallback: true,
  dsack: true,
  expungeSacks: true,
  rack: true,
  resendSuspects: true,
  tlp: true,
  frto: true,
  prr: true,
  limitedTransmit: true,
  reordering: 3,
  ecnSynRetries: 0,
  initialRto: 1000,
  minRto: 200,
  maxRto: 120_000,
  rtoSlop: 0,
  peakVariation: false,
  synRetries: 7,
  synAckRetries: 5,
  handshakeTimeout: 0,
  connectErrors: 'any',
  mssOption: true,
  minMss: 48,
  acceptSynFin: false,
  resetUnread: true,
  dataRetries: 15,
  orphanRetries: 8,
  userTimeout: 0,
  userTimeoutSince: 'sent',
  keepAliveIdle: 7_200_000,
  keepAliveInterval: 75_000,
  keepAliveCount: 9,
  timeWait: 60_000,
  maxTimeWait: 16_384,
  finWait2Timeout: 60_000,
  ackPolicy: 'adaptive',
  delayedAck: 40,
  maxDelayedAck: 200,
  quickAcks: 16,
  initialWindow: 10,
  forgivenSyns: 0,
  mtuProbing: 'blackhole',
  congestion: 'cubic',
  halve: 'flight',
  hystart: true,
  slowStartLimit: 0,
  slowStartAfterIdle: true,
  windowValidation: false,
  pacing: 'auto',
  challengeLimit: 10,
  challengePeriod: 5000,
  exactResets: true,
  challengeSyns: true,
  acceptMissingTimestamps: false,
  ignoreTimeWaitResets: false,
  receiveBuffer: 1 << 17,
  receiveBufferMax: 6 << 20,
  sendBuffer: 1 << 18,
  sendBufferMax: 4 << 20,
  initialReceiveWindow: 0xffff,
  receiveWindow: 'gradual',
  wholeSegmentBuffers: false,
  halfWindowSegments: false,
  memory: 1 << 28,
  maxEmbryonic: 1024,
  synCookies: 'auto',
  fastOpenWithoutCookie: false,
  backlog: 511,
  portRange: [49152, 65535],
};

// RFC 7323 2.3: a window of at most 2^30 bytes.
const MAX_BUFFER = 1 << 30;

/** Fills in the defaults. @throws UsageError `ERR_INVALID_OPTION` */
export function tcpConfig(options: TcpOptions): TcpConfig {
  const config: TcpConfig = { ...DEFAULTS, ...options };
  requireRange('receiveBuffer', config.receiveBuffer, 1, MAX_BUFFER);
  requireRange('sendBuffer', config.sendBuffer, 1, MAX_BUFFER);
  requireRange('receiveBufferMax', config.receiveBufferMax, 1, MAX_BUFFER);
  requireRange('sendBufferMax', config.sendBufferMax, 1, MAX_BUFFER);
  requireRange('initialReceiveWindow', config.initialReceiveWindow, 1, 0xffff);
  requireRange('memory', config.memory, 1, Number.MAX_SAFE_INTEGER);
  requireRange('handshakeTimeout', config.handshakeTimeout, 0, Number.MAX_SAFE_INTEGER);
  requireRange('minMss', config.minMss, 1, 0xffff);
  requireOneOf('connectErrors', config.connectErrors, ['any', 'hard']);
  requireOneOf('receiveWindow', config.receiveWindow, ['gradual', 'whole']);
  requireRange('delayedAck', config.delayedAck, 0, 499);
  requireRange('maxDelayedAck', config.maxDelayedAck, 0, 499);
  requireOneOf('ackPolicy', config.ackPolicy, ['adaptive', 'every-second', 'full-sized']);
  requireOneOf('mtuProbing', config.mtuProbing, ['off', 'blackhole', 'always']);
  requireOneOf('synCookies', config.synCookies, ['auto', 'always', 'off']);
  requireOneOf('ecn', config.ecn, ECN_MODES);
  congestionFactory(config.congestion);
  requireOneOf('halve', config.halve, ['flight', 'window']);
  requireRange('slowStartLimit', config.slowStartLimit, 0, Number.POSITIVE_INFINITY);
  requireRange('ecnSynRetries', config.ecnSynRetries, 0, Number.POSITIVE_INFINITY);
  requireOneOf('ecnOption', config.ecnOption, OPTION_POLICIES);
  requireRange('forgivenSyns', config.forgivenSyns, 0, Number.POSITIVE_INFINITY);
  requireRange('minRto', config.minRto, 1, config.maxRto);
  requireRange('reordering', config.reordering, 1, 300);
  requireRange('portRange', config.portRange[0], 1, config.portRange[1]);
  requireRange('portRange', config.portRange[1], config.portRange[0], 65535);
  return config;
}

/** @throws UsageError `ERR_INVALID_OPTION` unless `value` is in `low`..`high` */
export function requireRange(name: string, value: number, low: number, high: number): void {
  if (value >= low && value <= high) return;
  throw new UsageError('ERR_INVALID_OPTION', `${name} must be in ${low}..${high}, not ${value}`);
}

function requireOneOf(name: string, value: string, words: readonly string[]): void {
  if (words.includes(value)) return;
  throw new UsageError('ERR_INVALID_OPTION', `${name} is one of ${words.join(', ')}, not ${String(value)}`);
}

/** Largest size of a receive or send buffer. */
export function clampBuffer(bytes: number): number {
  return Math.max(1, Math.min(MAX_BUFFER, Math.floor(bytes)));
}

/** What a receive buffer may grow to: one that is given stays. */
export function receiveLimit({ receiveBuffer }: { readonly receiveBuffer?: number }, config: TcpConfig): number {
  return clampBuffer(receiveBuffer ?? Math.max(config.receiveBuffer, config.receiveBufferMax));
}

/** The user timeout of a connection, in ms, for what its application asks for: 0 means the host's. */
export function userTimeoutFor(asked: number, { userTimeout }: TcpConfig): number {
  return asked > 0 ? asked : userTimeout;
}

/** The shift that lets a 16-bit window cover `buffer` bytes; at most 14 (RFC 7323 2.3). */
export function windowScaleFor(buffer: number): number {
  let scale = 0;
  while (scale < 14 && 0xffff << scale < buffer) scale++;
  return scale;
}

/** The first window that a SYN offers, never scaled (RFC 7323 2.2). */
export function firstWindow(receiveBuffer: number, initialReceiveWindow: number): number {
  return Math.min(0xffff, receiveBuffer, initialReceiveWindow);
}

/** RFC 9293 3.7.1: what to assume where the SYN had no MSS option. */
export function defaultMss(version: 4 | 6): number {
  return version === 4 ? 536 : 1220;
}

/** The peer's maximum segment size for an option value, 0 where there was none. @param least what smaller offers are taken for */
export function peerMss(offered: number, version: 4 | 6, least: number): number {
  return offered === 0 ? defaultMss(version) : Math.max(least, offered);
}

/** Why a connection ended: an error code, or `undefined` for the regular end. */
export type EndCode = NetCode | undefined;
