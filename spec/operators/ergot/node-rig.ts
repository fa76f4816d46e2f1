/** Ergot nodes on links in memory and in virtual time, and the bytes that went by the links. */

import { expect } from 'chai';
import { type Link, type LinkEnd, link, type LinkOptions } from '../../../drivers/link.js';
import type { Env } from '../../../lib/core/env.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot, type ErgotNode } from '../../../operators/ergot/ergot.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { hex } from '../../lib/ergot/bytes.js';

export const ping: e.Endpoint<number, number> = e.endpoint('ergot/.well-known/ping', e.u32, e.u32);
export const yeet: e.Topic<bigint> = e.topic('topic/yeet', e.u64);
export const address: (text: string) => number = e.parseNetAddress;

export class NodeRig {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env = environment({
    scheduler: this.scheduler,
    seed: 1,
    pool: new FramePool({ poison: true }),
  });
  /** What left the ends of links that are watched, in hexadecimal. */
  readonly wire: string[] = [];
  private readonly nodes: ErgotNode<number>[] = [];

  node(profile: e.Profile<number>, options: e.NetStackOptions = {}): ErgotNode<number> {
    const node = ergot(profile, options, this.env);
    this.nodes.push(node);
    return node;
  }

  cable(options: Omit<LinkOptions, 'medium'> = {}): Link {
    return link({ ...options, medium: 'ergot' }, this.env);
  }

  /** A cable between two nodes. */
  join(a: ErgotNode<number>, b: ErgotNode<number>, options: Omit<LinkOptions, 'medium'> = {}): Link {
    const cable = this.cable(options);
    a.plug(cable.ends[0]);
    b.plug(cable.ends[1]);
    return cable;
  }

  /** Notes in `wire` what a device is given to send. */
  watched(end: LinkEnd): LinkEnd {
    const sink: LinkEnd['sink'] = {
      ...end.sink,
      next: (frame) => {
        this.wire.push(hex(frame.bytes()));
        end.sink.next(frame);
      },
    };
    return new Proxy(end, { get: (target, key: keyof LinkEnd) => (key === 'sink' ? sink : target[key]) });
  }

  /** Ends all nodes: nothing is left. */
  end(): void {
    for (const node of this.nodes) node.dispose();
    this.scheduler.run();
    expect([this.env.pool.outstanding, this.scheduler.pending]).to.deep.equal([0, 0]);
  }
}
