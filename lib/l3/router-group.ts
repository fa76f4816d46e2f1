/** The place of a router's interface among all routers of its link, who are a group of IPv6 (RFC 4291 2.8): while it has an address there. */

import type { Device } from '../core/device.js';
import type { IpTables } from './ip-tables.js';
import type { Multicast } from './multicast.js';
import { ALL_ROUTERS } from './scope.js';

/** See the module. */
export class RouterGroup {
  private readonly device: Device;
  private readonly tables: IpTables;
  private readonly multicast: Multicast;
  private isRouter = false;
  private isMember = false;

  /** Nobody's yet; follows what addresses the device has. */
  constructor(device: Device, tables: IpTables, multicast: Multicast) {
    this.device = device;
    this.tables = tables;
    this.multicast = multicast;
    tables.addresses6.observe(() => this.follow());
  }

  /** Says whether the interface is a router's. */
  appear(isRouter: boolean): void {
    this.isRouter = isRouter;
    this.follow();
  }

  private follow(): void {
    const { device, isRouter, multicast } = this;
    const { addresses6 } = this.tables;
    const is = isRouter && addresses6.list().some((one) => one.device === device && !one.tentative);
    if (is === this.isMember) return;
    this.isMember = is;
    if (is) multicast.join(device, ALL_ROUTERS);
    else multicast.leave(device, ALL_ROUTERS);
  }
}
