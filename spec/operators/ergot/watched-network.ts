/**
 * Nodes on cables in virtual time, watched: each frame that a node receives must end there as delivered, as dropped, or be sent on, and in the
 * end nothing may be left, neither a frame nor a timer.
 */

import { expect } from 'chai';
import { Observable, type Observer, type Subscription } from 'rxjs';
import { type Link, type LinkOptions, link } from '../../../drivers/link.js';
import type { Device } from '../../../lib/core/device.js';
import { Drops } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { FramePool, type RxFrame, type TxFrame, UNDER_WAY } from '../../../lib/core/frame.js';
import type { Profile } from '../../../lib/ergot/index.js';
import { type ErgotNode, ergot } from '../../../operators/ergot/ergot.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

/** A node, and what became of its frames. */
export interface WatchedNode<A> {
  readonly name: string;
  readonly node: ErgotNode<A>;
  readonly env: Env;
  /** Frames that it received, and that it sent. */
  received: number;
  sent: number;
  /** Frames that it received, and that nothing became of. */
  lost: number;
}

/** A cable between two nodes. */
export interface Cable {
  readonly link: Link;
  /** Its ends, as the two nodes know them. */
  readonly ends: readonly [Device, Device];
  readonly plugs: readonly [Subscription, Subscription];
}

/** All nodes and cables. */
export class WatchedNetwork<A> {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly pool: FramePool = new FramePool({ poison: true });
  readonly nodes: WatchedNode<A>[] = [];
  readonly cables: Cable[] = [];
  /** What the cables are made with, and what they lose. */
  readonly wires: Env;
  private seed: number;

  constructor(seed: number) {
    this.seed = seed * 1_000;
    this.wires = this.environment();
  }

  /** An environment of its own, of the same clock and memory. */
  environment(): Env {
    return environment({ scheduler: this.scheduler, seed: this.seed++, pool: this.pool, drops: new Drops() });
  }

  add(name: string, profile: Profile<A>): WatchedNode<A> {
    const env = this.environment();
    const one = { name, node: ergot(profile, {}, env), env, received: 0, sent: 0, lost: 0 };
    this.nodes.push(one);
    return one;
  }

  /** Joins two nodes; `names` are those of the cable's ends. */
  connect(
    a: WatchedNode<A>,
    b: WatchedNode<A>,
    options: Omit<LinkOptions, 'medium' | 'ends'> = {},
    names: readonly [string, string] = [`${a.name}-${b.name}`, `${b.name}-${a.name}`],
  ): Cable {
    const made = link({ mtu: 1_024, ...options, medium: 'ergot', ends: names }, this.wires);
    const ends = [watch(made.ends[0], a), watch(made.ends[1], b)] as const;
    const cable = { link: made, ends, plugs: [a.node.plug(ends[0]), b.node.plug(ends[1])] as const };
    this.cables.push(cable);
    return cable;
  }

  /** Lets `ms` milliseconds pass. */
  run(ms: number): void {
    this.scheduler.runFor(ms);
  }

  /** Frames that were received so far by all nodes together. */
  get received(): number {
    return this.nodes.reduce((sum, { received }) => sum + received, 0);
  }

  /** Ends all, and expects that nothing is left. */
  end(): void {
    for (const { node } of this.nodes) node.dispose();
    for (const { link: made } of this.cables) void made.close();
    expect(
      this.nodes.filter(({ lost }) => lost > 0).map(({ name, lost }) => `${name} lost ${lost}`),
      'frames without a fate',
    ).to.deep.equal([]);
    expect(this.pool.outstanding, 'frames that nobody gave back').to.equal(0);
    expect(this.scheduler.pending, 'timers that are armed').to.equal(0);
  }
}

/** The device as its node sees it: what comes in must become something. */
function watch<A>(device: Device, node: WatchedNode<A>): Device {
  const { name, mac, mtu, medium, features } = device;
  const frames$ = new Observable<RxFrame>((subscriber) =>
    device.frames$.subscribe({
      next(frame) {
        frame.device = seen;
        const { sent } = node;
        node.received++;
        subscriber.next(frame);
        if (frame.fate === UNDER_WAY && node.sent === sent) node.lost++;
      },
      error: (error: unknown) => subscriber.error(error),
      complete: () => subscriber.complete(),
    }),
  );
  const sink: Observer<TxFrame> = {
    next(frame) {
      node.sent++;
      device.sink.next(frame);
    },
    error: (error: unknown) => device.sink.error(error),
    complete: () => device.sink.complete(),
  };
  const close = (): Promise<void> => device.close();
  const seen: Device = { name, mac, mtu, medium, features, frames$, sink, close, [Symbol.asyncDispose]: close };
  return seen;
}
