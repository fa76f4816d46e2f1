/**
 * How a DHCPv6 client sends a message until it is answered (RFC 8415 15): each time it waits about twice as long, give or take a tenth, up to a
 * limit; it may give up after a number of times, or after a time.
 */

import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';

/** Limits of an exchange, in milliseconds; what is left out is unlimited. */
export interface Dhcpv6Times {
  /** IRT: the first wait. */
  readonly first: number;
  /** MRT: the longest wait. */
  readonly longest?: number;
  /** MRC: send at most so often. */
  readonly count?: number;
  /** MRD: give up after so long. */
  readonly duration?: number;
  /** Wait up to so long before the first message, so that hosts do not all ask at once. */
  readonly delay?: number;
  /** The first wait is not shortened by chance: no message is sent while answers to the first are collected (RFC 8415 18.2.1). */
  readonly patient?: boolean;
}

// RFC 8415 7.6, in milliseconds.
export const SOL_MAX_RT = 3_600_000;
export const SOLICIT_TIMES: Dhcpv6Times = { first: 1000, longest: SOL_MAX_RT, delay: 1000, patient: true };
export const REQUEST_TIMES: Dhcpv6Times = { first: 1000, longest: 30_000, count: 10 };
export const CONFIRM_TIMES: Dhcpv6Times = { first: 1000, longest: 4000, duration: 10_000, delay: 1000 };
export const RENEW_TIMES: Dhcpv6Times = { first: 10_000, longest: 600_000 };
export const REBIND_TIMES: Dhcpv6Times = { first: 10_000, longest: 600_000 };
export const RELEASE_TIMES: Dhcpv6Times = { first: 1000, count: 4 };
export const DECLINE_TIMES: Dhcpv6Times = { first: 1000, count: 4 };
export const INFORMATION_TIMES: Dhcpv6Times = { first: 1000, longest: 3_600_000, delay: 1000 };

/** RAND is in this range, both ways. */
const SPREAD = 0.1;
/** RFC 8415 16.1: transactions have 24 bits. */
const TRANSACTIONS = 0x100_0000;

/** Who sends. */
export interface Dhcpv6Sender {
  /** Sends the message, the first time or again, `elapsed` milliseconds after the first time. */
  transmit(transaction: number, elapsed: number): void;
  /** The wait for an answer to the `count`th message is over; it is sent again unless the exchange is cancelled or replaced here. */
  waited?(count: number): void;
  /** The limits are reached. */
  failed(): void;
}

/** The exchange that a client is in, one at a time. */
export class Dhcpv6Exchange {
  /** Of the message that was sent last; -1 when answers to none are expected. */
  transaction = -1;
  /** How often it was sent. */
  sent = 0;
  private readonly env: Env;
  private readonly timer: Timer;
  private sender: Dhcpv6Sender | undefined = undefined;
  private times: Dhcpv6Times = RELEASE_TIMES;
  private began = 0;
  private wait = 0;

  constructor(env: Env) {
    this.env = env;
    this.timer = env.timers.timer(() => this.advance());
  }

  /** Begins another exchange instead of the present one, `delay` milliseconds from now at the earliest. */
  start(times: Dhcpv6Times, sender: Dhcpv6Sender, delay = 0): void {
    const { random, timers } = this.env;
    this.sender = sender;
    this.times = times;
    this.sent = 0;
    this.transaction = random.below(TRANSACTIONS);
    const before = delay + random.float() * (times.delay ?? 0);
    if (before > 0) this.timer.arm(timers.now() + before);
    else this.advance();
  }

  /** Another longest wait (MRT), in milliseconds, from the next message of this exchange on. */
  limit(longest: number): void {
    this.times = { ...this.times, longest };
  }

  /** Ends the exchange: it was answered, or nobody wants to know any more. */
  cancel(): void {
    this.timer.cancel();
    this.sender = undefined;
    this.transaction = -1;
  }

  private advance(): void {
    const { sender, sent } = this;
    if (sender === undefined) return;
    if (sent > 0) {
      sender.waited?.(sent);
      // It may have been answered by what was collected.
      if (this.sender !== sender) return;
      if (this.isOver()) {
        this.cancel();
        return sender.failed();
      }
    }
    this.send(sender);
  }

  private isOver(): boolean {
    const { count = Infinity, duration = Infinity } = this.times;
    return this.sent >= count || this.env.timers.now() - this.began >= duration;
  }

  private send(sender: Dhcpv6Sender): void {
    const now = this.env.timers.now();
    const { longest = Infinity, first, duration = Infinity } = this.times;
    if (this.sent === 0) this.began = now;
    const chance = this.env.random.float();
    if (this.sent === 0) this.wait = first * (1 + (this.times.patient === true ? chance : 2 * chance - 1) * SPREAD);
    else this.wait *= 2 + (2 * chance - 1) * SPREAD;
    if (this.wait > longest) this.wait = longest * (1 + (2 * chance - 1) * SPREAD);
    this.sent++;
    // Before sending, which may be answered at once.
    this.timer.arm(Math.min(now + this.wait, this.began + duration));
    sender.transmit(this.transaction, now - this.began);
  }
}
