/**
 * TCP options (RFC 9293 3.2, 7323, 2018): read into one long-lived record, without allocation, and written from it.
 */

/** Option kinds (IANA). */
export const TcpOptionKind = {
  End: 0,
  Nop: 1,
  Mss: 2,
  WindowScale: 3,
  SackPermitted: 4,
  Sack: 5,
  Timestamps: 8,
} as const;

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
  /** Options of other kinds, in order; their data are copies. Empty unless asked for. */
  unknown: UnknownTcpOption[] = [];

  clear(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.hasTimestamps = false;
    this.timestampValue = this.timestampEcho = 0;
    this.sackCount = 0;
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
    } else if (keepUnknown) {
      const data = new Uint8Array(length - 2);
      for (let i = 0; i < data.length; i++) data[i] = view.getUint8(at + 2 + i);
      this.unknown.push({ kind, data });
    }
  }

  /** Bytes that {@link TcpOptions.write} writes: a multiple of 4. */
  get length(): number {
    let length = this.mss > 0 ? 4 : 0;
    // In a SYN with timestamps, SACK-permitted takes the place of the two NOPs in front of them.
    if (this.hasTimestamps) length += 12;
    else if (this.sackPermitted) length += 4;
    if (this.windowScale >= 0) length += 4;
    if (this.sackCount > 0) length += 4 + 8 * this.sackCount;
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
    if (this.hasTimestamps || this.sackPermitted) {
      const pair = this.sackPermitted ? (TcpOptionKind.SackPermitted << 8) | 2 : 0x0101;
      if (this.hasTimestamps) {
        view.setUint32(at, ((pair << 16) | (TcpOptionKind.Timestamps << 8) | 10) >>> 0);
        view.setUint32(at + 4, this.timestampValue);
        view.setUint32(at + 8, this.timestampEcho);
        at += 12;
      } else {
        view.setUint32(at, (0x0101_0000 | pair) >>> 0);
        at += 4;
      }
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
    for (const option of this.unknown) {
      view.setUint8(at, option.kind);
      view.setUint8(at + 1, 2 + option.data.length);
      for (let i = 0; i < option.data.length; i++) view.setUint8(at + 2 + i, option.data[i] ?? 0);
      at += 2 + option.data.length;
    }
    for (; at < end; at++) view.setUint8(at, TcpOptionKind.End);
  }
}
