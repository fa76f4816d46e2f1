/** What DHCP needs of a host. */

import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import type { IpTables } from '../../lib/l3/ip-tables.js';
import type { UdpHost } from '../../lib/l4/udp.js';
import type { AddressClaims } from '../../lib/l7/dhcpv4-client.js';
import type { Claims6 } from '../../lib/l7/dhcpv6-lease.js';

/** A host that DHCP configures, or serves from; `host()` makes one. */
export interface DhcpHost {
  readonly env: Env;
  readonly tables: IpTables;
  readonly udp: UdpHost;
  /** Verifies IPv4 addresses on a device, where that is an Ethernet. */
  claims(device: Device): AddressClaims | undefined;
  /** Verifies IPv6 addresses on a device, where that is an Ethernet. */
  readonly autoconf?: { interface6(device: Device): Claims6 | undefined };
}
