/** A stream of a test over UDP: numbered datagrams, at a rate or as fast as they leave; those that come are accounted for. */

import type { NetError } from '../../core/errors.js';
import type { Endpoint } from '../../l4/tcp/api.js';
import type { UdpHandler, UdpMessage, UdpOptions, UdpSocket } from '../../l4/udp-api.js';
import { answerHello, counterOf, headerSize, OutgoingDatagram, sentAt } from './datagram.js';
import { type DataStream, MeasuredStream, type StreamPlace } from './stream.js';

/** Datagrams that leave in one turn, before everybody else gets one. */
const BATCH = 64;

/** See the module. */
export class UdpStream extends MeasuredStream implements DataStream, UdpHandler {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly retransmits: undefined = undefined;
  readonly congestion: undefined = undefined;
  /** Datagrams are never known to have arrived. */
  readonly isFlushed: boolean = true;
  /** Of a server: a client that says its magic number again has not heard the answer. The other way round they look the same. */
  answers = false;
  /** Called for the first datagram that comes. */
  onFirst: (() => void) | undefined = undefined;
  private readonly sock: UdpSocket;
  private readonly datagram: OutgoingDatagram;
  private readonly header: number;
  private listening = true;

  /**
   * @param bind makes the socket, with this handler
   * @throws NetError as `bind` and `connect` do
   */
  constructor(place: StreamPlace, remote: Endpoint, bind: (handler: UdpHandler, options: UdpOptions) => UdpSocket) {
    super(place);
    const { length, counters64, dontFragment, trafficClass } = place.parameters;
    this.header = headerSize(counters64);
    this.datagram = new OutgoingDatagram(place.sends ? length : this.header, counters64);
    this.datagram.bytes.set(place.blocks.subarray(0, this.datagram.bytes.length));
    this.sock = bind(this, { reuseAddress: true, dontFragment, trafficClass });
    try {
      this.sock.connect(remote);
    } catch (error) {
      this.sock.close();
      throw error;
    }
    this.local = this.sock.local;
    this.remote = this.sock.remote ?? remote;
  }

  /** Sends what is no part of the measurement. @throws NetError */
  say(bytes: Uint8Array): void {
    this.sock.send(bytes);
  }

  path(): undefined {
    return undefined;
  }

  override halt(): void {
    super.halt();
    this.listening = false;
  }

  finish(): void {
    this.halt();
  }

  close(): void {
    this.halt();
    this.sock.close();
  }

  message({ data }: UdpMessage): void {
    const { onFirst } = this;
    if (onFirst !== undefined) {
      this.onFirst = undefined;
      onFirst();
    }
    if (data.length >= this.header) this.arrived(data);
    else this.greeted(data);
  }

  error(error: NetError): void {
    // Until the peer's socket is there, and when it is gone already, ICMP may say so.
    if (this.running) this.owner.broken(this, error);
  }

  protected pump(): void {
    const now = this.outside.env.timers.now();
    const { quota } = this;
    const burst = Math.max(1, this.parameters.burst);
    for (let sent = 0; sent < BATCH; sent++) {
      if (!this.running || quota.sending <= 0) return;
      if (sent % burst === 0 && !this.mayLeave(now)) return;
      if (!this.sendOne(now)) break;
    }
    if (this.running && quota.sending > 0) this.pumpSoon();
  }

  /** Whether one left; if there was no room, it has to be tried again. */
  private sendOne(now: number): boolean {
    const { account, datagram } = this;
    datagram.stamp(now, account.packets + 1);
    try {
      this.sock.send(datagram.bytes);
    } catch (error) {
      const { code } = error as NetError;
      if (code !== 'ENOBUFS' && code !== 'EAGAIN') this.owner.broken(this, error as NetError);
      return false;
    }
    account.packets++;
    this.left(datagram.bytes.length);
    return true;
  }

  private arrived(data: Uint8Array): void {
    if (this.sends || !this.listening) return;
    const number = counterOf(data, this.parameters.counters64);
    this.account.arrived(data.length, number, sentAt(data), this.outside.env.timers.now());
    this.quota.receiving -= data.length;
    if (this.quota.receiving <= 0 && this.running) this.owner.exhausted();
  }

  private greeted(data: Uint8Array): void {
    const answer = this.answers && this.listening ? answerHello(data) : undefined;
    if (answer === undefined) return;
    try {
      this.sock.send(answer);
    } catch {
      // It asks again.
    }
  }
}
