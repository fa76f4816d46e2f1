/**
 * Accurate ECN (RFC 9768): the receiver says not only that packets were marked, but how many. The three bits that negotiated it become a
 * counter of marked packets, modulo eight; an option counts the bytes of data by their mark.
 *
 * A host that agreed to it counts what it receives to the end, whatever happens on the path; whether it marks its own packets, and heeds
 * what it is told of them, is decided anew where bits or options were seen to be tampered with.
 */

import { accurateLength } from '../../wire/accurate-ecn-option.js';
import { Ecn as Codepoint } from '../../wire/ip.js';
import { TcpFlag } from '../../wire/tcp.js';
import { TcpOptionKind, type TcpOptions } from '../../wire/tcp-options.js';
import type { Segment } from './segment.js';
import { after, before } from './seq.js';

/** The three bits as they stand in the flags of a segment: the counter, or in the handshake what was asked for or seen. */
const ACE_SHIFT = 6;
const ACE_MASK = 7;
/** RFC 9768 3.1.1: what a SYN asks with; RFC 3168 6.1.1: what it asked with before, and what a SYN-ACK answers to that. */
export const ACE_ASK = 7;
export const ACE_CLASSIC = 3;
export const ACE_CLASSIC_ANSWER = 1;
/** Table 2 and Table 3: which mark was seen on the SYN, or the SYN-ACK; by codepoint. */
const SEEN = [2, 3, 4, 6] as const;
// RFC 9768 3.2.3.3: each counter is to be told once in so many bytes.
const MOST_UNREPORTED = 1 << 22;
/** Options a round trip while only the same counter grows (as with Linux). */
const BEACON = 3;
/** Duplicates of what was acknowledged with the option, without anything new: the path drops it (RFC 9768 3.2.3.2.2). */
const MOST_DUPLICATES = 3;
// RFC 9768 3.2.2.5.1: so many marks are acknowledged at once, where there are data to acknowledge, and where there are none.
const MOST_PENDING = 2;
const MOST_PENDING_WITHOUT_DATA = 3;
// So many marks bring the counter from five to zero (RFC 9768 3.2.2.4).
const FEWEST_TO_ZERO = 3;
const FIELD_MASK = 0xff_ffff;
const FIELD_HALF = 0x80_0000;
// RFC 9768 A.2: marked segments are not on average smaller than this part of the MSS.
const SAFETY_FACTOR = 2;

/** The three bits of a segment's flags. */
export function aceOf(flags: number): number {
  return (flags >>> ACE_SHIFT) & ACE_MASK;
}

/** A number of three bits as flags of a segment. */
export function aceFlags(ace: number): number {
  return (ace & ACE_MASK) << ACE_SHIFT;
}

/** The bits that say which mark was on the SYN or SYN-ACK. */
export function seenFlags(codepoint: number): number {
  return aceFlags(SEEN[codepoint] ?? 0);
}

/** Whether a SYN asks for accurate ECN, or for something that is to be answered as if it did (RFC 9768 3.1.3). */
export function asksAccurately(ace: number): boolean {
  return ace !== 0 && ace !== ACE_CLASSIC;
}

/** r.cep and s.cep begin with it. */
const INITIAL_CE = 5;

/** The counters of one direction (RFC 9768 3.2.1): packets with CE, and bytes of data by mark. They begin as they do so that zeros show. */
export class MarkCounters {
  ce: number = INITIAL_CE;
  ceBytes = 0;
  ect0Bytes = 1;
  ect1Bytes = 1;

  /** Counts the data of one packet. */
  add(codepoint: number, bytes: number): void {
    if (codepoint === Codepoint.Ect0) this.ect0Bytes += bytes;
    else if (codepoint === Codepoint.Ect1) this.ect1Bytes += bytes;
    else if (codepoint === Codepoint.Ce) this.ceBytes += bytes;
  }
}

/** When the option is sent: never, when it has news that should not be late, with every segment that has room. */
export type OptionPolicy = (typeof OPTION_POLICIES)[number];
export const OPTION_POLICIES = ['off', 'sparing', 'full'] as const;

/** Accurate ECN of one connection. */
export class AccurateEcn {
  /** Of what we receive: r.cep, r.ceb, r.e0b, r.e1b. */
  readonly received: MarkCounters = new MarkCounters();
  /** Of what we sent, as the peer tells: s.cep, s.ceb, s.e0b, s.e1b. */
  readonly sent: MarkCounters = new MarkCounters();
  /** The mark on the latest SYN or SYN-ACK of the peer's. */
  handshakeMark: number;
  /** The next pure ACK says which mark the SYN-ACK had. */
  answersSynAck = false;
  /** Bytes that every segment has room for, besides its data. */
  reserved = 0;
  private synAckCounted = false;
  private readonly policy: OptionPolicy;
  /** Feedback is heeded. */
  heeds = true;
  /** The option may go out: nothing says that the path drops it. */
  sendsOptions = true;
  /** Acknowledgments that are to have the option. */
  demand = 1;
  /** The option came through with data. */
  private proven = false;
  private optionEnd = 0;
  private optionSent = false;
  /** Bytes that were counted since the option was sent last, and when and with what that was. */
  private unreported = 0;
  private optionAt: number = Number.NEGATIVE_INFINITY;
  private readonly reported: MarkCounters = new MarkCounters();
  private duplicates = 0;
  /** The option is not believed: it came with zeros where there can be none. */
  private ignoresOptions = false;
  private optionSeen = false;
  /** The mark of the packet before, and marks since our last acknowledgment. */
  private lastMark: number = Codepoint.NotEct;
  private pending = 0;
  /** The segment under inspection has told its news of marks in the handshake. */
  private told = false;
  private heard = false;
  private lastTimestamp = 0;
  private timed = false;
  /** Somebody on the path changes the bits: our packets go without marks. */
  mangled = false;

  /** @param codepoint the mark on the peer's SYN or SYN-ACK */
  constructor(codepoint: number, policy: OptionPolicy) {
    this.handshakeMark = codepoint;
    this.policy = policy;
    this.sendsOptions = policy !== 'off';
  }

  /** The connection is established: segments have room for the option from now on if all are to have it. */
  reserve(): void {
    if (this.sendsOptions && this.policy === 'full') this.reserved = accurateLength(3);
  }

  /** A SYN-ACK confirmed it; returns whether our SYN was marked on its way. @param ace the answer */
  confirmed(ace: number, segment: Segment): boolean {
    this.demand = 2;
    this.answer(segment.codepoint);
    if (ace !== SEEN[Codepoint.NotEct] && (SEEN as readonly number[]).includes(ace)) this.mangled = true;
    this.readOption(segment.options);
    return ace === SEEN[Codepoint.Ce];
  }

  /** A SYN-ACK came that is to be acknowledged, perhaps again. A mark on it counts once (RFC 9768 3.2.2.2). */
  answer(codepoint: number): void {
    this.answersSynAck = true;
    this.handshakeMark = codepoint;
    if (codepoint !== Codepoint.Ce || this.synAckCounted) return;
    this.synAckCounted = true;
    this.received.ce++;
  }

  /** The same where both opened at once; the bits of that segment are no counter. */
  answerSimultaneous(codepoint: number): void {
    this.answer(codepoint);
    this.told = true;
  }

  /** An ACK of our SYN-ACK came; returns whether that was marked (RFC 9768 Table 4). The counter begins with the next segment. */
  synAckAcknowledged(ace: number): boolean {
    if (this.told) return false;
    this.told = true;
    if (ace === 0) this.heeds = false;
    // Our SYN-ACK was not marked; ones, fives and sevens have no meaning yet.
    if (ace === 0 || (ace !== SEEN[Codepoint.NotEct] && (SEEN as readonly number[]).includes(ace))) this.mangled = true;
    if (ace !== SEEN[Codepoint.Ce]) return false;
    this.sent.ce++;
    return true;
  }

  /** Whether the counter sets the bit that is CWR elsewhere. */
  get setsCwr(): boolean {
    return (aceFlags(this.received.ce) & TcpFlag.Cwr) !== 0;
  }

  /** The counter, in the flags of the next segment. @param bare whether it is an ACK without data and SACK blocks */
  flags(bare: boolean): number {
    this.pending = 0;
    if (!bare || !this.answersSynAck) return aceFlags(this.received.ce);
    this.answersSynAck = false;
    return seenFlags(this.handshakeMark);
  }

  /**
   * An acceptable segment has come. Returns whether it is to be acknowledged at once (RFC 9768 3.2.2.5.1).
   *
   * @param owing whether there are data that are not acknowledged
   * @param packets how many packets of the wire came as this one
   */
  arrived(codepoint: number, bytes: number, owing: boolean, packets = 1): boolean {
    const edge = codepoint !== this.lastMark;
    this.lastMark = codepoint;
    if (bytes > 0) this.duplicates = 0;
    if (codepoint === Codepoint.NotEct) return false;
    if (bytes > 0) this.count(codepoint, bytes, edge);
    if (codepoint !== Codepoint.Ce) return false;
    this.received.ce += packets;
    this.pending += packets;
    if (edge && bytes > 0) return true;
    return this.pending >= (owing || bytes > 0 ? MOST_PENDING : MOST_PENDING_WITHOUT_DATA);
  }

  private count(codepoint: number, bytes: number, edge: boolean): void {
    this.received.add(codepoint, bytes);
    this.unreported += bytes;
    // Another counter grows: told with this acknowledgment and with the next. Marks are always told.
    const least = edge ? 2 : codepoint === Codepoint.Ce || this.unreported >= MOST_UNREPORTED ? 1 : 0;
    if (this.demand < least) this.demand = least;
  }

  /** Whether the next segment is to have the option. @param srtt the round-trip time, in ms */
  wantsOption(now: number, srtt: number): boolean {
    if (!this.sendsOptions) return false;
    return this.policy === 'full' || this.demand > 0 || (this.unreported > 0 && (now - this.optionAt) * BEACON >= srtt);
  }

  /** Puts the option among others, as much of it as goes into `room` bytes; returns whether it did. */
  addOption(options: TcpOptions, room: number, now: number): boolean {
    const { received, reported } = this;
    const { accurateEcn: option } = options;
    if (room >= accurateLength(3)) this.fill(option, TcpOptionKind.AccurateEcn1, 3);
    else {
      // What has changed must be there, or nothing (RFC 9768 3.2.3.3).
      const ect1 = received.ect1Bytes !== reported.ect1Bytes;
      if (ect1 && received.ect0Bytes !== reported.ect0Bytes) return false;
      const count = received.ceBytes !== reported.ceBytes ? 2 : 1;
      if (room < accurateLength(count)) return false;
      this.fill(option, ect1 ? TcpOptionKind.AccurateEcn1 : TcpOptionKind.AccurateEcn0, count);
    }
    this.optionAt = now;
    this.unreported = 0;
    if (this.demand > 0) this.demand--;
    Object.assign(reported, received);
    return true;
  }

  private fill(option: TcpOptions['accurateEcn'], kind: number, count: number): void {
    const { ect0Bytes, ceBytes, ect1Bytes } = this.received;
    const ect1First = kind === TcpOptionKind.AccurateEcn1;
    option.kind = kind;
    option.count = count;
    option.fields[0] = (ect1First ? ect1Bytes : ect0Bytes) & FIELD_MASK;
    option.fields[1] = ceBytes & FIELD_MASK;
    option.fields[2] = (ect1First ? ect0Bytes : ect1Bytes) & FIELD_MASK;
  }

  /** Data up to `end` went out with the option. */
  sentWithData(end: number): void {
    if (this.proven || this.optionSent) return;
    this.optionSent = true;
    this.optionEnd = end;
  }

  /** Data from `seq` on were sent again: if they had the option, and nothing that had it came through, they go without. */
  resent(seq: number): void {
    if (!this.proven && this.optionSent && before(seq, this.optionEnd)) this.sendsOptions = false;
  }

  /** What was acknowledged with the option came again, and nothing new in between. */
  duplicated(): void {
    if (++this.duplicates >= MOST_DUPLICATES && this.optionAt > Number.NEGATIVE_INFINITY) this.sendsOptions = false;
  }

  /**
   * An acknowledgment came and was processed: how many packets of ours it reports as marked that were not reported before.
   *
   * @param advance how far SND.UNA moved @param packets how many packets were newly delivered, selectively or not
   */
  feedback(segment: Segment, una: number, advance: number, packets: number, mss: number): number {
    const { told, sent } = this;
    this.told = false;
    if (this.optionSent && !this.proven && !before(una, this.optionEnd)) this.proven = true;
    if (!this.isNews(segment.options, advance, packets) && !told) return 0;
    const { ceBytes } = sent;
    const hasBytes = this.readOption(segment.options);
    if (told) return 0;
    const ace = aceOf(segment.flags);
    if (!this.heard && ace === 0 && packets < FEWEST_TO_ZERO) {
      this.heeds = false;
      this.mangled = true;
    }
    this.heard = true;
    const least = (ace - sent.ce) & ACE_MASK;
    const marked = packets <= ACE_MASK ? least : safest(least, packets, hasBytes ? sent.ceBytes - ceBytes : -1, mss);
    sent.ce += marked;
    // RFC 9768 3.2.3.2.5: bytes were marked, but no packet.
    if (sent.ceBytes > 0 && sent.ce === INITIAL_CE) this.mangled = true;
    return marked;
  }

  /** Whether no later acknowledgment came before this one (RFC 9768 A.1). What delivered nothing shows it by a later timestamp only. */
  private isNews(options: TcpOptions, advance: number, packets: number): boolean {
    const { hasTimestamps } = options;
    const value = options.timestampValue | 0;
    const later = hasTimestamps && (!this.timed || after(value, this.lastTimestamp));
    if (later) {
      this.timed = true;
      this.lastTimestamp = value;
    }
    return advance > 0 || packets > 0 || later;
  }

  /** Takes in the bytes that the option tells; returns whether those with CE are among them. */
  private readOption({ accurateEcn: option }: TcpOptions): boolean {
    if (option.kind === 0 || this.ignoresOptions) return false;
    const { sent } = this;
    const [first = 0, ce = 0, last = 0] = option.fields;
    const ect1First = option.kind === TcpOptionKind.AccurateEcn1;
    // RFC 9768 3.2.3.2.4: no counter of a codepoint begins with zero.
    if (!this.optionSeen && ((option.count > 0 && first === 0) || (option.count > 2 && last === 0))) {
      this.ignoresOptions = true;
      return false;
    }
    this.optionSeen = true;
    if (option.count > 0) {
      if (ect1First) sent.ect1Bytes = advanced(sent.ect1Bytes, first);
      else sent.ect0Bytes = advanced(sent.ect0Bytes, first);
    }
    if (option.count > 1) sent.ceBytes = advanced(sent.ceBytes, ce);
    if (option.count > 2) {
      if (ect1First) sent.ect0Bytes = advanced(sent.ect0Bytes, last);
      else sent.ect1Bytes = advanced(sent.ect1Bytes, last);
    }
    return option.count > 1;
  }
}

/** The counter whose low 24 bits are `field`: the next one from `counter` on, unless that is behind it. */
function advanced(counter: number, field: number): number {
  const delta = (field - counter) & FIELD_MASK;
  return delta < FIELD_HALF ? counter + delta : counter;
}

/**
 * How many packets were marked, if the counter may have wrapped (RFC 9768 A.2): the most that it can be, unless the bytes say that it
 * was fewer.
 *
 * @param least what the counter says, modulo eight @param bytes with CE that the option told newly, or -1
 */
function safest(least: number, packets: number, bytes: number, mss: number): number {
  const most = packets - ((packets - least) & ACE_MASK);
  if (bytes < 0) return most;
  if (bytes > least * mss) return most;
  return bytes * SAFETY_FACTOR < most * mss ? least : most;
}
