import { expect } from 'chai';
import { UsageError } from '../../../../lib/core/errors.js';
import * as e from '../../../../lib/ergot/index.js';
import { FakeNode, letter } from './fake-node.js';

const code = (run: () => unknown, wanted: string): void => {
  expect(run).to.throw(UsageError).with.property('code', wanted);
};

describe('routerProfile', () => {
  it('gives each link the lowest network that is free, and is node 1 there (67)', () => {
    const node = new FakeNode(e.routerProfile());
    const [a, , c] = [node.plug(), node.plug(), node.plug()];
    expect(node.states()).to.deep.equal(['link0 active 1.1:0', 'link1 active 2.1:0', 'link2 active 3.1:0']);
    node.profile.detach(a);
    node.profile.detach(c);
    node.plug('again');
    expect(node.states()).to.deep.equal(['link1 active 2.1:0', 'again active 1.1:0']);
    expect(node.changes).to.equal(6);
  });

  it('takes so many links, each once, and no others', () => {
    const node = new FakeNode(e.routerProfile({ links: 2 }));
    const first = node.plug();
    code(() => node.profile.attach(first), 'ERR_INVALID_OPTION');
    node.plug();
    code(() => node.plug(), 'ERR_INVALID_OPTION');
    code(() => node.plug('small', 28), 'ERR_INVALID_OPTION');
    for (const links of [0, 256, 1.5]) code(() => e.routerProfile({ links }), 'ERR_INVALID_OPTION');
    for (const seedRoutes of [-1, 65_535]) code(() => e.routerProfile({ seedRoutes }), 'ERR_INVALID_OPTION');
    for (const claims of [-1, 65_535]) code(() => e.routerProfile({ claims }), 'ERR_INVALID_OPTION');
    code(() => e.routerProfile({ liveness: { timeout: 0 } }), 'ERR_INVALID_OPTION');
    code(() => e.routerProfile().attach(first), 'ERR_INVALID_STATE');
  });

  describe('with two links', () => {
    const two = () => {
      const node = new FakeNode(e.routerProfile());
      return { node, a: node.plug('a'), b: node.plug('b') };
    };

    it('passes frames from one network to another, a hop further', () => {
      const { node, a } = two();
      node.come(a, letter('1.2:5', '2.2:3'));
      expect(node.out()).to.deep.equal(['b: 1.2:5 > 2.2:3 kind 1 seq 7 ttl 14 body 2a']);
      expect(node.env.pool.outstanding).to.equal(0);
    });

    it('fills in the network of a frame that is heard on its link alone', () => {
      const { node, b } = two();
      node.come(b, letter('0.2:5', '1.2:3'));
      expect(node.out()).to.deep.equal(['a: 2.2:5 > 1.2:3 kind 1 seq 7 ttl 14 body 2a']);
      node.come(b, letter('0.2:1', '0.1:0'));
      expect(node.taken()).to.deep.equal(['reach 1 port 0 from 2.2:1 seq 7 body 2a']);
    });

    it('gives own sockets what is for node 1 of any of its networks', () => {
      const { node, a } = two();
      for (const to of ['1.1:3', '2.1:4', '0.1:5', '0.0:6', '2.0:7']) node.come(a, letter('1.2:5', to, { ttl: 0 }));
      expect(node.taken().map((text) => text.slice(8, 14))).to.deep.equal(
        [3, 4, 5, 6, 7].map((port) => `port ${port}`),
      );
      expect(node.out()).to.deep.equal([]);
    });

    it('drops what says that it comes from nobody, from itself, or from what there is not', () => {
      const { node, a } = two();
      for (const from of ['0.0:5', '0.1:5', '0.255:5', '1.1:5', '2.1:5', '3.0:5', '3.255:5', '65535.2:5']) {
        node.come(a, letter(from, '2.2:3'));
      }
      expect(node.drops).to.deep.equal({ 'ergot-bad-source': 8 });
      expect(node.out()).to.deep.equal([]);
    });

    it('never sends back where it came from, and says nothing about it', () => {
      const { node, a } = two();
      node.come(a, letter('1.2:5', '1.7:3'));
      expect(node.out()).to.deep.equal([]);
      expect(node.drops).to.deep.equal({ 'ergot-routing-loop': 1 });
    });

    it('tells who sent what has no route', () => {
      const { node, a } = two();
      node.come(a, letter('0.2:5', '9.2:3', { seq: 300 }));
      expect(node.out()).to.deep.equal(['a: 9.2:3 > 1.2:5 kind 255 seq 300 ttl 15 body 06']);
      expect(node.drops).to.deep.equal({ 'ergot-no-route': 1 });
    });

    it('ends a frame that has no hop left, and tells', () => {
      const { node, a } = two();
      node.come(a, letter('1.2:5', '2.2:3', { ttl: 1 }));
      node.come(a, letter('1.2:5', '2.2:3', { ttl: 0 }));
      expect(node.out()).to.deep.equal([
        'b: 1.2:5 > 2.2:3 kind 1 seq 7 ttl 0 body 2a',
        'a: 2.2:3 > 1.2:5 kind 255 seq 7 ttl 15 body 0a',
      ]);
      expect(node.drops).to.deep.equal({ 'ergot-ttl-expired': 1 });
    });

    it('never answers an error, what went to all, or what comes from no port', () => {
      const { node, a } = two();
      node.come(a, letter('1.2:5', '9.2:3', { kind: 255, body: '0d' }));
      node.come(a, letter('1.2:0', '9.2:3'));
      node.come(a, letter('1.2:255', '9.2:3'));
      node.answer = e.ProtocolError.NsseNoRoute;
      node.come(a, letter('1.2:5', '1.1:3', { kind: 255, body: '0d' }));
      node.come(a, letter('1.2:5', '1.1:3', { kind: 2 }));
      expect(node.out()).to.deep.equal([]);
      expect(node.drops).to.deep.equal({ 'ergot-no-route': 3, 'ergot-no-socket': 2 });
    });

    it('tells what own sockets say', () => {
      const { node, a } = two();
      node.answer = e.ProtocolError.SseNoSpace;
      node.come(a, letter('1.2:5', '2.1:3'));
      node.answer = e.ProtocolError.NsseWrongPortKind;
      node.come(a, letter('0.2:5', '0.1:3', { kind: 3 }));
      expect(node.out()).to.deep.equal([
        'a: 2.1:3 > 1.2:5 kind 255 seq 7 ttl 15 body 01',
        'a: 1.1:3 > 1.2:5 kind 255 seq 7 ttl 15 body 0f',
      ]);
      expect(node.drops).to.deep.equal({ 'ergot-queue-full': 1, 'ergot-no-socket': 1 });
    });
  });

  it('tells who sent what is too big for the next link, counting the largest header (68)', () => {
    const node = new FakeNode(e.routerProfile());
    const a = node.plug('a');
    node.plug('b', 1200);
    const fits = letter('1.2:5', '2.2:3', { body: '00'.repeat(1172) });
    const tooBig = letter('1.2:5', '2.2:3', { body: '00'.repeat(1173) });
    node.come(a, fits);
    expect(node.out().map((text) => text.slice(0, 10))).to.deep.equal(['b: 1.2:5 >']);
    node.come(a, tooBig);
    expect(node.out()).to.deep.equal(['a: 2.2:3 > 1.2:5 kind 255 seq 7 ttl 15 body 0cb009']);
    expect(node.drops).to.deep.equal({ 'ergot-too-large': 1 });
    expect(node.say('2.2:3', { body: '00'.repeat(1173) })).to.equal('IsePacketTooBig 1200');
    expect(node.say('2.2:255', { body: '00'.repeat(1173) })).to.equal('sent');
    expect(node.out().map((text) => text.slice(0, 2))).to.deep.equal(['a:']);
  });

  it('says in the bytes of ergot 0.12 what is too big', () => {
    const node = new FakeNode(e.routerProfile());
    const a = node.plug('a');
    node.plug('b', 1200);
    const bytes: string[] = [];
    node.transmit = (_link, frame) => {
      bytes.push(Buffer.from(frame.bytes()).toString('hex'));
      frame.release();
    };
    // From 1.2:1 to 2.2:3, whose link has 1200 bytes; the error comes from there.
    node.come(a, letter('1.2:1', '2.2:3', { seq: 0, body: '00'.repeat(1173) }));
    expect(bytes).to.deep.equal(['83840881840400ff0f0cb009']);
  });

  it('sends to all by every link but the one that it came by, and gives it to own sockets', () => {
    const node = new FakeNode(e.routerProfile());
    const [a] = [node.plug('a'), node.plug('b'), node.plug('c')];
    node.come(a, letter('0.2:5', '0.1:255', { kind: 3 }));
    expect(node.out()).to.deep.equal([
      'b: 1.2:5 > 2.2:255 kind 3 seq 7 ttl 14 body 2a',
      'c: 1.2:5 > 3.2:255 kind 3 seq 7 ttl 14 body 2a',
    ]);
    expect(node.taken()).to.deep.equal(['reach 2 port 255 from 1.2:5 seq 7 body 2a']);
    node.come(a, letter('0.2:5', '0.1:255', { kind: 3, ttl: 0 }));
    expect(node.out()).to.deep.equal([]);
    expect(node.taken().length).to.equal(1);
    expect(node.say('0.0:255', { kind: 3, seq: 4 })).to.equal('sent');
    expect(node.out()).to.deep.equal([
      'a: 1.1:9 > 1.2:255 kind 3 seq 4 ttl 15 body 2a',
      'b: 2.1:9 > 2.2:255 kind 3 seq 4 ttl 15 body 2a',
      'c: 3.1:9 > 3.2:255 kind 3 seq 4 ttl 15 body 2a',
    ]);
    expect(node.env.pool.outstanding).to.equal(0);
  });

  it('sends what own sockets say with 15 hops left, and knows what is for them', () => {
    const node = new FakeNode(e.routerProfile());
    expect(node.say('0.0:255')).to.equal('IseRoutingLoop');
    node.plug('a');
    expect(node.say('1.2:3')).to.equal('sent');
    expect(node.out()).to.deep.equal(['a: 1.1:9 > 1.2:3 kind 1 seq 0 ttl 15 body 2a']);
    for (const own of ['1.1:3', '1.0:3', '0.1:3', '0.0:3']) expect(node.say(own), own).to.equal('IseDestinationLocal');
    expect(node.say('2.2:3')).to.equal('IseNoRouteToDest');
    expect(node.env.pool.outstanding).to.equal(0);
  });

  it('allocates nothing for a frame that it passes on', () => {
    const node = new FakeNode(e.routerProfile({ claims: 4, liveness: { timeout: 60_000 } }));
    const a = node.plug('a');
    node.plug('b');
    let passed = 0;
    node.transmit = (_link, frame) => {
      passed++;
      frame.release();
    };
    const inPlace = letter('1.2:5', '2.2:3');
    const rewritten = letter('0.2:5', '2.2:3');
    const pass = (times: number): number => {
      const before = process.memoryUsage().heapUsed;
      for (let i = 0; i < times; i++) node.come(a, (i & 1) === 0 ? inPlace : rewritten);
      return process.memoryUsage().heapUsed - before;
    };
    pass(20_000);
    // An object each would be 1.6 MB at least; a collection of others' garbage between makes it less, and so it is tried again.
    const least = Math.min(...Array.from({ length: 5 }, () => Math.abs(pass(100_000))));
    expect(least).to.be.lessThan(800_000);
    expect(passed).to.equal(520_000);
  });
});
