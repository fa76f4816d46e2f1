/** Makes series of the TCP segments that pass one place, in both directions. */

import type { Medium } from '../../../lib/core/device.js';
import type { Frame } from '../../../lib/core/frame.js';
import { Dissection } from '../../../lib/text/dissect.js';
import { TCP_HEADER, TcpFlag, type TcpSegment } from '../../../lib/wire/tcp.js';
import { TcpOptions } from '../../../lib/wire/tcp-options.js';
import type { SentRange, SeriesPoint, SeriesRange, StateSample, TcpSeries } from './tcp-series.js';

/** Which way a frame goes, seen from the end that is recorded. */
export type FlowDirection = 'inbound' | 'outbound';

/** Positions in a stream of more than 4 GiB: sequence numbers unwrapped, near the last one. */
class Unwrapped {
  private isn: number | undefined = undefined;
  private last = 0;

  /** @param isSyn whether this is the number of a SYN, which comes before the first byte */
  of(sequence: number, isSyn = false): number {
    this.isn ??= isSyn ? (sequence + 1) | 0 : sequence;
    const position = this.last + ((sequence - this.isn - this.last) | 0);
    if (position > this.last) this.last = position;
    return position;
  }

  /** Whether a SYN of this number is not the one that they began with. */
  areNotOf(sequence: number): boolean {
    return this.isn !== undefined && this.isn !== ((sequence + 1) | 0);
  }
}

/** A connection while it is recorded. */
export class Flow implements TcpSeries {
  readonly name: string;
  readonly local: string;
  readonly remote: string;
  readonly start: number;
  readonly sent: SentRange[] = [];
  readonly acked: SeriesPoint[] = [];
  readonly sacked: SeriesRange[] = [];
  readonly windowEdge: SeriesPoint[] = [];
  readonly received: SeriesRange[] = [];
  readonly states: StateSample[] = [];
  /** The furthest byte that was sent, and acknowledged. */
  private furthest = 0;
  private acknowledged = 0;
  private readonly ours: Unwrapped = new Unwrapped();
  private readonly theirs: Unwrapped = new Unwrapped();
  private scale = 0;
  private peerScales = false;
  private weScale = false;

  constructor(name: string, local: string, remote: string, start: number) {
    this.name = name;
    this.local = local;
    this.remote = remote;
    this.start = start;
  }

  /** Sent and not acknowledged. */
  get inFlight(): number {
    return Math.max(0, this.furthest - this.acknowledged);
  }

  /** Whether a segment begins another connection between the same ends: a SYN that is no repetition, nor the other half of a simultaneous open. */
  isEndedBy(direction: FlowDirection, { flags, sequence }: TcpSegment): boolean {
    if ((flags & (TcpFlag.Syn | TcpFlag.Ack)) !== TcpFlag.Syn) return false;
    return (direction === 'outbound' ? this.ours : this.theirs).areNotOf(sequence);
  }

  outbound(segment: TcpSegment, length: number, options: TcpOptions, time: number): void {
    const isSyn = (segment.flags & TcpFlag.Syn) !== 0;
    const from = this.ours.of(segment.sequence | 0, isSyn);
    if (isSyn) this.weScale = options.windowScale >= 0;
    if (length === 0) return;
    // A SYN may carry data (RFC 7413), which come after it.
    const first = isSyn ? from + 1 : from;
    this.sent.push({ time, from: first, to: first + length, again: first < this.furthest });
    this.furthest = Math.max(this.furthest, first + length);
  }

  inbound(segment: TcpSegment, length: number, options: TcpOptions, time: number): void {
    const isSyn = (segment.flags & TcpFlag.Syn) !== 0;
    const from = this.theirs.of(segment.sequence | 0, isSyn);
    const first = isSyn ? from + 1 : from;
    if (length > 0) this.received.push({ time, from: first, to: first + length });
    if (isSyn) {
      this.peerScales = options.windowScale >= 0;
      this.scale = Math.min(14, Math.max(0, options.windowScale));
    }
    if ((segment.flags & TcpFlag.Ack) === 0 || (segment.flags & TcpFlag.Rst) !== 0) return;
    const ack = this.ours.of(segment.acknowledgment | 0);
    if (ack > (this.acked.at(-1)?.value ?? 0)) this.acked.push({ time, value: ack });
    this.acknowledged = Math.max(this.acknowledged, ack);
    const scaled = !isSyn && this.peerScales && this.weScale ? segment.window * 2 ** this.scale : segment.window;
    if (ack + scaled !== this.windowEdge.at(-1)?.value) this.windowEdge.push({ time, value: ack + scaled });
    for (let i = 0; i < options.sackCount; i++) {
      const [left = 0, right = 0] = options.sackBlocks.subarray(2 * i, 2 * i + 2);
      this.sacked.push({ time, from: this.ours.of(left | 0), to: this.ours.of(right | 0) });
    }
  }
}

function end(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** All connections that are seen at one place. */
export class FlowRecorder {
  readonly name: string;
  private readonly flows: Flow[] = [];
  /** The last one between two ends, the local one first. */
  private readonly latest = new Map<string, Flow>();
  private readonly options: TcpOptions = new TcpOptions();

  constructor(name: string) {
    this.name = name;
  }

  get series(): readonly Flow[] {
    return [...this.flows];
  }

  /** Takes a frame in; returns its connection, if it is of one. Where no direction is said, the end that was heard first is the local one. */
  add(
    said: FlowDirection | undefined,
    frame: Frame,
    time: number,
    medium: Medium,
    wireLength?: number,
  ): Flow | undefined {
    const packet = new Dissection(frame, {
      linkType: medium,
      ...(wireLength === undefined ? {} : { wireLength }),
    });
    const { tcp, ip, malformed } = packet;
    if (tcp === undefined || ip === undefined || malformed !== undefined) return undefined;
    if (packet.checksums.tcp === 'bad') return undefined;
    const from = end(ip.sourceAddress.toString(), tcp.sourcePort);
    const to = end(ip.destinationAddress.toString(), tcp.destinationPort);
    const direction = said ?? this.directionOf(from, to, tcp);
    const [local, remote] = direction === 'outbound' ? [from, to] : [to, from];
    const flow = this.flowOf(local, remote, direction, tcp, time);
    const { view } = tcp.frame.slab;
    // A capture may have cut the options.
    this.options.read(view, tcp.offset + TCP_HEADER, Math.min(tcp.payload, packet.frame.end));
    flow[direction](tcp, packet.payloadLength, this.options, time);
    return flow;
  }

  /** Where the other end opens the next connection, it is the one that is heard first. */
  private directionOf(from: string, to: string, segment: TcpSegment): FlowDirection {
    const key = `${to} ${from}`;
    if (this.latest.get(key)?.isEndedBy('inbound', segment) === true) this.latest.delete(key);
    return this.latest.has(key) ? 'inbound' : 'outbound';
  }

  private flowOf(local: string, remote: string, direction: FlowDirection, segment: TcpSegment, time: number): Flow {
    const key = `${local} ${remote}`;
    const known = this.latest.get(key);
    if (known !== undefined && !known.isEndedBy(direction, segment)) return known;
    const flow = new Flow(this.name, local, remote, time);
    this.flows.push(flow);
    this.latest.set(key, flow);
    return flow;
  }
}
