/** What the tracking of a connection looks at in a segment, read at once into one record. A super-segment counts as the one segment that it was. */

import type { PacketFields } from '../../wire/packet-fields.js';
import { TCP_ACKNOWLEDGMENT, TCP_DATA_OFFSET, TCP_HEADER, TCP_SEQUENCE, TCP_WINDOW, TcpFlag } from '../../wire/tcp.js';
import { TcpOptions } from '../../wire/tcp-options.js';
import { after } from '../tcp/seq.js';

/** Of a header with nothing but timestamps, as almost all have: two NOPs, kind and length (RFC 7323 appendix A). */
const TIMESTAMPS = 0x0101_080a;
const TIMESTAMPS_LENGTH = 12;
const MOST_SCALE = 14;
const OPENING = TcpFlag.Syn | TcpFlag.Fin | TcpFlag.Rst;

/** One segment. Sequence numbers are signed. */
export class TcpFacts {
  flags = 0;
  sequence = 0;
  /** Behind its data, and behind its FIN. */
  dataEnd = 0;
  end = 0;
  acknowledgment = 0;
  /** The highest that is acknowledged, selectively or not (RFC 2018). */
  highest = 0;
  /** As it stands in the header. */
  window = 0;
  /** What a SYN offers, or -1. */
  scale = -1;
  private readonly options: TcpOptions = new TcpOptions();

  get syn(): boolean {
    return (this.flags & TcpFlag.Syn) !== 0;
  }
  get ack(): boolean {
    return (this.flags & TcpFlag.Ack) !== 0;
  }
  get rst(): boolean {
    return (this.flags & TcpFlag.Rst) !== 0;
  }
  get fin(): boolean {
    return (this.flags & TcpFlag.Fin) !== 0;
  }

  /** Whether it has control bits that a segment can have: one of SYN, FIN and RST at most, and an ACK unless it is SYN or RST. */
  get isPossible(): boolean {
    const { flags } = this;
    const opening = flags & OPENING;
    if ((opening & (opening - 1)) !== 0) return false;
    return (flags & (TcpFlag.Ack | TcpFlag.Syn | TcpFlag.Rst)) !== 0;
  }

  /** Reads a segment whose header is whole. */
  read(fields: PacketFields): void {
    const { view, transport } = fields;
    const headerLength = (view.getUint8(transport + TCP_DATA_OFFSET) >>> 4) * 4;
    this.flags = fields.tcpFlags;
    this.sequence = view.getInt32(transport + TCP_SEQUENCE);
    this.acknowledgment = this.highest = view.getInt32(transport + TCP_ACKNOWLEDGMENT);
    this.window = view.getUint16(transport + TCP_WINDOW);
    const length = fields.end - transport - headerLength;
    this.dataEnd = (this.sequence + length + (this.syn ? 1 : 0)) | 0;
    this.end = (this.dataEnd + (this.fin ? 1 : 0)) | 0;
    this.scale = -1;
    const from = transport + TCP_HEADER;
    const to = transport + headerLength;
    if (to === from || (to - from === TIMESTAMPS_LENGTH && view.getInt32(from) === TIMESTAMPS)) return;
    this.readOptions(view, from, to);
  }

  private readOptions(view: DataView, from: number, to: number): void {
    const { options } = this;
    options.read(view, from, to);
    if (this.syn) this.scale = Math.min(options.windowScale, MOST_SCALE);
    for (let i = 0; i < options.sackCount && this.ack; i++) {
      const edge = (options.sackBlocks[2 * i + 1] ?? 0) | 0;
      if (after(edge, this.highest)) this.highest = edge;
    }
  }
}
