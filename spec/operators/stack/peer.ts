/** An application at one end of a connection: writes what it has in pieces, reads as fast or slowly as it is told, ends when it is its turn. */

import type { Env } from '../../../lib/core/env.js';
import type { NetError } from '../../../lib/core/errors.js';
import type { Random } from '../../../lib/core/random.js';
import type { Timer } from '../../../lib/core/timers.js';
import type { TcpConnection, TcpHandler } from '../../../lib/l4/tcp/api.js';

/** How a {@link Peer} behaves. */
export interface PeerPlan {
  /** What it sends. */
  readonly data: Uint8Array;
  /** Longest piece of one `write`, in bytes; the lengths are drawn. */
  readonly piece: number;
  /** Longest `read`, in bytes; the lengths are drawn. Default: all there is. */
  readonly sip?: number;
  /** Longest pause in milliseconds between reads; drawn. Default: reads at once. */
  readonly pause?: number;
  /** Sends nothing before it has read the whole stream of the other end: a half-closed connection. Default false. */
  readonly answers?: boolean;
  /** When it ends its stream, in ms, if it has written everything by then. Default: as soon as it has. */
  readonly endAt?: number;
  /** Resets the connection once it has written so many bytes. */
  readonly abortAfter?: number;
  /** Gives the connection up, whatever is unread or comes later, once it has written so many bytes. */
  readonly closeAfter?: number;
}

/** One end. */
export class Peer implements TcpHandler {
  connection: TcpConnection | undefined = undefined;
  readonly received: Uint8Array[] = [];
  receivedBytes = 0;
  error: NetError | undefined = undefined;
  closes = 0;
  /** How often a write took less than it was given. */
  blocked = 0;
  private readonly plan: PeerPlan;
  private readonly env: Env;
  private readonly random: Random;
  private readonly reader: Timer;
  private readonly ender: Timer;
  private written = 0;
  /** It gave the connection up. */
  private left = false;

  constructor(plan: PeerPlan, env: Env, random: Random) {
    this.plan = plan;
    this.env = env;
    this.random = random;
    this.reader = env.timers.timer(() => this.read());
    this.ender = env.timers.timer(() => this.connection?.end());
  }

  connected(): void {
    this.write();
  }

  readable(): void {
    const { pause } = this.plan;
    if (pause === undefined) this.read();
    else if (!this.reader.armed) this.reader.arm(this.env.timers.now() + this.random.float() * pause);
  }

  writable(): void {
    this.write();
  }

  flushed(): void {}

  closed(error: NetError | undefined): void {
    this.error = error;
    this.closes++;
    this.reader.cancel();
    this.ender.cancel();
  }

  /** What came, in one piece. */
  get bytes(): Uint8Array {
    return Buffer.concat(this.received);
  }

  private read(): void {
    const { connection, plan } = this;
    if (connection === undefined) return;
    const { sip = Number.POSITIVE_INFINITY, pause } = plan;
    for (;;) {
      const bytes = connection.read(sip === Number.POSITIVE_INFINITY ? sip : 1 + this.random.below(sip));
      if (bytes === undefined) break;
      this.received.push(bytes);
      this.receivedBytes += bytes.length;
      if (pause !== undefined) break;
    }
    if (connection.readEnded) {
      if (plan.answers === true) this.write();
    } else if (connection.readableBytes > 0) this.readable();
  }

  private write(): void {
    const { connection, plan } = this;
    const { data, piece, answers, abortAfter = Infinity, closeAfter = Infinity } = plan;
    if (connection === undefined || this.left || (answers === true && !connection.readEnded)) return;
    for (;;) {
      if (this.written >= Math.min(abortAfter, closeAfter)) {
        this.left = true;
        if (abortAfter <= closeAfter) connection.abort();
        else connection.close();
        return;
      }
      if (this.written === data.length) break;
      const end = Math.min(data.length, this.written + 1 + this.random.below(piece));
      const taken = connection.write(data.subarray(this.written, end));
      this.written += taken;
      if (this.written < end) {
        this.blocked++;
        return;
      }
    }
    if (plan.endAt === undefined) connection.end();
    else this.ender.arm(Math.max(plan.endAt, this.env.timers.now()));
  }
}
