/**
 * Hosts that have only one version of IP each, and a router of ours with a translator between them.
 *
 *     six (fd01::2) --left-- r --right-- four (10.2.0.2)
 */

import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { filter, lastValueFrom, merge, toArray } from 'rxjs';
import { nat64Device, siitDevice } from '../../../drivers/translator.js';
import type { Device } from '../../../lib/core/device.js';
import type { Env } from '../../../lib/core/env.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { ping } from '../../../operators/l7/ping.js';
import { traceRoute } from '../../../operators/l7/trace-route.js';
import { router } from '../../../operators/stack/router.js';
import { type Network, network, type NetworkLinkOptions, type NetworkNode } from '../../../operators/testing/index.js';

const PREFIX = '2001:db8:64::/96';
const POOL = '192.0.2.1';
const FOUR = '2001:db8:64::a02:2';

/** A router with a translator that `make` makes. */
function between(make: (env: Env) => Device, routes: readonly string[]): NetworkNode {
  return ({ left, right }, env) => {
    if (left === undefined || right === undefined) throw new Error('the router is on two links');
    const device = make(env);
    const me = router(
      {
        interfaces: [
          { device: left, addresses: ['fd01::1/64'] },
          { device: right, addresses: ['10.2.0.1/24'] },
          { device },
        ],
        routes: routes.map((destination) => ({ destination, device })),
      },
      env,
    );
    const isOut = (frame: { readonly device: Device | undefined }) => frame.device !== device;
    return (frames$) =>
      merge(frames$, device.frames$).pipe(
        me,
        filter((frame) => {
          if (isOut(frame)) return true;
          device.sink.next(frame);
          return false;
        }),
      );
  };
}

interface Links {
  readonly left?: NetworkLinkOptions;
  readonly right?: NetworkLinkOptions;
}

function world(node: NetworkNode, links: Links = {}): Network<'six' | 'four' | 'other'> {
  return network({
    hosts: {
      six: { addresses: ['fd01::2/64'], gateway: 'fd01::1' },
      other: { addresses: ['fd01::3/64'], gateway: 'fd01::1' },
      four: { addresses: ['10.2.0.2/24'], gateway: '10.2.0.1' },
    },
    nodes: { r: node },
    links: {
      left: { ...links.left, between: ['six', 'other', 'r'] },
      right: { ...links.right, between: ['four', 'r'] },
    },
  });
}

const stateful = () => between((env) => nat64Device({ prefix: PREFIX, pool: [POOL] }, env), [PREFIX, `${POOL}/32`]);
const MAPPINGS = [{ ipv4: '192.0.2.7', ipv6: 'fd01::2' }];
const stateless = () =>
  between((env) => siitDevice({ prefix: PREFIX, mappings: MAPPINGS }, env), [PREFIX, '192.0.2.7/32']);

async function pinged(net: Network<'six' | 'four' | 'other'>, from: 'six' | 'four', to: string): Promise<unknown> {
  const { [from]: host } = net.hosts;
  const events = await net.runUntilSettled(lastValueFrom(ping(host.ping, to, { count: 1 }, host.env).pipe(toArray())));
  return events[0];
}

/** Sends `data` from one host to the other; returns the hash of what came. */
async function transfer(
  net: Pick<Network<'six' | 'four'>, 'hosts' | 'runUntilSettled'>,
  [from, to]: readonly ['six', 'four'] | readonly ['four', 'six'],
  address: string,
  data: Buffer,
): Promise<string> {
  const hash = createHash('sha256');
  const done = new Promise<string>((resolve, reject) => {
    const server = nodeNet(net.hosts[to].tcp).createServer((socket) => {
      socket.on('data', (chunk: Buffer) => hash.update(chunk));
      socket.on('end', () => {
        socket.end();
        server.close();
        resolve(hash.digest('hex'));
      });
      socket.on('error', reject);
    });
    server.listen(80);
  });
  nodeNet(net.hosts[from].tcp).connect(80, address).end(data);
  return net.runUntilSettled(done);
}

function end(net: Network): void {
  net.run();
  net.assertIdle();
  net.dispose();
}

describe('a router with NAT64', () => {
  const data = Buffer.alloc(1 << 20, 'four and six and ');
  const digest = createHash('sha256').update(data).digest('hex');

  it('takes a megabyte of TCP from a host of IPv6 to one of IPv4, to the byte', async () => {
    const net = world(stateful(), { left: { impair: { delay: 3 } } });
    expect(await transfer(net, ['six', 'four'], FOUR, data)).to.equal(digest);
    net.runFor(10 * 60_000);
    end(net);
  });

  it('takes it through loss, and several hosts at once', async () => {
    const net = world(stateful(), { right: { impair: { delay: 3, loss: 0.01 } } });
    expect(await transfer(net, ['six', 'four'], FOUR, data.subarray(0, 200_000))).to.have.length(64);
    const { other, four } = net.hosts;
    const hosts = { six: other, four };
    const runUntilSettled = net.runUntilSettled.bind(net);
    expect(await transfer({ hosts, runUntilSettled }, ['six', 'four'], FOUR, data)).to.equal(digest);
    end(net);
  });

  it('takes pings, two hops further', async () => {
    const net = world(stateful());
    expect(await pinged(net, 'six', FOUR)).to.include({ kind: 'reply', hopLimit: 62 });
    end(net);
  });

  it('appears on the way twice, once in each version', async () => {
    const net = world(stateful());
    const { six } = net.hosts;
    const probes = await net.runUntilSettled(
      lastValueFrom(traceRoute(six, FOUR, { maxHops: 5, queries: 1 }, six.env).pipe(toArray())),
    );
    const hops = probes.map(({ hop, from }) => `${hop} ${from?.toString()}`);
    expect(hops).to.deep.equal(['1 fd01::1', '2 2001:db8:64::a02:1', `3 ${FOUR}`]);
    end(net);
  });

  it('says nothing to strangers', async () => {
    const net = world(stateful());
    expect(await pinged(net, 'four', POOL)).to.not.include({ kind: 'reply' });
    end(net);
  });
});

/** A router without a translator, of two links, and of one version. */
function plain(ends: Readonly<Record<string, string>>, gateway: string): NetworkNode {
  return (devices, env) =>
    router(
      {
        interfaces: Object.entries(devices).map(([link, device]) => ({ device, addresses: [ends[link] ?? ''] })),
        gateway,
      },
      env,
    );
}

/**
 * Narrow links that no host knows of, on either side of the translator.
 *
 *     six (fd01::2) --left-- e6 --narrow6-- r --narrow4-- e4 --right-- four (10.2.0.2)
 */
function narrow(mtus: { readonly narrow6?: number; readonly narrow4?: number }): Network<'six' | 'four'> {
  const r: NetworkNode = ({ narrow6, narrow4 }, env) => {
    if (narrow6 === undefined || narrow4 === undefined) throw new Error('the router is on two links');
    const device = siitDevice({ prefix: PREFIX, mappings: MAPPINGS }, env);
    const me = router(
      {
        interfaces: [
          { device: narrow6, addresses: ['fd02::1/64'] },
          { device: narrow4, addresses: ['10.1.0.1/24'] },
          { device },
        ],
        routes: [
          { destination: PREFIX, device },
          { destination: '192.0.2.7/32', device },
          { destination: 'fd01::/64', gateway: 'fd02::2', device: narrow6 },
          { destination: '10.2.0.0/24', gateway: '10.1.0.2', device: narrow4 },
        ],
      },
      env,
    );
    return (frames$) =>
      merge(frames$, device.frames$).pipe(
        me,
        filter((frame) => {
          if (frame.device !== device) return true;
          device.sink.next(frame);
          return false;
        }),
      );
  };
  const link = (mtu: number | undefined, between: readonly string[]) => ({ ...(mtu && { mtu }), between });
  return network({
    hosts: {
      six: { addresses: ['fd01::2/64'], gateway: 'fd01::1' },
      four: { addresses: ['10.2.0.2/24'], gateway: '10.2.0.1' },
    },
    nodes: {
      r,
      e6: plain({ left: 'fd01::1/64', narrow6: 'fd02::2/64' }, 'fd02::1'),
      e4: plain({ right: '10.2.0.1/24', narrow4: '10.1.0.2/24' }, '10.1.0.1'),
    },
    links: {
      left: { between: ['six', 'e6'] },
      narrow6: link(mtus.narrow6, ['e6', 'r']),
      narrow4: link(mtus.narrow4, ['r', 'e4']),
      right: { between: ['e4', 'four'] },
    },
  });
}

/** Counts the MTUs that routers tell a host of: of "packet too big" and "fragmentation needed". */
function told(net: Network<'six' | 'four'>, host: 'six' | 'four'): readonly number[] {
  const mtus: number[] = [];
  net.observe(host, {
    frame(direction, { slab: { view }, start, end }) {
      if (direction === 'outbound' || end - start < 62) return;
      const type = view.getUint16(start + 12);
      const isTooBig = type === 0x86dd && view.getUint8(start + 20) === 58 && view.getUint8(start + 54) === 2;
      const isNeeded = type === 0x0800 && view.getUint8(start + 23) === 1 && view.getUint16(start + 34) === 0x0304;
      if (isTooBig) mtus.push(view.getUint32(start + 58));
      if (isNeeded) mtus.push(view.getUint16(start + 40));
    },
  });
  return mtus;
}

describe('the MTU of a path with a translator', () => {
  const data = Buffer.alloc(1 << 18, 'narrow and ');
  const digest = createHash('sha256').update(data).digest('hex');

  for (const [title, way, address, mtus, mtu] of [
    ['is told to a host of IPv6, of a link of IPv4', ['six', 'four'], FOUR, { narrow4: 1400 }, 1420],
    ['is told to a host of IPv6, of a link of IPv6', ['six', 'four'], FOUR, { narrow6: 1400 }, 1400],
    ['is told to a host of IPv4, of a link of IPv6', ['four', 'six'], '192.0.2.7', { narrow6: 1400 }, 1380],
    ['is told to a host of IPv4, of a link of IPv4', ['four', 'six'], '192.0.2.7', { narrow4: 1400 }, 1400],
    ['is never said to be less than what IPv6 needs', ['six', 'four'], FOUR, { narrow4: 1200 }, 1280],
  ] as const) {
    it(title, async () => {
      const net = narrow(mtus);
      const found = told(net, way[0]);
      expect(await transfer(net, way, address, data)).to.equal(digest);
      expect(new Set(found)).to.deep.equal(new Set([mtu]));
      end(net);
    });
  }
});

describe('a router with a stateless translator', () => {
  const data = Buffer.alloc(1 << 18, 'six and four and ');
  const digest = createHash('sha256').update(data).digest('hex');

  it('takes pings and TCP in both directions', async () => {
    const net = world(stateless());
    expect(await pinged(net, 'six', FOUR)).to.include({ kind: 'reply', hopLimit: 62 });
    expect(await pinged(net, 'four', '192.0.2.7')).to.include({ kind: 'reply', hopLimit: 62 });
    expect(await transfer(net, ['six', 'four'], FOUR, data)).to.equal(digest);
    expect(await transfer(net, ['four', 'six'], '192.0.2.7', data)).to.equal(digest);
    end(net);
  });
});
