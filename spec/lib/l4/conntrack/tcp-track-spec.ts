import { expect } from 'chai';
import * as fc from 'fast-check';
import { forBothVersions } from '../../../both-versions.js';
import { OPEN, stateOf, Tracked } from './tracked.js';

const SCALED = `
  new          < S 0:0(0) win 1000 <mss 1460,nop,wscale 7>
  established  > S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 7>
  established  < . 1:1(0) ack 1 win 1000
  established  > . 1:1(0) ack 1 win 1000`;

forBothVersions('Tracking of TCP', (facts) => {
  let tracked: Tracked;
  beforeEach(() => {
    tracked = new Tracked(facts);
  });

  it('follows a connection from its SYN to the end of TIME-WAIT', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000 <mss 1460>
      phase        syn-sent
      established  > S. 0:0(0) ack 1 win 1000 <mss 1460>
      phase        syn-received
      established  < . 1:1(0) ack 1 win 1000
      phase        established
      established  < P. 1:101(100) ack 1 win 1000
      established  > . 1:1(0) ack 101 win 1000
      established  < F. 101:101(0) ack 1 win 1000
      phase        half-closed
      established  > . 1:1(0) ack 102 win 1000
      established  > P. 1:501(500) ack 102 win 1000
      established  < . 102:102(0) ack 501 win 1000
      established  > F. 501:501(0) ack 102 win 1000
      phase        closing
      established  < . 102:102(0) ack 502 win 1000
      phase        time-wait
      wait         239999
      phase        time-wait
      wait         10001
      phase        gone`);
  });

  it('follows both sides closing at once', () => {
    tracked.run(`${OPEN}
      established  < F. 1:1(0) ack 1 win 1000
      established  > F. 1:1(0) ack 1 win 1000
      phase        closing
      established  < . 2:2(0) ack 2 win 1000
      established  > . 2:2(0) ack 2 win 1000
      phase        time-wait`);
  });

  it('follows both sides opening at once (RFC 9293 3.5, figure 7)', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > S 0:0(0) win 1000
      phase        syn-received
      established  < S. 0:0(0) ack 1 win 1000
      phase        syn-received
      established  > S. 0:0(0) ack 1 win 1000
      phase        established
      established  < P. 1:101(100) ack 1 win 1000
      established  > P. 1:101(100) ack 101 win 1000`);
  });

  it('takes SYNs and answers that are sent again', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      new          < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      phase        syn-received
      established  < . 1:1(0) ack 1 win 1000
      established  > S. 0:0(0) ack 1 win 1000
      phase        established`);
  });

  it('takes another attempt, with another number, as long as nobody has answered', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      new          < S 70000:70000(0) win 1000
      invalid      > S. 0:0(0) ack 1 win 1000
      established  > S. 0:0(0) ack 70001 win 1000
      established  < . 70001:70001(0) ack 1 win 1000
      phase        established`);
  });

  it('takes a second answer with another number, as SYN cookies give it', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  > S. 50000:50000(0) ack 1 win 1000
      invalid      < . 1:1(0) ack 1 win 1000
      established  < . 1:1(0) ack 50001 win 1000
      phase        established`);
  });

  it('takes data in SYNs (RFC 7413)', () => {
    tracked.run(`
      new          < S 0:100(100) win 1000 <mss 1460>
      established  > S. 0:0(0) ack 101 win 1000 <mss 1460>
      established  > P. 1:301(300) ack 101 win 1000
      phase        syn-received
      established  < . 101:101(0) ack 301 win 1000
      phase        established`);
    new Tracked(facts).run(`
      new          < S 0:100(100) win 1000 <mss 1460>
      established  > S. 0:0(0) ack 1 win 1000 <mss 1460>
      established  < P. 1:101(100) ack 1 win 1000
      phase        established`);
  });

  it('lets an earlier connection be reset that only one side remembers (RFC 9293 3.5.1, figure 9)', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > . 5000:5000(0) ack 300000 win 1000
      established  < R 300000:300000(0) win 0
      phase        syn-sent
      established  < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      established  < . 1:1(0) ack 1 win 1000
      phase        established`);
  });

  it('ends with the reset that answers a SYN, and only if it does', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      invalid      > R. 0:0(0) ack 0 win 0
      invalid      > R. 0:0(0) ack 2 win 0
      invalid      > R 0:0(0) win 0
      phase        syn-sent
      established  > R. 0:0(0) ack 1 win 0
      phase        reset
      wait         20001
      phase        gone`);
  });

  it('ends with a reset that is exactly the next in sequence, and no other (RFC 5961 3)', () => {
    for (const exact of ['< R 1:1(0) win 0', '< R. 101:101(0) ack 1 win 0', '> R 1:1(0) win 0']) {
      new Tracked(facts).run(`${OPEN}
        established  < P. 1:101(100) ack 1 win 1000
        invalid      < R 5000:5000(0) win 0
        invalid      < R 4294960000:4294960000(0) win 0
        established  < R 500:500(0) win 0
        invalid      > R 1002:1002(0) win 0
        phase        established
        established  ${exact}
        phase        reset`);
    }
  });

  it('does not let an inexact reset renew a flow', () => {
    tracked.run(OPEN);
    const before = tracked.last?.expiresIn ?? 0;
    tracked.run(`
      wait         1000
      established  < R 500:500(0) win 0
      established  < S 9000:9000(0) win 1000`);
    expect(tracked.last?.expiresIn).to.equal(before - 1000);
  });

  it('goes on where an inexact reset was asked back and came again', () => {
    tracked.run(`${OPEN}
      established  < P. 1:101(100) ack 1 win 1000
      established  < P. 101:201(100) ack 1 win 1000
      established  < R 150:150(0) win 0
      phase        established
      established  > . 1:1(0) ack 101 win 1000
      established  < R 101:101(0) win 0
      phase        reset`);
  });

  it('opens anew by the challenge to a SYN of one who has forgotten (RFC 5961 4)', () => {
    tracked.run(OPEN);
    const { flow } = tracked;
    tracked.run(`
      established  < S 900000:900000(0) win 1000
      phase        established
      established  > . 1:1(0) ack 1 win 1000
      established  < R 1:1(0) win 0
      phase        reset
      new          < S 900000:900000(0) win 1000
      phase        syn-sent`);
    expect(tracked.flow).to.not.equal(flow);
    expect(tracked.tracker.table.size).to.equal(1);
  });

  it('is taken anew by a SYN from either side after TIME-WAIT began', () => {
    const closed = `${OPEN}
      established  < F. 1:1(0) ack 1 win 1000
      established  > F. 1:1(0) ack 2 win 1000
      established  < . 2:2(0) ack 2 win 1000
      phase        time-wait`;
    tracked.run(`${closed}
      new          < S 500000:500000(0) win 1000
      phase        syn-sent`);
    const other = new Tracked(facts).run(`${closed}
      new          > S 500000:500000(0) win 1000
      phase        syn-sent`);
    expect(other.last?.original.sourceAddress.toString()).to.equal(facts.a.toString());
  });

  describe('windows', () => {
    it('holds data to what was allowed, and not more than a window behind (rules I and II)', () => {
      tracked.run(`${OPEN}
        established  < . 1:1001(1000) ack 1 win 1000
        invalid      < . 1003:1103(100) ack 1 win 1000
        invalid      < . 1001:1501(500) ack 1 win 1000
        established  < . 1001:1002(1) ack 1 win 1000
        established  < . 1:101(100) ack 1 win 1000
        established  > . 1:1(0) ack 1001 win 1000
        established  < . 1001:2001(1000) ack 1 win 1000
        invalid      < . 1:501(500) ack 1 win 1000
        established  < . 901:1001(100) ack 1 win 1000
        invalid      < . 901:999(98) ack 1 win 1000`);
    });

    it('holds acknowledgments to what was sent, and not too far behind (rules III and IV)', () => {
      tracked.run(`${OPEN}
        established  < . 1:501(500) ack 1 win 1000
        invalid      > . 1:1(0) ack 502 win 1000
        established  > . 1:1(0) ack 501 win 1000
        established  > . 1:1(0) ack 1 win 1000
        invalid      > . 1:1(0) ack 4294900000 win 1000`);
    });

    it('scales windows only if both sides do, and never those of SYNs (RFC 7323 2.2)', () => {
      tracked.run(`
        new          < S 0:0(0) win 1000 <mss 1460,nop,wscale 7>
        established  > S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 7>
        invalid      > . 1100:2100(1000) ack 1 win 1000
        established  < . 1:1(0) ack 1 win 1000
        established  > . 1:1461(1460) ack 1 win 1000
        established  > . 120001:121461(1460) ack 1 win 1000
        invalid      > . 128002:129462(1460) ack 1 win 1000`);
      new Tracked(facts).run(`
        new          < S 0:0(0) win 1000 <mss 1460,nop,wscale 7>
        established  > S. 0:0(0) ack 1 win 1000 <mss 1460>
        established  < . 1:1(0) ack 1 win 1000
        invalid      > . 120001:121461(1460) ack 1 win 1000`);
    });

    it('takes a scale over 14 for 14 (RFC 7323 2.3)', () => {
      tracked.run(`
        new          < S 0:0(0) win 1000 <mss 1460,nop,wscale 200>
        established  > S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 0>
        established  < . 1:1(0) ack 1 win 1
        established  > . 16384:16385(1) ack 1 win 1000
        invalid      > . 16385:17385(1000) ack 1 win 1000`);
    });

    it('lets through probes of a closed window, and what opens it', () => {
      tracked.run(`${OPEN}
        established  < . 1:1001(1000) ack 1 win 1000
        established  > . 1:1(0) ack 1001 win 0
        invalid      < . 1001:1101(100) ack 1 win 1000
        established  < . 1001:1002(1) ack 1 win 1000
        established  < . 1000:1000(0) ack 1 win 1000
        established  > . 1:1(0) ack 1001 win 0
        established  > . 1:1(0) ack 1001 win 1000
        established  < F. 1001:2001(1000) ack 1 win 1000`);
    });

    it('keeps up with selective acknowledgments of more than a window (RFC 2018)', () => {
      tracked.run(`${SCALED}
        established  < . 1:60001(60000) ack 1 win 1000
        established  < . 60001:120001(60000) ack 1 win 1000
        established  > . 1:1(0) ack 1 win 1000 <nop,nop,sack 60001:120001>
        established  < . 1:1001(1000) ack 1 win 1000
        invalid      > . 1:1(0) ack 1 win 1000 <nop,nop,sack 60001:120002>`);
    });

    it('counts a super-segment as what it is', () => {
      tracked.run(`${SCALED}
        established  < P. 1:60001(60000) ack 1 win 1000
        established  > . 1:1(0) ack 60001 win 1000
        established  > . 1:1(0) ack 60001 win 1000`);
    });

    it('matters only for resets where that is asked for', () => {
      new Tracked(facts, { windows: false }).run(`${OPEN}
        established  < . 90001:90101(100) ack 1 win 1000
        established  > . 1:1(0) ack 77777 win 1000
        invalid      < R 500000:500000(0) win 0
        phase        established`);
    });
  });

  describe('a connection whose SYN was not seen', () => {
    const MIDDLE = `
      established  > P. 5000:5100(100) ack 70000 win 10
      established  < . 70000:70000(0) ack 5100 win 10`;

    it('is tracked without windows', () => {
      tracked.run(`
        new          < P. 69000:70000(1000) ack 5000 win 10
        phase        mid-stream
        ${MIDDLE}
        established  < . 80000:80100(100) ack 5100 win 10
        phase        mid-stream
        wait         ${6 * 3_600_000 - 1}
        established  > R 5100:5100(0) win 0
        phase        reset`);
    });

    it("goes on where a reset was nobody's who knew", () => {
      tracked.run(`
        new          < P. 69000:70000(1000) ack 5000 win 10
        ${MIDDLE}
        established  < . 900000:900000(0) ack 5100 win 10
        established  < R 900000:900000(0) win 0
        phase        reset
        established  < . 70000:70100(100) ack 5100 win 10
        phase        mid-stream`);
      expect(tracked.last?.expiresIn).to.equal(6 * 3_600_000);
    });

    it('lives no longer than one that opens until the other side shows itself', () => {
      tracked.run(`
        new          < P. 69000:70000(1000) ack 5000 win 10
        wait         130000
        phase        gone`);
    });

    it('does not begin with a FIN, a reset, or the answer to a SYN', () => {
      tracked.run(`
        invalid      < F. 69000:70000(1000) ack 5000 win 10
        invalid      < R 69000:69000(0) win 10
        invalid      < R. 69000:69000(0) ack 1 win 10
        invalid      < S. 69000:69000(0) ack 1 win 10`);
      expect(tracked.tracker.table.size).to.equal(0);
    });

    it('passes untracked, or is invalid, where that is asked for', () => {
      new Tracked(facts, { midStream: 'untracked' }).run('untracked < P. 69000:70000(1000) ack 5000 win 10');
      new Tracked(facts, { midStream: 'invalid' }).run('invalid < P. 69000:70000(1000) ack 5000 win 10');
    });

    it('is not taken for a new one by a SYN, but is reset first', () => {
      tracked.run(`
        new          < P. 69000:70000(1000) ack 5000 win 10
        ${MIDDLE}
        established  < S 0:0(0) win 1000
        phase        mid-stream
        established  > . 5100:5100(0) ack 70000 win 10
        established  < R 70000:70000(0) win 0
        new          < S 0:0(0) win 1000`);
    });
  });

  it('calls control bits invalid that no segment has', () => {
    tracked.run(`${OPEN}
      invalid      < SF 9:9(0) win 10
      invalid      < SR 9:9(0) win 10
      invalid      < F 1:1(0) win 10
      invalid      < P 1:2(1) win 10
      invalid      < FR. 1:1(0) ack 1 win 10
      phase        established`);
  });

  it('believes no side to be there that does not know the number of the other', () => {
    tracked.run(`
      new          < S 0:0(0) win 1000
      established  > S. 0:0(0) ack 1 win 1000
      invalid      < . 1:1(0) ack 0 win 1000
      invalid      < . 1:1(0) ack 2 win 1000
      invalid      < . 1:101(100) ack 4000000000 win 1000
      phase        syn-received`);
    expect(tracked.last?.assured).to.equal(false);
  });

  it('does not heed what would end or open something if its checksum is wrong', () => {
    tracked.run(`${OPEN}
      invalid      < R 1:1(0) win 0 bad-checksum
      invalid      < F. 1:1(0) ack 1 win 1000 bad-checksum
      established  < . 1:101(100) ack 1 win 1000 bad-checksum
      phase        established`);
    new Tracked(facts).run('invalid < S 0:0(0) win 1000 bad-checksum');
    new Tracked(facts, { checksums: 'none' }).run('new < S 0:0(0) win 1000 bad-checksum');
    new Tracked(facts, { checksums: 'all' }).run(`${OPEN}
      invalid      < . 1:101(100) ack 1 win 1000 bad-checksum`);
  });

  it('leaves a connection as it is by what does not fit it', () => {
    const number = fc.oneof(fc.integer({ min: -5, max: 3000 }), fc.nat(0xffff_ffff)).map((n) => n >>> 0);
    const segment = fc.record({
      way: fc.constantFrom('<', '>'),
      flags: fc.constantFrom('.', 'P.', 'F.', 'R', 'R.', 'S', 'S.'),
      sequence: number,
      length: fc.constantFrom(0, 1, 100, 1400),
      ack: number,
      window: fc.nat(0xffff),
    });
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 20, size: 'max' }), (segments) => {
        const one = new Tracked(facts, { capacity: 10 }).run(OPEN);
        const { table } = one.tracker;
        const words = () => Array.from({ length: 10 }, (_, i) => table.records.protocolAt(1, i)).join();
        for (const { way, flags, sequence, length, ack, window } of segments) {
          const before = words();
          const end = (sequence + length) >>> 0;
          const acks = flags.endsWith('.') ? `ack ${ack}` : '';
          const frame = one.send(`${way} ${flags} ${sequence}:${end}(${length}) ${acks} win ${window}`);
          if (stateOf(frame) === 'invalid') expect(words()).to.equal(before);
          if (one.last?.phase === 'time-wait') return;
          if (one.last?.phase !== 'reset') continue;
          expect(flags[0]).to.equal('R');
          return;
        }
        expect(table.size).to.equal(1);
      }),
      { numRuns: 500 },
    );
  });

  it('is reset by none of a thousand guesses', () => {
    tracked.run(`${OPEN}
      established  < P. 1:101(100) ack 1 win 1000`);
    for (let i = 0; i < 1000; i++) {
      const sequence = (Math.imul(i, 0x9e37_79b1) >>> 0) + 2;
      tracked.send(`${(i & 1) === 0 ? '<' : '>'} R ${sequence}:${sequence}(0) win 0`);
    }
    tracked.run('phase established');
  });

  describe('timeouts', () => {
    const left = (script: string): number => new Tracked(facts).run(script).last?.expiresIn ?? 0;

    it('are those of the state', () => {
      expect(left('new < S 0:0(0) win 1000')).to.equal(120_000);
      expect(left(OPEN)).to.equal(5 * 86_400_000);
      const sent = `${OPEN}
        established  < P. 1:101(100) ack 1 win 1000`;
      expect(left(sent)).to.equal(300_000);
      const acknowledged = `${sent}
        established  > . 1:1(0) ack 101 win 1000`;
      expect(left(acknowledged)).to.equal(5 * 86_400_000);
      const finished = `${acknowledged}
        established  > F. 1:1(0) ack 101 win 1000`;
      expect(left(finished)).to.equal(300_000);
      const halfClosed = `${finished}
        established  < . 101:101(0) ack 2 win 1000`;
      expect(left(halfClosed)).to.equal(7_440_000);
      const closing = `${halfClosed}
        established  < F. 101:101(0) ack 2 win 1000`;
      expect(left(closing)).to.equal(240_000);
      const over = `${closing}
        established  > . 2:2(0) ack 102 win 1000`;
      expect(left(over)).to.equal(240_000);
      expect(
        left(`${acknowledged}
        established  > R 1:1(0) win 0`),
      ).to.equal(10_000);
    });

    it('are longer than hosts wait between two attempts', () => {
      tracked.run(`${OPEN}
        established  > P. 1:101(100) ack 1 win 1000
        wait         120000
        established  > P. 1:101(100) ack 1 win 1000
        phase        established`);
    });

    it('of one that was taken up in the middle are no longer for its FIN until the other side shows itself', () => {
      expect(
        left(`
        new          < P. 69000:70000(1000) ack 5000 win 10
        new          < F. 70000:70000(0) ack 5000 win 10`),
      ).to.equal(120_000);
    });

    it('can be set one by one', () => {
      const timeouts = { tcpOpening: 1000, tcpEstablished: 7_440_000 };
      const own = new Tracked(facts, { timeouts }).run('new < S 0:0(0) win 1000');
      expect(own.last?.expiresIn).to.equal(1000);
      expect(new Tracked(facts, { timeouts }).run(OPEN).last?.expiresIn).to.equal(7_440_000);
    });
  });
});
