import { expect } from 'chai';
import { ipOf } from '../../../../lib/core/address.js';
import { Frame, GsoType } from '../../../../lib/core/frame.js';
import { FlowTuple } from '../../../../lib/l4/conntrack/flow-tuple.js';
import { icmpClass, IcmpClass } from '../../../../lib/l4/conntrack/icmp-queries.js';
import { DEFAULT_TIMEOUTS } from '../../../../lib/l4/conntrack/options.js';
import { ipOffset } from '../../../../lib/wire/network-offset.js';
import { forBothVersions } from '../../../both-versions.js';
import { isInvalid, stateOf, Tracked } from './tracked.js';

forBothVersions('FlowTracker', (facts) => {
  const transport = facts.version === 4 ? 20 : 40;

  it('counts packets and bytes of both ways, if it is to', () => {
    const tracked = new Tracked(facts, { counting: true }).run(`
      new          < udp 5 > 53 (10)
      new          < udp 5 > 53 (20)
      established  > udp 53 > 5 (100)`);
    const headers = transport + 8;
    expect(tracked.last?.counts).to.deep.equal([
      { packets: 2, bytes: 2 * headers + 30 },
      { packets: 1, bytes: headers + 100 },
    ]);
    const none = { packets: 0, bytes: 0 };
    expect(new Tracked(facts).run('new < udp 5 > 53 (10)').last?.counts).to.deep.equal([none, none]);
  });

  it('begins to count at 0 where another flow has been before', () => {
    const tracked = new Tracked(facts, { counting: true, capacity: 1 }).run('new < udp 5 > 53 (10)');
    tracked.tracker.table.delete(tracked.flow);
    for (let port = 6; port < 400; port++) tracked.send(`< udp ${port} > 53 (10)`);
    expect(tracked.last?.counts[0].packets).to.equal(1);
  });

  it('gives each protocol its time', () => {
    const left = (script: string) => new Tracked(facts).run(script).last?.expiresIn;
    expect(left('new < udp 5 > 53 (10)')).to.equal(DEFAULT_TIMEOUTS.udp);
    expect(left(`new < ${facts.icmp} echo_request id 7 seq 1 (56)`)).to.equal(DEFAULT_TIMEOUTS.icmp);
    expect(left('new < ip 47 (10)')).to.equal(DEFAULT_TIMEOUTS.other);
    expect(left('new < ip 132 (10)')).to.equal(DEFAULT_TIMEOUTS.other);
  });

  it('tells flows of protocols apart that have ports, and by addresses only those that have none', () => {
    const tracked = new Tracked(facts);
    const build = (protocol: number, ports: number) => {
      const frame = tracked.notation.build(`< ip ${protocol} (20)`);
      frame.slab.view.setUint32(ipOffset(frame) + transport, ports);
      tracked.pass(frame);
      return frame.flow;
    };
    expect(build(132, 0x0001_0002)).to.not.equal(build(132, 0x0001_0003));
    expect(build(33, 0x0001_0002)).to.not.equal(build(33, 0x0001_0003));
    expect(build(47, 0x0001_0002)).to.equal(build(47, 0x0001_0003));
    expect(build(47, 1)).to.not.equal(build(50, 1));
  });

  it('takes no datagram for whole whose length is not there, but each super-segment', () => {
    for (const checksums of ['none', 'all'] as const) {
      const tracked = new Tracked(facts, { checksums });
      for (const length of [0, 7, 19, 0xffff]) {
        // Nothing lies behind it.
        const frame = Frame.from(tracked.notation.build('< udp 5 > 53 (10)').bytes().slice());
        frame.slab.view.setUint16(ipOffset(frame) + transport + 4, length);
        tracked.pass(frame);
        expect(isInvalid(frame), `${checksums} ${length}`).to.equal(true);
      }
    }
    const tracked = new Tracked(facts, { checksums: 'none' });
    const build = (length: number) => {
      const frame = tracked.notation.build('< udp 5 > 53 (10)');
      frame.slab.view.setUint16(ipOffset(frame) + transport + 4, length);
      return frame;
    };
    const large = build(2000);
    large.gsoType = GsoType.UdpL4;
    tracked.pass(large);
    expect(stateOf(large)).to.equal('new');
  });

  it('opens no flow for a datagram with a wrong checksum, and takes those that have none', () => {
    const tracked = new Tracked(facts);
    expect(isInvalid(tracked.send('< udp 5 > 53 (10) bad-checksum'))).to.equal(true);
    const frame = tracked.notation.build('< udp 5 > 53 (10)');
    frame.slab.view.setUint16(ipOffset(frame) + transport + 6, 0);
    tracked.pass(frame);
    expect(stateOf(frame)).to.equal('new');
  });

  it("takes the other version's ICMP for a protocol of which nothing is known", () => {
    const tracked = new Tracked(facts).run('new < udp 5 > 53 (10)');
    const [own, other, type] = facts.version === 4 ? [1, 58, 3] : [58, 1, 1];
    // An error about the datagram, but for its protocol.
    const error = tracked.notation.build(`> ${facts.icmp} unreachable port [udp 5 > 53 (10)]`);
    const { view } = error.slab;
    const at = ipOffset(error);
    expect([view.getUint8(at + (transport === 20 ? 9 : 6)), view.getUint8(at + transport)]).to.deep.equal([own, type]);
    view.setUint8(at + (transport === 20 ? 9 : 6), other);
    tracked.pass(error);
    expect(stateOf(error)).to.equal('new');
    const { flow } = error;
    expect(tracked.tracker.table.flow(flow)?.original).to.include({ sourcePort: 0, destinationPort: 0, isIcmp: false });
    expect(tracked.send(`< ip ${other} (20)`).flow).to.equal(flow);
    expect(stateOf(tracked.send(`< ip ${other} (20)`))).to.equal('established');
  });

  it('keeps what others note of a flow, from before it is confirmed until it is gone', () => {
    const tracked = new Tracked(facts);
    const { table } = tracked.tracker;
    const frame = tracked.notation.build('< udp 5 > 53 (10)');
    tracked.tracker.track(frame);
    table.setMark(frame.flow, 7);
    table.setNat(frame.flow, -9);
    tracked.tracker.confirm(frame);
    tracked.send('> udp 53 > 5 (10)');
    expect([table.mark(frame.flow), table.nat(frame.flow)]).to.deep.equal([7, -9]);
    expect(table.flow(frame.flow)).to.include({ mark: 7, nat: -9, replied: true, assured: false, state: 'replied' });
    table.delete(frame.flow);
    tracked.send('< udp 5 > 53 (10)');
    expect([table.mark(tracked.flow), table.nat(tracked.flow)]).to.deep.equal([0, 0]);
  });

  it('has tuples that are found, read and told as they were written', () => {
    const { a, b } = facts;
    const tracked = new Tracked(facts).run('new < 1024 > 80 S 0:0(0) win 1000');
    const ends = { protocol: 6, source: b, destination: a, sourcePort: 1024, destinationPort: 80 };
    const tuple = FlowTuple.of(ends);
    const { table } = tracked.tracker;
    expect(table.find(tuple)).to.equal(tracked.flow);
    const [original, reply] = [new FlowTuple(), new FlowTuple()];
    expect([table.original(tracked.flow, original), table.reply(tracked.flow, reply)]).to.deep.equal([true, true]);
    expect(original.equals(tuple)).to.equal(true);
    expect(table.find(reply)).to.equal(tracked.flow);
    expect(reply.sourceAddress.toString()).to.equal(a.toString());
    expect(original.toString()).to.equal(`tcp ${facts.url(b)}:1024 > ${facts.url(a)}:80`);
    expect(FlowTuple.of({ ...ends, source: ipOf(facts.c.toString()) }).equals(tuple)).to.equal(false);
  });
});

describe('FlowTracker', () => {
  it('knows what messages of ICMP are', () => {
    const classes = (version: 4 | 6, ...types: number[]) => types.map((type) => icmpClass(version, type));
    const { Query, Answer, Error, Link, Unknown } = IcmpClass;
    expect(classes(4, 8, 13, 15, 17)).to.deep.equal([Query, Query, Query, Query]);
    expect(classes(4, 0, 14, 16, 18)).to.deep.equal([Answer, Answer, Answer, Answer]);
    expect(classes(4, 3, 4, 5, 11, 12)).to.deep.equal([Error, Error, Error, Error, Error]);
    expect(classes(4, 9, 10, 40, 255)).to.deep.equal([Link, Link, Unknown, Unknown]);
    expect(classes(6, 1, 2, 3, 4, 128, 129)).to.deep.equal([Error, Error, Error, Error, Query, Answer]);
    expect(classes(6, 130, 133, 134, 135, 136, 137, 143, 200)).to.deep.equal([...Array<number>(7).fill(Link), Unknown]);
  });
});
