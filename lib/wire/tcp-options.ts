/**
 * TCP options (RFC 9293 3.2, 7323, 2018, 7413, 9768): read into one long-lived record, without allocation, and written from it.
 */

import { AccurateEcnOption } from './accurate-ecn-option.js';

/** Option kinds (IANA). */
export const TcpOptionKind = {
  End: 0,
  Nop: 1,
  Mss: 2,
  WindowScale: 3,
  SackPermitted: 4,
  Sack: 5,
  Timestamps: 8,
  FastOpen: 34,
  /** Bytes with ECT(0), CE and ECT(1); and with ECT(1), CE and ECT(0). */
  AccurateEcn0: 172,
  AccurateEcn1: 174,
  /** Shared by experiments, which tell themselves apart by a magic number (RFC 6994). */
  Experiment: 254,
} as const;

/** The magic number of Fast Open among experiments (RFC 7413 4.1.1). */
const FAST_OPEN_MAGIC = 0xf989;
/** A Fast Open cookie has 4 to 16 bytes, an even number of them (RFC 7413 4.1.1). */
const MIN_COOKIE = 4;
export const MAX_COOKIE = 16;

const SACK_PERMITTED = (TcpOptionKind.SackPermitted << 8) | 2;
/** At most four SACK blocks fit into 40 bytes. */
export const MAX_SACK_BLOCKS = 4;

/** An option that this stack does not interpret. */
export interface UnknownTcpOption {
  readonly kind: number;
  readonly data: Uint8Array;
}

/** The options of one segment. Make one and read segment after segment into it. */
export class TcpOptions {
  /** Maximum segment size, or 0 where there is none. */
  mss = 0;
  /** Window shift count, or -1. As it stands on the wire: a value over 14 means 14 (RFC 7323 2.3). */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamps = false;
  timestampValue = 0;
  timestampEcho = 0;
  /** SACK blocks: `sackBlocks[2 * i]` is the left edge, `[2 * i + 1]` the right edge of block `i`. */
  sackCount = 0;
  readonly sackBlocks: Uint32Array = new Uint32Array(2 * MAX_SACK_BLOCKS);
  /** Bytes of the Fast Open cookie; 0 asks for one, -1 where there is no such option. */
  fastOpenLength = -1;
  readonly fastOpenCookie: Uint8Array = new Uint8Array(MAX_COOKIE);
  /** The Fast Open option came, or is to go, as the experiment that it was before it got a number. */
  fastOpenExperimental = false;
  readonly accurateEcn: AccurateEcnOption = new AccurateEcnOption();
  /** Options of other kinds, in order; their data are copies. Empty unless asked for. */
  unknown: UnknownTcpOption[] = [];

  clear(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.timestampValue = this.timestampEcho = 0;
    this.sackCount = 0;
    this.fastOpenLength = -1;
    this.fastOpenExperimental = false;
    this.accurateEcn.kind = 0;
    if (this.unknown.length > 0) this.unknown = [];
  }

  /**
   * Reads the options between `from` and `to`. An option with an impossible length ends the reading: what came before it counts,
   * the rest is ignored (RFC 9293 MUST-7). Options of a known kind with a wrong length are skipped.
   *
   * @param keepUnknown also collect options of unknown kind
   * @returns whether the option area was well formed
   */
  read(view: DataView, from: number, to: number, keepUnknown = false): boolean {
    this.clear();
    let at = from;
    while (at < to) {
      const kind = view.getUint8(at);
      if (kind === TcpOptionKind.End) return true;
      if (kind === TcpOptionKind.Nop) {
        at++;
        continue;
      }
      const length = at + 1 < to ? view.getUint8(at + 1) : 0;
      if (length < 2 || at + length > to) return false;
      this.readOne(view, at, kind, length, keepUnknown);
      at += length;
    }
    return true;
  }

  private readOne(view: DataView, at: number, kind: number, length: number, keepUnknown: boolean): void {
    if (kind === TcpOptionKind.Timestamps && length === 10) {
      this.hasTimestamps = true;
      this.timestampValue = view.getUint32(at + 2);
      this.timestampEcho = view.getUint32(at + 6);
    } else if (kind === TcpOptionKind.Sack && length >= 10 && (length - 2) % 8 === 0) {
      this.sackCount = Math.min((length - 2) / 8, MAX_SACK_BLOCKS);
      for (let i = 0; i < this.sackCount * 2; i++) this.sackBlocks[i] = view.getUint32(at + 2 + i * 4);
    } else if (kind === TcpOptionKind.Mss && length === 4) {
      this.mss = view.getUint16(at + 2);
    } else if (kind === TcpOptionKind.WindowScale && length === 3) {
      this.windowScale = view.getUint8(at + 2);
    } else if (kind === TcpOptionKind.SackPermitted && length === 2) {
      this.sackPermitted = true;
    } else if (kind === TcpOptionKind.FastOpen && isCookieLength(length - 2)) {
      this.readCookie(view, at + 2, length - 2);
    } else if (
      kind === TcpOptionKind.Experiment &&
      isCookieLength(length - 4) &&
      view.getUint16(at + 2) === FAST_OPEN_MAGIC
    ) {
      this.readCookie(view, at + 4, length - 4);
      this.fastOpenExperimental = true;
    } else if (kind === TcpOptionKind.AccurateEcn0 || kind === TcpOptionKind.AccurateEcn1) {
      this.accurateEcn.read(view, at, kind, length);
    } else if (keepUnknown) {
      const data = new Uint8Array(length - 2);
      for (let i = 0; i < data.length; i++) data[i] = view.getUint8(at + 2 + i);
      this.unknown.push({ kind, data });
    }
  }

  private readCookie(view: DataView, at: number, length: number): void {
    this.fastOpenLength = length;
    this.fastOpenExperimental = false;
    for (let i = 0; i < length; i++) this.fastOpenCookie[i] = view.getUint8(at + i);
  }

  /** Bytes that {@link TcpOptions.write} writes: a multiple of 4. */
  get length(): number {
    let length = this.mss > 0 ? 4 : 0;
    // In a SYN with timestamps, SACK-permitted takes the place of the two NOPs in front of them.
    if (this.hasTimestamps) length += 12;
    else if (this.sackPermitted) length += 4;
    if (this.accurateEcn.kind !== 0) length += this.accurateEcn.length;
    if (this.windowScale >= 0) length += 4;
    if (this.sackCount > 0) length += 4 + 8 * this.sackCount;
    if (this.fastOpenLength >= 0) length += (this.fastOpenLength + (this.fastOpenExperimental ? 7 : 5)) & ~3;
    for (const option of this.unknown) length += 2 + option.data.length;
    return (length + 3) & ~3;
  }

  /** Writes the options at `at`, aligned as Linux aligns them: `mss,sackOK,TS,nop,wscale` in a SYN, `nop,nop,TS,nop,nop,sack` else. */
  write(view: DataView, from: number): void {
    const end = from + this.length;
    let at = from;
    if (this.mss > 0) {
      view.setUint16(at, (TcpOptionKind.Mss << 8) | 4);
      view.setUint16(at + 2, this.mss);
      at += 4;
    }
    if (this.hasTimestamps) {
      const pair = this.sackPermitted ? SACK_PERMITTED : 0x0101;
      view.setUint32(at, ((pair << 16) | (TcpOptionKind.Timestamps << 8) | 10) >>> 0);
      view.setUint32(at + 4, this.timestampValue);
      view.setUint32(at + 8, this.timestampEcho);
      at += 12;
    }
    if (this.accurateEcn.kind !== 0) at = this.accurateEcn.write(view, at);
    if (this.sackPermitted && !this.hasTimestamps) {
      view.setUint32(at, 0x0101_0000 | SACK_PERMITTED);
      at += 4;
    }
    if (this.windowScale >= 0) {
      view.setUint32(at, (TcpOptionKind.Nop << 24) | (TcpOptionKind.WindowScale << 16) | (3 << 8) | this.windowScale);
      at += 4;
    }
    if (this.sackCount > 0) {
      view.setUint32(at, 0x0101_0000 | (TcpOptionKind.Sack << 8) | (2 + 8 * this.sackCount));
      for (let i = 0; i < this.sackCount * 2; i++) view.setUint32(at + 4 + i * 4, this.sackBlocks[i] ?? 0);
      at += 4 + 8 * this.sackCount;
    }
    if (this.fastOpenLength >= 0) at = this.writeCookie(view, at);
    for (const option of this.unknown) {
      view.setUint8(at, option.kind);
      view.setUint8(at + 1, 2 + option.data.length);
      for (let i = 0; i < option.data.length; i++) view.setUint8(at + 2 + i, option.data[i] ?? 0);
      at += 2 + option.data.length;
    }
    for (; at < end; at++) view.setUint8(at, TcpOptionKind.End);
  }

  /** The Fast Open option, and NOPs behind it. */
  private writeCookie(view: DataView, from: number): number {
    const { fastOpenLength: length, fastOpenCookie: cookie } = this;
    let at = from + 2;
    if (this.fastOpenExperimental) {
      view.setUint16(from, (TcpOptionKind.Experiment << 8) | (4 + length));
      view.setUint16(at, FAST_OPEN_MAGIC);
      at += 2;
    } else view.setUint16(from, (TcpOptionKind.FastOpen << 8) | (2 + length));
    for (let i = 0; i < length; i++) view.setUint8(at++, cookie[i] ?? 0);
    while ((at - from) % 4 !== 0) view.setUint8(at++, TcpOptionKind.Nop);
    return at;
  }
}

function isCookieLength(length: number): boolean {
  return length === 0 || (length >= MIN_COOKIE && length <= MAX_COOKIE && length % 2 === 0);
}
