/**
 * DNS messages (RFC 1035 4, with AAAA of RFC 3596, SRV of RFC 2782, EDNS0 of RFC 6891), read whole and written from plain values: they
 * belong to the control plane. Records of other types keep their bytes (RFC 3597). Left out: DNSSEC validation, dynamic update.
 */

import { type IpAddress, Ipv4Address, Ipv6Address } from '../core/address.js';
import { badMessage, NameWriter, readName, type ReadName } from './dns-name.js';

export const DNS_HEADER = 12;

/** Types of records (IANA). */
export const DnsType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const;

/** The only class in use. */
export const DNS_INTERNET = 1;

/** Response codes (RFC 1035 4.1.1, RFC 6891 9). */
export const DnsRcode = {
  NoError: 0,
  FormatError: 1,
  ServerFailure: 2,
  NameError: 3,
  NotImplemented: 4,
  Refused: 5,
  BadVersion: 16,
} as const;

/** What is asked for. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: number;
  /** Default: the Internet's. */
  readonly class?: number;
}

/** Start of authority (RFC 1035 3.3.13): times in seconds. */
export interface DnsSoa {
  readonly kind: 'soa';
  readonly primary: string;
  readonly mailbox: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  /** How long answers that there is nothing may be remembered (RFC 2308 4). */
  readonly minimum: number;
}

/** What a record says. `name` is that of NS, CNAME and PTR records; `unknown` that of every type or class not listed here. */
export type DnsData =
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'name'; readonly name: string }
  | DnsSoa
  | { readonly kind: 'mx'; readonly preference: number; readonly exchange: string }
  | { readonly kind: 'txt'; readonly strings: readonly Uint8Array[] }
  | {
      readonly kind: 'srv';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly kind: 'unknown'; readonly bytes: Uint8Array };

/** A resource record. */
export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** Seconds. */
  readonly ttl: number;
  readonly data: DnsData;
}

/** The OPT pseudo-record (RFC 6891 6.1.2); its extension of the response code is part of {@link DnsMessage.rcode}. */
export interface DnsEdns {
  /** Largest UDP payload, in bytes, that the sender takes. */
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly data: Uint8Array }[];
}

/** A message. */
export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** 0 to 15, or to 4095 with EDNS. */
  readonly rcode: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  readonly edns: DnsEdns | undefined;
}

/** A question as a message; everything may be overruled. */
export function dnsQuery(id: number, question: DnsQuestion, more: Partial<DnsMessage> = {}): DnsMessage {
  return {
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    edns: undefined,
    ...more,
  };
}

// --- reading

/**
 * Reads a message. One that says that it is truncated may end anywhere: what is whole is given (RFC 2181 9).
 *
 * @throws UsageError `ERR_BAD_MESSAGE` for anything that is no message
 */
export function parseDns(bytes: Uint8Array): DnsMessage {
  return new Reader(bytes).message();
}

class Reader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = DNS_HEADER;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  message(): DnsMessage {
    const { view } = this;
    if (this.bytes.length < DNS_HEADER) throw badMessage('shorter than a DNS header');
    const flags = view.getUint16(2);
    const truncated = (flags & 0x0200) !== 0;
    const questions = this.section(view.getUint16(4), truncated, () => this.question());
    const answers = this.section(view.getUint16(6), truncated, () => this.record());
    const authorities = this.section(view.getUint16(8), truncated, () => this.record());
    const all = this.section(view.getUint16(10), truncated, () => this.record());
    const opts = all.filter(({ type }) => type === DnsType.OPT);
    if (opts.length > 1) throw badMessage('more than one OPT record');
    const [opt] = opts;
    return {
      id: view.getUint16(0),
      response: (flags & 0x8000) !== 0,
      opcode: (flags >> 11) & 15,
      authoritative: (flags & 0x0400) !== 0,
      truncated,
      recursionDesired: (flags & 0x0100) !== 0,
      recursionAvailable: (flags & 0x0080) !== 0,
      authenticData: (flags & 0x0020) !== 0,
      checkingDisabled: (flags & 0x0010) !== 0,
      rcode: (flags & 15) | (opt === undefined ? 0 : (opt.ttl >>> 24) << 4),
      questions,
      answers,
      authorities,
      additionals: all.filter(({ type }) => type !== DnsType.OPT),
      edns: opt && ednsOf(opt),
    };
  }

  private section<T>(count: number, truncated: boolean, read: () => T): T[] {
    const items: T[] = [];
    for (let i = 0; i < count; i++) {
      try {
        items.push(read());
      } catch (error) {
        if (!truncated) throw error;
        this.at = this.bytes.length;
        break;
      }
    }
    return items;
  }

  private question(): DnsQuestion {
    const { name, next } = readName(this.bytes, this.at);
    this.need(next, 4);
    this.at = next + 4;
    return { name, type: this.view.getUint16(next), class: this.view.getUint16(next + 2) };
  }

  private record(): DnsRecord {
    const { name, next } = readName(this.bytes, this.at);
    this.need(next, 10);
    const type = this.view.getUint16(next);
    const recordClass = this.view.getUint16(next + 2);
    const start = next + 10;
    const end = start + this.view.getUint16(next + 8);
    this.need(end, 0);
    this.at = end;
    const known = recordClass === DNS_INTERNET && type !== DnsType.OPT;
    const data = known ? this.data(type, start, end) : this.unknown(start, end);
    const ttl = this.view.getUint32(next + 4);
    // A TTL with the top bit set counts as zero (RFC 2181 8); in OPT the field means something else.
    return { name, type, class: recordClass, ttl: type === DnsType.OPT || ttl <= 0x7fff_ffff ? ttl : 0, data };
  }

  private unknown(start: number, end: number): DnsData {
    return { kind: 'unknown', bytes: this.bytes.slice(start, end) };
  }

  private data(type: number, start: number, end: number): DnsData {
    const { view } = this;
    const whole = (is: boolean) => {
      if (!is) throw badMessage(`a record of type ${type} with data of the wrong length`);
    };
    const name = (at: number): string => {
      const read = this.nameIn(at, end);
      whole(read.next === end);
      return read.name;
    };
    switch (type) {
      case DnsType.A:
        whole(end - start === 4);
        return { kind: 'address', address: new Ipv4Address(view.getUint32(start)) };
      case DnsType.AAAA: {
        whole(end - start === 16);
        const word = (i: number) => view.getUint32(start + 4 * i);
        return { kind: 'address', address: new Ipv6Address(word(0), word(1), word(2), word(3)) };
      }
      case DnsType.NS:
      case DnsType.CNAME:
      case DnsType.PTR:
        return { kind: 'name', name: name(start) };
      case DnsType.MX:
        whole(end - start >= 3);
        return { kind: 'mx', preference: view.getUint16(start), exchange: name(start + 2) };
      case DnsType.SRV: {
        whole(end - start >= 7);
        const [priority, weight, port] = [0, 2, 4].map((at) => view.getUint16(start + at));
        return { kind: 'srv', priority: priority ?? 0, weight: weight ?? 0, port: port ?? 0, target: name(start + 6) };
      }
      case DnsType.TXT:
        return { kind: 'txt', strings: this.strings(start, end) };
      case DnsType.SOA:
        return this.soa(start, end);
      default:
        return this.unknown(start, end);
    }
  }

  private soa(start: number, end: number): DnsSoa {
    const primary = this.nameIn(start, end);
    const mailbox = this.nameIn(primary.next, end);
    const at = mailbox.next;
    if (at + 20 !== end) throw badMessage('a SOA record with data of the wrong length');
    const number = (i: number) => this.view.getUint32(at + 4 * i);
    return {
      kind: 'soa',
      primary: primary.name,
      mailbox: mailbox.name,
      serial: number(0),
      refresh: number(1),
      retry: number(2),
      expire: number(3),
      minimum: number(4),
    };
  }

  private strings(start: number, end: number): Uint8Array[] {
    const strings: Uint8Array[] = [];
    for (let at = start; at < end; ) {
      const next = at + 1 + (this.bytes[at] ?? 0);
      if (next > end) throw badMessage('a TXT record whose string ends early');
      strings.push(this.bytes.slice(at + 1, next));
      at = next;
    }
    return strings;
  }

  private nameIn(at: number, end: number): ReadName {
    const read = readName(this.bytes, at);
    if (read.next > end) throw badMessage('a name that does not fit its record');
    return read;
  }

  private need(at: number, length: number): void {
    if (at + length > this.bytes.length) throw badMessage('a DNS message that ends early');
  }
}

function ednsOf({ name, class: udpSize, ttl, data }: DnsRecord): DnsEdns {
  if (name !== '.' || data.kind !== 'unknown') throw badMessage('an OPT record that is not of the root');
  const { bytes } = data;
  const options: { code: number; data: Uint8Array }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const number = (offset: number) => ((bytes[at + offset] ?? 0) << 8) | (bytes[at + offset + 1] ?? 0);
    const end = at + 4 + number(2);
    if (at + 4 > bytes.length || end > bytes.length) throw badMessage('an EDNS option that ends early');
    options.push({ code: number(0), data: bytes.slice(at + 4, end) });
    at = end;
  }
  return { udpSize, version: (ttl >> 16) & 0xff, dnssecOk: (ttl & 0x8000) !== 0, options };
}

// --- writing

/**
 * Writes a message, with the names that RFC 1035 knows compressed.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a name that is none; `ERR_BAD_MESSAGE` for more than 65,535 bytes
 */
export function emitDns(message: DnsMessage): Uint8Array {
  const out: number[] = [];
  const names = new NameWriter();
  const { questions, answers, authorities, additionals, edns, rcode } = message;
  const flag = (is: boolean, bit: number) => (is ? bit : 0);
  const flags =
    flag(message.response, 0x8000) |
    (message.opcode << 11) |
    flag(message.authoritative, 0x0400) |
    flag(message.truncated, 0x0200) |
    flag(message.recursionDesired, 0x0100) |
    flag(message.recursionAvailable, 0x0080) |
    flag(message.authenticData, 0x0020) |
    flag(message.checkingDisabled, 0x0010) |
    (rcode & 15);
  const extra = edns === undefined ? 0 : 1;
  for (const word of [message.id, flags, questions.length, answers.length, authorities.length]) push16(out, word);
  push16(out, additionals.length + extra);
  for (const { name, type, class: asked = DNS_INTERNET } of questions) {
    names.write(out, name, true);
    push16(out, type);
    push16(out, asked);
  }
  for (const record of [...answers, ...authorities, ...additionals]) pushRecord(out, names, record);
  if (edns !== undefined) pushRecord(out, names, optRecord(edns, rcode));
  if (out.length > 0xffff) throw badMessage('a DNS message of more than 65,535 bytes');
  return Uint8Array.from(out);
}

function push16(out: number[], value: number): void {
  out.push((value >>> 8) & 0xff, value & 0xff);
}

function push32(out: number[], value: number): void {
  push16(out, value >>> 16);
  push16(out, value & 0xffff);
}

function optRecord({ udpSize, version, dnssecOk, options }: DnsEdns, rcode: number): DnsRecord {
  const bytes: number[] = [];
  for (const { code, data } of options) {
    push16(bytes, code);
    push16(bytes, data.length);
    bytes.push(...data);
  }
  const ttl = (((rcode >> 4) << 24) | (version << 16) | (dnssecOk ? 0x8000 : 0)) >>> 0;
  return {
    name: '.',
    type: DnsType.OPT,
    class: udpSize,
    ttl,
    data: { kind: 'unknown', bytes: Uint8Array.from(bytes) },
  };
}

function pushRecord(out: number[], names: NameWriter, record: DnsRecord): void {
  names.write(out, record.name, true);
  push16(out, record.type);
  push16(out, record.class);
  push32(out, record.ttl);
  const length = out.length;
  push16(out, 0);
  pushData(out, names, record.data);
  const size = out.length - length - 2;
  if (size > 0xffff) throw badMessage('a DNS record of more than 65,535 bytes');
  out[length] = size >> 8;
  out[length + 1] = size & 0xff;
}

function pushData(out: number[], names: NameWriter, data: DnsData): void {
  switch (data.kind) {
    case 'address':
      return pushAddress(out, data.address);
    case 'name':
      return names.write(out, data.name, true);
    case 'mx':
      push16(out, data.preference);
      return names.write(out, data.exchange, true);
    case 'srv':
      for (const value of [data.priority, data.weight, data.port]) push16(out, value);
      // Not compressed: RFC 2782 forbids it, as servers that do not know the type could not copy the record.
      return names.write(out, data.target, false);
    case 'txt':
      for (const string of data.strings) {
        if (string.length > 0xff) throw badMessage('a TXT string of more than 255 bytes');
        out.push(string.length, ...string);
      }
      return;
    case 'soa':
      names.write(out, data.primary, true);
      names.write(out, data.mailbox, true);
      for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum]) push32(out, value);
      return;
    case 'unknown':
      for (const byte of data.bytes) out.push(byte);
  }
}

function pushAddress(out: number[], address: IpAddress): void {
  const words = address.version === 4 ? ([3] as const) : ([0, 1, 2, 3] as const);
  for (const index of words) push32(out, address.word(index));
}
