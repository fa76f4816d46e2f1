/**
 * A router whose inner network is seen as another one of the same size.
 *
 *     a (10.1.0.2, fd01:203:405:1::2) --left-- r --right-- b (192.0.2.2, 2001:db8:9::2)
 *     as 198.18.0.2, 2001:db8:1:d550::2
 */

import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { nodeNet } from '../../../lib/socket/net.js';
import { prefixNat } from '../../../operators/l3/prefix-nat.js';
import { traceRoute } from '../../../operators/l7/trace-route.js';
import type { Host } from '../../../operators/stack/host.js';
import { forBothVersions } from '../../both-versions.js';
import { pinged, routed, type RoutedNetwork } from './router-networks.js';

const PLACES = {
  4: { seen: '198.18.0.2', b: '192.0.2.2', outside: '192.0.2.1' },
  6: { seen: '2001:db8:1:d550::2', b: '2001:db8:9::2', outside: '2001:db8:9::1' },
} as const;

function world(): RoutedNetwork<'a' | 'b'> {
  const border = prefixNat([
    { internal: '10.1.0.0/16', external: '198.18.0.0/16' },
    { internal: 'fd01:203:405::/48', external: '2001:db8:1::/48' },
  ]);
  const { prerouting, postrouting } = border;
  const on = {
    left: { addresses: ['10.1.0.1/24', 'fd01:203:405:1::1/64'] },
    right: { addresses: ['192.0.2.1/24', '2001:db8:9::1/64'] },
  };
  return routed(
    {
      a: { addresses: ['10.1.0.2/24', 'fd01:203:405:1::2/64'], gateway: ['10.1.0.1', 'fd01:203:405:1::1'] },
      b: { addresses: ['192.0.2.2/24', '2001:db8:9::2/64'], gateway: ['192.0.2.1', '2001:db8:9::1'] },
    },
    { r: { on, hooks: { prerouting, postrouting } } },
    { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
  );
}

forBothVersions('a router with prefix translation', ({ version }) => {
  const { seen, b, outside } = PLACES[version];
  const data = Buffer.alloc(1 << 18, 'as another network ');
  const digest = createHash('sha256').update(data).digest('hex');

  /** Sends data from one host to the other; returns the hash of what came, and from where. */
  async function transfer({ net }: RoutedNetwork<'a' | 'b'>, from: Host, to: Host, address: string): Promise<string> {
    const hash = createHash('sha256');
    const done = new Promise<string>((resolve) => {
      const server = nodeNet(to.tcp).createServer((socket) => {
        const { remoteAddress } = socket;
        socket.on('data', (chunk: Buffer) => hash.update(chunk));
        socket.on('end', () => {
          socket.end();
          server.close();
          resolve(`${hash.digest('hex')} ${remoteAddress?.replace('::ffff:', '')}`);
        });
      });
      server.listen(80);
    });
    nodeNet(from.tcp).connect(80, address).end(data);
    return net.runUntilSettled(done);
  }

  it('takes TCP in both directions, to the byte', async () => {
    const made = world();
    const { a, b: far } = made.net.hosts;
    expect(await transfer(made, a, far, b)).to.equal(`${digest} ${seen}`);
    expect(await transfer(made, far, a, seen)).to.equal(`${digest} ${b}`);
    made.net.run();
    made.net.assertIdle();
    made.net.dispose();
  });

  it('takes pings, and is seen on the way from either side', async () => {
    const { net } = world();
    expect((await pinged(net, net.hosts.a, b))[0]).to.include({ kind: 'reply', hopLimit: 63 });
    expect((await pinged(net, net.hosts.b, seen))[0]).to.include({ kind: 'reply', hopLimit: 63 });
    const probes = await net.runUntilSettled(
      lastValueFrom(traceRoute(net.hosts.b, seen, { maxHops: 4, queries: 1 }, net.hosts.b.env).pipe(toArray())),
    );
    expect(probes.map(({ hop, from }) => `${hop} ${from?.toString()}`)).to.deep.equal([`1 ${outside}`, `2 ${seen}`]);
    net.dispose();
  });
});
