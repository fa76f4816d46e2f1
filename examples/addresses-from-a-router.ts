/** A gateway advertises a prefix for a minute; a host makes addresses of it, uses them, and is without when the minute is over. */
import { network } from '../operators/testing/index.js';

const prefix = { prefix: '2001:db8:1::/64', preferredLifetime: 30, validLifetime: 60 };
const net = network({
  hosts: {
    gateway: { advertise: { prefixes: [prefix], dnsServers: ['2001:db8:1::53'] } },
    // Keep the secret, and the host has the same address again the next time.
    me: { slaac: { secret: Uint32Array.of(1, 2, 3, 4), temporary: false } },
  },
});
const { gateway, me } = net.hosts;
me.autoconf.events$.subscribe((event) => {
  const what = 'origin' in event ? `${event.origin} ${event.address.toString()}` : '';
  const where = event.kind.startsWith('route-') && 'route' in event ? event.route.destination.toString() : '';
  console.log(`${(net.now / 1000).toFixed(0)} s: ${event.kind} ${what}${where}`.trimEnd());
});

net.runFor(10_000);
console.log(`name servers: ${me.autoconf.dnsServers.join(', ')}`);
// The gateway falls silent, without a word.
gateway.autoconf.interface6(net.links.lan.end('gateway'))?.advertiser?.dispose();
net.runFor(120_000);
net.dispose();
net.assertIdle();
