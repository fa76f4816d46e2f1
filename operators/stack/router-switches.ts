/** The switches of a router's interface, and what neighbours see of them: who takes nothing further is no router to them (RFC 4861 6.2.5). */

import type { Device } from '../../lib/core/device.js';
import { EthernetLink } from '../../lib/l2/ethernet-link.js';
import type { ForwardInterface } from '../../lib/l3/forward.js';
import { RouterGroup } from '../../lib/l3/router-group.js';
import type { HostParts } from './host-parts.js';

/** See the module. */
export class RouterSwitches implements ForwardInterface {
  readonly device: Device;
  /** What the forwarder looks at. */
  private readonly plain: ForwardInterface;
  private readonly parts: HostParts;
  private readonly group: RouterGroup;

  constructor(plain: ForwardInterface, parts: HostParts) {
    this.device = plain.device;
    this.plain = plain;
    this.parts = parts;
    this.group = new RouterGroup(plain.device, parts.tables, parts.multicast);
    this.appear();
  }

  get forwarding(): boolean {
    return this.plain.forwarding ?? true;
  }

  set forwarding(is: boolean) {
    if (is === this.forwarding) return;
    this.plain.forwarding = is;
    this.appear();
  }

  get redirects(): boolean {
    return this.plain.redirects ?? true;
  }

  set redirects(are: boolean) {
    this.plain.redirects = are;
  }

  get clampMss(): boolean | number {
    return this.plain.clampMss ?? false;
  }

  set clampMss(most: boolean | number) {
    this.plain.clampMss = most;
  }

  /** Is a router to the neighbours on the link, or a host. */
  private appear(): void {
    const { device, forwarding } = this;
    const { autoconf, links } = this.parts;
    const link = links.find((one) => one.device === device);
    if (!(link instanceof EthernetLink)) return;
    const six = autoconf.interface6(device);
    if (forwarding) six?.startAdvertising();
    else six?.stopAdvertising();
    link.ndp.isRouter = forwarding;
    this.group.appear(forwarding);
  }
}
