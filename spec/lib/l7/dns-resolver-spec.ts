import { expect } from 'chai';
import { Ipv4Address, parseIp } from '../../../lib/core/address.js';
import type { Endpoint } from '../../../lib/l4/tcp/api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import { reverseName, searchNames } from '../../../lib/l7/dns-names.js';
import { type DnsMessage, DnsRcode, DnsType, emitDns } from '../../../lib/wire/dns.js';
import type { Zone } from './dns-bench.js';
import { rr, a, cname, soa, Bench, nothing } from './dns-bench.js';

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

  it('asks a server once over TCP, however many truncated answers it sends', async () => {
    const bench = new Bench((_name, _type, { tcp }) => (tcp ? undefined : [{ truncated: true }, { truncated: true }]), {
      servers: ['10.0.0.53'],
      timeout: 1000,
      attempts: 3,
    });
    expect(await bench.settle(bench.resolver.resolve4('big.test'))).to.equal('ETIMEOUT');
    expect(bench.heard.filter(({ tcp }) => tcp)).to.have.length(1);
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

  it('asks without EDNS once, however often a server says that it does not know it', async () => {
    const bench = new Bench(
      (name, _type, { query }) => {
        if (query.edns === undefined) return { answers: [a(name, '192.0.2.1')] };
        return [{ rcode: DnsRcode.FormatError }, { rcode: DnsRcode.FormatError }];
      },
      { servers: ['10.0.0.53'] },
    );
    expect(await bench.addresses('www.test', { family: 4 })).to.deep.equal(['192.0.2.1']);
    expect(bench.heard.map(({ query }) => query.edns?.udpSize ?? 'plain')).to.deep.equal([1232, 'plain']);
    bench.end();
  });

  it('asks without EDNS over TCP where that is what does not know it', async () => {
    const bench = new Bench((name, _type, { query, tcp }) => {
      if (!tcp) return { truncated: true };
      return query.edns === undefined ? { answers: [a(name, '192.0.2.1')] } : { rcode: DnsRcode.FormatError };
    });
    expect(await bench.settle(bench.resolver.resolve4('www.test'))).to.deep.equal([parseIp('192.0.2.1')]);
    expect(bench.heard.map(({ tcp, query }) => [tcp, query.edns !== undefined])).to.deep.equal([
      [false, true],
      [true, true],
      [true, false],
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

  it('follows no long chain of aliases within an answer, and does not remember it', async () => {
    const chain = (length: number) => Array.from({ length }, (_, i) => cname(`n${i}.test`, `n${i + 1}.test`));
    const bench = new Bench((_name, _type, { query }) => {
      const length = query.questions[0]?.type === DnsType.A ? 17 : 16;
      const end = `n${length}.test`;
      const data = { kind: 'address', address: parseIp('2001:db8::1') } as const;
      const record = length === 16 ? rr(end, DnsType.AAAA, data) : a(end, '192.0.2.1');
      return { answers: [...chain(length), record], authorities: [soa(60, 60)] };
    });
    expect(String(await bench.settle(bench.resolver.resolve6('n0.test')))).to.equal('2001:db8::1');
    for (let asked = 2; asked <= 3; asked++) {
      expect(await bench.settle(bench.resolver.resolve4('n0.test'))).to.equal('EBADRESP');
      expect(bench.heard).to.have.length(asked);
    }
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

  it('RFC 2308: remembers that there is nothing at the end of aliases no longer than these are valid', async () => {
    for (const rcode of [DnsRcode.NameError, DnsRcode.NoError]) {
      let target = 'gone.test';
      const bench = new Bench((name) => ({
        ...(target === 'gone.test' ? { rcode, authorities: [soa(3600, 3600)] } : { authorities: [] }),
        answers: [cname(name, target, name === 'zero.test' ? 0 : 5), a('here.test', '192.0.2.1')],
      }));
      const ask = (name: string) => bench.addresses(name, { family: 4 });
      const none = rcode === DnsRcode.NameError ? 'ENOTFOUND' : 'ENODATA';
      expect([await ask('www.test'), await ask('www.test'), await ask('zero.test')]).to.deep.equal([none, none, none]);
      expect(bench.heard).to.have.length(2);
      target = 'here.test';
      expect([await ask('www.test'), await ask('zero.test')]).to.deep.equal([none, ['192.0.2.1']]);
      bench.net.runFor(6000);
      expect(await ask('www.test')).to.deep.equal(['192.0.2.1']);
      bench.end();
    }
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

  it('passes over what a suffix makes too long, and goes on with the search', async () => {
    const label = (length: number) => 'x'.repeat(length);
    const long = [60, 60, 60].map(label).join('.');
    const suffix = [60, 30].map(label).join('.');
    const zone = (wanted: string): Zone => {
      return (name, type) => (name === wanted && type === 1 ? { answers: [a(name, '192.0.2.1')] } : nothing);
    };
    for (const [wanted, ndots] of [
      [`${long}.b.test`, 1],
      [long, 9],
    ] as const) {
      const bench = new Bench(zone(wanted), { search: [suffix, 'b.test'], ndots });
      expect(await bench.addresses(long)).to.deep.equal(['192.0.2.1']);
      expect(await bench.addresses(`${long}.${suffix}`)).to.equal('EBADNAME');
      bench.end();
    }
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

  it('asks other servers at once, also what the former are still asked; cancel gives up both', async () => {
    const zone: Zone = (name, _type, { server }) =>
      server === 's0' || name === 'b.test' ? undefined : { answers: [a(name, '192.0.2.2')] };
    const bench = new Bench(zone, { servers: ['10.0.0.53'] });
    const old = bench.settle(bench.resolver.resolve4('A.test'));
    bench.net.runFor(100);
    bench.resolver.setServers(['10.0.0.54']);
    expect(await bench.addresses('a.test', { family: 4 })).to.deep.equal(['192.0.2.2']);
    const other = bench.settle(bench.resolver.resolve4('b.test'));
    expect(bench.resolver.pending).to.equal(2);
    bench.resolver.cancel();
    expect([await old, await other]).to.deep.equal(['ECANCELLED', 'ECANCELLED']);
    bench.end();
  });
});
