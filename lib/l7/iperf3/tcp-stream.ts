/** A stream of a test over TCP: the same bytes are written by reference again and again as there is room; what comes is counted, and forgotten. */

import type { NetError } from '../../core/errors.js';
import type { Endpoint, TcpConnection, TcpHandler } from '../../l4/tcp/api.js';
import { type DataStream, MeasuredStream, type PathView, type StreamPlace } from './stream.js';
import type { IperfParameters } from './parameters.js';

/** See the module. */
export class TcpStream extends MeasuredStream implements DataStream, TcpHandler {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  private readonly connection: TcpConnection;
  private readonly blocks: Uint8Array;
  private full = false;
  /** Bytes since the connection was made. */
  private written = 0;
  private over = false;
  private finishing = false;
  /** What still comes is taken, so that the peer can go on to the end, but does not count. */
  private halted = false;

  /** Takes over a connection that is established. */
  constructor(place: StreamPlace, connection: TcpConnection) {
    super(place);
    this.connection = connection;
    this.blocks = place.blocks;
    this.local = connection.local;
    this.remote = connection.remote;
    connection.handler = this;
    shape(connection, place.parameters);
  }

  get retransmits(): number | undefined {
    return this.sends ? this.connection.info().totalRetrans : undefined;
  }

  get congestion(): string {
    return this.connection.info().congestion;
  }

  get isFlushed(): boolean {
    return this.over || (this.rest === 0 && this.connection.unacknowledgedBytes === 0);
  }

  path(): PathView | undefined {
    if (!this.sends) return undefined;
    const { sndCwndBytes, sndWnd, rtt, rttvar, pmtu } = this.connection.info();
    return { congestionWindow: sndCwndBytes, sendWindow: sndWnd, rtt, rttVariation: rttvar, mtu: pmtu };
  }

  override halt(): void {
    this.drain();
    super.halt();
    this.halted = true;
    this.complete();
  }

  finish(): void {
    this.finishing = true;
    this.halt();
  }

  close(): void {
    this.running = false;
    if (this.over) return;
    this.over = true;
    // What nobody counts any more need not be carried to its end.
    if (this.connection.unacknowledgedBytes > 0) this.connection.abort();
    else this.connection.close();
  }

  connected(): void {}

  readable(): void {
    this.drain();
    if (this.connection.readEnded && this.running) this.owner.broken(this, undefined);
  }

  writable(): void {
    this.full = false;
    if (this.running) this.pump();
    else this.complete();
  }

  flushed(): void {
    this.owner.settled();
  }

  closed(error: NetError | undefined): void {
    if (this.over) return;
    this.over = true;
    if (this.running) this.owner.broken(this, error);
  }

  protected pump(): void {
    const { quota, parameters } = this;
    const now = this.outside.env.timers.now();
    const burst = Math.max(1, parameters.burst) * parameters.length;
    while (this.running && !this.full && quota.sending > 0) {
      if (!this.mayLeave(now)) return;
      let due = Math.ceil(Math.max(1, this.behind(now)) / burst) * burst;
      while (due > 0 && !this.full && quota.sending > 0) due -= this.write(this.sizeOf(due));
    }
    this.complete();
  }

  /** Bytes of the next write, where so many are due: as many whole blocks as go in one, or near the end what the one under way lacks. */
  private sizeOf(due: number): number {
    const { rest, blocks, quota } = this;
    const { length } = this.parameters;
    if (rest > 0 && quota.sending < blocks.length) return rest;
    return Math.min(blocks.length, Math.ceil(Math.min(due, quota.sending) / length) * length);
  }

  /** There are versions that read whole blocks, and listen to nothing else until they have one: the last must not stay a part. */
  private complete(): void {
    if (this.full || this.over || (this.running && this.quota.sending > 0)) return;
    if (this.rest > 0) this.write(this.rest);
    if (this.finishing && this.rest === 0) this.connection.end();
  }

  /** Bytes that the last block lacks. It is nothing to us where one ends and another begins, as they are all the same. */
  private get rest(): number {
    const { length } = this.parameters;
    return this.sends ? (length - (this.written % length)) % length : 0;
  }

  /** Writes so many bytes; returns how many were taken. */
  private write(size: number): number {
    const { blocks } = this;
    try {
      const took = this.connection.write(size === blocks.length ? blocks : blocks.subarray(0, size));
      this.full = took < size;
      this.written += took;
      if (!this.halted) this.left(took);
      return took;
    } catch (error) {
      this.full = true;
      this.owner.broken(this, error as Error);
      return 0;
    }
  }

  private drain(): void {
    const { connection, account } = this;
    let bytes = 0;
    for (let part = connection.discard(); part > 0; part = connection.discard()) bytes += part;
    if (this.halted) return;
    account.bytes += bytes;
    this.quota.receiving -= bytes;
    if (this.quota.receiving <= 0 && this.running) this.owner.exhausted();
  }
}

function shape(connection: TcpConnection, parameters: IperfParameters): void {
  const { noDelay, window, segmentSize, trafficClass, pacingRate } = parameters;
  if (noDelay) connection.setNoDelay(true);
  if (segmentSize > 0) connection.setMaxSegmentSize(segmentSize);
  if (trafficClass > 0) connection.setTrafficClass(trafficClass);
  if (pacingRate > 0) connection.setMaxPacingRate(pacingRate / 8);
  if (window > 0) {
    connection.setReceiveBuffer(window);
    connection.setSendBuffer(window);
  }
}
