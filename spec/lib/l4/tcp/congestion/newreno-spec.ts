import { expect } from 'chai';
import { initialWindow } from '../../../../../lib/l4/tcp/congestion/congestion.js';
import { NewReno } from '../../../../../lib/l4/tcp/congestion/newreno.js';
import { WindowValidation } from '../../../../../lib/l4/tcp/congestion/validation.js';
import { ack, MSS, RoundTrips, settings } from './path.js';

describe('NewReno', () => {
  const make = (segments: number, options: Parameters<typeof settings>[0] = {}) =>
    new NewReno(MSS, segments * MSS, settings(options));

  it('starts with ten segments (6928-1, 5681-2)', () => {
    expect([initialWindow(1460, 10), initialWindow(536, 10), initialWindow(9000, 10)]).to.deep.equal([
      14_600, 5360, 18_000,
    ]);
  });

  it('grows in slow start by what is acknowledged, two segments an acknowledgment at most (5681-4, GT-72)', () => {
    const reno = make(10);
    reno.acknowledged(ack({ delivered: 300 }));
    expect(reno.cwnd, 'less than a segment').to.equal(10_300);
    reno.acknowledged(ack({ delivered: 2000 }));
    expect(reno.cwnd).to.equal(12_300);
    reno.acknowledged(ack({ delivered: 5000 }));
    expect(reno.cwnd).to.equal(14_300);
    const linux = make(10, { slowStartLimit: Number.POSITIVE_INFINITY });
    linux.acknowledged(ack({ delivered: 10_000 }));
    expect(linux.cwnd, 'a limit that was set').to.equal(20_000);
  });

  it('doubles every round trip in slow start (5681-4, GT-72)', () => {
    const path = new RoundTrips(make(10), 100);
    path.round();
    path.round();
    expect(path.segments).to.equal(40);
  });

  it('halves what was in flight, or the window in whole segments (5681-6)', () => {
    const [flight, window] = [make(11), make(11, { halve: 'window' })];
    for (const reno of [flight, window]) reno.congested('loss', 6000, 0);
    expect([flight.ssthresh, window.ssthresh]).to.deep.equal([3000, 5000]);
  });

  it('does not shoot past the threshold in slow start: the rest counts for congestion avoidance (5681-5)', () => {
    const reno = make(100);
    reno.timeout(20_000, false, 0);
    for (let i = 0; i < 9; i++) reno.acknowledged(ack());
    expect(reno.cwnd).to.equal(10_000);
    reno.timeout(21_000, true, 0);
    reno.acknowledged(ack());
    expect([reno.cwnd, reno.ssthresh]).to.deep.equal([2000, 10_000]);
  });

  it('grows by a segment a round trip in congestion avoidance, and only when the window limits (5681-5, 7661, GT-72)', () => {
    const reno = make(20);
    const path = new RoundTrips(reno, 50);
    path.loss();
    expect([reno.cwnd, reno.ssthresh]).to.deep.equal([10_000, 10_000]);
    for (let i = 0; i < 9; i++) reno.acknowledged(ack());
    expect(reno.cwnd).to.equal(10_000);
    reno.acknowledged(ack());
    expect(reno.cwnd).to.equal(11_000);
    for (let i = 0; i < 20; i++) path.round();
    expect(path.segments).to.equal(31);
    for (let i = 0; i < 20; i++) path.round(50, false);
    expect(path.segments).to.equal(31);
  });

  it('halves what was in flight, not the window, and once per timeout series (5681-6, 5681-7)', () => {
    const reno = make(100);
    reno.timeout(8000, false, 0);
    expect([reno.cwnd, reno.ssthresh]).to.deep.equal([1000, 4000]);
    reno.timeout(1000, true, 0);
    expect(reno.ssthresh).to.equal(4000);
    reno.timeout(1000, false, 0);
    expect(reno.ssthresh, 'at least two segments').to.equal(2000);
  });

  it('does not take segments of limited transmit into account (5681-6, 3042-1)', () => {
    const reno = make(10);
    reno.congested('loss', 12_000, 0);
    expect(reno.ssthresh).to.equal(5000);
  });

  it('counts at most one segment an acknowledgment in slow start after a timeout (5681-7)', () => {
    const reno = make(100);
    reno.timeout(100_000, false, 0);
    reno.acknowledged(ack({ delivered: 30_000 }));
    expect(reno.cwnd).to.equal(2000);
    for (let i = 0; i < 48; i++) reno.acknowledged(ack());
    expect([reno.cwnd, reno.ssthresh]).to.deep.equal([50_000, 50_000]);
  });

  it('takes a reduction back that was for nothing', () => {
    const reno = make(40);
    reno.congested('loss', 40_000, 0);
    reno.cwnd = reno.ssthresh;
    reno.undo(10);
    expect([reno.cwnd, reno.ssthresh]).to.deep.equal([40_000, 0x7fff_ffff]);
  });

  it('goes back to the initial window after a pause, unless told otherwise, and quickly up again (5681-11)', () => {
    const reno = make(10);
    const path = new RoundTrips(reno, 100);
    path.round();
    path.loss();
    path.run(2000);
    expect(path.segments).to.equal(30);
    reno.idle(300, 300, path.now);
    expect(path.segments, 'a short pause').to.equal(30);
    reno.idle(301, 300, path.now);
    expect([path.segments, reno.ssthresh]).to.deep.equal([10, 22_500]);

    const steady = make(10, { slowStartAfterIdle: false });
    new RoundTrips(steady, 100).round();
    steady.idle(10_000, 300, 0);
    expect(steady.cwnd).to.equal(20_000);
  });

  it('keeps the number of segments when these become smaller, and the bytes when they become larger', () => {
    const reno = make(10);
    reno.resize(500);
    expect(reno.cwnd).to.equal(5000);
    reno.resize(1500);
    expect(reno.cwnd).to.equal(5000);
  });

  it('is a segment at least after a recovery during which these became larger', () => {
    const reno = make(10);
    reno.resize(500);
    reno.congested('loss', 500, 0);
    expect(reno.ssthresh).to.equal(1000);
    reno.resize(1500);
    reno.recovered(0, 0);
    expect(reno.cwnd).to.equal(1500);
  });
});

describe('congestion window validation (7661)', () => {
  const validating = (): RoundTrips => {
    const path = new RoundTrips(new NewReno(MSS, 10 * MSS, settings({ windowValidation: true })), 100);
    for (let i = 0; i < 3; i++) path.round();
    expect(path.segments).to.equal(80);
    return path;
  };
  /** Rounds in which only so many segments were sent. */
  const sparse = (path: RoundTrips, rounds: number, segments: number) => {
    for (let i = 0; i < rounds; i++) {
      path.now += 100;
      const delivered = segments * MSS;
      path.control.acknowledged(ack({ now: path.now, delivered, totalDelivered: delivered, roundStart: true }));
    }
  };

  it('does not grow a window of which less than half is used, and keeps it over a pause (7661)', () => {
    const path = validating();
    sparse(path, 4, 20);
    expect(path.segments).to.be.at.most(84);
    const { cwnd } = path.control;
    sparse(path, 4, 20);
    path.control.idle(5000, 300, path.now);
    expect(path.control.cwnd).to.equal(cwnd);
    for (let i = 0; i < 4; i++) path.round();
    expect(path.control.cwnd, 'used again').to.be.above(cwnd);
  });

  it('halves it after five minutes, but not to less than the initial one (7661)', () => {
    const path = validating();
    sparse(path, 8, 4);
    const { cwnd } = path.control;
    for (const minutes of [5.1, 10.2, 15.3, 20.4]) path.control.idle(1000, 300, minutes * 60_000);
    expect(path.segments).to.equal(10);
    expect(path.control.ssthresh, 'with a threshold near what it was').to.be.within(0.7 * cwnd, 0x7fff_ffff);
  });

  it('halves it then also where there is always a little in flight (7661)', () => {
    const path = validating();
    sparse(path, 3000, 4);
    const { cwnd } = path.control;
    expect(cwnd).to.be.at.least(80_000);
    sparse(path, 20, 4);
    expect(path.control.cwnd).to.equal(cwnd / 2);
    expect(path.control.ssthresh).to.equal(0x7fff_ffff);
    sparse(path, 2900, 4);
    expect(path.control.cwnd, 'the next five minutes').to.equal(cwnd / 2);
  });

  it('lets what was delivered in a round trip count for a second, and for three rounds (7661)', () => {
    for (const [rtt, forgotten] of [
      [10, 1500],
      [1000, 3000],
    ] as const) {
      const validation = new WindowValidation();
      for (let now = 0; now <= forgotten; now += rtt) {
        const totalDelivered = now === 0 ? 40_000 : 2000;
        validation.acknowledged(ack({ now, totalDelivered, roundStart: true }), 80_000);
        if (now > 0) expect(validation.pipeAck, `${now} ms`).to.equal(now < forgotten ? 40_000 : 2000);
      }
      expect(validation.valid).to.equal(false);
    }
  });

  it('does not trust it after a loss: half of what was proven remains (7661)', () => {
    const path = validating();
    sparse(path, 16, 12);
    path.control.congested('loss', 9000, path.now);
    expect(path.control.ssthresh).to.equal(4500);
    const proven = validating();
    proven.control.congested('loss', 80_000, proven.now);
    expect(proven.control.ssthresh).to.equal(40_000);
  });
});
