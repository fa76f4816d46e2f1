import { once } from 'node:events';
import { expect } from 'chai';
import { parseIp } from '../../../lib/core/address.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { DnsError } from '../../../lib/l7/dns-error.js';
import type { DnsResolverOptions } from '../../../lib/l7/dns-resolver.js';
import { lookup } from '../../../lib/socket/lookup.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { DnsType, emitDns, parseDns } from '../../../lib/wire/dns.js';
import { network } from '../../../operators/testing/network.js';
import type { Zone } from './dns-bench.js';
import { SERVERS, rr, a, Bench, nothing } from './dns-bench.js';

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
