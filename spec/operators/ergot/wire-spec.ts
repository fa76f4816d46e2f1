import { expect } from 'chai';
import * as fc from 'fast-check';
import { retry } from 'rxjs';
import { asTx, Frame } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import type { ErgotNode } from '../../../operators/ergot/ergot.js';
import { hex, unhex } from '../../lib/ergot/bytes.js';
import { address, NodeRig, ping, yeet } from './node-rig.js';

describe('ergot nodes on the wire', () => {
  let rig: NodeRig;
  beforeEach(() => {
    rig = new NodeRig();
  });
  afterEach(() => rig.end());

  /** A root, whose ports are all free, and an edge; their link is watched at both ends. */
  function rootAndEdge(mtu = 1500) {
    const root = rig.node(e.routerProfile({ seedRoutes: 0 }));
    const edge = rig.node(e.edgeProfile());
    const cable = rig.cable({ mtu });
    root.plug(rig.watched(cable.ends[0]));
    edge.plug(rig.watched(cable.ends[1]));
    return { root, edge, cable };
  }

  /** Lets the edge hear which network it is in. */
  function introduce(root: ErgotNode<number>): void {
    root.request(ping, address('1.2:9'), 0).subscribe({ error: () => undefined });
    rig.scheduler.run();
    rig.wire.length = 0;
  }

  describe('vectors (row 65)', () => {
    it('an any-port ping of an edge that knows no network', () => {
      const { root, edge } = rootAndEdge();
      root.serve(ping).subscribe((request) => request.answer(request.value));
      const heard: unknown[] = [];
      edge.request(ping, address('0.1:0'), 42).subscribe((answer) => heard.push(answer));
      rig.scheduler.run();
      expect(rig.wire).to.deep.equal(['8104800200010f595266702593fff0002a', '81820481840400020f2a']);
      expect(heard).to.deep.equal([{ value: 42, source: address('1.1:1'), sequence: 0 }]);
    });

    it('a request of 1.2:5 to 1.1:3 with number 7', () => {
      const { root, edge } = rootAndEdge();
      for (const node of [root, edge]) {
        const others = node === root ? 2 : 4;
        for (let i = 0; i < others; i++) node.serve(e.endpoint(`other/${i}`, e.unit, e.unit)).subscribe();
      }
      root.serve(ping).subscribe((request) => request.answer(request.value));
      introduce(root);
      for (let i = 0; i < 7; i++) edge.request(ping, address('0.0:9'), i).subscribe({ error: () => undefined });
      edge.request(ping, address('1.1:3'), 42).subscribe();
      rig.scheduler.run();
      expect(rig.wire).to.deep.equal(['85840483820407010f2a', '83820485840407020f2a']);
    });

    it('PacketTooBig of 1.1:3 to 1.2:1, with an MTU of 1200', () => {
      const { root, edge, cable } = rootAndEdge();
      introduce(root);
      const failures: unknown[] = [];
      edge.request(ping, address('1.1:3'), 42).subscribe({
        error: (error: e.ErgotError) => failures.push([error.protocolError, error.mtu]),
      });
      cable.ends[0].sink.next(asTx(Frame.from(unhex('83820481840400ff0f0cb009'))));
      rig.scheduler.run();
      expect(failures).to.deep.equal([[e.ProtocolError.IsePacketTooBig, 1200]]);
    });

    it('PacketTooBig of a router on the way, which the request ends with', () => {
      const { root, edge } = rootAndEdge();
      const far = rig.node(e.edgeProfile());
      rig.join(root, far, { mtu: 1200 });
      introduce(root);
      const blob = e.topic('blob', e.bytes);
      const push = e.endpoint('push', e.bytes, e.unit);
      const failures: unknown[] = [];
      edge.request(push, address('2.2:3'), new Uint8Array(1172)).subscribe({
        error: (error: e.ErgotError) => failures.push([error.message, error.mtu]),
      });
      rig.scheduler.run();
      expect(rig.wire.at(-1)).to.equal('83840881840400ff0f0cb009');
      expect(failures).to.deep.equal([['IsePacketTooBig, of 1200 bytes at most', 1200]]);
      const send = () => root.publish(blob, address('2.2:1'), new Uint8Array(1180));
      expect(send).to.throw(e.ErgotError).with.property('mtu', 1200);
    });

    it('errors of sockets: no such port, wrong kind, wrong type, no space', () => {
      const { root, edge } = rootAndEdge();
      root.topic(yeet, { own: true }).subscribe();
      root.serve(e.endpoint('text', e.string, e.string)).subscribe();
      root.serve(ping, { unanswered: 1 }).subscribe();
      introduce(root);
      const failures: unknown[] = [];
      const ask = (to: string, value: number) =>
        edge.request(ping, address(to), value).subscribe({
          error: (error: e.ErgotError) => failures.push(error.message),
        });
      ask('1.1:9', 1);
      ask('1.1:1', 1);
      ask('1.1:2', 0x80);
      for (let i = 0; i < 2; i++) ask('1.1:3', 1);
      rig.scheduler.run();
      expect(failures).to.deep.equal([
        'NsseNoRoute',
        'NsseWrongPortKind',
        'SseDeserFailed',
        'SseNoSpace',
        'no answer in time',
      ]);
      expect(rig.wire.slice(5)).to.deep.equal([
        '89820481840400ff0f0d',
        '81820482840401ff0f0f',
        '82820483840402ff0f02',
        '83820485840404ff0f01',
      ]);
    });
  });

  it('conversations get through links that lose, double, delay and reorder frames', () => {
    const root = rig.node(e.routerProfile());
    const impair = { delay: 5, jitter: 4, loss: 0.1, duplicate: 0.05, reorder: 0.1 };
    const edges = Array.from({ length: 3 }, () => rig.node(e.edgeProfile()));
    const cables = edges.map((edge) => rig.join(root, edge));
    // While nothing is lost, all hear which network they are in.
    root.publish(yeet, address('0.0:255'), 0n);
    rig.scheduler.run();
    for (const cable of cables) cable.impair(impair);
    for (const edge of edges) edge.serve(ping).subscribe((request) => request.answer(request.value + 1));
    const heard: bigint[][] = edges.map(() => []);
    edges.forEach((edge, i) => edge.topic(yeet).subscribe(({ value }) => heard[i]?.push(value)));
    const right: number[] = [];
    for (let i = 0; i < 300; i++) {
      const from = edges[i % 3];
      const to = `${((i + 1) % 3) + 1}.2:0`;
      root.publish(yeet, address('0.0:255'), BigInt(i));
      rig.scheduler.runFor(30);
      from
        ?.request(ping, address(to), i, { timeout: 60 })
        .pipe(retry(20))
        .subscribe(({ value }) => right.push(value));
      rig.scheduler.runFor(30);
    }
    rig.scheduler.run();
    expect(right.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 300 }, (_, i) => i + 1));
    for (const values of heard) {
      const different = new Set(values);
      expect(different.size).to.be.within(220, 299);
      for (const value of different) expect(Number(value)).to.be.within(0, 299);
    }
  });

  it('takes any bytes from a link, and says of all what became of them', () => {
    const { root, edge, cable } = rootAndEdge();
    for (const node of [root, edge]) {
      node.serve(ping).subscribe((request) => request.answer(request.value));
      node.serve(e.endpoint('text', e.string, e.string)).subscribe();
      node.topic(yeet).subscribe();
    }
    introduce(root);
    const samples = ['85840483820407010f2a', '8104800200010f595266702593fff0002a', '83820481840400ff0f0cb009'];
    const mutated = fc
      .record({
        text: fc.constantFrom(...samples),
        at: fc.nat(16),
        by: fc.integer({ min: 1, max: 255 }),
        cut: fc.nat(18),
      })
      .map(({ text, at, by, cut }) => {
        const bytes = unhex(text);
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ by;
        return bytes.slice(0, Math.max(1, bytes.length - cut + 9));
      });
    const any = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), mutated);
    fc.assert(
      fc.property(any, fc.constantFrom(0, 1), (bytes, to) => {
        const { drops } = rig.env;
        const before = drops.total + drops.delivered;
        const sent = rig.wire.length;
        cable.ends[to === 0 ? 1 : 0].sink.next(asTx(Frame.from(bytes)));
        rig.scheduler.run();
        const fates = drops.total + drops.delivered - before;
        expect(fates, hex(bytes)).to.be.within(rig.wire.length > sent ? 0 : 1, 3);
        expect(rig.env.pool.outstanding).to.equal(0);
      }),
      { numRuns: 3000 },
    );
  });
});
