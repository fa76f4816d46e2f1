/** The links of an ergot node as devices: where their frames come in and go out, until the node ends. */

import { filter, Observable, type OperatorFunction, Subject, Subscription, takeUntil } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { ErgotError } from '../../lib/ergot/error.js';
import { ErgotMachine } from '../../lib/ergot/machine.js';
import type { NetStackOptions } from '../../lib/ergot/net-stack.js';
import type { LinkStatus, Profile } from '../../lib/ergot/profile.js';
import { responder } from '../flow/responder.js';
import type { LinkFailure } from './ergot-api.js';

/** The links of one node, and the node between them. */
export class ErgotLinks<A> {
  readonly machine: ErgotMachine<A>;
  readonly ended$: Subject<void> = new Subject();
  readonly failures$: Subject<LinkFailure> = new Subject();
  private readonly changes = new Subject<void>();
  /** Where the frames of links go that are piped through the node. */
  private emit: ((frame: TxFrame) => void) | undefined;
  private readonly piped = new Set<Device>();
  private readonly plugged = new Subscription();
  private started = false;
  private failed = false;
  private open = true;

  constructor(profile: Profile<A>, options: NetStackOptions, env: Env) {
    const outside = {
      transmit: (link: Device, frame: Frame) => this.transmit(link, frame),
      changed: () => this.changes.next(),
    };
    this.machine = new ErgotMachine(profile, outside, options, env);
  }

  get links$(): Observable<readonly LinkStatus<A>[]> {
    return new Observable((subscriber) => {
      const tell = (): void => subscriber.next([...this.machine.profile.links]);
      if (!this.open) return subscriber.complete();
      tell();
      return this.changes.subscribe({ next: tell, complete: () => subscriber.complete() });
    });
  }

  operator(links: readonly Device[]): OperatorFunction<RxFrame, TxFrame> {
    const node = responder<RxFrame, TxFrame>((emit) => {
      this.begin(links, emit);
      return { next: (frame) => this.machine.receive(frame.device, frame), teardown: () => this.close() };
    });
    return (frames$) => frames$.pipe(node, takeUntil(this.ended$.pipe(filter(() => !this.failed))));
  }

  plug(link: Device): Subscription {
    this.checkOpen();
    this.machine.attach(link);
    let isAttached = true;
    // Once: who is told that a link ended may have plugged it in again since.
    const detach = (): void => {
      if (isAttached) {
        isAttached = false;
        this.machine.detach(link);
      }
    };
    const subscription = link.frames$.subscribe({
      next: (frame) => this.machine.receive(link, frame),
      complete: detach,
      error: (error: unknown) => {
        detach();
        this.failures$.next({ link, error });
      },
    });
    subscription.add(detach);
    this.plugged.add(subscription);
    return subscription;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.machine.close();
    this.plugged.unsubscribe();
    this.emit = undefined;
    this.ended$.next();
    for (const subject of [this.ended$, this.changes, this.failures$]) subject.complete();
  }

  private begin(links: readonly Device[], emit: (frame: TxFrame) => void): void {
    if (this.started) throw new UsageError('ERR_INVALID_STATE', 'a node is subscribed once: make another one');
    this.checkOpen();
    this.started = true;
    this.emit = emit;
    try {
      for (const link of links) {
        this.piped.add(link);
        this.machine.attach(link);
      }
    } catch (error) {
      // The output ends with this error.
      this.failed = true;
      this.close();
      throw error;
    }
  }

  private checkOpen(): void {
    if (!this.open) throw new ErgotError('ERR_ERGOT_CLOSED', 'the node has ended');
  }

  private transmit(link: Device, frame: Frame): void {
    frame.device = link;
    if (!this.piped.has(link)) link.sink.next(asTx(frame));
    else if (this.emit !== undefined) this.emit(asTx(frame));
    else this.machine.env.drops.refuse(DropReason.DeviceDown, frame, 'ergot');
  }
}
