/**
 * IPv4 gateways that do not answer (RFC 1122 3.3.1.4): the neighbour cache knows them, since it asks those that packets are sent to and nobody
 * vouches for. Where another route leads to the same prefix, it is taken instead, until the gateway answers: it is asked once a minute, as long
 * as a route goes by it. Gateways that IPv6 routers are come with routes of their own kind (`router-routes.ts`).
 */

import { Ipv4Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import type { IpLink } from '../l2/link.js';
import type { NeighbourEvent } from '../l2/neighbour-entry.js';
import type { IpTables } from './ip-tables.js';
import type { Routes } from './routes.js';

/** Between two questions to gateways that do not answer, in milliseconds; RFC 4191 3.2 has the same. */
const PROBE_INTERVAL = 60_000;
const MAPPED = 0xffff;

/** Keeps routes by gateways that do not answer out of use. */
export class DeadGateways {
  private readonly tables: IpTables;
  private readonly routes: Routes<4>;
  private readonly env: Env;
  private readonly links: readonly IpLink[];
  private readonly prober: Timer;
  private readonly undo: readonly (() => void)[];

  constructor(tables: IpTables, links: readonly IpLink[], env: Env) {
    this.tables = tables;
    this.routes = tables.routes;
    this.links = links;
    this.env = env;
    this.prober = env.timers.timer(() => this.probe());
    this.undo = links.map(
      ({ device, neighbours }) => neighbours?.observe((event) => this.heard(device, event)) ?? (() => {}),
    );
  }

  /** Cancels the timer, and forgets which gateways are dead. */
  dispose(): void {
    this.prober.cancel();
    for (const undo of this.undo) undo();
    this.routes.trustAll();
  }

  private heard(device: Device, { kind, address, state }: NeighbourEvent): void {
    if (!(address instanceof Ipv4Address)) return;
    if (state === 'unreachable' || (kind === 'removed' && state === 'incomplete')) {
      this.tables.nextHopFailed(device, address);
      if (this.routes.avoid(device, address) && !this.prober.armed) this.arm();
    } else if (kind !== 'removed' && (state === 'reachable' || state === 'stale' || state === 'static')) {
      this.routes.trust(device, address);
      if (this.routes.avoided.length === 0) this.prober.cancel();
    }
  }

  private arm(): void {
    this.prober.arm(this.env.timers.now() + PROBE_INTERVAL);
  }

  private probe(): void {
    for (const { device, gateway } of this.routes.avoided) {
      if (!this.routes.goBy(device, gateway)) this.routes.trust(device, gateway);
    }
    const { avoided } = this.routes;
    if (avoided.length > 0) this.arm();
    for (const { device, gateway } of avoided) {
      this.links.find((link) => link.device === device)?.neighbours?.ask(0, 0, MAPPED, gateway.value);
    }
  }
}
