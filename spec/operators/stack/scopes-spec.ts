/** Hosts on several links: what is on one of them only, and what a weak end system does with the rest. */

import { expect } from 'chai';
import { anyAddress, type IpAddress, type IpVersion, parseIp } from '../../../lib/core/address.js';
import type { NetError } from '../../../lib/core/errors.js';
import type { TcpConnection, TcpListener } from '../../../lib/l4/tcp/api.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import type { Host } from '../../../operators/stack/host.js';
import { type Network, network } from '../../../operators/testing/index.js';

type Names = 'middle' | 'left' | 'right';

/** A host in the middle of two links, with a host at the other end of each; both of these have the same link-local address. */
function between(): Network<Names, 'one' | 'two'> {
  return network({
    hosts: {
      middle: {
        on: {
          one: ['10.0.1.1/24', 'fd00:1::1/64', 'fe80::1/64'],
          two: ['10.0.2.1/24', 'fd00:2::1/64', 'fe80::1:1/64'],
        },
      },
      left: {
        addresses: ['10.0.1.2/24', 'fd00:1::2/64', 'fe80::2/64'],
        routes: [
          { destination: 'default', gateway: '10.0.1.1' },
          { destination: 'default', gateway: 'fe80::1' },
        ],
      },
      right: { addresses: ['10.0.2.2/24', 'fd00:2::2/64', 'fe80::2/64'] },
    },
    links: { one: { between: ['middle', 'left'] }, two: { between: ['middle', 'right'] } },
  });
}

interface Heard {
  readonly messages: UdpMessage[];
  readonly errors: NetError[];
  send(to: string, port?: number): void;
}

/** A socket that keeps what it hears. */
function talk(host: Host, version: IpVersion, port = 9): Heard {
  const messages: UdpMessage[] = [];
  const errors: NetError[] = [];
  const socket = host.udp.bind(
    { address: anyAddress(version), port },
    { message: (message) => void messages.push(message), error: (error) => void errors.push(error) },
  );
  return {
    messages,
    errors,
    send: (to, toPort = 9) => socket.send(Buffer.from(to), { address: parseIp(to), port: toPort }),
  };
}

const from = ({ messages }: Heard) => messages.splice(0).map(({ source }) => source.address.toString());

describe('a host on two links', () => {
  let net: Network<Names, 'one' | 'two'>;
  let sockets: Record<Names, Heard>;
  beforeEach(() => {
    net = between();
    const { middle, left, right } = net.hosts;
    sockets = { middle: talk(middle, 6), left: talk(left, 6), right: talk(right, 6) };
  });
  afterEach(() => {
    net.run();
    net.assertIdle();
    net.dispose();
    net.assertIdle();
  });

  it('4007: tells senders with the same link-local address apart by their zone, and answers each', () => {
    const { middle, left, right } = sockets;
    left.send('fe80::1');
    net.runFor(10);
    right.send('fe80::1:1');
    net.runFor(10);
    const sources = from(middle);
    expect(sources).to.deep.equal(['fe80::2%middle.one', 'fe80::2%middle.two']);
    for (const source of sources) middle.send(source);
    net.runFor(10);
    expect(from(left)).to.deep.equal(['fe80::1%left.one']);
    expect(from(right)).to.deep.equal(['fe80::1:1%right.two']);
  });

  it('4007: does not take a link-local address of one link from the other', () => {
    const { middle, right } = sockets;
    net.hosts.right.neighbours(net.links.two.end('right'))?.setStatic(parseIp('fe80::1'), macOf(net));
    right.send('fe80::1');
    net.runFor(10);
    expect(from(middle)).to.deep.equal([]);
    expect(net.hosts.middle.env.drops.toJSON()).to.include({ 'ipv6-not-for-us': 1 });
  });

  it('4007: refuses a zone that there is not', () => {
    expect(() => sockets.middle.send('fe80::2%elsewhere'))
      .to.throw()
      .with.property('code', 'ENETUNREACH');
  });

  it('a TCP connection keeps to the link that it came by', () => {
    const { middle, left, right } = net.hosts;
    const accepted: string[] = [];
    const bytes: string[] = [];
    const listener = middle.tcp.listen({ address: anyAddress(6), port: 80 });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection === undefined) return;
      accepted.push(connection.remote.address.toString());
      connection.handler = silent();
      connection.write(Buffer.from(`hello ${connection.remote.address.toString()}`));
      connection.end();
    };
    const open = (host: Host, to: string) => {
      const read = () => {
        for (let data = connection.read(100); data !== undefined; data = connection.read(100)) {
          bytes.push(Buffer.from(data).toString());
        }
        if (connection.readEnded) connection.end();
      };
      const connection: TcpConnection = host.tcp.connect({ address: parseIp(to), port: 80 }, silent(read));
    };
    open(left, 'fe80::1');
    net.runFor(50);
    open(right, 'fe80::1:1');
    net.runFor(500);
    expect(accepted).to.deep.equal(['fe80::2%middle.one', 'fe80::2%middle.two']);
    expect(bytes).to.deep.equal(['hello fe80::2%middle.one', 'hello fe80::2%middle.two']);
    listener.close();
  });

  it('tells who sent to a closed port by a link-local address', () => {
    const { left, right } = net.hosts;
    const codes: string[] = [];
    for (const [host, to] of [
      [left, 'fe80::1'],
      [right, 'fe80::1:1'],
    ] as const) {
      const socket = host.udp.bind(
        { address: anyAddress(6), port: 0 },
        { message() {}, error: ({ code }) => void codes.push(code) },
      );
      socket.connect({ address: parseIp(to), port: 99 });
      socket.send(Buffer.from('anyone there?'));
      net.runFor(10);
      socket.close();
    }
    expect(codes).to.deep.equal(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  for (const [version, other] of [
    [4, '10.0.2.1'],
    [6, 'fd00:2::1'],
  ] as const) {
    it(`1122-I8: IPv${version}: is reached at any of its addresses by any link`, () => {
      const { middle, left } = net.hosts;
      const port = 77;
      const ends = { middle: talk(middle, version, port), left: talk(left, version, port) };
      ends.left.send(other, port);
      net.runFor(10);
      const [message] = ends.middle.messages;
      expect(message?.destination.address.toString()).to.equal(other);
      const source: IpAddress | undefined = message?.source.address;
      expect(source?.toString()).to.equal(version === 4 ? '10.0.1.2' : 'fd00:1::2');
    });
  }
});

describe('a host that has a link-local address which a neighbour on its other link has as well', () => {
  it('4007: hears that neighbour and reaches it by its zone, and itself by its own', () => {
    const net = network({
      hosts: {
        middle: { on: { one: 'fe80::1/64', two: 'fe80::1:1/64' } },
        left: 'fe80::2/64',
        right: 'fe80::1/64',
      },
      links: { one: { between: ['middle', 'left'] }, two: { between: ['middle', 'right'] } },
    });
    const [middle, right] = [talk(net.hosts.middle, 6), talk(net.hosts.right, 6)];
    const sent = (by: Heard, to: string) => {
      by.send(to);
      net.runFor(10);
      return { middle: from(middle), right: from(right) };
    };
    expect(sent(right, 'fe80::1:1')).to.deep.equal({ middle: ['fe80::1%middle.two'], right: [] });
    expect(sent(middle, 'fe80::1%middle.two')).to.deep.equal({ middle: [], right: ['fe80::1:1%right.two'] });
    expect(sent(middle, 'fe80::1%middle.one')).to.deep.equal({ middle: ['fe80::1'], right: [] });
    expect(sent(middle, 'fe80::1')).to.deep.equal({ middle: ['fe80::1'], right: [] });
    const { udp, tcp } = net.hosts.middle;
    const [here, elsewhere] = ['fe80::1%middle.one', 'fe80::1%middle.two'].map((address) => parseIp(address));
    const bind = (address = parseIp('::')) => udp.bind({ address, port: 7 }, { message() {}, error() {} }).close();
    const listen = (address = parseIp('::')) => tcp.listen({ address, port: 7 }).close();
    for (const open of [bind, listen]) {
      expect(() => open(here)).to.not.throw();
      expect(() => open(elsewhere))
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
    }
    net.run();
    net.dispose();
    net.assertIdle();
  });
});

describe('a host that has one link-local address on both of its links', () => {
  let net: Network<Names, 'one' | 'two'>;
  let heard: Record<'left' | 'right', Heard>;
  const ours = (link: 'one' | 'two') => parseIp(`fe80::1%middle.${link}`);
  const THEIRS = parseIp('fe80::9');
  const counts = () => {
    net.runFor(10);
    return [heard.left, heard.right].map(({ messages }) => messages.splice(0).length);
  };
  beforeEach(() => {
    net = network({
      hosts: {
        middle: { on: { one: 'fe80::1/64', two: 'fe80::1/64' } },
        left: 'fe80::9/64',
        right: 'fe80::9/64',
      },
      links: { one: { between: ['middle', 'left'] }, two: { between: ['middle', 'right'] } },
    });
    heard = { left: talk(net.hosts.left, 6), right: talk(net.hosts.right, 6) };
  });
  afterEach(() => {
    net.run();
    net.dispose();
    net.assertIdle();
  });

  it('4007: sends datagrams from it by the link of its zone', () => {
    const { udp, env } = net.hosts.middle;
    const data = Buffer.from('by which?');
    const to = { address: THEIRS, port: 9 };
    for (const [link, expected] of [
      ['two', [0, 1]],
      ['one', [1, 0]],
    ] as const) {
      const socket = udp.bind({ address: ours(link), port: 9 }, { message() {}, error() {} });
      socket.send(data, to);
      expect(counts()).to.deep.equal(expected);
      socket.connect(to);
      expect(socket.remote?.address.toString()).to.equal(`fe80::9%middle.${link}`);
      socket.send(data);
      expect(counts()).to.deep.equal(expected);
      socket.close();
      const tunnel = udp.tunnels.open(9, { receive() {} });
      tunnel.end(THEIRS, { source: ours(link), checksum: true }).send(env.pool.alloc(0), 9, 9, 0);
      expect(counts()).to.deep.equal(expected);
      tunnel.close();
    }
  });

  it('4007: connects from it by the link of its zone', () => {
    const { middle, left, right } = net.hosts;
    const listeners = [left, right].map(({ tcp }) => tcp.listen({ address: anyAddress(6), port: 80 }));
    const connection = middle.tcp.connect({ address: THEIRS, port: 80 }, silent(), { localAddress: ours('two') });
    net.runFor(50);
    const [byOne, byTwo] = listeners.map((listener) => listener.accept());
    expect(byOne).to.equal(undefined);
    expect(byTwo?.remote.port).to.equal(connection.local.port);
    expect(connection.remote.address.toString()).to.equal('fe80::9%middle.two');
    connection.abort();
    for (const listener of listeners) listener.close();
  });

  it('4007: asks from it by the link of its zone, one host as well as all', () => {
    const sources: string[] = [];
    const reply = ({ source }: { readonly source: IpAddress }) => void sources.push(source.toString());
    const socket = net.hosts.middle.ping.open(6, { reply, error() {} });
    for (const destination of [THEIRS, parseIp('ff02::1')]) {
      socket.send({ destination, sequence: 1, source: ours('two') });
      net.runFor(10);
    }
    expect(sources).to.deep.equal(['fe80::9%middle.two', 'fe80::9%middle.two']);
    socket.close();
  });

  it('4007: hears at it what comes by the link of its zone, with a socket for each', () => {
    const came: string[] = [];
    const message = ({ source, destination }: UdpMessage) =>
      void came.push(`${source.address.toString()} to ${destination.address.toString()}`);
    const bind = (address: IpAddress) => net.hosts.middle.udp.bind({ address, port: 7 }, { message, error() {} });
    const toBoth = () => {
      for (const one of [heard.left, heard.right]) {
        one.send('fe80::1', 7);
        net.runFor(10);
      }
      return came.splice(0);
    };
    const fromOne = 'fe80::9%middle.one to fe80::1%middle.one';
    const fromTwo = 'fe80::9%middle.two to fe80::1%middle.two';
    const one = bind(ours('one'));
    expect(toBoth()).to.deep.equal([fromOne]);
    expect(codeOf(() => bind(parseIp('fe80::1')))).to.equal('EADDRINUSE');
    const two = bind(ours('two'));
    expect(toBoth()).to.deep.equal([fromOne, fromTwo]);
    one.close();
    two.connect({ address: THEIRS, port: 9 });
    expect(two.local.address.toString()).to.equal('fe80::1%middle.two');
    expect(toBoth()).to.deep.equal([fromTwo]);
    two.connect(undefined);
    expect(toBoth()).to.deep.equal([fromTwo]);
    two.close();
    bind(parseIp('fe80::1'));
    expect(codeOf(() => bind(ours('two')))).to.equal('EADDRINUSE');
    expect(toBoth()).to.deep.equal([fromOne, fromTwo]);
  });

  it('4007: accepts at it who comes by the link of its zone, with a listener for each', () => {
    const { middle, left, right } = net.hosts;
    const listen = (address: IpAddress) => middle.tcp.listen({ address, port: 80 });
    const errors: string[] = [];
    const closed = (error?: NetError) => void errors.push(error?.code ?? 'none');
    const open = (host: Host) =>
      host.tcp.connect({ address: parseIp('fe80::1'), port: 80 }, { ...silent(), closed }).local.port;
    const accepted = (listener: TcpListener) => listener.accept()?.remote.port;
    const one = listen(ours('one'));
    const ports = [open(left), open(right)];
    net.runFor(50);
    expect([accepted(one), accepted(one)]).to.deep.equal([ports[0], undefined]);
    expect(errors).to.deep.equal(['ECONNREFUSED']);
    expect(codeOf(() => listen(parseIp('fe80::1')))).to.equal('EADDRINUSE');
    const two = listen(ours('two'));
    const again = [open(left), open(right)];
    net.runFor(50);
    expect([accepted(one), accepted(two)]).to.deep.equal(again);
  });

  it('4007: tells the socket in its zone what went wrong there', () => {
    const { udp } = net.hosts.middle;
    const codes: string[] = [];
    const [two, one] = (['two', 'one'] as const).map((link) => {
      const error = ({ code }: NetError) => void codes.push(`${link} ${code}`);
      const socket = udp.bind({ address: ours(link), port: 7 }, { message() {}, error });
      socket.connect({ address: THEIRS, port: 99 });
      return socket;
    });
    for (const socket of [one, two]) {
      socket?.send(Buffer.from('anyone there?'));
      net.runFor(10);
    }
    expect(codes).to.deep.equal(['one ECONNREFUSED', 'two ECONNREFUSED']);
  });
});

function codeOf(call: () => void): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return (error as NetError).code;
  }
}

function macOf(net: Network<Names, 'one' | 'two'>): number {
  return net.links.two.end('middle').mac.value;
}

function silent(readable: () => void = () => {}) {
  return { connected() {}, readable, writable() {}, flushed() {}, closed() {} };
}
