/** Names: dnsmasq answers our resolver over both versions, and connections by name reach the kernel though one family leads nowhere. */

import { get } from 'node:http';
import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { parseIp } from '../../lib/core/address.js';
import { DnsError } from '../../lib/l7/dns-error.js';
import { DnsResolver } from '../../lib/l7/dns-resolver.js';
import { agent } from '../../lib/socket/http.js';
import type { PingOptions } from '../../lib/l7/ping.js';
import { connect } from '../../lib/socket/iterate.js';
import { lookup } from '../../lib/socket/lookup.js';
import { nodeNet } from '../../lib/socket/net.js';
import { DnsType } from '../../lib/wire/dns.js';
import { ping } from '../../operators/l7/ping.js';
import { hasDnsmasq, NameServer } from './dnsmasq.js';
import { DUAL, listening, LiveHost, OURS, OURS6, THEIRS, THEIRS6 } from './live-host.js';
import { until } from '../until.js';
import { describeNetns } from './namespace.js';
import { complaints, Recording } from './recording.js';

const HOSTS = [
  '--host-record=www.test,10.77.0.1,fd77::1',
  '--host-record=four.test,10.77.0.1',
  '--host-record=six.test,fd77::1',
  // Nobody has this IPv6 address.
  '--host-record=halfdead.test,10.77.0.1,fd77::dead',
  '--cname=alias.test,www.test',
  '--mx-host=test,www.test,10',
  '--txt-record=test,one,two',
];

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'found',
    (error: unknown) => (error instanceof DnsError ? error.code : String(error)),
  );
}

const available = hasDnsmasq();
const recording = new Recording();

for (const server of available ? [THEIRS, THEIRS6] : []) {
  describeNetns(`our resolver asks dnsmasq at ${server}`, (netns) => {
    const start = async (...options: string[]) => {
      const live = new LiveHost(netns.namespace, {
        ...DUAL,
        dns: { servers: [server], search: ['test'] },
        services: [],
        recording,
      });
      return { live, dns: live.me.dns, names: await NameServer.start(netns.namespace, ...HOSTS, ...options) };
    };

    it('A, AAAA, CNAME, PTR, MX and TXT records, the search list, and what there is not', async () => {
      const { live, dns, names } = await start();
      expect((await dns.resolve4('www.test')).map(String)).to.deep.equal(['10.77.0.1']);
      expect((await dns.resolve6('www.test')).map(String)).to.deep.equal(['fd77::1']);
      expect((await dns.lookup('www')).map(String)).to.have.members(['10.77.0.1', 'fd77::1']);
      expect((await dns.lookup('alias', { family: 6 })).map(String)).to.deep.equal(['fd77::1']);
      expect(await dns.reverse('10.77.0.1')).to.include('www.test');
      expect(await dns.reverse('fd77::1')).to.include('www.test');
      const { records } = await dns.resolve('test', DnsType.MX);
      expect(records.map(({ data }) => data)).to.deep.equal([{ kind: 'mx', preference: 10, exchange: 'www.test' }]);
      const [txt] = (await dns.resolve('test', DnsType.TXT)).records;
      expect(txt?.data).to.deep.equal({
        kind: 'txt',
        strings: [Buffer.from('one'), Buffer.from('two')].map((b) => new Uint8Array(b)),
      });
      expect(await codeOf(dns.resolve4('six.test'))).to.equal('ENODATA');
      expect(await codeOf(dns.lookup('nobody.test'))).to.equal('ENOTFOUND');
      expect(await codeOf(dns.lookup('elsewhere.example'))).to.equal('EREFUSED');
      // The first answer is remembered.
      expect(names.queries.filter((query) => query === 'A www.test')).to.have.length(1);
      await live.close();
    });

    it('over TCP, where an answer does not fit a datagram', async () => {
      const many = Array.from({ length: 60 }, (_, i) => `--host-record=many.test,10.1.${i}.1,fd01::${i + 1}`);
      const { live, dns, names } = await start(...many, '--edns-packet-max=512');
      const small = new DnsResolver(live.me, { servers: [server], udpSize: 0 }, live.env);
      expect(await small.resolve4('many.test')).to.have.length(60);
      expect(await dns.resolve6('many.test')).to.have.length(60);
      // Once by datagram, once more by TCP.
      expect(names.queries).to.include.members(['A many.test', 'AAAA many.test']);
      expect(names.queries.filter((query) => query === 'A many.test')).to.have.length(2);
      expect(live.me.stats().tcp).to.have.property('opened', 2);
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('gives up where nobody answers, and says at once that no server is there', async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, services: [], recording });
      const before = performance.now();
      const closed = new DnsResolver(live.me, { servers: [server], timeout: 2000 }, live.env);
      expect(await codeOf(closed.lookup('www.test'))).to.equal('ECONNREFUSED');
      expect(performance.now() - before).to.be.below(1500);
      await live.close();
    });
  });
}

describeNetns('connecting to a name, with the kernel as the server', (netns) => {
  if (!available) return;

  const start = async () => {
    const live = new LiveHost(netns.namespace, { ...DUAL, dns: { servers: [THEIRS] }, services: [], recording });
    await NameServer.start(netns.namespace, ...HOSTS);
    const find = lookup(live.me.dns);
    return { live, find, net: nodeNet(live.me.tcp, { lookup: find }) };
  };
  // The question is read first: socat, which finds nobody to give it to, would not pass on the answer.
  const page = ['TCP-LISTEN:80,fork,reuseaddr', 'SYSTEM:"read line; printf \\"HTTP/1.0 200 OK\\r\\n\\r\\nhello\\""'];

  it('RFC 8305: a dead family costs a quarter of a second', async () => {
    const { live, find, net } = await start();
    await listening(netns.namespace, 80, 'socat', ...page);
    // As if IPv6 came first, as it does between hosts with global addresses.
    const preferring = new DnsResolver(live.me, { servers: [THEIRS], prefer: 6 }, live.env);
    const started = performance.now();
    const stream = await connect(live.me.tcp, { host: 'halfdead.test', port: 80 }, { lookup: lookup(preferring) });
    const took = performance.now() - started;
    expect(stream.remote.address.toString()).to.equal('10.77.0.1');
    expect(took).to.be.within(240, 900);
    stream.abort();

    const socket = net.connect({ port: 80, host: 'halfdead.test', lookup: lookup(preferring) });
    const tried: unknown[] = [];
    socket.on('lookup', (_error, address) => tried.push(address));
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    expect(socket.remoteAddress).to.equal('10.77.0.1');
    expect(tried).to.have.members(['fd77::dead', '10.77.0.1']);
    socket.destroy();

    const body = await new Promise<string>((resolve, reject) => {
      get('http://www.test/', { agent: agent(live.me.tcp, { lookup: find }) }, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .on('end', () => resolve(text));
      }).on('error', reject);
    });
    expect(body).to.equal('hello');
    // SYNs for the dead address wait until it is known that nobody has it.
    await until(() => live.env.pool.outstanding === 0, 5000);
    await live.quiet({ timeWait: true });
    await live.close({ complaints: true });
  });

  it('reaches a server of either family only, and says of each address why there is no connection', async () => {
    const { live, net } = await start();
    await listening(netns.namespace, 81, 'socat', 'TCP6-LISTEN:81,ipv6only=1,fork,reuseaddr', 'SYSTEM:cat');
    // www.test has both addresses, and only one of them a listener.
    const socket = net.connect(81, 'www.test');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    expect(socket.remoteAddress).to.equal('fd77::1');
    socket.destroy();
    const error = await new Promise<AggregateError & { code: string }>((resolve) =>
      net.connect(82, 'www.test').once('error', (e) => resolve(e as AggregateError & { code: string })),
    );
    expect(error.code).to.equal('ECONNREFUSED');
    expect((error.errors as Error[]).map(({ message }) => message)).to.have.members([
      'connect ECONNREFUSED 10.77.0.1:82',
      'connect ECONNREFUSED fd77::1:82',
    ]);
    await live.quiet({ timeWait: true });
    await live.close();
  });
});

for (const [version, to] of [
  [4, THEIRS],
  [6, THEIRS6],
] as const) {
  describeNetns(`our ping pings the kernel by IPv${version}`, (netns) => {
    it('100 of 100, of every size, in fragments, and hears of closed doors', async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, services: [], recording });
      const { me, env } = live;
      const run = (options: PingOptions) => lastValueFrom(ping(me.ping, to, options, env).pipe(toArray()));
      const all = await run({ count: 100, interval: 5 });
      expect(all).to.have.length(100);
      for (const event of all) expect(event).to.include({ kind: 'reply', hopLimit: 64, length: 64, intact: true });
      for (const size of [0, 1, 1472, 1473, 8000, 65_507]) {
        const events = await run({ count: 3, interval: 5, size });
        expect(
          events.map((event) => event.kind === 'reply' && event.intact && event.length),
          `${size} bytes`,
        ).to.deep.equal([size + 8, size + 8, size + 8]);
      }
      const own = await run({ count: 1, source: parseIp(version === 4 ? OURS : OURS6) });
      expect(own[0]).to.include({ kind: 'reply' });
      netns.namespace.ip('route', 'add', 'prohibit', version === 4 ? '10.9.0.0/24' : 'fd09::/64');
      netns.namespace.sysctl(version === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding', 1);
      me.tables.addRoute({ destination: 'default', gateway: to, device: live.device });
      const far = version === 4 ? '10.9.0.9' : 'fd09::9';
      const [refused] = await lastValueFrom(ping(me.ping, far, { count: 1 }, env).pipe(toArray()));
      expect(refused).to.include({ kind: 'error', error: 'prohibited' });
      // Behind the kernel there is a network that it forwards to.
      netns.namespace.ip('link', 'add', 'x0', 'type', 'veth', 'peer', 'name', 'x1');
      for (const side of ['x0', 'x1']) netns.namespace.ip('link', 'set', side, 'up');
      netns.namespace.ip('addr', 'add', version === 4 ? '10.8.0.1/24' : 'fd08::1/64', 'dev', 'x0');
      const beyond = version === 4 ? '10.8.0.9' : 'fd08::9';
      const [expired] = await lastValueFrom(ping(me.ping, beyond, { count: 1, hopLimit: 1 }, env).pipe(toArray()));
      expect(expired).to.include({ kind: 'error', error: 'time-exceeded' });
      expect(String(expired?.kind === 'error' && expired.from)).to.equal(to);
      // The packet that expired, and nothing else.
      const counter = version === 4 ? 'Ip.InHdrErrors' : 'Ip6InHdrErrors';
      expect(await complaints(netns.namespace)).to.deep.equal({ [counter]: 1 });
      await live.close({ complaints: true });
    });
  });
}

describeNetns('names and pings, as tshark sees them', () => {
  it('finds nothing wrong with what we sent', async function () {
    this.timeout(60_000);
    // Fragments and all.
    await recording.expectSound({ icmp: 110, icmpv6: 110, ...(available ? { dns: 15, tcp: 10 } : {}) });
  });
});
