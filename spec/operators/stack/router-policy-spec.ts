/** Routers with what others make for their hooks: a stateful firewall, and translation of addresses. */

import { expect } from 'chai';
import { lastValueFrom, toArray } from 'rxjs';
import { conntrack } from '../../../operators/filter/conntrack.js';
import { firewall } from '../../../operators/filter/firewall.js';
import { traceRoute } from '../../../operators/l7/trace-route.js';
import { router } from '../../../operators/stack/router.js';
import { network, type NetworkNode } from '../../../operators/testing/index.js';
import { forBothVersions } from '../../both-versions.js';
import { pinged, PLACES } from './router-networks.js';

const RULES = `
  ct state established,related accept
  ct state invalid drop
  ip saddr 10.1.0.0/24 accept
  ip6 saddr fd01::/64 accept
  reject
`;

forBothVersions('a router with a stateful firewall', ({ version }) => {
  const { a, b, left } = PLACES[version];

  function make() {
    const node: NetworkNode = (devices, env) => {
      const [inside, outside] = [devices['left'], devices['right']];
      if (inside === undefined || outside === undefined) throw new Error('two links');
      const tracking = conntrack({}, env);
      const wall = firewall(RULES, {}, env);
      return router(
        {
          interfaces: [
            { device: inside, addresses: ['10.1.0.1/24', 'fd01::1/64'] },
            { device: outside, addresses: ['10.2.0.1/24', 'fd02::1/64'] },
          ],
          hooks: {
            prerouting: tracking,
            forward: wall,
            output: tracking,
            postrouting: tracking.confirm,
          },
          replies: [wall.replies$],
        },
        env,
      );
    };
    return network({
      hosts: {
        a: { addresses: ['10.1.0.2/24', 'fd01::2/64'], gateway: ['10.1.0.1', 'fd01::1'] },
        b: { addresses: ['10.2.0.2/24', 'fd02::2/64'], gateway: ['10.2.0.1', 'fd02::1'] },
      },
      nodes: { r: node },
      links: { left: { between: ['a', 'r'] }, right: { between: ['b', 'r'] } },
    });
  }

  it('lets answers in, and nothing else; who is refused is told', async () => {
    const net = make();
    const { a: inside, b: outside } = net.hosts;
    expect((await pinged(net, inside, b))[0]).to.include({ kind: 'reply' });
    expect((await pinged(net, outside, a))[0]).to.include({ kind: 'error' });
    // Large ones, in fragments.
    expect((await pinged(net, inside, b, { size: 4000 }))[0]).to.include({ kind: 'reply', length: 4008 });
    // Errors about what went out are related to it.
    const probes = await net.runUntilSettled(
      lastValueFrom(traceRoute(inside, b, { maxHops: 4, queries: 1 }, inside.env).pipe(toArray())),
    );
    expect(probes.map(({ from }) => from?.toString())).to.deep.equal([left, b]);
    net.dispose();
  });
});
