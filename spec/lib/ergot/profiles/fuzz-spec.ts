import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Device } from '../../../../lib/core/device.js';
import * as e from '../../../../lib/ergot/index.js';
import { FakeNode, letter } from './fake-node.js';

/** Every profile, with links that are in use. */
function nodes(): readonly (readonly [string, FakeNode, readonly Device[]])[] {
  const none = new FakeNode(e.nullProfile());
  const edge = new FakeNode(e.edgeProfile({ liveness: { timeout: 1000 } }));
  const claiming = new FakeNode(e.edgeProfile({ claim: { node: 7 } }));
  const central = new FakeNode(e.edgeProfile({ network: 1 }));
  const root = new FakeNode(e.routerProfile({ claims: 4 }));
  const bridge = new FakeNode(e.bridgeProfile({ upstream: 'up' }));
  const up = bridge.plug('up', 300);
  bridge.come(up, letter('2.1:5', '2.2:3'));
  return [
    ['null', none, [none.device('x')]],
    ['edge', edge, [edge.plug('a')]],
    ['edge that claims', claiming, [claiming.plug('a')]],
    ['edge in charge', central, [central.plug('a')]],
    ['root', root, [root.plug('a'), root.plug('b', 64), root.plug('c'), root.device('x')]],
    ['bridge', bridge, [up, bridge.plug('b'), bridge.plug('c')]],
  ];
}

const network = fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 65_534, 65_535), fc.nat(65_535));
const number = fc.oneof(fc.constantFrom(0, 1, 2, 7, 254, 255), fc.nat(255));
const place = fc.tuple(network, number, number).map(([net, node, port]) => `${net}.${node}:${port}`);
const plausible = fc
  .record({
    from: place,
    to: place,
    kind: fc.constantFrom(0, 1, 2, 3, 9, 255),
    seq: fc.nat(65_535),
    ttl: fc.constantFrom(0, 1, 2, 15, 255),
    name: fc.constantFrom(0, 5, -1),
    body: fc.uint8Array({ maxLength: 90 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  })
  .map(({ from, to, ...rest }) => letter(from, to, rest));
const mutated = fc
  .tuple(plausible, fc.array(fc.tuple(fc.nat(30), fc.nat(255)), { maxLength: 3 }), fc.nat(40))
  .map(([bytes, changes, cut]) => {
    const out = bytes.slice();
    for (const [at, value] of changes) if (at < out.length) out[at] = value;
    return cut < 10 ? out.slice(0, Math.max(0, out.length - cut)) : out;
  });
const frames = fc.oneof(plausible, mutated, fc.uint8Array({ maxLength: 80 }));
const answers = fc.constantFrom(undefined, undefined, ...Object.values(e.ProtocolError));

describe('any bytes at all', () => {
  for (const [i, [name]] of nodes().entries()) {
    it(`end well in the profile of ${name}`, () => {
      fc.assert(
        fc.property(fc.array(fc.tuple(frames, fc.nat(3), answers), { maxLength: 12 }), (events) => {
          const [, node, links] = nodes()[i] ?? [];
          if (node === undefined || links === undefined) throw new Error('no such profile');
          for (const [bytes, at, answer] of events) {
            const by = links[at % links.length];
            if (by === undefined) continue;
            node.answer = answer;
            node.out();
            const before = node.env.drops.total + node.env.drops.delivered;
            const fate = node.come(by, bytes);
            const ends = node.env.drops.total + node.env.drops.delivered - before;
            // A frame has one fate at most; one that has none went on.
            expect(ends).to.equal(fate === 0 ? 0 : 1);
            if (fate === 0) expect(node.out().length).to.be.greaterThan(0);
            expect(node.env.pool.outstanding).to.equal(0);
          }
          node.profile.stop();
        }),
        { numRuns: 300 },
      );
    });
  }

  it('never leave a router by the link that they came by, unless they are its own words', () => {
    fc.assert(
      fc.property(frames, fc.nat(2), (bytes, at) => {
        const [, node, links] = nodes()[4] ?? [];
        const by = links?.[at];
        if (node === undefined || by === undefined) throw new Error('no root');
        node.come(by, bytes);
        for (const line of node.out()) {
          const back = line.startsWith(`${by.name}:`);
          if (back) expect(line).to.match(/kind 255 seq \d+ ttl 15/);
        }
      }),
    );
  });
});

describe('a router that watches its links (68)', () => {
  const watched = (lost: 'inactive' | 'down') => {
    const node = new FakeNode(
      e.routerProfile({ liveness: ({ name }) => (name === 'a' ? { timeout: 5000, lost } : undefined) }),
    );
    const [a, b] = [node.plug('a'), node.plug('b')];
    return { node, a, b };
  };

  it('sends nothing where nothing was heard for too long, until a frame comes', () => {
    const { node, a, b } = watched('inactive');
    node.scheduler.runUntil(4000);
    node.come(a, letter('0.2:5', '2.2:3'));
    node.scheduler.runUntil(8999);
    expect(node.states()).to.deep.equal(['a active 1.1:0', 'b active 2.1:0']);
    node.scheduler.runUntil(9000);
    expect(node.states()).to.deep.equal(['a inactive', 'b active 2.1:0']);
    expect(node.changes).to.equal(3);
    node.out();
    expect(node.say('1.2:3')).to.equal('IseNoRouteToDest');
    node.come(b, letter('0.2:5', '1.2:3'));
    node.come(b, letter('0.2:5', '2.1:255'));
    expect(node.out()).to.deep.equal(['b: 1.2:3 > 2.2:5 kind 255 seq 7 ttl 15 body 06']);
    node.come(a, letter('0.2:5', '0.1:3'));
    expect(node.states()[0]).to.equal('a active 1.1:0');
    expect(node.changes).to.equal(4);
    expect(node.say('1.2:3')).to.equal('sent');
    node.profile.stop();
    expect(node.scheduler.pending).to.equal(0);
  });

  it('gives the network of a link that is down for good to another', () => {
    const { node, a } = watched('down');
    node.scheduler.runUntil(5000);
    expect(node.states()).to.deep.equal(['a down', 'b active 2.1:0']);
    node.come(a, letter('0.2:5', '0.1:3'));
    expect(node.drops).to.deep.equal({ 'device-down': 1 });
    node.plug('c');
    expect(node.states()).to.deep.equal(['a down', 'b active 2.1:0', 'c active 1.1:0']);
    node.profile.detach(a);
    expect(node.states()).to.deep.equal(['b active 2.1:0', 'c active 1.1:0']);
    node.plug('d');
    expect(node.states()[2]).to.equal('d active 3.1:0');
  });
});
