/** What is neither IPv4 nor IPv6 alone: sockets of both versions, IPv4-mapped addresses, and addresses that need a zone. */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { map } from 'rxjs';
import { type IpAddress, ipOf } from '../../../lib/core/address.js';
import { Cast } from '../../../lib/core/frame.js';
import type { TcpHandler, TcpListener } from '../../../lib/l4/tcp/api.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import { nodeDgram } from '../../../lib/socket/dgram.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { ipv6 } from '../../../operators/l3/ipv6.js';
import { rawIp } from '../../../operators/l2/raw-ip.js';
import { net, network } from '../../../operators/testing/index.js';
import { FACTS } from '../../both-versions.js';

const [A4, B4] = [FACTS[4].a, FACTS[4].b];
const [A6, B6] = [FACTS[6].a, FACTS[6].b];
const ANY4 = FACTS[4].any;
const ANY6 = FACTS[6].any;
const NEAR = 'fe80::b';
const quiet: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

/** Two neighbours that speak both versions. */
function pair() {
  return network({
    hosts: {
      a: ['10.0.0.1/24', 'fd00::1/64', 'fe80::a/64'],
      b: ['10.0.0.2/24', 'fd00::2/64', `${NEAR}/64`],
    },
  });
}

type Pair = ReturnType<typeof pair>;

/** What becomes of a connection from a to port 80 of `address`. */
function outcome(hosts: Pair, address: IpAddress): string {
  let end = '';
  const handler = { ...quiet, closed: (error?: { code: string }) => (end = error?.code ?? 'closed') };
  const connection = hosts.hosts.a.tcp.connect({ address, port: 80 }, handler);
  hosts.runFor(5000);
  return connection.state === 'ESTABLISHED' ? `${connection.state} to ${connection.remote.address.toString()}` : end;
}

/** The remote ends that a listener has to accept. */
function accepted(listener: TcpListener): string[] {
  const found: string[] = [];
  for (let one = listener.accept(); one !== undefined; one = listener.accept())
    found.push(one.remote.address.toString());
  return found;
}

describe('sockets of both IP versions', () => {
  it('TCP: `::` listens on both, unless it wants IPv6 only (GT-28)', () => {
    const hosts = pair();
    const { b } = hosts.hosts;
    const both = b.tcp.listen({ address: ANY6, port: 80 });
    expect(outcome(hosts, B4)).to.equal('ESTABLISHED to 10.0.0.2');
    expect(outcome(hosts, B6)).to.equal('ESTABLISHED to fd00::2');
    expect(accepted(both)).to.deep.equal(['10.0.0.1', 'fd00::1']);
    both.close();
    const six = b.tcp.listen({ address: ANY6, port: 80 }, { ipv6Only: true });
    expect(outcome(hosts, B4)).to.equal('ECONNREFUSED');
    expect(outcome(hosts, B6)).to.equal('ESTABLISHED to fd00::2');
    expect(accepted(six)).to.deep.equal(['fd00::1']);
    hosts.dispose();
  });

  it('TCP: what is more specific goes first', () => {
    const hosts = pair();
    const { b } = hosts.hosts;
    const both = b.tcp.listen({ address: ANY6, port: 80 });
    const four = b.tcp.listen({ address: ANY4, port: 80 });
    outcome(hosts, B4);
    outcome(hosts, B6);
    expect([accepted(both), accepted(four)]).to.deep.equal([['fd00::1'], ['10.0.0.1']]);
    hosts.dispose();
  });

  it('an IPv4-mapped address is the IPv4 address, to connect to and to listen at (RFC 3493 3.7, GT-28)', () => {
    const hosts = pair();
    const { b } = hosts.hosts;
    const listener = b.tcp.listen({ address: ipOf('::ffff:10.0.0.2'), port: 80 });
    expect(listener.local.address.toString()).to.equal('10.0.0.2');
    expect(outcome(hosts, ipOf('::ffff:10.0.0.2'))).to.equal('ESTABLISHED to 10.0.0.2');
    expect(accepted(listener)).to.deep.equal(['10.0.0.1']);
    const seen: UdpMessage[] = [];
    b.udp.bind({ address: ANY4, port: 9 }, { message: (message) => void seen.push(message), error() {} });
    const socket = hosts.hosts.a.udp.bind({ address: ANY6, port: 0 }, { message() {}, error() {} });
    socket.send(new Uint8Array(3), { address: ipOf('::ffff:10.0.0.2'), port: 9 });
    hosts.runFor(100);
    expect(seen.map(({ source }) => source.address.toString())).to.deep.equal(['10.0.0.1']);
    hosts.dispose();
  });

  it('never comes from a wire as an IPv6 address: it would be mistaken for an IPv4 one', () => {
    net(
      ({ rx, expectTx, expectDrops, env }) => {
        const addresses = { accepts: () => Cast.Unicast, has: () => false };
        const in$ = rx('-m-|', { m: '< S 0:0(0) from ::ffff:10.0.0.1' });
        const passed$ = in$.pipe(
          rawIp(env),
          ipv6({ addresses }, env),
          map(({ frame }) => env.pool.copy(frame)),
        );
        expectTx(passed$).toBe('---|');
        expectDrops().toBe('-d--', { d: 'ipv6-bad-source' });
      },
      { version: 6, linkType: 'ip' },
    );
  });

  it('UDP: a socket at `::` sends and receives both, and has the port to itself', () => {
    const hosts = pair();
    const { a, b } = hosts.hosts;
    const told: string[] = [];
    const both = b.udp.bind(
      { address: ANY6, port: 9 },
      {
        message({ source, destination }) {
          told.push(`${source.address.toString()} to ${destination.address.toString()}`);
          both.send(new Uint8Array(1), source);
        },
        error() {},
      },
    );
    const answers: string[] = [];
    const note = { message: ({ source }: UdpMessage) => void answers.push(source.address.toString()), error() {} };
    a.udp.bind({ address: ANY4, port: 0 }, note).send(new Uint8Array(1), { address: B4, port: 9 });
    a.udp.bind({ address: ANY6, port: 0 }, note).send(new Uint8Array(1), { address: B6, port: 9 });
    const connected = a.udp.bind({ address: ANY6, port: 0 }, note);
    connected.connect({ address: B4, port: 9 });
    expect(connected.local.address.toString()).to.equal('10.0.0.1');
    connected.send(new Uint8Array(1));
    hosts.runFor(100);
    expect(told).to.have.members(['10.0.0.1 to 10.0.0.2', 'fd00::1 to fd00::2', '10.0.0.1 to 10.0.0.2']);
    expect(answers).to.have.members(['10.0.0.2', 'fd00::2', '10.0.0.2']);
    for (const address of [ANY4, B4, ANY6]) {
      expect(() => b.udp.bind({ address, port: 9 }, note), address.toString())
        .to.throw()
        .with.property('code', 'EADDRINUSE');
    }
    hosts.dispose();
  });

  it('UDP: a socket at `::` for IPv6 only leaves IPv4 to others', () => {
    const hosts = pair();
    const { a, b } = hosts.hosts;
    const told: string[] = [];
    const note = (who: string) => ({ message: () => void told.push(who), error() {} });
    const six = b.udp.bind({ address: ANY6, port: 9 }, note('six'), { ipv6Only: true });
    b.udp.bind({ address: ANY4, port: 9 }, note('four'));
    const socket = a.udp.bind({ address: ANY6, port: 0 }, note('a'));
    socket.send(new Uint8Array(1), { address: B4, port: 9 });
    hosts.runFor(10);
    socket.send(new Uint8Array(1), { address: B6, port: 9 });
    hosts.runFor(10);
    expect(told).to.deep.equal(['four', 'six']);
    expect(() => six.send(new Uint8Array(1), { address: A4, port: 9 }))
      .to.throw()
      .with.property('code', 'EINVAL');
    hosts.dispose();
  });

  it('UDP: a connected socket of both versions hears of errors', () => {
    const hosts = pair();
    const codes: string[] = [];
    const handler = { message() {}, error: ({ code }: { code: string }) => void codes.push(code) };
    const socket = hosts.hosts.a.udp.bind({ address: ANY6, port: 0 }, handler);
    for (const address of [B4, B6]) {
      socket.connect({ address, port: 9 });
      socket.send(new Uint8Array(1));
      hosts.runFor(100);
    }
    expect(codes).to.deep.equal(['ECONNREFUSED', 'ECONNREFUSED']);
    hosts.dispose();
  });

  it('are told apart in the words of Node: net', async () => {
    const hosts = pair();
    const server = nodeNet(hosts.hosts.b.tcp)
      .createServer((s) => s.end(`${s.remoteAddress} ${s.remoteFamily} ${s.localAddress} ${s.localFamily}`))
      .listen(80);
    await once(server, 'listening');
    expect(server.address()).to.deep.equal({ address: '::', family: 'IPv6', port: 80 } satisfies AddressInfo);
    const { connect } = nodeNet(hosts.hosts.a.tcp);
    const told = async (host: string) => hosts.runUntilSettled(text(connect(80, host)));
    expect(await told('10.0.0.2')).to.equal('::ffff:10.0.0.1 IPv6 ::ffff:10.0.0.2 IPv6');
    expect(await told('::ffff:10.0.0.2')).to.equal('::ffff:10.0.0.1 IPv6 ::ffff:10.0.0.2 IPv6');
    expect(await told('fd00::2')).to.equal('fd00::1 IPv6 fd00::2 IPv6');
    const four = nodeNet(hosts.hosts.b.tcp)
      .createServer((s) => s.end(`${s.remoteAddress}`))
      .listen(80, '0.0.0.0');
    await once(four, 'listening');
    expect(await told('10.0.0.2')).to.equal('10.0.0.1');
    await hosts.advance(1000);
    hosts.dispose();
  });

  it('are told apart in the words of Node: dgram', async () => {
    const hosts = pair();
    const b = nodeDgram(hosts.hosts.b.udp);
    const server = b.createSocket('udp6').bind(9);
    server.on('message', (data, { address, family, port }) =>
      server.send(`${data} from ${address} ${family}`, port, address),
    );
    await once(server, 'listening');
    const told = async (type: 'udp4' | 'udp6', host: string): Promise<string> => {
      const socket = nodeDgram(hosts.hosts.a.udp).createSocket(type);
      const answer = once(socket, 'message');
      socket.send('hello', 9, host);
      const [data, from] = (await hosts.runUntilSettled(answer)) as [Buffer, { address: string }];
      socket.close();
      return `${data.toString()}, answered by ${from.address}`;
    };
    expect(await told('udp4', '10.0.0.2')).to.equal('hello from ::ffff:10.0.0.1 IPv6, answered by 10.0.0.2');
    expect(await told('udp6', 'fd00::2')).to.equal('hello from fd00::1 IPv6, answered by fd00::2');
    const mapped = 'hello from ::ffff:10.0.0.1 IPv6, answered by ::ffff:10.0.0.2';
    expect(await told('udp6', '::ffff:10.0.0.2')).to.equal(mapped);
    server.close();
    await once(server, 'close');
    hosts.dispose();
  });
});

describe('link-local addresses', () => {
  /** a is on two links, and b, with the same addresses on both, on one of each. */
  function twoLinks() {
    return network({
      hosts: {
        a: { on: { left: 'fe80::a/64', right: 'fe80::a/64' } },
        b: { on: { left: `${NEAR}/64` } },
        c: { on: { right: `${NEAR}/64` } },
      },
      links: { left: { between: ['a', 'b'] }, right: { between: ['a', 'c'] } },
    });
  }

  it('are connected to by the link that their zone names (RFC 4007 6)', () => {
    const hosts = twoLinks();
    const { a, b, c } = hosts.hosts;
    const [left, right] = [b, c].map(({ tcp }) => tcp.listen({ address: ANY6, port: 80 }));
    if (left === undefined || right === undefined) throw new Error('two listeners');
    const connection = a.tcp.connect({ address: ipOf(`${NEAR}%a.right`), port: 80 }, quiet);
    hosts.runFor(100);
    expect(connection.state).to.equal('ESTABLISHED');
    expect(connection.remote.address.toString()).to.equal(`${NEAR}%a.right`);
    expect([accepted(left), accepted(right)]).to.deep.equal([[], ['fe80::a%c.right']]);
    connection.write(new Uint8Array(10_000));
    hosts.runFor(1000);
    expect(connection.unacknowledgedBytes).to.equal(0);
    hosts.dispose();
  });

  it('are answered by the link that they came from, also by a UDP socket that is connected or bound there', () => {
    const hosts = twoLinks();
    const { a, b, c } = hosts.hosts;
    const heard: string[] = [];
    const echo = a.udp.bind(
      { address: ANY6, port: 7 },
      {
        message({ source }) {
          heard.push(source.address.toString());
          echo.send(new Uint8Array(1), source);
        },
        error() {},
      },
    );
    const answers: string[] = [];
    for (const [name, one] of [
      ['b.left', b],
      ['c.right', c],
    ] as const) {
      const address = ipOf(`${NEAR}%${name}`);
      const socket = one.udp.bind({ address, port: 0 }, { message: () => void answers.push(name), error() {} });
      socket.connect({ address: ipOf(`fe80::a%${name}`), port: 7 });
      socket.send(new Uint8Array(1));
      hosts.runFor(100);
    }
    expect(heard).to.deep.equal([`${NEAR}%a.left`, `${NEAR}%a.right`]);
    expect(answers).to.deep.equal(['b.left', 'c.right']);
    hosts.dispose();
  });

  it('are listened at with their zone', () => {
    const hosts = twoLinks();
    const { a, b } = hosts.hosts;
    const listener = a.tcp.listen({ address: ipOf('fe80::a%a.left'), port: 80 });
    const connection = b.tcp.connect({ address: ipOf('fe80::a'), port: 80 }, quiet);
    hosts.runFor(100);
    expect(connection.state).to.equal('ESTABLISHED');
    expect(accepted(listener)).to.deep.equal([`${NEAR}%a.left`]);
    hosts.dispose();
  });

  it('are unreachable by a zone that is none', () => {
    const hosts = twoLinks();
    const { tcp, udp } = hosts.hosts.a;
    const address = ipOf(`${NEAR}%elsewhere`);
    expect(() => tcp.connect({ address, port: 80 }, quiet))
      .to.throw()
      .with.property('code', 'ENETUNREACH');
    const socket = udp.bind({ address: ANY6, port: 0 }, { message() {}, error() {} });
    expect(() => socket.send(new Uint8Array(1), { address, port: 80 }))
      .to.throw()
      .with.property('code', 'ENETUNREACH');
    hosts.dispose();
  });
});

describe('a version that a host does not speak', () => {
  for (const [addresses, own, other] of [
    ['10.0.0.1/24', A4, B6],
    ['fd00::1/64', A6, B4],
  ] as const) {
    it(`is out of reach of ${addresses}`, () => {
      const hosts = network({ hosts: { a: addresses, b: ['10.0.0.2/24', 'fd00::2/64'] } });
      const { tcp, udp } = hosts.hosts.a;
      expect(() => tcp.connect({ address: other, port: 80 }, quiet))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(() => tcp.connect({ address: other, port: 80 }, quiet, { localAddress: own }))
        .to.throw()
        .with.property('code', 'ENETUNREACH');
      expect(() => tcp.listen({ address: other, port: 80 }))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      const handler = { message() {}, error() {} };
      expect(() => udp.bind({ address: other, port: 9 }, handler))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      expect(() => udp.bind({ address: own, port: 9 }, handler).send(new Uint8Array(1), { address: other, port: 9 }))
        .to.throw()
        .with.property('code', 'EINVAL');
      hosts.dispose();
    });
  }
});
