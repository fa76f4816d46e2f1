import { expect } from 'chai';
import { Bbr, type BbrState } from '../../../../../lib/l4/tcp/congestion/bbr.js';
import type { Acknowledgment } from '../../../../../lib/l4/tcp/congestion/congestion.js';
import { type Bottleneck, BottleneckPath, type Flow } from './bottleneck.js';
import { ack, MSS, random } from './path.js';

const RATE = 20;
const RTT = 40;
/** What fills the path, in bytes. */
const BDP = RATE * 125 * RTT;
// Of a packet of 1500 bytes 1448 are data.
const DATA = 1448 / 1500;

function start(options: Partial<Bottleneck> = {}): { path: BottleneckPath; flow: Flow; bbr: () => Bbr } {
  const path = new BottleneckPath({ rate: RATE, rtt: RTT, queue: 2 * BDP, ...options }, { congestion: 'bbr' });
  const flow = path.start();
  return { path, flow, bbr: () => flow.connection.congestion as Bbr };
}

/** The states that a flow goes through in `ms`, and how long each lasts. */
function states(path: BottleneckPath, bbr: () => Bbr, ms: number): { state: BbrState; lasted: number }[] {
  const seen: { state: BbrState; lasted: number }[] = [];
  for (let t = 0; t < ms; t += 5) {
    path.run(5);
    const { state } = bbr();
    const last = seen.at(-1);
    if (last?.state === state) last.lasted += 5;
    else seen.push({ state, lasted: 5 });
  }
  return seen;
}

describe('BBR over a path (MAY-18)', () => {
  it('doubles its rate until the path is full, drains the queue that this made, and then probes in turns', () => {
    const { path, bbr } = start();
    path.run(RTT + 1);
    const seen = states(path, bbr, 12_000).map(({ state }) => state);
    expect(seen.slice(0, 6)).to.deep.equal([
      'Startup',
      'Drain',
      'ProbeBW_CRUISE',
      'ProbeBW_REFILL',
      'ProbeBW_UP',
      'ProbeBW_DOWN',
    ]);
    expect(seen).to.include('ProbeRTT');
    expect(path.overflows).to.equal(0);
    expect(bbr().path.rate / (RATE * 125 * DATA)).to.be.within(0.98, 1.02);
    expect(bbr().path.minRtt).to.be.within(RTT, RTT + 1);
  });

  it('fills the path, and keeps the queue short', () => {
    const { path } = start({ queue: 8 * BDP });
    path.run(1500);
    path.longestQueue = 0;
    expect(path.shares(8000)[0]).to.be.above(0.95 * DATA);
    expect(path.longestQueue, 'while it probes').to.be.below(1.2 * BDP);
    expect(path.overflows).to.equal(0);
  });

  it('gets through where one packet in a hundred is lost, unlike controls that take that for congestion', () => {
    const { path } = start({ loss: 0.01 });
    path.run(1000);
    expect(path.shares(10_000)[0]).to.be.above(0.78);
    const other = new BottleneckPath({ rate: RATE, rtt: RTT, queue: 2 * BDP, loss: 0.01 }, { congestion: 'cubic' });
    other.start();
    other.run(1000);
    expect(other.shares(10_000)[0]).to.be.below(0.4);
  });

  it('looks for the round-trip time without a queue every five seconds, for a moment', () => {
    const { path, bbr } = start();
    path.run(500);
    const seen = states(path, bbr, 21_000).slice(0, -1);
    const probes = seen.filter(({ state }) => state === 'ProbeRTT');
    expect(probes.length).to.be.within(2, 4);
    for (const { lasted } of probes) expect(lasted).to.be.within(200, 350);
  });

  it('empties the queue for that: half of what fills the path remains in flight', () => {
    const { path, flow, bbr } = start();
    path.run(1000);
    while (bbr().state !== 'ProbeRTT') path.run(5);
    path.run(150);
    expect(bbr().state).to.equal('ProbeRTT');
    expect(flow.connection.sent.pipe).to.be.within(0.4 * BDP, 0.55 * BDP);
    while (bbr().state === 'ProbeRTT') path.run(5);
    expect(bbr().cwnd, 'the window is back').to.be.above(BDP);
  });

  it('does not take what it holds back then for all that the path has, where it was never full', () => {
    const { path, flow, bbr } = start({ rate: 100, rtt: 20 });
    flow.source.on = false;
    const seen = new Set<BbrState>();
    for (let t = 0; t < 8000; t += 10) {
      path.run(10);
      flow.connection.write(new Uint8Array(10_000));
      seen.add(bbr().state);
    }
    expect([...seen]).to.deep.equal(['Startup', 'ProbeRTT']);
    expect(bbr().state).to.equal('Startup');
  });

  it('notices within seconds that the path became faster, or slower', () => {
    const { path, bbr } = start();
    path.run(2000);
    path.rate *= 2;
    path.run(8000);
    expect(bbr().path.rate / (2 * RATE * 125 * DATA), 'faster').to.be.within(0.95, 1.02);
    path.rate /= 4;
    path.run(10_000);
    expect(bbr().path.rate / (0.5 * RATE * 125 * DATA), 'slower').to.be.within(0.95, 1.05);
  });

  it('notices that the path became longer', () => {
    const { path, bbr } = start();
    path.run(1000);
    const { carry } = path.pair;
    path.pair.carry = (...packet) => carry(...packet).map((delay) => delay + 15);
    path.run(16_000);
    expect(bbr().path.minRtt).to.be.within(RTT + 30, RTT + 40);
    expect(path.shares(3000)[0]).to.be.above(0.85 * DATA);
  });

  it('does not take the pace of a slow application for that of the path', () => {
    const { path, flow, bbr } = start();
    path.run(1000);
    const { rate } = bbr().path;
    flow.source.on = false;
    path.run(1000);
    for (let i = 0; i < 50; i++) {
      flow.connection.write(new Uint8Array(5000));
      path.run(100);
    }
    expect(bbr().path.rate).to.be.within(0.97 * rate, 1.03 * rate);
  });

  it('shares a path with another', () => {
    const { path } = start();
    path.start();
    path.run(10_000);
    const [first = 0, second = 0] = path.shares(20_000);
    expect(first + second).to.be.above(0.9 * DATA);
    expect(first / second).to.be.within(0.4, 2.5);
  });

  it('comes through a blackout', () => {
    const { path, flow } = start();
    path.run(2000);
    const { carry } = path.pair;
    path.pair.carry = () => [];
    path.run(1500);
    path.pair.carry = carry;
    expect(path.pair.hosts[0].counters.timeouts).to.be.above(0);
    path.run(2500);
    expect(path.shares(4000)[0]).to.be.above(0.85 * DATA);
    expect(flow.connection.recovery.isRepairing).to.equal(false);
  });
});

describe('BBR', () => {
  const RATE_MS = 1000;
  const make = () => new Bbr(MSS, 10 * MSS, random());
  let delivered = 0;
  let now = 0;

  beforeEach(() => {
    delivered = now = 0;
  });

  /** A round of the path in one acknowledgment. */
  function round(bbr: Bbr, fields: Partial<Acknowledgment> = {}): BbrState {
    now += 50;
    const bytes = fields.delivered ?? 50 * RATE_MS;
    const prior = delivered;
    delivered += bytes;
    bbr.acknowledged(
      ack({
        now,
        rtt: 50,
        rate: RATE_MS,
        delivered: bytes,
        totalDelivered: delivered,
        priorDelivered: prior,
        priorInFlight: bbr.cwnd,
        inFlight: bbr.cwnd - bytes,
        sentInFlight: 50 * RATE_MS,
        ...fields,
      }),
    );
    return bbr.state;
  }

  const filled = (): Bbr => {
    const bbr = make();
    for (let i = 0; i < 6; i++) round(bbr, { inFlight: 10_000 });
    expect(bbr.state).to.match(/ProbeBW/);
    return bbr;
  };

  /** Rounds with little in flight, until it is in this state. */
  function reach(bbr: Bbr, state: BbrState): void {
    for (let i = 0; i < 100; i++) if (bbr.state === state || round(bbr, { inFlight: 10_000 }) === state) return;
    throw new Error(`never in ${state}`);
  }

  it('starts with a rate of 2.77 windows a round trip', () => {
    const bbr = make();
    round(bbr, { delivered: MSS, rate: 0 });
    expect(bbr.pacingRate).to.be.closeTo((2.77 * 10 * MSS) / 50, 1e-6);
    expect(bbr.state).to.equal('Startup');
  });

  it('leaves Startup after three rounds without a quarter more', () => {
    const bbr = make();
    for (const rate of [100, 200, 400, 600, 700, 720]) {
      round(bbr, { rate });
      expect(bbr.state).to.equal('Startup');
    }
    round(bbr, { rate: 730 });
    expect(bbr.state).not.to.equal('Startup');
  });

  it('does not leave it because the application pauses', () => {
    const bbr = make();
    for (let i = 0; i < 20; i++) round(bbr, { rate: 100, rateIsAppLimited: true });
    expect(bbr.state).to.equal('Startup');
  });

  /** One whose Startup a round of losses ended: seven acknowledgments within it, and one that ends it. */
  function lossyStartup(): Bbr {
    const bbr = make();
    round(bbr, { rate: 300 });
    bbr.congested('loss', 60_000, now);
    for (let i = 0; i < 8; i++) {
      const priorDelivered = i < 7 ? 0 : delivered;
      round(bbr, { rate: 300 + 100 * i, delivered: 5000, priorDelivered, lost: 2000, lostSinceSent: 4000 });
    }
    return bbr;
  }

  it('leaves it when a round loses too much, and remembers how much fitted', () => {
    const bbr = lossyStartup();
    expect(bbr.state).to.equal('Drain');
    expect(bbr.path.high).to.be.below(1e6);
  });

  it('believes the best rate of two cycles only, and lowers it for a while when losses say so', () => {
    const bbr = filled();
    reach(bbr, 'ProbeBW_CRUISE');
    expect(bbr.path.rate).to.equal(RATE_MS);
    for (let i = 0; i < 4; i++) round(bbr, { rate: 600, lost: 1000 });
    expect(bbr.path.rate, 'at most by 0.3 at once').to.be.closeTo(0.7 * RATE_MS, 10);
    for (let i = 0; i < 4; i++) round(bbr, { rate: 600, lost: 1000 });
    expect(bbr.path.rate, 'and to what is delivered').to.be.closeTo(0.6 * RATE_MS, 10);
    expect(bbr.path.low).to.be.below(Number.POSITIVE_INFINITY);
    reach(bbr, 'ProbeBW_UP');
    expect([bbr.path.rate, bbr.path.low], 'a probe forgets it').to.deep.equal([RATE_MS, Number.POSITIVE_INFINITY]);
  });

  it('counts no round for what delivers nothing', () => {
    const bbr = filled();
    const { rounds, latestInFlight } = bbr.path;
    for (let i = 0; i < 10; i++) {
      bbr.acknowledged(
        ack({
          now,
          delivered: 0,
          sampled: false,
          totalDelivered: delivered + i,
          priorDelivered: delivered,
          inFlight: 5000,
        }),
      );
      expect([bbr.path.roundStart, bbr.path.lossRoundStart]).to.deep.equal([false, false]);
    }
    expect([bbr.path.rounds, bbr.path.latestInFlight]).to.deep.equal([rounds, latestInFlight]);
    round(bbr);
    expect(bbr.path.rounds).to.equal(rounds + 1);
  });

  it('holds back while it looks for the round-trip time, by the acknowledgment that ends it, too', () => {
    const bbr = filled();
    reach(bbr, 'ProbeRTT');
    const held: boolean[] = [bbr.holdsBack];
    while (bbr.state === 'ProbeRTT') {
      round(bbr, { inFlight: 10_000 });
      held.push(bbr.holdsBack);
    }
    expect(held.every(Boolean)).to.equal(true);
    round(bbr);
    expect(bbr.holdsBack).to.equal(false);
  });

  it('takes a mark for a loss', () => {
    const bbr = filled();
    reach(bbr, 'ProbeBW_CRUISE');
    for (let i = 0; i < 4; i++) {
      bbr.congested('ecn', 40_000, now);
      round(bbr, { rate: 600 });
    }
    expect(bbr.path.rate).to.be.below(RATE_MS);
  });

  it('stops a probe that loses more than one in fifty, and stays below that', () => {
    const bbr = filled();
    reach(bbr, 'ProbeBW_UP');
    round(bbr, { sentInFlight: 70_000, lostSinceSent: 2000, lost: 2000 });
    expect(bbr.state).to.equal('ProbeBW_DOWN');
    expect(bbr.path.high).to.equal(70_000);
    reach(bbr, 'ProbeBW_CRUISE');
    for (let i = 0; i < 5; i++) round(bbr, { inFlight: 30_000 });
    expect(bbr.cwnd, 'with some headroom').to.be.at.most(0.85 * 70_000);
  });

  it('after a timeout has one segment, and its window back if that was for nothing', () => {
    const bbr = filled();
    const { cwnd } = bbr;
    bbr.timeout(cwnd, false);
    expect(bbr.cwnd).to.equal(MSS);
    bbr.timeout(MSS, true);
    bbr.undo();
    expect(bbr.cwnd).to.equal(cwnd);
    bbr.congested('loss', cwnd, now);
    bbr.recovered();
    expect(bbr.cwnd).to.equal(cwnd);
  });

  describe('after a recovery that was for nothing', () => {
    it('does not judge the round of the loss', () => {
      for (const undone of [true, false]) {
        const bbr = filled();
        reach(bbr, 'ProbeBW_CRUISE');
        bbr.congested('loss', bbr.cwnd, now);
        round(bbr, { rate: 600, lost: 1000, rateIsAppLimited: true, delivered: 5000 });
        if (undone) bbr.undo();
        round(bbr, { rate: 600, rateIsAppLimited: true, delivered: 5000 });
        const { low, rateLow } = bbr.path;
        expect([low, rateLow].map(Number.isFinite)).to.deep.equal([!undone, !undone]);
      }
    });

    it('nor of what a timer found since the last acknowledgment, but of what is lost besides', () => {
      for (const besides of [true, false]) {
        const bbr = filled();
        reach(bbr, 'ProbeBW_CRUISE');
        bbr.congested('loss', bbr.cwnd, now);
        bbr.undo();
        if (besides) bbr.congested('loss', bbr.cwnd, now);
        round(bbr, { lost: 2000, rateIsAppLimited: true, delivered: 5000 });
        expect(bbr.path.lossInRound).to.equal(besides);
      }
    });

    it('takes up Startup again if the losses ended it', () => {
      const bbr = lossyStartup();
      expect(bbr.state).to.equal('Drain');
      bbr.undo();
      expect([bbr.state, bbr.path.high]).to.deep.equal(['Startup', Number.POSITIVE_INFINITY]);
      expect([1, 2, 3].map(() => round(bbr, { rate: 1100 }))).to.deep.equal(['Startup', 'Startup', 'Startup']);
    });

    it('and a probe for bandwidth', () => {
      const bbr = filled();
      reach(bbr, 'ProbeBW_UP');
      bbr.congested('loss', bbr.cwnd, now);
      const { high } = bbr.path;
      round(bbr, { sentInFlight: 70_000, lostSinceSent: 2000, lost: 2000 });
      expect([bbr.state, bbr.path.high]).to.deep.equal(['ProbeBW_DOWN', 70_000]);
      bbr.undo();
      expect([bbr.state, bbr.path.high]).to.deep.equal(['ProbeBW_REFILL', high]);
      expect(round(bbr)).to.equal('ProbeBW_UP');
    });

    it('but not what losses ended that were real', () => {
      const bbr = filled();
      reach(bbr, 'ProbeBW_UP');
      bbr.congested('loss', bbr.cwnd, now);
      round(bbr, { sentInFlight: 70_000, lostSinceSent: 2000, lost: 2000 });
      bbr.recovered();
      bbr.congested('loss', bbr.cwnd, now);
      bbr.undo();
      expect([bbr.state, bbr.path.high]).to.deep.equal(['ProbeBW_DOWN', 70_000]);
    });
  });

  it('never has less than four segments otherwise', () => {
    const bbr = make();
    for (let i = 0; i < 40; i++) round(bbr, { rate: 1, delivered: 100 });
    expect(bbr.cwnd).to.be.at.least(4 * MSS);
  });

  it('follows the segment size', () => {
    const bbr = make();
    bbr.resize(500);
    expect(bbr.cwnd).to.equal(5000);
    bbr.resize(9000);
    expect(bbr.cwnd).to.equal(9000);
  });
});
