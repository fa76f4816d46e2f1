import { expect } from 'chai';
import { Cubic } from '../../../../../lib/l4/tcp/congestion/cubic.js';
import { NewReno } from '../../../../../lib/l4/tcp/congestion/newreno.js';
import { ack, MSS, RoundTrips, settings } from './path.js';

/** W_cubic of RFC 9438 4.2 in segments, `t` seconds after the loss at a window of `max`. */
function curve(t: number, max: number): number {
  const k = Math.cbrt((max * 0.3) / 0.4);
  return 0.4 * (t - k) ** 3 + max;
}

describe('CUBIC', () => {
  const path = (segments: number, rtt: number, options: Parameters<typeof settings>[0] = {}) =>
    new RoundTrips(new Cubic(MSS, segments * MSS, settings(options)), rtt);

  it('follows the window curve of RFC 9438 within 5 % (MAY-18, GT-72)', () => {
    for (const rtt of [50, 100, 200]) {
      const flow = path(2000, rtt);
      flow.loss();
      expect(flow.segments).to.equal(1400);
      const k = Math.cbrt(600 / 0.4);
      while (flow.now < 1500 * k) {
        flow.round();
        const expected = curve(flow.now / 1000, 2000);
        expect(flow.segments / expected, `rtt ${rtt}, ${flow.now} ms`).to.be.within(0.95, 1.05);
      }
      expect(flow.segments, 'beyond the plateau').to.be.above(2050);
    }
  });

  it('is back at the plateau after K, concave before it and convex behind (GT-72)', () => {
    const flow = path(1000, 100);
    flow.loss();
    const gains: number[] = [];
    for (let i = 0; i < 18; i++) {
      const { segments } = flow;
      flow.run(1000);
      gains.push(flow.segments - segments);
    }
    // K is 9.1 s.
    for (let i = 1; i < 8; i++) expect(gains[i], `second ${i}`).to.be.below(gains[i - 1] ?? 0);
    for (let i = 11; i < 18; i++) expect(gains[i], `second ${i}`).to.be.above(gains[i - 1] ?? 0);
  });

  it('does not grow by more than half in a round trip', () => {
    const flow = path(20, 2000);
    flow.loss();
    for (let i = 0; i < 30; i++) {
      const { segments } = flow;
      flow.round();
      expect(flow.segments).to.be.at.most(1.65 * segments + 1);
    }
    expect(flow.segments).to.be.above(1000);
  });

  it('is as fast as Reno on average where that is faster (GT-72)', () => {
    const average = (flow: RoundTrips): number => {
      let sum = 0;
      for (let rounds = 1; rounds <= 4000; rounds++) {
        flow.round();
        sum += flow.segments;
        // The path holds 40 segments.
        if (flow.segments > 40) flow.loss();
      }
      return sum / 4000;
    };
    const reno = average(new RoundTrips(new NewReno(MSS, 10 * MSS, settings()), 10));
    const flow = path(10, 10);
    const cubic = average(flow);
    // RFC 9438 4.3: at equal loss rates; with one loss each time the window is full its gentler reduction leaves it more.
    expect(cubic / reno).to.be.within(1, 1.2);
  });

  it('in the region of Reno grows by alpha segments a round trip, and by one once it is where the loss was', () => {
    const flow = path(100, 10);
    flow.loss();
    for (let i = 0; i < 10; i++) flow.round();
    expect(flow.segments).to.be.closeTo(70 + (10 * 9) / 17, 1);
    while (flow.segments < 102) flow.round();
    const { segments } = flow;
    for (let i = 0; i < 10; i++) flow.round();
    expect(flow.segments - segments).to.be.within(9, 11);
  });

  it('keeps 0.7 of the window, whole segments and at least two', () => {
    for (const [before, after] of [
      [10, 7],
      [11, 7],
      [100, 70],
      [4, 2],
      [2, 2],
      [1, 2],
    ] as const) {
      const flow = path(before, 100);
      flow.control.congested('loss', before * MSS, 0);
      expect(flow.control.ssthresh, `${before}`).to.equal(after * MSS);
    }
    const marked = path(10, 100);
    marked.control.congested('ecn', 10 * MSS, 0);
    expect(marked.control.ssthresh).to.equal(7 * MSS);
  });

  it('gives way to newcomers: a second loss below the first lowers the plateau', () => {
    const alone = path(1000, 100);
    alone.loss();
    const pressed = path(1000, 100);
    pressed.loss();
    pressed.loss();
    expect(pressed.segments).to.equal(490);
    pressed.run(8000);
    // W_max is 0.85 times 700, not 700: K = 6.4 s later the window is there.
    expect(pressed.segments).to.be.within(590, 600);
  });

  it('after a timeout starts from one segment, and its curve from where slow start ended', () => {
    const flow = path(1000, 100);
    flow.control.timeout(1000 * MSS, false, 0);
    expect([flow.segments, flow.control.ssthresh]).to.deep.equal([1, 700 * MSS]);
    flow.control.timeout(1000, true, 1000);
    expect(flow.control.ssthresh).to.equal(700 * MSS);
    while (flow.segments < 700) flow.round();
    const begin = flow.now;
    flow.run(5000);
    const t = (flow.now - begin) / 1000;
    expect(flow.segments / (700 + 0.4 * t ** 3), 'K is 0').to.be.within(0.95, 1.05);
  });

  it('starts its curve at its plateau where slow start ended without a loss', () => {
    const flow = path(100, 80);
    flow.round(80);
    flow.round(120);
    for (let i = 0; i < 5; i++) flow.round(120);
    const { ssthresh } = flow.control;
    expect(ssthresh).to.be.below(1000 * MSS);
    const begin = flow.now;
    flow.run(10_000);
    const t = (flow.now - begin) / 1000;
    expect(flow.segments / (ssthresh / MSS + 0.4 * t ** 3)).to.be.within(0.9, 1.1);
  });

  it('does not count time in which the window was not used (7661)', () => {
    const flow = path(1000, 100);
    const steady = path(1000, 100);
    flow.loss();
    steady.loss();
    flow.run(3000);
    steady.run(3000);
    // Ten seconds of a slow application, and ten of none.
    for (let i = 0; i < 100; i++) flow.round(100, false);
    expect(flow.segments).to.equal(steady.segments);
    flow.now += 10_000;
    flow.control.idle(10_000, 20_000, flow.now);
    flow.run(3000);
    steady.run(3000);
    expect(flow.segments / steady.segments).to.be.within(0.99, 1.01);
  });

  it('after slow start after idle follows a new curve to the same plateau', () => {
    const flow = path(10, 100, { hystart: false });
    while (flow.segments < 1000) flow.round();
    flow.loss();
    const plateau = flow.segments / 0.7;
    flow.run(7000);
    const ssthresh = Math.floor(0.75 * flow.control.cwnd);
    flow.now += 5000;
    flow.control.idle(5000, 300, flow.now);
    expect([flow.segments, flow.control.ssthresh]).to.deep.equal([10, ssthresh]);
    while (flow.control.cwnd < ssthresh) flow.round();
    const k = Math.cbrt((plateau - flow.segments) / 0.4);
    flow.run(1000 * k);
    expect(flow.segments / plateau).to.be.within(0.99, 1.02);
  });

  it('takes everything back when a reduction was for nothing (RFC 9438 4.9)', () => {
    const flow = path(1000, 100);
    const twin = path(1000, 100);
    for (const each of [flow, twin]) {
      each.loss();
      each.run(4000);
    }
    flow.control.congested('loss', flow.control.cwnd, flow.now);
    flow.control.cwnd = flow.control.ssthresh;
    flow.control.undo(flow.now);
    flow.run(4000);
    twin.run(4000);
    expect(flow.segments).to.be.closeTo(twin.segments, 1);
    flow.control.timeout(1000, false, flow.now);
    flow.control.undo(flow.now);
    flow.run(4000);
    twin.run(4000);
    expect(flow.segments).to.be.closeTo(twin.segments, 2);
  });

  it('does not grow a window that is not used', () => {
    const flow = path(10, 100);
    for (let i = 0; i < 100; i++) flow.control.acknowledged(ack({ limited: false, now: i }));
    expect(flow.segments).to.equal(10);
  });
});
