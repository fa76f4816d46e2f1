/** A power failure is over: hosts ask for addresses before the gateway that leases them is back, and have others until then. */
import { Ipv4Address } from '../lib/core/address.js';
import { dhcpv4, dhcpv4Server } from '../operators/main.js';
import { network } from '../operators/testing/index.js';

const net = network({ hosts: { gateway: '10.0.0.1/24', anne: {}, bert: {} } });
const { lan } = net.links;
const tell = (text: string) => console.log(`${(net.now / 1000).toFixed(0)} s: ${text}`);

const subscriptions = (['anne', 'bert'] as const).map((name) =>
  dhcpv4(net.hosts[name], { device: lan.end(name), hostName: name }).subscribe((event) => {
    const address = event.kind === 'link-local' ? event.address : event.lease?.address;
    tell(`${name}: ${event.kind} ${address?.toString() ?? ''}`.trimEnd());
  }),
);
net.runFor(60_000);

const own = Ipv4Address.parse('10.0.0.1');
const serving = dhcpv4Server(net.hosts.gateway, {
  device: lan.end('gateway'),
  address: '10.0.0.1/24',
  pool: ['10.0.0.100', '10.0.0.199'],
  leaseTime: 600,
  options: { routers: [own], dnsServers: [own] },
}).subscribe(({ kind, binding }) => tell(`gateway: ${kind} ${binding.address.toString()} ${binding.hostName ?? ''}`));
net.runFor(600_000);

// Leases are given back, and nothing is left.
for (const one of subscriptions) one.unsubscribe();
net.runFor(1000);
serving.unsubscribe();
net.dispose();
net.assertIdle();
