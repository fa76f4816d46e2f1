import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { block, full, Lossy, MSS, RTT, upTo } from './lossy.js';

forBothVersions('Tail loss probes (RFC 8985 7)', ({ version }) => {
  it('the last segment goes out again after two round-trip times, once; then the timeout counts (8985-4, GP-41, GT-79)', () => {
    const lossy = new Lossy(version);
    expect(lossy.write(5)).to.deep.equal(full(0, 5));
    expect(lossy.times(600)).to.deep.equal([
      [2 * RTT + 2, full(4, 5)[0]],
      [2 * RTT + 2 + 300, full(0, 1)[0]],
    ]);
    expect(lossy.dut.host.counters).to.include({ lossProbes: 1, timeouts: 1 });
    lossy.end();
  });

  it('with one segment in flight it leaves the peer time for a delayed ACK, but comes no later than the timeout (8985-4, GT-79)', () => {
    const lossy = new Lossy(version, { minRto: 150 });
    lossy.c.rtt.sample(40, 1, lossy.c.snd);
    lossy.c.rtt.rttvar = 60;
    const { rto, srtt } = lossy.c.rtt;
    lossy.write(1);
    expect(lossy.times(1000)[0]?.[0]).to.equal(Math.ceil(Math.min(rto, 2 * srtt + 150)));
    lossy.end();
  });

  it('new data are the better probe, whatever the congestion window (8985-4)', () => {
    const lossy = new Lossy(version);
    lossy.c.write(new Uint8Array(12 * MSS));
    expect(lossy.ranges()).to.deep.equal(full(0, 10));
    expect(lossy.times(250)).to.deep.equal([[2 * RTT + 2, full(10, 11)[0]]]);
    lossy.end();
  });

  it('unless the window of the peer has no room (8985-4, GT-79)', () => {
    const lossy = new Lossy(version, {}, { win: 3 * MSS });
    lossy.c.write(new Uint8Array(5 * MSS));
    expect(lossy.ranges()).to.deep.equal(full(0, 3));
    expect(lossy.times(250)[0]).to.deep.equal([2 * RTT + 2, full(2, 3)[0]]);
    lossy.end();
  });

  it('each acknowledgment, and each sending, starts the time anew (8985-4)', () => {
    const lossy = new Lossy(version);
    lossy.write(3);
    lossy.wait(RTT);
    lossy.write(1);
    lossy.ack(upTo(1));
    expect(lossy.times(250)).to.deep.equal([[2 * RTT + 2, full(3, 4)[0]]]);
    lossy.end();
  });

  it('not where losses are being repaired, nor without SACK, nor where it is off (8985-4, GT-79)', () => {
    const repairing = new Lossy(version);
    repairing.write(10);
    repairing.wait(RTT);
    repairing.ack(1, [block(1, 4)]);
    repairing.wait(50);
    repairing.ack(upTo(5));
    expect(repairing.c.recovery.state).to.equal('recovery');
    for (const lossy of [repairing, new Lossy(version, {}, { sack: false }), new Lossy(version, { tlp: false })]) {
      if (lossy !== repairing) lossy.write(4);
      lossy.wait(250);
      expect(lossy.dut.host.counters.lossProbes).to.equal(0);
      lossy.end();
    }
  });

  it('what it draws out starts a recovery: a lost tail costs no timeout (8985-4, GP-41, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(upTo(5));
    expect(lossy.wait(2 * RTT + 2)).to.deep.equal(full(9, 10));
    lossy.wait(RTT);
    const again = [...lossy.ack(upTo(5), [block(9, 10)]), ...lossy.wait(40)];
    expect(again[0]).to.equal(full(5, 6)[0]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    expect(lossy.dut.host.counters.timeouts).to.equal(0);
    lossy.end();
  });

  it('a loss that it repaired costs like any other (8985-5, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(4);
    lossy.wait(2 * RTT + 2);
    lossy.wait(RTT);
    lossy.ack(upTo(4));
    const { cwnd } = lossy.c.congestion;
    lossy.write(1);
    lossy.wait(RTT);
    lossy.ack(upTo(5));
    expect(lossy.c.congestion.cwnd).to.be.below(cwnd);
    expect(lossy.c.congestion.ssthresh).to.be.below(cwnd);
    expect(lossy.dut.host.counters).to.include({ lossProbeRecoveries: 1 });
    lossy.end();
  });

  for (const [what, blocks] of [
    ['a report of the duplicate', [block(3, 4)]],
    ['a duplicate acknowledgment', []],
  ] as const) {
    it(`${what} says that nothing was lost (8985-5, GT-79)`, () => {
      const lossy = new Lossy(version);
      lossy.write(4);
      expect(lossy.wait(2 * RTT + 2)).to.deep.equal(full(3, 4));
      lossy.ack(upTo(4));
      lossy.wait(RTT);
      lossy.ack(upTo(4), blocks);
      const { cwnd } = lossy.c.congestion;
      lossy.write(1);
      lossy.wait(RTT);
      lossy.ack(upTo(5));
      expect(lossy.c.congestion.cwnd).to.be.at.least(cwnd);
      expect(lossy.dut.host.counters).to.include({ lossProbes: 1, lossProbeRecoveries: 0 });
      lossy.end();
    });
  }

  it('new data that were acknowledged repaired nothing (8985-5)', () => {
    const lossy = new Lossy(version);
    lossy.c.write(new Uint8Array(11 * MSS));
    lossy.ranges();
    lossy.wait(2 * RTT + 2);
    const { ssthresh } = lossy.c.congestion;
    lossy.ack(upTo(11));
    lossy.write(1);
    lossy.ack(upTo(12));
    expect(lossy.c.congestion.ssthresh).to.equal(ssthresh);
    lossy.end();
  });

  it('one at a time: as long as the last one is not settled there is no other (8985-4)', () => {
    const lossy = new Lossy(version);
    lossy.write(4);
    expect(lossy.wait(2 * RTT + 2)).to.deep.equal(full(3, 4));
    lossy.ack(upTo(1));
    expect(lossy.wait(2 * RTT + 2)).to.deep.equal([]);
    expect(lossy.dut.host.counters.lossProbes).to.equal(1);
    lossy.end();
  });
});
