import { expect } from 'chai';
import * as fc from 'fast-check';
import { Cidr, Ipv4Address, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { Cast } from '../../../lib/core/frame.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { type Route, RouteTable } from '../../../lib/l3/routes.js';
import { RouteQuery } from '../../../lib/l3/routing-query.js';
import { fakeDevice, type VirtualEnv, virtualEnv } from '../l2/fake-device.js';

const v4 = (text: string) => Ipv4Address.parse(text);
const v6 = (text: string) => Ipv6Address.parse(text);

describe('routes', () => {
  const device = fakeDevice(virtualEnv());
  const lookup = (table: RouteTable<4>, to: Ipv4Address) => table.lookup(0, 0, 0xffff, to.value);
  const route = (prefix: string, metric = 0): Route<4> => ({
    destination: Cidr.parse(prefix),
    device,
    metric,
  });

  it('1812-4: the longest prefix wins, then the lowest metric', () => {
    const table = new RouteTable<4>();
    for (const prefix of ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.3/32', '10.1.0.0/16']) table.add(route(prefix));
    table.add(route('10.1.0.0/16', 5));
    const best = (to: string) => lookup(table, v4(to))?.destination.toString();
    expect(['10.1.2.3', '10.1.2.4', '10.2.0.0', '11.0.0.0'].map(best)).to.deep.equal([
      '10.1.2.3/32',
      '10.1.0.0/16',
      '10.0.0.0/8',
      '0.0.0.0/0',
    ]);
    expect(lookup(table, v4('10.1.0.1'))?.metric).to.equal(0);
    table.remove(({ metric, destination }) => metric === 0 && destination.length === 16);
    expect(lookup(table, v4('10.1.0.1'))?.metric).to.equal(5);
  });
  it('replaces a route by the same way', () => {
    const table = new RouteTable<4>();
    table.add(route('10.0.0.0/8'));
    table.add({ ...route('10.0.0.0/8'), mtu: 900 });
    expect(table.size).to.equal(1);
    expect(lookup(table, v4('10.0.0.1'))?.mtu).to.equal(900);
  });
  it('1122-I9: avoids gateways as long as another route leads to the same prefix', () => {
    const table = new RouteTable<4>();
    const [one, two, three] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(v4) as [Ipv4Address, Ipv4Address, Ipv4Address];
    [one, two, three].forEach((gateway, metric) => table.add({ ...route('0.0.0.0/0', metric), gateway }));
    table.add({ ...route('192.0.2.0/24'), gateway: one });
    const way = (to = '198.51.100.1') => lookup(table, v4(to))?.gateway?.toString();
    expect(way()).to.equal('10.0.0.1');
    expect(table.avoid(device, v4('10.0.0.9'))).to.equal(false);
    expect(table.avoid(device, one)).to.equal(true);
    expect(table.avoid(device, one)).to.equal(true);
    expect([way(), way('192.0.2.1')]).to.deep.equal(['10.0.0.2', '10.0.0.1']);
    expect(table.avoid(device, two)).to.equal(true);
    expect(way()).to.equal('10.0.0.3');
    // The last one is all there is.
    expect(table.avoid(device, three)).to.equal(false);
    expect(way()).to.equal('10.0.0.3');
    expect(table.avoided).to.have.length(2);
    table.trust(device, one);
    expect(way()).to.equal('10.0.0.1');
    table.remove(({ gateway }) => gateway?.equals(two) !== true);
    expect(way()).to.equal('10.0.0.2');
    table.trustAll();
    expect(table.avoided).to.deep.equal([]);
  });
  it('property: finds what a search through all finds, whatever changes', () => {
    const address = fc.integer({ min: 0, max: 255 }).map((n) => new Ipv4Address((10 << 24) | (n << 8) | (n & 7)));
    const prefix = fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([one, length]) => new Cidr<4>(one, length));
    fc.assert(
      fc.property(
        fc.array(prefix, { maxLength: 20 }),
        fc.array(address, { minLength: 1, maxLength: 10 }),
        (all, to) => {
          const table = new RouteTable<4>();
          for (const destination of all) {
            table.add({ destination, device });
            for (const one of to) {
              const best = all
                .slice(0, all.indexOf(destination) + 1)
                .filter((cidr) => cidr.contains(one))
                .reduce((length, cidr) => Math.max(length, cidr.length), -1);
              expect(lookup(table, one)?.destination.length ?? -1).to.equal(best);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
  it('works for IPv6', () => {
    const table = new RouteTable<6>();
    table.add({ destination: Cidr.parse('2001:db8::/32'), device });
    table.add({ destination: Cidr.parse('2001:db8:1::/48'), device });
    const to = parseIp('2001:db8:1::9') as Ipv6Address;
    expect(table.lookup(to.a, to.b, to.c, to.d)?.destination.length).to.equal(48);
    expect(table.lookup(to.a, 0, to.c, to.d)?.destination.length).to.equal(32);
    expect(table.lookup(0x2002_0000, 0, 0, 1)).to.equal(undefined);
  });
});

describe('IpTables', () => {
  let env: VirtualEnv;
  let eth: Device;
  let tun: Device;
  let tables: IpTables;
  const path = (to: string, from?: string) => {
    const found = tables.path(parseIp(to), from === undefined ? undefined : parseIp(from));
    return found && `${found.source.toString()} ${found.mtu}`;
  };

  beforeEach(() => {
    env = virtualEnv();
    eth = fakeDevice(env, { name: 'eth' });
    tun = fakeDevice(env, { name: 'tun', medium: 'ip', mtu: 1_400 });
    tables = new IpTables(env);
    tables.addAddress(eth, '10.0.0.1/24');
    tables.addAddress(eth, '10.0.1.1/24');
    tables.addAddress(tun, '10.9.0.1/30');
  });

  it('sends from the address of the destination’s network', () => {
    expect(path('10.0.0.9')).to.equal('10.0.0.1 1500');
    expect(path('10.0.1.9')).to.equal('10.0.1.1 1500');
    expect(path('10.9.0.2')).to.equal('10.9.0.1 1400');
    expect(path('192.0.2.1')).to.equal(undefined);
  });
  it('sends from the address of the gateway’s network, or the route’s own', () => {
    tables.addRoute({ destination: 'default', gateway: '10.0.1.254', device: eth });
    expect(path('192.0.2.1')).to.equal('10.0.1.1 1500');
    tables.addRoute({
      destination: '192.0.2.0/24',
      gateway: '10.0.1.254',
      device: eth,
      source: '10.0.0.1',
      mtu: 1_000,
    });
    expect(path('192.0.2.1')).to.equal('10.0.0.1 1000');
  });
  it('sends from the address that was asked for, if it is ours', () => {
    expect(path('10.0.0.9', '10.9.0.1')).to.equal('10.9.0.1 1500');
    expect(path('10.0.0.9', '10.0.0.7')).to.equal(undefined);
    expect(path('10.0.0.9', '0.0.0.0')).to.equal('10.0.0.1 1500');
  });
  it('finds no way from an address of the other version', () => {
    tables.addAddress(eth, 'fd00::1/64');
    expect(path('fd00::9', 'fd00::1')).to.equal('fd00::1 1500');
    expect(path('10.0.0.9', 'fd00::1')).to.equal(undefined);
    expect(path('10.0.0.1', 'fd00::1')).to.equal(undefined);
    expect(path('fd00::9', '10.0.0.1')).to.equal(undefined);
  });
  it('knows ourselves, and the loopback', () => {
    expect(path('10.0.0.1')).to.equal('10.0.0.1 65535');
    expect(path('127.0.0.5')).to.equal('127.0.0.5 65535');
    expect(path('0.0.0.0')).to.equal(undefined);
    expect([tables.isLocal(v4('127.9.9.9')), tables.isLocal(v4('10.0.0.2'))]).to.deep.equal([true, false]);
  });
  it('finds a way for broadcasts and groups without a route to them', () => {
    expect(path('255.255.255.255')).to.be.a('string');
    expect(path('224.0.0.251')).to.be.a('string');
    expect(tables.isBroadcast(v4('10.0.0.255'))).to.equal(true);
    expect(tables.isBroadcast(v4('10.9.0.3'))).to.equal(true);
    expect(tables.isBroadcast(v4('10.0.0.254'))).to.equal(false);
  });
  it('takes routes away with their address, unless another one needs them', () => {
    tables.addAddress(eth, '10.0.0.7/24');
    expect(path('10.0.0.9')).to.equal('10.0.0.1 1500');
    tables.removeAddress(eth, '10.0.0.1');
    expect(path('10.0.0.9')).to.equal('10.0.0.7 1500');
    tables.removeAddress(eth, '10.0.0.7');
    expect(path('10.0.0.9')).to.equal(undefined);
    expect(tables.isBroadcast(v4('10.0.0.255'))).to.equal(false);
    expect(path('10.0.1.9')).to.equal('10.0.1.1 1500');
  });
  it('joins a group as often as it is left', () => {
    const group = v4('224.5.5.5');
    const { addresses } = tables;
    addresses.join(group);
    addresses.join(group);
    addresses.leave(group);
    expect(addresses.accepts(group.value)).to.equal(Cast.Multicast);
    expect(addresses.groupMacs.has(0x0100_5e05_0505)).to.equal(true);
    addresses.leave(group);
    expect(addresses.accepts(group.value)).to.equal(undefined);
    expect(addresses.groupMacs.has(0x0100_5e05_0505)).to.equal(false);
  });
  it('says at once what destinations and sources are when addresses come and go', () => {
    const { addresses } = tables;
    const one = v4('10.0.0.7').value;
    const other = v4('10.0.0.8').value;
    const seen = () => [one, other, one, one].map((a) => [addresses.accepts(a), addresses.refusesSource(a)]);
    const ours = [Cast.Unicast, true];
    const strange = [undefined, false];
    expect(seen()).to.deep.equal([strange, strange, strange, strange]);
    tables.addAddress(eth, '10.0.0.7/24');
    expect(seen()).to.deep.equal([ours, strange, ours, ours]);
    tables.removeAddress(eth, '10.0.0.7');
    expect(seen()).to.deep.equal([strange, strange, strange, strange]);
  });
  it('4007: a link-local address of one link may be a neighbour’s on another', () => {
    tables.addAddress(eth, 'fe80::1/64');
    tables.addAddress(tun, 'fe80::2/64');
    tables.addRoute({ destination: '::/0', gateway: 'fe80::9', device: tun });
    expect([path('fe80::1'), path('fe80::1%eth'), path('fe80::1', 'fe80::1')]).to.deep.equal([
      'fe80::1 65535',
      'fe80::1 65535',
      'fe80::1 65535',
    ]);
    expect([path('fe80::1%tun'), path('fe80::1', 'fe80::2')]).to.deep.equal(['fe80::2 1400', 'fe80::2 1400']);
    const redirected = (target: string) =>
      tables.redirect6(tun, v6('fe80::9'), v6('2001:db8::1'), v6(target)) &&
      tables.routes6.find(RouteQuery.to(v6('2001:db8::1')))?.gateway?.toString();
    expect([redirected('fe80::2'), redirected('fe80::1')]).to.deep.equal([false, 'fe80::1']);
  });
  it('4007: an address is ours in its own zone, and a zone that is none leads nowhere (RFC 4007 11)', () => {
    tables.addAddress(eth, 'fe80::1/64');
    tables.addAddress(tun, 'fe80::2/64');
    const ours = (...all: string[]) => all.map((address) => tables.isLocal(parseIp(address)));
    expect(ours('fe80::1', 'fe80::1%eth')).to.deep.equal([true, true]);
    expect(ours('fe80::1%tun', 'fe80::1%nosuch', 'fe80::9%eth')).to.deep.equal([false, false, false]);
    expect([path('fe80::1%nosuch'), path('fe80::9%nosuch')]).to.deep.equal([undefined, undefined]);
    expect([path('fe80::9', 'fe80::1%eth'), path('fe80::9', 'fe80::1%tun')]).to.deep.equal(['fe80::1 1500', undefined]);
    tables.addAddress(tun, 'fe80::1/64');
    expect(path('fe80::9', 'fe80::1%tun'), 'of two that have it').to.equal('fe80::1 1400');
    expect(path('fe80::1', 'fe80::1%tun'), 'to itself').to.equal('fe80::1 65535');
  });
  it('4007: sends nothing from a link-local address by another link than that of its zone (RFC 4007 9)', () => {
    for (const device of [eth, tun]) tables.addAddress(device, 'fe80::1/64');
    tables.addRoute({ destination: '::/0', gateway: 'fe80::9', device: tun });
    expect([path('2001:db8::1', 'fe80::1%tun'), path('fe80::9%tun', 'fe80::1%tun')]).to.deep.equal([
      'fe80::1 1400',
      'fe80::1 1400',
    ]);
    expect([path('2001:db8::1', 'fe80::1%eth'), path('fe80::9%tun', 'fe80::1%eth')]).to.deep.equal([
      undefined,
      undefined,
    ]);
  });
  it('ARP sees the addresses of its own device', () => {
    const arp = tables.arpAddresses(eth);
    expect(arp.has(v4('10.0.0.1').value)).to.equal(true);
    expect(arp.has(v4('10.9.0.1').value)).to.equal(false);
    expect(arp.sourceFor(v4('10.0.1.9').value)).to.equal(v4('10.0.1.1').value);
  });
  it('refuses addresses that no host has, and the same one twice', () => {
    for (const bad of ['0.0.0.0/8', '224.0.0.1/4', '255.255.255.255', '10.0.0.1/24']) {
      expect(() => tables.addAddress(eth, bad))
        .to.throw()
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
  });
});
