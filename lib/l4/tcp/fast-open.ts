/**
 * TCP Fast Open (RFC 7413): data in the SYN, answered before the handshake is done. A cookie, which the server gave the client earlier, shows
 * that the client's address is not spoofed.
 *
 * The client side remembers cookies per server, and for a while servers on whose way SYNs with data get lost. The server side keeps nothing
 * per client; how many connections it lets begin so is the listener's limit. Without the right cookie an opening is an ordinary one.
 */

import type { IpAddress } from '../../core/address.js';
import { SipHash } from '../../core/hash.js';
import type { Random } from '../../core/random.js';
import { MAX_COOKIE, type TcpOptions } from '../../wire/tcp-options.js';
import type { Connection } from './connection.js';
import { mssOf } from './mss.js';
import { defaultMss, type TcpConfig } from './options.js';
import type { Segment } from './segment.js';
import { canSend } from './state.js';

/** Bytes of the cookies that we make. */
const COOKIE_LENGTH = 8;
/** How long a key is used, unless one was given, and how long the one before it is still good (RFC 7413 4.1.2), in ms. */
const KEY_LIFETIME = 24 * 3_600_000;
/** Servers that are remembered. */
const MAX_SERVERS = 1024;
/** Bytes that options may take of a SYN: its data leave room for all of them, as with Linux. */
const OPTION_SPACE = 40;
const MAX_OPTIONS = 40;
/** So many SYNs with data in a row that got lost are blamed on the data (RFC 7413 4.1.3.1); the time for which grows from this, in ms. */
const LOSSES = 2;
const PENALTY = 60_000;
const MAX_PENALTY_SHIFT = 6;

/** What is known of one server. */
interface Server {
  cookie: Uint8Array;
  mss: number;
  /** Whether the option goes as the experiment that it was; it is tried once where a cookie was asked for and none came. */
  experimental: boolean;
  /** SYNs with data that got lost, in a row, and when the last did. */
  losses: number;
  lostAt: number;
}

const NONE = new Uint8Array(0);

/** What a host remembers of Fast Open. */
export class FastOpenMemory {
  private readonly random: Random;
  private readonly config: TcpConfig;
  private readonly servers: Map<string, Server> = new Map();
  private key: SipHash | undefined = undefined;
  private formerKey: SipHash | undefined = undefined;
  private keyedAt = 0;
  private givenKey: TcpConfig['fastOpenKey'] = undefined;
  private readonly words: Uint32Array = new Uint32Array(8);

  constructor(random: Random, config: TcpConfig) {
    this.random = random;
    this.config = config;
  }

  /** What is known of `server`, if data may be sent to it in a SYN, or a cookie asked for. */
  find(server: IpAddress, now: number): Server | undefined {
    const known = this.servers.get(server.toString());
    if (known === undefined) return { cookie: NONE, mss: 0, experimental: false, losses: 0, lostAt: 0 };
    const { losses, lostAt } = known;
    const penalty = PENALTY * 2 ** Math.min(losses - LOSSES, MAX_PENALTY_SHIFT);
    return losses >= LOSSES && now - lostAt < penalty ? undefined : known;
  }

  /** Remembers `known` of `server`, and forgets whom it heard of least recently if that is too much. */
  remember(server: IpAddress, known: Server): void {
    const name = server.toString();
    this.servers.delete(name);
    this.servers.set(name, known);
    if (this.servers.size <= MAX_SERVERS) return;
    const [oldest] = this.servers.keys();
    if (oldest !== undefined) this.servers.delete(oldest);
  }

  /** The cookie for `client`, who came to our address `own`. */
  cookieFor(client: IpAddress, own: IpAddress, now: number): Uint8Array {
    this.rotate(now);
    return this.make(this.key, client, own);
  }

  /** Whether `client` may have had that cookie from us: `fresh`, or made with the key before this one. */
  check(option: TcpOptions, client: IpAddress, own: IpAddress, now: number): 'fresh' | 'old' | 'wrong' {
    if (equal(option, this.cookieFor(client, own, now))) return 'fresh';
    return this.formerKey !== undefined && equal(option, this.make(this.formerKey, client, own)) ? 'old' : 'wrong';
  }

  private rotate(now: number): void {
    const { fastOpenKey } = this.config;
    if (fastOpenKey !== undefined) {
      if (this.givenKey === fastOpenKey) return;
      this.givenKey = fastOpenKey;
      this.formerKey = this.key;
      this.key = new SipHash(Uint32Array.from(fastOpenKey));
    } else if (this.key === undefined || now - this.keyedAt >= KEY_LIFETIME) {
      this.formerKey = this.key !== undefined && now - this.keyedAt < 2 * KEY_LIFETIME ? this.key : undefined;
      this.key = SipHash.random(this.random);
      this.keyedAt = now;
    }
  }

  /** SipHash over both addresses as they stand in the packet, as Linux makes them: servers that share a key share the cookies. */
  private make(key: SipHash | undefined, client: IpAddress, own: IpAddress): Uint8Array {
    const bytes = new DataView(new ArrayBuffer(32));
    const length = client.write(bytes, 0);
    own.write(bytes, length);
    const count = (2 * length) / 4;
    for (let i = 0; i < count; i++) this.words[i] = bytes.getUint32(4 * i, true);
    bytes.setUint32(0, key?.low(this.words, count) ?? 0, true);
    bytes.setUint32(4, key?.high(this.words, count) ?? 0, true);
    return new Uint8Array(bytes.buffer, 0, COOKIE_LENGTH);
  }
}

function equal(option: TcpOptions, cookie: Uint8Array): boolean {
  if (option.fastOpenLength !== cookie.length) return false;
  let difference = 0;
  for (let i = 0; i < cookie.length; i++) difference |= (cookie[i] ?? 0) ^ (option.fastOpenCookie[i] ?? 0);
  return difference === 0;
}

/** A listener that counts those who began with data and have not completed the handshake. */
export interface EarlyParent {
  early: number;
}

/** What a connection knows of Fast Open while it opens. */
export class FastOpen {
  /** The SYN waits for what is written within the same event. */
  waiting = false;
  /** Bytes of data in the SYN that was sent. */
  sent = 0;
  /** The SYN had the option. */
  asked = false;
  /** It is, or is to be, in the form of the experiment. */
  experimental = false;
  /** For the next SYN-ACK. */
  reply: Uint8Array | undefined = undefined;
  /** Data were taken, or may be sent, before the handshake is complete. */
  private listener: EarlyParent | undefined = undefined;

  /** A passive open that serves its peer before it knows that the peer is there. */
  get isEarly(): boolean {
    return this.listener !== undefined;
  }

  /** Counts towards the limit of `listener` until {@link settle}. */
  begin(listener: EarlyParent): void {
    this.listener = listener;
    listener.early++;
  }

  /** The handshake is complete, or will never be. */
  settle(): void {
    if (this.listener !== undefined) this.listener.early--;
    this.listener = undefined;
  }
}

/** Adds the option to the SYN or SYN-ACK that is about to be sent. Returns how many bytes of data go with it. */
export function fastOpenSyn(c: Connection, fastOpen: FastOpen, options: TcpOptions): number {
  if (c.state !== 'SYN-SENT') {
    if (fastOpen.reply !== undefined) put(options, fastOpen.reply, fastOpen.experimental);
    fastOpen.reply = undefined;
    return 0;
  }
  // RFC 7413 4.2.1: what is sent again is an ordinary SYN.
  if (c.retries > 0) return 0;
  const known = c.host.fastOpen.find(c.remote.address, c.host.now);
  if (known === undefined) return 0;
  const { fastOpenWithoutCookie } = c.host.config;
  const bare = fastOpenWithoutCookie && known.cookie.length === 0;
  if (!bare) {
    put(options, known.cookie, known.experimental);
    if (options.length > MAX_OPTIONS) {
      options.fastOpenLength = -1;
      return 0;
    }
    fastOpen.asked = true;
    fastOpen.experimental = known.experimental;
  }
  if (!bare && known.cookie.length === 0) return 0;
  const mss = Math.min(mssOf(c, c.mtu), known.mss === 0 ? defaultMss(c.version) : known.mss);
  fastOpen.sent = Math.max(0, Math.min(c.queue.length, mss - OPTION_SPACE));
  if (fastOpen.sent > 0) c.host.counters.fastOpensActive++;
  return fastOpen.sent;
}

function put(options: TcpOptions, cookie: Uint8Array, experimental: boolean): void {
  options.fastOpenLength = cookie.length;
  options.fastOpenCookie.set(cookie);
  options.fastOpenExperimental = experimental;
}

/** The SYN-ACK is there: remembers what it says. @param acknowledged bytes of the SYN's data that it acknowledges */
export function fastOpenAnswered(c: Connection, fastOpen: FastOpen, segment: Segment, acknowledged: number): void {
  const { options } = segment;
  const { host, remote } = c;
  const known = host.fastOpen.find(remote.address, host.now);
  if (known === undefined) return;
  // Nobody asked for it (RFC 7413 4.1.1).
  const length = fastOpen.asked ? options.fastOpenLength : -1;
  if (length > 0 && length <= MAX_COOKIE) {
    known.cookie = options.fastOpenCookie.slice(0, length);
    known.experimental = options.fastOpenExperimental;
  } else if (fastOpen.asked && known.cookie.length === 0 && c.retries === 0) known.experimental = !known.experimental;
  known.mss = c.peerMss;
  // Only the SYN without data came through.
  const dropped = c.retries > 0 && length < 0 && fastOpen.sent > 0 && acknowledged === 0;
  known.losses = dropped ? known.losses + 1 : 0;
  if (dropped) known.lostAt = host.now;
  host.fastOpen.remember(remote.address, known);
}

/** Whether what is written may leave: of a server that answers early, before the handshake is complete. */
export function mayTransmit({ state, fastOpen }: Connection): boolean {
  return canSend(state) || fastOpen?.isEarly === true;
}
