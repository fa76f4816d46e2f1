import { expect } from 'chai';
import { type IpAddress, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import { DELIVERED, type Frame, type TxFrame } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { type IpLink, PointToPointLink } from '../../../lib/l2/link.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { Multicast } from '../../../lib/l3/multicast.js';
import { EVERYTHING, NOTHING, sourceFilter } from '../../../lib/l3/source-filter.js';
import { IgmpQuery } from '../../../lib/wire/igmp.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../l2/fake-device.js';

const GROUPS = ['239.1.1.1', 'ff15::77:1'].map((text) => parseIp(text));

describe('Multicast', () => {
  let env: VirtualEnv;
  let ether: FakeDevice;
  let tunnel: FakeDevice;
  let links: IpLink[];
  let tables: IpTables;
  let multicast: Multicast;

  beforeEach(() => {
    env = virtualEnv();
    ether = fakeDevice(env, { name: 'ether' });
    tunnel = fakeDevice(env, { name: 'tunnel', medium: 'ip' });
    tables = new IpTables(env);
    const arpOnly = { device: ether, addresses: tables.arpAddresses(ether), addresses6: tables.ndpAddresses(ether) };
    links = [new EthernetLink(arpOnly, env), new PointToPointLink(tunnel, env)];
    for (const link of links) link.emit = (frame: TxFrame) => link.device.sink.next(frame);
    multicast = new Multicast({ tables, links }, env);
    multicast.start();
  });
  afterEach(() => {
    multicast.stop();
    for (const link of links) link.dispose();
    expect(env.pool.outstanding, 'frames').to.equal(0);
    expect(env.scheduler.pending, 'timers').to.equal(0);
  });

  const accepts = (group: IpAddress) =>
    group.version === 4
      ? tables.addresses.accepts(group.value)
      : tables.addresses6.accepts(group.a, group.b, group.c, group.d);

  for (const group of GROUPS) {
    it(`joins as often as it leaves, per interface: ${group.toString()}`, () => {
      multicast.join(ether, group);
      multicast.join(ether, group);
      multicast.join(tunnel, group);
      expect(accepts(group)).to.equal(1);
      multicast.leave(ether, group);
      expect(multicast.isMember(ether, group)).to.equal(true);
      multicast.leave(ether, group);
      expect([multicast.isMember(ether, group), multicast.isMember(tunnel, group)]).to.deep.equal([false, true]);
      expect(accepts(group), 'for the other interface').to.equal(1);
      multicast.leave(tunnel, group);
      multicast.leave(tunnel, group);
      expect(accepts(group)).to.equal(undefined);
    });

    it(`accepts a group's packets while somebody listens, whatever the filters: ${group.toString()}`, () => {
      const source = parseIp(group.version === 4 ? '10.0.0.5' : 'fd00::5');
      const [one, two] = [{}, {}];
      multicast.listen(one, ether, group, sourceFilter('include', [source]));
      multicast.listen(two, ether, group, EVERYTHING);
      multicast.listen(one, ether, group, sourceFilter('exclude', [source]));
      multicast.listen(two, ether, group, NOTHING);
      expect(accepts(group)).to.equal(1);
      multicast.listen(one, ether, group, NOTHING);
      multicast.listen(one, ether, group, NOTHING);
      expect(accepts(group)).to.equal(undefined);
    });

    it(`tells of a group on the link that it was joined on, at once: ${group.toString()}`, () => {
      multicast.join(tunnel, group);
      env.scheduler.runFor(0);
      expect([ether.sent.length, tunnel.sent.length]).to.deep.equal([0, 1]);
      env.scheduler.runFor(60_000);
      expect([ether.sent.length, tunnel.sent.length]).to.deep.equal([0, 2]);
    });
  }

  it('refuses what is no group, and what is no interface', () => {
    const [four = parseIp('239.1.1.1')] = GROUPS;
    expect(() => multicast.join(ether, parseIp('10.0.0.1')))
      .to.throw('not a multicast group')
      .with.property('code', 'ERR_INVALID_ADDRESS');
    expect(() => multicast.join(fakeDevice(env), four))
      .to.throw('no interface')
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('a group with a zone is the same as without', () => {
    multicast.join(ether, parseIp('ff02::5%ether'));
    expect(multicast.isMember(ether, parseIp('ff02::5'))).to.equal(true);
    expect(multicast.deviceFor(parseIp('ff02::5%tunnel'))).to.equal(tunnel);
    expect(multicast.deviceFor(parseIp('ff02::5%nowhere'))).to.equal(undefined);
    multicast.leave(ether, parseIp('ff02::5'));
    expect(accepts(parseIp('ff02::5'))).to.equal(undefined);
  });

  it('4291-1: an address that shares its solicited-node group with a socket leaves it to the socket', () => {
    const group = parseIp('ff02::1:ff00:77');
    const socket = {};
    tables.addAddress(ether, 'fd00::77/64');
    multicast.listen(socket, ether, group, EVERYTHING);
    tables.removeAddress(ether, 'fd00::77');
    expect(accepts(group)).to.equal(1);
    multicast.listen(socket, ether, group, NOTHING);
    expect(accepts(group)).to.equal(undefined);
  });

  it('answers a query by the link that asked, for the groups of that link', () => {
    const [group] = GROUPS;
    if (group?.version !== 4) return expect.fail();
    multicast.join(tunnel, group);
    multicast.join(ether, parseIp('239.5.5.5'));
    env.scheduler.runFor(60_000);
    ether.sent.length = tunnel.sent.length = 0;
    expect(query(tunnel).fate).to.equal(DELIVERED);
    env.scheduler.runFor(60_000);
    expect([ether.sent.length, tunnel.sent.length]).to.deep.equal([0, 1]);
    expect(tunnel.sent[0]?.slice(-8), 'the last record: any source of the group').to.deep.equal(
      Uint8Array.of(2, 0, 0, 0, 239, 1, 1, 1),
    );
    return undefined;
  });

  it('ignores a query of which it does not know by which link it came', () => {
    expect(query(undefined).fate).to.be.greaterThan(0);
    expect(env.drops.toJSON()).to.deep.equal({ 'group-ignored': 1 });
  });

  /** Brings a general query; the frame says what became of it. */
  function query(device: FakeDevice | undefined): Frame {
    const frame = env.pool.alloc(100);
    IgmpQuery.emit(frame, 3, { maximumResponse: 1000 });
    const alert = { type: 148, data: new Uint8Array(2) };
    const destination = 0xe000_0001;
    Ipv4Packet.emit(frame, { source: 1, destination, protocol: IpProtocol.Igmp, ttl: 1, options: [alert] });
    const packet = new Ipv4Packet(frame, frame.start);
    frame.start += packet.headerLength;
    frame.device = device;
    multicast.receiveIgmp(packet);
    frame.release();
    return frame;
  }

  it('names no IPv6 interface by an address that none of them has', () => {
    const group = new Ipv6Address(0xff15_0000, 0, 0, 5);
    tables.addAddress(tunnel, 'fd00::77/64');
    expect(multicast.deviceFor(group, parseIp('fd00::77'))).to.equal(tunnel);
    expect(multicast.deviceFor(group, parseIp('fd00::78'))).to.equal(undefined);
    expect(multicast.deviceFor(group, Ipv6Address.ANY), 'the only one with addresses').to.equal(tunnel);
  });
});
