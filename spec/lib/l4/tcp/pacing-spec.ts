import { expect } from 'chai';
import { Pacer } from '../../../../lib/l4/tcp/pacing.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { type Bottleneck, BottleneckPath } from './congestion/bottleneck.js';
import { Dut } from './dut.js';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';

/** The most packets that left within `ms` of each other. */
function largestBurst(times: readonly number[], ms: number): number {
  let most = 0;
  for (let i = 0, from = 0; i < times.length; i++) {
    while ((times[i] ?? 0) - (times[from] ?? 0) > ms) from++;
    most = Math.max(most, i - from + 1);
  }
  return most;
}

describe('pacing', () => {
  const WIDE: Bottleneck = { rate: 1000, rtt: 100, queue: 10_000_000 };
  /** When the data packets of a flow left, after some time. */
  const departures = (tcp: TcpOptions, after: number, ms: number): number[] => {
    const path = new BottleneckPath(WIDE, tcp);
    path.start();
    path.run(after);
    path.departures = [];
    path.run(ms);
    return path.departures;
  };

  it('is off by default: a window leaves as acknowledgments come, in bursts', () => {
    expect(largestBurst(departures({}, 250, 100), 1)).to.be.at.least(20);
  });

  it('spreads a window over the round trip, twice as fast in slow start', () => {
    const times = departures({ pacing: true, initialWindow: 100 }, 250, 400);
    expect(times.length).to.be.above(500);
    // Some 200 to 800 segments a round trip, and those of one ms at once, or two where the window grows.
    expect(largestBurst(times, 0.5)).to.be.at.most(32);
    expect(largestBurst(departures({ initialWindow: 100 }, 250, 400), 0.5)).to.be.above(60);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(Math.max(...gaps), 'no pause').to.be.below(60);
  });

  it('sends as fast as the control says, if it does', () => {
    const path = new BottleneckPath({ rate: 20, rtt: 40, queue: 400_000 }, { congestion: 'bbr' });
    const flow = path.start();
    path.run(1500);
    path.departures = [];
    path.run(1000);
    expect(largestBurst(path.departures, 0.5), 'two at once').to.be.at.most(5);
    expect(flow.connection.info().pacingRate).to.be.within(1e6, 4e6);
    const unpaced = new BottleneckPath({ rate: 20, rtt: 40, queue: 400_000 }, { congestion: 'bbr', pacing: false });
    const free = unpaced.start();
    unpaced.run(1500);
    expect(free.connection.info().pacingRate).to.equal(0);
    expect(unpaced.shares(1000)[0], 'the window alone').to.be.above(0.9);
  });

  it('keeps to the rate that a connection may have at most, whatever its control', () => {
    for (const congestion of ['cubic', 'bbr'] as const) {
      const path = new BottleneckPath({ rate: 100, rtt: 20, queue: 1_000_000 }, { congestion });
      const flow = path.start({ maxPacingRate: 125_000 });
      path.run(500);
      const before = flow.received;
      path.run(4000);
      expect((flow.received - before) / 4, congestion).to.be.within(122_000, 126_500);
      flow.connection.setMaxPacingRate(250_000);
      path.run(500);
      const faster = flow.received;
      path.run(4000);
      expect((flow.received - faster) / 4, congestion).to.be.within(244_000, 253_000);
      flow.connection.setMaxPacingRate(0);
      // Not while BBR sends little, since it measures the round-trip time.
      path.run(3000);
      expect(path.shares(1000)[0], congestion).to.be.above(0.9);
    }
  });

  it('keeps to it also where a segment takes longer than a timeout, and owes nothing when it may be faster', () => {
    const path = new BottleneckPath({ rate: 100, rtt: 20, queue: 1_000_000 });
    const flow = path.start({ maxPacingRate: 1000 });
    path.run(1000);
    const before = flow.received;
    path.run(60_000);
    expect((flow.received - before) / 60).to.be.within(950, 1050);
    flow.connection.setMaxPacingRate(1_000_000);
    // What it has sent ahead of its time are two segments.
    path.run(6000);
    const faster = flow.received;
    path.run(2000);
    expect((flow.received - faster) / 2).to.be.within(900_000, 1_010_000);
  });

  it('paces what is sent again, too', () => {
    const path = new BottleneckPath({ rate: 1000, rtt: 100, queue: 10_000_000 }, { initialWindow: 200 });
    const flow = path.start({ maxPacingRate: 1_000_000 });
    path.run(1000);
    const { carry } = path.pair;
    let lost = 0;
    path.pair.carry = (...packet) => (packet[0].length > 1000 && lost++ < 60 ? [] : carry(...packet));
    path.run(100);
    path.pair.carry = carry;
    path.departures = [];
    path.run(1000);
    expect(path.pair.hosts[0].counters.retransmits).to.be.at.least(60);
    expect(path.pair.hosts[0].counters.timeouts).to.equal(0);
    expect(largestBurst(path.departures, 0.5)).to.be.at.most(4);
    expect(flow.connection.recovery.isRepairing).to.equal(false);
  });

  it('loses no byte and leaves no timer behind', () => {
    for (const tcp of [{ pacing: true }, { congestion: 'bbr' }] satisfies TcpOptions[]) {
      let n = 0;
      const pair = new Pair({ tcp: [tcp, tcp], carry: () => (++n % 29 === 0 ? [] : [7]) });
      const data = pattern(300_000);
      const client = new App(data);
      const server = new App(pattern(50_000, 7));
      join(pair, client, server, { client: { maxPacingRate: 400_000 } });
      pair.scheduler.run();
      expect(server.data).to.deep.equal(data);
      expect(client.data).to.deep.equal(pattern(50_000, 7));
      pair.expectClean();
    }
  });

  it('ends with the connection', () => {
    const path = new BottleneckPath({ rate: 10, rtt: 20, queue: 100_000 });
    const flow = path.start({ maxPacingRate: 1000 });
    path.run(200);
    expect(flow.connection.pacer).not.to.equal(undefined);
    flow.connection.abort();
    path.run(200);
    expect(path.pair.scheduler.pending).to.equal(0);
  });

  for (const version of VERSIONS) {
    it(`lets no SYN, acknowledgment or lone FIN wait, over IPv${version}`, () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting({ maxPacingRate: 1 });
      expect(dut.take().length, 'SYN').to.equal(1);
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(dut.take().length, 'ACK').to.equal(1);
      connection.write(new Uint8Array(2 * 1460));
      expect(dut.take().length, 'two segments at once').to.equal(2);
      dut.rx('. 1:1001(1000) ack 1');
      dut.wait(100);
      dut.tx('. 2921:2921(0) ack 1001 win 65535');
      dut.rx('. 1001:1001(0) ack 2921');
      connection.end();
      dut.tx('F. 2921:2921(0) ack 1001 win 65535');
      dut.expectClean();
    });

    it(`lets what waits leave at the new rate when that is set, over IPv${version}`, () => {
      for (const rates of [[14_600], [100_000, 5, 14_600]]) {
        const dut = new Dut(version, { minRto: 10_000 });
        const { connection } = dut.connected({ maxPacingRate: 10 });
        connection.write(new Uint8Array(2 * 1460));
        dut.wait(100);
        connection.write(new Uint8Array(3 * 1460));
        expect(dut.take().length, 'ahead of their time').to.equal(3);
        for (const rate of rates) connection.setMaxPacingRate(rate);
        for (const ms of [199, 99]) {
          dut.wait(ms);
          dut.tx();
          dut.wait(1);
          expect(dut.take().length).to.equal(1);
        }
        dut.expectClean();
      }
    });

    it(`does not wait at a lower rate for all that the former let go at once, over IPv${version}`, () => {
      const dut = new Dut(version);
      const { connection } = dut.connected({ maxPacingRate: 14_600_000 });
      connection.write(new Uint8Array(10 * 1460));
      expect(dut.take().length, 'a millisecond of the rate').to.equal(10);
      connection.setMaxPacingRate(14_600);
      dut.rx('. 1:1(0) ack 14601 win 65535');
      connection.write(new Uint8Array(1460));
      dut.tx();
      dut.wait(300);
      expect(dut.take().length).to.equal(1);
      dut.rx('. 1:1(0) ack 16061 win 65535');
      dut.expectClean();
    });

    it(`lets what waits leave at once when there is no rate any more, over IPv${version}`, () => {
      const dut = new Dut(version);
      const { connection } = dut.connected({ maxPacingRate: 10 });
      connection.write(new Uint8Array(4 * 1460));
      expect(dut.take().length).to.equal(2);
      connection.setMaxPacingRate(0);
      expect(dut.take().length).to.equal(2);
      dut.expectClean();
    });

    it(`fills a small window when it has waited for a larger one, but not before its time, over IPv${version}`, () => {
      const dut = new Dut(version);
      const { connection } = dut.connected({ maxPacingRate: 292 });
      connection.write(new Uint8Array(2 * 1460));
      expect(dut.take().length).to.equal(2);
      dut.rx('. 1:1(0) ack 2921 win 500');
      connection.write(new Uint8Array(1500));
      dut.wait(300);
      dut.tx('P. 2921:3421(500) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 3421 win 500');
      // Two segments may be ahead of their time, which is ten seconds, and it is 500 bytes more: 1.7 seconds.
      dut.wait(1400);
      dut.tx();
      dut.wait(400);
      expect(dut.take()[0]).to.equal('P. 3421:3921(500) ack 1 win 65535');
      dut.expectClean();
    });
  }
});

describe('pacer', () => {
  const MSS = 1000;
  /** The times at which `count` segments leave, at `rate` bytes a ms, when the timer is as late as given. */
  const run = (rate: number, count: number, late = 0): number[] => {
    const pacer = new Pacer();
    pacer.set(rate, MSS);
    const times: number[] = [];
    for (let now = 100; times.length < count; ) {
      const next = pacer.next(now, MSS);
      if (next > now) now = next + late;
      else {
        pacer.sent(MSS, now);
        times.push(now);
      }
    }
    return times;
  };

  it('sends two segments at once, then one at a time where one takes longer than a millisecond', () => {
    expect(run(100, 5)).to.deep.equal([100, 100, 110, 120, 130]);
  });

  it('sends what is due in a millisecond at once where that is more', () => {
    expect(run(5000, 16).map(Math.round)).to.deep.equal([
      100, 100, 100, 100, 100, 101, 101, 101, 101, 101, 102, 102, 102, 102, 102, 103,
    ]);
  });

  it('is not slowed down by timers that are late, unless they are very late', () => {
    const last = (late: number): number => (run(200, 1001, late).at(-1) ?? 0) - 100;
    expect(last(0)).to.be.closeTo(5000, 10);
    expect(last(3)).to.be.closeTo(5000, 20);
    expect(last(20)).to.be.above(6000);
  });
});
