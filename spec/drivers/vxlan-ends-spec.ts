import { expect } from 'chai';
import { bridgeDevice } from '../../drivers/bridge.js';
import { link } from '../../drivers/link.js';
import { vlanDevice } from '../../drivers/vlan.js';
import { type VxlanDevice, vxlanDevice, type VxlanDeviceOptions } from '../../drivers/vxlan.js';
import { ipOf } from '../../lib/core/address.js';
import { DropReason } from '../../lib/core/drops.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { host } from '../../operators/stack/host.js';
import { forBothVersions } from '../both-versions.js';
import { hexBytes } from '../lib/wire/frames.js';
import { plainFrame, type PlainPacket } from '../lib/wire/plain-packets.js';
import { addressOf, VxlanSegment } from './vxlan-segment.js';

const A = '0200000000aa';
const B = '0200000000bb';
const ALL = 'ffffffffffff';

const frameBytes = (to: string, from: string, rest = '88b5 0102030405060708'): Uint8Array =>
  hexBytes(`${to} ${from} ${rest}`);

/** A count of what a device receives. */
function listen(device: VxlanDevice): { count: number } {
  const seen = { count: 0 };
  device.frames$.subscribe(() => seen.count++);
  return seen;
}

forBothVersions('the ends of a vxlanDevice', ({ version }) => {
  const address = addressOf(version);
  let segment: VxlanSegment;
  beforeEach(() => {
    segment = new VxlanSegment(version);
  });
  afterEach(() => segment.close());

  it('forgets with a peer the stations that were heard behind it before it was named', () => {
    const hub = segment.make(1);
    const left = segment.make(2, { peers: [address(1)] });
    segment.send(left, frameBytes(ALL, B));
    expect(hub.stations).to.have.length(1);
    hub.addPeer(address(2));
    expect(hub.removePeer(address(2))).to.equal(true);
    expect(hub.stations).to.deep.equal([]);
  });

  it('takes frames of a peer for as long as a station is said to be behind it, unless it is named itself', () => {
    const [mac, another] = ['02:00:00:00:00:bb', '02:00:00:00:00:cc'];
    const left = segment.make(1, { peers: [address(2)] });
    const [third, fourth] = [3, 4].map((at) => segment.make(at, { peers: [address(1)] }));
    const seen = listen(left);
    /** Whether frames of the two are taken. */
    const taken = (): boolean[] =>
      [third, fourth].map((one = expect.fail(), i) => {
        const { count } = seen;
        segment.send(one, frameBytes(A, `0200000000d${3 + i}`));
        return seen.count > count;
      });
    expect(taken()).to.deep.equal([false, false]);
    for (const one of [mac, another, mac]) left.pin(one, address(3));
    expect(taken()).to.deep.equal([true, false]);
    left.pin(mac, address(4));
    expect(taken()).to.deep.equal([true, true]);
    expect([left.unpin(another), left.unpin(another)]).to.deep.equal([true, false]);
    expect(left.stations.map(({ peer }) => peer.toString())).to.deep.equal([address(4), address(4)]);
    expect(taken()).to.deep.equal([false, true]);
    left.addPeer(address(4));
    left.unpin(mac);
    expect(taken()).to.deep.equal([false, true]);
    left.removePeer(address(4));
    expect(taken()).to.deep.equal([false, false]);
    expect(left.stations).to.deep.equal([]);
  });

  it('goes on with what it heard of a peer that is named no longer, where it takes frames of any', () => {
    const hub = segment.make(1);
    const left = segment.make(2, { peers: [address(1)] });
    const seen = listen(left);
    hub.pin('02:00:00:00:00:cc', address(2));
    segment.send(left, frameBytes(ALL, B));
    hub.unpin('02:00:00:00:00:cc');
    segment.send(hub, frameBytes(B, A));
    expect(seen.count).to.equal(1);
  });

  it('says of a datagram that somebody keeps what became of the copy in its place', () => {
    segment.make(1);
    const [source, destination] = [ipOf(address(2)), ipOf(address(1))];
    const body = Buffer.concat([hexBytes('0800000000002a00'), frameBytes(B, A)]);
    const packet: PlainPacket = { protocol: 'udp', body, checksum: 'full', options: 0 };
    const frame = plainFrame(packet, { source, destination, sourcePort: 50_000, destinationPort: 4789 }).retain();
    const { start } = frame;
    frame.start += version === 4 ? 20 : 40;
    const inner = version === 4 ? new Ipv4Packet(frame, start) : new Ipv6Packet(frame, start);
    expect(segment.hosts[0]?.udp.tunnels.take(inner)).to.equal(true);
    expect(frame.fate).to.equal(DropReason.DeviceUnwatched);
  });

  it('7348-1: fits its MTU to the path also where it is attached later, or told of its first peer later', () => {
    const most = 1400 - (version === 4 ? 50 : 70);
    const [near] = link({ mtu: 1400 }, segment.env).ends;
    const me = host({ device: near, addresses: [`${address(1)}/${version === 4 ? 24 : 64}`] }, segment.env);
    const on = near.frames$.pipe(me).subscribe(near.sink);
    segment.scheduler.runFor(5000);
    const local = address(1);
    const later = vxlanDevice({ vni: 1, local, peers: [address(2)] }, segment.env);
    const told = vxlanDevice({ vni: 2, local, peers: [address(2)], mtu: 1450 }, segment.env);
    const lonely = vxlanDevice({ vni: 3, local, underlay: me }, segment.env);
    const lan = bridgeDevice([later], {}, segment.env);
    const office = vlanDevice(lan, { vid: 10 }, segment.env);
    const mtus = (): number[] => [later, told, lonely, lan, office].map(({ mtu }) => mtu);
    expect(mtus()).to.deep.equal([most + 100, 1450, most + 100, most + 100, most + 96]);
    for (const device of [later, told]) device.attach(me);
    expect(mtus()).to.deep.equal([most, 1450, most + 100, most, most - 4]);
    lonely.addPeer(address(3));
    expect(lonely.mtu).to.equal(most);
    on.unsubscribe();
  });

  it('7348-1: does not follow itself, where the path leads over a bridge that it is a port of', () => {
    for (const told of [undefined, 1300]) {
      const mtu = (told ?? 1400) - (version === 4 ? 50 : 70);
      const [near] = link({ mtu: 1400 }, segment.env).ends;
      const overlay = vxlanDevice({ vni: 1, peers: [address(2), address(3)] }, segment.env);
      const lan = bridgeDevice([near, overlay], told === undefined ? {} : { mtu: told }, segment.env);
      const me = host({ device: lan, addresses: [`${address(1)}/${version === 4 ? 24 : 64}`] }, segment.env);
      const on = lan.frames$.pipe(me).subscribe(lan.sink);
      segment.scheduler.runFor(5000);
      overlay.attach(me);
      expect([overlay.mtu, lan.mtu]).to.deep.equal([mtu, told ?? mtu]);
      for (let i = 0; i < 4; i++) {
        const [first = expect.fail()] = overlay.peers;
        overlay.removePeer(first);
        overlay.addPeer(first);
      }
      expect([overlay.mtu, lan.mtu]).to.deep.equal([mtu, told ?? mtu]);
      on.unsubscribe();
    }
  });

  it('7348-1: VLANs on it leave room for their tags, so that no end sends fragments', () => {
    const left = segment.make(1, { peers: [address(2)] });
    const bridged = segment.make(3, { peers: [address(2)] });
    segment.make(2);
    const office = vlanDevice(left, { vid: 10 }, segment.env);
    const inner = vlanDevice(vlanDevice(left, { vid: 11, protocol: 0x88a8 }, segment.env), { vid: 12 }, segment.env);
    const behind = vlanDevice(bridgeDevice([bridged], {}, segment.env), { vid: 10 }, segment.env);
    const untagged = vlanDevice(left, { vid: 0 }, segment.env);
    const all = [office, inner, behind, untagged];
    expect(all.map(({ mtu }) => left.mtu - mtu)).to.deep.equal([4, 8, 4, 0]);
    for (const device of all) segment.send(device, frameBytes(B, A, '88b5' + '00'.repeat(60)));
    segment.outer.length = 0;
    for (const device of all) segment.send(device, frameBytes(B, A, '88b5' + '00'.repeat(device.mtu)));
    expect(segment.outer.map(({ layers }) => layers.includes('vxlan'))).to.deep.equal([true, true, true, true]);
    for (const device of all) void device.close();
  });
});

describe('vxlanDevice between link-local addresses', () => {
  let segment: VxlanSegment;
  const local = (n: number): string => `fe80::${n}`;
  const zoned = (n: number, from: number): string => `${local(n)}%${segment.wire[from - 1]?.name}`;
  const own = (at: number, options: Partial<VxlanDeviceOptions>): VxlanDevice =>
    segment.make(at, { local: local(at), ...options });
  beforeEach(() => {
    segment = new VxlanSegment(6);
    segment.wire.forEach((device, i) => segment.hosts[i]?.tables.addAddress(device, `${local(i + 1)}/64`));
  });
  afterEach(() => segment.close());

  it('RFC 4007 6: hears the peers that it is told with their zone', () => {
    const left = own(1, { peers: [zoned(2, 1)] });
    const right = own(2, { peers: [zoned(1, 2)] });
    const seen = [listen(left), listen(right)];
    segment.send(left, frameBytes(B, A));
    segment.send(right, frameBytes(A, B));
    expect(seen.map(({ count }) => count)).to.deep.equal([1, 1]);
    expect(right.stations.map(({ peer }) => peer.toString())).to.deep.equal([zoned(1, 2)]);
    expect(left.removePeer(zoned(2, 1))).to.equal(true);
    segment.send(right, frameBytes(A, B));
    expect(seen[0]?.count).to.equal(1);
  });

  it('RFC 4007 6: takes none of another zone for them, and those without a zone in any', () => {
    const left = own(1, { peers: ['fe80::2%elsewhere'] });
    const right = own(2, { peers: [zoned(1, 2), zoned(3, 2)] });
    const open = own(3, { peers: [local(2)] });
    const seen = [listen(left), listen(open)];
    segment.send(right, frameBytes(A, B));
    expect(seen.map(({ count }) => count)).to.deep.equal([0, 1]);
  });

  it('RFC 4007 6: takes what comes to it by the link of its own zone alone', () => {
    const here = own(1, { local: zoned(1, 1) });
    const elsewhere = own(3, { local: 'fe80::3%elsewhere' });
    const right = own(2, { peers: [zoned(1, 2), zoned(3, 2)] });
    const seen = [listen(here), listen(elsewhere)];
    segment.send(right, frameBytes(A, B));
    expect(seen.map(({ count }) => count)).to.deep.equal([1, 0]);
  });

  it('RFC 4007 6: knows the zone of who was not named', () => {
    const hub = own(1, {});
    const left = own(2, { peers: [zoned(1, 2)] });
    const seen = listen(left);
    segment.send(left, frameBytes(ALL, B));
    expect(hub.stations.map(({ peer }) => peer.toString())).to.deep.equal([zoned(2, 1)]);
    segment.send(hub, frameBytes(B, A));
    expect(seen.count).to.equal(1);
  });
});
