import { expect } from 'chai';
import * as e from '../../../../lib/ergot/index.js';
import { FakeNode, letter } from './fake-node.js';
import { type Node, ping, unwrap, World } from './world.js';

const TOKEN = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

/** A root with an edge, a bridge below with an edge of its own. */
function tree() {
  const world = new World();
  const root = world.root();
  const near = world.edge();
  const bridge = world.bridge();
  const far = world.edge();
  world.join(root, near);
  const trunk = world.join(root, bridge);
  const branch = world.join(bridge, far);
  world.seconds(0);
  return { world, root, near, bridge, far, trunk, branch };
}

/** Has an edge and its router know of each other. */
const greet = (world: World, ...nodes: readonly Node[]): void => {
  for (const node of nodes) expect(world.ping(node, '0.1:0')).to.equal(42);
};

describe('bridgeProfile (67)', () => {
  it('gets a network for its link from the root, and learns its own', () => {
    const { world, root, bridge, near, far } = tree();
    expect(world.states(bridge)).to.deep.equal(['1b active 2.2:0', '2a active 3.1:0']);
    greet(world, near, far);
    expect(world.states(far)).to.deep.equal(['2b active 3.2:0']);
    expect(world.ping(near, '3.2:0')).to.equal(42);
    expect(world.ping(far, '1.2:0')).to.equal(42);
    expect(world.ping(far, '1.1:0')).to.equal(42);
    expect(world.ping(root, '3.2:0')).to.equal(42);
    expect(world.ping(bridge, '1.2:0')).to.equal(42);
    expect(world.ping(bridge, '0.1:0')).to.equal(42);
    expect(world.ping(near, '2.2:0')).to.equal(42);
    expect(world.ping(near, '3.1:0')).to.equal(42);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('keeps its networks for as long as it wants', () => {
    const { world, near, far } = tree();
    greet(world, near, far);
    for (let minute = 0; minute < 60; minute++) {
      world.seconds(60);
      expect(world.ping(near, '3.2:0')).to.equal(42);
    }
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('has sockets left for itself, however often it is asked for what only the router above knows', () => {
    const { world, bridge, near, far, trunk } = tree();
    greet(world, near, far);
    const leased = unwrap(world.ask(far, e.seedRequest, '0.1:0', undefined));
    if (typeof leased === 'string') throw new Error(leased);
    const { assignment, refresh_port, release_port } = leased;
    const { net_id, refresh_token } = assignment;
    trunk.partition();
    const told: string[] = [];
    const done = (result: unknown): void => {
      if (result instanceof e.ErgotError) told.push(result.message);
    };
    const at = (port: number) => e.parseNetAddress(`0.1:${port}`);
    const ask: (() => void)[] = [
      () => far.stack.request(e.seedRequest, at(0), undefined, done),
      () => far.stack.request(e.seedRefresh, at(refresh_port), { refresh_net: net_id, refresh_token }, done),
      () => far.stack.request(e.seedRelease, at(release_port), { release_net: net_id, refresh_token }, done),
    ];
    for (const one of ask) {
      for (let i = 0; i < 250; i++) {
        one();
        world.seconds(0);
      }
      expect(() => bridge.stack.request(ping, at(1), 1, () => {})).not.to.throw();
      expect(told.filter((error) => error === 'SseNoSpace').length).to.be.above(200);
      world.seconds(2);
      told.length = 0;
    }
    trunk.heal();
    world.seconds(10);
    expect(
      world.ask(far, e.seedRefresh, `0.1:${refresh_port}`, { refresh_net: net_id, refresh_token }),
    ).to.have.property('kind', 'Ok');
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('floods what is for all up and down', () => {
    const { world, root, near, bridge, far } = tree();
    greet(world, near, far);
    const news = e.topic('news', e.u8);
    const heard: number[][] = [];
    for (const node of [root, near, bridge, far]) {
      const mine: number[] = [];
      heard.push(mine);
      node.stack.subscribe(news, ({ value }) => mine.push(value));
    }
    far.stack.publish(news, far.stack.addressing.everyone, 1);
    world.seconds(0);
    near.stack.publish(news, near.stack.addressing.everyone, 2);
    world.seconds(0);
    bridge.stack.publish(news, bridge.stack.addressing.everyone, 3);
    world.seconds(0);
    expect(heard).to.deep.equal([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('says which link leads upstream: the first, or that of a name, or that of a rule', () => {
    const named = new FakeNode(e.bridgeProfile({ upstream: 'up' }));
    named.plug('a');
    named.plug('up');
    expect(named.states()).to.deep.equal(['up inactive', 'a active-local 0.1:0']);
    const ruled = new FakeNode(e.bridgeProfile({ upstream: ({ name }) => name.startsWith('u') }));
    ruled.plug('a');
    ruled.plug('u1');
    expect(() => ruled.plug('u2'))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
    expect(ruled.states()).to.deep.equal(['u1 inactive', 'a active-local 0.1:0']);
    const first = new FakeNode(e.bridgeProfile());
    first.profile.detach(first.plug('x'));
    first.plug('y');
    first.plug('x');
    expect(first.states()).to.deep.equal(['x inactive', 'y active-local 0.1:0']);
    const refused = new FakeNode(e.bridgeProfile());
    expect(() => refused.plug('small', 28)).to.throw();
    refused.plug('a');
    expect(refused.states()).to.deep.equal(['a inactive']);
  });

  it('carries nothing by a link without a network', () => {
    const node = new FakeNode(e.bridgeProfile({ upstream: 'up' }));
    const [up, a] = [node.plug('up'), node.plug('a')];
    node.come(a, letter('0.2:5', '0.1:3'));
    node.come(a, letter('0.2:5', '0.1:255'));
    node.come(up, letter('2.1:5', '2.2:255'));
    expect(node.say('0.0:255')).to.equal('sent');
    expect(node.out()).to.deep.equal(['up: 2.2:9 > 2.1:255 kind 1 seq 0 ttl 15 body 2a']);
    expect(node.drops).to.deep.equal({ 'ergot-no-network': 2 });
    expect(node.taken().length).to.equal(1);
  });

  it('never takes for its own network one that is only passed through it', () => {
    const node = new FakeNode(e.bridgeProfile({ upstream: 'up', liveness: { timeout: 5000 } }));
    const [up] = [node.plug('up')];
    node.come(up, letter('1.2:5', '7.9:3'));
    expect(node.states()).to.deep.equal(['up inactive']);
    node.come(up, letter('2.1:5', '2.2:3'));
    node.come(up, letter('1.2:5', '7.2:3'));
    expect(node.states()).to.deep.equal(['up active 2.2:0']);
    node.scheduler.runFor(5000);
    expect(node.states()).to.deep.equal(['up inactive']);
    node.come(up, letter('1.2:5', '7.9:3'));
    expect(node.states()).to.deep.equal(['up active 2.2:0']);
    node.come(up, letter('6.1:5', '6.2:3'));
    expect(node.states()).to.deep.equal(['up active 6.2:0']);
    node.come(up, letter('5.1:5', '5.2:3'));
    expect(node.states()).to.deep.equal(['up active 6.2:0']);
  });

  it('sends upstream what it does not know, but not what came from there', () => {
    const node = new FakeNode(e.bridgeProfile({ upstream: 'up' }));
    const up = node.plug('up');
    expect(node.say('9.2:3')).to.equal('IseNoRouteToDest');
    expect(node.say('0.1:3')).to.equal('sent');
    node.come(up, letter('2.1:5', '2.2:3'));
    expect(node.say('9.2:3')).to.equal('sent');
    expect(node.out()).to.deep.equal([
      'up: 0.2:9 > 0.1:3 kind 1 seq 0 ttl 15 body 2a',
      'up: 2.2:9 > 9.2:3 kind 1 seq 0 ttl 15 body 2a',
    ]);
    expect(node.say('2.2:3')).to.equal('IseDestinationLocal');
    node.come(up, letter('1.2:5', '9.2:3'));
    expect(node.out()).to.deep.equal(['up: 9.2:3 > 1.2:5 kind 255 seq 7 ttl 15 body 0b']);
    node.profile.detach(up);
    expect(node.say('0.1:3')).to.equal('IseDestinationLocal');
    expect(node.say('9.2:3')).to.equal('IseNoRouteToDest');
  });

  it('gives its networks back when its links go, and asks again when they come', () => {
    const { world, bridge, branch, root, far } = tree();
    branch.unplug();
    world.seconds(0);
    expect(world.states(bridge)).to.deep.equal(['1b active 2.2:0']);
    const asked = world.edge();
    world.join(root, asked);
    expect(unwrap(world.ask(asked, e.seedRequest, '0.1:0', undefined))).to.have.nested.property('assignment.net_id', 4);
    world.join(bridge, far);
    world.seconds(0);
    expect(world.states(bridge)[1]).to.match(/active 5.1:0/);
  });

  it('loses its networks when the root was away for longer than they last, and gets others', () => {
    const { world, bridge, trunk, near, far } = tree();
    greet(world, near, far);
    world.until(14);
    trunk.partition();
    world.until(29.999);
    expect(world.states(bridge)[1]).to.equal('2a active 3.1:0');
    world.until(30);
    expect(world.states(bridge)[1]).to.equal('2a active-local 0.1:0');
    world.until(50);
    trunk.heal();
    world.seconds(8);
    // The old one is a tombstone still.
    expect(world.states(bridge)[1]).to.equal('2a active 4.1:0');
    greet(world, far);
    expect(world.ping(near, '4.2:0')).to.equal(42);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('keeps its networks when the root was away for a while', () => {
    const { world, bridge, trunk, near, far } = tree();
    greet(world, near, far);
    world.until(70);
    trunk.partition();
    world.until(170);
    trunk.heal();
    world.until(300);
    expect(world.states(bridge)[1]).to.equal('2a active 3.1:0');
    expect(world.ping(near, '3.2:0')).to.equal(42);
  });

  it('follows when another root gives its link another network', () => {
    const { world, root, bridge, trunk, far } = tree();
    greet(world, far);
    world.until(5);
    root.dispose();
    const heir = world.root();
    const [left, right] = [world.edge(), world.edge()];
    world.join(heir, left);
    world.join(heir, right);
    heir.plug(trunk.ends[0]);
    world.until(60);
    expect(world.states(bridge)).to.deep.equal(['1b active 3.2:0', '2a active 4.1:0']);
    greet(world, left, far);
    expect(world.ping(left, '4.2:0')).to.equal(42);
    expect(world.end()).to.deep.equal([0, 0]);
  });
});

describe('networks through several bridges (67)', () => {
  /** A root, so many bridges in a row, and an edge at the end. */
  function row(count: number) {
    const world = new World();
    const root = world.root();
    const bridges = Array.from({ length: count }, () => world.bridge());
    bridges.forEach((bridge, i) => world.join(bridges[i - 1] ?? root, bridge));
    const edge = world.edge();
    world.join(bridges.at(-1) ?? root, edge);
    return { world, root, bridges, edge };
  }

  it('are asked for at the root, and there for each link', () => {
    const { world, root, bridges, edge } = row(3);
    world.seconds(20);
    expect(bridges.map((bridge) => world.states(bridge).map((text) => text.slice(3)))).to.deep.equal([
      ['active 1.2:0', 'active 2.1:0'],
      ['active 2.2:0', 'active 3.1:0'],
      ['active 3.2:0', 'active 4.1:0'],
    ]);
    greet(world, edge);
    expect(world.ping(root, '4.2:0')).to.equal(42);
    expect(world.ping(edge, '1.1:0')).to.equal(42);
    for (let minute = 0; minute < 30; minute++) world.seconds(60);
    expect(world.ping(root, '4.2:0')).to.equal(42);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('have 5 seconds less to be extended in for each bridge', () => {
    const { world, bridges, edge } = row(3);
    world.seconds(20);
    const least: unknown[] = [];
    for (const at of ['0.1', '2.1', '1.1']) {
      const answer = unwrap(world.ask(edge, e.seedRequest, `${at}:0`, undefined));
      least.push(typeof answer === 'string' ? answer : answer.assignment.min_refresh_seconds);
    }
    // Only who is on its link may ask a router.
    expect(least).to.deep.equal([47, 'UnknownSource', 'UnknownSource']);
    const first = world.edge();
    const [bridge] = bridges;
    if (bridge === undefined) throw new Error('no bridge');
    world.join(bridge, first);
    world.seconds(1);
    const answer = unwrap(world.ask(first, e.seedRequest, '0.1:0', undefined));
    expect(answer).to.have.nested.property('assignment.min_refresh_seconds', 57);
    expect(answer).to.have.nested.property('assignment.max_refresh_seconds', 120);
    expect(answer).to.have.nested.property('assignment.expires_seconds', 30);
  });

  it('go through twelve bridges, and no further', () => {
    const { world, bridges } = row(14);
    world.seconds(200);
    const last = bridges.map((bridge) => world.states(bridge)[1]?.split(' ')[1]);
    expect(last).to.deep.equal([...Array.from({ length: 13 }, () => 'active'), 'active-local']);
    expect(world.end()).to.deep.equal([0, 0]);
  });
});

describe('a bridge below a router that misbehaves (67)', () => {
  type Answers = {
    net?: number;
    min?: number;
    expires?: number;
    request?: e.SeedAssignmentError;
    refresh?: e.SeedRefreshError;
  };

  /** A bridge under a node that answers as it is told to, and one that asks the bridge. */
  function under(answers: Answers) {
    const world = new World();
    const above = world.edge({ network: 1 });
    const bridge = world.bridge();
    const below = world.edge();
    const asked: string[] = [];
    let net = 10;
    const terms = (): e.LeaseTerms => ({
      expires_seconds: answers.expires ?? 120,
      max_refresh_seconds: 120,
      min_refresh_seconds: answers.min ?? 62,
      refresh_token: TOKEN,
    });
    const refresh = above.stack.serve(e.seedRefresh, ({ value }, answer) => {
      asked.push(`refresh ${value.refresh_net}`);
      if (answers.refresh !== undefined) answer({ kind: 'Err', value: { kind: answers.refresh } });
      else answer({ kind: 'Ok', value: { net_id: value.refresh_net, ...terms() } });
    });
    const release = above.stack.serve(e.seedRelease, ({ value }, answer) => {
      asked.push(`release ${value.release_net}`);
      answer({ kind: 'Ok', value: undefined });
    });
    above.stack.serve(e.seedRequest, (_request, answer) => {
      asked.push('request');
      if (answers.request !== undefined) {
        answer({ kind: 'Err', value: { kind: answers.request } });
        return;
      }
      const assignment = { net_id: answers.net ?? net++, ...terms() };
      answer({ kind: 'Ok', value: { assignment, refresh_port: refresh.port, release_port: release.port } });
    });
    const trunk = world.join(above, bridge);
    world.join(bridge, below);
    world.seconds(0);
    asked.length = 0;
    let ports = { refresh: 0, release: 0 };
    const request = () => {
      const answer = unwrap(world.ask(below, e.seedRequest, '0.1:0', undefined, 5000));
      if (typeof answer !== 'string') ports = { refresh: answer.refresh_port, release: answer.release_port };
      return typeof answer === 'string' ? answer : answer.assignment;
    };
    const extend = (refresh_net: number, refresh_token: Uint8Array) =>
      unwrap(world.ask(below, e.seedRefresh, `0.1:${ports.refresh}`, { refresh_net, refresh_token }, 5000));
    const giveBack = (release_net: number, refresh_token: Uint8Array) =>
      unwrap(world.ask(below, e.seedRelease, `0.1:${ports.release}`, { release_net, refresh_token }, 5000));
    return { world, above, bridge, below, trunk, asked, request, extend, giveBack, answers };
  }

  const lease = (answer: e.SeedNetAssignment | string | undefined): e.SeedNetAssignment => {
    if (typeof answer !== 'object') throw new Error(`no lease: ${answer}`);
    return answer;
  };

  it('passes on what the router above refuses', () => {
    const { answers, request } = under({});
    for (const error of ['NetIdsExhausted', 'ProfileCantSeed', 'DelegationDepthExceeded'] as const) {
      answers.request = error;
      expect(request()).to.equal(error);
    }
  });

  it('refuses what is a network of its own, and gives it back', () => {
    const { answers, request, asked } = under({});
    for (const net of [10, 1, 0, 65_535]) {
      answers.net = net;
      expect(request(), String(net)).to.equal('NetIdCollision');
    }
    const released = [10, 1, 0, 65_535].flatMap((net) => ['request', `release ${net}`]);
    expect(asked).to.deep.equal(released);
  });

  it('refuses what leaves no time to be extended in', () => {
    const { answers, request, asked, extend } = under({});
    answers.min = 5;
    expect(request()).to.equal('DelegationDepthExceeded');
    expect(asked).to.deep.equal(['request', 'release 11']);
    answers.min = 6;
    const { min_refresh_seconds, refresh_token, net_id } = lease(request());
    expect(min_refresh_seconds).to.equal(1);
    answers.min = 5;
    expect(extend(net_id, refresh_token)).to.equal('DelegationDepthExceeded');
  });

  it('says after a second that the router above does not answer', () => {
    const { world, below, trunk } = under({});
    let heard: unknown;
    const ask = (): void => {
      heard = undefined;
      below.stack.request(
        e.seedRequest,
        e.parseNetAddress('0.1:0'),
        undefined,
        (result) => {
          heard = result instanceof e.ErgotError ? result.code : unwrap(result.value);
        },
        { timeout: 5000 },
      );
    };
    trunk.partition();
    ask();
    world.seconds(0.999);
    expect(heard).to.equal(undefined);
    world.seconds(0.001);
    expect(heard).to.equal('UpstreamUnavailable');
  });

  it('asks above before it extends, and answers the token before without asking', () => {
    const { asked, request, extend, answers } = under({});
    const first = lease(request());
    answers.expires = 100;
    const second = lease(extend(first.net_id, first.refresh_token));
    expect([second.expires_seconds, second.min_refresh_seconds]).to.deep.equal([100, 57]);
    const again = lease(extend(first.net_id, first.refresh_token));
    expect(again).to.deep.equal(second);
    expect(asked).to.deep.equal(['request', `refresh ${first.net_id}`]);
    expect(extend(first.net_id, TOKEN)).to.equal('BadRequest');
  });

  it('passes on why a lease is not extended, and forgets what is no more', () => {
    const { request, extend, answers } = under({});
    const { net_id, refresh_token } = lease(request());
    answers.refresh = 'TooSoon';
    expect(extend(net_id, refresh_token)).to.equal('TooSoon');
    answers.refresh = 'UnknownNetId';
    expect(extend(net_id, refresh_token)).to.equal('UnknownNetId');
    expect(extend(net_id, refresh_token)).to.equal('AlreadyExpired');
  });

  it('gives back above what is given back', () => {
    const { asked, request, giveBack } = under({});
    const { net_id, refresh_token } = lease(request());
    expect(giveBack(net_id, TOKEN)).to.equal('BadRequest');
    expect(giveBack(net_id, refresh_token)).to.equal(undefined);
    expect(giveBack(net_id, refresh_token)).to.equal('UnknownNetId');
    expect(asked).to.deep.equal(['request', `release ${net_id}`]);
  });

  it('answers once more to the same question, asked while the router above was thinking', () => {
    const { world, below, bridge, request } = under({});
    const { net_id, refresh_token } = lease(request());
    const [port] = [...bridge.stack.sockets()].filter(({ keyLow }) => keyLow === e.seedRefresh.requestKey.low);
    const heard: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const to = e.netAddress(0, 1, port?.port ?? 0);
      below.stack.request(e.seedRefresh, to, { refresh_net: net_id, refresh_token }, (result) => {
        heard.push(result instanceof e.ErgotError ? result.message : unwrap(result.value));
      });
    }
    world.seconds(0);
    expect(heard.length).to.equal(2);
    expect(lease(heard[0] as e.SeedNetAssignment).net_id).to.equal(net_id);
    expect(heard[0]).to.deep.equal(heard[1]);
  });

  it('tries again where its own link is refused, a second later and then less often', () => {
    const { world, bridge, asked } = under({ request: 'NetIdsExhausted' });
    world.seconds(1);
    expect(asked).to.deep.equal(['request']);
    world.seconds(2);
    expect(asked.length).to.equal(2);
    world.seconds(60);
    expect(asked.length).to.be.within(8, 12);
    expect(world.states(bridge)[1]).to.match(/active-local/);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('does not take for its link what is a network already', () => {
    const { world, bridge, asked } = under({ net: 1 });
    expect(world.states(bridge)[1]).to.match(/active-local/);
    world.seconds(1);
    expect(asked).to.deep.equal(['request', 'release 1']);
  });

  it('does not hurry after leases that last for no time', () => {
    const { world, bridge, asked } = under({ expires: 0 });
    world.seconds(1);
    expect(asked).to.deep.equal(['request']);
    expect(world.states(bridge)[1]).to.match(/active-local/);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('asks for another network as soon as its own is no more', () => {
    const { world, bridge, answers, asked } = under({ expires: 30 });
    expect(world.states(bridge)[1]).to.match(/active 10.1:0/);
    answers.refresh = 'UnknownNetId';
    world.seconds(15);
    expect(asked).to.deep.equal(['refresh 10', 'request']);
    expect(world.states(bridge)[1]).to.match(/active 11.1:0/);
  });
});
