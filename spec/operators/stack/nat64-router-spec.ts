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
  net: Network<'six' | 'four' | 'other'>,
  [from, to]: readonly ['six' | 'other', 'four'] | readonly ['four', 'six'],
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
    expect(await transfer(net, ['other', 'four'], FOUR, data)).to.equal(digest);
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

  it('lets both sides find out what the smaller link carries', async () => {
    for (const links of [{ right: { mtu: 1300 } }, { left: { mtu: 1320 } }]) {
      const net = world(stateful(), links);
      expect(await transfer(net, ['six', 'four'], FOUR, data)).to.equal(digest);
      end(net);
    }
  });

  it('says nothing to strangers', async () => {
    const net = world(stateful());
    expect(await pinged(net, 'four', POOL)).to.not.include({ kind: 'reply' });
    end(net);
  });
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

  it('tells a host of IPv4 what the links of IPv6 carry', async () => {
    const net = world(stateless(), { left: { mtu: 1280 } });
    expect(await transfer(net, ['four', 'six'], '192.0.2.7', data)).to.equal(digest);
    end(net);
  });
});
