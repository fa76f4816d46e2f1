/** IGMP, versions 1 (RFC 1112 appendix I), 2 (RFC 2236 2) and 3 (RFC 3376 4): queries, reports and leave, carried in IPv4. */

import { Ipv4Address } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import type { Frame } from '../core/frame.js';
import { complement, sum16 } from './checksum.js';
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
import { type Ipv4Option, Ipv4OptionType } from './ipv4.js';

const TYPE = 0;
const MAXIMUM_RESPONSE = 1;
const CHECKSUM = 2;
const GROUP = 4;
const RECORD_COUNT = 6;
const FLAGS = 8;
const RECORDS = 8;
const INTERVAL = 9;
const SOURCE_COUNT = 10;
const SOURCES = 12;
const RECORD_HEADER = 8;
/** Bytes of every message but those of version 3. */
export const IGMP_HEADER = 8;
/** Where version 3 reports go: 224.0.0.22 (RFC 3376 4.2.14). */
export const IGMP3_ROUTERS: Ipv4Address = new Ipv4Address(0xe000_0016);
/** The IP option that every message but those of version 1 has (RFC 2113). */
export const IGMP_ROUTER_ALERT: Ipv4Option = { type: Ipv4OptionType.RouterAlert, data: new Uint8Array(2) };
// RFC 2236 4: a version 1 query means 10 seconds.
const IGMP1_RESPONSE = 10_000;

/** Message types (IANA). */
export const IgmpType = { Query: 0x11, Report1: 0x12, Report2: 0x16, Leave: 0x17, Report3: 0x22 } as const;

const FORMAT: GroupAddressFormat<Ipv4Address> = { length: 4, read: (view, at) => new Ipv4Address(view.getUint32(at)) };

/** An IGMP message, read in place. Sound once {@link IgmpMessage.check} has found nothing wrong. */
export class IgmpMessage {
  readonly frame: Frame;
  readonly offset: number;

  constructor(frame: Frame, offset: number) {
    this.frame = frame;
    this.offset = offset;
  }

  /** What is wrong with the message that fills the frame from `offset`, or `undefined`. */
  static check(frame: Frame, offset: number): DropReason | undefined {
    const { view } = frame.slab;
    const length = frame.end - offset;
    if (length < IGMP_HEADER) return DropReason.IgmpTruncated;
    if (sum16(view, offset, frame.end) !== 0xffff) return DropReason.IgmpBadChecksum;
    switch (view.getUint8(offset + TYPE)) {
      case IgmpType.Query:
        return checkQuery(view, offset, length);
      case IgmpType.Report1:
      case IgmpType.Report2:
      case IgmpType.Leave:
        return isGroupAt(view, offset + GROUP) ? undefined : DropReason.IgmpBadGroup;
      case IgmpType.Report3:
        return checkRecords(view, offset, frame.end);
      default:
        return DropReason.IgmpUnknownType;
    }
  }

  get type(): number {
    return this.frame.slab.view.getUint8(this.offset + TYPE);
  }
  /** The group as a number; 0 in a general query. In version 3 reports it means nothing. */
  get groupValue(): number {
    return this.frame.slab.view.getUint32(this.offset + GROUP);
  }
  /** The group; 0.0.0.0 in a general query. */
  get group(): Ipv4Address {
    return new Ipv4Address(this.groupValue);
  }
}

/** A query of any version. */
export class IgmpQuery extends IgmpMessage implements GroupQueryFields<Ipv4Address> {
  /** Fills the empty frame with a query of `version`. */
  static emit(frame: Frame, version: 1 | 2 | 3, fields: GroupQueryFields<Ipv4Address>): void {
    const sources = fields.sources ?? [];
    const at = begin(frame, IgmpType.Query, version === 3 ? SOURCES + sources.length * 4 : IGMP_HEADER);
    const { view } = frame.slab;
    const tenths = Math.floor(fields.maximumResponse / 100);
    // A code of 0 would make it a version 1 query.
    if (version === 2) view.setUint8(at + MAXIMUM_RESPONSE, Math.max(1, Math.min(tenths, 0xff)));
    if (version === 3) view.setUint8(at + MAXIMUM_RESPONSE, encodeFloating(tenths, 4));
    view.setUint32(at + GROUP, fields.group?.value ?? 0);
    if (version === 3) {
      view.setUint8(at + FLAGS, (fields.suppress === true ? 8 : 0) | ((fields.robustness ?? 0) & 7));
      view.setUint8(at + INTERVAL, encodeFloating((fields.interval ?? 0) / 1000, 4));
      view.setUint16(at + SOURCE_COUNT, sources.length);
      sources.forEach((source, index) => source.write(view, at + SOURCES + index * FORMAT.length));
    }
    seal(frame);
  }

  /** By its length, and in the short ones by whether it states a response time (RFC 3376 7.1). */
  get version(): 1 | 2 | 3 {
    if (this.frame.end - this.offset >= SOURCES) return 3;
    return this.frame.slab.view.getUint8(this.offset + MAXIMUM_RESPONSE) === 0 ? 1 : 2;
  }
  /** In milliseconds. */
  get maximumResponse(): number {
    const code = this.frame.slab.view.getUint8(this.offset + MAXIMUM_RESPONSE);
    const { version } = this;
    return version === 1 ? IGMP1_RESPONSE : (version === 2 ? code : decodeFloating(code, 4)) * 100;
  }
  get isGeneral(): boolean {
    return this.groupValue === 0;
  }
  get suppress(): boolean {
    return this.version === 3 && (this.frame.slab.view.getUint8(this.offset + FLAGS) & 8) !== 0;
  }
  get robustness(): number {
    return this.version === 3 ? this.frame.slab.view.getUint8(this.offset + FLAGS) & 7 : 0;
  }
  /** In milliseconds; 0 in versions 1 and 2. */
  get interval(): number {
    return this.version === 3 ? decodeFloating(this.frame.slab.view.getUint8(this.offset + INTERVAL), 4) * 1000 : 0;
  }
  get sources(): readonly Ipv4Address[] {
    const { view } = this.frame.slab;
    return this.version === 3
      ? readAddresses(view, this.offset + SOURCES, view.getUint16(this.offset + SOURCE_COUNT), FORMAT)
      : [];
  }
}

/** A report or leave of version 1 or 2. */
export class IgmpReport extends IgmpMessage {
  /** Fills the empty frame with a report or a leave of `group`. */
  static emit(
    frame: Frame,
    type: typeof IgmpType.Report1 | typeof IgmpType.Report2 | typeof IgmpType.Leave,
    group: Ipv4Address,
  ): void {
    const at = begin(frame, type, IGMP_HEADER);
    group.write(frame.slab.view, at + GROUP);
    seal(frame);
  }
}

/** A report of version 3. */
export class IgmpReport3 extends IgmpMessage {
  /** Fills the empty frame with a report. */
  static emit(frame: Frame, records: readonly GroupRecord<Ipv4Address>[]): void {
    const at = begin(frame, IgmpType.Report3, RECORDS + groupRecordsLength(records, FORMAT.length));
    const { view } = frame.slab;
    view.setUint16(at + RECORD_COUNT, records.length);
    writeGroupRecords(view, at + RECORDS, records, FORMAT.length);
    seal(frame);
  }

  get recordCount(): number {
    return this.frame.slab.view.getUint16(this.offset + RECORD_COUNT);
  }

  /** The records, without their auxiliary data. */
  records(): GroupRecord<Ipv4Address>[] {
    return readGroupRecords(this.frame.slab.view, this.offset + RECORDS, this.recordCount, FORMAT);
  }
}

function begin(frame: Frame, type: number, size: number): number {
  const at = frame.put(size);
  frame.slab.bytes.fill(0, at, at + size);
  frame.slab.view.setUint8(at + TYPE, type);
  return at;
}

function seal(frame: Frame): void {
  const { view } = frame.slab;
  view.setUint16(frame.start + CHECKSUM, complement(sum16(view, frame.start, frame.end)));
}

function isGroupAt(view: DataView, at: number): boolean {
  return view.getUint8(at) >>> 4 === 14;
}

function checkQuery(view: DataView, offset: number, length: number): DropReason | undefined {
  if (length > IGMP_HEADER) {
    // RFC 3376 7.1: 8 bytes are version 1 or 2, 12 and more version 3, any other length is silently ignored.
    if (length < SOURCES) return DropReason.IgmpTruncated;
    if (length < SOURCES + view.getUint16(offset + SOURCE_COUNT) * 4) return DropReason.IgmpTruncated;
  }
  const general = view.getUint32(offset + GROUP) === 0;
  return general || isGroupAt(view, offset + GROUP) ? undefined : DropReason.IgmpBadGroup;
}

function checkRecords(view: DataView, from: number, end: number): DropReason | undefined {
  const count = view.getUint16(from + RECORD_COUNT);
  let at = from + RECORDS;
  for (let i = 0; i < count; i++) {
    if (end - at < RECORD_HEADER) return DropReason.IgmpTruncated;
    if (!isGroupAt(view, at + 4)) return DropReason.IgmpBadGroup;
    at += RECORD_HEADER + (view.getUint16(at + 2) + view.getUint8(at + 1)) * 4;
    if (at > end) return DropReason.IgmpTruncated;
  }
  return undefined;
}
