/**
 * Ping: echo requests at an interval, and what became of each: a reply, an error, or nothing in time. Replies are recognised by the
 * socket's random identifier and the sequence number; what they bring back is compared with what was sent.
 */

import { Cadence } from '../core/cadence.js';
import { type IpAddress, isSameAddress } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError, type NetCode } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import type { IcmpErrorKind } from '../l3/icmp-report.js';
import type { EchoError, EchoReply, EchoRequest, PingSocket, PingSockets } from '../l4/ping-api.js';

/** Options of {@link Pinger}. */
export interface PingOptions extends Omit<EchoRequest, 'destination' | 'sequence' | 'data'> {
  /** How many requests to send. Default: until stopped. */
  readonly count?: number;
  /** Milliseconds from request to request. Default 1000. */
  readonly interval?: number;
  /** Milliseconds to wait for a reply. Default 1000. */
  readonly timeout?: number;
  /** Bytes of data in each request. Default 56. */
  readonly size?: number;
}

/** What became of a request; `sequence` counts from 1 and does not wrap. */
export type PingEvent =
  | {
      readonly kind: 'reply';
      readonly sequence: number;
      readonly from: IpAddress;
      /** Bytes of the ICMP message, its header included. */
      readonly length: number;
      readonly hopLimit: number;
      /** Milliseconds from the request to the reply. */
      readonly rtt: number;
      /** Another reply to the same request came before. */
      readonly duplicate: boolean;
      /** Whether the data came back as they were sent. */
      readonly intact: boolean;
    }
  | {
      readonly kind: 'error';
      readonly sequence: number;
      /** Who said so; ourselves where nothing could be sent. */
      readonly from: IpAddress;
      readonly error: IcmpErrorKind;
      readonly code: NetCode;
      readonly mtu: number;
    }
  | { readonly kind: 'timeout'; readonly sequence: number };

/** Who is told. */
export interface PingEvents {
  /** A request was sent. */
  sent?(sequence: number): void;
  event(event: PingEvent): void;
  /** All has been sent, and settled; or nothing could be sent. Called once, unless it was stopped. */
  done(error?: Error): void;
}

interface Sent {
  readonly sequence: number;
  readonly at: number;
  answered: boolean;
}

const ICMP_HEADER = 8;
const SEQUENCES = 0x1_0000;
const MAX_SIZE = 65_507;

/** One run of ping. It starts at once, from a timer. */
export class Pinger {
  private readonly env: Env;
  private readonly socket: PingSocket;
  private readonly destination: IpAddress;
  private readonly options: PingOptions;
  private readonly events: PingEvents;
  private readonly data: Uint8Array;
  private readonly timeout: number;
  private readonly sending: Cadence;
  private readonly expiring: Timer;
  /** Requests that wait, in order: their patience ends in that order, too. */
  private waiting: Sent[] = [];
  /** Those of the last 65,536 requests that may still be answered, by the 16 bits of their sequence numbers. */
  private readonly sent = new Map<number, Sent>();
  private over = false;

  /** @throws UsageError `ERR_INVALID_OPTION`; NetError `ENOBUFS`, `ENETDOWN` */
  constructor(ping: PingSockets, destination: IpAddress, options: PingOptions, events: PingEvents, env: Env) {
    const { count = Number.POSITIVE_INFINITY, interval = 1000, timeout = 1000, size = 56 } = options;
    if (!(count >= 1) || !(interval >= 0) || !(timeout > 0) || !(size >= 0 && size <= MAX_SIZE)) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        'ping needs a count, an interval, a timeout and a size that make sense',
      );
    }
    this.env = env;
    this.destination = destination;
    this.options = options;
    this.events = events;
    this.timeout = timeout;
    this.data = Uint8Array.from({ length: size }, (_, i) => i & 0xff);
    this.expiring = env.timers.timer(() => this.expire());
    this.socket = ping.open(destination.version, {
      reply: (reply) => this.replied(reply),
      error: (error) => this.failed(error),
    });
    this.sending = new Cadence(env.timers, { count, interval }, (sequence) => this.send(sequence));
  }

  /** Ends it; nothing is told any more. */
  stop(): void {
    if (this.over) return;
    this.over = true;
    this.sending.stop();
    this.expiring.cancel();
    this.socket.close();
  }

  private finish(error?: Error): void {
    if (this.over) return;
    this.stop();
    this.events.done(error);
  }

  private send(sequence: number): void {
    const { hopLimit, trafficClass, dontFragment, source } = this.options;
    const at = this.env.timers.now();
    const sent = { sequence, at, answered: false };
    this.sent.set(sent.sequence % SEQUENCES, sent);
    this.waiting.push(sent);
    if (!this.expiring.armed) this.expiring.arm(at + this.timeout);
    try {
      this.socket.send({
        destination: this.destination,
        sequence: sent.sequence % SEQUENCES,
        data: this.data,
        ...(hopLimit === undefined ? {} : { hopLimit }),
        ...(trafficClass === undefined ? {} : { trafficClass }),
        ...(dontFragment === undefined ? {} : { dontFragment }),
        ...(source === undefined ? {} : { source }),
      });
    } catch (error) {
      return this.finish(error as Error);
    }
    return this.events.sent?.(sent.sequence);
  }

  private replied(reply: EchoReply): void {
    const sent = this.sent.get(reply.sequence);
    if (sent === undefined || this.over) return;
    const { data } = reply;
    const duplicate = sent.answered;
    this.settle(sent);
    this.events.event({
      kind: 'reply',
      sequence: sent.sequence,
      from: reply.source,
      length: data.length + ICMP_HEADER,
      hopLimit: reply.hopLimit,
      rtt: this.env.timers.now() - sent.at,
      duplicate,
      intact: data.length === this.data.length && data.every((byte, i) => byte === this.data[i]),
    });
    this.endIfSettled();
  }

  private failed({ sequence: number, destination, reporter: from, kind: error, code, mtu }: EchoError): void {
    const sent = this.sent.get(number);
    if (sent === undefined || this.over || !isSameAddress(destination, this.destination)) return;
    this.settle(sent);
    this.events.event({ kind: 'error', sequence: sent.sequence, from, error, code, mtu });
    this.endIfSettled();
  }

  private settle(sent: Sent): void {
    sent.answered = true;
    this.waiting = this.waiting.filter((one) => one !== sent);
  }

  private expire(): void {
    const now = this.env.timers.now();
    for (const sent of this.waiting.filter(({ at }) => at + this.timeout <= now)) {
      this.waiting = this.waiting.filter((one) => one !== sent);
      this.events.event({ kind: 'timeout', sequence: sent.sequence });
      if (this.over) return;
    }
    const [first] = this.waiting;
    if (first !== undefined) this.expiring.arm(first.at + this.timeout);
    this.endIfSettled();
  }

  private endIfSettled(): void {
    if (this.sending.isOver && this.waiting.length === 0) this.finish();
  }
}
