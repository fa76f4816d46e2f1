/**
 * Issue 3, row 3: a path with a smaller MTU in the middle, of three kernel namespaces, carries TCP both ways, also when the routers drop
 * their ICMP errors.
 *
 *     us --TAP 1500-- near --veth, 1500 or less-- far --veth 1500-- server
 *
 * `near` finds our packets too big, `far` those of the server.
 */

import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { type IpAddress, parseIp } from '../../lib/core/address.js';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { listening, LiveHost } from './live-host.js';
import { askUntil, until } from '../until.js';
import { describeNetns, type Namespace, type Netns } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, opensslBytes } from './transfers.js';

const SIZE = 4 << 20;
/** Milliseconds in which a transfer of {@link SIZE} bytes ends: where routers speak, and where they are silent. */
const PROMPT = 3000;
const PATIENT = 8000;
/** And until the search for the MTU has found it: some probes are lost, a second apart. It takes five or six seconds where nothing else is in the way. */
const SEARCHED = 45_000;
/** Bytes that flow for longer than that at 2 MiB a second. */
const ENDLESS = 1 << 30;

const NETS = {
  4: { us: '10.77.0.2', near: '10.77.0.1', middle: '10.78.0', far: '10.79.0', tap: '/24' },
  6: { us: 'fd77::2', near: 'fd77::1', middle: 'fd78:', far: 'fd79:', tap: '/64' },
} as const;

interface Path {
  readonly live: LiveHost;
  readonly near: Namespace;
  readonly far: Namespace;
  readonly server: Namespace;
}

/** Builds the path; `silent` routers send no ICMP errors. */
function path(netns: Netns, version: 4 | 6, mtu: number, silent: boolean, recording: Recording): Path {
  const { namespace: near } = netns;
  const far = netns.make('far');
  const server = netns.make('server');
  const { us, middle, far: beyond, tap, near: gateway } = NETS[version];
  const at = (network: string, host: number) => `${network}${version === 4 ? '.' : ':'}${host}`;
  const live = new LiveHost(near, {
    addresses: [`${us}${tap}`],
    gateway,
    peer: [`${gateway}${tap}`],
    services: ['http'],
    recording,
  });
  near.ip(
    'link',
    'add',
    'm0',
    'mtu',
    `${mtu}`,
    'type',
    'veth',
    'peer',
    'name',
    'm1',
    'mtu',
    `${mtu}`,
    'netns',
    far.name,
  );
  far.ip('link', 'add', 's0', 'type', 'veth', 'peer', 'name', 's1', 'netns', server.name);
  const up = (namespace: Namespace, device: string, address: string) => {
    namespace.ip('link', 'set', device, 'up');
    namespace.ip('addr', 'add', `${address}${tap}`, 'dev', device, ...(version === 6 ? ['nodad'] : []));
  };
  up(near, 'm0', at(middle, 1));
  up(far, 'm1', at(middle, 2));
  up(far, 's0', at(beyond, 1));
  up(server, 's1', at(beyond, 2));
  near.ip('route', 'add', `${at(beyond, 0)}${tap}`, 'via', at(middle, 2));
  far.ip('route', 'add', `${version === 4 ? '10.77.0.0' : 'fd77::'}${tap}`, 'via', at(middle, 1));
  server.ip('route', 'add', 'default', 'via', at(beyond, 1));
  for (const router of [near, far]) {
    router.sysctl(version === 4 ? 'net.ipv4.ip_forward' : 'net.ipv6.conf.all.forwarding', 1);
    if (silent) {
      // What it forwards does not pass this rule; the errors that it makes do. Neighbour discovery asks no rules.
      const family = version === 4 ? '-4' : '-6';
      const protocol = version === 4 ? 'icmp' : 'ipv6-icmp';
      router.ip(family, 'rule', 'add', 'iif', 'lo', 'ipproto', protocol, 'pref', '1', 'blackhole');
    }
  }
  // The server's own search is the kernel's business; without it nothing would come through a silent path.
  if (silent) server.sysctl('net.ipv4.tcp_mtu_probing', 1);
  return { live, near, far, server };
}

function serverAddress(version: 4 | 6): IpAddress {
  return parseIp(version === 4 ? '10.79.0.2' : 'fd79::2');
}

/** How long it takes. */
async function timed(work: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work;
  return performance.now() - start;
}

for (const version of [4, 6] as const) {
  describeNetns(`issue 3, row 3: a narrow path, IPv${version}`, (netns) => {
    const url = version === 4 ? 'http://10.77.0.2' : 'http://[fd77::2]';
    const to = serverAddress(version);
    const recording = new Recording();

    /** Transfers both ways, opened from both ends; returns the milliseconds of what we sent, and of what we received. */
    async function carry({ live, server }: Path): Promise<{ sent: number; received: number }> {
      const digest = await digestOf(SIZE);
      let got = '';
      const sent = await timed(
        server
          .sh(`set -o pipefail; curl -sS --fail ${url}/bytes/${SIZE} | sha256sum`, { timeout: 20_000 })
          .then(({ stdout }) => (got = stdout.slice(0, 64))),
      );
      expect(got, 'what we sent').to.equal(digest);
      const headers = `-H 'Expect:' -H 'Transfer-Encoding:' -H 'Content-Length: ${SIZE}'`;
      const body = `(set +o pipefail; ${opensslBytes(`${SIZE}`)})`;
      const received = await timed(
        server
          .sh(`set -o pipefail; ${body} | curl -sS --fail -X POST -T - ${headers} ${url}/sha256`, { timeout: 20_000 })
          .then(({ stdout }) => (got = stdout.slice(0, 64))),
      );
      expect(got, 'what we received').to.equal(digest);
      // And the other way round: we open the connection.
      await listening(server, 4000, 'socat', `TCP${version}-LISTEN:4000,reuseaddr`, 'EXEC:cat');
      const socket = live.net.connect(4000, to.toString());
      const hash = createHash('sha256');
      socket.on('data', (chunk: Buffer) => hash.update(chunk));
      const data = Buffer.alloc(SIZE / 4, 'there and back again. ');
      socket.end(data);
      await once(socket, 'end');
      expect(hash.digest('hex'), 'there and back').to.equal(createHash('sha256').update(data).digest('hex'));
      await live.quiet({ timeWait: true });
      return { sent, received };
    }

    it('the search finds what a silent path carries, while data flow', async function () {
      this.timeout(60_000);
      const there = path(netns, version, 1400, true, recording);
      const { me } = there.live;
      // Probes are made of data that wait: there are more than any search takes. The kernel reads slowly, so its window, not ours, paces them.
      const curl = there.server.start('curl', ['-sS', '--fail', '--limit-rate', '2M', `${url}/bytes/${ENDLESS}`]);
      const hash = createHash('sha256');
      let received = 0;
      curl.stdout?.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        received += chunk.length;
      });
      await until(() => me.tables.path(to)?.mtu === 1400, SEARCHED);
      curl.kill();
      await once(curl, 'close');
      expect(hash.digest('hex'), `${received} bytes`).to.equal(await digestOf(ENDLESS, received));
      expect(me.tcp.counters.blackHoles).to.equal(1);
      expect(me.tcp.counters.mtuProbesLost).to.be.within(3, 12);
      await there.live.close();
    });

    it('datagrams: EMSGSIZE for those that must not be cut; the others arrive in pieces', async function () {
      this.timeout(30_000);
      const there = path(netns, version, 1400, false, recording);
      const { me } = there.live;
      const headers = version === 4 ? 28 : 48;
      const heard: number[] = [];
      const errors: string[] = [];
      const handler = {
        message: ({ data }: { data: Uint8Array }) => void heard.push(data.length),
        error: ({ code }: { code: string }) => void errors.push(code),
      };
      const socket = me.udp.bind(anyEndpoint(version, 0), handler, { dontFragment: true });
      socket.connect({ address: to, port: 4001 });
      there.server.start('socat', ['-b', '65536', `UDP${version}-LISTEN:4001`, 'PIPE']);
      // The server may not be up yet: until it is, port unreachable comes.
      await askUntil(
        () => heard.length > 0,
        () => socket.send(new Uint8Array(1)),
      );
      [heard.length, errors.length] = [0, 0];
      expect(socket.pathMtu()).to.equal(1500);
      socket.send(new Uint8Array(1500 - headers));
      await until(() => errors.length > 0);
      expect([errors, socket.pathMtu()]).to.deep.equal([['EMSGSIZE'], 1400]);
      expect(() => socket.send(new Uint8Array(1400 - headers + 1)))
        .to.throw()
        .with.property('code', 'EMSGSIZE');
      socket.send(new Uint8Array(1400 - headers));
      await until(() => heard.includes(1400 - headers));
      const receiver = there.server.start('socat', ['-u', '-b', '65536', `UDP${version}-RECVFROM:4002`, 'STDOUT']);
      const received: Buffer[] = [];
      receiver.stdout?.on('data', (chunk: Buffer) => received.push(chunk));
      socket.connect({ address: to, port: 4002 });
      socket.dontFragment = false;
      // It takes one and ends; it may not be up yet.
      const again = setInterval(() => socket.send(new Uint8Array(8000)), 100);
      await once(receiver, 'close');
      clearInterval(again);
      expect(Buffer.concat(received).length).to.equal(8000);
      socket.close();
      await there.live.close();
    });

    for (const mtu of version === 4 ? [1400, 1000] : [1400, 1280]) {
      it(`of ${mtu} bytes, whose routers tell of it: promptly, without a timeout of ours`, async function () {
        this.timeout(60_000);
        const there = path(netns, version, mtu, false, recording);
        const took = await carry(there);
        const { me } = there.live;
        expect(me.tables.path(to)?.mtu).to.equal(mtu);
        expect(me.tcp.counters).to.include({ timeouts: 0, blackHoles: 0 });
        expect(took.sent, 'sent').to.be.below(PROMPT);
        expect(took.received, 'received').to.be.below(PROMPT);
        await there.live.close();
      });

      it(`of ${mtu} bytes, whose routers drop their errors: after one black hole`, async function () {
        this.timeout(60_000);
        const there = path(netns, version, mtu, true, recording);
        const took = await carry(there);
        const { me } = there.live;
        // One that the base size does not pass either is found in two steps.
        expect(me.tcp.counters.blackHoles).to.equal(mtu < 1064 ? 2 : 1);
        expect(me.tables.path(to)?.mtu).to.be.within(version === 4 ? 552 : 1280, mtu);
        expect(took.sent, 'sent').to.be.below(PATIENT);
        // This one is the kernel's search.
        expect(took.received, 'received').to.be.below(2 * PATIENT);
        await there.live.close();
      });
    }

    it('tshark finds nothing wrong with what we sent in all that', async function () {
      this.timeout(60_000);
      await recording.expectSound({ tcp: 1000, udp: 3 });
    });
  });
}
