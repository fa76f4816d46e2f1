/**
 * A cable in memory between two ends, or a segment between more: what one end sends, every other receives.
 *
 * Frames are delivered by a loop that starts when the environment's clock gives control, never from inside of a sink: answers join
 * its queue, so that order is kept and the stack does not grow. A frame that nobody else holds is handed over without a copy.
 */

import type { Observable, Observer } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import { type Device, type DeviceFeatures, type Medium, NO_FEATURES } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import type { Frame, RxFrame, TxFrame } from '../lib/core/frame.js';
import type { Timer } from '../lib/core/timers.js';
import { Impairment, type Impairments } from '../lib/l2/impairment.js';
import { anyMac, Intake, Outlet, unhandled } from './port.js';

export type { BurstLoss, Impairments } from '../lib/l2/impairment.js';
export type { CoDelOptions } from '../lib/l2/queue/codel.js';
export type { DropTailOptions } from '../lib/l2/queue/drop-tail.js';
export type { QueueOptions } from '../lib/l2/queue/queue-of.js';
export type { RedOptions } from '../lib/l2/queue/red.js';

/** Frames delivered before others get their turn. */
const BUDGET = 256;

/** Options of {@link link}. */
export interface LinkOptions {
  /** How many ends (named `link0`, `link1`...), or their names. Default 2. */
  readonly ends?: number | readonly string[];
  /** MAC addresses of the ends, in order. Default: locally administered ones, drawn from the environment. */
  readonly macs?: readonly (MacAddress | string)[];
  /** Largest IP packet, in bytes. Default 1500. */
  readonly mtu?: number;
  /** Default `ethernet`. */
  readonly medium?: Medium;
  /** What is wrong with every direction. */
  readonly impair?: Impairments;
  /** What is wrong with what the ends of these names send, instead of `impair`. */
  readonly impairFrom?: Readonly<Record<string, Impairments>>;
  /**
   * Runs deliveries soon. Default: a timer of the environment that is due at once, which is exact in virtual time; on the wall clock
   * a timer takes about a millisecond, and `queueMicrotask` or `setImmediate` are the faster choice.
   */
  readonly defer?: (run: () => void) => void;
}

/** One end of a link. */
export interface LinkEnd extends Device {
  /** Changes what is wrong with what this end sends. @throws UsageError `ERR_INVALID_OPTION` */
  impair(impairments: Impairments): void;
  /** Cuts what this end sends. */
  partition(): void;
  heal(): void;
}

/** A cable or segment. */
export interface Link extends AsyncDisposable {
  readonly ends: readonly [LinkEnd, LinkEnd, ...LinkEnd[]];
  /** Cuts every end off from every other: what is on its way is lost as well. */
  partition(): void;
  heal(): void;
  /** Changes what is wrong with every direction. @throws UsageError `ERR_INVALID_OPTION` */
  impair(impairments: Impairments): void;
  /** Closes all ends. */
  close(): Promise<void>;
}

/** What the ends share: the queue of arrived frames and the loop that delivers them. */
class Segment {
  readonly env: Env;
  readonly ends: End[] = [];
  private readonly timer: Timer;
  private readonly defer: (run: () => void) => void;
  private readonly arrived: { readonly from: End; readonly frame: Frame }[] = [];
  /** How many of them, from the front, have been delivered: their references are no longer ours. */
  private delivered = 0;
  private running = false;
  private deferred = false;
  private sending = 0;

  constructor(env: Env, defer: ((run: () => void) => void) | undefined) {
    this.env = env;
    this.timer = env.timers.timer(() => this.runDeferred());
    this.defer = defer ?? (() => this.timer.arm(env.timers.now()));
  }

  /** Puts a frame on a wire. It may arrive at once: then it is delivered later, not from inside of this call. */
  send(wire: Impairment, frame: Frame): void {
    this.sending++;
    try {
      wire.push(frame);
    } finally {
      this.sending--;
    }
  }

  /** Drops what has arrived once there is nobody left to receive it. */
  closed(): void {
    if (this.ends.some((end) => end.open)) return;
    this.timer.cancel();
    for (const { from, frame } of this.arrived.splice(this.delivered)) {
      this.env.drops.refuse(DropReason.DeviceDown, frame, from.name);
    }
  }

  arrive(from: End, frame: Frame): void {
    this.arrived.push({ from, frame });
    if (this.running) return;
    if (this.sending > 0) this.runSoon();
    else this.run();
  }

  private runSoon(): void {
    if (this.deferred) return;
    this.deferred = true;
    this.defer(() => this.runDeferred());
  }

  private runDeferred(): void {
    this.deferred = false;
    this.run();
  }

  private run(): void {
    if (this.running) return;
    this.running = true;
    const time = this.env.timers.now();
    try {
      while (this.delivered < this.arrived.length && this.delivered < BUDGET) {
        const next = this.arrived[this.delivered++];
        if (next !== undefined) this.deliver(next.from, next.frame, time);
      }
    } finally {
      this.running = false;
      this.arrived.splice(0, this.delivered);
      this.delivered = 0;
    }
    if (this.arrived.length > 0) this.runSoon();
  }

  private deliver(from: End, frame: Frame, time: number): void {
    const receivers = this.ends.filter((end) => end !== from && end.open);
    const last = receivers.pop();
    if (last === undefined) return this.env.drops.refuse(DropReason.DeviceDown, frame, from.name);
    for (const end of receivers) end.intake.deliver(this.copy(frame), time);
    last.intake.deliver(this.received(frame), time);
  }

  /** A frame as a wire would deliver it: the bytes, and nothing of what the sender knew of them. */
  private received(frame: Frame): Frame {
    if (!frame.exclusive) {
      const copy = this.copy(frame);
      frame.release();
      return copy;
    }
    const { start, end } = frame;
    frame.reset();
    frame.start = start;
    frame.end = end;
    return frame;
  }

  private copy(frame: Frame): Frame {
    const copy = this.env.pool.alloc(frame.length);
    copy.slab.bytes.set(frame.bytes(), copy.put(frame.length));
    return copy;
  }
}

class End implements LinkEnd {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures = NO_FEATURES;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  readonly intake: Intake;
  open = true;
  private readonly outlet: Outlet;
  private readonly segment: Segment;
  private readonly wire: Impairment;

  constructor(name: string, mac: MacAddress, options: LinkOptions, segment: Segment) {
    const { mtu = 1500, medium = 'ethernet', impair = {}, impairFrom = {} } = options;
    this.name = name;
    this.mac = mac;
    this.mtu = mtu;
    this.medium = medium;
    this.segment = segment;
    this.intake = new Intake(this, segment.env);
    this.frames$ = this.intake.frames$;
    const arrive = (frame: Frame) => segment.arrive(this, frame);
    this.wire = new Impairment(impairFrom[name] ?? impair, segment.env, arrive, name, medium);
    this.outlet = new Outlet(this, segment.env, (frame) => segment.send(this.wire, frame));
    this.sink = { next: (frame) => this.send(frame), error: unhandled, complete: () => undefined };
  }

  impair(impairments: Impairments): void {
    this.wire.set(impairments);
  }

  partition(): void {
    this.wire.partition();
  }

  heal(): void {
    this.wire.heal();
  }

  close(): Promise<void> {
    if (this.open) {
      this.open = false;
      this.wire.dispose();
      this.segment.closed();
      this.intake.complete();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private send(frame: TxFrame): void {
    if (this.open) this.outlet.next(frame);
    else this.segment.env.drops.refuse(DropReason.DeviceDown, frame, this.name);
  }
}

function names(ends: number | readonly string[]): readonly string[] {
  const all = typeof ends === 'number' ? Array.from({ length: ends }, (_, i) => `link${i}`) : ends;
  if (all.length < 2) throw new UsageError('ERR_INVALID_OPTION', 'a link has at least two ends');
  if (new Set(all).size < all.length)
    throw new UsageError('ERR_INVALID_OPTION', 'two ends of a link have the same name');
  return all;
}

/**
 * Makes a cable (or, with more than two ends, a segment) in memory.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * const { ends: [a, b] } = link({ impair: { delay: 20, loss: 0.01 } }, env);
 * a.frames$.pipe(host({ addresses: ['10.0.0.1/24'] })).subscribe(a.sink);
 * b.frames$.pipe(host({ addresses: ['10.0.0.2/24'] })).subscribe(b.sink);
 */
export function link(options: LinkOptions, env: Env): Link {
  const segment = new Segment(env, options.defer);
  const { medium = 'ethernet', macs = [] } = options;
  names(options.ends ?? 2).forEach((name, i) => {
    const given = macs[i];
    const own = given === undefined ? anyMac(env) : MacAddress.of(given);
    segment.ends.push(new End(name, medium === 'ethernet' ? own : MacAddress.ZERO, options, segment));
  });
  const { ends } = segment;
  const close = async (): Promise<void> => {
    await Promise.all(ends.map((end) => end.close()));
  };
  return {
    ends: ends as unknown as Link['ends'],
    partition: () => ends.forEach((end) => end.partition()),
    heal: () => ends.forEach((end) => end.heal()),
    impair: (impairments) => ends.forEach((end) => end.impair(impairments)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
