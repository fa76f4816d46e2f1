/** A bridge that nobody notices, between two hosts: it shows what goes through it, and is reached by a VLAN of its own. */
import { bridgeDevice, link, vlanDevice } from '../drivers/index.js';
import { logPackets, ping } from '../operators/index.js';
import { type Device, environment, type Host, host, pretty, SimulationScheduler } from '../operators/main.js';

const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const [alice, left] = link({ ends: ['alice', 'left'] }, env).ends;
const [bob, right] = link({ ends: ['bob', 'right'] }, env).ends;

function hostOn(device: Device, address: string): Host {
  const me = host({ device, addresses: [address] }, env);
  device.frames$.pipe(me).subscribe(device.sink);
  return me;
}

const hostOfAlice = hostOn(alice, '10.0.0.1/24');
hostOn(bob, '10.0.0.2/24');

// Its own port has no address among theirs; it listens. Between real networks the ports are `openTap(...)`.
const bridge = bridgeDevice([left, right], { promiscuous: true }, env);
bridge.frames$.pipe(logPackets(pretty, console.log, { filter: 'arp or icmp or vlan' }, env)).subscribe();

// Those who watch are on VLAN 99, which the others do not see.
hostOn(vlanDevice(bridge, { vid: 99 }, env), '192.168.99.1/24');
const watcher = hostOn(vlanDevice(bob, { vid: 99 }, env), '192.168.99.2/24');

for (const [from, to] of [
  [hostOfAlice, '10.0.0.2'],
  [watcher, '192.168.99.1'],
] as const) {
  ping(from.ping, to, { count: 1 }, env).subscribe(({ kind }) => console.log(`ping ${to}: ${kind}`));
  scheduler.runFor(100);
}
console.log(`stations at ${bridge.stations.map(({ port }) => port.name).join(', ')}`);
