import { expect } from 'chai';
import type { Device } from '../../../../lib/core/device.js';
import { UsageError } from '../../../../lib/core/errors.js';
import { asTx } from '../../../../lib/core/frame.js';
import * as e from '../../../../lib/ergot/index.js';
import { hex } from '../bytes.js';
import { FakeNode, letter } from './fake-node.js';
import { type Node, unwrap, World } from './world.js';

/** Somebody on a shared link who writes frames by hand. */
class Stranger {
  readonly heard: string[] = [];
  private readonly world: World;
  private readonly end: Device;
  private answer: string | e.AddressClaimGranted | e.NodeClaimAssignment = 'nothing';
  private schema: e.Schema<e.Answer<e.AddressClaimGranted | e.NodeClaimAssignment, string>> | undefined;

  constructor(world: World, end: Device) {
    this.world = world;
    this.end = end;
    end.frames$.subscribe((frame) => {
      const header = new e.FrameHeader();
      header.read(frame);
      const { source, destination, kind } = header;
      this.heard.push(`${e.netAddressText(source)} > ${e.netAddressText(destination)} kind ${kind}`);
      if (kind !== e.FrameKind.Response || this.schema === undefined) return;
      const read = e.decode(this.schema, frame.slab.bytes, header.body, frame.end);
      if (read.ok) this.answer = unwrap(read.value);
    });
  }

  send(bytes: Uint8Array): void {
    const frame = this.world.env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    this.end.sink.next(asTx(frame));
    this.world.seconds(0);
  }

  claim(node: number, nonce: bigint, from = `0.${node}:9`): e.AddressClaimGranted | string {
    const body = e.encode(e.addressClaim.request, { candidate_node_id: node, nonce });
    return this.ask(e.addressClaim, from, '0.1:0', body) as e.AddressClaimGranted | string;
  }

  refresh(node: number, port: number, token: Uint8Array): e.NodeClaimAssignment | string {
    const body = e.encode(e.addressRefresh.request, { node_id: node, refresh_token: token });
    return this.ask(e.addressRefresh, `0.${node}:9`, `0.1:${port}`, body) as e.NodeClaimAssignment | string;
  }

  private ask<Q, R>(endpoint: e.Endpoint<Q, R>, from: string, to: string, body: Uint8Array): unknown {
    this.answer = 'nothing';
    this.schema = endpoint.response as never;
    const header = new e.FrameHeader();
    const { low: keyLow, high: keyHigh } = endpoint.requestKey;
    const fields = {
      source: e.parseNetAddress(from),
      destination: e.parseNetAddress(to),
      kind: 1,
      ttl: e.DEFAULT_TTL - 1,
    };
    Object.assign(header, fields, { keyLow, keyHigh });
    const frame = this.world.env.pool.alloc(body.length);
    frame.slab.bytes.set(body, frame.put(body.length));
    header.push(frame);
    this.end.sink.next(asTx(frame));
    this.world.seconds(0);
    return this.answer;
  }
}

describe('claims to node numbers (67)', () => {
  function shared(options: e.RouterOptions = { claims: 8 }) {
    const world = new World();
    const root = world.root(options);
    const far = world.edge();
    world.join(root, far);
    const [end, ...free] = world.cable(4);
    root.plug(end);
    const strangers = free.map((each) => new Stranger(world, each));
    const [one, two, three] = strangers;
    if (one === undefined || two === undefined || three === undefined) throw new Error('too few ends');
    const granted = (answer: e.AddressClaimGranted | string): e.AddressClaimGranted => {
      if (typeof answer === 'string') throw new Error(answer);
      return answer;
    };
    return { world, root, far, one, two, three, granted };
  }

  it('are granted with a lease like those of networks', () => {
    const { one, granted } = shared();
    const { assignment, refresh_port } = granted(one.claim(7, 1n));
    const { refresh_token, ...rest } = assignment;
    expect(rest).to.deep.equal({
      node_id: 7,
      net_id: 2,
      expires_seconds: 30,
      max_refresh_seconds: 120,
      min_refresh_seconds: 62,
    });
    expect(refresh_token.length).to.equal(8);
    expect(refresh_port).to.be.within(1, 254);
  });

  it('are refused for numbers that mean something else', () => {
    const { one } = shared();
    for (const node of [0, 1, 2, 255]) expect(one.claim(node, 1n, '0.9:9'), String(node)).to.equal('InvalidNodeId');
    for (const node of [3, 254]) expect(one.claim(node, 1n)).to.be.an('object');
  });

  it('are answered again to the same nonce, and refused to others', () => {
    const { world, one, two, granted } = shared();
    const first = granted(one.claim(7, 1n)).assignment;
    world.until(10.5);
    const again = granted(one.claim(7, 1n)).assignment;
    expect(again).to.deep.equal({ ...first, expires_seconds: 20 });
    expect(two.claim(7, 2n)).to.equal('Conflict');
  });

  it('end after 30 seconds, are a conflict for 30 more, and are free then', () => {
    const { world, one, two, granted } = shared();
    granted(one.claim(7, 1n));
    world.until(30);
    for (const nonce of [1n, 2n]) expect(one.claim(7, nonce)).to.equal('Conflict');
    world.until(59.999);
    expect(two.claim(7, 2n)).to.equal('Conflict');
    world.until(60);
    granted(two.claim(7, 2n));
  });

  it('are so many at most, on all links together', () => {
    const { world, one, granted } = shared({ claims: 2 });
    granted(one.claim(7, 1n));
    granted(one.claim(8, 1n));
    expect(one.claim(9, 1n)).to.equal('Exhausted');
    world.until(60);
    granted(one.claim(9, 1n));
  });

  it('are for those on the link alone', () => {
    const { world, root, far } = shared();
    const claim = { candidate_node_id: 7, nonce: 1n };
    expect(unwrap(world.ask(root, e.addressClaim, '0.0:0', claim))).to.equal('UnknownSource');
    expect(unwrap(world.ask(far, e.addressClaim, '0.1:0', claim))).to.have.nested.property('assignment.net_id', 1);
    expect(shared({}).one.claim(7, 1n)).to.equal('nothing');
  });

  it('are extended to 120 seconds once 62 or less are left, under a new token', () => {
    const { world, one, granted } = shared();
    const { assignment, refresh_port } = granted(one.claim(7, 1n));
    const token = assignment.refresh_token;
    const second = one.refresh(7, refresh_port, token) as e.NodeClaimAssignment;
    expect(second.expires_seconds).to.equal(120);
    expect(hex(second.refresh_token)).to.not.equal(hex(token));
    world.until(10);
    const again = one.refresh(7, refresh_port, token) as e.NodeClaimAssignment;
    expect(again).to.deep.equal({ ...second, expires_seconds: 110 });
    world.until(57.999);
    expect(one.refresh(7, refresh_port, second.refresh_token)).to.equal('TooSoon');
    world.until(58);
    const third = one.refresh(7, refresh_port, second.refresh_token);
    expect(third).to.include({ expires_seconds: 120 });
    expect(one.refresh(7, refresh_port, token)).to.equal('BadRequest');
  });

  it('are known by their numbers', () => {
    const { world, one, granted, root } = shared();
    const { assignment, refresh_port } = granted(one.claim(7, 1n));
    const ask = (node_id: number) =>
      unwrap(
        world.ask(root, e.addressRefresh, `2.1:${refresh_port}`, { node_id, refresh_token: assignment.refresh_token }),
      );
    // The root itself is on no network.
    expect(ask(7)).to.equal('UnknownNodeId');
    granted(one.claim(8, 1n));
    expect(one.refresh(8, refresh_port, assignment.refresh_token)).to.equal('BadRequest');
  });

  it('let frames pass, on that network alone, as long as they last', () => {
    const { world, root, far, one, granted } = shared();
    expect(world.ping(far, '0.1:0')).to.equal(42);
    const drops = () => world.env.drops.toJSON()['ergot-unclaimed'] ?? 0;
    const before = world.env.drops.delivered;
    one.send(letter('0.7:5', '1.2:3'));
    one.send(letter('2.7:5', '1.2:3'));
    one.send(letter('0.7:5', '1.2:255'));
    expect(drops()).to.equal(3);
    one.send(letter('0.7:5', '0.1:0'));
    one.send(letter('9.7:5', '0.1:3'));
    one.send(letter('0.2:5', '0.1:3'));
    expect(drops()).to.equal(3);
    granted(one.claim(7, 1n));
    one.send(letter('0.7:5', '1.2:255'));
    one.send(letter('2.7:5', '1.2:255'));
    expect(drops()).to.equal(3);
    world.until(29.999);
    one.send(letter('0.7:5', '1.2:255'));
    expect(drops()).to.equal(3);
    world.until(30);
    one.send(letter('0.7:5', '1.2:255'));
    expect(drops()).to.equal(4);
    expect(world.env.drops.delivered).to.be.greaterThan(before);
    expect(root.profile.links.length).to.equal(2);
  });

  it('end with their link', () => {
    const world = new World();
    const root = world.root({ claims: 8 });
    const [end, free] = world.cable(2);
    const plug = root.plug(end);
    const one = new Stranger(world, free as Device);
    expect(one.claim(7, 1n)).to.be.an('object');
    plug.unsubscribe();
    root.plug(end);
    expect(one.claim(7, 2n)).to.be.an('object');
  });
});

describe('edges that claim their numbers (67)', () => {
  function segment(count: number, claim: readonly e.EdgeOptions[] = []) {
    const world = new World();
    const root = world.root({ claims: 8 });
    const far = world.edge();
    world.join(root, far);
    const edges = Array.from({ length: count }, (_, i) => world.edge(claim[i] ?? { claim: {} }));
    const cable = world.join(root, ...edges);
    world.seconds(0);
    const numberOf = (node: Node | undefined): number => e.nodeOf(node?.profile.links[0]?.address ?? 0);
    return { world, root, far, edges, cable, numberOf };
  }

  it('have one each, and talk to each other and to those behind the router', () => {
    const { world, far, edges, numberOf } = segment(4);
    expect(world.ping(far, '0.1:0')).to.equal(42);
    const numbers = edges.map(numberOf);
    expect(new Set(numbers).size).to.equal(4);
    for (const number of numbers) expect(number).to.be.within(3, 254);
    for (const edge of edges) {
      expect(world.states(edge)[0]).to.equal(`1${'bcde'[edges.indexOf(edge)]} active 2.${numberOf(edge)}:0`);
      expect(world.ping(edge, '1.2:0')).to.equal(42);
      expect(world.ping(far, `2.${numberOf(edge)}:0`)).to.equal(42);
      for (const number of numbers) expect(world.ping(edge, `2.${number}:0`)).to.equal(42);
    }
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('keep them for as long as they want', () => {
    const { world, far, edges, numberOf } = segment(2);
    const numbers = edges.map(numberOf);
    for (let minute = 0; minute < 30; minute++) world.seconds(60);
    expect(edges.map(numberOf)).to.deep.equal(numbers);
    expect(world.ping(far, '0.1:0')).to.equal(42);
    expect(world.ping(far, `2.${numbers[0]}:0`)).to.equal(42);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('take another one where theirs is taken', () => {
    const { world, edges, root, numberOf } = segment(1, [{ claim: { node: 7 } }]);
    const late = world.edge({ claim: { node: 7 } });
    expect(numberOf(edges[0])).to.equal(7);
    expect(root.profile.links.length).to.equal(2);
    // Another link, where 7 is free; then the same link.
    world.join(root, late);
    world.seconds(0);
    expect(world.states(late)).to.deep.equal(['2b active 3.7:0']);
    const all = segment(
      4,
      Array.from({ length: 4 }, () => ({ claim: { node: 7 } })),
    );
    const numbers = all.edges.map(all.numberOf);
    expect(numbers[0]).to.equal(7);
    expect(new Set(numbers).size).to.equal(4);
    expect(all.world.end()).to.deep.equal([0, 0]);
  });

  it('lose them when the router was away for longer than they last, and claim others', () => {
    const { world, edges, cable, numberOf } = segment(1, [{ claim: { node: 7 } }]);
    const [edge] = edges;
    cable.partition();
    world.until(29.999);
    expect(numberOf(edge)).to.equal(7);
    expect(world.states(edge as Node)[0]).to.match(/ active 2.7:0/);
    world.until(30);
    expect(world.states(edge as Node)[0]).to.equal('1b active-local 0.7:0');
    cable.heal();
    world.until(45);
    expect(numberOf(edge)).to.not.equal(7);
    expect(world.states(edge as Node)[0]).to.match(/ active 2\./);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('keep them over a link that counts as lost, since nothing is said there', () => {
    const world = new World();
    const root = world.root({ claims: 8 });
    const edge = world.edge({ claim: { node: 7 }, liveness: { timeout: 5000 } });
    world.join(root, edge);
    world.until(300);
    expect(world.states(edge)).to.deep.equal(['0b inactive']);
    expect(world.ping(root, '1.7:0')).to.equal(42);
    expect(world.states(edge)).to.deep.equal(['0b active 1.7:0']);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('say of a link that is silent when they lose them that it is inactive, until a frame comes', () => {
    const world = new World();
    const root = world.root({ claims: 8 });
    const edge = world.edge({ claim: { node: 7 }, liveness: { timeout: 5000 } });
    const cable = world.join(root, edge);
    world.until(1);
    cable.partition();
    world.until(4);
    expect(world.states(edge)).to.deep.equal(['0b active 1.7:0']);
    world.until(300);
    expect(world.states(edge)).to.deep.equal(['0b inactive']);
    cable.heal();
    const states = Array.from({ length: 10 }, (_, second) => {
      world.until(301 + second);
      return world.states(edge)[0]?.slice(0, 11);
    });
    expect(states).to.include('0b active 1');
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('hear nothing but answers as long as another one may have their number', () => {
    const node = new FakeNode(e.edgeProfile({ claim: { node: 7 } }));
    const link = node.plug('a');
    node.answer = e.ProtocolError.NsseNoRoute;
    for (const kind of [1, 3, 9]) node.come(link, letter('1.2:5', '2.7:9', { kind }));
    expect(node.out()).to.deep.equal([]);
    expect(node.drops).to.deep.equal({ 'ergot-not-for-us': 3 });
    node.answer = undefined;
    for (const kind of [2, 255]) node.come(link, letter('2.1:5', '2.7:9', { kind }));
    node.come(link, letter('2.1:5', '2.7:255', { kind: 3 }));
    expect(node.taken().length).to.equal(3);
  });

  it('hear nothing that is for their number in another network', () => {
    const name = e.endpoint('test/name', e.unit, e.string);
    const world = new World();
    const root = world.root({ claims: 8 });
    const [asker, near, far] = [5, 7, 7].map((node) => world.edge({ claim: { node } })) as [Node, Node, Node];
    world.join(root, asker, near);
    world.join(root, far);
    world.seconds(0);
    near.serve(name).subscribe((request) => request.answer('near'));
    const ask = () => world.ask(asker, name, '2.7:0', undefined);
    expect(ask()).to.equal('NsseNoRoute');
    far.serve(name).subscribe((request) => request.answer('far'));
    expect(ask()).to.equal('far');
    expect(world.ask(asker, name, '1.7:0', undefined)).to.equal('near');
    const heard: string[] = [];
    for (const [edge, is] of [near, far].map((edge, i) => [edge, ['near', 'far'][i]] as const))
      edge.topic(e.topic('test/said', e.unit), { port: 9 }).subscribe(() => heard.push(String(is)));
    asker.publish(e.topic('test/said', e.unit), e.parseNetAddress('2.7:9'), undefined);
    world.seconds(0);
    expect(heard).to.deep.equal(['far']);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('lose them when the router extends those of others instead', () => {
    const world = new World();
    const router = world.edge({ network: 1 });
    const edge = world.edge({ claim: { node: 7 } });
    const terms: e.LeaseTerms = {
      expires_seconds: 30,
      max_refresh_seconds: 120,
      min_refresh_seconds: 62,
      refresh_token: new Uint8Array(8),
    };
    let claims = 0;
    const refresh = router.stack.serve(e.addressRefresh, ({ value }, answer) =>
      answer({ kind: 'Ok', value: { node_id: value.node_id + 1, net_id: 1, ...terms } }),
    );
    router.stack.serve(e.addressClaim, ({ value }, answer) => {
      claims++;
      const assignment = { node_id: value.candidate_node_id, net_id: 1, ...terms };
      answer({ kind: 'Ok', value: { assignment, refresh_port: refresh.port } });
    });
    world.join(router, edge);
    world.until(14);
    expect([claims, world.states(edge)]).to.deep.equal([1, ['0b active 1.7:0']]);
    world.until(16);
    expect(claims).to.equal(2);
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('take another one where their router lets nobody have theirs, and wait where it lets nobody have any', () => {
    const lease = { expires_seconds: 30, max_refresh_seconds: 120, min_refresh_seconds: 62 };
    for (const refused of [[7], Array.from({ length: 252 }, (_, i) => i + 3)]) {
      const world = new World();
      const router = world.edge({ network: 1 });
      const edge = world.edge({ claim: { node: 7 } });
      const asked: number[] = [];
      router.stack.serve(e.addressClaim, ({ value: { candidate_node_id: node } }, answer) => {
        asked.push(node);
        const assignment = { node_id: node, net_id: 1, ...lease, refresh_token: new Uint8Array(8) };
        if (refused.includes(node)) answer({ kind: 'Err', value: { kind: 'InvalidNodeId' } });
        else answer({ kind: 'Ok', value: { assignment, refresh_port: 1 } });
      });
      world.join(router, edge);
      world.until(0.5);
      expect(asked[0]).to.equal(7);
      expect(new Set(asked).size).to.equal(asked.length);
      if (refused.length === 1) expect(world.states(edge)).to.deep.equal([`0b active 1.${asked[1]}:0`]);
      else expect(asked).to.have.lengthOf(252);
      expect(world.end()).to.deep.equal([0, 0]);
    }
  });

  it('wait for a router that has none to give', () => {
    const world = new World();
    const root = world.root();
    const edge = world.edge({ claim: { node: 7 } });
    const cable = world.join(root, edge);
    world.until(60);
    expect(world.states(edge)).to.deep.equal(['0b active-local 0.7:0']);
    expect(world.ask(edge, e.addressClaim, '1.1:0', { candidate_node_id: 7, nonce: 1n })).to.equal('IseNoRouteToDest');
    cable.unplug();
    expect(world.end()).to.deep.equal([0, 0]);
  });

  it('say which numbers there are', () => {
    for (const node of [2, 255, 7.5]) {
      const make = () => e.edgeProfile({ claim: { node } });
      expect(make).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(() => e.edgeProfile({ claim: {}, network: 1 })).to.throw(UsageError);
  });
});
