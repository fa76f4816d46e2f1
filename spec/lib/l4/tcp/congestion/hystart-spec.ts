import { expect } from 'chai';
import { Cubic } from '../../../../../lib/l4/tcp/congestion/cubic.js';
import { MSS, RoundTrips, ack, settings } from './path.js';

describe('HyStart++', () => {
  const UNKNOWN = 0x7fff_ffff;
  const path = (rtt: number, options: Parameters<typeof settings>[0] = {}) =>
    new RoundTrips(new Cubic(MSS, 10 * MSS, settings(options)), rtt);

  it('does not disturb slow start while round trips stay as they are (GT-81)', () => {
    const flow = path(100);
    for (let i = 0; i < 6; i++) flow.round(100 + (i % 2));
    expect([flow.segments, flow.control.ssthresh]).to.deep.equal([640, UNKNOWN]);
  });

  it('slows down to a quarter when they grow by an eighth, and leaves after five rounds (GT-81)', () => {
    const flow = path(80);
    flow.round();
    flow.round();
    expect(flow.segments).to.equal(40);
    flow.round(90);
    // Seven samples say nothing yet, the eighth does.
    expect(flow.segments).to.equal(40 + 7 + 33 / 4);
    const windows: number[] = [];
    for (let i = 0; i < 4; i++) {
      flow.round(92);
      windows.push(Math.round(flow.segments));
      expect(flow.control.ssthresh).to.equal(UNKNOWN);
    }
    expect(windows).to.deep.equal([69, 86, 108, 135]);
    flow.round(92);
    expect(flow.control.ssthresh, 'the sixth round: congestion avoidance').to.be.closeTo(135 * MSS, MSS);
    expect(flow.segments).to.be.closeTo(135, 2);
  });

  it('goes on at full pace when the delay was a passing one (GT-81)', () => {
    const flow = path(80);
    flow.round();
    flow.round();
    flow.round(95);
    flow.round(80);
    const { segments } = flow;
    flow.round(80);
    expect(flow.segments).to.equal(2 * segments);
    expect(flow.control.ssthresh).to.equal(UNKNOWN);
  });

  it('has a threshold of 4 to 16 ms (GT-81)', () => {
    const exits = (rtt: number, later: number): boolean => {
      const flow = path(rtt);
      flow.round();
      flow.round();
      flow.round(later);
      return flow.segments < 80;
    };
    expect([exits(1, 4.9), exits(1, 5), exits(400, 415), exits(400, 416), exits(80, 89), exits(80, 90)]).to.deep.equal([
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
  });

  it('is for the first slow start only, and can be switched off (GT-81)', () => {
    const later = path(80);
    later.control.timeout(200_000, false, 0);
    expect(later.control.ssthresh).to.equal(7000);
    const off = path(80, { hystart: false });
    off.round();
    off.round(200);
    off.round(400);
    expect(off.segments).to.equal(80);
  });

  it('lets one acknowledgment add eight segments, any number where segments are paced (GT-81)', () => {
    const plain = path(80);
    plain.control.acknowledged(ack({ delivered: 10 * MSS }));
    expect(plain.segments).to.equal(18);
    const paced = path(80, { pacing: true });
    paced.control.acknowledged(ack({ delivered: 10 * MSS }));
    expect(paced.segments).to.equal(20);
  });

  it('a loss ends it', () => {
    const flow = path(80);
    flow.round();
    flow.loss();
    expect([flow.segments, flow.control.ssthresh]).to.deep.equal([14, 14_000]);
  });
});
