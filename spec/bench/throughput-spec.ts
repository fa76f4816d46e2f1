import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { CAPACITY, type Cell, cell, LOSSES, pathOf, RTTS, share, VARIANTS } from '../../bench/throughput.js';
import { SimulatedPath } from '../../bench/simulated-path.js';
import type { Congestion } from '../../lib/l4/tcp/congestion/congestion.js';

const SNAPSHOT = JSON.parse(
  readFileSync(new URL('../../bench/results/throughput.json', import.meta.url), 'utf8'),
) as readonly Cell[];
/** Mbit/s: what moves more takes long to compute again. */
const SLOW = 10;

function figure(variant: string, loss: number, rtt: number): number {
  return SNAPSHOT.find((one) => one.variant === variant && one.loss === loss && one.rtt === rtt)?.mbits ?? Number.NaN;
}

/** A control that takes nothing for congestion: what recovery alone is worth. */
const fixed = (window: number) => (): Congestion => ({
  name: 'fixed',
  cwnd: window,
  ssthresh: window,
  pacingRate: 0,
  ownsRecovery: true,
  acknowledged() {},
  congested() {},
  recovered() {},
  timeout() {},
  undo() {},
  idle() {},
  resize() {},
});

describe('the table of throughput by loss, round-trip time and congestion control', function () {
  this.timeout(60_000);

  it('is whole', () => {
    expect(SNAPSHOT).to.have.length(Object.keys(VARIANTS).length * LOSSES.length * RTTS.length);
  });

  for (const { variant, loss, rtt, mbits } of SNAPSHOT.filter((one) => one.mbits < SLOW)) {
    it(`${variant} still gets ${mbits} Mbit/s with ${loss * 100} % loss and ${rtt} ms`, () => {
      expect(cell(variant, loss, rtt).mbits).to.equal(mbits);
    });
  }

  for (const rtt of RTTS) {
    it(`CUBIC fills a pipe of ${rtt} ms without loss`, () => {
      expect(figure('cubic', 0, rtt)).to.be.at.least((0.95 * CAPACITY) / 1e6);
      const [mbits = 0] = share(pathOf('cubic', 0, rtt), 1, 12_000, 4000);
      expect(mbits).to.be.at.least((0.95 * CAPACITY) / 1e6);
    });
  }

  it('selective acknowledgments repair at 1 % loss and 100 ms what NewReno cannot: the pipe stays full, more than twice as full', () => {
    const [rate, rtt] = [100e6, 100];
    const window = ((rate / 8) * rtt) / 1000;
    const [withSack = 0, without = 0] = [true, false].map((sack) => {
      const tcp = { sack, congestion: fixed(window) };
      return share(new SimulatedPath({ rate, rtt, loss: 0.01, queue: window, seed: 1, tcp }), 1, 5000, 10_000)[0];
    });
    expect(withSack).to.be.at.least((0.95 * CAPACITY) / 1e6);
    expect(withSack / without).to.be.above(2);
    expect(figure('newreno', 0.01, 100)).to.be.above(figure('newreno without SACK', 0.01, 100));
  });

  // With the round-trip time grows that of a cycle, and it takes some of them to become even.
  for (const [rtt, warmUp, time] of [
    [20, 30_000, 60_000],
    [50, 30_000, 60_000],
    [100, 60_000, 240_000],
  ] as const) {
    it(`two CUBIC flows share a link of ${rtt} ms within 20 %`, () => {
      const rate = 20e6;
      const queue = ((rate / 8) * rtt) / 1000;
      const path = new SimulatedPath({ rate, rtt, loss: 0, queue, seed: 1, tcp: { congestion: 'cubic' } });
      const [one = 0, other = 0] = share(path, 2, warmUp, time);
      expect(Math.abs(one - other) / (one + other)).to.be.at.most(0.1);
      expect(one + other).to.be.at.least((0.95 * CAPACITY * rate) / 100e6 / 1e6);
    });
  }
});
