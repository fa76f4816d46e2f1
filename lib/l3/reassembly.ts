/**
 * Reassembly of IP fragments (RFC 791 3.2, RFC 815, RFC 8200 4.5), for both versions: datagrams are told apart by the bytes of their
 * addresses, and fragments are copied straight to their place in a frame of the pool.
 *
 * Fragments that overlap without one being inside the other, or whose common bytes differ, are an attack (RFC 1858, RFC 5722): the
 * whole datagram is discarded and stays so until its time is over. Duplicates, and fragments cut again on the way, are not.
 */

import type { IpVersion } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { type Frame, HEADROOM, NOT_PARSED } from '../core/frame.js';
import type { Timer } from '../core/timers.js';
import { Ecn, type IpPacket, IpProtocol } from '../wire/ip.js';
import { IPV6_HEADER, IPV6_PAYLOAD_LENGTH, type Ipv6Packet } from '../wire/ipv6.js';
import {
  type ExtensionProblem,
  FRAGMENT_HEADER,
  FRAGMENT_OFFSET,
  holdsAllHeaders,
  Ipv6Problem,
} from '../wire/ipv6-extensions.js';
import { type Fit, Ranges } from './ranges.js';

/** What a fragment says of its place; offsets and lengths in bytes. */
export interface FragmentPlace {
  readonly identification: number;
  readonly offset: number;
  readonly more: boolean;
}

/** Options of {@link Reassembler}. */
export interface ReassemblyOptions {
  /**
   * How long a datagram may take, in milliseconds. Default 30,000 of IPv4, as Linux and gVisor: RFC 1122 3.3.2 recommends 60 to 120 s,
   * which at today's rates outlives the 16-bit identification (RFC 4963) and mixes datagrams. 60,000 of IPv6 (RFC 8200 4.5).
   */
  readonly timeout?: number;
  /** Memory for incomplete datagrams, in bytes. Default 4 MiB; above it the oldest datagram is given up. */
  readonly memory?: number;
  /** Incomplete datagrams of one source at once. Default 64; above it the oldest of them is given up. */
  readonly perSource?: number;
  /**
   * A datagram was not complete in time. `frame` is its first fragment, header included, if that has come: there ICMP may report it
   * (RFC 1122 3.3.2). Valid during the call.
   */
  readonly expired?: (frame: Frame | undefined) => void;
}

const DEFAULT_TIMEOUT = { 4: 30_000, 6: 60_000 } as const;
const DEFAULT_MEMORY = 4 * 1024 * 1024;
const DEFAULT_PER_SOURCE = 64;
/** Of IPv4 with the header, of IPv6 without its fixed one. */
const MAX_PACKET = 65_535;
/** What a datagram takes besides its frame, roughly. */
const OVERHEAD = 512;
/** The longest header of IPv4. In front of it the headroom still has room for what is pushed later: it is no longer without extension headers. */
const USUAL_HEADER = 60;
const OPERATOR = 'reassemble';

/** A datagram of which fragments have come. */
class Datagram {
  readonly key: string;
  readonly source: string;
  readonly deadline: number;
  readonly ranges: Ranges = new Ranges();
  /** Its payload starts at `frame.start`; the first fragment's header stands in front. `undefined` once it was given up. */
  frame: Frame | undefined = undefined;
  /** Length of the first fragment's header and payload, 0 until it came. */
  headerLength = 0;
  firstLength = 0;
  /** Length of the whole payload, or -1 until the last fragment came. */
  length = -1;
  /** Length of the longest fragment, its headers included. */
  longest = 0;
  /** Which codepoints of ECN its fragments had: bit by bit. */
  codepoints = 0;

  constructor(key: string, source: string, deadline: number) {
    this.key = key;
    this.source = source;
    this.deadline = deadline;
  }
}

/** Puts the datagrams of one IP version together. */
export class Reassembler {
  /** Bytes in use for datagrams that are not complete. */
  memory = 0;
  private readonly env: Env;
  private readonly options: ReassemblyOptions;
  private readonly timer: Timer;
  // In order of their deadlines, since all are given the same time.
  private readonly datagrams = new Map<string, Datagram>();
  /** The same, of each source. */
  private readonly sources = new Map<string, Set<Datagram>>();

  constructor(options: ReassemblyOptions, env: Env) {
    this.options = options;
    this.env = env;
    this.timer = env.timers.timer(() => this.expire());
  }

  /** Datagrams that are not complete, and those given up whose time is not over. */
  get size(): number {
    return this.datagrams.size;
  }

  /**
   * Takes a fragment, the range of the packet's frame. If it completes its datagram, returns a new frame, which the caller then owns:
   * its range is the whole payload, and the first fragment's header, unchanged, is at `frame.network` in front of it.
   */
  add(packet: IpPacket, place: FragmentPlace): Frame | undefined {
    const { frame } = packet;
    if (!isPossible(packet, place)) return this.refuse(DropReason.FragmentBad, frame);
    const datagram = this.find(packet, place.identification);
    const fit = datagram.frame === undefined && datagram.ranges.covered > 0 ? 'overlap' : fitOf(datagram, frame, place);
    if (fit === 'overlap') return this.discard(datagram, DropReason.FragmentOverlap, frame);
    if (isTooLong(datagram, packet, place)) return this.discard(datagram, DropReason.FragmentBad, frame);
    this.env.drops.deliver(frame);
    if (fit === 'known') return undefined;
    this.store(datagram, packet, place);
    if (datagram.ranges.covered !== datagram.length) {
      this.limit();
      return undefined;
    }
    const whole = datagram.frame;
    if (whole !== undefined) whole.fragmentSize = datagram.longest;
    this.account(datagram, undefined);
    this.forget(datagram);
    if (whole === undefined || markWhole(whole, packet.version, datagram.codepoints)) return whole;
    this.refuse(DropReason.FragmentBad, whole);
    whole.release();
    return undefined;
  }

  /** Gives everything up. */
  dispose(): void {
    for (const datagram of this.datagrams.values()) {
      this.giveUp(datagram, DropReason.Disposed);
      this.forget(datagram);
    }
    this.timer.cancel();
  }

  private discard(datagram: Datagram, reason: DropReason, frame: Frame): undefined {
    this.giveUp(datagram, reason);
    return this.refuse(reason, frame);
  }

  private refuse(reason: DropReason, frame: Frame): undefined {
    return this.env.drops.report(reason, frame, OPERATOR);
  }

  private find(packet: IpPacket, identification: number): Datagram {
    const source = wordsAt(packet, packet.sourceOffset);
    // IPv6 leaves the protocol out, since only the first fragment's counts (RFC 8200 4.5).
    const protocol = packet.version === 4 ? packet.protocol : 0;
    const key = `${source}>${wordsAt(packet, packet.destinationOffset)}#${identification}/${protocol}`;
    const known = this.datagrams.get(key);
    if (known !== undefined) return known;
    const ofSource = this.sources.get(source) ?? new Set();
    const [oldest] = ofSource;
    // An honest one is complete long before so many others begin.
    if (oldest !== undefined && ofSource.size >= (this.options.perSource ?? DEFAULT_PER_SOURCE)) {
      this.giveUp(oldest, DropReason.FragmentMemory);
      this.forget(oldest);
    }
    const deadline = this.env.timers.now() + (this.options.timeout ?? DEFAULT_TIMEOUT[packet.version]);
    const datagram = new Datagram(key, source, deadline);
    this.datagrams.set(key, datagram);
    this.sources.set(source, ofSource.add(datagram));
    this.memory += OVERHEAD;
    if (!this.timer.armed) this.timer.arm(deadline);
    return datagram;
  }

  private store(datagram: Datagram, packet: IpPacket, place: FragmentPlace): void {
    const { offset, more } = place;
    const source = packet.frame;
    const to = offset + source.length;
    const front = frontOf(packet, place);
    const target = this.room(datagram, more ? to : Math.max(to, datagram.length), front);
    target.slab.bytes.set(source.bytes(), target.start + offset);
    datagram.ranges.add(offset, to);
    datagram.longest = Math.max(datagram.longest, source.end - packet.offset);
    datagram.codepoints |= 1 << (packet.trafficClass & 3);
    target.end = Math.max(target.end, target.start + to);
    if (!more) datagram.length = to;
    if (offset > 0) return;
    datagram.headerLength = front;
    datagram.firstLength = source.length;
    const header = source.slab.bytes.subarray(packet.offset, source.start);
    target.network = target.start - front;
    target.slab.bytes.set(header, target.network);
    target.device = source.device;
    target.time = source.time;
    target.linkCast = source.linkCast;
    target.ipCast = source.ipCast;
    target.mark = source.mark;
  }

  /** The datagram's frame, with room for `length` bytes of payload and a header of `front` bytes: moved to a larger one if need be. */
  private room(datagram: Datagram, length: number, front: number): Frame {
    const { frame } = datagram;
    const header = Math.max(datagram.headerLength, front);
    // Extension headers may be longer than the headroom.
    const extra = header > USUAL_HEADER ? header : 0;
    if (frame !== undefined && frame.limit - frame.start >= length && frame.start - frame.base >= HEADROOM + extra)
      return frame;
    const larger = this.env.pool.alloc(extra + Math.max(length, frame?.length ?? 0));
    larger.start = larger.end = larger.start + extra;
    if (frame !== undefined) {
      const known = datagram.headerLength;
      larger.slab.bytes.set(frame.slab.bytes.subarray(frame.start - known, frame.end), larger.start - known);
      larger.end = larger.start + frame.length;
      larger.adopt(frame);
      larger.network = known > 0 ? larger.start - known : NOT_PARSED;
    }
    this.account(datagram, larger);
    frame?.release();
    return larger;
  }

  /** Gives the datagram another frame, or none, and counts the memory. */
  private account(datagram: Datagram, frame: Frame | undefined): void {
    const slot = (of: Frame | undefined) => (of === undefined ? 0 : of.limit - of.base);
    this.memory += slot(frame) - slot(datagram.frame);
    datagram.frame = frame;
  }

  /** Gives up the oldest datagrams until the memory suffices: honest ones are complete long before they are the oldest. */
  private limit(): void {
    const most = this.options.memory ?? DEFAULT_MEMORY;
    for (const datagram of this.datagrams.values()) {
      if (this.memory <= most) return;
      this.giveUp(datagram, DropReason.FragmentMemory);
      this.forget(datagram);
    }
  }

  private giveUp(datagram: Datagram, reason: DropReason): void {
    const { frame } = datagram;
    if (frame === undefined) return;
    this.env.drops.report(reason, frame, OPERATOR);
    this.account(datagram, undefined);
    frame.release();
  }

  private forget(datagram: Datagram): void {
    this.datagrams.delete(datagram.key);
    this.memory -= OVERHEAD;
    const ofSource = this.sources.get(datagram.source);
    ofSource?.delete(datagram);
    if (ofSource?.size === 0) this.sources.delete(datagram.source);
    if (this.datagrams.size === 0) this.timer.cancel();
  }

  private expire(): void {
    const now = this.env.timers.now();
    for (const datagram of this.datagrams.values()) {
      if (datagram.deadline > now) {
        this.timer.arm(datagram.deadline);
        return;
      }
      const { frame, headerLength, firstLength } = datagram;
      if (frame !== undefined) {
        frame.end = frame.start + firstLength;
        frame.start -= headerLength;
        this.options.expired?.(headerLength > 0 ? frame : undefined);
      }
      this.giveUp(datagram, DropReason.FragmentTimeout);
      this.forget(datagram);
    }
  }
}

function wordsAt(packet: IpPacket, offset: number): string {
  const { view } = packet.frame.slab;
  let words = '';
  for (let at = 0; at < packet.addressLength; at += 4) words += `${view.getUint32(offset + at)}.`;
  return words;
}

/** Whether a fragment can be part of any packet (RFC 791 3.2), and is not one that hides TCP's flags (RFC 3128). */
function isPossible(packet: IpPacket, place: FragmentPlace): boolean {
  const { frame, protocol } = packet;
  const { length } = frame;
  if (length === 0 || (place.more && length % 8 !== 0)) return false;
  if (protocol === IpProtocol.Tcp && place.offset === 8) return false;
  return isWithinPacket(packet, place);
}

/** Length of the header that the whole packet has of a fragment: that of the first one. */
function frontOf({ frame, offset }: IpPacket, place: FragmentPlace): number {
  return place.offset > 0 ? 0 : frame.start - offset;
}

/** Whether a packet can be that long, with what its first fragment's header holds: its fragment header goes. */
function canBe(version: IpVersion, header: number, payload: number): boolean {
  return header - (version === 4 ? 0 : IPV6_HEADER + FRAGMENT_HEADER) + payload <= MAX_PACKET;
}

/** Whether the packet can be one as far as this fragment says. */
function isWithinPacket({ frame, offset, version }: IpPacket, place: FragmentPlace): boolean {
  return canBe(version, frame.start - offset, place.offset + frame.length);
}

/** Whether its fragments together say that it is longer than a packet can be. */
function isTooLong({ headerLength, length, ranges }: Datagram, packet: IpPacket, place: FragmentPlace): boolean {
  const header = Math.max(headerLength, frontOf(packet, place));
  const payload = Math.max(place.offset + packet.frame.length, length, ranges.end);
  return header > 0 && !canBe(packet.version, header, payload);
}

/** What is wrong with an IPv6 fragment, the range of its frame, of which its sender is to be told (RFC 8200 4.5, RFC 7112 5). */
export function fragmentProblem(packet: Ipv6Packet, place: FragmentPlace): ExtensionProblem | undefined {
  const { length } = packet.frame;
  const problem = (code: number, pointer: number): ExtensionProblem => {
    return { reason: DropReason.FragmentBad, action: 'parameter-problem-unless-multicast', code, pointer };
  };
  if (place.more && length % 8 !== 0) return problem(Ipv6Problem.BadField, IPV6_PAYLOAD_LENGTH);
  if (!isWithinPacket(packet, place)) return problem(Ipv6Problem.BadField, packet.fragmentHeader + FRAGMENT_OFFSET);
  if (place.offset === 0 && !holdsAllHeaders(packet)) return problem(Ipv6Problem.IncompleteChain, 0);
  return undefined;
}

function fitOf(datagram: Datagram, frame: Frame, place: FragmentPlace): Fit {
  const { ranges, length } = datagram;
  const to = place.offset + frame.length;
  // Only one fragment is the last, and nothing comes after it.
  const fitsEnd = place.more ? length < 0 || to < length : (length < 0 || length === to) && ranges.end <= to;
  if (!fitsEnd) return 'overlap';
  let same = true;
  const fit = ranges.fit(place.offset, to, (from, end) => {
    same &&= datagram.frame !== undefined && equal(datagram.frame, from, frame, from - place.offset, end - from);
  });
  return same ? fit : 'overlap';
}

/**
 * Gives the first fragment's header, at `frame.network`, the mark of any of the fragments, so that no news of congestion is lost. Returns
 * false where marks are mixed with fragments that were not to be marked (RFC 3168 5.3; Linux refuses every such mixture).
 */
function markWhole(frame: Frame, version: IpVersion, codepoints: number): boolean {
  const unmarked = 1 << Ecn.NotEct;
  if ((codepoints & unmarked) !== 0) return codepoints === unmarked;
  if ((codepoints & (1 << Ecn.Ce)) === 0) return true;
  const at = frame.network + 1;
  const { view } = frame.slab;
  // The traffic class is IPv4's second byte; in IPv6 it starts in the middle of the first.
  view.setUint8(at, view.getUint8(at) | (version === 4 ? Ecn.Ce : Ecn.Ce << 4));
  return true;
}

function equal(one: Frame, from: number, other: Frame, otherFrom: number, length: number): boolean {
  const a = one.slab.bytes;
  const b = other.slab.bytes;
  for (let i = 0; i < length; i++) {
    if (a[one.start + from + i] !== b[other.start + otherFrom + i]) return false;
  }
  return true;
}
