/** What the specs of flow tracking share: a tracker in virtual time, and scripts of packets with what is to be said of each. */

import { expect } from 'chai';
import type { DropReason } from '../../../../lib/core/drops.js';
import type { Env } from '../../../../lib/core/env.js';
import { FlowState, type Frame } from '../../../../lib/core/frame.js';
import type { Flow } from '../../../../lib/l4/conntrack/flow.js';
import { FlowTracker } from '../../../../lib/l4/conntrack/flow-tracker.js';
import type { TrackingOptions } from '../../../../lib/l4/conntrack/options.js';
import { PacketNotation } from '../../../../lib/text/notation.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import type { VersionFacts } from '../../../both-versions.js';

/** A connection that is opened. */
export const OPEN: string = `
  new          < S 0:0(0) win 1000 <mss 1460>
  established  > S. 0:0(0) ack 1 win 1000 <mss 1460>
  established  < . 1:1(0) ack 1 win 1000`;

const STATES = ['untracked', 'new', 'established', 'related', 'invalid'];

/** The word for what a frame's `flowState` says. */
export function stateOf(frame: Frame): string {
  return STATES[frame.flowState] ?? '?';
}

/** A tracker for packets between hosts a (`>`) and b (`<`). */
export class Tracked {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env = environment({ scheduler: this.scheduler, seed: 7 });
  readonly tracker: FlowTracker;
  readonly notation: PacketNotation;
  /** Of the last packet that belonged to one. */
  flow = 0;

  constructor(facts: VersionFacts, options: TrackingOptions = {}) {
    this.tracker = new FlowTracker({ capacity: 1000, ...options }, this.env);
    const local = facts.a.toString();
    const remote = facts.b.toString();
    // Sequence numbers wrap in every connection.
    this.notation = new PacketNotation({ local, remote, remoteIsn: 0xffff_fff0 });
  }

  /** Sends a packet all the way; returns why it was dropped. */
  pass(frame: Frame): DropReason | undefined {
    this.tracker.track(frame);
    return this.tracker.confirm(frame);
  }

  send(text: string): Frame {
    const frame = this.notation.build(text);
    this.pass(frame);
    if (frame.flow !== 0) this.flow = frame.flow;
    return frame;
  }

  /** The flow that the last packet belonged to. */
  get last(): Flow | undefined {
    return this.tracker.table.flow(this.flow);
  }

  /**
   * Runs a script: in each line first a state, then a packet; or `wait` and milliseconds; or `phase` and that of the last packet's flow, `gone`
   * where there is none.
   */
  run(script: string): this {
    for (const line of script.split('\n').map((one) => one.trim())) {
      if (line === '') continue;
      const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
      if (word === 'wait') this.scheduler.runFor(Number(rest));
      else if (word === 'phase') expect(this.last?.phase ?? 'gone', script).to.equal(rest);
      else expect(`${stateOf(this.send(rest))} ${rest}`, script).to.equal(`${word} ${rest}`);
    }
    return this;
  }
}

/** Whether the frame was found to be in no flow. */
export function isInvalid(frame: Frame): boolean {
  return frame.flowState === FlowState.Invalid && frame.flow === 0;
}
