/** What the specs of autoconfiguration share. */

import { parseIp } from '../../../lib/core/address.js';
import type { InterfaceAddress6 } from '../../../lib/l3/addresses6.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { AutoconfEvent, AutoconfOptions, Host } from '../../../operators/index.js';
import type { Network } from '../../../operators/testing/index.js';

export const PREFIX = '2001:db8:1::/64';
export const ROUTER: AutoconfOptions = {
  advertise: { maxInterval: 10_000, mtu: 1_400, prefixes: [{ prefix: PREFIX }] },
};
export const SECRET: Uint32Array = Uint32Array.of(1, 2, 3, 4);
export const SLAAC: AutoconfOptions = { slaac: { secret: SECRET, temporary: false } };

export function textOf(event: AutoconfEvent): string {
  switch (event.kind) {
    case 'route-added':
    case 'route-removed':
      return `${event.kind} ${event.route.destination.toString()}`;
    case 'parameters':
    case 'dns':
    case 'no-router':
      return event.kind;
    default:
      return 'origin' in event ? `${event.kind} ${event.origin}` : event.kind;
  }
}

/** What happens to the addresses of a host, with the time. */
export function logOf(me: Host): string[] {
  const log: string[] = [];
  me.autoconf.events$.subscribe((event) => log.push(textOf(event)));
  return log;
}

export const addressesOf = (me: Host): string[] => me.tables.addresses6.list().map(({ cidr }) => cidr.toString());
export const global = (me: Host): InterfaceAddress6 | undefined =>
  me.tables.addresses6.list().find(({ cidr, tentative }) => !tentative && !cidr.address.isLinkLocal);

/** Whether a datagram of a's arrives at b. */
export function reaches(net: Network, a: Host, b: Host, to: string): boolean {
  let heard = false;
  const server = b.udp.bind(anyEndpoint(6, 7), { message: () => (heard = true), error() {} });
  const client = a.udp.bind(anyEndpoint(6, 0), { message() {}, error() {} });
  try {
    client.send(new Uint8Array(1), { address: parseIp(to), port: 7 });
  } catch {
    // There is no way.
  }
  net.runFor(100);
  server.close();
  client.close();
  return heard;
}

export function finish(net: Network): void {
  net.dispose();
  net.assertIdle();
}
