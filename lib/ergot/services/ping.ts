/** Ping: numbers at an interval to whoever gives them back, and what became of each. */

import { Cadence } from '../../core/cadence.js';
import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import { ErgotError } from '../error.js';
import type { Incoming, ListenOptions, NetStackApi, OpenSocket, RequestOptions } from '../net-stack-api.js';
import { pingEndpoint } from './descriptors.js';

/** Options of {@link ErgotPinger}. */
export interface ErgotPingOptions extends RequestOptions {
  /** How many requests to send. Default: until stopped. */
  readonly count?: number;
  /** Milliseconds from request to request. Default 1,000. */
  readonly interval?: number;
}

/** What became of a request; `sequence` counts from 1 and does not wrap. */
export type ErgotPingEvent<A> =
  | {
      readonly kind: 'reply';
      readonly sequence: number;
      /** Who answered. */
      readonly from: A;
      /** Milliseconds from the request to the answer. */
      readonly rtt: number;
      /** Whether the number came back that was sent. */
      readonly intact: boolean;
    }
  | { readonly kind: 'error'; readonly sequence: number; readonly error: ErgotError }
  | { readonly kind: 'timeout'; readonly sequence: number };

/** Who is told. */
export interface ErgotPingEvents<A> {
  /** A request was sent. */
  sent?(sequence: number): void;
  event(event: ErgotPingEvent<A>): void;
  /** All has been sent, and settled; or the node has ended. Called once, unless it was stopped. */
  done(error?: ErgotError): void;
}

/** Answers pings. */
export function servePing<A>(stack: NetStackApi<A>, options?: ListenOptions): OpenSocket {
  return stack.serve(pingEndpoint, ({ value }, answer) => answer(value), options);
}

/** One run of ping. It starts at once, from a timer. */
export class ErgotPinger<A> {
  private readonly stack: NetStackApi<A>;
  private readonly env: Env;
  private readonly to: A;
  private readonly options: ErgotPingOptions;
  private readonly events: ErgotPingEvents<A>;
  private readonly sending: Cadence;
  private readonly waiting = new Map<number, () => void>();
  private over = false;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor(stack: NetStackApi<A>, to: A, options: ErgotPingOptions, events: ErgotPingEvents<A>, env: Env) {
    const { count = Number.POSITIVE_INFINITY, interval = 1000, timeout = 1000 } = options;
    if (!(count >= 1) || !(interval >= 0) || !(timeout >= 0)) {
      throw new UsageError('ERR_INVALID_OPTION', 'ping needs a count, an interval and a timeout that make sense');
    }
    this.stack = stack;
    this.env = env;
    this.to = to;
    this.options = options;
    this.events = events;
    this.sending = new Cadence(env.timers, { count, interval }, (sequence) => this.send(sequence));
  }

  /** Ends it; nothing is told any more. */
  stop(): void {
    if (this.over) return;
    this.over = true;
    this.sending.stop();
    for (const giveUp of this.waiting.values()) giveUp();
    this.waiting.clear();
  }

  private finish(error?: ErgotError): void {
    if (this.over) return;
    this.stop();
    this.events.done(error);
  }

  private send(sequence: number): void {
    const { stack, env, options } = this;
    const at = env.timers.now();
    const value = env.random.uint32();
    this.events.sent?.(sequence);
    if (this.over) return;
    this.waiting.set(sequence, () => undefined);
    try {
      const giveUp = stack.request(
        pingEndpoint,
        this.to,
        value,
        (result) => this.heard(sequence, at, value, result),
        options,
      );
      // The answer may be there already.
      if (this.waiting.has(sequence)) this.waiting.set(sequence, giveUp);
    } catch (error) {
      if (!(error instanceof ErgotError)) throw error;
      this.heard(sequence, at, value, error);
    }
  }

  private heard(sequence: number, at: number, value: number, result: Incoming<number, A> | ErgotError): void {
    if (this.over) return;
    this.waiting.delete(sequence);
    if (result instanceof ErgotError) {
      if (result.code === 'ERR_ERGOT_CLOSED') return this.finish(result);
      const isLate = result.code === 'ERR_ERGOT_TIMEOUT';
      this.events.event(isLate ? { kind: 'timeout', sequence } : { kind: 'error', sequence, error: result });
    } else {
      const rtt = this.env.timers.now() - at;
      this.events.event({ kind: 'reply', sequence, from: result.source, rtt, intact: result.value === value });
    }
    return this.sending.isOver && this.waiting.size === 0 ? this.finish() : undefined;
  }
}
