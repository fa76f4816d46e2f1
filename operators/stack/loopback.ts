/** The loopback of a host: what it sends to itself comes in again, in order, and never from within the call that sent it. */

import { type Observable, Subject } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { asRx, type RxFrame, type TxPacket } from '../../lib/core/frame.js';
import type { Timer } from '../../lib/core/timers.js';
import { loopBack } from '../../lib/l3/egress.js';

// One turn handles at most this many packets, so that two ends that talk to each other do not keep everybody else from the processor.
const BUDGET = 1024;

/** A queue between a host's output and its input. */
export class Loopback {
  readonly packets$: Observable<RxFrame>;
  private readonly env: Env;
  private readonly packets = new Subject<RxFrame>();
  private readonly queue: TxPacket[] = [];
  private readonly timer: Timer;

  constructor(env: Env) {
    this.env = env;
    this.packets$ = this.packets.asObservable();
    this.timer = env.timers.timer(() => this.drain());
  }

  /** Takes over the packet's reference. */
  send(packet: TxPacket): void {
    this.queue.push(packet);
    if (!this.timer.armed) this.timer.arm(this.env.timers.now());
  }

  /** Ends `packets$`; what waits is dropped. */
  dispose(): void {
    this.timer.cancel();
    for (const packet of this.queue.splice(0)) {
      this.env.drops.refuse(DropReason.Disposed, packet, 'loopback');
    }
    this.packets.complete();
  }

  private drain(): void {
    const now = this.env.timers.now();
    for (let left = BUDGET; left > 0; left--) {
      const packet = this.queue.shift();
      if (packet === undefined) return;
      const frame = loopBack(packet, now);
      this.packets.next(asRx(frame));
      frame.release();
    }
    this.timer.arm(now);
  }
}
