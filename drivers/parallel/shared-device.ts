/**
 * One worker's queue of a device that several share, as a device: what comes in at this queue for other workers is passed on to them, what
 * they got for this one comes in here. What is sent leaves by the own queue.
 */

import type { Observable, Observer } from 'rxjs';
import type { MacAddress } from '../../lib/core/address.js';
import type { Device, DeviceFeatures, DeviceShare, Medium } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { type Frame, type RxFrame, type TxFrame, UNDER_WAY } from '../../lib/core/frame.js';
import { FragmentSteering } from '../../lib/l4/fragment-steering.js';
import { EVERYONE, FIRST_WORKER, FRAGMENT, HERE, Steering } from '../../lib/l4/steering.js';
import { Intake } from '../port.js';
import { Exchange, type ExchangeLines } from './exchange.js';

/** Frames that crossed from queue to queue. */
export interface SharedDeviceStats {
  /** Frames that came in at this worker's queue. */
  readonly received: number;
  /** Copies passed on to other workers, and got from them. */
  readonly passedOn: number;
  readonly taken: number;
}

/** See the module. */
export class SharedDevice implements Device {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures;
  readonly share: DeviceShare;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  private readonly queue: Device;
  private readonly env: Env;
  private readonly intake: Intake;
  private readonly exchange: Exchange;
  private readonly steering: Steering;
  private readonly fragments: FragmentSteering;
  private received = 0;

  /** @param queue this worker's; it is closed with this device */
  constructor(queue: Device, share: DeviceShare, lines: ExchangeLines, env: Env) {
    this.queue = queue;
    this.name = queue.name;
    this.mac = queue.mac;
    this.mtu = queue.mtu;
    this.medium = queue.medium;
    this.features = queue.features;
    this.share = share;
    this.sink = queue.sink;
    this.env = env;
    this.intake = new Intake(this, env);
    this.frames$ = this.intake.frames$;
    this.steering = new Steering(share, queue.medium);
    this.fragments = new FragmentSteering(this.steering, (frame, owner) => this.passTo(frame, owner), env);
    this.exchange = new Exchange(lines, (frame) => this.take(frame), env);
    queue.frames$.subscribe({
      next: (frame) => this.steer(frame),
      error: (error) => this.end(() => this.intake.fail(error)),
      complete: () => this.end(() => this.intake.complete()),
    });
  }

  get stats(): SharedDeviceStats {
    return { received: this.received, passedOn: this.exchange.sent, taken: this.exchange.received };
  }

  close(): Promise<void> {
    return this.queue.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private end(tell: () => void): void {
    this.exchange.close();
    this.fragments.dispose();
    tell();
  }

  private steer(frame: RxFrame): void {
    this.received++;
    const to = this.steering.destination(frame);
    if (to === this.share.index || to === HERE) this.intake.pass(frame);
    else if (to >= 0) this.passTo(frame, to);
    else if (to === EVERYONE) this.tellAll(frame);
    else if (this.share.index === FIRST_WORKER) this.fragments.receive(frame);
    else this.passTo(frame, FIRST_WORKER);
  }

  private tellAll(frame: RxFrame): void {
    this.exchange.postToAll(frame);
    // What becomes of it here is its fate.
    frame.fate = UNDER_WAY;
    this.intake.pass(frame);
  }

  private passTo(frame: Frame, owner: number): void {
    if (owner === this.share.index) return this.intake.pass(frame);
    this.exchange.post(frame, owner);
    this.env.drops.deliver(frame);
  }

  /** Takes what another worker passed on, which knows whose it is, except of fragments. */
  private take(frame: Frame): void {
    frame.device = this;
    frame.time = this.env.timers.now();
    frame.wholeEnd = frame.end;
    const isFragment = this.share.index === FIRST_WORKER && this.steering.destination(frame) === FRAGMENT;
    if (isFragment) this.fragments.receive(frame);
    else this.intake.pass(frame);
    frame.release();
  }
}
