import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { block, full, Lossy, RTT, upTo } from './lossy.js';

/** Ten segments, ten milliseconds apart, and the first acknowledgment a round trip later. */
function spaced(lossy: Lossy, segments: number, gap = 10): void {
  for (let i = 0; i < segments; i++) {
    lossy.write(1);
    lossy.dut.wait(gap);
  }
}

forBothVersions('RACK (RFC 8985 6)', ({ version }) => {
  it('what was sent a round-trip time before something that arrived is lost at the third (8985-2, 8985-3, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    expect(lossy.ack(1, [block(1, 2)])).to.deep.equal([]);
    expect(lossy.ack(1, [block(1, 3)])).to.deep.equal([]);
    expect(lossy.which('lost')).to.deep.equal([]);
    expect(lossy.ack(1, [block(1, 4)])[0]).to.equal(full(0, 1)[0]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    lossy.end();
  });

  it('with fewer, a quarter of the least round-trip time later, and no timeout (8985-3, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(3);
    lossy.wait(RTT);
    lossy.ack(1, [block(1, 3)]);
    // Two milliseconds for the clock, as with Linux.
    expect(lossy.times(100)).to.deep.equal([[RTT / 4 + 2, full(0, 1)[0]]]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    expect(lossy.dut.host.counters).to.include({ timeouts: 0, lossProbes: 0, fastRetransmits: 1 });
    lossy.end();
  });

  it('what was sent later than what arrived is not judged, nor what is not late enough (8985-2)', () => {
    const lossy = new Lossy(version);
    spaced(lossy, 6);
    lossy.wait(50);
    // At 110: the second, sent at 10, takes 100.
    lossy.ack(1, [block(1, 2)]);
    expect(lossy.times(30), 'sent at 0, so until 125').to.deep.equal([[15 + 2, full(0, 1)[0]]]);
    expect(lossy.which('lost'), 'only what was sent before').to.deep.equal([1]);
    lossy.end();
  });

  it('a path that was seen to reorder gets a quarter of the least round-trip time, whatever arrives (8985-2, 8985-3, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(2, 3)]);
    lossy.ack(1, [block(1, 3)]);
    expect(lossy.c.recovery.reorderings, 'the second came after the third').to.equal(1);
    expect(lossy.ack(1, [block(1, 6)])).to.deep.equal([]);
    expect(lossy.which('lost')).to.deep.equal([]);
    expect(lossy.times(40)[0]).to.deep.equal([RTT / 4 + 2, full(0, 1)[0]]);
    lossy.end();
  });

  it('while losses are repaired nothing is waited for (8985-3)', () => {
    const lossy = new Lossy(version);
    lossy.write(6);
    lossy.wait(90);
    lossy.write(4);
    lossy.wait(10);
    expect(lossy.ack(1, [block(1, 4)])).to.deep.equal(full(0, 1));
    lossy.wait(RTT);
    // The retransmission took 100, so what was sent 110 before is lost, though only one segment behind it is known to have arrived.
    lossy.ack(upTo(6), [block(7, 8)]);
    expect(lossy.which('lost')).to.deep.equal([upTo(6), upTo(8), upTo(9)]);
    lossy.end();
  });

  it('a segment that comes late, but within the window, is no loss (8985-3, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(1, 3)]);
    lossy.wait(20);
    lossy.ack(upTo(3));
    expect(lossy.wait(20)).to.deep.equal([]);
    expect(lossy.c.recovery.state).to.equal('open');
    expect(lossy.dut.host.counters).to.include({ retransmits: 0, fastRetransmits: 0 });
    lossy.end();
  });

  it('an acknowledgment that came too soon for a retransmission is of the original, and says nothing (8985-1, GT-79)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(3, 6)]);
    expect(lossy.which('retransmitted')).to.include(1);
    const rtt = lossy.c.recovery.rack?.rtt;
    lossy.wait(50);
    // 50 ms are less than the least round-trip time.
    lossy.ack(upTo(1), [block(3, 6)]);
    expect(lossy.c.recovery.rack?.rtt).to.equal(rtt);
    expect(lossy.which('retransmitted')).to.include(upTo(1));
    lossy.wait(110);
    lossy.ack(upTo(2), [block(3, 6)]);
    expect(lossy.c.recovery.rack?.rtt, 'this one counts').to.equal(110);
    lossy.end();
  });

  it('finds lost retransmissions (8985-2)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.c.write(new Uint8Array(5000));
    lossy.ranges();
    lossy.ack(1, [block(1, 10)]);
    expect(lossy.which('retransmitted')).to.deep.equal([1]);
    lossy.wait(RTT);
    // What was sent behind the retransmission arrived, the retransmission did not.
    expect(lossy.ack(1, [block(1, 12)])).to.include(full(0, 1)[0]);
    lossy.end();
  });

  it('widens its window for each round with duplicates, for sixteen recoveries, to a smoothed round trip (8985-3)', () => {
    const lossy = new Lossy(version);
    const { rack } = watched(lossy);
    expect(rack.window(lossy.c)).to.equal(RTT / 4);
    lossy.write(1);
    rack.duplicated(lossy.c);
    rack.duplicated(lossy.c);
    expect(rack.window(lossy.c), 'once a round').to.equal(RTT / 2);
    for (let i = 0; i < 15; i++) rack.recovered();
    expect(rack.window(lossy.c)).to.equal(RTT / 2);
    rack.recovered();
    expect(rack.window(lossy.c)).to.equal(RTT / 4);
    lossy.wait(RTT);
    lossy.ack(upTo(1));
    for (let i = 1; i < 10; i++) {
      lossy.write(1);
      lossy.wait(RTT);
      rack.duplicated(lossy.c);
      lossy.ack(upTo(i + 1));
    }
    expect(rack.window(lossy.c)).to.equal(lossy.c.rtt.srtt);
    lossy.end();
  });

  it('also where the last round with duplicates lies more than half of the sequence space back (8985-3)', () => {
    const lossy = new Lossy(version);
    const { rack } = watched(lossy);
    rack.duplicated(lossy.c);
    expect(rack.window(lossy.c)).to.equal(RTT / 2);
    const { snd } = lossy.c;
    snd.una = snd.nxt = (snd.nxt + 2 ** 31 + 5000) | 0;
    rack.duplicated(lossy.c);
    expect(rack.window(lossy.c)).to.equal((3 * RTT) / 4);
    lossy.end();
  });

  it('a report of duplicates widens it (8985-3, 2883-1)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(RTT);
    lossy.ack(1, [block(1, 4)]);
    lossy.wait(10);
    lossy.ack(upTo(10));
    lossy.ack(upTo(10), [block(0, 1)]);
    expect(watched(lossy).rack.window(lossy.c)).to.equal(RTT / 2);
    lossy.end();
  });

  it('a timeout takes for lost only what is old enough (8985-6)', () => {
    const lossy = new Lossy(version, { tlp: false, frto: false });
    lossy.write(1);
    lossy.wait(250);
    lossy.write(1);
    expect(lossy.wait(50)).to.deep.equal(full(0, 1));
    expect(lossy.which('lost')).to.deep.equal([1]);
    expect(lossy.c.sent.pipe, 'the second is in flight').to.equal(2000);
    expect(lossy.ack(upTo(1)), 'and not sent again').to.deep.equal([]);
    lossy.end();
  });

  it('is not used where the peer permits no SACK, or where it is off', () => {
    for (const lossy of [new Lossy(version, {}, { sack: false }), new Lossy(version, { rack: false })]) {
      lossy.write(3);
      lossy.wait(RTT);
      lossy.ack(1, lossy.c.sackPermitted ? [block(1, 3)] : []);
      lossy.wait(50);
      expect(lossy.which('lost')).to.deep.equal([]);
      expect(lossy.c.recovery.rack).to.equal(undefined);
      lossy.end();
    }
  });
});

function watched(lossy: Lossy): { rack: NonNullable<Lossy['c']['recovery']['rack']> } {
  lossy.c.recovery.watchOrder(lossy.c);
  const { rack } = lossy.c.recovery;
  if (rack === undefined) throw new Error('no RACK');
  return { rack };
}
