import { expect } from 'chai';
import { text } from 'node:stream/consumers';
import { DropReason } from '../../../lib/core/drops.js';
import type { Impairments } from '../../../lib/l2/impairment.js';
import { nodeNet } from '../../../lib/socket/net.js';
import { type Conntrack, conntrack, type FlowEvent } from '../../../operators/filter/conntrack.js';
import { bridge } from '../../../operators/l2/bridge.js';
import { network } from '../../../operators/testing/network.js';
import { forBothVersions } from '../../both-versions.js';

const ROUGH: Impairments = { delay: 10, jitter: 8, loss: 0.03, duplicate: 0.02, reorder: 0.05 };
const WIDE: Impairments = { delay: 60, rate: 50_000_000, loss: 0.002, reorder: 0.01 };

forBothVersions('conntrack between two hosts', (facts) => {
  /** Sends so much to and fro through a tracking bridge; returns what that saw. */
  async function exchange(seed: number, impair: Impairments, bytes: number) {
    const seen: { tracking?: Conntrack; invalid?: () => number } = {};
    const events: FlowEvent[] = [];
    const net = network({
      seed,
      hosts: { a: facts.cidr(facts.a), b: facts.cidr(facts.b) },
      links: { left: { between: ['a', 'box'], impair }, right: { between: ['b', 'box'], impair } },
      nodes: {
        box: (devices, env) => (source) => {
          const tracking = conntrack({ invalid: 'drop', checksums: 'all', midStream: 'invalid' }, env);
          seen.tracking = tracking;
          seen.invalid = () => env.drops.count(DropReason.ConntrackInvalid);
          tracking.events$.subscribe((event) => events.push(event));
          return source.pipe(tracking, tracking.confirm, bridge(Object.values(devices), {}, env));
        },
      },
    });
    const { a, b } = net.hosts;
    nodeNet(b.tcp, { timers: b.env.timers })
      .createServer((socket) => socket.pipe(socket))
      .listen(7);
    const socket = nodeNet(a.tcp, { timers: a.env.timers }).connect(7, facts.b.toString());
    const sent = 'x'.repeat(bytes);
    socket.end(sent);
    const received = await net.runUntilSettled(text(socket));
    expect(received === sent).to.equal(true);
    net.run();
    net.assertIdle();
    net.dispose();
    return { events, invalid: seen.invalid?.() ?? 0, size: seen.tracking?.table.size };
  }

  it('calls nothing invalid that two hosts say to each other over a rough path', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { events, invalid, size } = await exchange(seed, ROUGH, 100_000);
      expect([seed, invalid, size]).to.deep.equal([seed, 0, 0]);
      const flows = events.filter(({ flow }) => flow.phase !== undefined);
      expect(flows.map(({ type }) => type)).to.deep.equal(['new', 'established', 'destroyed']);
      // An old segment that comes to an end that has forgotten the connection is answered with a reset.
      expect(flows[2]?.flow.phase).to.be.oneOf(['time-wait', 'reset']);
    }
  });

  it('keeps up with large windows and many selective acknowledgments', async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const { invalid } = await exchange(seed, WIDE, 3_000_000);
      expect([seed, invalid]).to.deep.equal([seed, 0]);
    }
  });
});
