/** Keepalive (RFC 9293 3.8.4): off unless asked for, only while idle, and one missing answer is not death. */

import type { TcpConfig } from './options.js';

/** Settings and progress of one connection's keepalive. Times in milliseconds. */
export class Keepalive {
  readonly idle: number;
  readonly interval: number;
  readonly count: number;
  /** When the peer was last heard. */
  heardAt = 0;
  /** Probes since then. */
  probes = 0;

  constructor(config: TcpConfig, idle?: number, interval?: number, count?: number) {
    this.idle = idle ?? config.keepAliveIdle;
    this.interval = interval ?? config.keepAliveInterval;
    this.count = count ?? config.keepAliveCount;
  }

  /** The peer was heard. */
  heard(now: number): void {
    this.heardAt = now;
    this.probes = 0;
  }

  /** When the next probe, or the verdict, is due. */
  get deadline(): number {
    return this.heardAt + this.idle + this.probes * this.interval;
  }

  /** Whether as many probes as allowed were sent and none was answered. */
  get exhausted(): boolean {
    return this.probes >= this.count;
  }
}
