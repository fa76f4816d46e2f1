import { expect } from 'chai';
import * as fc from 'fast-check';
import { Frame } from '../../../../lib/core/frame.js';
import { ipOffset } from '../../../../lib/wire/network-offset.js';
import { forBothVersions } from '../../../both-versions.js';
import { isInvalid, stateOf, Tracked } from './tracked.js';

forBothVersions('ICMP in the tracking of flows', (facts) => {
  const { icmp, version } = facts;
  let tracked: Tracked;
  beforeEach(() => {
    tracked = new Tracked(facts);
  });

  it('takes echoes for flows of their identifier', () => {
    tracked.run(`
      new          < ${icmp} echo_request id 7 seq 1 (56)
      established  > ${icmp} echo_reply id 7 seq 1 (56)
      established  < ${icmp} echo_request id 7 seq 2 (56)
      invalid      > ${icmp} echo_reply id 8 seq 1 (56)
      new          > ${icmp} echo_request id 7 seq 1 (56)
      established  < ${icmp} echo_reply id 7 seq 1 (56)
      wait         60000
      invalid      < ${icmp} echo_reply id 7 seq 1 (56)`);
    expect(tracked.tracker.table.size).to.be.at.most(2);
  });

  it('opens no flow for an answer, an unknown type or a wrong checksum', () => {
    tracked.run(`
      invalid      < ${icmp} echo_reply id 7 seq 1 (56)
      invalid      < ${icmp} echo_request id 7 seq 1 (56) bad-checksum
      invalid      < ${icmp} unreachable port [udp 1 > 2 (4)]`);
    expect(tracked.tracker.table.size).to.equal(0);
  });

  it('relates errors from either side, of what either side sent', () => {
    tracked.run(`
      new          < udp 5 > 53 (4)
      related      > ${icmp} unreachable port [udp 5 > 53 (4)]
      new          < udp 5 > 53 (4)
      established  > udp 53 > 5 (4)
      related      < ${icmp} unreachable port [udp 53 > 5 (4)]
      new          < ${icmp} echo_request id 7 seq 1 (56)
      related      > ${icmp} time_exceeded [${icmp} echo_request id 7 seq 1 (56)]`);
  });

  it('relates errors that routers in between send', () => {
    tracked.run('new < udp 5 > 53 (4)');
    const router = facts.elsewhere.toString();
    const frame = tracked.send(`> ${icmp} time_exceeded [udp 5 > 53 (4)] from ${router}`);
    expect([stateOf(frame), frame.flowReply, frame.flow]).to.deep.equal(['related', true, tracked.flow]);
  });

  it('does not relate an error to whom the quoted packet is not from', () => {
    tracked.run('new < udp 5 > 53 (4)');
    const other = facts.c.toString();
    expect(isInvalid(tracked.send(`> ${icmp} unreachable port [udp 5 > 53 (4)] to ${other}`))).to.equal(true);
    expect(isInvalid(tracked.send(`> ${icmp} unreachable port [udp 5 > 53 (4)] bad-checksum`))).to.equal(true);
  });

  it('neither renews nor ends a flow by errors (RFC 5508 4.2)', () => {
    tracked.run(`
      new          < udp 5 > 53 (4)
      wait         100000
      related      > ${icmp} unreachable port [udp 5 > 53 (4)]`);
    expect(tracked.last?.expiresIn).to.equal(20_000);
    expect(tracked.last?.replied).to.equal(false);
  });

  it('relates errors of TCP only for what can have been under way (RFC 5927 4.1)', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      related      > ${icmp} unreachable port [S 0:0(0) win 1000]
      invalid      > ${icmp} unreachable port [S 70000:70000(0) win 1000]
      established  > S. 0:0(0) ack 1 win 1000
      established  < . 1:1(0) ack 1 win 1000
      established  < . 1:1001(1000) ack 1 win 1000
      related      > ${icmp} unreachable port [. 1:1001(1000) ack 1 win 1000]
      invalid      > ${icmp} unreachable port [. 1002:2002(1000) ack 1 win 1000]
      invalid      > ${icmp} unreachable port [. 4294100000:4294100100(100) ack 1 win 1000]
      phase        established`);
  });

  it('relates no errors about errors', () => {
    tracked.run('new < udp 5 > 53 (4)');
    const line = `< ${icmp} unreachable port [udp 53 > 5 (4)]`;
    const inner = tracked.notation.build(line);
    const from = ipOffset(inner);
    const quote = inner.slab.bytes.slice(from, inner.end);
    const outer = tracked.notation.build(`> ${icmp} echo_request id 1 seq 1 (${quote.length})`);
    const at = ipOffset(outer) + (version === 4 ? 20 : 40);
    outer.slab.bytes.set(quote, at + 8);
    outer.slab.view.setUint8(at, version === 4 ? 3 : 1);
    const none = new Tracked(facts, { checksums: 'none' });
    none.run('new < udp 5 > 53 (4)');
    none.pass(outer);
    expect(isInvalid(outer)).to.equal(true);
  });

  it('never throws, whatever the bytes, and leaves flows alone', () => {
    const lines = [
      '< udp 5 > 53 (4)',
      '< . 1:101(100) ack 1 win 1000 <nop,nop,TS val 1 ecr 1,nop,nop,sack 1:2>',
      `< ${icmp} echo_request id 7 seq 1 (56)`,
      `> ${icmp} unreachable port [udp 5 > 53 (4)]`,
      `> ${icmp} unreachable port [. 1:1001(1000) ack 1 win 1000]`,
      '< ip 132 (20)',
      '< udp 53 > 1024 (12) frag 0:8+ ipid 9',
    ];
    const change = fc.tuple(fc.nat(200), fc.nat(255));
    fc.assert(
      fc.property(fc.nat(lines.length - 1), fc.array(change, { maxLength: 4 }), fc.nat(200), (which, changes, cut) => {
        const { tracker, notation } = new Tracked(facts, { checksums: 'none' }).run(`
          new          < udp 9 > 9 (4)
          established  > udp 9 > 9 (4)`);
        const [flow] = tracker.table.flows();
        const frame = notation.build(lines[which] ?? '');
        for (const [at, value] of changes) {
          if (at < frame.length) frame.slab.view.setUint8(frame.start + at, value);
        }
        const short = Frame.from(frame.bytes().slice(0, cut % (frame.length + 1)));
        for (const one of [frame, short]) {
          tracker.track(one);
          expect(['new', 'established', 'related'].includes(stateOf(one))).to.equal(one.flow !== 0);
          // Unless it happens to be one of its own packets.
          if (one.flow === flow?.id && stateOf(one) !== 'related') return;
        }
        const [left, ...others] = tracker.table.flows();
        expect([left, others.length]).to.deep.equal([flow, 0]);
      }),
      { numRuns: 2000 },
    );
  });
});
