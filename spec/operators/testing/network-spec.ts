import { expect } from 'chai';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { map } from 'rxjs';
import { readCapture } from '../../../lib/capture/index.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import { Ipv4Address } from '../../../lib/core/address.js';
import { asTx, Frame } from '../../../lib/core/frame.js';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { agent, nodeNet, serveHttp } from '../../../lib/socket/index.js';
import {
  dumbbell,
  learningSwitch,
  type Network,
  network,
  type NetworkNode,
  star,
} from '../../../operators/testing/index.js';

const TWO = { a: '10.0.0.1/24', b: '10.0.0.2/24' } as const;
const ROUGH = { delay: 10, jitter: 8, loss: 0.1, duplicate: 0.05, corrupt: 0.05, reorder: 0.1 };

/** Has `a` send a few kilobytes to `b`, which sends them back. */
function exchange(net: Network<'a' | 'b'>): Promise<string> {
  nodeNet(net.hosts.b.tcp, { timers: net.hosts.b.env.timers })
    .createServer((socket) => socket.pipe(socket))
    .listen(7);
  const socket = nodeNet(net.hosts.a.tcp, { timers: net.hosts.a.env.timers }).connect(7, '10.0.0.2');
  socket.end('hello '.repeat(3000));
  return net.runUntilSettled(text(socket));
}

async function traceOf(seed: number): Promise<string> {
  const net = network({ seed, hosts: TWO, links: { lan: { impair: ROUGH } } });
  expect(await exchange(net)).to.equal('hello '.repeat(3000));
  net.run();
  net.assertIdle();
  const hash = net.traceHash();
  net.dispose();
  net.assertIdle();
  return hash;
}

describe('network', () => {
  it('has hosts of either IP version, or of both', async () => {
    const net = network({
      hosts: { a: ['10.0.0.1/24', 'fd00::1/64'], b: '10.0.0.2/24', c: 'fd00::3/64' },
      links: { lan: { impair: ROUGH, capture: true } },
      seed: 5,
    });
    const { a, b, c } = net.hosts;
    nodeNet(a.tcp, { timers: a.env.timers })
      .createServer((socket) => socket.end('hello'))
      .listen(7);
    const answers = [b, c].map((one, i) => {
      const { connect } = nodeNet(one.tcp, { timers: one.env.timers });
      return text(connect(7, i === 0 ? '10.0.0.1' : 'fd00::1'));
    });
    expect(await net.runUntilSettled(Promise.all(answers))).to.deep.equal(['hello', 'hello']);
    net.run();
    net.assertIdle();
    const seen = [...readCapture(net.links.lan.pcapng())].map(({ data }) => describePacket(Frame.from(data)).layers[1]);
    expect([...new Set(seen)]).to.have.members(['arp', 'ipv4', 'ipv6']);
    net.dispose();
    net.assertIdle();
  });

  it('runs Node programs unmodified, over hosts that need nothing but addresses', async () => {
    const net = network({ hosts: TWO });
    const web = http.createServer((request, response) => response.end(`you asked for ${request.url}`));
    const server = serveHttp(web, { tcp: net.hosts.b.tcp, port: 80 });
    const body = new Promise<string>((resolve, reject) => {
      const request = http.get({ host: '10.0.0.2', path: '/x', agent: agent(net.hosts.a.tcp) }, (response) =>
        text(response).then(resolve, reject),
      );
      request.on('error', reject);
    });
    expect(await net.runUntilSettled(body)).to.equal('you asked for /x');
    server.close();
    await net.advance(Infinity);
    net.assertIdle();
    net.dispose();
  });

  it('is determined by its seed', async () => {
    const [first, again, other] = [await traceOf(7), await traceOf(7), await traceOf(8)];
    expect(again)
      .to.equal(first)
      .and.match(/^[0-9a-f]{64}$/);
    expect(other).to.not.equal(first);
  });

  it('gives each host chance of its own, which does not depend on who else is there', () => {
    const numbers = (hosts: Record<string, string>): number[] => {
      const net = network({ seed: 3, hosts });
      return ['a', 'b'].map((name) => net.hosts[name]?.env.random.uint32() ?? 0);
    };
    const [a, b] = numbers(TWO);
    expect(a).to.not.equal(b);
    expect(numbers({ c: '10.0.0.3/24', ...TWO })).to.deep.equal([a, b]);
  });

  it('records a link at each of its ends, before and after what happens on the way', async () => {
    const net = network({ hosts: TWO, links: { lan: { capture: true, impair: { delay: 20 } } } });
    await exchange(net);
    const records = [...readCapture(net.links.lan.pcapng())];
    expect(
      records.slice(0, 4).map(({ interfaceId, direction, nanoseconds }) => [interfaceId, direction, nanoseconds]),
    ).to.deep.equal([
      [0, 'outbound', 0],
      [1, 'inbound', 20_000_000],
      [1, 'outbound', 20_000_000],
      [0, 'inbound', 40_000_000],
    ]);
    net.dispose();
  });

  it('records what a link drops, and why', () => {
    const net = network({ hosts: TWO, links: { lan: { capture: true, impair: { loss: 1 } } } });
    net.hosts.a.tcp.connect({ address: Ipv4Address.parse('10.0.0.2'), port: 80 }, silent());
    net.runFor(1);
    const reader = new CaptureReader();
    reader.push(net.links.lan.pcapng());
    const [sent, lost, ...others] = [reader.next(), reader.next(), reader.next()];
    expect(others).to.deep.equal([undefined]);
    expect(reader.interfaces.map(({ name }) => name)).to.deep.equal(['a.lan', 'b.lan', 'lan dropped']);
    expect([sent?.interfaceId, lost?.interfaceId]).to.deep.equal([0, 2]);
    expect(lost?.comment).to.equal('link-loss (sent by a.lan)');
    expect(lost?.data).to.deep.equal(sent?.data);
    net.dispose();
  });

  it('says what is left, by host', async () => {
    const net = network({ seed: 5, hosts: TWO });
    const listener = net.hosts.b.tcp.listen({ address: Ipv4Address.ANY, port: 80 });
    net.hosts.a.tcp.connect({ address: Ipv4Address.parse('10.0.0.2'), port: 80 }, silent());
    net.runFor(1);
    expect(() => net.assertIdle())
      .to.throw(
        /not idle at 1 ms \(seed 5\): .*a: connection in ESTABLISHED from 10\.0\.0\.1 port \d+ to 10\.0\.0\.2 port 80/,
      )
      .with.property('name', 'AssertionError');
    expect(() => net.assertIdle()).to.throw(/timers armed, the first for/);
    listener.close();
    net.dispose();
    net.assertIdle();
  });

  it('says that frames are in use, and that callbacks threw', () => {
    const net = network({ hosts: TWO });
    const frame = net.hosts.a.env.pool.alloc(1);
    expect(() => net.assertIdle()).to.throw('a: 1 frames in use');
    frame.release();
    net.assertIdle();
    net.hosts.a.tcp.connect(
      { address: Ipv4Address.parse('10.0.0.2'), port: 80 },
      { ...silent(), closed: () => expect.fail('thrown in a callback') },
    );
    net.run();
    expect(() => net.assertIdle()).to.throw('a: 1 callbacks threw');
    net.dispose();
  });

  it('joins hosts by several links, with routes', () => {
    const net = network({
      hosts: {
        a: {
          on: { left: '10.1.0.1/24', right: '10.2.0.1/24' },
          routes: [{ destination: '10.9.0.0/16', gateway: '10.2.0.2', link: 'right' }],
        },
        b: '10.1.0.2/24',
        c: ['10.2.0.2/24', '10.9.0.1/16'],
      },
      links: { left: { between: ['a', 'b'] }, right: { between: ['a', 'c'], mtu: 900, medium: 'ip' } },
    });
    const reached: string[] = [];
    for (const [name, host] of Object.entries(net.hosts)) {
      const address = Ipv4Address.ANY;
      host.udp.bind(
        { address, port: 9 },
        { message: ({ data }) => reached.push(`${name} ${data.length}`), error: () => undefined },
      );
    }
    const socket = net.hosts.a.udp.bind(
      { address: Ipv4Address.ANY, port: 1000 },
      { message: () => undefined, error: () => undefined },
    );
    socket.send(new Uint8Array(1400), { address: Ipv4Address.parse('10.1.0.2'), port: 9 });
    socket.send(new Uint8Array(1401), { address: Ipv4Address.parse('10.9.0.1'), port: 9 });
    net.run();
    expect(reached).to.have.members(['b 1400', 'c 1401']);
    expect(net.links.right.end('a').mtu).to.equal(900);
    net.dispose();
  });

  it('cuts links and heals them', async () => {
    const net = network({ hosts: TWO });
    net.links.lan.partition();
    net.scheduler.schedule(() => net.links.lan.heal(), 1500);
    expect(await exchange(net)).to.have.length(18_000);
    expect(net.now).to.be.greaterThan(1500);
    net.dispose();
  });

  it('takes other nodes than hosts: here a repeater between two links', async () => {
    const repeater: NetworkNode = ({ west, east }, env) =>
      map((frame) => {
        const copy = env.pool.copy(frame);
        copy.device = frame.device === west ? east : west;
        return asTx(copy);
      });
    const net = network({
      hosts: TWO,
      links: { west: { between: ['a', 'r'] }, east: { between: ['r', 'b'], impair: { delay: 1 } } },
      nodes: { r: repeater },
    });
    expect(await exchange(net)).to.have.length(18_000);
    net.run();
    net.assertIdle();
    net.dispose();
  });

  it('has switches, which send frames where they belong', async () => {
    const c = '10.0.0.3/24';
    const net = network({
      hosts: { ...TWO, c },
      nodes: { sw: learningSwitch() },
      links: Object.fromEntries(['a', 'b', 'c'].map((name) => [name, { between: [name, 'sw'], capture: true }])),
    });
    expect(await exchange(net)).to.have.length(18_000);
    net.run();
    net.assertIdle();
    // Of a conversation that has nothing to do with it, c hears the question for b's address.
    const heard = [...readCapture(net.links['c']?.pcapng() ?? new Uint8Array())];
    expect(heard.filter(({ interfaceId }) => interfaceId === 0).map(({ data }) => data.length)).to.deep.equal([60]);
    net.dispose();
    net.assertIdle();
  });

  for (const kind of ['red', 'codel'] as const) {
    it(`marks instead of dropping where hosts speak ECN and the queue is ${kind} (RFC 3168 5)`, async () => {
      const transfer = async (ecn: boolean) => {
        const tcp = { ecn: ecn ? 'on' : 'off' } as const;
        const queue = { kind, ecn: true } as const;
        const net = network({
          hosts: { a: { addresses: TWO.a, tcp }, b: { addresses: TWO.b, tcp } },
          links: { lan: { impair: { rate: 5e6, delay: 20, queue } } },
        });
        nodeNet(net.hosts.b.tcp, { timers: net.hosts.b.env.timers })
          .createServer((socket) => socket.end(Buffer.alloc(1_000_000, 'x')))
          .listen(7);
        const received = text(nodeNet(net.hosts.a.tcp, { timers: net.hosts.a.env.timers }).connect(7, '10.0.0.2'));
        expect(await net.runUntilSettled(received)).to.have.length(1_000_000);
        await net.advance(Infinity);
        const result = {
          drops: net.links.lan.env.drops.total,
          again: net.hosts.b.tcp.counters.retransmits,
          now: net.now,
        };
        net.dispose();
        return result;
      };
      const [marked, dropped] = [await transfer(true), await transfer(false)];
      expect(dropped.drops).to.be.greaterThan(2);
      expect(dropped.again).to.be.at.least(dropped.drops);
      expect(marked.again).to.be.below(dropped.again);
      expect(marked.drops).to.be.below(dropped.drops);
    });
  }

  it('comes in usual shapes: a star', async () => {
    const net = network({ hosts: TWO, ...star(['a', 'b'], { impair: { delay: 5 } }) });
    expect(await exchange(net)).to.have.length(18_000);
    net.run();
    net.assertIdle();
    expect(Object.keys(net.links)).to.deep.equal(['a', 'b']);
    net.dispose();
  });

  it('comes in usual shapes: a dumbbell, whose bottleneck all connections share', async () => {
    const impair = { rate: 10e6, delay: 10, queueFrames: 50 } as const;
    const hosts = { a: '10.0.0.1/24', b: '10.0.0.2/24', c: '10.0.0.3/24', d: '10.0.0.4/24' };
    const net = network({ hosts, ...dumbbell(['a', 'b'], ['c', 'd'], { impair }) });
    const { a, b, c, d } = net.hosts;
    const answers = ([a, b] as const).map((one, i) => {
      const other = i === 0 ? c : d;
      nodeNet(other.tcp, { timers: other.env.timers })
        .createServer((socket) => socket.end(Buffer.alloc(500_000, 'x')))
        .listen(7);
      return text(nodeNet(one.tcp, { timers: one.env.timers }).connect(7, i === 0 ? '10.0.0.3' : '10.0.0.4'));
    });
    const received = await net.runUntilSettled(Promise.all(answers));
    expect(received.map(({ length }) => length)).to.deep.equal([500_000, 500_000]);
    // A megabyte takes 0.8 s at that rate, whoever it is for.
    expect(net.now).to.be.within(840, 2500);
    expect(net.links.bottleneck.env.drops.toJSON()).to.have.keys('link-queue-full');
    await net.advance(Infinity);
    net.dispose();
  });

  it('throws what a stream failed with, and refuses impossible networks', () => {
    const net = network({ hosts: TWO, nodes: { bad: () => map(() => expect.fail('in a node')) } });
    net.hosts.a.tcp.connect({ address: Ipv4Address.parse('10.0.0.9'), port: 80 }, silent());
    expect(() => net.run()).to.throw('in a node');
    net.dispose();
    const refused = (make: () => unknown, message: string) =>
      expect(make).to.throw(message).with.property('code', 'ERR_INVALID_OPTION');
    refused(() => network({ hosts: { a: '10.0.0.1/24' } }), 'at least two ends');
    refused(() => network({ hosts: TWO, links: { x: { between: ['a', 'c'] } } }), "'c', which is no host and no node");
    refused(
      () => network({ hosts: { ...TWO, c: '10.0.0.3/24' }, links: { x: { between: ['a', 'b'] } } }),
      "no link joins 'c'",
    );
    refused(() => network({ hosts: TWO, nodes: { a: () => map(asTx) } }), "'a' is the name of a host and of a node");
    refused(() => network({ hosts: { ...TWO, c: { on: { x: '10.0.0.3/24' } } } }), "host 'c' is not on link 'x'");
    refused(() => network({ hosts: TWO, links: { lan: { impairFrom: { c: {} } } } }), "link 'lan' does not join 'c'");
    refused(() => network({ hosts: TWO, links: { x: {}, y: {} } }), "host 'a' is on several links");
    refused(() => network({ hosts: TWO }).links.lan.end('c'), "link 'lan' does not join 'c'");
    expect(() => network({ hosts: TWO }).links.lan.pcapng()).to.throw('without capture');
  });
});

function silent() {
  return { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
}
