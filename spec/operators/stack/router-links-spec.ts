import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { Icmpv6Type } from '../../../lib/wire/icmpv6.js';
import { RouterAdvertisement, RouterSolicitation } from '../../../lib/wire/ndp.js';
import { forBothVersions } from '../../both-versions.js';
import { ether6, ip6, messageIn, ndpPacket, PEER6 } from '../l3/packets6.js';
import { RouterBench } from '../l3/router-bench.js';
import { pair, pinged, PLACES, routed } from './router-networks.js';

forBothVersions('a router and its links', ({ version }) => {
  const { a, b } = PLACES[version];
  const bits = version === 4 ? 32 : 128;

  it('answers for hosts behind it, to those who think that they are neighbours', async () => {
    // Hosts whose networks are so large that they know of no router.
    const { net, router } = routed(
      { a: { addresses: `${a}/8` }, b: { addresses: `${b}/8` } },
      {
        r: {
          on: {
            left: { addresses: ['10.1.0.1/24', 'fd01::1/64'], proxy: true },
            right: { addresses: ['10.2.0.1/24', 'fd02::1/64'], proxy: [version === 4 ? '10.1.0.0/24' : 'fd01::/64'] },
          },
        },
      },
      { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
    );
    expect((await pinged(net, net.hosts.a, b))[0]).to.include({ kind: 'reply', hopLimit: 63 });
    // Not for a neighbour of its own, nor for one whom nothing leads to, or a route that leads nowhere.
    const neighbour = version === 4 ? '10.1.0.77' : 'fd01::77';
    const nobody = version === 4 ? '10.9.0.1' : 'fd09::1';
    const lost = version === 4 ? '10.8.0.1' : 'fd08::1';
    router.tables.addRoute({ destination: version === 4 ? '10.8.0.0/16' : 'fd08::/32', type: 'blackhole' });
    for (const to of [neighbour, nobody, lost]) {
      expect((await pinged(net, net.hosts.a, to, { timeout: 5000 }))[0]).to.include({ error: 'host-unreachable' });
    }
    expect(router.env.drops.count(DropReason.IpNoRoute)).to.equal(0);
    net.dispose();
  });

  it('answers for nobody outside the networks that it is told', async () => {
    const { net } = routed(
      { a: { addresses: `${a}/8` }, b: { addresses: `${b}/8` } },
      {
        r: {
          on: {
            left: { addresses: ['10.1.0.1/24', 'fd01::1/64'], proxy: [version === 4 ? '10.7.0.0/16' : 'fd07::/16'] },
            right: { addresses: ['10.2.0.1/24', 'fd02::1/64'], proxy: true },
          },
        },
      },
      { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
    );
    expect((await pinged(net, net.hosts.a, b, { timeout: 5000 }))[0]).to.include({ error: 'host-unreachable' });
    net.dispose();
  });

  it('tells a host of a better first hop, which takes it, and says so no more', async () => {
    const far = version === 4 ? '192.0.2.1' : '2001:db8::1';
    const network = version === 4 ? '192.0.2.0/24' : '2001:db8::/32';
    const all = version === 4 ? '0.0.0.0/0' : '::/0';
    const { net, routers } = routed(
      {
        a: {
          addresses: [`${a}/${version === 4 ? 24 : 64}`],
          routes: [{ destination: all, gateway: version === 4 ? '10.1.0.1' : 'fe80::1' }],
          icmp: { redirects: true },
        },
      },
      {
        r: {
          on: { lan: { addresses: ['10.1.0.1/24', 'fd01::1/64', 'fe80::1/64'] } },
          routes: [{ destination: network, gateway: version === 4 ? '10.1.0.3' : 'fe80::3', link: 'lan' }],
        },
        other: {
          on: {
            lan: { addresses: ['10.1.0.3/24', 'fd01::3/64', 'fe80::3/64'] },
            far: { addresses: [`${far}/${bits - 8}`] },
          },
        },
        stub: { on: { far: { addresses: [version === 4 ? '192.0.2.2/24' : '2001:db8::2/120'] } } },
      },
      { lan: { between: ['a', 'r', 'other'] }, far: { between: ['other', 'stub'] } },
    );
    const { r, other } = routers;
    expect((await pinged(net, net.hosts.a, far))[0]).to.include({ kind: 'reply' });
    const device = r?.tables.addresses.list()[0]?.device;
    expect(device && r?.forwarded(device)).to.include({ received: 1, sent: 1 });
    expect((await pinged(net, net.hosts.a, far))[0]).to.include({ kind: 'reply', hopLimit: 64 });
    // The second went by the other router at once.
    expect(device && r?.forwarded(device)).to.include({ received: 1, sent: 1 });
    expect(other?.env.drops.count(DropReason.IpNoRoute)).to.equal(0);
    net.dispose();
  });
});

describe('a router that advertises itself', () => {
  it('gives hosts addresses of the networks of its interfaces, and a way', async () => {
    const { net } = routed(
      { a: { slaac: true, addresses: [] }, b: { addresses: ['fd02::2/64'], gateway: 'fd02::1' } },
      {
        r: {
          on: {
            left: { addresses: ['fd01::1/64'], advertise: true },
            right: { addresses: ['fd02::1/64'] },
          },
        },
      },
      { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
    );
    net.runFor(20_000);
    const prefix = parseIp('fd01::').word(0);
    const own = net.hosts.a.tables.addresses6.list().map(({ cidr }) => cidr.address);
    expect(own.some(({ a: word }) => word === prefix)).to.equal(true);
    expect((await pinged(net, net.hosts.a, 'fd02::2'))[0]).to.include({ kind: 'reply', hopLimit: 63 });
    net.dispose();
  });

  it('says in its neighbour advertisements that it is a router', async () => {
    const { net } = pair();
    await pinged(net, net.hosts.a, 'fd01::1');
    const [device] = net.hosts.a.tables.addresses6.list().map(({ device: own }) => own);
    const neighbours = device && net.hosts.a.neighbours(device)?.entries();
    expect(neighbours?.find(({ address }) => address.toString() === 'fd01::1')).to.include({ isRouter: true });
    net.dispose();
  });
});

describe('a router that is solicited', () => {
  const host = ip6('fe80::77');
  const solicit = (bench: RouterBench, mac: number): string => {
    const options = [{ kind: 'source-link-address', mac }] as const;
    const ends = { source: host, destination: ip6('ff02::2') };
    return bench.receiveBytes('left', ether6(ndpPacket((frame) => RouterSolicitation.emit(frame, options), ends)));
  };

  it('RFC 4861 6.2.6: learns where the host is, but no address that no host has', () => {
    const bench = new RouterBench(6, { left: { advertise: {} } });
    const known = () => bench.me.neighbours(bench.left)?.get(host)?.mac;
    for (const mac of [0, 0xffff_ffff_ffff, 0x3333_0000_0001, bench.left.mac.value]) {
      expect(solicit(bench, mac)).to.equal('taken');
      expect(known()).to.equal(undefined);
    }
    solicit(bench, PEER6.mac);
    expect(known()).to.equal(PEER6.mac);
    solicit(bench, 0xffff_ffff_ffff);
    expect(known()).to.equal(PEER6.mac);
    bench.close();
  });

  it('RFC 4861 6.2.3: says what does not fit into one advertisement in several', () => {
    const prefixes = Array.from({ length: 60 }, (_, i) => ({ prefix: `2001:db8:${(i + 1).toString(16)}::/64` }));
    const bench = new RouterBench(6, { left: { advertise: { prefixes } } });
    bench.env.scheduler.runFor(10_000);
    const told = bench.left.sent
      .splice(0)
      .map((bytes) => messageIn(bytes.subarray(14)))
      .filter(({ message }) => message.type === Icmpv6Type.RouterAdvertisement)
      .slice(0, 2);
    for (const { packet } of told) expect(packet.totalLength).to.be.at.most(1280);
    const options = told.flatMap(({ packet: { frame } }) => new RouterAdvertisement(frame, frame.start).options());
    const found = options.flatMap((one) => (one.kind === 'prefix' ? [`${one.prefix.toString()}/64`] : []));
    expect(found).to.deep.equal(prefixes.map(({ prefix }) => prefix));
    bench.close();
  });
});
