import { expect } from 'chai';
import * as fc from 'fast-check';
import { merge, type Subscription } from 'rxjs';
import { bridgeDevice } from '../../drivers/bridge.js';
import { link, type LinkEnd } from '../../drivers/link.js';
import { type VxlanDevice, vxlanDevice, type VxlanDeviceOptions } from '../../drivers/vxlan.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, ChecksumState, Frame, GsoType, type TxFrame } from '../../lib/core/frame.js';
import { ipOf } from '../../lib/core/address.js';
import { describe as describePacket } from '../../lib/text/describe.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { pushIpHeader } from '../../lib/l3/ip-output.js';
import { UdpDatagram } from '../../lib/wire/udp.js';
import { networkOffset } from '../../lib/wire/network-offset.js';
import { innerTrafficClass } from '../../lib/wire/tunnel-ecn.js';
import { host, type Host } from '../../operators/stack/host.js';
import { toDevices } from '../../operators/stack/to-devices.js';
import type { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { hexBytes, hexOf } from '../lib/wire/frames.js';
import { BULK, parse, superSegment } from '../lib/wire/super-segments.js';
import { addressOf, VxlanSegment } from './vxlan-segment.js';
import { txOf } from './virtual-rigs.js';

const A = '0200000000aa';
const B = '0200000000bb';
const ALL = 'ffffffffffff';
const PAYLOAD = '88b5 0102030405060708';

const FLOW = { protocol: IpProtocol.Udp, hopLimit: 64, trafficClass: 0, dontFragment: false } as const;

/** What hosts on a segment say of frames that are for each other. */
const NOISE: readonly string[] = ['ethernet-not-for-us', 'arp-not-for-us'];

const frameBytes = (to: string, from: string, rest = PAYLOAD): Uint8Array => hexBytes(`${to} ${from} ${rest}`);

/** An IPv4 packet with this traffic class and these ports, its header's checksum not looked at. */
const ipv4 = (tos: number, ports = '04000035'): string =>
  `0800 45${tos.toString(16).padStart(2, '0')}001c00004000401100000a0000010a000002 ${ports} 00080000`;

for (const version of [4, 6] as const) {
  const address = addressOf(version);
  const other = (n: number): string => (version === 4 ? `2001:db8::${n}` : `192.0.2.${n}`);

  describe(`vxlanDevice over IPv${version}`, () => {
    let segment: VxlanSegment;
    let env: Env;
    let scheduler: SimulationScheduler;
    let hosts: readonly Host[];
    let running: readonly Subscription[];
    let wire: readonly LinkEnd[];
    let outer: VxlanSegment['outer'];
    let outerFrames: VxlanSegment['outerFrames'];

    beforeEach(() => {
      segment = new VxlanSegment(version);
      ({ env, scheduler, hosts, running, wire, outer, outerFrames } = segment);
    });
    afterEach(() => {
      for (const one of running) one.unsubscribe();
      expect(env.pool.outstanding).to.equal(0);
      expect(scheduler.pending).to.equal(0);
    });

    const make = (at: number, options: Partial<VxlanDeviceOptions> = {}): VxlanDevice => segment.make(at, options);
    /** What a device receives, as hex. */
    function listen(device: VxlanDevice): string[] {
      const seen: string[] = [];
      device.frames$.subscribe((frame) => {
        expect(frame.device).to.equal(device);
        expect(frame.wholeEnd).to.equal(frame.end);
        expect([frame.link, frame.network]).to.deep.equal([-1, -1]);
        seen.push(hexOf(frame));
      });
      return seen;
    }

    const send = (device: VxlanDevice, bytes: Uint8Array): void => segment.send(device, bytes);

    const tunnelled = (): typeof outer => outer.splice(0).filter(({ layers }) => layers.includes('vxlan'));

    it('7348-1: carries frames to a peer whole, and learns where their senders are', () => {
      const left = make(1, { peers: [address(2)] });
      const right = make(2, { peers: [address(1)] });
      const seen = [listen(left), listen(right)];
      send(left, frameBytes(B, A));
      send(right, frameBytes(A, B));
      expect(seen).to.deep.equal([[hexOf(Frame.from(frameBytes(A, B)))], [hexOf(Frame.from(frameBytes(B, A)))]]);
      expect(right.stations.map(({ mac, peer }) => `${mac.toString()} ${peer.toString()}`)).to.deep.equal([
        `02:00:00:00:00:aa ${address(1)}`,
      ]);
      const [there] = tunnelled();
      expect(there).to.deep.include({ src: address(1), dst: address(2), dport: 4789, vni: 42 });
      expect(there?.sport).to.be.within(49_152, 65_535);
      expect(there?.checksums?.udp).to.equal(version === 4 ? 'absent' : 'good');
    });

    it('7348-1: sends what is for many, or for nobody known, to each peer, and the rest to one', () => {
      const devices = [1, 2, 3].map((at) => make(at, { peers: [1, 2, 3].filter((one) => one !== at).map(address) }));
      const [first = expect.fail(), second = expect.fail(), third = expect.fail()] = devices;
      const seen = devices.map(listen);
      send(first, frameBytes(ALL, A));
      send(first, frameBytes('01005e000001', A));
      send(first, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([0, 3, 3]);
      expect(tunnelled().map(({ dst }) => dst)).to.deep.equal([2, 3, 2, 3, 2, 3].map(address));
      send(third, frameBytes(A, B));
      send(first, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([1, 3, 4]);
      send(second, frameBytes(A, B));
      send(first, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([2, 4, 4]);
      scheduler.runFor(300_000);
      send(first, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([2, 5, 5]);
    });

    it('never sends what came from a peer to a peer again, behind a bridge', () => {
      const devices = [1, 2, 3].map((at) => make(at, { peers: [1, 2, 3].filter((one) => one !== at).map(address) }));
      const bridges = devices.map((device) => bridgeDevice([device], {}, env));
      const seen: string[] = [];
      bridges.forEach((lan, i) =>
        lan.frames$.subscribe((frame) => void seen.push(`${i} ${hexOf(frame).slice(0, 12)}`)),
      );
      bridges[0]?.sink.next(txOf(frameBytes(ALL, A), env));
      bridges[0]?.sink.next(txOf(frameBytes(B, A), env));
      scheduler.runFor(1000);
      expect(seen).to.deep.equal([`1 ${ALL}`, `2 ${ALL}`]);
      expect(tunnelled()).to.have.lengthOf(4);
    });

    it('takes what belongs to it and nothing else', () => {
      const device = make(1, { peers: [address(2)] });
      const seen = listen(device);
      const drops = (bytes: string, from = 2): Record<string, number> => {
        const before = env.drops.toJSON();
        const me = hosts[from - 1] ?? expect.fail();
        const socket = me.udp.bind({ address: ipOf(address(from)), port: 0 }, { message() {}, error() {} });
        socket.send(hexBytes(bytes), { address: ipOf(address(1)), port: 4789 });
        scheduler.runFor(100);
        socket.close();
        return Object.fromEntries(
          Object.entries(env.drops.toJSON())
            .map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const)
            .filter(([reason, count]) => count > 0 && !NOISE.includes(reason)),
        );
      };
      const inner = `${B} ${A} ${PAYLOAD}`;
      expect(drops(`0800000000002a00 ${inner}`)).to.deep.equal({});
      expect(drops(`0800000000002b00 ${inner}`)).to.deep.equal({ 'vxlan-unknown-network': 1 });
      expect(drops(`0800000000002a00 ${inner}`, 3)).to.deep.equal({ 'vxlan-unknown-network': 1 });
      expect(drops(`0000000000002a00 ${inner}`)).to.deep.equal({ 'vxlan-bad-header': 1 });
      expect(drops(`0800000000000000 ${inner}`)).to.deep.equal({ 'vxlan-bad-header': 1 });
      expect(drops('0800000000002a')).to.deep.equal({ 'vxlan-truncated': 1 });
      expect(drops('')).to.deep.equal({ 'vxlan-truncated': 1 });
      expect(drops('0800000000002a00 020000000001')).to.deep.equal({ 'ethernet-truncated': 1 });
      expect(drops(`0800000000002a00 ${B} 010000000001 ${PAYLOAD}`)).to.deep.equal({ 'ethernet-bad-source': 1 });
      expect(drops(`0800000000002a00 ${B} 020000000001 ${PAYLOAD}`)).to.deep.equal({ 'tunnel-loop': 1 });
      expect(drops(`0800000000002a00 ${B} ${A} ${ipv4(0)}`)).to.deep.equal({});
      expect(seen).to.have.lengthOf(2);
    });

    it('ends the way of each datagram once, whatever is in it', () => {
      const device = make(1);
      const seen = listen(device);
      const me = hosts[1] ?? expect.fail();
      const socket = me.udp.bind({ address: ipOf(address(2)), port: 0 }, { message() {}, error() {} });
      const to = { address: ipOf(address(1)), port: 4789 };
      socket.send(hexBytes(`0800000000002a00 ${B} ${A} ${PAYLOAD}`), to);
      scheduler.runFor(100);
      const header = fc.constantFrom('', '08', '0800000000002a00', '0800000000002b00', '0c00000000002a00');
      let noiseBefore = NOISE.reduce((sum, reason) => sum + (env.drops.toJSON()[reason] ?? 0), 0);
      const ethernet = fc.constantFrom(
        '',
        `${B} ${A}`,
        `${B} 010000000001`,
        `${B} ${A} 0800`,
        `${B} ${A} 8100 0007 0800`,
      );
      fc.assert(
        fc.property(header, ethernet, fc.uint8Array({ maxLength: 80 }), (start, next, rest) => {
          const before = seen.length + env.drops.total;
          socket.send(Buffer.concat([hexBytes(start + next), rest]), to);
          scheduler.runFor(1);
          // Two others hear of it.
          const noise = NOISE.reduce((sum, reason) => sum + (env.drops.toJSON()[reason] ?? 0), 0);
          expect(seen.length + env.drops.total - noise - (before - noiseBefore)).to.equal(1);
          noiseBefore = noise;
        }),
      );
      socket.close();
    });

    it('has as many networks on a port as there are devices', () => {
      const pairs = [42, 43].map(
        (vni) => [make(1, { vni, peers: [address(2)] }), make(2, { vni, peers: [address(1)] })] as const,
      );
      const seen = pairs.map(([, right]) => listen(right));
      for (const [left] of pairs) send(left, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([1, 1]);
      expect(() => make(1, { vni: 43 }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
      const me = hosts[0] ?? expect.fail();
      expect(() => me.udp.bind({ address: ipOf(address(1)), port: 4789 }, { message() {}, error() {} })).to.throw(
        /EADDRINUSE/,
      );
      for (const device of pairs.flat()) void device.close();
      expect(me.udp.tunnels.size).to.equal(0);
      me.udp.bind({ address: ipOf(address(1)), port: 4789 }, { message() {}, error() {} });
      expect(() => make(1)).to.throw(/EADDRINUSE/);
    });

    it('7348-1: gives flows source ports that differ, and packets of a flow the same', () => {
      const left = make(1, { peers: [address(2)] });
      make(2, { peers: [address(1)] });
      const ports = new Map<string, Set<number>>();
      for (let flow = 0; flow < 64; flow++) {
        const rest = ipv4(0, `${(1024 + flow).toString(16).padStart(4, '0')}0035`);
        for (let i = 0; i < 3; i++) send(left, frameBytes(B, A, rest));
        ports.set(rest, new Set(tunnelled().map(({ sport }) => sport ?? 0)));
      }
      expect([...ports.values()].every(({ size }) => size === 1)).to.equal(true);
      expect(new Set([...ports.values()].flatMap((one) => [...one])).size).to.be.above(60);
      const fragment = (offset: string, port: string): Uint8Array =>
        frameBytes(B, A, `0800 4500001c0000${offset}401100000a0000010a000002 ${port}0035 00080000`);
      send(left, fragment('2000', '0400'));
      send(left, fragment('0003', '9999'));
      expect(new Set(tunnelled().map(({ sport }) => sport)).size).to.equal(1);
    });

    it('RFC 6040 4: takes DSCP and marks from the packet inside, or a DSCP of its own', () => {
      const classes = (options: Partial<VxlanDeviceOptions>): number[] => {
        const left = make(1, { peers: [address(2)], ...options });
        outerFrames.length = 0;
        for (const tos of [0, 1, 2, 3, 0xb8 | 1]) send(left, frameBytes(B, A, ipv4(tos)));
        send(left, frameBytes(B, A));
        void left.close();
        return outerFrames
          .filter((frame) => describePacket(frame).layers.includes('vxlan'))
          .map((frame) => innerTrafficClass(frame, networkOffset(frame, 'ethernet')));
      };
      expect(classes({})).to.deep.equal([0, 1, 2, 3, 0xb9, 0]);
      expect(classes({ dscp: 10 })).to.deep.equal([40, 41, 42, 43, 41, 40]);
    });

    it('RFC 6040 4: carries marks of the way over to the packet inside', () => {
      const left = make(1, { peers: [address(2)], dscp: 0 });
      const right = make(2, { peers: [address(1)] });
      const seen: number[] = [];
      right.frames$.subscribe((frame) => seen.push(innerTrafficClass(frame, networkOffset(frame, 'ethernet'))));
      for (const one of running) one.unsubscribe();
      // A router on the way that marks everything.
      const [me = expect.fail(), them = expect.fail()] = [1, 2].map((n) => {
        const device = wire[n - 1] ?? expect.fail();
        return { device, me: host({ device, addresses: [`${address(n)}/${version === 4 ? 24 : 64}`] }, env) };
      });
      void left.close();
      void right.close();
      const marked = vxlanDevice({ vni: 7, underlay: me.me, local: address(1), peers: [address(2)] }, env);
      const end = vxlanDevice({ vni: 7, underlay: them.me, local: address(2), peers: [address(1)] }, env);
      end.frames$.subscribe((frame) => seen.push(innerTrafficClass(frame, networkOffset(frame, 'ethernet'))));
      running = [
        me.device.frames$.pipe(me.me).subscribe((frame: TxFrame) => {
          const at = networkOffset(frame, 'ethernet');
          if (at >= 0 && describePacket(frame).layers.includes('vxlan')) mark(frame, at);
          me.device.sink.next(frame);
        }),
        them.device.frames$.pipe(them.me).subscribe(them.device.sink),
      ];
      scheduler.runFor(5000);
      for (const tos of [0x40, 0x41, 0x42, 0x43]) send(marked, frameBytes(B, A, ipv4(tos)));
      expect(seen).to.deep.equal([0x43, 0x43, 0x43]);
      expect(env.drops.toJSON()['tunnel-congestion']).to.equal(1);
    });

    it('RFC 6935 5: takes IPv6 datagrams without a checksum only if it is told to', () => {
      const left = make(1, { peers: [address(2)], checksum: false });
      const counts = [false, true].map((acceptZeroChecksum6) => {
        const right = make(2, { peers: [address(1)], acceptZeroChecksum6 });
        const seen = listen(right);
        send(left, frameBytes(B, A));
        void right.close();
        return seen.length;
      });
      expect(counts).to.deep.equal(version === 4 ? [1, 1] : [0, 1]);
      expect(env.drops.toJSON()['udp-bad-checksum'] ?? 0).to.equal(version === 4 ? 0 : 1);
      expect(tunnelled().map(({ checksums }) => checksums?.udp)).to.deep.equal(['absent', 'absent']);
      const strict = make(2, { peers: [address(1)], checksum: true });
      send(strict, frameBytes(A, B));
      expect(tunnelled().map(({ checksums }) => checksums?.udp)).to.deep.equal(['good']);
    });

    it('takes datagrams that a device put together one by one', () => {
      const left = make(1, { peers: [address(2)] });
      const seen: Frame[] = [];
      left.frames$.subscribe((frame) => void seen.push(frame.retain()));
      const one = Buffer.concat([hexBytes('0800000000002a00'), frameBytes(B, A)]);
      const frame = env.pool.alloc(200);
      for (const bytes of [one, one, one.subarray(0, 24)]) frame.slab.bytes.set(bytes, frame.put(bytes.length));
      UdpDatagram.emitUnchecked(frame, 50_000, 4789);
      const [from, to] = [ipOf(address(2)), ipOf(address(1))];
      pushIpHeader(frame, { ...FLOW, version, source: from, destination: to }, 1);
      const { start } = frame;
      frame.start += version === 4 ? 20 : 40;
      Object.assign(frame, { gsoType: GsoType.UdpL4, gsoSize: one.length, checksum: ChecksumState.Valid });
      const packet = version === 4 ? new Ipv4Packet(frame, start) : new Ipv6Packet(frame, start);
      expect(hosts[0]?.udp.tunnels.take(packet)).to.equal(true);
      frame.release();
      expect(seen.map(hexOf)).to.deep.equal(
        [frameBytes(B, A), frameBytes(B, A), frameBytes(B, A).slice(0, 16)].map((bytes) =>
          Buffer.from(bytes).toString('hex'),
        ),
      );
      expect(new Set(seen).size).to.equal(3);
      for (const kept of seen) kept.release();
    });

    it('cuts super-segments, and fits its MTU to that underneath', () => {
      const left = make(1, { peers: [address(2)] });
      const right = make(2, { peers: [address(1)] });
      expect(left.mtu).to.equal(version === 4 ? 1450 : 1430);
      expect(left.features).to.deep.equal({ checksum: true, segmentation: true, udpSegmentation: true });
      const got: number[] = [];
      right.frames$.subscribe((frame) => {
        expect(frame).to.include({ gsoType: GsoType.None, checksum: ChecksumState.None });
        got.push(parse(frame, 'ethernet').payload.length);
      });
      left.sink.next(asTx(superSegment({ ...BULK, gsoSize: 1370 }, env.pool)));
      scheduler.runFor(100);
      expect(got).to.deep.equal([1370, 1370, 1260]);
      left.sink.next(asTx(superSegment({ ...BULK, gsoSize: 1400 }, env.pool)));
      expect(env.drops.toJSON()['device-too-big']).to.equal(1);
      expect(make(3, { mtu: 1280 }).mtu).to.equal(1280);
      expect(make(4).mtu).to.equal(version === 4 ? 1450 : 1430);
    });

    it('has no larger MTU than an outer packet has room for, tags included', () => {
      // Outer headers, and an Ethernet header with two tags.
      const most = 65_535 - (version === 4 ? 20 : 40) - 8 - 8 - 22;
      const [left, right] = [1, 2].map((at) => make(at, { mtu: most, peers: [address(3 - at)] }));
      const got: number[] = [];
      right?.frames$.subscribe(({ length }) => got.push(length));
      const frame = new Uint8Array(most + 22).fill(1);
      frame.set(frameBytes(B, A, '88a8 0001 8100 0002 88b5'));
      // While neighbours resolve, no queue holds so many fragments.
      for (const bytes of [frameBytes(B, A), frame]) send(left ?? expect.fail(), bytes);
      expect(got).to.deep.equal([22, frame.length]);
      expect(() => make(3, { mtu: most + 1 }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');

      const [near] = link({ mtu: 65_535 }, env).ends;
      const me = host({ device: near, addresses: [`${address(1)}/${version === 4 ? 24 : 64}`] }, env);
      const on = near.frames$.pipe(me).subscribe(near.sink);
      scheduler.runFor(5000);
      expect(vxlanDevice({ vni: 5, underlay: me, peers: [address(2)] }, env).mtu).to.equal(most);
      on.unsubscribe();
    });

    it('knows stations that it is told, wherever they are heard, and those only where it does not learn', () => {
      const stations = [{ mac: '02:00:00:00:00:bb', peer: address(3) }];
      const left = make(1, { peers: [address(2)], stations, learning: false });
      const others = [2, 3].map((at) => make(at, { peers: [address(1)] }));
      const seen = others.map(listen);
      send(others[0] ?? expect.fail(), frameBytes(A, B));
      send(left, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([0, 1]);
      expect(left.unpin('02:00:00:00:00:bb')).to.equal(true);
      send(left, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([1, 1]);
      left.addPeer(address(3));
      left.addPeer(address(3));
      send(left, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([2, 2]);
      expect(left.peers.map(String)).to.deep.equal([address(2), address(3)]);
      expect(left.removePeer(address(2))).to.equal(true);
      expect(left.removePeer(address(2))).to.equal(false);
      send(left, frameBytes(B, A));
      expect(seen.map((one) => one.length)).to.deep.equal([2, 3]);
    });

    it('answers whoever it hears of, where nobody was named', () => {
      const hub = make(1);
      const left = make(2, { peers: [address(1)] });
      const seen = [listen(hub), listen(left)];
      send(hub, frameBytes(ALL, B));
      expect(env.drops.toJSON()).to.include({ 'ip-no-route': 1 });
      send(left, frameBytes(B, A));
      send(hub, frameBytes(A, B));
      expect(seen.map((one) => one.length)).to.deep.equal([1, 1]);
    });

    it('is carried by the host that uses it, and notices a way that leads through itself', () => {
      const [near, far] = link({}, env).ends;
      const prefix = version === 4 ? 24 : 64;
      const overlay = (n: number): string => (version === 4 ? `10.9.0.${n}` : `fd09::${n}`);
      const ends = [near, far].map((device, i) => {
        const virtual = vxlanDevice({ vni: 9, local: address(i + 11), peers: [address(12 - i)] }, env);
        const interfaces = [
          { device, addresses: [`${address(i + 11)}/${prefix}`] },
          { device: virtual, addresses: [`${overlay(i + 1)}/${prefix}`] },
        ];
        const me = host({ interfaces }, env);
        virtual.attach(me);
        expect(() => virtual.attach(me))
          .to.throw()
          .with.property('code', 'ERR_INVALID_STATE');
        return {
          me,
          virtual,
          on: merge(device.frames$, virtual.frames$).pipe(me).subscribe(toDevices(device, virtual)),
        };
      });
      scheduler.runFor(5000);
      const heard: number[] = [];
      const [first = expect.fail(), second = expect.fail()] = ends;
      const at = { address: ipOf(overlay(2)), port: 7 };
      second.me.udp.bind(at, { message: ({ data }) => heard.push(data.length), error() {} });
      const socket = first.me.udp.bind({ address: ipOf(overlay(1)), port: 0 }, { message() {}, error() {} });
      socket.send(new Uint8Array(100), at);
      socket.send(new Uint8Array(4000), at);
      scheduler.runFor(1000);
      expect(heard).to.deep.equal([100, 4000]);
      first.virtual.addPeer(version === 4 ? '10.9.0.77' : 'fd09::77');
      send(first.virtual, frameBytes(ALL, A));
      scheduler.runFor(5000);
      expect(env.drops.toJSON()['tunnel-loop']).to.be.above(0);
      for (const { on } of ends) on.unsubscribe();
    });

    it('sends nothing before it is attached, or after it is closed', () => {
      const loose = vxlanDevice({ vni: 8, peers: [address(2)] }, env);
      expect(loose.name).to.equal('vxlan8');
      send(loose, frameBytes(ALL, A));
      const device = make(1, { peers: [address(2)] });
      void device.close();
      send(device, frameBytes(ALL, A));
      expect(env.drops.toJSON()).to.deep.include({ 'device-down': 2 });
      expect(() => device.attach(hosts[0] ?? expect.fail()))
        .to.throw()
        .with.property('code', 'ERR_INVALID_STATE');
    });

    it('refuses what cannot be', () => {
      for (const options of [
        { vni: 0 },
        { vni: 0x100_0000 },
        { vni: 1.5 },
        { port: 0 },
        { hopLimit: 0 },
        { dscp: 64 },
        { mtu: 10 },
        { mtu: 65_535 },
        { ageing: Number.NaN },
        { peers: [other(2)] },
        { peers: [address(1)] },
        { peers: [version === 4 ? '224.0.0.1' : 'ff02::1'] },
        { stations: [{ mac: '01:00:00:00:00:01', peer: address(2) }] },
      ]) {
        expect(() => make(1, options), JSON.stringify(options))
          .to.throw()
          .with.property('code', 'ERR_INVALID_OPTION');
        expect(hosts[0]?.udp.tunnels.size, JSON.stringify(options)).to.equal(0);
      }
    });
  });

  function mark(frame: TxFrame, at: number): void {
    const { view } = frame.slab;
    if (version === 6) view.setUint16(at, view.getUint16(at) | 0x30);
    else {
      const before = view.getUint16(at);
      view.setUint16(at, before | 3);
      const sum = (~view.getUint16(at + 10) & 0xffff) + (~before & 0xffff) + (before | 3);
      view.setUint16(at + 10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
    }
  }
}
