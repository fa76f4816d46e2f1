/** A home: its router leases and advertises addresses, hides who is inside behind its own, and lets a desk there be reached from outside by one port. */
import { text } from 'node:stream/consumers';
import { merge } from 'rxjs';
import { link } from '../drivers/index.js';
import { conntrack, firewall, nat, type Router, router, toDevices } from '../operators/index.js';
import { type Device, dhcpv4, dhcpv4Server, environment } from '../operators/main.js';
import { type Host, host, type HostInterface, Ipv4Address, nodeNet, SimulationScheduler } from '../operators/main.js';

const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const [lan, desk] = link({ ends: ['lan', 'desk'] }, env).ends;
const [wan, street] = link({ ends: ['wan', 'street'] }, env).ends;

const tracking = conntrack({}, env);
const masquerade = { kind: 'masquerade', out: 'wan' } as const;
const forwarded = { kind: 'forward', on: 'wan', protocol: 'tcp', ports: 8080, to: '192.168.7.2', toPort: 80 } as const;
const translator = nat([masquerade, forwarded], { conntrack: tracking, tables: () => home.tables }, env);
const rules =
  'ct state established,related accept; iifname "lan" accept; ip daddr 192.168.7.2 tcp dport 80 accept; drop';
const interfaces = [
  { device: lan, addresses: ['192.168.7.1/24', '2001:db8:7::1/64'], advertise: true },
  { device: wan, addresses: ['198.51.100.1/24'] },
];
const hooks = {
  prerouting: [tracking, translator.prerouting],
  forward: firewall(rules, {}, env),
  postrouting: [translator.postrouting, tracking.confirm],
};
const home: Router = router({ interfaces, hooks }, env);
merge(lan.frames$, wan.frames$).pipe(home).subscribe(toDevices(lan, wan));
const pool = ['192.168.7.100', '192.168.7.199'] as const;
const reservations = { [desk.mac.toString()]: '192.168.7.2' };
const options = { routers: [Ipv4Address.parse('192.168.7.1')] };
dhcpv4Server(home, { device: lan, address: '192.168.7.1/24', pool, reservations, options }).subscribe();

function hostOn(device: Device, how: Partial<HostInterface>): Host {
  const me = host({ interfaces: [{ device, ...how }] }, env);
  device.frames$.pipe(me).subscribe(device.sink);
  return me;
}
const inside = hostOn(desk, { slaac: { temporary: false } });
const outside = hostOn(street, { addresses: ['198.51.100.7/24'] });
dhcpv4(inside, { device: desk }).subscribe(({ kind }) => console.log(`the desk's lease: ${kind}`));
await scheduler.advance(20_000);
const { addresses, addresses6 } = inside.tables;
for (const { cidr } of [...addresses.list(), ...addresses6.list()]) console.log(`the desk has ${cidr.toString()}`);

/** Connects, and prints what `server` says: whom it sees. */
async function read(client: Host, server: Host, to: string, port: number): Promise<void> {
  nodeNet(server.tcp)
    .createServer((socket) => socket.end(`hello, ${socket.remoteAddress}`))
    .listen(80, '0.0.0.0');
  let said: string | undefined;
  void text(nodeNet(client.tcp).connect(port, to).end()).then((all) => (said = all));
  await scheduler.advance(10_000, () => said !== undefined);
  console.log(`${to} port ${port}: ${said}`);
}
await read(inside, outside, '198.51.100.7', 80);
await read(outside, inside, '198.51.100.1', 8080);
