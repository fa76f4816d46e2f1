import { expect } from 'chai';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { Ipv4Packet } from '../../../../lib/wire/ipv4.js';
import { Dut } from './dut.js';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';

const HOUR = 3_600_000;

/** Times, from now on, at which a segment came out that `pattern` matches. */
function times(dut: Dut, until: number, step: number, pattern = /./): number[] {
  const found: number[] = [];
  const start = dut.scheduler.now();
  while (dut.scheduler.now() - start < until) {
    dut.wait(step);
    for (const line of dut.take()) if (pattern.test(line)) found.push(dut.scheduler.now() - start);
  }
  return found;
}

/** How many segments come out within `ms`, each of which the peer answers without taking anything. */
function answeredFor(dut: Dut, ms: number): number {
  let count = 0;
  for (let t = 0; t < ms; t += 1000) {
    dut.wait(1000);
    for (const line of dut.take()) {
      count++;
      if (!line.startsWith('R')) dut.rx('. 1:1(0) ack 1 win 0');
    }
  }
  return count;
}

for (const version of VERSIONS) {
  describe(`TCP timers over IPv${version}`, () => {
    it('retransmits at doubling intervals up to the limit, and gives up after 15 (GP-44, GT-70, MUST-19, MUST-20, SHLD-11)', () => {
      const dut = new Dut(version, { maxRto: 10_000 });
      const { connection, app } = dut.accepted();
      connection.write(new Uint8Array(10));
      dut.take();
      const found = times(dut, 200_000, 100);
      expect(found.slice(0, 6)).to.deep.equal([200, 600, 1400, 3000, 6200, 12_600]);
      expect(found.length).to.equal(15);
      expect(found[7]).to.equal((found[6] ?? 0) + 10_000);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
    });

    it('looks at what has arrived first where the timer came late', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(10));
      dut.take();
      // The process sleeps, the acknowledgment is read after the timer ran.
      dut.oversleep(500);
      dut.tx();
      dut.wait(5);
      dut.rx('. 1:1(0) ack 11');
      dut.wait(1000);
      dut.tx();
      dut.expectClean();
      const other = new Dut(version);
      other.accepted().connection.write(new Uint8Array(10));
      other.take();
      // Due after 200, run at 700, put off by 10.
      other.oversleep(500);
      other.wait(209);
      other.tx();
      other.wait(1);
      other.tx('P. 1:11(10) ack 1 win 65535');
      other.expectClean();
    });

    it('measures no retransmitted segment, and keeps the backoff until a new sample (MUST-18, 6298-4, 6298-5)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(10));
      dut.wait(200);
      dut.wait(100);
      dut.take();
      dut.rx('. 1:1(0) ack 11');
      connection.write(new Uint8Array(10));
      dut.take();
      expect(times(dut, 399, 1)).to.deep.equal([]);
      expect(times(dut, 1, 1)).to.deep.equal([1]);
      dut.expectClean();
    });

    it('takes the echo of a timestamp for no less than the tick of its clock (7323-3)', () => {
      const dut = new Dut(version, { timestamps: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,TS val 100 ecr 0>');
      dut.wait(1000);
      expect(dut.take().length, 'SYN-ACKs').to.equal(2);
      dut.rx('. 1:1(0) ack 1 <nop,nop,TS val 101 ecr 2000>');
      const { rtt } = listener.accept() as Connection;
      expect([rtt.srtt, rtt.minRtt]).to.deep.equal([1, 1]);
      dut.expectClean();
    });

    it('nor for less than the least time of a path that takes less than such a tick (7323-3, 8985-1)', () => {
      let data = 0;
      const carry = (bytes: Uint8Array) => (bytes.length > 1000 && ++data % 40 === 0 ? [] : [0.2]);
      const pair = new Pair({ version, carry });
      const client = new App(pattern(500_000));
      join(pair, client, new App());
      pair.scheduler.run();
      const { rtt } = client.connection as Connection;
      expect(pair.hosts[0].counters.retransmits).to.be.above(5);
      expect(rtt.minRtt).to.be.closeTo(0.4, 1e-6);
      pair.expectClean();
    });

    it('computes the timeout as RFC 6298 says (6298-2)', () => {
      const dut = new Dut(version, { minRto: 1 });
      const { connection } = dut.connecting();
      dut.wait(100);
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      // SRTT 100, RTTVAR 50.
      connection.write(new Uint8Array(10));
      dut.take();
      expect(times(dut, 1000, 1)[0]).to.equal(300);
      dut.expectClean();
    });

    it('slows down and starts over after a timeout (5681-7, GP-28)', () => {
      const dut = new Dut(version, { frto: false });
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(new Uint8Array(20_000));
      expect(dut.take().length).to.equal(10);
      dut.wait(200);
      dut.tx('. 1:1001(1000) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 1001');
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal(['1001:2001(1000)', '2001:3001(1000)']);
      dut.rx('. 1:1(0) ack 10001');
      expect(dut.take().length).to.equal(3);
      dut.expectClean();
    });

    it('sends many small segments again as few large ones', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.setNoDelay(true);
      for (let i = 0; i < 23; i++) connection.write(new Uint8Array(100));
      expect(dut.take().length).to.equal(23);
      dut.wait(200);
      dut.tx('P. 1:1001(1000) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 1001');
      dut.tx('P. 1001:2001(1000) ack 1 win 65535', 'P. 2001:2301(300) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 2301');
      dut.expectClean();
    });

    it('retransmits fast on the third duplicate ACK, sends on the first two, and recovers (5681-8, 5681-9, 3042-1, GT-72)', () => {
      const dut = new Dut(version, { congestion: 'newreno' });
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(new Uint8Array(40_000));
      expect(dut.take().length).to.equal(10);
      dut.rx('. 1:1(0) ack 1');
      dut.rx('. 1:1(0) ack 1');
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal(['10001:11001(1000)', '11001:12001(1000)']);
      dut.rx('. 1:1(0) ack 1');
      dut.tx('. 1:1001(1000) ack 1 win 65535');
      // Half of the window is left: a new segment for each second duplicate.
      for (let i = 0; i < 4; i++) dut.rx('. 1:1(0) ack 1');
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal(['12001:13001(1000)', '13001:14001(1000)']);
      // A partial ACK: the next gap is filled at once, and recovery goes on.
      dut.rx('. 1:1(0) ack 5001');
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal(['5001:6001(1000)']);
      dut.rx('. 1:1(0) ack 12001');
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal([
        '14001:15001(1000)',
        '15001:16001(1000)',
        '16001:17001(1000)',
      ]);
      expect(dut.host.counters.fastRetransmits).to.equal(1);
      dut.expectClean();
    });

    it('doubles the window in slow start (5681-4, GT-72)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(new Uint8Array(60_000));
      expect(dut.take().length).to.equal(10);
      for (let ack = 2001; ack <= 10_001; ack += 2000) dut.rx(`. 1:1(0) ack ${ack}`);
      expect(dut.take().length).to.equal(20);
      dut.expectClean();
    });

    it('starts over with the initial window after a pause (5681-11)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(new Uint8Array(60_000));
      let largest = 0;
      for (let lines = dut.take(); lines.length > 0; lines = dut.take()) {
        largest = Math.max(largest, lines.length);
        for (const line of lines) dut.rx(`. 1:1(0) ack ${line.replace(/^\S+ \d+:(\d+).*/, '$1')}`);
      }
      expect(largest).to.be.greaterThan(10);
      dut.wait(1000);
      dut.take();
      connection.write(new Uint8Array(40_000));
      expect(dut.take().length).to.equal(10);
      dut.expectClean();
    });

    it('starts with one segment after a lost SYN (5681-3), and with 3 s (6298-1)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      dut.wait(1000);
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1000>');
      dut.take();
      connection.write(new Uint8Array(5000));
      dut.tx('. 1:1001(1000) ack 1 win 65535');
      expect(times(dut, 3000, 1)[0]).to.equal(3000);
      dut.expectClean();
    });

    it('starts with the initial window after one lost SYN where that is forgiven, and with one segment after two (5681-3)', () => {
      for (const [lost, segments] of [
        [1, 10],
        [2, 1],
      ]) {
        const dut = new Dut(version, { forgivenSyns: 1 });
        const { connection } = dut.connecting();
        dut.wait(lost === 1 ? 1000 : 3000);
        dut.take();
        dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1000>');
        dut.take();
        connection.write(new Uint8Array(20_000));
        expect(dut.take().length).to.equal(segments);
        dut.expectClean();
      }
    });

    it('probes a shut window with SND.UNA-1, first after the timeout, doubling (GP-53, GP-56, GP-57, GT-46, SM-14, MUST-35, MUST-36, SHLD-29, SHLD-30)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('. 1:1(0) ack 1 win 0');
      expect(times(dut, 10_000, 100)).to.deep.equal([]);
      connection.write(new Uint8Array(10));
      dut.tx();
      dut.wait(200);
      dut.tx('. 0:0(0) ack 1 win 65535');
      expect(times(dut, 3000, 100)).to.deep.equal([400, 1200, 2800]);
      dut.rx('. 1:1(0) ack 1 win 500');
      dut.tx('P. 1:11(10) ack 1 win 65535');
      dut.expectClean();
    });

    it('keeps probing for hours as long as probes are answered (MUST-37)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 0 });
      connection.write(new Uint8Array(10));
      for (let t = 0; t < 5 * HOUR; t += 1000) {
        dut.wait(1000);
        for (const _ of dut.take()) dut.rx('. 1:1(0) ack 1 win 0');
      }
      expect(connection.state).to.equal('ESTABLISHED');
      dut.rx('. 1:1(0) ack 1 win 500');
      expect(dut.take().length).to.equal(1);
      dut.expectClean();
    });

    it('gives up once probes are far apart where the application has closed, though each is answered', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 0 });
      connection.write(new Uint8Array(10));
      connection.close();
      expect(answeredFor(dut, HOUR)).to.equal(10);
      expect(connection.state).to.equal('CLOSED');
      expect(dut.host.counters.timedOut).to.equal(1);
      dut.expectClean();
    });

    it('gives up probing where nothing answers', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ win: 0 });
      connection.write(new Uint8Array(10));
      dut.wait(HOUR);
      expect(dut.take().length).to.equal(15);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
    });

    it('gives what it sends again an identification of its own, whether or not it may be fragmented (GP-06, GT-71)', () => {
      for (const [length, dontFragment] of [1, 512].flatMap((n) => [[n, true] as const, [n, false] as const])) {
        const dut = new Dut(version);
        const connection = dut.accepted().connection as Connection;
        connection.mayFragment = !dontFragment;
        const seen: number[] = [];
        dut.onSegment = (_, ip) => {
          if (ip instanceof Ipv4Packet) {
            expect(ip.dontFragment).to.equal(dontFragment);
            seen.push(ip.identification);
          }
        };
        connection.write(new Uint8Array(length));
        dut.wait(3000);
        expect(dut.take().length).to.equal(5);
        expect(new Set(seen).size).to.equal(version === 4 ? 5 : 0);
        dut.expectClean();
      }
    });

    it('survives a window that shuts on what is in flight, and sends that again (SHLD-16, SHLD-17, MAY-7)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(100));
      dut.take();
      dut.rx('. 1:1(0) ack 1 win 0');
      dut.wait(200);
      dut.tx('P. 1:101(100) ack 1 win 65535');
      for (let t = 0; t < 2 * HOUR; t += 1000) {
        dut.wait(1000);
        for (const _ of dut.take()) dut.rx('. 1:1(0) ack 1 win 0');
      }
      expect(connection.state).to.equal('ESTABLISHED');
      dut.rx('. 1:1(0) ack 101 win 1000');
      expect(connection.unacknowledgedBytes).to.equal(0);
      dut.expectClean();
    });

    it('and sends it no longer than it probes where the application has closed', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(100));
      dut.take();
      dut.rx('. 1:1(0) ack 1 win 0');
      connection.close();
      expect(answeredFor(dut, HOUR)).to.equal(10);
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('sends into a small window at last (silly-window override, RFC 9293 3.8.6.2.1)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('. 1:1(0) ack 1 win 100');
      connection.write(new Uint8Array(1000));
      dut.tx();
      dut.wait(200);
      dut.tx('P. 1:101(100) ack 1 win 65535');
      dut.expectClean();
    });

    it('does so soon after the window opened, however long it was shut', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('. 1:1(0) ack 1 win 0');
      connection.write(new Uint8Array(1000));
      for (let i = 0; i < 100; i++) {
        dut.wait(1000);
        for (const _ of dut.take()) dut.rx('. 1:1(0) ack 1 win 0');
      }
      dut.rx('. 1:1(0) ack 1 win 100');
      dut.tx();
      dut.wait(200);
      dut.tx('P. 1:101(100) ack 1 win 65535');
      dut.expectClean();
    });

    it('answers window and keepalive probes (GP-56, SM-16)', () => {
      const dut = new Dut(version);
      dut.accepted();
      dut.rx('. 0:0(0) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535');
      dut.rx('. 0:1(1) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535');
      dut.expectClean();
    });

    it('keeps alive: nothing by default, a probe after two idle hours, death after nine (GT-92, MUST-24..29, SHLD-12, MAY-5)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      expect(times(dut, 4 * HOUR, 10_000)).to.deep.equal([]);
      connection.setKeepAlive(true);
      const found = times(dut, 3 * HOUR, 1000, /^\. 0:0/);
      const expected = Array.from({ length: 9 }, (_, i) => 2 * HOUR + i * 75_000);
      expect(found).to.deep.equal(expected);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.rx('. 1:1(0) ack 1');
      dut.tx('R 1:1(0) win 0');
      dut.expectClean();
    });

    it('takes one answer as life, and counts idleness from the last segment (GT-92, MUST-29)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setKeepAlive(true, 10_000, 1000, 3);
      dut.wait(9000);
      dut.rx('. 1:2(1) ack 1');
      dut.wait(100);
      dut.take();
      expect(times(dut, 12_000, 100)).to.deep.equal([9900, 10_900, 11_900]);
      dut.rx('. 2:2(0) ack 1');
      expect(times(dut, 10_000, 100)).to.deep.equal([10_000]);
      connection.setKeepAlive(false);
      expect(times(dut, 100_000, 1000)).to.deep.equal([]);
      expect(connection.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('does not probe while data are in flight (GT-92, MUST-26)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setKeepAlive(true, 500, 100, 3);
      connection.write(new Uint8Array(10));
      dut.take();
      expect(times(dut, 5000, 100, /^\. 0:0/)).to.deep.equal([]);
      expect(connection.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('keeps alive a connection of which only our half is closed, whenever that is asked for (GT-92)', () => {
      for (const before of [false, true]) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        connection.end();
        if (before) connection.setKeepAlive(true, 500, 100, 2);
        dut.rx('. 1:1(0) ack 2');
        if (!before) connection.setKeepAlive(true, 500, 100, 2);
        dut.take();
        expect(connection.state).to.equal('FIN-WAIT-2');
        expect(times(dut, 650, 50, /^\. 1:1/)).to.deep.equal([500, 600]);
        dut.wait(50);
        expect(app.events).to.deep.equal(['flushed', 'closed ETIMEDOUT']);
        dut.expectClean();
      }
    });

    it('counts idleness anew where it is set again, with our half closed too (GT-92, MUST-29)', () => {
      const dut = new Dut(version);
      dut.wait(10_000);
      const { connection, app } = dut.accepted();
      connection.setKeepAlive(true, 2000, 100, 3);
      connection.end();
      dut.rx('. 1:1(0) ack 2');
      dut.take();
      connection.setKeepAlive(true, 1000, 500, 3);
      expect(times(dut, 2400, 100, /^\. 1:1/)).to.deep.equal([1000, 1500, 2000]);
      dut.rx('. 1:1(0) ack 2');
      dut.wait(900);
      expect(app.events).to.deep.equal(['flushed']);
      dut.expectClean();
    });

    for (const [what, act] of [
      ['data', 'write'],
      ['a FIN', 'end'],
    ] as const) {
      it(`closes silently when ${what} stay unacknowledged for the user timeout (GP-52, GT-93, MUST-21)`, () => {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        connection.setUserTimeout(3000);
        dut.wait(10_000);
        if (act === 'write') connection.write(new Uint8Array(10));
        else connection.end();
        dut.wait(2999);
        expect(app.events).to.deep.equal([]);
        dut.wait(1);
        expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
        dut.take();
        dut.rx('. 1:1(0) ack 2');
        dut.tx('R 2:2(0) win 0');
        dut.expectClean();
      });
    }

    it('accepts an ACK before the user timeout (GP-52)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ userTimeout: 3000 });
      connection.write(new Uint8Array(10));
      dut.wait(2900);
      dut.rx('. 1:1(0) ack 11');
      dut.wait(HOUR);
      expect(app.events).to.deep.equal(['flushed']);
      dut.expectClean();
    });

    it('applies the user timeout to unanswered window probes (GP-58)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ userTimeout: 3000, win: 0 });
      connection.write(new Uint8Array(10));
      dut.wait(3199);
      expect(app.events).to.deep.equal([]);
      dut.wait(1);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.take();
      dut.rx('. 1:1(0) ack 1');
      dut.tx('R 1:1(0) win 0');
      dut.expectClean();
    });
  });
}
