import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { type Block, block, full, Lossy, MSS, RTT, upTo } from './lossy.js';

/** Three that overtake the first make it look lost. */
function overtaken(lossy: Lossy): { cwnd: number; ssthresh: number } {
  lossy.write(10);
  const { cwnd, ssthresh } = lossy.c.congestion;
  lossy.wait(RTT);
  expect(lossy.ack(1, [block(1, 4)])).to.deep.equal(full(0, 1));
  expect(lossy.c.congestion.ssthresh).to.be.below(cwnd);
  return { cwnd, ssthresh };
}

/** How often the control hears from now on that a recovery is over, and stays small. */
function endsOf({ c }: Lossy): () => number {
  const { congestion } = c;
  const recovered = congestion.recovered.bind(congestion);
  let count = 0;
  congestion.recovered = (flight, now) => {
    count++;
    recovered(flight, now);
  };
  return () => count;
}

forBothVersions('Recoveries for nothing', ({ version }) => {
  it('a report that what was sent again came twice takes the reduction back (GT-78, GT-80, 2883-1)', () => {
    const lossy = new Lossy(version);
    const { cwnd, ssthresh } = overtaken(lossy);
    lossy.ack(upTo(8));
    expect(lossy.c.recovery.state).to.equal('recovery');
    lossy.ack(upTo(8), [block(0, 1)]);
    expect(lossy.c.recovery.state).to.equal('open');
    expect([lossy.c.congestion.cwnd >= cwnd, lossy.c.congestion.ssthresh]).to.deep.equal([true, ssthresh]);
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(1);
    lossy.end();
  });

  it('also after the recovery, but where D-SACK is off (GT-78)', () => {
    for (const dsack of [true, false]) {
      const lossy = new Lossy(version, { dsack });
      const { ssthresh } = overtaken(lossy);
      lossy.ack(upTo(9), [block(0, 1)]);
      lossy.ack(upTo(10));
      expect(lossy.c.congestion.ssthresh === ssthresh).to.equal(dsack);
      expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(dsack ? 1 : 0);
      lossy.end();
    }
  });

  it('not if something else that was sent again did not come twice (GT-78)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(2, 8)]);
    lossy.ack(1, [block(2, 9)]);
    lossy.ack(1, [block(2, 10)]);
    expect(lossy.which('retransmitted')).to.deep.equal([1, upTo(1)]);
    lossy.ack(upTo(10), [block(0, 1)]);
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
    lossy.end();
  });

  it('not by duplicates of what was acknowledged before it began (GT-78)', () => {
    const lossy = new Lossy(version);
    lossy.write(1);
    lossy.wait(300);
    lossy.ack(upTo(1));
    lossy.write(9);
    lossy.wait(RTT);
    lossy.ack(upTo(1), [block(2, 5)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    lossy.ack(upTo(1), [block(0, 1), block(2, 5)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    lossy.end();
  });

  it('nor by duplicates that end where it began, of what a timeout had sent again (GT-78)', () => {
    const lossy = new Lossy(version, { tlp: false });
    lossy.write(1);
    expect(lossy.wait(400)).to.deep.equal(full(0, 1));
    lossy.write(60);
    let n = 1;
    for (lossy.ack(upTo(n)); lossy.c.sent.count < 5; ) lossy.ack(upTo(++n));
    lossy.wait(RTT);
    expect(lossy.ack(upTo(n), [block(n + 1, n + 4)])[0]).to.equal(full(n, n + 1)[0]);
    lossy.ack(upTo(n), [block(n - 1, n), block(n + 1, n + 4)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
    lossy.end();
  });

  for (const [what, wait, sentAgain] of [
    ['tail loss probe', 2 * RTT + 10, full(11, 12)],
    ['segment that the network doubled', RTT, []],
  ] as const) {
    it(`nor by a duplicate of what was sent after it, a ${what} (GT-78, 2883-1)`, () => {
      const lossy = new Lossy(version);
      overtaken(lossy);
      lossy.ack(upTo(10));
      expect(lossy.c.recovery.state, 'the first was lost').to.equal('open');
      const { ssthresh } = lossy.c.congestion;
      lossy.write(2);
      expect(lossy.wait(wait)).to.deep.equal(sentAgain);
      lossy.ack(upTo(12));
      lossy.ack(upTo(12), [block(11, 12)]);
      expect(lossy.c.statistics.duplicatesReported).to.equal(1);
      expect(lossy.c.congestion.ssthresh).to.equal(ssthresh);
      expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
      lossy.end();
    });
  }

  it('nor by a duplicate behind all that was sent again (GT-78)', () => {
    const lossy = new Lossy(version);
    overtaken(lossy);
    lossy.ack(upTo(5), [block(4, 5)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
    lossy.end();
  });

  it('nor what a loss costs that a tail loss probe repaired later (GT-78, 8985-5)', () => {
    const lossy = new Lossy(version);
    overtaken(lossy);
    lossy.ack(upTo(10));
    lossy.write(4);
    expect(lossy.wait(2 * RTT + 10)).to.deep.equal(full(13, 14));
    lossy.ack(upTo(14));
    lossy.write(1);
    lossy.wait(RTT);
    lossy.ack(upTo(15));
    expect(lossy.dut.host.counters.lossProbeRecoveries).to.equal(1);
    const { ssthresh } = lossy.c.congestion;
    lossy.ack(upTo(15), [block(0, 1)]);
    expect(lossy.c.congestion.ssthresh).to.equal(ssthresh);
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
    lossy.end();
  });

  for (const [what, blocks, number, reports] of [
    ['below the acknowledgment number', [[1, 1001]], 4001, true],
    ['below it, partly', [[501, 1001]], 4001, true],
    [
      'within the second block',
      [
        [6001, 7001],
        [5001, 8001],
      ],
      4001,
      true,
    ],
    ['above it and alone', [[5001, 6001]], 4001, false],
    [
      'in the second place only',
      [
        [5001, 6001],
        [1, 1001],
      ],
      4001,
      false,
    ],
    ['of what was never sent', [[1, 20_001]], 4001, false],
    ['of more than was sent twice', [[1, 3001]], 4001, false],
  ] as const satisfies readonly (readonly [string, readonly Block[], number, boolean])[]) {
    it(`a duplicate is reported by the first block: ${what} (GT-80, 2883-1)`, () => {
      const lossy = new Lossy(version);
      overtaken(lossy);
      lossy.ack(number, [[5001, 8001]]);
      lossy.ack(number, blocks);
      expect(lossy.c.statistics.duplicatesReported).to.equal(reports ? 1 : 0);
      lossy.end();
    });
  }

  it('an echo older than the retransmission shows that the original came (Eifel, GT-78)', () => {
    const lossy = new Lossy(version, {}, { timestamps: true });
    const { cwnd, ssthresh } = overtaken(lossy);
    lossy.wait(10);
    lossy.ack(upTo(4), [], { echo: RTT });
    expect(lossy.c.recovery.state, 'until what was sent again is accounted for').to.equal('open');
    expect([lossy.c.congestion.cwnd >= cwnd, lossy.c.congestion.ssthresh]).to.deep.equal([true, ssthresh]);
    lossy.end();
  });

  it('as long as something else is on its way again nothing is taken back, nor sent again (Eifel, GT-78)', () => {
    const lossy = new Lossy(version, {}, { timestamps: true });
    lossy.write(10);
    lossy.wait(RTT);
    for (const last of [8, 9, 10]) lossy.ack(1, [block(2, last)]);
    expect(lossy.which('retransmitted')).to.deep.equal([1, upTo(1)]);
    lossy.wait(10);
    expect(lossy.ack(upTo(1), [block(2, 10)], { echo: RTT })).to.deep.equal([]);
    expect([lossy.c.recovery.state, lossy.dut.host.counters.spuriousRecoveries]).to.deep.equal(['recovery', 0]);
    lossy.ack(upTo(10), [], { echo: RTT });
    expect([lossy.c.recovery.state, lossy.dut.host.counters.spuriousRecoveries]).to.deep.equal(['open', 1]);
    lossy.end();
  });

  it('an echo of the retransmission does not (GT-78)', () => {
    const lossy = new Lossy(version, {}, { timestamps: true });
    const { cwnd } = overtaken(lossy);
    lossy.wait(RTT);
    lossy.ack(upTo(10), [], { echo: 2 * RTT });
    expect(lossy.c.recovery.state).to.equal('open');
    expect(lossy.c.congestion.cwnd).to.be.below(cwnd);
    expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(0);
    lossy.end();
  });

  it('nor does a timeout that echoes show to be spurious cost anything (Eifel, GT-78)', () => {
    for (const sack of [true, false]) {
      const lossy = new Lossy(version, { tlp: false, frto: false }, { timestamps: true, sack });
      lossy.write(10);
      const { ssthresh, cwnd } = lossy.c.congestion;
      expect(lossy.wait(300)).to.deep.equal(full(0, 1));
      lossy.ack(upTo(1), [], { echo: RTT });
      expect(lossy.c.congestion.ssthresh).to.equal(ssthresh);
      expect(lossy.c.congestion.cwnd).to.be.at.least(cwnd);
      expect(lossy.which('lost')).to.deep.equal([]);
      expect(lossy.c.recovery.state).to.equal('open');
      expect(lossy.dut.host.counters).to.include({ spuriousTimeouts: 1, retransmits: 1 });
      lossy.end();
    }
  });

  it('what the network marked is not taken back (3168-1)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.c.recovery.reduceForEcn(lossy.c);
    const { ssthresh } = lossy.c.congestion;
    expect(ssthresh).to.equal(5 * MSS);
    lossy.wait(RTT);
    lossy.ack(1, [block(1, 4)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    lossy.ack(upTo(8), [block(0, 1)]);
    expect(lossy.c.congestion.ssthresh).to.equal(ssthresh);
    lossy.end();
  });

  for (const congestion of ['newreno', 'bbr'] as const) {
    it(`where a mark forbids that, the recovery is over all the same, for ${congestion}, too (3168-1)`, () => {
      const lossy = new Lossy(version, { congestion }, { ecn: true });
      lossy.write(10);
      lossy.wait(RTT);
      expect(lossy.ack(1, [block(1, 4)])).to.deep.equal(full(0, 1));
      lossy.ack(upTo(8), [], { ece: true });
      expect(lossy.c.recovery.state).to.equal('recovery');
      const ends = endsOf(lossy);
      lossy.ack(upTo(8), [block(0, 1)]);
      expect([lossy.c.recovery.state, ends()]).to.deep.equal(['open', 1]);
      expect(lossy.c.congestion.cwnd).to.be.at.least(5 * MSS);
      lossy.end();
    });

    it(`the same after a timeout, but a window that grows again goes on with that: ${congestion} (3168-1)`, () => {
      const lossy = new Lossy(version, { congestion, tlp: false, frto: false }, { timestamps: true, ecn: true });
      lossy.write(10);
      expect(lossy.wait(300)).to.deep.equal(full(0, 1));
      lossy.ack(1, [], { ece: true });
      expect(lossy.c.recovery.state).to.equal('loss');
      const ends = endsOf(lossy);
      lossy.ack(upTo(1), [], { echo: RTT });
      expect([lossy.c.recovery.isRepairing, ends()]).to.deep.equal([false, congestion === 'bbr' ? 1 : 0]);
      expect(lossy.c.congestion.cwnd >= 5 * MSS).to.equal(congestion === 'bbr');
      lossy.end();
    });

    it(`a report that comes when the recovery is long over does not end it once more: ${congestion} (3168-1)`, () => {
      const lossy = new Lossy(version, { congestion }, { ecn: true });
      lossy.write(10);
      lossy.wait(RTT);
      lossy.ack(1, [block(1, 4)]);
      lossy.ack(upTo(8), [], { ece: true });
      const ends = endsOf(lossy);
      lossy.ack(upTo(10));
      lossy.ack(upTo(10), [block(0, 1)]);
      expect([lossy.c.recovery.state, ends()]).to.deep.equal(['open', 1]);
      expect(lossy.dut.host.counters.spuriousRecoveries).to.equal(1);
      lossy.end();
    });
  }
});
