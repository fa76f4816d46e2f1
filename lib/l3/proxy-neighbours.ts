/**
 * Answers for addresses that are behind a router, as if they were its own: hosts on one link then reach those of another without knowing of routers
 * (RFC 1027 2, RFC 4861 7.2.8).
 */

import { Cidr, type IpAddress, Ipv4Address } from '../core/address.js';
import type { EthernetLink } from '../l2/ethernet-link.js';
import type { IpTables } from './ip-tables.js';
import { isUnicast } from './routes.js';

/** For whom to answer: everybody whom a route by another interface leads to, or those of them in these networks. */
export type ProxyScope = boolean | readonly (Cidr | string)[];

/**
 * Begins to answer on a link.
 *
 * @param isOpen whether what comes in by it is taken further: nobody is to send us what we drop
 * @throws UsageError `ERR_INVALID_ADDRESS`
 */
export function proxyNeighbours(link: EthernetLink, tables: IpTables, scope: ProxyScope, isOpen: () => boolean): void {
  const networks = typeof scope === 'boolean' ? undefined : scope.map((one) => Cidr.of(one));
  const isElsewhere = (address: IpAddress): boolean => {
    if (address.isLinkLocal || address.isMulticast || tables.isLocal(address) || tables.isBroadcast(address))
      return false;
    const route =
      address.version === 4
        ? tables.route(address.value)
        : tables.route6(address.a, address.b, address.c, address.d, link.device);
    return route !== undefined && isUnicast(route) && route.device !== link.device;
  };
  const answers = (address: IpAddress): boolean =>
    scope !== false && isOpen() && isElsewhere(address) && (networks?.some((one) => one.contains(address)) ?? true);
  link.arp.proxy = (target) => answers(new Ipv4Address(target));
  link.ndp.proxy = answers;
}
