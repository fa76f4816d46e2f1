/**
 * What a bystander knows of a connection of TCP, kept in the ten words that a flow's record has for its protocol. The variables are those of van
 * Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), and what is acknowledged.
 */

import type { FlowRecords } from './flow-records.js';

// Words of a record: four for each side, one for all flags, and one for a SYN that passed.
const SIDE_WORDS = 4;
const FLAGS = 2 * SIDE_WORDS;
const RESTART = FLAGS + 1;
// Of the flags: two scales of four bits, then each side's, then the flow's.
const SCALE_BITS = 4;
const SIDE_FLAGS = 8;
const FLOW_FLAGS = 24;
const MID_STREAM = 1;
const RESET = 2;

/** Flags of a side. */
export const SideFlag = {
  /** Its SYN was seen; in the middle of a stream, any segment. */
  Seen: 1,
  /** The other side has acknowledged it. */
  Acknowledged: 2,
  /** Its FIN was seen: it ends with `end`. */
  Finished: 4,
  /** Its SYN offered window scaling. */
  Scales: 8,
  /** It was not seen, but has sent an acknowledgment of something else, which is in `acked`: the rest of an earlier connection. */
  Disagrees: 16,
  /** It has sent the SYN of another connection, see {@link TcpFlow.restart}. */
  Restarts: 32,
} as const;

/** Where a connection is in its life, as a bystander sees it. */
export type TcpPhase =
  | 'syn-sent'
  | 'syn-received'
  | 'established'
  | 'mid-stream'
  | 'half-closed'
  | 'closing'
  | 'time-wait'
  | 'reset';

/** One end of a connection. Sequence numbers are its own; signed, like all such in this stack. */
export class TcpSide {
  /** Behind the last that it has sent. */
  end = 0;
  /** Behind the last that it may send. */
  maxEnd = 0;
  /** The largest window that it has offered, in bytes, at least 1. */
  maxWindow = 0;
  /** Up to here the other side has acknowledged it; at first its initial sequence number. */
  acked = 0;
  /** By how many bits its windows are shifted, if both scale. */
  scale = 0;
  /** Bits of {@link SideFlag}. */
  flags = 0;

  is(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** Its FIN is acknowledged. */
  get isOver(): boolean {
    return this.is(SideFlag.Finished) && this.acked === this.end;
  }
}

/** A connection: one object that records are loaded into, one after the other. */
export class TcpFlow {
  /** Who sent the first segment that was seen. */
  readonly opener: TcpSide = new TcpSide();
  readonly other: TcpSide = new TcpSide();
  /** Its SYNs were not seen, so that its windows are not known. */
  midStream = false;
  reset = false;
  /** Behind the last SYN that passed, by a side that has forgotten this connection: the number that an answer to it acknowledges. */
  restart = 0;

  load(records: FlowRecords, slot: number): void {
    const flags = records.protocolAt(slot, FLAGS);
    loadSide(this.opener, records, slot, 0, flags);
    loadSide(this.other, records, slot, 1, flags);
    this.midStream = ((flags >>> FLOW_FLAGS) & MID_STREAM) !== 0;
    this.reset = ((flags >>> FLOW_FLAGS) & RESET) !== 0;
    this.restart = records.protocolAt(slot, RESTART);
  }

  store(records: FlowRecords, slot: number): void {
    const { opener, other } = this;
    storeSide(opener, records, slot, 0);
    storeSide(other, records, slot, 1);
    const flow = (this.midStream ? MID_STREAM : 0) | (this.reset ? RESET : 0);
    const sides = (other.flags << SIDE_FLAGS) | opener.flags;
    const scales = (other.scale << SCALE_BITS) | opener.scale;
    records.setProtocolAt(slot, FLAGS, (flow << FLOW_FLAGS) | (sides << SIDE_FLAGS) | scales);
    records.setProtocolAt(slot, RESTART, this.restart);
  }

  /** Both SYNs offered to scale windows. */
  get scales(): boolean {
    return (this.opener.flags & this.other.flags & SideFlag.Scales) !== 0;
  }

  /** Both SYNs were acknowledged. */
  get isOpen(): boolean {
    return (this.opener.flags & this.other.flags & SideFlag.Acknowledged) !== 0;
  }

  /** At least one side has ended its stream. */
  get isClosing(): boolean {
    return ((this.opener.flags | this.other.flags) & SideFlag.Finished) !== 0;
  }

  /** Both sides have ended their streams. */
  get isClosed(): boolean {
    return (this.opener.flags & this.other.flags & SideFlag.Finished) !== 0;
  }

  /** Both ends have shown that they are there. */
  get isMutual(): boolean {
    return this.midStream ? this.other.is(SideFlag.Seen) : this.isOpen;
  }

  /** Nothing but stragglers is to be expected. */
  get isOver(): boolean {
    return this.reset || (this.opener.isOver && this.other.isOver);
  }

  /** Something was sent that is not acknowledged. */
  get owes(): boolean {
    return this.opener.end !== this.opener.acked || this.other.end !== this.other.acked;
  }

  get phase(): TcpPhase {
    if (this.reset) return 'reset';
    if (this.isOver) return 'time-wait';
    if (this.isClosing) return this.isClosed ? 'closing' : 'half-closed';
    if (this.midStream) return 'mid-stream';
    if (this.isOpen) return 'established';
    return this.other.is(SideFlag.Seen) ? 'syn-received' : 'syn-sent';
  }
}

function loadSide(side: TcpSide, records: FlowRecords, slot: number, index: 0 | 1, flags: number): void {
  const from = index * SIDE_WORDS;
  side.end = records.protocolAt(slot, from);
  side.maxEnd = records.protocolAt(slot, from + 1);
  side.maxWindow = records.protocolAt(slot, from + 2);
  side.acked = records.protocolAt(slot, from + 3);
  side.scale = (flags >>> (index * SCALE_BITS)) & 0xf;
  side.flags = (flags >>> (SIDE_FLAGS * (1 + index))) & 0xff;
}

function storeSide(side: TcpSide, records: FlowRecords, slot: number, index: 0 | 1): void {
  const from = index * SIDE_WORDS;
  records.setProtocolAt(slot, from, side.end);
  records.setProtocolAt(slot, from + 1, side.maxEnd);
  records.setProtocolAt(slot, from + 2, side.maxWindow);
  records.setProtocolAt(slot, from + 3, side.acked);
}
