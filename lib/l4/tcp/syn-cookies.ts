/**
 * SYN cookies (RFC 4987 3.6): answers a SYN without remembering it. Everything that must be known when the handshake completes stands in our
 * initial sequence number, which the peer returns: the minute, the segment size, and a keyed hash of these and of the peer's own number.
 *
 * The other options of the SYN lie in the low bits of our timestamp, which comes back too. Where the peer sends no timestamps they are lost,
 * and are therefore not agreed to: no window scaling, no SACK, no ECN. The time of the handshake stays unknown in either case.
 */

import type { IpVersion } from '../../core/address.js';
import { SipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';
import { DEFAULT_HOP_LIMIT, type IpPath, pseudoHeaderSum } from '../../l3/ip-output.js';
import { senderOf } from '../../l3/scope.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../../wire/ip.js';
import { TCP_HEADER, TcpFlag, TcpSegment } from '../../wire/tcp.js';
import { TcpOptions } from '../../wire/tcp-options.js';
import type { TcpListenOptions } from './api.js';
import type { TcpContext } from './context.js';
import { asks, type EcnMode } from './ecn.js';
import { offeredMss, offeredWindow } from './mss.js';
import { clampBuffer, peerMss, receiveLimit, type TcpConfig, windowScaleFor } from './options.js';
import type { Segment } from './segment.js';
import { withLimits } from './settings.js';
import { after } from './seq.js';

// A cookie is good for this slot of time (ms) and for the one before.
const SLOT = 64_000;
const SLOTS = 2;
/** How long after the last cookie was sent one may still come back. */
export const COOKIE_LIFETIME: number = SLOT * SLOTS;

// From the top: three bits of the slot's number, three of the segment size's, the rest is the hash.
const SLOT_SHIFT = 29;
const SIZE_SHIFT = 26;
const HASH_MASK = (1 << SIZE_SHIFT) - 1;

const LEAST_SIZE = 48;

// The largest of these that is not above the peer's MSS is what is remembered of it: common ones, by path and by version.
const SIZES: Readonly<Record<IpVersion, readonly number[]>> = {
  4: [LEAST_SIZE, 256, 536, 1220, 1360, 1440, 1460, 8960],
  6: [LEAST_SIZE, 256, 536, 1220, 1360, 1420, 1440, 8940],
};

/** Makes and checks cookies under a secret of its own. */
export class SynCookies {
  private readonly hash: SipHash;
  private readonly words: Uint32Array = new Uint32Array(12);

  constructor(random: Random) {
    this.hash = SipHash.random(random);
  }

  /** The initial sequence number for the answer to the SYN in `packet`; signed. */
  make(packet: IpPacket, syn: Segment, now: number): number {
    this.load(packet, syn);
    const slot = Math.floor(now / SLOT);
    const mss = peerMss(syn.options.mss, packet.version, LEAST_SIZE);
    const size = SIZES[packet.version].findLastIndex((value) => value <= mss);
    return (this.mask() + this.body(syn.seq, slot, size)) | 0;
  }

  /** The segment size in the cookie that the ACK in `packet` returns, or 0 if we sent no such cookie, or long ago. */
  check(packet: IpPacket, ack: Segment, now: number): number {
    this.load(packet, ack);
    const body = (ack.ack - 1 - this.mask()) | 0;
    const size = (body >>> SIZE_SHIFT) & 7;
    const slot = Math.floor(now / SLOT);
    const age = (slot - (body >>> SLOT_SHIFT)) & 7;
    if (age >= SLOTS || this.body((ack.seq - 1) | 0, slot - age, size) !== body) return 0;
    return SIZES[packet.version][size] ?? 0;
  }

  private body(peerIss: number, slot: number, size: number): number {
    const { words } = this;
    words[9] = peerIss;
    words[10] = slot;
    words[11] = size;
    return ((slot & 7) << SLOT_SHIFT) | (size << SIZE_SHIFT) | (this.hash.low(words, 12) & HASH_MASK);
  }

  /** What hides the slot and the size. */
  private mask(): number {
    return this.hash.low(this.words, 9) | 0;
  }

  private load(packet: IpPacket, segment: Segment): void {
    const { words } = this;
    const { sourceAddress, destinationAddress } = packet;
    for (const i of [0, 1, 2, 3] as const) {
      words[i] = destinationAddress.word(i);
      words[4 + i] = sourceAddress.word(i);
    }
    words[8] = (segment.destinationPort << 16) | segment.sourcePort;
  }
}

// The low bits of a timestamp: the peer's window scale, or NO_SCALE; whether SACK, and whether ECN was agreed to.
const OPTION_BITS = 6;
const OPTION_MASK = (1 << OPTION_BITS) - 1;
const SCALE_MASK = 15;
const NO_SCALE = 15;
const SACK = 16;
const ECN = 32;

/** Options of a SYN that a timestamp can hold. */
export interface CookieOptions {
  /** The peer's window shift, or -1. */
  windowScale: number;
  sackPermitted: boolean;
  ecn: boolean;
}

/** What we agree to of the options of a SYN that is answered with a cookie. @param ecn the listener's mode */
export function cookieOptions(syn: Segment, config: TcpConfig, ecn: EcnMode): CookieOptions {
  const { options } = syn;
  const kept = config.timestamps && options.hasTimestamps;
  return {
    ecn: kept && ecn !== 'off' && asks(syn),
    windowScale: kept && config.windowScaling && options.windowScale >= 0 ? Math.min(14, options.windowScale) : -1,
    sackPermitted: kept && config.sack && options.sackPermitted,
  };
}

/** The clock of milliseconds with the options in its low bits, and not ahead of it: later timestamps are not older. */
export function encodeOptions(clock: number, options: CookieOptions): number {
  const { windowScale, sackPermitted, ecn } = options;
  const bits = (windowScale < 0 ? NO_SCALE : windowScale) | (sackPermitted ? SACK : 0) | (ecn ? ECN : 0);
  const value = (clock & ~OPTION_MASK) | bits;
  return after(value, clock | 0) ? (value - OPTION_MASK - 1) | 0 : value;
}

/** The options in a clock value that came back, as far as `config` still allows them. */
export function decodeOptions(value: number, config: TcpConfig): CookieOptions {
  const scale = value & SCALE_MASK;
  return {
    windowScale: scale === NO_SCALE || !config.windowScaling ? -1 : scale,
    sackPermitted: (value & SACK) !== 0 && config.sack,
    ecn: (value & ECN) !== 0,
  };
}

/** What the answer to a SYN says, and where it goes. */
export interface CookieAnswer {
  readonly listen: TcpListenOptions;
  readonly path: IpPath;
  /** What the connection adds to the clock in its timestamps. */
  readonly timestampOffset: number;
}

const { Ack, Cwr, Ece, Syn } = TcpFlag;

const header = {
  sourcePort: 0,
  destinationPort: 0,
  sequence: 0,
  acknowledgment: 0,
  flags: 0,
  window: 0,
  urgentPointer: 0,
};
const options = new TcpOptions();

/** Answers the SYN in `packet` with `cookie` as initial sequence number, and keeps nothing of it. */
export function sendCookie(host: TcpContext, packet: IpPacket, syn: Segment, cookie: number, to: CookieAnswer): void {
  const { env } = host;
  const { listen, path } = to;
  const config = withLimits(host.config, listen.limits);
  const receiveBuffer = clampBuffer(listen.receiveBuffer ?? config.receiveBuffer);
  const agreed = cookieOptions(syn, config, listen.ecn ?? config.ecn);
  options.clear();
  const mss = offeredMss(packet.version, listen.maxSegmentSize ?? 0xffff, path.mtu);
  options.mss = config.mssOption ? mss : 0;
  options.sackPermitted = agreed.sackPermitted;
  options.hasTimestamps = config.timestamps && syn.options.hasTimestamps;
  options.timestampValue = (encodeOptions(Math.floor(host.now), agreed) + to.timestampOffset) >>> 0;
  options.timestampEcho = syn.options.timestampValue;
  if (agreed.windowScale >= 0) options.windowScale = windowScaleFor(receiveLimit(listen, config));
  header.sourcePort = syn.destinationPort;
  header.destinationPort = syn.sourcePort;
  header.flags = Syn | Ack | (agreed.ecn ? Ece : 0);
  header.sequence = cookie;
  header.acknowledgment = (syn.seq + 1) | 0;
  header.window = offeredWindow(config, receiveBuffer, mss, options.hasTimestamps);
  const flow = {
    version: packet.version,
    source: packet.destinationAddress,
    destination: senderOf(packet),
    protocol: IpProtocol.Tcp,
    hopLimit: listen.hopLimit ?? path.hopLimit ?? DEFAULT_HOP_LIMIT,
    trafficClass: (listen.trafficClass ?? 0) & ~3,
    dontFragment: true,
  } as IpFlow;
  const frame = env.pool.alloc(0);
  TcpSegment.emit(frame, header, options.length);
  options.write(frame.slab.view, frame.start + TCP_HEADER);
  TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
  host.counters.segmentsOut++;
  host.counters.cookiesSent++;
  host.output.send(frame, flow);
}

/**
 * Makes of an ACK that returned a cookie the SYN that it stands for: the segment's number, and the options of that SYN. What it returns
 * makes the ACK of it again.
 *
 * @param config the one that the cookie was made with, the listener's
 */
export function asSyn(segment: Segment, mss: number, timestampOffset: number, config: TcpConfig): () => void {
  const { options: read, flags, codepoint } = segment;
  const agreed = read.hasTimestamps
    ? decodeOptions(read.timestampEcho - timestampOffset, config)
    : { windowScale: -1, sackPermitted: false, ecn: false };
  segment.seq = (segment.seq - 1) | 0;
  segment.flags = agreed.ecn ? Syn | Ece | Cwr : Syn;
  segment.codepoint = 0;
  read.mss = mss;
  read.windowScale = agreed.windowScale;
  read.sackPermitted = agreed.sackPermitted;
  return () => {
    segment.seq = (segment.seq + 1) | 0;
    segment.flags = flags;
    segment.codepoint = codepoint;
    read.mss = 0;
    read.windowScale = -1;
    read.sackPermitted = false;
  };
}
