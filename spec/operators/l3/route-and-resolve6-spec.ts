/** The way out of IPv6 packets; what does not depend on the version is in `route-and-resolve-spec`. */

import { expect } from 'chai';
import { Subject, type Subscription } from 'rxjs';
import { asTxPacket, type Frame, type TxFrame, type TxPacket } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { PointToPointLink } from '../../../lib/l2/link.js';
import { confirmNextHop, type EgressOptions } from '../../../lib/l3/egress.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { readMac } from '../../../lib/wire/ethernet.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { FragmentHeader } from '../../../lib/wire/ipv6-extensions.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { mac, pattern } from './packets.js';
import { chained, entered, ip6, ip6Packet, PEER6, udp6Packet, US6 } from './packets6.js';

const GATEWAY = mac('02:00:00:00:00:fe');
const FAR = ip6('2001:db8::1');

describe('routeAndResolve, IPv6', () => {
  let env: VirtualEnv;
  let eth: FakeDevice;
  let tun: FakeDevice;
  let tables: IpTables;
  let link: EthernetLink;
  let input: Subject<TxPacket | TxFrame>;
  let running: Subscription;
  let told: string[];
  let looped: Frame[];

  function run(options: Partial<EgressOptions> = {}): void {
    running?.unsubscribe();
    const reports = new IcmpReports();
    reports.on(IpProtocol.Udp, ({ kind, code, destination, mtu, frame, transport }) =>
      told.push(`${kind} ${code} ${destination.toString()} ${frame.slab.view.getUint16(transport)} ${mtu}`),
    );
    running = input
      .pipe(routeAndResolve({ tables, links: [link, new PointToPointLink(tun, env)], reports, ...options }, env))
      .subscribe((frame) => (frame.device === eth ? eth : tun).sink.next(frame));
  }
  function sendBytes(bytes: Uint8Array, change: (frame: Frame) => void = () => {}): void {
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    change(frame);
    input.next(asTxPacket(frame));
  }
  const send = (destination = PEER6.ip, length = 20, source = US6.ip) =>
    sendBytes(udp6Packet({ source, destination }, pattern(length)));
  const macOf = (bytes: Uint8Array) => readMac(new DataView(bytes.buffer), 0);

  beforeEach(() => {
    env = virtualEnv();
    eth = fakeDevice(env, { name: 'eth' });
    tun = fakeDevice(env, { name: 'tun', medium: 'ip', mtu: 1_400 });
    tables = new IpTables(env);
    tables.addAddress(eth, 'fd00::1/64');
    tables.addAddress(eth, 'fe80::ff:fe00:1/64');
    tables.addAddress(tun, 'fd09::1/64');
    tables.addAddress(tun, 'fe80::9/64');
    tables.addRoute({ destination: 'default', gateway: 'fe80::fe', device: eth });
    const addresses6 = tables.ndpAddresses(eth);
    link = new EthernetLink({ device: eth, addresses: tables.arpAddresses(eth), addresses6 }, env);
    link.neighbours.setStatic(PEER6.ip, PEER6.mac);
    link.neighbours.setStatic(ip6('fe80::fe'), GATEWAY);
    told = [];
    looped = [];
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
    send(FAR);
    send(ip6('fd09::2'));
    expect(eth.sent.map(macOf)).to.deep.equal([PEER6.mac, GATEWAY]);
    expect(eth.sent[0]?.subarray(12, 14)).to.deep.equal(Uint8Array.of(0x86, 0xdd));
    expect(tun.sent).to.deep.equal([udp6Packet({ source: US6.ip, destination: ip6('fd09::2') })]);
  });

  it('maps groups to their MAC addresses, by the link of the source, or the one that was chosen', () => {
    send(ip6('ff02::fb'), 20, US6.linkLocal);
    expect(eth.sent.map(macOf)).to.deep.equal([mac('33:33:00:00:00:fb')]);
    send(ip6('ff02::fb'), 20, ip6('fe80::9'));
    expect(tun.sent).to.have.length(1);
    sendBytes(udp6Packet({ source: US6.ip, destination: ip6('ff05::fb') }), (frame) => (frame.device = tun));
    expect(tun.sent).to.have.length(2);
  });

  it('sends nothing by a route that leads nowhere, whatever its device', () => {
    tables.addRoute({ destination: '2001:db8::/32', type: 'unreachable', device: eth });
    send(FAR);
    expect(eth.sent).to.deep.equal([]);
    env.scheduler.runFor(0);
    expect(told).to.deep.equal([`net-unreachable ENETUNREACH ${FAR.toString()} 1000 0`]);
  });

  it('4007: what is ours on one link may be a neighbour’s on another, and is confirmed there', () => {
    const { a, b, c, d } = ip6('fe80::9');
    link.neighbours.heard(a, b, c, d, PEER6.mac, true);
    send(ip6('fe80::9'), 20, US6.linkLocal);
    expect(eth.sent.map(macOf)).to.deep.equal([PEER6.mac]);
    confirmNextHop({ tables, links: [link] }, ip6('fe80::9'));
    expect(link.neighbours.get(ip6('fe80::9'))?.state).to.equal('reachable');
    link.neighbours.remove(ip6('fe80::9'));
  });

  it('4007: link-local addresses are on the link of the source', () => {
    link.neighbours.setStatic(PEER6.linkLocal, PEER6.mac);
    send(PEER6.linkLocal, 20, US6.linkLocal);
    send(PEER6.linkLocal, 20, ip6('fe80::9'));
    expect([eth.sent.length, tun.sent.length]).to.deep.equal([1, 1]);
  });

  it('4007: a link-local source does not leave its link', () => {
    send(FAR, 20, US6.linkLocal);
    expect(eth.sent.map(macOf)).to.deep.equal([GATEWAY]);
    send(FAR, 20, ip6('fe80::9'));
    env.scheduler.runFor(0);
    expect(eth.sent).to.have.length(1);
    expect(told).to.deep.equal(['net-unreachable ENETUNREACH 2001:db8::1 1000 0']);
  });

  it('keeps what is for ourselves, ::1 included, and never sends from ::1', () => {
    run({ loopback: (packet) => void looped.push(packet) });
    for (const to of [US6.ip, US6.linkLocal, ip6('::1'), ip6('fd09::1')]) send(to);
    expect(looped).to.have.length(4);
    send(FAR, 20, ip6('::1'));
    run();
    send(ip6('::1'));
    expect([eth.sent, tun.sent]).to.deep.equal([[], []]);
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-not-our-source': 1, 'ip-no-route': 1 });
  });

  it('4862-1: sends nothing from addresses that are not ours, or tentative', () => {
    send(PEER6.ip, 20, ip6('fd00::99'));
    tables.addresses6.update(eth, US6.ip, { tentative: true });
    send();
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-not-our-source': 2 });
    run({ anySource: true });
    link.neighbours.setStatic(PEER6.ip, PEER6.mac);
    send(PEER6.ip, 20, ip6('fd00::99'));
    expect(eth.sent).to.have.length(1);
  });

  it('drops what has no route, and tells the transport, but not within the call', () => {
    tables.removeRoute('::/0');
    send(FAR);
    expect(told).to.deep.equal([]);
    env.scheduler.runFor(0);
    expect(told).to.deep.equal(['net-unreachable ENETUNREACH 2001:db8::1 1000 0']);
  });

  it('asks for who is not known; fails after 3 s, and tells the transport', () => {
    send(ip6('fd00::7'));
    expect(eth.sent.map(macOf)).to.deep.equal([mac('33:33:ff:00:00:07')]);
    env.scheduler.runFor(3_000);
    expect(told).to.deep.equal(['host-unreachable EHOSTUNREACH fd00::7 1000 0']);
    expect(eth.sent).to.have.length(3);
  });

  it('8200-4: cuts what is too big; every piece but the last is a multiple of 8, and fits', () => {
    send(ip6('fd09::2'), 5_000);
    const pieces = tun.sent.map((bytes) => {
      const { frame, offset, fragmentHeader, protocol } = entered(bytes);
      const { fragmentOffset, moreFragments, identification } = new FragmentHeader(frame, offset + fragmentHeader);
      return { fragmentOffset, moreFragments, identification, protocol, length: frame.length, size: bytes.length };
    });
    const ids = new Set(pieces.map(({ identification }) => identification));
    expect(ids.size).to.equal(1);
    expect(pieces.map(({ fragmentOffset }) => fragmentOffset)).to.deep.equal([0, 1352, 2704, 4056]);
    expect(pieces.map(({ moreFragments }) => moreFragments)).to.deep.equal([true, true, true, false]);
    expect(pieces.map(({ size }) => size)).to.deep.equal([1400, 1400, 1400, 1000]);
    for (const { protocol } of pieces) expect(protocol).to.equal(IpProtocol.Udp);
    tun.sent.length = 0;
    send(ip6('fd09::2'), 5_000);
    const again = entered(tun.sent[0] ?? new Uint8Array());
    const { identification } = new FragmentHeader(again.frame, again.offset + again.fragmentHeader);
    expect(ids.has(identification)).to.equal(false);
  });

  it('8200-4: hop-by-hop options are repeated in every piece, other headers are not', () => {
    const nothing = [0, 1, 4, 0, 0, 0, 0] as const;
    const headers = [
      [HOP_BY_HOP, nothing],
      [IpProtocol.DestinationOptions, nothing],
    ] as const;
    sendBytes(chained(headers, 253, pattern(3_000), { source: US6.ip, destination: ip6('fd09::2') }));
    const packets = tun.sent.map(entered);
    expect(packets.map(({ nextHeader, fragmentHeader }) => [nextHeader, fragmentHeader])).to.deep.equal(
      Array.from({ length: 3 }, () => [HOP_BY_HOP, 48]),
    );
    for (const bytes of tun.sent) expect(bytes.length).to.be.at.most(1_400);
    expect(packets[0]?.protocol).to.equal(IpProtocol.DestinationOptions);
  });

  it('cuts to the path’s MTU, but not what asks not to be cut', () => {
    tables.tooBig(FAR, 1_300, 1_500);
    send(FAR, 1_400);
    expect(eth.sent.map((bytes) => bytes.length - 14)).to.deep.equal([1_296, 208]);
    eth.sent.length = 0;
    sendBytes(udp6Packet({ source: US6.ip, destination: FAR }, pattern(1_400)), (frame) => (frame.dontFragment = true));
    env.scheduler.runFor(0);
    expect(eth.sent).to.deep.equal([]);
    expect(told).to.deep.equal(['packet-too-big EMSGSIZE 2001:db8::1 1000 1300']);
  });

  it('drops other versions', () => {
    const packet = ip6Packet({}, pattern(8));
    packet[0] = 0x50;
    sendBytes(packet);
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-unknown-version': 1 });
  });
});
