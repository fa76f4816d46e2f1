/**
 * SYNs that came in without anybody having asked for them: nothing is answered for some seconds, in which the internal host may send one of its
 * own, as both ends of a simultaneous open do; then their senders are told (RFC 5382 REQ-4).
 */

import type { Env } from '../../core/env.js';
import type { Frame } from '../../core/frame.js';
import type { Timer } from '../../core/timers.js';
import type { PacketFields } from '../../wire/packet-fields.js';

/** More are not answered at all, which is what senders of floods deserve. */
const MOST = 64;

interface Held {
  readonly frame: Frame;
  readonly deadline: number;
  readonly external: number;
  readonly port: number;
  readonly remotePort: number;
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
}

/** See the module. */
export class HeldSyns {
  private readonly held: Held[] = [];
  private readonly wait: number;
  private readonly report: (syn: Frame) => void;
  private readonly env: Env;
  private readonly timer: Timer;

  /** @param report is given each whose time is over; the frame starts at the IP header and is valid during the call */
  constructor(wait: number, report: (syn: Frame) => void, env: Env) {
    this.wait = wait;
    this.report = report;
    this.env = env;
    this.timer = env.timers.timer(() => this.expire());
  }

  /** How many are waiting. */
  get size(): number {
    return this.held.length;
  }

  /** Keeps a copy of a SYN that came to a port of the external address with that number: of the first one, where it is sent again. */
  hold(frame: Frame, fields: PacketFields, external: number): void {
    if (this.wait === 0 || this.held.length >= MOST) return;
    const { source0, source1, source2, source3, sourcePort, destinationPort } = fields;
    if (this.find(external, destinationPort, source0, source1, source2, source3, sourcePort) >= 0) return;
    const copy = this.env.pool.alloc(fields.length);
    const { bytes } = frame.slab;
    copy.slab.bytes.set(bytes.subarray(fields.network, fields.end), copy.put(fields.length));
    copy.adopt(frame);
    copy.network = copy.start;
    copy.wholeEnd = copy.end;
    const deadline = this.env.timers.now() + this.wait;
    const words = { word0: source0, word1: source1, word2: source2, word3: source3 };
    this.held.push({ frame: copy, deadline, external, port: destinationPort, remotePort: sourcePort, ...words });
    if (!this.timer.armed) this.timer.arm(deadline);
  }

  /** A SYN goes out from that port to that remote end, the address as four words: what came from there is answered by it. */
  answer(
    external: number,
    port: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    remotePort: number,
  ): void {
    const at = this.find(external, port, word0, word1, word2, word3, remotePort);
    if (at >= 0) for (const { frame } of this.held.splice(at, 1)) frame.release();
  }

  /** Forgets all of them; no timer is left. */
  dispose(): void {
    for (const { frame } of this.held.splice(0)) frame.release();
    this.timer.cancel();
  }

  /** The place of the one between those ends, or -1. */
  private find(
    external: number,
    port: number,
    word0: number,
    word1: number,
    word2: number,
    word3: number,
    remotePort: number,
  ): number {
    if (this.held.length === 0) return -1;
    return this.held.findIndex(
      (one) =>
        one.external === external &&
        one.port === port &&
        one.remotePort === remotePort &&
        one.word3 === word3 &&
        one.word2 === word2 &&
        one.word1 === word1 &&
        one.word0 === word0,
    );
  }

  private expire(): void {
    const now = this.env.timers.now();
    for (let [first] = this.held; first !== undefined && first.deadline <= now; [first] = this.held) {
      this.held.shift();
      this.report(first.frame);
      first.frame.release();
    }
    const [next] = this.held;
    if (next !== undefined) this.timer.arm(next.deadline);
  }
}
