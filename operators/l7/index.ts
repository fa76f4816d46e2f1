/** Configuration of hosts: clients and servers of DHCP. */

export type { DhcpHost } from './dhcp-host.js';
export {
  dhcpv4,
  type Dhcpv4Event,
  type Dhcpv4Options,
  type Dhcpv4ServeOptions,
  dhcpv4Server,
  type Dhcpv4ServerEvent,
} from './dhcpv4.js';
export {
  dhcpv6,
  type Dhcpv6Event,
  dhcpv6Information,
  type Dhcpv6InformationOptions,
  type Dhcpv6Options,
} from './dhcpv6.js';
export type { DhcpEvent } from '../../lib/l7/dhcpv4-client.js';
export type { DhcpLease } from '../../lib/l7/dhcpv4-lease.js';
export type { DhcpBinding } from '../../lib/l7/dhcpv4-pool.js';
export type { Dhcpv6Change } from '../../lib/l7/dhcpv6-client.js';
export type { Dhcpv6Information } from '../../lib/l7/dhcpv6-information.js';
export type { Dhcpv6Lease, Dhcpv6LeaseAddress } from '../../lib/l7/dhcpv6-lease.js';
export { type DnsSettings, DnsSources } from '../../lib/l7/dns-sources.js';
export type { DhcpOptions, DhcpRoute } from '../../lib/wire/dhcpv4-options.js';
