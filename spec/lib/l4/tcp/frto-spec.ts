import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { block, full, Lossy, MSS, RTT, upTo } from './lossy.js';

const NO_PROBES = { tlp: false } as const;

forBothVersions('Spurious timeouts (F-RTO, RFC 5682)', ({ version }) => {
  for (const sack of [true, false]) {
    const kind = sack ? 'with' : 'without';

    it(`sends new data after the first acknowledgment, and takes the timeout back when the second is of what was not sent again, ${kind} SACK (5682-1, GT-78)`, () => {
      const lossy = new Lossy(version, NO_PROBES, { sack });
      lossy.c.write(new Uint8Array(20 * MSS));
      lossy.ranges();
      const { cwnd, ssthresh } = lossy.c.congestion;
      expect(lossy.wait(300)).to.deep.equal(full(0, 1));
      expect(lossy.c.recovery.state).to.equal('loss');
      // All of the flight was only late.
      expect(lossy.ack(upTo(1))).to.deep.equal(full(10, 12));
      lossy.ack(upTo(2));
      expect([lossy.c.congestion.cwnd >= cwnd, lossy.c.congestion.ssthresh]).to.deep.equal([true, ssthresh]);
      expect(lossy.c.recovery.state).to.equal('open');
      expect(lossy.dut.host.counters).to.include({ retransmits: 1, timeouts: 1, spuriousTimeouts: 1 });
      lossy.end();
    });

    it(`goes on repairing when a duplicate comes instead, ${kind} SACK (5682-1)`, () => {
      const lossy = new Lossy(version, NO_PROBES, { sack });
      lossy.c.write(new Uint8Array(20 * MSS));
      lossy.ranges();
      lossy.wait(300);
      expect(lossy.ack(upTo(1))).to.deep.equal(full(10, 12));
      lossy.wait(RTT);
      expect(lossy.ack(upTo(1), sack ? [block(10, 11)] : [])).to.deep.equal(full(1, 2));
      expect([lossy.c.recovery.state, lossy.c.recovery.frto]).to.deep.equal(['loss', false]);
      expect(lossy.dut.host.counters.spuriousTimeouts).to.equal(0);
      lossy.end();
    });
  }

  it('a selective acknowledgment of what was not sent again is as good (5682-1)', () => {
    const lossy = new Lossy(version, NO_PROBES);
    lossy.write(10);
    lossy.wait(300);
    lossy.ack(1, [block(3, 4)]);
    expect(lossy.c.recovery.state).not.to.equal('loss');
    expect(lossy.dut.host.counters.spuriousTimeouts).to.equal(1);
    lossy.end();
  });

  it('but not one that repeats what was known before (5682-1, 2018-2)', () => {
    const lossy = new Lossy(version, { ...NO_PROBES, rack: false });
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(3, 4)]);
    lossy.wait(300);
    lossy.ack(1, [block(3, 4)]);
    expect(lossy.c.recovery.state).to.equal('loss');
    expect(lossy.dut.host.counters.spuriousTimeouts).to.equal(0);
    lossy.end();
  });

  it('without new data there is nothing to find out: what is lost goes out again (5682-1)', () => {
    const lossy = new Lossy(version, NO_PROBES);
    lossy.write(10);
    lossy.wait(300);
    expect(lossy.ack(upTo(1))).to.deep.equal(full(1, 3));
    lossy.end();
  });

  it('where it is off, all is sent again', () => {
    const lossy = new Lossy(version, { ...NO_PROBES, frto: false });
    lossy.c.write(new Uint8Array(20 * MSS));
    lossy.ranges();
    lossy.wait(300);
    expect(lossy.ack(upTo(1))).to.deep.equal(full(1, 3));
    lossy.ack(upTo(4));
    expect(lossy.c.recovery.state).to.equal('loss');
    expect(lossy.dut.host.counters.spuriousTimeouts).to.equal(0);
    lossy.end();
  });
});
