/** Path MTUs from end to end, in both versions: hosts whose packets pass a router with a narrower link. */

import { once } from 'node:events';
import { expect } from 'chai';
import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { Connection } from '../../../lib/l4/tcp/connection.js';
import type { TcpOptions } from '../../../lib/l4/tcp/options.js';
import { nodeDgram } from '../../../lib/socket/dgram.js';
import { type Host } from '../../../operators/stack/host.js';
import { type Network, network } from '../../../operators/testing/index.js';
import { Bottleneck } from './bottleneck.js';
import { Peer } from './peer.js';
import { bytesOf, forSeeds } from './transfer.js';

const PORT = 80;
const A = { 4: Ipv4Address.parse('10.0.0.1'), 6: Ipv6Address.parse('fd00::1') };
const B = { 4: Ipv4Address.parse('10.0.0.2'), 6: Ipv6Address.parse('fd00::2') };
/** What a path is taken to carry once it was a black hole. */
const BASE = { 4: 1064, 6: 1280 };
const LEAST = { 4: 552, 6: 1280 };
type Version = 4 | 6;

interface World extends Network<'a' | 'b', 'left' | 'right'> {
  readonly box: Bottleneck;
}

interface WorldOptions {
  readonly mtu: number;
  readonly silent: boolean;
  readonly seed?: number;
  readonly tcp?: TcpOptions;
  readonly loss?: number;
  /** Of the narrow link, in bits a second. */
  readonly rate?: number;
  readonly linkMtu?: number;
}

function world(options: WorldOptions): World {
  const { mtu, silent, seed = 1, tcp = {}, loss = 0, rate = 1e9, linkMtu = 1500 } = options;
  const box = new Bottleneck(mtu, silent);
  const net = network({
    seed,
    hosts: {
      a: { addresses: ['10.0.0.1/24', 'fd00::1/64'], tcp },
      b: { addresses: ['10.0.0.2/24', 'fd00::2/64'], tcp },
    },
    nodes: { box: box.node },
    links: {
      left: { between: ['a', 'box'], medium: 'ip', mtu: linkMtu, impair: { delay: 10, loss } },
      right: { between: ['box', 'b'], medium: 'ip', mtu: linkMtu, impair: { delay: 10, loss, rate } },
    },
    maxEvents: 3_000_000,
  });
  return Object.assign(net, { box });
}

/** A connection from `a` to `b` whose ends send what they are given. */
function join(net: World, version: Version, up: number, down: number, seed = 1): { ends: [Peer, Peer]; check(): void } {
  const random = new SeededRandom(seed);
  const { a, b } = net.hosts;
  const data = [bytesOf(up, random), bytesOf(down, random)] as const;
  const plan = (bytes: Uint8Array) => ({ data: bytes, piece: 100_000 });
  const here = new Peer(plan(data[0]), a.env, random.fork());
  const there = new Peer(plan(data[1]), b.env, random.fork());
  const listener = b.tcp.listen({ address: B[version], port: PORT });
  listener.acceptable = () => {
    const connection = listener.accept();
    if (connection === undefined) return;
    there.connection = connection;
    connection.handler = there;
    there.connected();
    listener.close();
  };
  here.connection = a.tcp.connect({ address: B[version], port: PORT }, here);
  return {
    ends: [here, there],
    check() {
      expect(Buffer.compare(there.bytes, data[0]), `a to b: ${there.receivedBytes} of ${up}`).to.equal(0);
      expect(Buffer.compare(here.bytes, data[1]), `b to a: ${here.receivedBytes} of ${down}`).to.equal(0);
      expect([here.error, there.error, here.closes, there.closes]).to.deep.equal([undefined, undefined, 1, 1]);
    },
  };
}

/** An established connection of `a`, and how many bytes of it `b` has read. */
function open(net: World, version: Version, port = PORT): { connection: Connection; readonly received: () => number } {
  let count = 0;
  const idle = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
  const listener = net.hosts.b.tcp.listen({ address: B[version], port });
  listener.acceptable = () => {
    const connection = listener.accept();
    if (connection === undefined) return;
    connection.handler = {
      ...idle,
      readable() {
        for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) count += bytes.length;
      },
    };
  };
  const connection = net.hosts.a.tcp.connect({ address: B[version], port }, idle);
  net.runFor(100);
  return { connection: connection as Connection, received: () => count };
}

function pathMtu(host: Host, to: IpAddress): number | undefined {
  return host.tables.path(to)?.mtu;
}

/** Runs until both ends have closed; TIME-WAIT is over, too. Returns the milliseconds until the last byte came. */
function finish(net: World, transfer: ReturnType<typeof join>, limit = 120_000): number {
  const start = net.now;
  const [here, there] = transfer.ends;
  while ((here.closes === 0 || there.closes === 0) && net.now - start < limit) net.runFor(10);
  const duration = net.now - start;
  transfer.check();
  net.run();
  net.assertIdle();
  return duration;
}

for (const version of [4, 6] as const) {
  describe(`the path MTU, IPv${version}`, () => {
    it('30 (1191, 8201): a router tells it: nobody waits for a timeout, and the path is known from then on', () => {
      const net = world({ mtu: 1300, silent: false });
      const took = finish(net, join(net, version, 200_000, 200_000));
      const { a, b } = net.hosts;
      expect([pathMtu(a, B[version]), pathMtu(b, A[version])]).to.deep.equal([1300, 1300]);
      for (const { tcp } of [a, b]) expect(tcp.counters).to.include({ timeouts: 0, blackHoles: 0, mtuProbes: 0 });
      expect(took).to.be.below(1000);
      const before = net.box.dropped;
      finish(net, join(net, version, 50_000, 50_000));
      expect(net.box.dropped, 'the next connection begins with it').to.equal(before);
      net.dispose();
    });

    it('SHLD-6: the segment size that we offer follows what is known of the path', () => {
      const net = world({ mtu: 1300, silent: false });
      const offered = () => {
        const { connection } = open(net, version, PORT + net.hosts.b.tcp.size);
        connection.write(new Uint8Array(50_000));
        net.runFor(500);
        return connection.mssOffered;
      };
      expect([offered(), offered()]).to.deep.equal([1500, 1300].map((mtu) => mtu - (version === 4 ? 40 : 60)));
      net.dispose();
    });

    it('8899 4.3: a black hole is found within two seconds, then the path is searched, and all connections know it', () => {
      const net = world({ mtu: 1400, silent: true });
      const { a, b } = net.hosts;
      const took = finish(net, join(net, version, 400_000, 0));
      expect(a.tcp.counters.blackHoles).to.equal(1);
      expect(took).to.be.below(10_000);
      expect(pathMtu(a, B[version]), 'from below').to.be.within(BASE[version], 1400);
      const later = finish(net, join(net, version, 50_000, 0));
      expect(later).to.be.below(500);
      expect([a.tcp.counters.blackHoles, b.tcp.counters.blackHoles]).to.deep.equal([1, 0]);
      net.dispose();
    });

    it('the search ends with what the path carries', () => {
      const net = world({ mtu: 1400, silent: true });
      const transfer = join(net, version, 30_000_000, 0);
      const { connection } = transfer.ends[0];
      net.runFor(20_000);
      expect((connection as Connection).plpmtud?.search.state).to.equal('complete');
      expect((connection as Connection).mtu).to.equal(1400);
      const { counters } = net.hosts.a.tcp;
      expect(counters.mtuProbesLost).to.be.within(3, 12);
      expect(counters, 'lost probes are no congestion').to.include({ fastRetransmits: 0, timeouts: 3 });
      expect(pathMtu(net.hosts.a, B[version])).to.equal(1400);
      net.dispose();
    });

    it('an outage is no black hole: the first probe shows it, and the path is not remembered as narrow', () => {
      const net = world({ mtu: 1500, silent: true });
      const transfer = join(net, version, 2_000_000, 0);
      net.runFor(200);
      net.links.right.partition();
      net.runFor(3000);
      net.links.right.heal();
      finish(net, transfer);
      expect(net.hosts.a.tcp.counters).to.include({ blackHoles: 1, mtuProbes: 1, mtuProbesLost: 0 });
      expect(pathMtu(net.hosts.a, B[version])).to.equal(1500);
      net.dispose();
    });

    it('8201 5.3: a path that became wider is found after ten minutes; one that became narrower at once', () => {
      const net = world({ mtu: 1300, silent: false });
      const { a } = net.hosts;
      const { connection, received } = open(net, version);
      const send = (bytes: number) => {
        const before = received();
        connection.write(new Uint8Array(bytes));
        net.runFor(1000);
        expect(received() - before).to.equal(bytes);
      };
      send(100_000);
      expect(connection.mtu).to.equal(1300);
      net.box.mtu = 1500;
      send(100_000);
      expect([connection.mtu, a.tcp.counters.mtuProbes]).to.deep.equal([1300, 0]);
      net.runFor(600_000);
      send(100_000);
      expect([connection.mtu, a.tcp.counters.mtuProbes]).to.deep.equal([1500, 1]);
      net.box.mtu = 1290;
      send(100_000);
      expect([connection.mtu, pathMtu(a, B[version]), a.tcp.counters.timeouts]).to.deep.equal([1290, 1290, 0]);
      net.dispose();
    });

    it('what one connection finds out, the others to that host know', () => {
      const net = world({ mtu: 1400, silent: true, tcp: { sendBuffer: 1 << 20 } });
      const first = open(net, version);
      const second = open(net, version, PORT + 1);
      first.connection.write(new Uint8Array(1_000_000));
      net.runFor(20_000);
      expect(first.received()).to.equal(1_000_000);
      second.connection.write(new Uint8Array(100_000));
      net.runFor(1000);
      expect(second.received()).to.equal(100_000);
      expect([second.connection.mtu, net.hosts.a.tcp.counters.blackHoles]).to.deep.equal([first.connection.mtu, 1]);
      net.box.mtu = 1500;
      net.runFor(600_000);
      first.connection.write(new Uint8Array(100_000));
      net.runFor(1000);
      expect([first.connection.mtu, second.connection.mtu], 'no probe of its own').to.deep.equal([1500, 1500]);
      net.dispose();
    });

    it('5927 4.1: a report about segments that were never sent is believed neither by TCP nor by IP', () => {
      const net = world({ mtu: 1500, silent: true });
      net.box.lie = 1280;
      finish(net, join(net, version, 200_000, 200_000));
      const { a, b } = net.hosts;
      expect([pathMtu(a, B[version]), pathMtu(b, A[version])]).to.deep.equal([1500, 1500]);
      net.dispose();
    });

    it('always: no black hole is ever met', () => {
      const net = world({ mtu: 1400, silent: true, tcp: { mtuProbing: 'always' } });
      const took = finish(net, join(net, version, 400_000, 400_000));
      for (const { tcp } of [net.hosts.a, net.hosts.b]) expect(tcp.counters).to.include({ timeouts: 0, blackHoles: 0 });
      expect(took).to.be.below(2000);
      net.dispose();
    });

    it('off: a black hole is the end', () => {
      const net = world({ mtu: 1400, silent: true, tcp: { mtuProbing: 'off', dataRetries: 5 } });
      const transfer = join(net, version, 50_000, 0);
      net.runFor(60_000);
      expect(transfer.ends[0].error?.code).to.equal('ETIMEDOUT');
      net.dispose();
    });

    if (version === 4) {
      it('a path that carries less than the least is left to cut packets, by later connections as well', () => {
        const net = world({ mtu: 400, silent: true });
        const took = finish(net, join(net, version, 50_000, 0));
        expect(took).to.be.below(10_000);
        expect(pathMtu(net.hosts.a, B[version])).to.equal(552);
        expect(finish(net, join(net, version, 50_000, 0))).to.be.below(1000);
        expect(net.hosts.a.tcp.counters.blackHoles).to.equal(2);
        net.dispose();
        net.assertIdle();
      });
    }

    it('bytes out are bytes in, whatever the path carries from one moment to the next', () => {
      let [blackHoles, probes, told] = [0, 0, 0];
      forSeeds(1, 40, (seed) => {
        const random = new SeededRandom(seed);
        const widths = [LEAST[version], 1280, 1300, 1420, 1500, 1500, 4000, 9000];
        const width = () => widths[random.below(widths.length)] ?? 1500;
        const net = world({
          mtu: width(),
          silent: random.below(2) === 0,
          seed,
          loss: random.below(2) === 0 ? 0 : random.float() * 0.03,
          rate: 2e6 + random.below(8e6),
          linkMtu: random.below(3) === 0 ? 9000 : 1500,
          tcp: {
            mtuProbing: random.below(3) === 0 ? 'always' : 'blackhole',
            dataRetries: 1000,
            maxRto: 2000,
            timestamps: random.below(2) === 0,
          },
        });
        const transfer = join(net, version, random.below(800_000), random.below(800_000), seed);
        for (let i = 0; i < 12; i++) {
          net.runFor(random.float() * 1500);
          net.box.mtu = width();
          net.box.silent = random.below(2) === 0;
        }
        finish(net, transfer, 600_000);
        for (const { tcp, tables } of [net.hosts.a, net.hosts.b]) {
          blackHoles += tcp.counters.blackHoles;
          probes += tcp.counters.mtuProbes;
          if (tables.path(tables === net.hosts.a.tables ? B[version] : A[version])?.mtu !== 1500) told++;
        }
        net.dispose();
        net.assertIdle();
      });
      expect(Math.min(blackHoles, probes, told), 'it met what it was to survive').to.be.above(7);
    }).timeout(30_000);
  });

  describe(`the path MTU of datagrams, IPv${version}`, () => {
    const headers = version === 4 ? 28 : 48;

    it('EMSGSIZE for what the path would have to cut, and the path MTU for whoever asks', () => {
      const net = world({ mtu: 1300, silent: false });
      const { a, b } = net.hosts;
      const sizes: number[] = [];
      const errors: string[] = [];
      const any = version === 4 ? Ipv4Address.ANY : Ipv6Address.ANY;
      b.udp.bind({ address: any, port: 9 }, { message: ({ data }) => void sizes.push(data.length), error() {} });
      const handler = { message() {}, error: ({ code }: { code: string }) => void errors.push(code) };
      const socket = a.udp.bind({ address: any, port: 0 }, handler, { dontFragment: true });
      const to = { address: B[version], port: 9 };
      expect(() => socket.pathMtu())
        .to.throw()
        .with.property('code', 'EDESTADDRREQ');
      expect(socket.pathMtu(to)).to.equal(1500);
      socket.connect(to);
      expect(() => socket.send(new Uint8Array(1500 - headers + 1)))
        .to.throw()
        .with.property('code', 'EMSGSIZE');
      socket.send(new Uint8Array(1500 - headers));
      net.runFor(100);
      expect([errors, socket.pathMtu()]).to.deep.equal([['EMSGSIZE'], 1300]);
      expect(() => socket.send(new Uint8Array(1300 - headers + 1)))
        .to.throw()
        .with.property('code', 'EMSGSIZE');
      socket.send(new Uint8Array(1300 - headers));
      // Who does not mind has them cut.
      socket.dontFragment = false;
      socket.send(new Uint8Array(4000));
      net.runFor(100);
      expect(sizes).to.deep.equal([1300 - headers, 4000]);
      net.dispose();
      net.assertIdle();
    });

    it('dgram: the same by the names that Node would give it', async () => {
      const net = world({ mtu: 1300, silent: false });
      const socket = nodeDgram(net.hosts.a.udp).createSocket({
        type: version === 4 ? 'udp4' : 'udp6',
        dontFragment: true,
      });
      expect(() => socket.getPathMtu())
        .to.throw()
        .with.property('code', 'ERR_SOCKET_DGRAM_NOT_CONNECTED');
      socket.connect(9, B[version].toString());
      await once(socket, 'connect');
      expect(socket.getPathMtu()).to.equal(1500);
      const sent = (size: number) =>
        new Promise<string>((resolve) => {
          socket.send(new Uint8Array(size), (error) =>
            resolve(error === null ? 'sent' : String(Reflect.get(error, 'code'))),
          );
        });
      const refused = once(socket, 'error');
      expect(await sent(1500 - headers)).to.equal('sent');
      net.runFor(100);
      const [{ code }] = (await refused) as [NodeJS.ErrnoException];
      expect([code, socket.getPathMtu()]).to.deep.equal(['EMSGSIZE', 1300]);
      expect(await sent(1300 - headers + 1)).to.equal('EMSGSIZE');
      socket.setDontFragment(false);
      expect(await sent(1300 - headers + 1)).to.equal('sent');
      socket.close();
      net.dispose();
    });

    it('5927: a report about a port that no socket of ours has changes nothing', () => {
      const net = world({ mtu: 1300, silent: false });
      const { a } = net.hosts;
      const any = version === 4 ? Ipv4Address.ANY : Ipv6Address.ANY;
      const socket = a.udp.bind({ address: any, port: 0 }, { message() {}, error() {} }, { dontFragment: true });
      socket.send(new Uint8Array(1400), { address: B[version], port: 9 });
      socket.close();
      net.runFor(100);
      expect(net.box.dropped).to.equal(1);
      expect(pathMtu(a, B[version])).to.equal(1500);
      net.dispose();
    });
  });
}
