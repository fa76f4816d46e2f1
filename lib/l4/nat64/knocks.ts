/**
 * SYNs from IPv4 that nobody expected: kept for a while without an answer, since the host of IPv6 may be opening the same connection from its side (RFC
 * 6146 3.5.2, RFC 5382 REQ-4). If it does not, their senders are told.
 */

import type { Env } from '../../core/env.js';
import type { Frame } from '../../core/frame.js';
import type { Timer } from '../../core/timers.js';
import type { PacketFields } from '../../wire/packet-fields.js';

/** More are not answered at all. */
const MOST = 256;

interface Knock {
  readonly frame: Frame;
  readonly deadline: number;
  readonly address: number;
  readonly port: number;
  readonly remote: number;
  readonly remotePort: number;
}

/** The SYNs that are kept. */
export class Knocks {
  /** Nobody opened the connection: the packet, as it came in, is to be answered. Valid during the call. */
  unanswered: ((frame: Frame) => void) | undefined = undefined;
  private readonly env: Env;
  private readonly time: number;
  private readonly timer: Timer;
  private kept: Knock[] = [];

  constructor(time: number, env: Env) {
    this.time = time;
    this.env = env;
    this.timer = env.timers.timer(() => this.expire());
  }

  get size(): number {
    return this.kept.length;
  }

  /** Keeps a copy of a SYN, which is the range of its frame. */
  add(frame: Frame, fields: PacketFields): void {
    const { destination3: address, destinationPort: port, source3: remote, sourcePort: remotePort } = fields;
    if (this.unanswered === undefined || this.kept.length >= MOST || this.find(address, port, remote, remotePort) >= 0)
      return;
    const copy = this.env.pool.copy(frame);
    copy.network = copy.start;
    this.kept.push({ frame: copy, deadline: this.env.timers.now() + this.time, address, port, remote, remotePort });
    if (!this.timer.armed) this.timer.arm(this.kept[0]?.deadline ?? Infinity);
  }

  /** The host of IPv6 opens a connection from this port of ours to that remote end. */
  answered(address: number, port: number, remote: number, remotePort: number): void {
    if (this.kept.length === 0) return;
    const at = this.find(address, port, remote, remotePort);
    if (at >= 0) this.kept.splice(at, 1)[0]?.frame.release();
  }

  dispose(): void {
    this.timer.cancel();
    for (const { frame } of this.kept.splice(0)) frame.release();
  }

  private find(address: number, port: number, remote: number, remotePort: number): number {
    return this.kept.findIndex(
      (one) => one.remotePort === remotePort && one.port === port && one.remote === remote && one.address === address,
    );
  }

  private expire(): void {
    const now = this.env.timers.now();
    while ((this.kept[0]?.deadline ?? Infinity) <= now) {
      const frame = this.kept.shift()?.frame;
      if (frame === undefined) break;
      this.unanswered?.(frame);
      frame.release();
    }
    this.timer.arm(this.kept[0]?.deadline ?? Infinity);
  }
}
