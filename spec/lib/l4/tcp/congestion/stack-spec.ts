import { expect } from 'chai';
import { Bbr } from '../../../../../lib/l4/tcp/congestion/bbr.js';
import type { Acknowledgment, Congestion, CongestionFactory } from '../../../../../lib/l4/tcp/congestion/congestion.js';
import { Cubic } from '../../../../../lib/l4/tcp/congestion/cubic.js';
import { type TcpOptions, tcpConfig } from '../../../../../lib/l4/tcp/options.js';
import { Dut } from '../dut.js';
import { block, full, Lossy, RTT, upTo } from '../lossy.js';
import { App, join, Pair } from '../pair.js';
import { BottleneckPath } from './bottleneck.js';

const MSS = 1448;

/** A control that writes down of which losses it is told, in bytes. */
class Listening extends Bbr {
  readonly told: number[] = [];

  override acknowledged(ack: Acknowledgment): void {
    if (ack.lost > 0) this.told.push(ack.lost);
    super.acknowledged(ack);
  }
}

const listening: CongestionFactory = (mss, window, _settings, random) => new Listening(mss, window, random);

describe('congestion control of the whole stack', () => {
  it('CUBIC follows the window curve of RFC 9438 within 5 % over 100 Mbit/s (MAY-18, GT-72)', () => {
    const path = new BottleneckPath({ rate: 100, rtt: 60, queue: 2_000_000 }, { initialWindow: 600 });
    const { pair } = path;
    const { carry } = pair;
    let lost = 0;
    pair.carry = (...packet) => (packet[0].length > 1000 && lost++ === 0 ? [] : carry(...packet));
    const flow = path.start();
    path.run(61);
    const window = flow.connection.congestion.cwnd / MSS;
    expect(window).to.equal(600);
    while (flow.connection.congestion.ssthresh > 1e9 || flow.connection.recovery.active) path.run(1);
    expect(flow.connection.congestion.cwnd / MSS).to.equal(420);
    const k = Math.cbrt((600 * 0.3) / 0.4);
    for (let t = 0.25; t <= 4; t += 0.25) {
      path.run(250);
      const expected = 0.4 * (t - k) ** 3 + 600;
      expect(flow.connection.congestion.cwnd / MSS / expected, `${t} s`).to.be.within(0.95, 1.05);
    }
    expect([path.overflows, pair.hosts[0].counters.timeouts]).to.deep.equal([0, 0]);
  });

  it('CUBIC fills a path that holds a window in its queue', () => {
    const path = new BottleneckPath({ rate: 100, rtt: 20, queue: 250_000 });
    path.start();
    path.run(1000);
    // 1448 of 1500 bytes are data.
    expect(path.shares(2000)[0]).to.be.above(0.95);
  });

  it('two CUBIC flows share a path within 20 %', () => {
    const path = new BottleneckPath({ rate: 8, rtt: 40, queue: 40_000 });
    path.start();
    path.run(3000);
    path.start();
    path.run(15_000);
    const [first = 0, second = 0] = path.shares(45_000);
    expect(first / second).to.be.within(0.8, 1.25);
    expect(first + second).to.be.above(0.93);
  });

  it('HyStart++ leaves slow start before anything is lost where the queue is deep (GT-81)', () => {
    const run = (hystart: boolean): BottleneckPath => {
      const path = new BottleneckPath({ rate: 20, rtt: 50, queue: 1_500_000 }, { hystart });
      path.start();
      path.run(3000);
      return path;
    };
    const path = run(true);
    expect(path.overflows).to.equal(0);
    expect(path.flows[0]?.connection.congestion.ssthresh).to.be.within(125_000, 1_500_000);
    expect(run(false).overflows).to.be.above(100);
  });

  it('CUBIC and NewReno share a short path, where CUBIC does as Reno does', () => {
    const path = new BottleneckPath({ rate: 8, rtt: 20, queue: 30_000 });
    path.start({ congestion: 'cubic' });
    path.start({ congestion: 'newreno' });
    path.run(5000);
    const [cubic = 0, reno = 0] = path.shares(40_000);
    expect(cubic / reno).to.be.within(0.6, 2);
  });

  describe('grows a window that was used', () => {
    /** The window in segments after so many were sent at once and acknowledged by twos. */
    const after = (segments: number, bytes = segments * 1000): number => {
      const dut = new Dut(4);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(new Uint8Array(bytes));
      for (let i = 2; i < segments; i += 2) dut.rx(`. 1:1(0) ack ${1000 * i + 1}`);
      dut.rx(`. 1:1(0) ack ${bytes + 1}`);
      return connection.info().sndCwndBytes / 1000;
    };

    it('by all that was sent, though less and less of it is in flight (7661, 5681-4, GT-72)', () => {
      expect([after(10), after(10, 9100)]).to.deep.equal([20, 19.1]);
    });

    it('but in slow start not to more than twice what was (7661)', () => {
      expect([after(9), after(6)]).to.deep.equal([18, 12]);
    });

    it('and not at all where half of it was enough (7661)', () => {
      expect([after(5), after(2)]).to.deep.equal([10, 10]);
    });
  });

  describe('that hears of all acknowledgments is told of each loss once', () => {
    const lossy = (options: TcpOptions = {}): { lossy: Lossy; control: Listening } => {
      const path = new Lossy(4, { congestion: listening, ...options });
      return { lossy: path, control: path.c.congestion as Listening };
    };

    it('whether an acknowledgment found it, or the timer for what comes late', () => {
      const { lossy: path, control } = lossy();
      path.write(10);
      path.wait(RTT);
      path.ack(1, [block(1, 4)]);
      expect(control.told).to.deep.equal([1000]);
      path.ack(upTo(10));
      path.write(3);
      path.wait(RTT);
      path.ack(upTo(10), [block(11, 13)]);
      expect(path.wait(RTT / 4 + 3)).to.deep.equal(full(10, 11));
      expect(control.told).to.deep.equal([1000]);
      path.wait(RTT);
      path.ack(upTo(13));
      expect(control.told).to.deep.equal([1000, 1000]);
      path.end();
    });

    it('or the retransmission timer', () => {
      const { lossy: path, control } = lossy({ tlp: false });
      path.write(3);
      expect(path.wait(400)[0]).to.equal(full(0, 1)[0]);
      path.wait(RTT);
      path.ack(upTo(3));
      expect(control.told).to.deep.equal([3000]);
      path.end();
    });

    it('or a tail loss probe, which repaired it', () => {
      const { lossy: path, control } = lossy();
      path.write(3);
      path.wait(RTT);
      path.ack(upTo(2));
      expect(path.wait(2 * RTT + 210)).to.deep.equal(full(2, 3));
      path.write(1);
      path.ack(upTo(4));
      expect(path.dut.host.counters.lossProbeRecoveries).to.equal(1);
      expect(control.path.lossInRound).to.equal(true);
      path.end();
    });
  });

  describe('is chosen', () => {
    const opened = (host: Parameters<typeof tcpConfig>[0], connection: Parameters<typeof join>[3] = {}) => {
      const pair = new Pair({ tcp: [host, {}] });
      const client = new App(new Uint8Array(100));
      const server = new App();
      join(pair, client, server, connection);
      pair.scheduler.runFor(100);
      return { client, server };
    };
    const nameOf = (app: App): string | undefined => app.connection?.info().congestion;

    it('by name for a host, and CUBIC without one (MAY-18)', () => {
      expect(nameOf(opened({}).client)).to.equal('cubic');
      for (const congestion of ['cubic', 'newreno', 'bbr'] as const) {
        expect(nameOf(opened({ congestion }).client)).to.equal(congestion);
      }
    });

    it('for one connection, and for those of a listener', () => {
      const { client, server } = opened(
        { congestion: 'newreno' },
        { client: { congestion: 'bbr' }, server: { congestion: 'newreno' } },
      );
      expect([nameOf(client), nameOf(server)]).to.deep.equal(['bbr', 'newreno']);
    });

    it("by a factory of the user's, who may build on ours", () => {
      const made: number[][] = [];
      class Timid extends Cubic {
        override acknowledged(): void {
          // It never grows.
        }
      }
      const timid: CongestionFactory = (mss, window, settings): Congestion => {
        made.push([mss, window]);
        return new Timid(mss, window, settings);
      };
      const path = new BottleneckPath({ rate: 10, rtt: 100, queue: 100_000 });
      const flow = path.start({ congestion: timid });
      path.run(1000);
      expect(made.at(-1)).to.deep.equal([MSS, 14_480]);
      expect(flow.connection.congestion.cwnd).to.equal(14_480);
      expect(path.shares(1000)[0], 'ten segments a round trip').to.be.within(0.11, 0.12);
    });

    it('and what is none is refused', () => {
      const wrong = { congestion: 'vegas' as 'cubic' };
      expect(() => tcpConfig(wrong))
        .to.throw(/cubic, newreno, bbr/)
        .with.property('code', 'ERR_INVALID_OPTION');
      const [host] = new Pair().hosts;
      const end = new Pair().ends[0];
      expect(() => host.listen({ address: end, port: 1 }, wrong))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  });
});
