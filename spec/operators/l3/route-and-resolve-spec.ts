import { expect } from 'chai';
import { Subject, type Subscription } from 'rxjs';
import { Ipv4Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import {
  asTxPacket,
  ChecksumState,
  type Frame,
  GsoType,
  type TxFrame,
  type TxPacket,
} from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { PointToPointLink } from '../../../lib/l2/link.js';
import { confirmNextHop, type EgressOptions, loopBack } from '../../../lib/l3/egress.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType, EthernetFrame, readMac } from '../../../lib/wire/ethernet.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import type { Ipv4Fields } from '../../../lib/wire/ipv4.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { BROADCAST_MAC, ip, mac, pattern, PEER, udpPacket, US } from './packets.js';

const GATEWAY = mac('02:00:00:00:00:fe');

describe('routeAndResolve', () => {
  let env: VirtualEnv;
  let eth: FakeDevice;
  let tun: FakeDevice;
  let tables: IpTables;
  let link: EthernetLink;
  let reports: IcmpReports;
  let input: Subject<TxPacket | TxFrame>;
  let running: Subscription;
  let told: string[];
  let looped: Frame[];

  function run(options: Partial<EgressOptions> = {}): void {
    running?.unsubscribe();
    running = input
      .pipe(routeAndResolve({ tables, links: [link, new PointToPointLink(tun, env)], reports, ...options }, env))
      .subscribe((frame) => {
        const device = frame.device === eth ? eth : tun;
        device.sink.next(frame);
      });
  }
  function packet(fields: Partial<Ipv4Fields>, length = 20): Frame {
    const bytes = udpPacket({ source: US.ip, destination: PEER.ip, ...fields }, pattern(length));
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    return frame;
  }
  const send = (fields: Partial<Ipv4Fields> = {}, length = 20) => input.next(asTxPacket(packet(fields, length)));
  const macOf = (bytes: Uint8Array | undefined) => readMac(new DataView((bytes ?? new Uint8Array(14)).buffer), 0);
  const knows = (address: string, value: number) => link.neighbours.setStatic(Ipv4Address.parse(address), value);

  beforeEach(() => {
    env = virtualEnv();
    eth = fakeDevice(env, { name: 'eth' });
    tun = fakeDevice(env, { name: 'tun', medium: 'ip', mtu: 1_400 });
    tables = new IpTables(env);
    tables.addAddress(eth, '10.0.0.1/24');
    tables.addAddress(tun, '10.9.0.1/30');
    tables.addRoute({ destination: 'default', gateway: '10.0.0.254', device: eth });
    link = new EthernetLink({ device: eth, addresses: tables.arpAddresses(eth) }, env);
    knows('10.0.0.2', PEER.mac);
    knows('10.0.0.254', GATEWAY);
    reports = new IcmpReports();
    told = [];
    looped = [];
    reports.on(IpProtocol.Udp, ({ kind, code, destination, mtu, frame, transport }) =>
      told.push(`${kind} ${code} ${destination.toString()} ${frame.slab.view.getUint16(transport)} ${mtu}`),
    );
    input = new Subject();
    run();
  });
  afterEach(() => {
    running.unsubscribe();
    for (const frame of looped) frame.release();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  it('puts a neighbour’s address in front, or the gateway’s, or none on a link without', () => {
    send();
    send({ destination: ip('192.0.2.1') });
    expect(eth.sent.map(macOf)).to.deep.equal([PEER.mac, GATEWAY]);
    send({ destination: ip('10.9.0.2') });
    expect(tun.sent[0]).to.deep.equal(udpPacket({ source: US.ip, destination: ip('10.9.0.2') }));
  });
  it('maps broadcasts and groups to their MAC addresses', () => {
    send({ destination: 0xffff_ffff });
    send({ destination: ip('10.0.0.255') });
    send({ destination: ip('224.0.0.251') });
    expect(eth.sent.map(macOf)).to.deep.equal([BROADCAST_MAC, BROADCAST_MAC, mac('01:00:5e:00:00:fb')]);
  });
  it('asks for who is not known; fails after 3 s, and tells the transport', () => {
    send({ destination: ip('10.0.0.7') });
    expect(eth.sent[0]?.slice(12, 14)).to.deep.equal(Uint8Array.of(8, 6));
    env.scheduler.runFor(3_000);
    expect(told).to.deep.equal(['host-unreachable EHOSTUNREACH 10.0.0.7 1000 0']);
    expect(env.drops.count(DropReason.NeighbourUnreachable)).to.equal(1);
    expect(eth.sent).to.have.length(3);
  });
  it('1812-4: drops what has no route, and tells the transport, but not within the call', () => {
    tables.removeRoute('default');
    send({ destination: ip('192.0.2.1') });
    expect(told).to.deep.equal([]);
    env.scheduler.runFor(0);
    expect(told).to.deep.equal(['net-unreachable ENETUNREACH 192.0.2.1 1000 0']);
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-no-route': 1 });
  });
  it('sends nothing by a route that leads nowhere, whatever its device', () => {
    tables.addRoute({ destination: '192.0.2.0/24', type: 'prohibit', device: eth, gateway: '10.0.0.254' });
    send({ destination: ip('192.0.2.1') });
    const chosen = packet({ destination: ip('198.51.100.1') });
    chosen.route = { type: 'blackhole', device: eth };
    input.next(asTxPacket(chosen));
    expect(eth.sent).to.deep.equal([]);
    env.scheduler.runFor(0);
    expect(told).to.deep.equal(['net-unreachable ENETUNREACH 192.0.2.1 1000 0']);
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-no-route': 2 });
  });
  it('1122-I7: cuts what is too big; every piece fits', () => {
    send({ destination: ip('10.9.0.2') }, 5_000);
    expect(tun.sent.map((bytes) => bytes.length)).to.deep.equal([1_396, 1_396, 1_396, 900]);
  });
  it('1812-5: does not cut what must not be cut, and tells the MTU (1191)', () => {
    send({ destination: ip('10.9.0.2'), dontFragment: true }, 1_400);
    env.scheduler.runFor(0);
    expect(told).to.deep.equal(['packet-too-big EMSGSIZE 10.9.0.2 1000 1400']);
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-too-big': 1 });
  });
  it('1191: heeds the MTU of the route and of the path (1122-I7)', () => {
    tables.addRoute({ destination: '192.0.2.0/24', gateway: '10.0.0.254', device: eth, mtu: 1_000 });
    send({ destination: ip('192.0.2.1') }, 1_200);
    expect(eth.sent).to.have.length(2);
    tables.mtus.reported(PEER.ip, 600, 1_500);
    send({}, 1_200);
    expect(eth.sent).to.have.length(5);
  });
  it('completes a checksum that was left to the device before it cuts', () => {
    const frame = packet({ destination: ip('10.9.0.2') }, 2_000);
    const { view } = frame.slab;
    const right = view.getUint16(frame.start + 26);
    // The specs’ packets have a pseudo-header sum of 0.
    view.setUint16(frame.start + 26, 0);
    frame.checksum = ChecksumState.Partial;
    frame.checksumStart = frame.start + 20;
    frame.checksumField = frame.start + 26;
    input.next(asTxPacket(frame));
    expect(new DataView((tun.sent[0] ?? new Uint8Array(40)).buffer).getUint16(26)).to.equal(right);
  });
  it('leaves a super-segment to the device where its segments fit; else cuts each of them, or none', () => {
    const sendSuper = (gsoSize: number, dontFragment = false): void => {
      const frame = packet({ destination: ip('10.9.0.2'), dontFragment }, 4_000);
      frame.gsoType = GsoType.UdpL4;
      frame.gsoSize = gsoSize;
      input.next(asTxPacket(frame));
    };
    const lengths = () => tun.sent.splice(0).map((bytes) => bytes.length);
    sendSuper(1_372, true);
    expect(lengths()).to.deep.equal([4_028]);
    sendSuper(2_000);
    expect(lengths()).to.deep.equal([1_396, 652, 1_396, 652]);
    sendSuper(1_373, true);
    env.scheduler.runFor(0);
    expect(lengths()).to.deep.equal([]);
    expect(told).to.deep.equal(['packet-too-big EMSGSIZE 10.9.0.2 1000 1400']);
  });
  it('1122-I3: sends from our addresses only, unless told', () => {
    send({ source: ip('10.0.0.77') });
    send({ source: ip('127.0.0.1') });
    expect(env.drops.count(DropReason.IpNotOurSource)).to.equal(2);
    send({ source: ip('10.9.0.1') });
    send({ source: 0, destination: 0xffff_ffff });
    expect(eth.sent).to.have.length(2);
    run({ anySource: true });
    knows('10.0.0.2', PEER.mac);
    send({ source: ip('10.0.0.77') });
    expect(eth.sent).to.have.length(3);
  });
  it('1122-I8: packets to ourselves go to the loopback, never to a wire', () => {
    send({ destination: US.ip });
    send({ destination: ip('127.0.0.1') });
    expect(env.drops.count(DropReason.IpNoRoute)).to.equal(2);
    run({ loopback: (frame) => looped.push(loopBack(frame, 5)) });
    send({ destination: US.ip });
    send({ source: ip('127.0.0.1'), destination: ip('127.0.0.1') });
    expect(looped.map((frame) => [frame.length, frame.time, frame.link])).to.deep.equal([
      [48, 5, -1],
      [48, 5, -1],
    ]);
    expect(eth.sent).to.deep.equal([]);
  });
  it('hears from upper layers that a next hop is reachable', () => {
    const gateway = Ipv4Address.parse('10.0.0.254');
    link.neighbours.remove(gateway);
    link.neighbours.heard(0, 0, 0xffff, gateway.value, GATEWAY, true);
    confirmNextHop({ tables, links: [link] }, Ipv4Address.parse('192.0.2.1'));
    expect(link.neighbours.get(gateway)?.state).to.equal('reachable');
    confirmNextHop({ tables, links: [] }, Ipv4Address.parse('192.0.2.1'));
  });
  it('passes frames that have a link header', () => {
    const frame = packet({});
    EthernetFrame.emit(frame, BROADCAST_MAC, US.mac, EtherType.Ipv4);
    frame.device = eth;
    input.next(frame as TxFrame);
    expect(macOf(eth.sent[0])).to.equal(BROADCAST_MAC);
  });
  it('refuses what is of neither version', () => {
    const frame = packet({});
    frame.slab.view.setUint8(frame.start, 0x75);
    input.next(asTxPacket(frame));
    expect(env.drops.count(DropReason.IpUnknownVersion)).to.equal(1);
  });
  it('leaves nothing behind when it ends with packets waiting', () => {
    send({ destination: ip('10.0.0.7') });
    tables.removeRoute('default');
    send({ destination: ip('192.0.2.1') });
    running.unsubscribe();
    expect(env.drops.count(DropReason.Disposed)).to.equal(1);
    expect(told).to.deep.equal([]);
  });
});
