import { once } from 'node:events';
import { expect } from 'chai';
import { Ipv4Address, parseIp } from '../../../lib/core/address.js';
import type { Endpoint, TcpConnection } from '../../../lib/l4/tcp/api.js';
import type { UdpSocket } from '../../../lib/l4/udp-api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { DnsError } from '../../../lib/l7/dns-error.js';
import { reverseName, searchNames } from '../../../lib/l7/dns-names.js';
import { DnsResolver, type DnsResolverOptions } from '../../../lib/l7/dns-resolver.js';
import { lookup } from '../../../lib/socket/lookup.js';
import { nodeNet } from '../../../lib/socket/net.js';
import {
  type DnsData,
  type DnsMessage,
  DnsRcode,
  type DnsRecord,
  DnsType,
  emitDns,
  parseDns,
} from '../../../lib/wire/dns.js';
import { type Network, network } from '../../../operators/testing/network.js';

const SERVERS = ['10.0.0.53', '10.0.0.54'];

const rr = (name: string, type: number, data: DnsData, ttl = 60): DnsRecord => ({ name, type, class: 1, ttl, data });
const a = (name: string, address: string, ttl?: number) =>
  rr(name, DnsType.A, { kind: 'address', address: parseIp(address) }, ttl);
const cname = (name: string, target: string, ttl?: number) =>
  rr(name, DnsType.CNAME, { kind: 'name', name: target }, ttl);
const soa = (ttl: number, minimum: number) =>
  rr(
    'test',
    DnsType.SOA,
    {
      kind: 'soa',
      primary: 'ns.test',
      mailbox: 'root.test',
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum,
    },
    ttl,
  );

interface Heard {
  readonly server: string;
  readonly query: DnsMessage;
  readonly from: Endpoint;
  readonly at: number;
  readonly tcp: boolean;
}
type Answer = Partial<DnsMessage> | undefined;
type Zone = (name: string, type: number, heard: Heard) => Answer | readonly Answer[];

/** A resolver on a simulated network, with servers that answer as `zone` says; `undefined` stays silent. */
class Bench {
  readonly net: Network<'us' | 's0' | 's1'>;
  readonly resolver: DnsResolver;
  readonly heard: Heard[] = [];
  private readonly sockets: UdpSocket[] = [];

  constructor(zone: Zone, options: DnsResolverOptions = {}, loss = 0) {
    const hosts = { us: '10.0.0.1/24', s0: `${SERVERS[0]}/24`, s1: `${SERVERS[1]}/24` };
    this.net = network({ hosts, links: { lan: { impair: { delay: 10, loss } } } });
    const { us, s0, s1 } = this.net.hosts;
    this.resolver = new DnsResolver(us, { servers: SERVERS, ...options }, us.env);
    for (const [number, server] of [s0, s1].entries()) this.serve(number, server, zone);
  }

  /** A server says something that nobody has just asked for. */
  sayAs(number: number, data: Uint8Array, to: Endpoint): void {
    this.sockets[number]?.send(data, to);
  }

  private serve(number: number, host: (typeof this.net.hosts)['us'], zone: Zone): void {
    const answers = (data: Uint8Array, from: Endpoint, tcp: boolean): Uint8Array[] => {
      const query = parseDns(data);
      const heard = { server: `s${number}`, query, from, at: this.net.now, tcp };
      this.heard.push(heard);
      const [question] = query.questions;
      if (question === undefined) return [];
      const said = zone(question.name, question.type, heard);
      const list: readonly Answer[] = Array.isArray(said) ? (said as readonly Answer[]) : [said as Answer];
      return list.flatMap((one) => (one ? [emitDns({ ...query, edns: undefined, response: true, ...one })] : []));
    };
    const socket = host.udp.bind(anyEndpoint(4, 53), {
      message: ({ data, source }) => {
        for (const answer of answers(data, source, false)) socket.send(answer, source);
      },
      error: () => undefined,
    });
    this.sockets.push(socket);
    const listener = host.tcp.listen(anyEndpoint(4, 53));
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) this.serveTcp(connection, (data) => answers(data, connection.remote, true));
    };
  }

  private serveTcp(connection: TcpConnection, answers: (data: Uint8Array) => Uint8Array[]): void {
    const readable = () => {
      const data = connection.read();
      if (connection.readEnded) return connection.end();
      if (data === undefined) return undefined;
      for (const answer of answers(data.subarray(2))) {
        connection.write(Uint8Array.of(answer.length >> 8, answer.length & 0xff));
        connection.write(answer);
      }
      return undefined;
    };
    const nothing = () => undefined;
    connection.handler = { connected: nothing, writable: nothing, flushed: nothing, closed: nothing, readable };
    if (connection.readableBytes > 0) readable();
  }

  /** What a promise settles with: a value, or the code of the error. */
  async settle<T>(promise: Promise<T>): Promise<T | string> {
    const caught = promise.catch((error: unknown) => (error instanceof DnsError ? error.code : String(error)));
    return this.net.runUntilSettled(caught);
  }

  addresses(name: string, options?: Parameters<DnsResolver['lookup']>[1]): Promise<string | string[]> {
    return this.settle(this.resolver.lookup(name, options).then((found) => found.map(String)));
  }

  /** Lets what is left happen, and asserts that nothing stays. */
  end(): void {
    this.net.run();
    expect(this.resolver.pending).to.equal(0);
    expect(this.net.hosts.us.udp.size, 'sockets').to.equal(0);
    this.net.assertIdle();
    this.net.dispose();
  }
}

const nothing: Answer = { rcode: DnsRcode.NameError };

describe('DNS resolver', () => {
  it('1035-1: asks with a random id from a random port, and returns the addresses', async () => {
    const bench = new Bench(
      (name, type) => (type === 1 ? { answers: [a(name, '192.0.2.1'), a(name, '192.0.2.2')] } : {}),
      {
        cacheSize: 0,
      },
    );
    for (let i = 0; i < 20; i++) {
      const found = await bench.settle(bench.resolver.resolve4('www.test'));
      expect(String(found)).to.equal('192.0.2.1,192.0.2.2');
    }
    expect(new Set(bench.heard.map(({ query }) => query.id)).size, 'ids').to.equal(20);
    expect(new Set(bench.heard.map(({ from }) => from.port)).size, 'ports').to.be.greaterThan(18);
    bench.end();
  });

  it('1035-1: asks again with growing patience, server after server, and then gives up', async () => {
    const bench = new Bench(() => undefined, { timeout: 1000, attempts: 2 });
    expect(await bench.settle(bench.resolver.resolve4('www.test'))).to.equal('ETIMEOUT');
    const asked = bench.heard.map(({ server, at }) => `${server} ${Math.floor(at / 1000)}`);
    expect(asked).to.deep.equal(['s0 0', 's1 1', 's0 2', 's1 4']);
    expect(bench.net.now).to.equal(6000);
    bench.end();
  });

  it('1035-1: resolves over a link that loses every third frame', async () => {
    const bench = new Bench(
      (name) => ({ answers: [a(name, '192.0.2.1')] }),
      { cacheSize: 0, timeout: 500, attempts: 8 },
      0.33,
    );
    for (let i = 0; i < 30; i++) {
      expect(String(await bench.settle(bench.resolver.resolve4(`n${i}.test`)))).to.equal('192.0.2.1');
    }
    bench.end();
  });

  it('1035-1: repeats the question over TCP where the answer was truncated', async () => {
    const many = Array.from({ length: 200 }, (_, i) => a('big.test', `192.0.2.${i}`));
    const bench = new Bench((_name, _type, { tcp }) => (tcp ? { answers: many } : { truncated: true }));
    const found = await bench.settle(bench.resolver.resolve4('big.test'));
    expect(found).to.have.length(200);
    expect(bench.heard.map(({ tcp }) => tcp)).to.deep.equal([false, true]);
    bench.end();
  });

  it('goes on to the next server where TCP is refused after a truncated answer', async () => {
    const bench = new Bench((name, _type, { server, tcp }) => {
      if (server === 's1') return { answers: [a(name, '192.0.2.9')] };
      return tcp ? undefined : { truncated: true };
    });
    expect(await bench.addresses('big.test', { family: 4 })).to.deep.equal(['192.0.2.9']);
    bench.end();
  });

  it('RFC 5452: believes no answer with another id, another question or from another server', async () => {
    let spoof: ((answer: DnsMessage, to: Endpoint) => void) | undefined;
    const bench = new Bench((name, _type, { query, from }) => {
      // Somebody else knows port, id and question, and is first.
      spoof?.({ ...query, edns: undefined, response: true, answers: [a(name, '6.6.6.6')] }, from);
      return [
        { id: query.id ^ 1, answers: [a(name, '6.6.6.6')] },
        { questions: [{ name: 'other.test', type: 1 }], answers: [a(name, '6.6.6.6')] },
        { questions: [{ name, type: 28 }], answers: [a(name, '6.6.6.6')] },
        { response: false, answers: [a(name, '6.6.6.6')] },
        { answers: [a('evil.test', '6.6.6.6', 3600), a(name, '192.0.2.1')] },
      ];
    });
    const spoofer = bench.net.hosts.s1.udp.bind(anyEndpoint(4, 5353), {
      message: () => undefined,
      error: () => undefined,
    });
    // It knows where we are, so that what it sends need not wait for ARP.
    spoofer.send(Uint8Array.of(0), { address: parseIp('10.0.0.1'), port: 9 });
    bench.net.run();
    spoof = (answer, to) => spoofer.send(emitDns(answer), to);
    expect(String(await bench.settle(bench.resolver.resolve4('www.test')))).to.equal('192.0.2.1');
    // What was not asked for is not remembered either.
    await bench.settle(bench.resolver.resolve4('evil.test'));
    expect(bench.heard, 'asked for on its own').to.have.length(2);
    spoofer.close();
    bench.end();
  });

  it('asks the next server at once after SERVFAIL, REFUSED or an unreachable port', async () => {
    for (const rcode of [DnsRcode.ServerFailure, DnsRcode.Refused]) {
      const bench = new Bench((name, _type, { server }) =>
        server === 's0' ? { rcode } : { answers: [a(name, '192.0.2.1')] },
      );
      expect(await bench.addresses('www.test', { family: 4 })).to.deep.equal(['192.0.2.1']);
      expect(bench.net.now).to.be.lessThan(150);
      bench.end();
    }
    const closed = new Bench((name) => ({ answers: [a(name, '192.0.2.1')] }), {
      servers: [{ address: parseIp('10.0.0.53'), port: 54 }, '10.0.0.54'],
    });
    expect(await closed.addresses('www.test', { family: 4 })).to.deep.equal(['192.0.2.1']);
    expect(closed.net.now).to.be.lessThan(150);
    closed.end();
  });

  it('says what the servers said where all fail', async () => {
    const codes: [number, string][] = [
      [DnsRcode.ServerFailure, 'ESERVFAIL'],
      [DnsRcode.Refused, 'EREFUSED'],
      [DnsRcode.NotImplemented, 'ENOTIMP'],
      [DnsRcode.FormatError, 'EFORMERR'],
      [DnsRcode.NameError, 'ENOTFOUND'],
      [DnsRcode.NoError, 'ENODATA'],
    ];
    for (const [rcode, code] of codes) {
      const bench = new Bench(() => ({ rcode }));
      expect(await bench.settle(bench.resolver.resolve4('www.test'))).to.equal(code);
      bench.end();
    }
    const none = new Bench(() => undefined, { servers: [] });
    expect(await none.settle(none.resolver.resolve4('www.test'))).to.equal('ECONNREFUSED');
    expect(await none.settle(none.resolver.resolve4('a..b'))).to.equal('EBADNAME');
    none.end();
  });

  it('asks without EDNS where a server does not know it', async () => {
    const bench = new Bench((name, _type, { query }) =>
      query.edns === undefined ? { answers: [a(name, '192.0.2.1')] } : { rcode: DnsRcode.FormatError },
    );
    expect(await bench.addresses('www.test', { family: 4 })).to.deep.equal(['192.0.2.1']);
    expect(bench.heard.map(({ server, query }) => `${server} ${query.edns?.udpSize ?? 'plain'}`)).to.deep.equal([
      's0 1232',
      's0 plain',
    ]);
    bench.end();
  });

  it('follows aliases within an answer and across answers, but not in circles', async () => {
    const bench = new Bench((name) => {
      if (name === 'one.test') return { answers: [cname('one.test', 'TWO.test'), cname('two.test', 'three.test')] };
      if (name === 'three.test') return { answers: [a('three.test', '192.0.2.3')] };
      return { answers: [cname(name, name === 'x.test' ? 'y.test' : 'x.test')] };
    });
    const answer = await bench.net.runUntilSettled(bench.resolver.resolve('one.test', DnsType.A));
    expect(answer.aliases.map(({ name }) => name)).to.deep.equal(['one.test', 'two.test']);
    expect(answer.records).to.deep.equal([a('three.test', '192.0.2.3')]);
    expect(bench.heard).to.have.length(2);
    expect(await bench.settle(bench.resolver.resolve4('x.test'))).to.equal('EBADRESP');
    bench.end();
  });

  it('remembers an answer for the least TTL in it, and counts it down', async () => {
    const bench = new Bench((name) => ({ answers: [cname(name, 'b.test', 300), a('b.test', '192.0.2.1', 10)] }));
    const ask = () => bench.net.runUntilSettled(bench.resolver.resolve('a.test', DnsType.A));
    await ask();
    bench.net.runFor(4000);
    const { records, aliases } = await ask();
    expect([records[0]?.ttl, aliases[0]?.ttl]).to.deep.equal([6, 296]);
    expect((await bench.net.runUntilSettled(bench.resolver.resolve('A.Test', DnsType.A))).records).to.have.length(1);
    expect(bench.heard).to.have.length(1);
    bench.net.runFor(6000);
    await ask();
    expect(bench.heard).to.have.length(2);
    bench.end();
  });

  it('RFC 2308: remembers that there is nothing as long as the SOA record allows, and not without one', async () => {
    const bench = new Bench((name) => {
      if (name === 'void.test') return { rcode: DnsRcode.NameError, authorities: [soa(3600, 30)] };
      if (name === 'empty.test') return { authorities: [soa(20, 3600)] };
      return nothing;
    });
    const ask = async (name: string) => {
      const before = bench.heard.length;
      const code = await bench.settle(bench.resolver.resolve4(name));
      return `${String(code)} ${bench.heard.length - before}`;
    };
    expect([await ask('void.test'), await ask('void.test')]).to.deep.equal(['ENOTFOUND 1', 'ENOTFOUND 0']);
    expect([await ask('empty.test'), await ask('empty.test')]).to.deep.equal(['ENODATA 1', 'ENODATA 0']);
    expect([await ask('other.test'), await ask('other.test')]).to.deep.equal(['ENOTFOUND 1', 'ENOTFOUND 1']);
    bench.net.runFor(20_000);
    expect([await ask('void.test'), await ask('empty.test')]).to.deep.equal(['ENOTFOUND 0', 'ENODATA 1']);
    bench.net.runFor(10_000);
    expect(await ask('void.test')).to.equal('ENOTFOUND 1');
    bench.end();
  });

  it('bounds what it remembers: what was not used for the longest time goes', async () => {
    const bench = new Bench((name) => ({ answers: [a(name, '192.0.2.1', 3600)] }), { cacheSize: 2 });
    const ask = (name: string) => bench.settle(bench.resolver.resolve4(name));
    for (const name of ['a.test', 'b.test', 'a.test', 'c.test', 'a.test', 'b.test']) await ask(name);
    expect(bench.heard.map(({ query }) => query.questions[0]?.name)).to.deep.equal([
      'a.test',
      'b.test',
      'c.test',
      'b.test',
    ]);
    bench.end();
  });

  it('asks once for those who ask for the same at the same time', async () => {
    const bench = new Bench((name) => ({ answers: [a(name, '192.0.2.1')] }));
    const found = await bench.net.runUntilSettled(
      Promise.all([1, 2, 3].map(() => bench.resolver.resolve4('www.test'))),
    );
    expect(found.map(String)).to.deep.equal(['192.0.2.1', '192.0.2.1', '192.0.2.1']);
    expect(bench.heard).to.have.length(1);
    bench.end();
  });

  it('completes names by the search list, in the order that ndots says', async () => {
    expect(searchNames('www', ['a.test', 'test'], 1)).to.deep.equal(['www.a.test', 'www.test', 'www']);
    expect(searchNames('www.a', ['test'], 1)).to.deep.equal(['www.a', 'www.a.test']);
    expect(searchNames('www.a', ['test'], 2)).to.deep.equal(['www.a.test', 'www.a']);
    expect(searchNames('www.', ['test'], 1)).to.deep.equal(['www.']);
    const bench = new Bench(
      (name, type) => (name === 'www.b.test' && type === 1 ? { answers: [a(name, '192.0.2.1')] } : nothing),
      {
        search: ['a.test', 'b.test'],
      },
    );
    expect(await bench.addresses('www')).to.deep.equal(['192.0.2.1']);
    expect(await bench.addresses('nope')).to.equal('ENOTFOUND');
    bench.end();
  });

  it('looks both families up, preferring one, and is content with either', async () => {
    const six = (name: string) => rr(name, DnsType.AAAA, { kind: 'address', address: parseIp('2001:db8::1') });
    const zone: Zone = (name, type) => {
      if (name === 'broken.test' && type === 28) return { rcode: DnsRcode.ServerFailure };
      if (name === 'hard.test') return type === 28 ? { rcode: DnsRcode.ServerFailure } : {};
      return { answers: [type === 28 ? six(name) : a(name, '192.0.2.1')] };
    };
    const bench = new Bench(zone);
    expect(await bench.addresses('www.test')).to.deep.equal(['192.0.2.1', '2001:db8::1']);
    expect(await bench.addresses('www.test', { family: 6 })).to.deep.equal(['2001:db8::1']);
    expect(await bench.addresses('broken.test')).to.deep.equal(['192.0.2.1']);
    expect(await bench.addresses('hard.test')).to.equal('ESERVFAIL');
    bench.end();
    const other = new Bench(zone, { prefer: 6 });
    expect(await other.addresses('www.test')).to.deep.equal(['2001:db8::1', '192.0.2.1']);
    other.end();
  });

  it('never asks for literals, hosts entries, localhost and invalid', async () => {
    const bench = new Bench(() => nothing, {
      hosts: { 'Printer.lan': ['10.0.0.9', 'fd00::9'], 'alias.lan': '10.0.0.9' },
    });
    expect(await bench.addresses('192.0.2.7')).to.deep.equal(['192.0.2.7']);
    expect(await bench.addresses('fd00::1')).to.deep.equal(['fd00::1']);
    expect(await bench.addresses('printer.LAN.')).to.deep.equal(['10.0.0.9', 'fd00::9']);
    expect(await bench.addresses('printer.lan', { family: 6 })).to.deep.equal(['fd00::9']);
    expect(await bench.addresses('localhost', { family: 4 })).to.deep.equal(['127.0.0.1']);
    expect(await bench.addresses('app.localhost')).to.deep.equal(['127.0.0.1', '::1']);
    expect(await bench.addresses('x.invalid')).to.equal('ENOTFOUND');
    expect(await bench.settle(bench.resolver.reverse('10.0.0.9'))).to.deep.equal(['Printer.lan', 'alias.lan']);
    expect(bench.heard).to.deep.equal([]);
    bench.end();
  });

  it('finds the names of addresses', async () => {
    expect(reverseName(parseIp('192.0.2.10'))).to.equal('10.2.0.192.in-addr.arpa');
    expect(reverseName(parseIp('2001:db8::1'))).to.match(/^1\.0\.0\.0\.(?:0\.){20}8\.b\.d\.0\.1\.0\.0\.2\.ip6\.arpa$/);
    const bench = new Bench((name, type) =>
      type === DnsType.PTR ? { answers: [rr(name, type, { kind: 'name', name: 'www.test' })] } : nothing,
    );
    expect(await bench.settle(bench.resolver.reverse('192.0.2.10'))).to.deep.equal(['www.test']);
    bench.end();
  });

  it('gives up when told so by a signal or by cancel, and leaves nothing behind', async () => {
    const bench = new Bench(() => undefined);
    const controller = new AbortController();
    const aborted = bench.settle(bench.resolver.lookup('a.test', { signal: controller.signal }));
    const shared = bench.settle(bench.resolver.resolve4('a.test'));
    bench.net.runFor(100);
    controller.abort(new Error('enough'));
    expect(await aborted).to.equal('Error: enough');
    expect(bench.resolver.pending, 'still asked for the other').to.equal(1);
    bench.resolver.cancel();
    expect(await shared).to.equal('ECANCELLED');
    expect(await bench.addresses('a.test', { signal: controller.signal })).to.equal('Error: enough');
    expect(bench.net.hosts.us.udp.size).to.equal(0);
    bench.end();
  });

  it('gives up a question over TCP as well', async () => {
    const bench = new Bench((_name, _type, { tcp }) => (tcp ? undefined : { truncated: true }));
    const promise = bench.settle(bench.resolver.resolve4('a.test'));
    bench.net.runFor(200);
    expect(bench.net.hosts.us.tcp.size).to.equal(1);
    bench.resolver.cancel();
    expect(await promise).to.equal('ECANCELLED');
    expect(bench.net.hosts.us.tcp.size).to.equal(0);
    bench.end();
  });

  it('asks other servers from when they are set, and forgets what the former said', async () => {
    const bench = new Bench((name, _type, { server }) => ({
      answers: [a(name, server === 's0' ? '192.0.2.1' : '192.0.2.2')],
    }));
    expect(await bench.addresses('a.test', { family: 4 })).to.deep.equal(['192.0.2.1']);
    bench.resolver.setServers(['10.0.0.54'], ['x.test']);
    expect(await bench.addresses('a.test', { family: 4 })).to.deep.equal(['192.0.2.2']);
    expect(bench.resolver.getServers()).to.deep.equal([{ address: new Ipv4Address(0x0a000036), port: 53 }]);
    bench.end();
  });
});

describe('DNS resolver, for those who connect (RFC 8305 3)', () => {
  const six = (name: string, address: string) => rr(name, DnsType.AAAA, { kind: 'address', address: parseIp(address) });
  const V6 = '2001:db8::1';

  /** Answers that take so long, by type; `undefined` never comes. */
  const slow =
    (after: { readonly a?: number; readonly aaaa?: number }, bench: () => Bench): Zone =>
    (name, type, { query, from, server }) => {
      const delay = type === DnsType.A ? after.a : after.aaaa;
      const records = type === DnsType.A ? [a(name, '192.0.2.1')] : [six(name, V6)];
      const { net } = bench();
      if (delay === undefined || server !== 's0') return undefined;
      const answer = emitDns({ ...query, edns: undefined, response: true, answers: records });
      net.scheduler.schedule(() => bench().sayAs(0, answer, from), delay);
      return undefined;
    };

  function stagesOf(
    after: { readonly a?: number; readonly aaaa?: number },
    name = 'www.test',
    more: DnsResolverOptions = {},
  ) {
    const bench: Bench = new Bench(
      slow(after, () => bench),
      { timeout: 2000, attempts: 1, servers: [SERVERS[0] ?? ''], ...more },
    );
    const told: string[] = [];
    const say = (text: string) => told.push(`${Math.round(bench.net.now)} ${text}`);
    const giveUp = bench.resolver.stages(
      name,
      {},
      {
        found: (addresses) => say(addresses.join(' ')),
        done: (error) => say(error === undefined ? 'done' : String((error as DnsError).code)),
      },
    );
    return { bench, told, giveUp };
  }
  const run = async ({ bench }: ReturnType<typeof stagesOf>) => {
    await bench.net.advance(Number.POSITIVE_INFINITY);
    bench.end();
  };

  it('tells IPv6 addresses at once, IPv4 addresses when they come', async () => {
    const stages = stagesOf({ aaaa: 0, a: 300 });
    await run(stages);
    expect(stages.told.map((text) => text.replace(/^\d+ /, ''))).to.deep.equal([V6, '192.0.2.1', 'done']);
    expect(Number.parseInt(stages.told[1] ?? '', 10) - Number.parseInt(stages.told[0] ?? '', 10)).to.equal(300);
  });

  it('holds IPv4 addresses back for 50 ms, no longer', async () => {
    const soon = stagesOf({ aaaa: 40, a: 0 });
    await run(soon);
    expect(soon.told.map((text) => text.replace(/^\d+ /, ''))).to.deep.equal([`192.0.2.1 ${V6}`, 'done']);
    const late = stagesOf({ aaaa: 400, a: 0 });
    await run(late);
    const times = late.told.map((text) => Number.parseInt(text, 10));
    expect(late.told.map((text) => text.replace(/^\d+ /, ''))).to.deep.equal(['192.0.2.1', V6, 'done']);
    // 50 ms after the answer, 350 ms before the other.
    expect((times[1] ?? 0) - (times[0] ?? 0)).to.equal(350);
  });

  it('is not kept waiting by questions about IPv6 that nobody answers', async () => {
    const stages = stagesOf({ a: 0 });
    await run(stages);
    expect(stages.told.map((text) => text.replace(/^\d+ /, ''))).to.deep.equal(['192.0.2.1', 'done']);
    expect(Number.parseInt(stages.told[0] ?? '', 10)).to.be.below(150);
  });

  it('tells why there is nothing, and nothing after it was given up', async () => {
    const nobody = stagesOf({}, 'x.invalid');
    await run(nobody);
    expect(nobody.told).to.deep.equal(['0 ENOTFOUND']);
    const silent = stagesOf({});
    await run(silent);
    expect(silent.told).to.deep.equal(['2000 ETIMEOUT']);
    for (const after of [10, 60, 200]) {
      const stages = stagesOf({ a: 0, aaaa: 150 });
      stages.bench.net.runFor(after);
      await Promise.resolve();
      const before = stages.told.length;
      stages.giveUp();
      await run(stages);
      expect(stages.told.length).to.equal(before);
    }
  });

  it('orders by what a function says (RFC 6724), as `host()` does by its addresses', async () => {
    const zone: Zone = (name, type) => ({
      answers: type === DnsType.AAAA ? [six(name, 'fd00::1'), six(name, V6)] : [a(name, '10.0.0.53')],
    });
    const bench = new Bench(zone, { order: (list) => list.toSorted((x, y) => String(x).localeCompare(String(y))) });
    expect(await bench.addresses('www.test')).to.deep.equal(['10.0.0.53', V6, 'fd00::1']);
    // No way leads to the IPv6 addresses: they come last, the global one first (rules 1 and 6).
    const { us } = bench.net.hosts;
    us.dns.setServers(SERVERS);
    expect((await bench.net.runUntilSettled(us.dns.lookup('www.test'))).map(String)).to.deep.equal([
      '10.0.0.53',
      V6,
      'fd00::1',
    ]);
    bench.end();
  });

  it('asks a server at a link-local address, which has a zone here and none in packets', async () => {
    using net = network({ hosts: { us: 'fd00::1/64', them: ['fd00::2/64', 'fe80::53/64'] } });
    const { us, them } = net.hosts;
    const server = them.udp.bind(anyEndpoint(6, 53), {
      message: ({ data, source }) => {
        const query = parseDns(data);
        const answers = [six('www.test', 'fd00::2')];
        server.send(emitDns({ ...query, edns: undefined, response: true, answers }), source);
      },
      error: () => undefined,
    });
    us.dns.setServers(['fe80::53%us.lan']);
    expect((await net.runUntilSettled(us.dns.resolve6('www.test'))).map(String)).to.deep.equal(['fd00::2']);
    server.close();
    us.dns.setServers(['fe80::53%us.lan']);
    // ICMP says so, of an address without a zone.
    const refused = us.dns.resolve6('www.test').catch((error: unknown) => (error as DnsError).code);
    expect(await net.runUntilSettled(refused)).to.equal('ECONNREFUSED');
    net.run();
    net.assertIdle();
  });

  it('`host()` ends its questions with the host', async () => {
    const net = network({
      hosts: { us: { addresses: '10.0.0.1/24', dns: { servers: ['10.0.0.2'] } }, them: '10.0.0.2/24' },
    });
    net.hosts.them.udp.bind(anyEndpoint(4, 53), { message: () => undefined, error: () => undefined });
    const asked = net.hosts.us.dns.lookup('www.test').catch((error: unknown) => (error as DnsError).code);
    net.runFor(100);
    net.dispose();
    expect(await asked).to.equal('ECANCELLED');
    expect(net.scheduler.pending).to.equal(0);
  });
});

describe('lookup of the Node-shaped sockets', () => {
  it('connects by name, and fails with the codes of dns.lookup', async () => {
    const bench = new Bench((name, type) => {
      if (name === 'www.test') return type === 1 ? { answers: [a(name, '10.0.0.54')] } : {};
      return name === 'slow.test' ? undefined : nothing;
    });
    const { us, s1 } = bench.net.hosts;
    const server = nodeNet(s1.tcp).createServer((socket) => socket.end('hello'));
    server.listen(80);
    const find = lookup(bench.resolver);
    const net = nodeNet(us.tcp, { lookup: find });
    const socket = net.connect(80, 'www.test');
    const [data] = (await bench.net.runUntilSettled(once(socket, 'data'))) as [Buffer];
    expect(data.toString()).to.equal('hello');
    const failure = async (name: string) => {
      const [error] = (await bench.net.runUntilSettled(
        once(net.connect(80, name), 'error').catch((e: unknown) => [e]),
      )) as [NodeJS.ErrnoException];
      return `${error.code} ${error.message}`;
    };
    expect(await failure('void.test')).to.equal('ENOTFOUND getaddrinfo ENOTFOUND void.test');
    expect(await failure('slow.test')).to.equal('EAI_AGAIN getaddrinfo EAI_AGAIN slow.test');
    const all = new Promise((resolve, reject) => {
      find('www.test', { all: true }, (error, found) => (error ? reject(error) : resolve(found)));
    });
    expect(await bench.net.runUntilSettled(all)).to.deep.equal([{ address: '10.0.0.54', family: 4 }]);
    server.close();
    await bench.net.advance(Infinity);
    bench.end();
  });
});
