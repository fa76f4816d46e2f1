import { expect } from 'chai';
import { asTx } from '../../../../lib/core/frame.js';
import * as e from '../../../../lib/ergot/index.js';
import { letter } from './fake-node.js';
import { World } from './world.js';

describe('a bridge whose links come, go and fall silent (67)', () => {
  it('keeps its networks over a link that counts as lost, since nothing is said there', () => {
    const world = new World();
    const root = world.root();
    const bridge = world.bridge({ liveness: ({ name }) => (name === '0b' ? { timeout: 5000 } : undefined) });
    world.join(root, bridge);
    world.join(bridge, world.edge());
    world.seconds(10);
    expect(world.states(bridge)).to.deep.equal(['0b inactive', '1a active 2.1:0']);
    for (let at = 20; at <= 300; at += 10) {
      world.until(at);
      expect(world.states(bridge)[1], `after ${at} s`).to.equal('1a active 2.1:0');
    }
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('does not take a silent link for one that is there, whatever becomes of its network', () => {
    const world = new World();
    const root = world.root();
    const bridge = world.bridge({ liveness: ({ name }) => (name === '1a' ? { timeout: 5000 } : undefined) });
    const edge = world.edge();
    const trunk = world.join(root, bridge);
    world.join(bridge, edge);
    world.until(14);
    trunk.partition();
    world.until(31);
    expect(world.states(bridge)[1]).to.equal('1a inactive');
    trunk.heal();
    world.until(60);
    expect(world.states(bridge)[1]).to.equal('1a inactive');
    expect(world.ping(edge, '0.1:0')).to.equal(42);
    expect(world.states(bridge)[1]).to.equal('1a active 3.1:0');
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('does not pass on what comes from a link that has no network yet, as if it were of another', () => {
    const world = new World();
    const bridge = world.bridge({ upstream: ({ name }) => name !== '1a' });
    const far = world.edge();
    const trunk = world.join(world.root(), bridge);
    world.join(bridge, far);
    world.seconds(0);
    expect(world.ping(far, '0.1:0')).to.equal(42);
    trunk.unplug();
    const [up, stranger] = world.cable(2);
    if (stranger === undefined) throw new Error('too few ends');
    bridge.plug(up);
    const say = (bytes: Uint8Array): void => {
      const frame = world.env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      stranger.sink.next(asTx(frame));
      world.seconds(0);
    };
    const delivered = world.env.drops.delivered;
    say(letter('0.1:5', '2.2:0'));
    say(letter('0.1:5', '0.2:255'));
    expect(world.env.drops.toJSON()).to.deep.equal({ 'ergot-no-network': 2 });
    say(letter('0.1:5', '0.2:0'));
    expect(world.env.drops.delivered).to.equal(delivered + 1);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('asks for nothing any more when it ends as soon as a network is lost', () => {
    const world = new World();
    const bridge = world.bridge();
    const trunk = world.join(world.root(), bridge);
    world.join(bridge, world.edge());
    world.seconds(0);
    bridge.links$.subscribe((links) => {
      if (links.some(({ state }) => state === e.LinkState.ActiveLocal)) bridge.dispose();
    });
    trunk.partition();
    world.until(200);
    expect(world.states(bridge)).to.deep.equal([]);
    expect(world.scheduler.pending).to.equal(0);
  });
});
