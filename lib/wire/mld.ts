/** Multicast listener discovery, versions 1 (RFC 2710 3) and 2 (RFC 3810 5): queries, reports and done, carried in ICMPv6. */

import { Ipv6Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import {
  decodeFloating,
  encodeFloating,
  type GroupQueryFields,
  type GroupRecord,
  type GroupAddressFormat,
  groupRecordsLength,
  readAddresses,
  readGroupRecords,
  writeGroupRecords,
} from './group-records.js';
import { Icmpv6Type } from './icmpv6.js';
import { type Ipv6Packet, isLinkLocalAt, isMulticastAt, isUnspecifiedAt, readIpv6 } from './ipv6.js';

const MAXIMUM_RESPONSE = 4;
const RECORD_COUNT = 6;
const GROUP = 8;
const RECORDS = 8;
const FLAGS = 24;
const INTERVAL = 25;
const SOURCE_COUNT = 26;
const SOURCES = 28;
const MLD1_LENGTH = 24;
const RECORD_HEADER = 20;
/** Where version 2 reports go: ff02::16 (RFC 3810 5.2.14). */
export const MLD2_ROUTERS: Ipv6Address = new Ipv6Address(0xff02_0000, 0, 0, 0x16);

const FORMAT: GroupAddressFormat<Ipv6Address> = { length: 16, read: readIpv6 };

/** A listener discovery message, read in place. Sound once {@link MldMessage.check} has found nothing wrong. */
export class MldMessage {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /**
   * What is wrong with the message that `packet` carries, or `undefined` (RFC 2710 3, RFC 3810 5.1.14, 6.2). It is one of the four types,
   * `Icmpv6Message.check` has found nothing wrong, and the extension headers were walked.
   */
  static check(packet: Ipv6Packet): DropReason | undefined {
    const { frame, sourceOffset } = packet;
    const { view } = frame.slab;
    const type = view.getUint8(frame.start);
    const query = type === Icmpv6Type.ListenerQuery;
    // RFC 3590: a report may come from a host that has no address yet, a query may not.
    const linkLocal = isLinkLocalAt(view, sourceOffset) || (!query && isUnspecifiedAt(view, sourceOffset));
    if (packet.hopLimit !== 1 || packet.routerAlert < 0 || !linkLocal) return DropReason.MldBadHeader;
    if (type === Icmpv6Type.ListenerReport2) return checkRecords(view, frame.start, frame.end);
    const length = frame.end - frame.start;
    if (length < MLD1_LENGTH) return DropReason.MldTruncated;
    if (query && length > MLD1_LENGTH) {
      // RFC 3810 8.1: 24 bytes are version 1, 28 and more version 2, any other length is silently discarded.
      if (length < SOURCES) return DropReason.MldTruncated;
      if (length < SOURCES + view.getUint16(frame.start + SOURCE_COUNT) * 16) return DropReason.MldTruncated;
    }
    const general = query && isUnspecifiedAt(view, frame.start + GROUP);
    return general || isMulticastAt(view, frame.start + GROUP) ? undefined : DropReason.MldBadGroup;
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset);
  }
}

/** A query of either version. */
export class MldQuery extends MldMessage implements GroupQueryFields<Ipv6Address> {
  /** Fills the empty frame with a query of `version`. `pushIcmpv6Headers` completes it. */
  static emit(frame: Frame, version: 1 | 2, fields: GroupQueryFields<Ipv6Address>): void {
    const sources = fields.sources ?? [];
    const size = version === 1 ? MLD1_LENGTH : SOURCES + sources.length * 16;
    const at = begin(frame, Icmpv6Type.ListenerQuery, size);
    const { view } = frame.slab;
    const { maximumResponse } = fields;
    view.setUint16(
      at + MAXIMUM_RESPONSE,
      version === 1 ? Math.min(maximumResponse, 0xffff) : encodeFloating(maximumResponse, 12),
    );
    (fields.group ?? Ipv6Address.ANY).write(view, at + GROUP);
    if (version === 1) return;
    view.setUint8(at + FLAGS, (fields.suppress === true ? 8 : 0) | ((fields.robustness ?? 0) & 7));
    view.setUint8(at + INTERVAL, encodeFloating((fields.interval ?? 0) / 1000, 4));
    view.setUint16(at + SOURCE_COUNT, sources.length);
    sources.forEach((source, index) => source.write(view, at + SOURCES + index * FORMAT.length));
  }

  get version(): 1 | 2 {
    return this.frame.end - this.offset === MLD1_LENGTH ? 1 : 2;
  }
  /** In milliseconds. */
  get maximumResponse(): number {
    const code = this.frame.slab.view.getUint16(this.offset + MAXIMUM_RESPONSE);
    return this.version === 1 ? code : decodeFloating(code, 12);
  }
  /** The group asked for; :: in a general query. */
  get group(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + GROUP);
  }
  get isGeneral(): boolean {
    return isUnspecifiedAt(this.frame.slab.view, this.offset + GROUP);
  }
  get suppress(): boolean {
    return this.version === 2 && (this.frame.slab.view.getUint8(this.offset + FLAGS) & 8) !== 0;
  }
  get robustness(): number {
    return this.version === 1 ? 0 : this.frame.slab.view.getUint8(this.offset + FLAGS) & 7;
  }
  /** In milliseconds; 0 in version 1. */
  get interval(): number {
    return this.version === 1 ? 0 : decodeFloating(this.frame.slab.view.getUint8(this.offset + INTERVAL), 4) * 1000;
  }
  get sources(): readonly Ipv6Address[] {
    const { view } = this.frame.slab;
    return this.version === 1
      ? []
      : readAddresses(view, this.offset + SOURCES, view.getUint16(this.offset + SOURCE_COUNT), FORMAT);
  }
}

/** A report or done of version 1. */
export class MldReport extends MldMessage {
  /** Fills the empty frame with a report, or a done, of `group`. `pushIcmpv6Headers` completes it. */
  static emit(frame: Frame, group: Ipv6Address, done = false): void {
    const at = begin(frame, done ? Icmpv6Type.ListenerDone : Icmpv6Type.ListenerReport, MLD1_LENGTH);
    group.write(frame.slab.view, at + GROUP);
  }

  get group(): Ipv6Address {
    return readIpv6(this.frame.slab.view, this.offset + GROUP);
  }
}

/** A report of version 2. */
export class MldReport2 extends MldMessage {
  /** Fills the empty frame with a report. `pushIcmpv6Headers` completes it. */
  static emit(frame: Frame, records: readonly GroupRecord<Ipv6Address>[]): void {
    const at = begin(frame, Icmpv6Type.ListenerReport2, RECORDS + groupRecordsLength(records, FORMAT.length));
    const { view } = frame.slab;
    view.setUint16(at + RECORD_COUNT, records.length);
    writeGroupRecords(view, at + RECORDS, records, FORMAT.length);
  }

  get recordCount(): number {
    return this.frame.slab.view.getUint16(this.offset + RECORD_COUNT);
  }

  /** The records, without their auxiliary data. */
  records(): GroupRecord<Ipv6Address>[] {
    return readGroupRecords(this.frame.slab.view, this.offset + RECORDS, this.recordCount, FORMAT);
  }
}

function begin(frame: Frame, type: number, size: number): number {
  const at = frame.put(size);
  frame.slab.bytes.fill(0, at, at + size);
  frame.slab.view.setUint8(at, type);
  return at;
}

function checkRecords(view: DataView, from: number, end: number): DropReason | undefined {
  const count = view.getUint16(from + RECORD_COUNT);
  let at = from + RECORDS;
  for (let i = 0; i < count; i++) {
    if (end - at < RECORD_HEADER) return DropReason.MldTruncated;
    if (!isMulticastAt(view, at + 4)) return DropReason.MldBadGroup;
    at += RECORD_HEADER + view.getUint16(at + 2) * 16 + view.getUint8(at + 1) * 4;
    if (at > end) return DropReason.MldTruncated;
  }
  return undefined;
}
