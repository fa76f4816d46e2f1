/** A stream of a test over TCP: one block is written by reference again and again as there is room; what comes is counted, and forgotten. */

import type { NetError } from '../../core/errors.js';
import type { Endpoint, TcpConnection, TcpHandler } from '../../l4/tcp/api.js';
import { type DataStream, MeasuredStream, type PathView, type StreamPlace } from './stream.js';
import type { IperfParameters } from './parameters.js';

/** See the module. */
export class TcpStream extends MeasuredStream implements DataStream, TcpHandler {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  private readonly connection: TcpConnection;
  private readonly block: Uint8Array;
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
    this.block = place.block;
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
    const { block, quota, parameters } = this;
    const now = this.outside.env.timers.now();
    const burst = Math.max(1, parameters.burst);
    while (this.running && !this.full && quota.sending > 0) {
      if (!this.mayLeave(now)) return;
      for (let i = 0; i < burst && !this.full && quota.sending > 0; i++) {
        const isLast = quota.sending < block.length && this.rest > 0;
        this.write(isLast ? block.subarray(0, this.rest) : block);
      }
    }
    this.complete();
  }

  /** There are versions that read whole blocks, and listen to nothing else until they have one: the last must not stay a part. */
  private complete(): void {
    if (this.full || this.over || (this.running && this.quota.sending > 0)) return;
    if (this.rest > 0) this.write(this.block.subarray(0, this.rest));
    if (this.finishing && this.rest === 0) this.connection.end();
  }

  /** Bytes that the last block lacks. It is nothing to us where one ends and another begins, as they are all the same. */
  private get rest(): number {
    const { length } = this.block;
    return this.sends ? (length - (this.written % length)) % length : 0;
  }

  private write(bytes: Uint8Array): void {
    try {
      const took = this.connection.write(bytes);
      this.full = took < bytes.length;
      this.written += took;
      if (!this.halted) this.left(took);
    } catch (error) {
      this.full = true;
      this.owner.broken(this, error as Error);
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
