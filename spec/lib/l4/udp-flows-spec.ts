/** UDP of a whole host whose frames are looked at: flows are found out once, super-datagrams go in and out. */

import { expect } from 'chai';
import { Subject } from 'rxjs';
import { type IpVersion, parseIp } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { type DeviceFeatures, NO_FEATURES } from '../../../lib/core/device.js';
import { asRx, ChecksumState, type Frame, GsoType, type RxFrame } from '../../../lib/core/frame.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { completeChecksum, segment } from '../../../lib/wire/segmentation.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { fakeDevice, virtualEnv } from '../l2/fake-device.js';

const ALL: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };
const OWN = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
const PEER = { 4: '10.0.0.2', 6: 'fd00::2' } as const;
const HEADER = { 4: 28, 6: 48 } as const;

/** A host on a medium without neighbours, and what it sends as frames that the test owns. */
function bench(version: IpVersion, features: DeviceFeatures) {
  const env = virtualEnv();
  const device = { ...fakeDevice(env, { medium: 'ip' }), features };
  const me: Host = host({ device, addresses: ['10.0.0.1/24', 'fd00::1/64'] }, env);
  const input = new Subject<RxFrame>();
  const out: Frame[] = [];
  input.pipe(me).subscribe((frame) => out.push(frame));
  const notation = new PacketNotation({ local: OWN[version], remote: PEER[version] });
  const receive = (line: string, change: (frame: Frame) => void = () => {}): void => {
    const bytes = notation.build(line, '<').bytes();
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    // The notation's frames have an Ethernet header.
    frame.start += 14;
    change(frame);
    input.next(asRx(frame));
    frame.release();
  };
  const taken = (): Frame[] => out.splice(0).filter((frame) => isUdp(frame) || !release(frame));
  const dispose = (): void => {
    for (const frame of out) frame.release();
    input.complete();
  };
  return { env, me, receive, taken, dispose, peer: { address: parseIp(PEER[version]), port: 53 } };
}

function release(frame: Frame): true {
  frame.release();
  return true;
}

function payload(frame: Frame, version: IpVersion): string {
  return Buffer.from(frame.bytes()).toString('hex', HEADER[version]);
}

function isUdp({ slab: { view }, start }: Frame): boolean {
  return view.getUint8(start + (view.getUint8(start) >>> 4 === 4 ? 9 : 6)) === 17;
}

function text(frame: Frame, version: IpVersion): string {
  return Buffer.from(frame.bytes().subarray(HEADER[version])).toString();
}

const hopLimit = ({ slab: { view }, start }: Frame, version: IpVersion) =>
  view.getUint8(start + (version === 4 ? 8 : 7));

for (const version of [4, 6] as const) {
  describe(`flows of UDP over IPv${version}`, () => {
    it('follow sockets that come, go and connect', () => {
      const { me, receive, dispose, peer, env } = bench(version, NO_FEATURES);
      const seen: string[] = [];
      const bind = (name: string) =>
        me.udp.bind(anyEndpoint(version, 9), { message: () => seen.push(name), error() {} }, { reuseAddress: true });
      const datagram = () => receive('< udp 53 > 9 (4)');
      const first = bind('first');
      datagram();
      datagram();
      const second = bind('second');
      datagram();
      first.connect(peer);
      datagram();
      first.connect({ ...peer, port: 54 });
      datagram();
      second.close();
      datagram();
      first.connect(undefined);
      datagram();
      first.close();
      datagram();
      expect(seen).to.deep.equal(['first', 'first', 'second', 'first', 'second', 'first']);
      expect(env.drops.toJSON()).to.deep.equal({ 'udp-no-socket': 2 });
      dispose();
      expect(env.pool.outstanding).to.equal(0);
    });

    it('tell the sender of each', () => {
      const { me, receive, dispose } = bench(version, NO_FEATURES);
      const seen: string[] = [];
      const told = ({ source, destination, data }: UdpMessage) =>
        seen.push(`${source.address.toString()} ${source.port} ${destination.port} ${data.length}`);
      me.udp.bind(anyEndpoint(version, 9), { message: told, error() {} });
      for (const port of [53, 54, 53]) receive(`< udp ${port} > 9 (${port})`);
      const from = PEER[version];
      expect(seen).to.deep.equal([`${from} 53 9 53`, `${from} 54 9 54`, `${from} 53 9 53`]);
      dispose();
    });

    it('follow options and routes on the way out', () => {
      const { me, taken, dispose, peer, env } = bench(version, NO_FEATURES);
      const socket = me.udp.bind(anyEndpoint(version, 9), { message() {}, error() {} });
      const hops = (): number[] =>
        taken().map((frame) => {
          const hop = hopLimit(frame, version);
          frame.release();
          return hop;
        });
      socket.send(Buffer.from('a'), peer);
      socket.send(Buffer.from('b'), peer);
      me.tables.hopLimit = 33;
      socket.send(Buffer.from('c'), peer);
      socket.hopLimit = 5;
      socket.send(Buffer.from('d'), peer);
      expect(hops()).to.deep.equal([64, 64, 33, 5]);
      const far: Endpoint = { address: parseIp(version === 4 ? '192.0.2.1' : '2001:db8::1'), port: 1 };
      expect(() => socket.send(Buffer.from('e'), far))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      const gateway = PEER[version];
      const [device] = [...me.tables.routes.list(), ...me.tables.routes6.list()].map((route) => route.device);
      if (device === undefined) return expect.fail('no device');
      me.tables.addRoute({ destination: 'default', gateway, device });
      socket.send(Buffer.from('f'), far);
      me.tables.removeRoute(version === 4 ? '0.0.0.0/0' : '::/0');
      expect(() => socket.send(Buffer.from('g'), far))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(hops()).to.deep.equal([5]);
      dispose();
      expect(env.pool.outstanding).to.equal(0);
    });

    it('leave checksums to devices that make them, and only to these', () => {
      for (const features of [NO_FEATURES, ALL]) {
        const { me, taken, dispose, peer } = bench(version, features);
        const socket = me.udp.bind(anyEndpoint(version, 9), { message() {}, error() {} });
        socket.send(Buffer.from('odd'), peer);
        const [frame] = taken();
        if (frame === undefined) return expect.fail('nothing sent');
        expect(frame.checksum).to.equal(features.checksum ? ChecksumState.Partial : ChecksumState.None);
        completeChecksum(frame);
        frame.checksum = ChecksumState.None;
        const packet = version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
        frame.start += packet.headerLength;
        expect(UdpDatagram.check(packet)).to.equal(undefined);
        frame.slab.bytes[frame.end - 1] = 0;
        expect(UdpDatagram.check(packet)).to.equal(DropReason.UdpBadChecksum);
        frame.release();
        dispose();
      }
      return undefined;
    });

    it('bring the datagrams of one that stands for many, one by one', () => {
      const { me, receive, dispose, env } = bench(version, ALL);
      const sizes: number[] = [];
      const socket = me.udp.bind(anyEndpoint(version, 9), {
        message: ({ data }) => sizes.push(data.length),
        error() {},
      });
      const many = (gsoSize: number) => (frame: Frame) => {
        frame.gsoType = GsoType.UdpL4;
        frame.gsoSize = gsoSize;
      };
      receive('< udp 53 > 9 (1000)', many(300));
      expect(sizes.splice(0)).to.deep.equal([300, 300, 300, 100]);
      receive('< udp 53 > 9 (1000)', many(500));
      receive('< udp 53 > 9 (10)', many(500));
      receive('< udp 53 > 9 (0)', many(500));
      expect(sizes.splice(0)).to.deep.equal([500, 500, 10, 0]);
      socket.close();
      dispose();
      expect(env.pool.outstanding).to.equal(0);
    });

    it('are shown where they lie, and sent back from there', () => {
      const { me, receive, taken, dispose, env } = bench(version, NO_FEATURES);
      const seen: string[] = [];
      const socket = me.udp.bind(anyEndpoint(version, 9), {
        view: (bytes, from, to, { source, destination, hopLimit }) => {
          seen.push(`${to - from} from ${source.port} to ${destination.address.toString()}, ${hopLimit}`);
          expect(bytes.length).to.be.above(to);
          socket.sendCopy(bytes, from, to, source);
          socket.sendCopy(bytes, from + 1, to, source, 4);
        },
        error() {},
      });
      receive('< udp 53 > 9 (10)');
      expect(seen).to.deep.equal([`10 from 53 to ${OWN[version]}, 64`]);
      const out = taken();
      expect(out.map(({ length }) => length - HEADER[version])).to.deep.equal([10, 4, 4, 1]);
      const [whole = '', ...parts] = out.map((frame) => payload(frame, version));
      expect(parts.join('')).to.equal(whole.slice(2));
      for (const frame of out) frame.release();
      expect(() => socket.sendCopy(new Uint8Array(4), 2, 5))
        .to.throw()
        .with.property('code', 'ERR_OUT_OF_RANGE');
      socket.close();
      dispose();
      expect(env.pool.outstanding).to.equal(0);
    });

    it('send many datagrams, as one frame where the device cuts it, with the same bytes', () => {
      const data = Buffer.from(Array.from({ length: 2500 }, (_, i) => i % 251));
      const results = [NO_FEATURES, ALL].map((features) => {
        const { me, taken, dispose, peer, env } = bench(version, features);
        const socket = me.udp.bind(anyEndpoint(version, 9), { message() {}, error() {} });
        socket.send(data, peer, 1000);
        const frames = taken();
        expect(frames).to.have.length(features.udpSegmentation ? 1 : 3);
        const pieces: string[] = [];
        for (const frame of frames) {
          if (frame.gsoType === GsoType.None) pieces.push(text(frame, version));
          else {
            expect(frame).to.include({ gsoType: GsoType.UdpL4, gsoSize: 1000, checksum: ChecksumState.Partial });
            segment(frame, frame.start, env.pool, (piece) => {
              pieces.push(text(piece, version));
              piece.release();
            });
          }
          frame.release();
        }
        const tooMuch = 1500 - HEADER[version] + 1;
        expect(() => socket.send(data, peer, tooMuch))
          .to.throw()
          .with.property('code', 'EMSGSIZE');
        expect(() => socket.send(data, peer, 0))
          .to.throw()
          .with.property('code', 'EMSGSIZE');
        dispose();
        expect(env.pool.outstanding).to.equal(0);
        return pieces;
      });
      expect(results[0]?.map((piece) => Buffer.from(piece).length).length).to.equal(3);
      expect(results[1]).to.deep.equal(results[0]);
    });

    it('send more than one packet can stand for in several', () => {
      const { me, taken, dispose, peer } = bench(version, ALL);
      const socket = me.udp.bind(anyEndpoint(version, 9), { message() {}, error() {} });
      socket.send(new Uint8Array(150_000), peer, 1200);
      const lengths = taken().map((frame) => {
        const { length } = frame;
        frame.release();
        return length - HEADER[version];
      });
      expect(lengths).to.deep.equal([64_800, 64_800, 20_400]);
      dispose();
    });
  });
}
