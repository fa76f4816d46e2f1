/** The segment under inspection: one long-lived record per host into which every received segment is read. */

import { type Frame, GsoType } from '../../core/frame.js';
import { TCP_HEADER, TCP_URGENT, TcpFlag } from '../../wire/tcp.js';
import { TcpOptions } from '../../wire/tcp-options.js';

const ALIGNED_TIMESTAMPS = 0x0101_080a;
/** In the word that begins with the data offset. */
const URGENT = TcpFlag.Urg << 16;

/** A parsed segment. Sequence numbers are signed, see `seq`. */
export class Segment {
  frame: Frame | undefined = undefined;
  sourcePort = 0;
  destinationPort = 0;
  seq = 0;
  ack = 0;
  flags = 0;
  /** The packet's mark, see `Ecn` of `wire/ip`. */
  codepoint = 0;
  /** As it stands in the header. */
  window = 0;
  urgentPointer = 0;
  /** The payload: offsets into the frame's slab. Trimming moves them. */
  from = 0;
  to = 0;
  /**
   * A super-segment stands for `count` segments of the wire, each but the last with `unit` bytes of payload: whatever counts segments or
   * measures them goes by these. Else `count` is 1, and `unit` the payload as it came.
   */
  unit = 0;
  count = 1;
  readonly options: TcpOptions = new TcpOptions();

  /** Reads the segment that fills the frame; it has passed `TcpSegment.check`. @param codepoint the packet's two bits of ECN */
  read(frame: Frame, codepoint: number): void {
    const { view } = frame.slab;
    const at = frame.start;
    const ports = view.getUint32(at);
    this.frame = frame;
    this.codepoint = codepoint;
    this.sourcePort = ports >>> 16;
    this.destinationPort = ports & 0xffff;
    this.seq = view.getInt32(at + 4);
    this.ack = view.getInt32(at + 8);
    const word = view.getUint32(at + 12);
    this.flags = (word >>> 16) & 0x1ff;
    this.window = word & 0xffff;
    this.urgentPointer = word & URGENT ? view.getUint16(at + TCP_URGENT) : 0;
    const headerLength = (word >>> 28) * 4;
    this.from = at + headerLength;
    this.to = frame.end;
    this.measure(frame);
    this.readOptions(view, at + TCP_HEADER, this.from);
  }

  private measure(frame: Frame): void {
    const { length } = this;
    const { gsoType, gsoSize } = frame;
    if (gsoType === GsoType.None || gsoSize === 0 || gsoSize >= length) {
      this.unit = length;
      this.count = 1;
    } else {
      this.unit = gsoSize;
      this.count = Math.ceil(length / gsoSize);
    }
  }

  private readOptions(view: DataView, from: number, to: number): void {
    const { options } = this;
    // Nearly every segment of an established connection has exactly this option area.
    if (to - from === 12 && view.getUint32(from) === ALIGNED_TIMESTAMPS) {
      options.mss = 0;
      options.windowScale = -1;
      options.sackPermitted = false;
      options.sackCount = 0;
      options.fastOpenLength = -1;
      options.accurateEcn.kind = 0;
      options.hasTimestamps = true;
      options.timestampValue = view.getUint32(from + 4);
      options.timestampEcho = view.getUint32(from + 8);
    } else options.read(view, from, to);
  }

  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }

  /** The SYN was dealt with: what follows it is text like any other. */
  passSyn(): void {
    this.seq = (this.seq + 1) | 0;
    this.flags &= ~TcpFlag.Syn;
    // It counts from the sequence number.
    this.urgentPointer--;
  }

  /** Bytes of payload. */
  get length(): number {
    return this.to - this.from;
  }

  /** SEG.LEN: what the segment occupies in sequence space, SYN and FIN included. */
  get span(): number {
    return this.to - this.from + (this.flags & TcpFlag.Syn ? 1 : 0) + (this.flags & TcpFlag.Fin ? 1 : 0);
  }
}
