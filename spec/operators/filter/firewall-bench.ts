/** A firewall and what its specs look at. */

import { expect } from 'chai';
import { Subject } from 'rxjs';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { DELIVERED, type Frame, type TxPacket } from '../../../lib/core/frame.js';
import type { FilterLog, RuleSource } from '../../../lib/filter/filter.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { firewall, type FirewallOptions } from '../../../operators/filter/firewall.js';
import { type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { driver } from '../flow/marbles.js';

/** A firewall that is given packets one by one, as a driver gives them. */
export class Bench {
  readonly env: VirtualEnv = virtualEnv();
  readonly wall: ReturnType<typeof firewall>;
  readonly replies: string[] = [];
  readonly logs: FilterLog[] = [];
  readonly notation: PacketNotation;
  private readonly packets$ = new Subject<Frame>();
  private passed = false;

  constructor(
    rules: RuleSource,
    { version }: { readonly version: 4 | 6 } = { version: 4 },
    options: FirewallOptions = {},
  ) {
    this.notation = new PacketNotation({ version, linkType: 'ip' });
    this.wall = firewall(rules, options, this.env);
    driver(this.packets$)
      .pipe(this.wall)
      .subscribe(() => {
        this.passed = true;
      });
  }

  /** Whether the packet passes, or why it does not. */
  judge(line: string, change: (frame: Frame) => void = () => undefined): string {
    const frame = this.notation.build(line, '<', this.env.pool);
    frame.network = frame.start;
    change(frame);
    const before = Uint8Array.from(frame.bytes());
    const { start, end } = frame;
    this.passed = false;
    frame.retain();
    this.packets$.next(frame);
    expect(frame.bytes()).to.deep.equal(before);
    expect([frame.start, frame.end]).to.deep.equal([start, end]);
    const { fate } = frame;
    frame.release();
    if (this.passed) expect(fate).to.equal(0);
    return this.passed ? 'passed' : fate === DELIVERED ? 'delivered' : dropReasonName(fate as DropReason);
  }

  /** Remembers what senders are told, in the notation. */
  listen(): this {
    this.wall.replies$.subscribe((packet: TxPacket) => {
      this.replies.push(this.notation.format(packet, '>'));
      packet.release();
    });
    this.wall.logs$.subscribe((entry) => this.logs.push(entry));
    return this;
  }

  end(): void {
    expect(this.env.pool.outstanding, 'frames left').to.equal(0);
  }
}

export const SYN = '< S 0:0(0) win 1000';
