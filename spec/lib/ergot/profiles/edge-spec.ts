import { expect } from 'chai';
import { UsageError } from '../../../../lib/core/errors.js';
import * as e from '../../../../lib/ergot/index.js';
import { FakeNode, letter } from './fake-node.js';

const code = (run: () => unknown, wanted: string): void => {
  expect(run).to.throw(UsageError).with.property('code', wanted);
};

describe('nullProfile', () => {
  it('has no links, and sends nothing but to itself (66)', () => {
    const node = new FakeNode(e.nullProfile());
    code(() => node.plug('a'), 'ERR_INVALID_OPTION');
    expect(node.states()).to.deep.equal([]);
    expect(node.say('0.0:3')).to.equal('IseDestinationLocal');
    expect(node.say('0.0:0')).to.equal('IseDestinationLocal');
    expect(node.say('0.0:255')).to.equal('IseRoutingLoop');
    expect(node.say('1.2:3')).to.equal('IseNoRouteToDest');
    node.come(node.device('b'), letter('1.2:5', '1.1:3'));
    node.profile.detach(node.device('c'));
    node.profile.stop();
    expect(node.drops).to.deep.equal({ 'ergot-no-route': 1, 'device-unknown': 1 });
    expect(node.env.pool.outstanding).to.equal(0);
    expect(() => e.nullProfile().send(new e.Message(e.netAddress(1, 2, 3)), node.env.pool.alloc(1))).to.throw(
      UsageError,
    );
  });
});

describe('edgeProfile', () => {
  const edge = (options: e.EdgeOptions = {}) => {
    const node = new FakeNode(e.edgeProfile(options));
    return { node, a: node.plug('a') };
  };

  it('learns its network from the first frame to its node (67)', () => {
    const { node, a } = edge();
    expect(node.states()).to.deep.equal(['a inactive']);
    node.come(a, letter('5.1:3', '5.7:9'));
    expect(node.states()).to.deep.equal(['a inactive']);
    node.come(a, letter('5.1:3', '5.2:9'));
    expect(node.states()).to.deep.equal(['a active 5.2:0']);
    expect(node.taken()).to.deep.equal(['reach 0 port 9 from 5.1:3 seq 7 body 2a']);
    expect(node.changes).to.equal(2);
    node.come(a, letter('8.2:3', '5.2:9'));
    expect(node.changes).to.equal(2);
    expect(node.drops).to.deep.equal({ 'ergot-not-for-us': 1 });
  });

  it('follows the other end into another network', () => {
    const { node, a } = edge();
    node.come(a, letter('5.1:3', '5.2:9'));
    node.come(a, letter('5.1:3', '65535.2:9'));
    expect(node.states()).to.deep.equal(['a active 5.2:0']);
    node.come(a, letter('6.1:3', '6.2:9'));
    expect(node.states()).to.deep.equal(['a active 6.2:0']);
  });

  it('is heard on its link alone as long as it knows no network', () => {
    const { node, a } = edge();
    expect(node.say('0.1:0')).to.equal('sent');
    expect(node.say('0.1:255', { kind: 3 })).to.equal('sent');
    expect(node.say('5.1:3')).to.equal('IseNoRouteToDest');
    expect(node.out()).to.deep.equal([
      'a: 0.2:9 > 0.1:0 kind 1 seq 0 ttl 15 body 2a',
      'a: 0.2:9 > 0.1:255 kind 3 seq 0 ttl 15 body 2a',
    ]);
    node.come(a, letter('0.1:3', '0.2:9'));
    expect(node.taken()).to.deep.equal(['reach 0 port 9 from 0.1:3 seq 7 body 2a']);
    expect(node.states()).to.deep.equal(['a inactive']);
    expect(node.env.pool.outstanding).to.equal(0);
  });

  it('sends whatever is not for itself to the other end, once it knows its network', () => {
    const { node, a } = edge();
    node.come(a, letter('5.1:3', '5.2:9'));
    for (const to of ['5.1:3', '9.7:1', '0.1:0', '0.0:255']) expect(node.say(to)).to.equal('sent');
    expect(node.out()).to.deep.equal([
      'a: 5.2:9 > 5.1:3 kind 1 seq 0 ttl 15 body 2a',
      'a: 5.2:9 > 9.7:1 kind 1 seq 0 ttl 15 body 2a',
      'a: 0.2:9 > 0.1:0 kind 1 seq 0 ttl 15 body 2a',
      'a: 5.2:9 > 5.1:255 kind 1 seq 0 ttl 15 body 2a',
    ]);
    for (const own of ['5.2:3', '0.2:3', '0.0:3']) expect(node.say(own), own).to.equal('IseDestinationLocal');
  });

  it('hears what is for all, whichever node it names', () => {
    const { node, a } = edge();
    node.come(a, letter('5.1:3', '5.1:255', { kind: 3 }));
    expect(node.states()).to.deep.equal(['a inactive']);
    node.come(a, letter('5.1:3', '5.2:255', { kind: 3 }));
    expect(node.states()).to.deep.equal(['a active 5.2:0']);
    expect(node.taken().length).to.equal(2);
  });

  it('puts its network in what is heard on its link alone', () => {
    const { node, a } = edge();
    node.come(a, letter('0.1:3', '5.2:9'));
    expect(node.taken()).to.deep.equal(['reach 0 port 9 from 5.1:3 seq 7 body 2a']);
  });

  it('drops what comes from nobody, or from itself', () => {
    const { node, a } = edge();
    node.come(a, letter('5.1:3', '5.2:9'));
    for (const from of ['0.0:5', '0.2:5', '5.2:5', '5.0:5', '65535.1:5', '0.255:5'])
      node.come(a, letter(from, '5.2:3'));
    expect(node.drops).to.deep.equal({ 'ergot-bad-source': 6 });
    expect(node.taken().length).to.equal(1);
  });

  it('tells who asks for what there is not', () => {
    const { node, a } = edge();
    node.answer = e.ProtocolError.NsseNoRoute;
    node.come(a, letter('8.2:3', '5.2:9'));
    expect(node.out()).to.deep.equal(['a: 5.2:9 > 8.2:3 kind 255 seq 7 ttl 15 body 0d']);
    expect(node.drops).to.deep.equal({ 'ergot-no-socket': 1 });
  });

  it('says how large a frame may be', () => {
    const node = new FakeNode(e.edgeProfile());
    const a = node.plug('a', 64);
    node.come(a, letter('5.1:3', '5.2:9'));
    expect(node.say('5.1:3', { body: '00'.repeat(36) })).to.equal('sent');
    expect(node.say('5.1:3', { body: '00'.repeat(37) })).to.equal('IsePacketTooBig 64');
    expect(node.drops).to.deep.equal({ 'ergot-too-large': 1 });
    expect(node.env.pool.outstanding).to.equal(0);
  });

  it('has one link at a time, and forgets with it what it learnt', () => {
    const { node, a } = edge();
    code(() => node.plug('b'), 'ERR_INVALID_OPTION');
    node.come(a, letter('5.1:3', '5.2:9'));
    node.profile.detach(node.device('other'));
    node.profile.detach(a);
    expect(node.states()).to.deep.equal([]);
    expect(node.say('5.1:3')).to.equal('IseNoRouteToDest');
    expect(node.say('0.0:255')).to.equal('IseRoutingLoop');
    node.come(a, letter('5.1:3', '5.2:9'));
    expect(node.drops).to.deep.equal({ 'ergot-no-route': 1, 'device-unknown': 1 });
    node.plug('b');
    expect(node.states()).to.deep.equal(['b inactive']);
  });

  it('may be in charge of a network of two', () => {
    const { node, a } = edge({ network: 7 });
    expect(node.states()).to.deep.equal(['a active 7.1:0']);
    node.come(a, letter('0.2:3', '9.1:9'));
    expect(node.states()).to.deep.equal(['a active 7.1:0']);
    expect(node.taken()).to.deep.equal(['reach 0 port 9 from 7.2:3 seq 7 body 2a']);
    expect(node.say('0.0:255', { kind: 3 })).to.equal('sent');
    expect(node.out()).to.deep.equal(['a: 7.1:9 > 7.2:255 kind 3 seq 0 ttl 15 body 2a']);
    for (const network of [0, 65_535, 1.5]) code(() => e.edgeProfile({ network }), 'ERR_INVALID_OPTION');
  });

  describe('with liveness', () => {
    const timed = (lost: 'inactive' | 'down') => {
      const { node, a } = edge({ liveness: { timeout: 5000, lost } });
      node.come(a, letter('5.1:3', '5.2:9'));
      node.taken();
      return { node, a };
    };

    it('waits for nothing before it has heard anything', () => {
      const { node } = edge({ liveness: { timeout: 5000, lost: 'down' } });
      node.scheduler.runUntil(60_000);
      expect(node.states()).to.deep.equal(['a inactive']);
    });

    it('is inactive after so long a silence, and is back with the same network at once', () => {
      const { node, a } = timed('inactive');
      node.scheduler.runUntil(3000);
      node.come(a, letter('5.1:3', '5.2:9'));
      node.scheduler.runUntil(7999);
      expect(node.states()).to.deep.equal(['a active 5.2:0']);
      node.scheduler.runUntil(8000);
      expect(node.states()).to.deep.equal(['a inactive']);
      expect(node.changes).to.equal(3);
      expect(node.say('5.1:3')).to.equal('IseNoRouteToDest');
      expect(node.say('0.1:0')).to.equal('sent');
      node.come(a, letter('5.1:3', '5.7:9'));
      expect(node.states()).to.deep.equal(['a active 5.2:0']);
      expect(node.changes).to.equal(4);
    });

    it('takes another network from the first frame after a silence', () => {
      const { node, a } = timed('inactive');
      node.scheduler.runUntil(20_000);
      node.come(a, letter('6.1:3', '6.2:9'));
      expect(node.states()).to.deep.equal(['a active 6.2:0']);
    });

    it('is down for good where that is wanted', () => {
      const { node, a } = timed('down');
      node.scheduler.runUntil(20_000);
      expect(node.states()).to.deep.equal(['a down']);
      node.come(a, letter('5.1:3', '5.2:9'));
      expect(node.states()).to.deep.equal(['a down']);
      expect(node.say('0.1:3')).to.equal('IseNoRouteToDest');
      expect(node.drops).to.deep.equal({ 'device-down': 1, 'ergot-no-route': 1 });
    });

    it('leaves no timer when it ends', () => {
      const { node, a } = timed('inactive');
      node.profile.stop();
      expect(node.scheduler.pending).to.equal(0);
      node.profile.detach(a);
    });
  });
});
