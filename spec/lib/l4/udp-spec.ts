import { expect } from 'chai';
import { Ipv4Address, Ipv6Address, type IpAddress, type IpVersion } from '../../../lib/core/address.js';
import { DropReason, Drops } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { NetError } from '../../../lib/core/errors.js';
import { Cast, DELIVERED, type Frame, FramePool, type TxPacket } from '../../../lib/core/frame.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { IcmpErrorKind } from '../../../lib/l3/icmp-report.js';
import { type IpPaths, pseudoHeaderSum, pushIpHeader } from '../../../lib/l3/ip-output.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import { UdpHost, anyEndpoint } from '../../../lib/l4/udp.js';
import type { UdpHandler, UdpMessage, UdpSocket } from '../../../lib/l4/udp-api.js';
import { type IpFlow, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { UDP_HEADER, UdpDatagram } from '../../../lib/wire/udp.js';

/** What a test body needs to know of one IP version: our two addresses, a peer's, and how to make and read packets. */
interface Family {
  readonly version: IpVersion;
  readonly us: IpAddress;
  readonly alias: IpAddress;
  readonly peer: IpAddress;
  /** A broadcast address, or a group where there is no broadcast. */
  readonly broadcast: IpAddress;
  readonly unreachable: IpAddress;
}

const families: readonly Family[] = [
  {
    version: 4,
    us: Ipv4Address.parse('10.0.0.1'),
    alias: Ipv4Address.parse('10.0.0.9'),
    peer: Ipv4Address.parse('10.0.0.2'),
    broadcast: Ipv4Address.parse('10.0.0.255'),
    unreachable: Ipv4Address.parse('192.0.2.1'),
  },
  {
    version: 6,
    us: Ipv6Address.parse('fd00::1'),
    alias: Ipv6Address.parse('fd00::9'),
    peer: Ipv6Address.parse('fd00::2'),
    broadcast: Ipv6Address.parse('ff02::1'),
    unreachable: Ipv6Address.parse('2001:db8::1'),
  },
];

class Recorder implements UdpHandler {
  readonly messages: UdpMessage[] = [];
  readonly errors: string[] = [];
  message(message: UdpMessage): void {
    this.messages.push(message);
  }
  error(error: { code: string }): void {
    this.errors.push(error.code);
  }
}

for (const family of families) {
  describe(`UdpHost over IPv${family.version}`, () => {
    const { us, alias, peer, broadcast, unreachable } = family;
    let env: Env;
    let host: UdpHost;
    let sent: { source: string; destination: string; ports: [number, number]; data: string; sound: boolean }[];

    const paths: IpPaths = {
      path: (destination, source) =>
        destination.equals(unreachable) ? undefined : { source: source ?? us, mtu: 1500 },
      isLocal: (address) => address.equals(us) || address.equals(alias),
      isBroadcast: (address) => address.equals(broadcast),
    };

    beforeEach(() => {
      const pool = new FramePool({ poison: true });
      env = { random: new SeededRandom(1), drops: new Drops(), pool } as unknown as Env;
      host = new UdpHost(paths, env);
      sent = [];
      host.output.emit = (packet: TxPacket) => {
        const Packet = family.version === 4 ? Ipv4Packet : Ipv6Packet;
        const header = new Packet(packet, packet.start);
        expect(Packet.check(packet, packet.start)).to.equal(undefined);
        packet.start += header.headerLength;
        const datagram = new UdpDatagram(packet, packet.start);
        sent.push({
          source: header.sourceAddress.toString(),
          destination: header.destinationAddress.toString(),
          ports: [datagram.sourcePort, datagram.destinationPort],
          data: Buffer.from(packet.bytes().subarray(UDP_HEADER)).toString(),
          sound: UdpDatagram.check(header) === undefined,
        });
        packet.release();
      };
    });

    afterEach(() => {
      expect(env.pool.outstanding).to.equal(0);
    });

    function datagramFrom(from: Endpoint, to: Endpoint, text: string, change?: (frame: Frame) => void) {
      const frame = env.pool.alloc(100);
      const data = Buffer.from(text);
      frame.slab.bytes.set(data, frame.put(data.length));
      const length = UDP_HEADER + data.length;
      const { version } = family;
      const way = { source: from.address, destination: to.address, protocol: IpProtocol.Udp };
      const flow = { version, ...way, hopLimit: 64, trafficClass: 0, dontFragment: false } as IpFlow;
      UdpDatagram.emit(frame, from.port, to.port, pseudoHeaderSum(flow, length));
      change?.(frame);
      pushIpHeader(frame, flow, 1);
      const packet = version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
      frame.start += packet.headerLength;
      if (to.address.equals(broadcast)) frame.ipCast = version === 4 ? Cast.Broadcast : Cast.Multicast;
      return packet;
    }

    function receive(from: Endpoint, to: Endpoint, text: string, change?: (frame: Frame) => void): number {
      const packet = datagramFrom(from, to, text, change);
      host.receive(packet);
      const { fate } = packet.frame;
      packet.frame.release();
      return fate;
    }

    const at = (address: IpAddress, port: number): Endpoint => ({ address, port });

    /** An ICMP error comes about a datagram of ours; says whether it was a socket's. */
    function reported(port: number, kind: IcmpErrorKind, about = at(peer, 9)): boolean {
      const { frame } = datagramFrom(at(us, port), about, '');
      const known = host.icmp({
        kind,
        code: kind === 'port-unreachable' ? 'ECONNREFUSED' : 'EHOSTUNREACH',
        reporter: peer,
        source: us,
        destination: about.address,
        protocol: 17,
        mtu: 0,
        frame,
        transport: frame.start,
      });
      frame.release();
      return known;
    }

    it('GP-60 delivers to a wildcard socket, with both addresses, empty datagrams too', () => {
      const app = new Recorder();
      host.bind(anyEndpoint(family.version, 7), app);
      expect(receive(at(peer, 5000), at(us, 7), 'hello')).to.equal(DELIVERED);
      expect(receive(at(peer, 5000), at(alias, 7), '')).to.equal(DELIVERED);
      expect(
        app.messages.map((m) => [Buffer.from(m.data).toString(), m.source.port, m.destination.address.toString()]),
      ).to.deep.equal([
        ['hello', 5000, us.toString()],
        ['', 5000, alias.toString()],
      ]);
    });

    it('drops a datagram whose receiver throws, and serves the others', () => {
      const app = new Recorder();
      const thrower = { message: () => expect.fail('thrown by a receiver'), error() {} };
      host.bind(anyEndpoint(family.version, 7), thrower, { reuseAddress: true });
      host.bind(anyEndpoint(family.version, 7), app, { reuseAddress: true });
      host.bind(anyEndpoint(family.version, 8), thrower);
      host.bind(anyEndpoint(family.version, 9), { view: () => expect.fail('thrown by a viewer'), error() {} });
      expect(receive(at(peer, 5000), at(us, 9), 'hello')).to.equal(DropReason.CallbackThrew);
      expect(receive(at(peer, 5000), at(us, 8), 'hello')).to.equal(DropReason.CallbackThrew);
      expect(receive(at(peer, 5000), at(broadcast, 7), 'all')).to.equal(DropReason.CallbackThrew);
      expect(app.messages.length).to.equal(1);
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 3 });
      expect(env.drops.delivered).to.equal(0);
    });

    it('prefers a connected socket to a bound one to a wildcard', () => {
      const [any, bound, connected] = [new Recorder(), new Recorder(), new Recorder()];
      host.bind(anyEndpoint(family.version, 7), any, { reuseAddress: true });
      host.bind(at(us, 7), bound, { reuseAddress: true });
      host.bind(at(us, 7), connected, { reuseAddress: true }).connect(at(peer, 5000));
      receive(at(peer, 5000), at(us, 7), 'c');
      receive(at(peer, 5001), at(us, 7), 'b');
      receive(at(peer, 5001), at(alias, 7), 'a');
      expect([any, bound, connected].map((r) => r.messages.map((m) => Buffer.from(m.data).toString()))).to.deep.equal([
        ['a'],
        ['b'],
        ['c'],
      ]);
    });

    it('does not give a port twice, unless both sockets agree', () => {
      const app = new Recorder();
      host.bind(anyEndpoint(family.version, 7), app);
      expect(() => host.bind(at(us, 7), app))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      expect(() => host.bind(at(us, 7), app, { reuseAddress: true }))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      const first = host.bind(at(us, 8), app);
      host.bind(at(alias, 8), app);
      first.close();
      host.bind(at(us, 8), app);
      expect(host.size).to.equal(3);
    });

    it('binds only to addresses of ours', () => {
      expect(() => host.bind(at(peer, 7), new Recorder()))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
    });

    it('GT-25 chooses free dynamic ports, which an observer cannot guess', () => {
      const ports = Array.from(
        { length: 200 },
        () => host.bind(anyEndpoint(family.version, 0), new Recorder()).local.port,
      );
      expect(new Set(ports).size).to.equal(200);
      expect(ports.every((port) => port >= 49152)).to.equal(true);
      const ascending = ports.filter((port, i) => port > (ports[i - 1] ?? 0)).length;
      expect(ascending).to.be.within(60, 140);
    });

    it('gives broadcasts to every socket that matches, and not to one bound to a unicast address', () => {
      const recorders = [new Recorder(), new Recorder(), new Recorder()] as const;
      host.bind(anyEndpoint(family.version, 7), recorders[0], { reuseAddress: true });
      host.bind(anyEndpoint(family.version, 7), recorders[1], { reuseAddress: true });
      host.bind(at(us, 7), recorders[2], { reuseAddress: true });
      receive(at(peer, 5000), at(broadcast, 7), 'all');
      expect(recorders.map((r) => r.messages.length)).to.deep.equal([1, 1, 0]);
    });

    it('1122-C5 asks for port unreachable where there is no socket, but not for a broadcast', () => {
      const asked: number[] = [];
      host.unreachable = (packet) => asked.push(packet.frame.length);
      expect(receive(at(peer, 5000), at(us, 9), 'x')).to.equal(DropReason.UdpNoSocket);
      expect(receive(at(peer, 5000), at(broadcast, 9), 'x')).to.equal(DropReason.UdpNoSocket);
      expect(asked).to.have.length(1);
    });

    it('sends with sound checksums from the address that the route or the bind says', () => {
      const socket = host.bind(anyEndpoint(family.version, 4000), new Recorder());
      socket.send(Buffer.from('hi'), at(peer, 53));
      host.bind(at(alias, 4001), new Recorder()).send(Buffer.from(''), at(peer, 53));
      expect(sent).to.deep.equal([
        { source: us.toString(), destination: peer.toString(), ports: [4000, 53], data: 'hi', sound: true },
        { source: alias.toString(), destination: peer.toString(), ports: [4001, 53], data: '', sound: true },
      ]);
    });

    it('GP-64 sends broadcasts only when allowed', () => {
      const socket = host.bind(anyEndpoint(family.version, 0), new Recorder());
      expect(() => socket.send(new Uint8Array(1), at(broadcast, 9)))
        .to.throw()
        .with.property('code', 'EACCES');
      socket.broadcast = true;
      socket.send(new Uint8Array(1), at(broadcast, 9));
      expect(sent).to.have.length(1);
    });

    it('says why it cannot send', () => {
      const socket = host.bind(anyEndpoint(family.version, 0), new Recorder());
      const sending = (size: number, to?: Endpoint) => () => socket.send(new Uint8Array(size), to);
      expect(sending(1)).to.throw().with.property('code', 'EDESTADDRREQ');
      expect(sending(1, at(unreachable, 9)))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(sending(1, at(peer, 0)))
        .to.throw()
        .with.property('code', 'EINVAL');
      expect(sending(family.version === 4 ? 65_508 : 65_528, at(peer, 9)))
        .to.throw()
        .with.property('code', 'EMSGSIZE');
      socket.connect(at(peer, 9));
      expect(sending(1, at(peer, 9)))
        .to.throw()
        .with.property('code', 'EISCONN');
      socket.close();
      expect(sending(1)).to.throw().with.property('code', 'EBADF');
    });

    it('is not connected, not even by half, where there is no way to the peer', () => {
      const app = new Recorder();
      const socket = host.bind(anyEndpoint(family.version, 4000), app);
      expect(() => socket.connect(at(unreachable, 9)))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(receive(at(peer, 9), at(us, 4000), 'abc')).to.equal(DELIVERED);
      socket.send(new Uint8Array(1), at(peer, 9));
      socket.connect(at(peer, 9));
      expect(() => socket.connect(at(unreachable, 9))).to.throw();
      socket.send(new Uint8Array(1));
      expect(receive(at(peer, 10), at(us, 4000), 'abc')).to.equal(DropReason.UdpNoSocket);
    });

    it('drops with a reason, and takes padding off (RFC 8200 8.1: over IPv6 a checksum is a must)', () => {
      const app = new Recorder();
      host.bind(anyEndpoint(family.version, 7), app);
      const to = at(us, 7);
      const from = at(peer, 5000);
      const patch = (offset: number, patched: number) => (frame: Frame) =>
        frame.slab.view.setUint16(frame.start + offset, patched);
      expect(receive(from, to, 'abc', patch(6, 0x1234))).to.equal(DropReason.UdpBadChecksum);
      expect(receive(from, to, 'abc', patch(4, 7))).to.equal(DropReason.UdpBadLength);
      expect(receive(from, to, 'abc', patch(4, 12))).to.equal(DropReason.UdpBadLength);
      expect(receive(from, to, 'abc', (frame) => void (frame.end = frame.start + 7))).to.equal(DropReason.UdpTruncated);
      expect(receive(from, to, 'abc', patch(6, 0))).to.equal(
        family.version === 4 ? DELIVERED : DropReason.UdpBadChecksum,
      );
      expect(receive(from, to, 'abc', (frame) => frame.pad(40))).to.equal(DELIVERED);
      expect(app.messages.map((m) => m.data.length)).to.deep.equal(family.version === 4 ? [3, 3] : [3]);
    });

    it('calls no socket that was closed meanwhile, nor one that was bound meanwhile', () => {
      const options = { reuseAddress: true };
      const any = anyEndpoint(family.version, 7);
      const late = new Recorder();
      const heard: string[] = [];
      const bindBoth = (isEnd = false) => {
        host = new UdpHost(paths, env);
        heard.length = 0;
        const ends: UdpSocket[] = [];
        const act = (name: string, i: number) => () => {
          heard.push(name);
          ends[1 - i]?.close();
          if (!isEnd) host.bind(any, late, options);
        };
        for (const [i, name] of ['a', 'b'].entries()) {
          const call = act(name, i);
          ends.push(host.bind(any, { message: call, error: call, report: call }, options));
        }
      };
      bindBoth();
      receive(at(peer, 5000), at(broadcast, 7), 'all');
      expect(heard).to.deep.equal(['a']);
      expect(late.messages).to.deep.equal([]);
      bindBoth();
      reported(7, 'port-unreachable');
      expect(heard).to.deep.equal(['a']);
      bindBoth(true);
      host.dispose();
      expect(heard).to.deep.equal(['a']);
    });

    it('opens no tunnel once it has ended', () => {
      host.dispose();
      expect(() => host.tunnels.open(4789, { receive: (frame) => frame.release() }))
        .to.throw()
        .with.property('code', 'ENETDOWN');
    });

    it('GP-63 reports any ICMP error to whom the datagram may have been from: who is connected, from no other', () => {
      const heard: (Endpoint | undefined)[] = [];
      const peers = [at(peer, 9), at(alias, 9), at(peer, 10), undefined];
      for (const end of peers) {
        const handler = { message() {}, error() {}, report: () => heard.push(end) };
        host.bind(anyEndpoint(family.version, 7), handler, { reuseAddress: true }).connect(end);
      }
      reported(7, 'time-exceeded');
      expect(heard).to.deep.equal([peers[0], undefined]);
      host.dispose();
    });

    it('GP-62 GP-63 reports hard ICMP errors to the connected socket concerned, and to no other', () => {
      const [connected, other, loose] = [new Recorder(), new Recorder(), new Recorder()];
      host.bind(at(us, 4000), connected).connect(at(peer, 9));
      host.bind(at(us, 4001), other).connect(at(peer, 9));
      host.bind(at(us, 4002), loose);
      expect(reported(4000, 'port-unreachable')).to.equal(true);
      expect(reported(4000, 'time-exceeded')).to.equal(true);
      expect(reported(4002, 'port-unreachable')).to.equal(false);
      expect([connected, other, loose].map((r) => r.errors)).to.deep.equal([['ECONNREFUSED'], [], []]);
      const thrower = (): never => {
        throw new Error('thrown');
      };
      connected.error = thrower;
      loose.error = thrower;
      expect(reported(4000, 'port-unreachable')).to.equal(true);
      host.dispose();
      expect(host.size).to.equal(0);
      expect(other.errors).to.deep.equal(['ENETDOWN']);
      expect(env.drops.toJSON()).to.deep.equal({ 'callback-threw': 3 });
    });

    it('tells its sockets when it is disposed', () => {
      const app = new Recorder();
      host.bind(anyEndpoint(family.version, 7), app);
      host.dispose();
      expect(app.errors).to.deep.equal(['ENETDOWN']);
      expect(host.size).to.equal(0);
    });

    it('opens no socket any more once it is disposed, also for whom it tells', () => {
      const codes: string[] = [];
      const again = (): void => {
        try {
          host.bind(anyEndpoint(family.version, 7), new Recorder());
        } catch (error) {
          codes.push(error instanceof NetError ? error.code : String(error));
        }
      };
      host.bind(anyEndpoint(family.version, 7), { message: () => {}, error: again });
      host.dispose();
      again();
      expect(codes).to.deep.equal(['ENETDOWN', 'ENETDOWN']);
      expect(host.size).to.equal(0);
    });
  });
}
