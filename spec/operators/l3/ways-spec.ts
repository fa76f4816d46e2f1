/** Packets of one flow are routed once: whatever happens to addresses and routes, each goes as it would if it were the first. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import { Subject } from 'rxjs';
import { Ipv4Address, Ipv6Address, MacAddress, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { asTxPacket, type TxFrame, type TxPacket } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { type IpLink, PointToPointLink } from '../../../lib/l2/link.js';
import { addressOfWords } from '../../../lib/l2/neighbour-table.js';
import { Egress } from '../../../lib/l3/egress.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { pushIpHeader } from '../../../lib/l3/ip-output.js';
import { EthernetFrame } from '../../../lib/wire/ethernet.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';

const SOURCES = { 4: ['10.0.0.1', '10.1.0.1', '127.0.0.1'], 6: ['fd00::1', 'fd01::1', 'fe80::1'] } as const;
const DESTINATIONS = {
  4: ['10.0.0.2', '10.1.0.2', '192.0.2.1', '224.0.0.9', '10.0.0.255', '255.255.255.255', '10.0.0.1'],
  6: ['fd00::2', 'fd01::2', '2001:db8::1', 'ff02::9', 'fe80::2', 'fd00::1'],
} as const;
const GATEWAYS = { 4: ['10.0.0.254', '10.1.0.254'], 6: ['fd00::fe', 'fd01::fe'] } as const;

/** A host of two links whose neighbours are all known; what it sends is told by device and MAC address. */
function bench() {
  const env = virtualEnv();
  const devices = [fakeDevice(env, { name: 'eth0' }), fakeDevice(env, { name: 'eth1', mtu: 1300 })] as const;
  const tables = new IpTables(env);
  const links = devices.map((device) => {
    const addresses = tables.arpAddresses(device);
    return new EthernetLink({ device, addresses, addresses6: tables.ndpAddresses(device) }, env);
  });
  for (const link of links) {
    const known = [DESTINATIONS[4], DESTINATIONS[6], GATEWAYS[4], GATEWAYS[6]].flat();
    known.forEach((address, i) => {
      if (!parseIp(address).isMulticast) link.neighbours.setStatic(parseIp(address), 0x0200_0000_0100 + i);
    });
  }
  const told: string[] = [];
  const input = new Subject<TxPacket | TxFrame>();
  const loopback = (packet: TxPacket): void => {
    told.push('loopback');
    packet.release();
  };
  const running = input.pipe(routeAndResolve({ tables, links, loopback }, env)).subscribe((frame) => {
    told.push(`${frame.device?.name} ${new MacAddress(new EthernetFrame(frame, frame.start).destination).toString()}`);
    frame.release();
  });
  const send = (version: 4 | 6, from: string, to: string, device: number, length: number): string => {
    told.length = 0;
    const before = env.drops.toJSON();
    const frame = env.pool.alloc(length);
    frame.put(length);
    frame.device = devices[device];
    const [source, destination] = [parseIp(from), parseIp(to)];
    const rest = { protocol: 17, hopLimit: 64, trafficClass: 0, dontFragment: true };
    pushIpHeader(frame, { version, source, destination, ...rest }, 0);
    input.next(asTxPacket(frame));
    const dropped = Object.entries(env.drops.toJSON()).filter(([name, count]) => before[name] !== count);
    return [...told, ...dropped.map(([name]) => name)].join();
  };
  return { env, devices, tables, send, dispose: () => running.unsubscribe() };
}

/** The next hops of a packet's pieces, on a link that sends another packet with each: a tunnel that the host carries itself. */
function hopsOfPieces(lan: readonly [string, string], peer: readonly [string, string], isForwarded: boolean): string[] {
  const env = virtualEnv();
  const under = fakeDevice(env, { name: 'under', medium: 'ip' });
  const over = fakeDevice(env, { name: 'over', medium: 'ip', mtu: 1430 });
  const tables = new IpTables(env);
  tables.addAddress(under, `${peer[0]}/16`);
  tables.addAddress(over, `${lan[0]}/16`);
  const tunnel: IpLink = new PointToPointLink(over, env);
  const egress = new Egress(
    { tables, links: [new PointToPointLink(under, env), tunnel] },
    (frame) => frame.release(),
    env,
  );
  const send = ([from, to]: readonly [string, string], length: number, device: Device): void => {
    const frame = env.pool.alloc(length);
    frame.slab.bytes.fill(0, frame.put(length), frame.end);
    if (isForwarded) {
      frame.route = tables.routeOf({ destination: `${from}/16`, device });
      frame.fragmentSize = 1280;
    }
    const [source, destination] = [parseIp(from), parseIp(to)];
    const rest = { protocol: 17, hopLimit: 64, trafficClass: 0, dontFragment: false };
    pushIpHeader(frame, { version: source.version, source, destination, ...rest }, 0);
    egress.send(asTxPacket(frame));
  };
  const hops: string[] = [];
  tunnel.send = (packet, a, b, c, d) => {
    hops.push(addressOfWords(a, b, c, d).toString());
    packet.release();
    send(peer, 100, under);
  };
  send(lan, 3_000, over);
  egress.dispose();
  expect(env.pool.outstanding).to.equal(0);
  return hops;
}

type Bench = ReturnType<typeof bench>;

/** Something that happens to the tables, and is repeated for a bench that has routed nothing yet. */
type Change = (bench: Bench) => void;

function quietly(change: Change): Change {
  return (on) => {
    try {
      change(on);
    } catch {
      // The address is there already.
    }
  };
}

const events: readonly Change[] = [
  ({ devices, tables }) => tables.addAddress(devices[0], '10.0.0.1/24'),
  ({ devices, tables }) => tables.addAddress(devices[1], '10.1.0.1/24'),
  ({ devices, tables }) => tables.removeAddress(devices[0], '10.0.0.1'),
  ({ devices, tables }) => tables.addAddress(devices[0], 'fd00::1/64'),
  ({ devices, tables }) => tables.addAddress(devices[1], 'fd01::1/64'),
  ({ devices, tables }) => tables.addAddress(devices[0], 'fe80::1/64'),
  ({ devices, tables }) => tables.removeAddress(devices[0], 'fd00::1'),
  ({ devices, tables }) => tables.addRoute({ destination: 'default', gateway: GATEWAYS[4][0], device: devices[0] }),
  ({ devices, tables }) =>
    tables.addRoute({ destination: '192.0.2.0/24', gateway: GATEWAYS[4][1], device: devices[1] }),
  ({ tables }) => tables.removeRoute('192.0.2.0/24'),
  ({ tables }) => tables.removeRoute('default'),
  ({ devices, tables }) => tables.addRoute({ destination: '::/0', gateway: GATEWAYS[6][0], device: devices[0] }),
  ({ devices, tables }) =>
    tables.addRoute({ destination: '2001:db8::/32', gateway: GATEWAYS[6][1], device: devices[1] }),
  ({ tables }) => tables.removeRoute('2001:db8::/32'),
  ({ devices, tables }) => tables.routes.avoid(devices[1], Ipv4Address.parse(GATEWAYS[4][1])),
  ({ tables }) => tables.routes.trustAll(),
  ({ devices, tables }) => tables.limitMtu(devices[0], 600),
  ({ devices, tables }) => tables.limitMtu6(devices[0], 1280),
  ({ tables }) => tables.foundMtu(Ipv4Address.parse('10.0.0.2'), 700),
  ({ tables }) => tables.foundMtu(Ipv6Address.parse('fd00::2'), 1290),
];
const changes = events.map(quietly);

interface Packet {
  readonly version: 4 | 6;
  readonly from: string;
  readonly to: string;
  readonly device: number;
  readonly length: number;
}

const packets: fc.Arbitrary<Packet> = fc.constantFrom<4 | 6>(4, 6).chain((version) =>
  fc.record({
    version: fc.constant(version),
    from: fc.constantFrom(...SOURCES[version]),
    to: fc.constantFrom(...DESTINATIONS[version]),
    device: fc.constantFrom(0, 1),
    length: fc.constantFrom(10, 640, 1260, 1400),
  }),
);

/** What a bench that has routed nothing yet says of a packet after these changes. */
function first(past: readonly Change[], { version, from, to, device, length }: Packet): string {
  const fresh = bench();
  for (const change of past) change(fresh);
  const said = fresh.send(version, from, to, device, length);
  fresh.dispose();
  expect(said).not.to.equal('');
  expect(fresh.env.pool.outstanding).to.equal(0);
  return said;
}

describe('the ways of packets', () => {
  it('are those of the first packet after each change of addresses, routes and MTUs', () => {
    const steps = fc.array(fc.nat(changes.length - 1), { maxLength: 12 });
    const flows = fc.array(packets, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(flows, steps, (all, later) => {
        const used = bench();
        const past = [0, 1, 3, 4, 7, 11].flatMap((index) => changes[index] ?? []);
        for (const change of past) change(used);
        for (const index of [0, ...later]) {
          const change = changes[index] ?? changes[0];
          if (change === undefined) continue;
          change(used);
          past.push(change);
          for (const flow of all) {
            const { version, from, to, device, length } = flow;
            const expected = first(past, flow);
            for (let i = 0; i < 2; i++) expect(used.send(version, from, to, device, length)).to.equal(expected);
          }
        }
        used.dispose();
        expect(used.env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });

  for (const [version, lan, peer] of [
    [4, ['10.0.0.1', '10.0.0.2'], ['10.1.0.1', '10.1.1.2']],
    [6, ['fd00::1', 'fd00::2'], ['fd01::1', 'fd01::2']],
  ] as const) {
    for (const isForwarded of [false, true]) {
      it(`IPv${version}: stay those of a packet ${isForwarded ? 'of others ' : ''}that is cut, whatever is sent meanwhile`, () => {
        const hop = parseIp(lan[1]).toString();
        expect(hopsOfPieces(lan, peer, isForwarded)).to.deep.equal([hop, hop, hop]);
      });
    }
  }
});
