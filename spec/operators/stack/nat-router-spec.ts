/** A router that translates the addresses of those on its left, and a neighbour on its right who does not answer. */

import { expect } from 'chai';
import type { NatRule } from '../../../lib/l4/nat/rules.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { nat } from '../../../operators/l3/nat.js';
import { prefixNat } from '../../../operators/l3/prefix-nat.js';
import type { RouterHooks } from '../../../operators/stack/router.js';
import { forBothVersions } from '../../both-versions.js';
import type { VirtualEnv } from '../../lib/l2/fake-device.js';
import { ENDS, RouterBench } from '../l3/router-bench.js';

forBothVersions('a router that translates addresses', ({ version }) => {
  const { a, right } = ENDS[version];
  const [nobody, outside] = version === 4 ? ['10.2.0.9', '198.51.100.2'] : ['fd02::9', '2001:db8:1::2'];
  const [inner, outer] = version === 4 ? ['10.1.0.0/24', '198.51.100.0/24'] : ['fd01::/48', '2001:db8:1::/48'];
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  const lost = version === 4 ? 'host' : 'address';
  let bench: RouterBench;
  afterEach(() => bench.close());

  const translated =
    (rule: NatRule) =>
    (env: VirtualEnv): RouterHooks =>
      nat([rule], { tables: () => bench?.me.tables }, env);
  const ways: Readonly<Record<string, (env: VirtualEnv) => RouterHooks>> = {
    'by its own address': translated({ kind: 'masquerade', out: 'right', version }),
    'one for one': translated({ kind: 'static', internal: a, external: outside }),
    'by their prefix': (env) => prefixNat([{ internal: inner, external: outer }], env),
  };
  for (const [name, hooks] of Object.entries(ways)) {
    it(`${name} tells the sender that nobody is there, and quotes its own packet`, () => {
      bench = new RouterBench(version, (env) => {
        const { prerouting = [], postrouting = [] } = hooks(env);
        const gateway = version === 4 ? '10.2.0.254' : 'fd02::fe';
        return { hooks: { prerouting, postrouting }, routes: [{ destination: 'default', gateway, side: 'right' }] };
      });
      bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${nobody}`);
      bench.env.scheduler.runFor(3500);
      bench.right.sent.length = 0;
      const quote = `[udp 53 > 1024 (12) from ${a} to ${nobody}]`;
      const [error] = bench.expectSent('left', `> ${icmp} unreachable ${lost} ${quote} from ${right}`);
      const quoted =
        error && (version === 4 ? new Ipv4Packet(error, error.start + 42) : new Ipv6Packet(error, error.start + 62));
      const ends = [quoted?.sourceAddress.toString(), quoted?.destinationAddress.toString()];
      expect(ends).to.deep.equal([a, nobody]);
      expect(bench.env.drops.toJSON()).to.deep.equal({ 'neighbour-unreachable': 1 });
    });
  }
});
