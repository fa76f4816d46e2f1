/** Real TCP hosts on a wire in memory and on the wall clock, with the face of the fake: the same suites run on both. */

import { type IpAddress, ipOf } from '../../../lib/core/address.js';
import type { Env } from '../../../lib/core/env.js';
import { Frame, FramePool, type TxPacket } from '../../../lib/core/frame.js';
import { TcpHost } from '../../../lib/l4/tcp/tcp-host.js';
import { environment } from '../../../operators/time/environment.js';
import { viewOf } from '../l4/tcp/pair.js';

/** What the suites need of a network. */
export class RealNetwork {
  readonly env: Env = environment({ pool: new FramePool({ poison: true }) });
  readonly hosts: Map<string, TcpHost> = new Map();
  #queue: (() => void)[] = [];
  #scheduled = false;

  host(address: string): TcpHost {
    const own = ipOf(address);
    const isLocal = (other: IpAddress) => other.equals(own) || other.isLoopback;
    const host = new TcpHost(
      {
        path: (to) => ({ source: to.isLoopback ? to : own, mtu: 1500 }),
        isLocal,
        isBroadcast: (to) => to.isBroadcast,
      },
      // Nobody in these suites waits for what may still be under way.
      { timeWait: 1 },
      this.env,
    );
    host.output.emit = (packet) => this.#carry(host, packet);
    this.hosts.set(address, host);
    return host;
  }

  #carry(from: TcpHost, packet: TxPacket): void {
    const bytes = packet.bytes().slice();
    packet.release();
    this.#queue.push(() => this.#arrive(from, bytes));
    this.#kick();
  }

  #kick(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const event of this.#queue.splice(0)) event();
      if (this.#queue.length > 0) this.#kick();
    });
  }

  #arrive(from: TcpHost, bytes: Uint8Array): void {
    const frame = this.env.pool.copy(Frame.from(bytes));
    const packet = viewOf(frame);
    if (packet !== undefined) {
      const to = packet.destinationAddress;
      const target = to.isLoopback ? from : this.hosts.get(to.toString());
      target?.receive(packet);
    }
    frame.release();
  }

  get connections(): number {
    return [...this.hosts.values()].reduce((sum, host) => sum + host.size, 0);
  }
}
