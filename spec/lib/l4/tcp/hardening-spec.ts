import { expect } from 'chai';
import { SeededRandom } from '../../../../lib/core/random.js';
import { isAcceptable } from '../../../../lib/l4/tcp/window.js';
import { Dut } from './dut.js';
import { FACTS } from '../../../both-versions.js';
import { VERSIONS } from './pair.js';

const DAY = 24 * 3_600_000;

for (const version of VERSIONS) {
  const { headers } = FACTS[version];
  /** The least MTU that a report makes of a path (RFC 8201 4). */
  const least = version === 4 ? 552 : 1280;
  /** What is left of segments when a router wants no more than 960 bytes of data in one, or than the least MTU holds. */
  const cut = Math.max(960, least - headers);
  describe(`TCP against errors and attacks over IPv${version}`, () => {
    it('is reset by the exact sequence number only (GT-108, MAY-12, 5961-1, SM-07, SHLD-2)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('R 70001:70001(0) win 0');
      dut.rx('R 0:0(0) win 0');
      dut.tx();
      dut.rx('R 2:2(0) win 0');
      dut.tx('. 1:1(0) ack 1 win 65535');
      expect(connection.state).to.equal('ESTABLISHED');
      dut.rx('R 1:4(3) win 0');
      dut.tx();
      expect(app.events).to.deep.equal(['closed ECONNRESET']);
      dut.rx('. 1:1(0) ack 1');
      dut.tx('R 1:1(0) win 0');
      dut.expectClean();
    });

    it('is reset even while its window is shut (MUST-66)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 5 });
      dut.rx('. 1:6(5) ack 1');
      dut.rx('R 6:6(0) win 0');
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('tells of a reset while the application waits, and lets it read what came before', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('P. 1:4(3) ack 1');
      dut.rx('R 4:4(0) win 0');
      expect(app.events).to.deep.equal(['readable', 'closed ECONNRESET']);
      expect(connection.read()?.length).to.equal(3);
      dut.expectClean();
    });

    it('challenges a SYN (5961-2, E-07)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      for (const line of ['S 0:0(0)', 'S 100:100(0)', 'S. 1:1(0) ack 1', 'S 900000:900000(0)']) {
        dut.rx(line);
        dut.tx('. 1:1(0) ack 1 win 65535');
      }
      expect(connection.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('challenges an ACK of what was never sent, or long ago, and drops it (E-10, 5961-3, SM-06)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 5000 });
      connection.write(new Uint8Array(10));
      dut.take();
      dut.rx('P. 1:2(1) ack 12');
      dut.rx('P. 1:2(1) ack -5000'.replace('-5000', String(2 ** 32 - 5000)));
      dut.tx('. 11:11(0) ack 1 win 65535', '. 11:11(0) ack 1 win 65535');
      expect(connection.readableBytes).to.equal(0);
      dut.rx(`P. 1:2(1) ack ${2 ** 32 - 4000}`);
      expect(connection.readableBytes).to.equal(1);
      expect(connection.unacknowledgedBytes).to.equal(10);
      dut.expectClean();
    });

    it('throttles challenges per connection (5961-4)', () => {
      const dut = new Dut(version);
      dut.accepted();
      for (let i = 0; i < 100; i++) dut.rx('S 100:100(0)');
      expect(dut.take().filter((line) => line.startsWith('. ')).length).to.equal(10);
      dut.wait(5000);
      dut.rx('R 2:2(0) win 0');
      expect(dut.take().length).to.equal(1);
      dut.expectClean();
    });

    it('answers data out of the window each time (SM-13)', () => {
      const dut = new Dut(version);
      dut.accepted();
      for (let i = 0; i < 30; i++) dut.rx('P. 100001:100002(1) ack 1');
      expect(dut.take().length).to.equal(30);
      expect(dut.drops('TcpOutOfWindow')).to.equal(30);
      dut.expectClean();
    });

    it('drops a segment without ACK (E-08, SM-06)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('P 1:4(3)');
      expect([connection.readableBytes, dut.drops('TcpNoAck')]).to.deep.equal([0, 1]);
      dut.expectClean();
    });

    it('trims what overlaps the window\u2019s edges (E-05)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 100 });
      dut.rx('P. 1:51(50) ack 1');
      dut.rx('FP. 41:201(160) ack 1');
      expect(connection.readableBytes).to.equal(100);
      expect(connection.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('agrees with the four cases of RFC 9293 3.10.7.4 (E-04, GT-58)', () => {
      const random = new SeededRandom(1);
      for (let i = 0; i < 20_000; i++) {
        const next = random.uint32() | 0;
        const window = random.below(2) === 0 ? 0 : random.below(30);
        const span = random.below(2) === 0 ? 0 : random.below(30);
        const distance = random.below(60) - 20;
        const inside = (offset: number) => offset >= 0 && offset < window;
        const expected =
          span === 0
            ? window === 0
              ? distance === 0
              : inside(distance)
            : window > 0 && (inside(distance) || inside(distance + span - 1));
        expect(isAcceptable((next + distance) | 0, span, next, window)).to.equal(expected);
      }
    });

    const withTimestamps = (options = {}) => {
      const dut = new Dut(version, { timestamps: true, ...options });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 100 ecr 0>');
      dut.take();
      dut.rx('. 1:1(0) ack 1 <nop,nop,TS val 101 ecr 1000>');
      const connection = listener.accept();
      if (connection === undefined) throw new Error('nothing to accept');
      return { dut, connection };
    };

    it('carries timestamps in every segment and echoes the last in order (GP-38, 7323-3, 7323-4, 7323-7)', () => {
      const { dut, connection } = withTimestamps();
      dut.rx('P. 1:2(1) ack 1 <nop,nop,TS val 200 ecr 1000>');
      dut.rx('P. 2:3(1) ack 1 <nop,nop,TS val 300 ecr 1000>');
      dut.wait(40);
      // Of two segments that one ACK covers the earlier is echoed.
      dut.tx('. 1:1(0) ack 3 win 65535 <nop,nop,TS val 1040 ecr 200>');
      dut.rx('P. 10:11(1) ack 1 <nop,nop,TS val 400 ecr 1000>');
      dut.tx('. 1:1(0) ack 3 win 65535 <nop,nop,TS val 1040 ecr 200>');
      dut.rx('P. 3:10(7) ack 1 <nop,nop,TS val 500 ecr 1000>');
      dut.tx('. 1:1(0) ack 11 win 65535 <nop,nop,TS val 1040 ecr 500>');
      connection.abort();
      dut.tx('R. 1:1(0) ack 11 win 65535 <nop,nop,TS val 1040 ecr 500>');
      dut.expectClean();
    });

    it('drops what carries an older timestamp and answers with an ACK (GP-38, 7323-5)', () => {
      const { dut, connection } = withTimestamps();
      dut.rx('P. 1:2(1) ack 1 <nop,nop,TS val 99 ecr 1000>');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,TS val 1000 ecr 101>');
      expect([connection.readableBytes, dut.drops('TcpOldTimestamp')]).to.deep.equal([0, 1]);
      dut.rx('R 1:1(0) win 0 <nop,nop,TS val 5 ecr 0>');
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('forgets a timestamp after 24 days of silence (7323-5)', () => {
      const { dut, connection } = withTimestamps();
      dut.wait(25 * DAY);
      dut.rx('P. 1:2(1) ack 1 <nop,nop,TS val 99 ecr 1000>');
      expect(connection.readableBytes).to.equal(1);
      dut.expectClean();
    });

    it('drops what lacks the timestamp, unless told to do as Linux does (GT-56, 7323-6)', () => {
      const strict = withTimestamps();
      strict.dut.rx('P. 1:2(1) ack 1');
      expect(strict.connection.readableBytes).to.equal(0);
      strict.dut.expectClean();
      const lenient = withTimestamps({ acceptMissingTimestamps: true });
      lenient.dut.rx('P. 1:2(1) ack 1');
      expect(lenient.connection.readableBytes).to.equal(1);
      lenient.dut.expectClean();
    });

    it('reopens from TIME-WAIT for a newer timestamp (SHLD-4, 6191-1)', () => {
      const { dut, connection } = withTimestamps();
      connection.end();
      dut.rx('F. 1:1(0) ack 2 <nop,nop,TS val 200 ecr 1000>');
      dut.take();
      dut.rx('S 50:50(0) win 65535 <mss 1460,nop,nop,TS val 150 ecr 0>');
      expect(connection.state).to.equal('TIME-WAIT');
      dut.take();
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 201 ecr 0>');
      expect(dut.take().length).to.equal(1);
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('clamps the window scale to 14, and scales no window of a SYN (7323-1, REC-1)', () => {
      const dut = new Dut(version, { windowScaling: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 100 <mss 1460,nop,wscale 200>');
      dut.rx('. 1:1(0) ack 1 win 1');
      const connection = listener.accept();
      dut.take();
      connection?.write(new Uint8Array(40_000));
      // 1 << 14 bytes of window, and IW10 is just below that.
      expect(dut.take().length).to.equal(10);
      dut.expectClean();
    });

    it('draws sequence numbers from a clock and a secret (MUST-8, SHLD-1, 6528)', () => {
      const dut = new Dut(version);
      const numbers: number[] = [];
      for (const port of [5000, 5000, 5001]) {
        const { connection } = dut.connecting({ localPort: port });
        numbers.push(dut.iss);
        connection.abort();
        dut.wait(10);
      }
      const [first = 0, second = 0, other = 0] = numbers;
      expect((second - first) >>> 0).to.equal(2500);
      expect(Math.abs((other - second) | 0)).to.be.greaterThan(10_000);
      dut.expectClean();
    });

    const codes = [
      ['net-unreachable', 'ENETUNREACH'],
      ['host-unreachable', 'EHOSTUNREACH'],
      ['protocol-unreachable', 'ENOPROTOOPT'],
      ['port-unreachable', 'ECONNREFUSED'],
      ['source-route-failed', 'EOPNOTSUPP'],
      ['net-unreachable', 'ENONET'],
      ['host-unreachable', 'EHOSTDOWN'],
      ['prohibited', 'EHOSTUNREACH'],
      ['time-exceeded', 'EHOSTUNREACH'],
    ] as const;
    for (const [kind, code] of codes) {
      it(`is ended in SYN-SENT, and only there, by ${kind} as ${code} (GP-22, GP-23, GP-24, GT-02, MUST-56)`, () => {
        const dut = new Dut(version);
        const { connection, app } = dut.connecting();
        dut.take();
        expect(dut.icmp(kind, code, 5)).to.equal(false);
        expect(dut.icmp(kind, code, 0)).to.equal(true);
        expect(connection.state).to.equal('CLOSED');
        expect(app.events).to.deep.equal([`closed ${code}`]);
        dut.rx('S. 0:0(0) ack 1');
        dut.tx('R 1:1(0) win 0');
        dut.expectClean();

        const other = new Dut(version);
        const opened = other.accepted();
        opened.connection.write(new Uint8Array(10));
        expect(other.icmp(kind, code, 0)).to.equal(false);
        expect(other.icmp(kind, code, 11)).to.equal(false);
        expect(other.icmp(kind, code, 1)).to.equal(true);
        expect(opened.connection.state).to.equal('ESTABLISHED');
        other.wait(2_000_000);
        expect(opened.app.events).to.deep.equal([`closed ${code}`]);
        other.expectClean();
      });
    }

    it('cuts what is too big for the path and sends it again at once (GT-53)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(3000));
      expect(dut.take().length).to.equal(3);
      expect(dut.icmp('packet-too-big', 'EMSGSIZE', 1, 960 + headers)).to.equal(true);
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal([
        `1:${1 + cut}(${cut})`,
        `${1 + cut}:1461(${1460 - cut})`,
        `1461:${1461 + cut}(${cut})`,
        `${1461 + cut}:2921(${1460 - cut})`,
      ]);
      dut.rx('. 1:1(0) ack 3001');
      connection.write(new Uint8Array(2000));
      const rest = Array.from({ length: Math.ceil(2000 / cut) }, (_, i) => [i * cut, Math.min(2000, (i + 1) * cut)]);
      expect(dut.take().map((line) => line.split(' ')[1])).to.deep.equal(
        rest.map(([from = 0, to = 0]) => `${3001 + from}:${3001 + to}(${to - from})`),
      );
      dut.expectClean();
    });

    it('does not go below the least MTU, and guesses where the router is silent (RFC 1191)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(1460));
      dut.take();
      dut.icmp('packet-too-big', 'EMSGSIZE', 1, 0);
      expect(dut.take()[0]).to.contain(`(${1492 - headers})`);
      dut.icmp('packet-too-big', 'EMSGSIZE', 1, 10);
      expect(dut.take()[0]).to.contain(`(${least - headers})`);
      dut.icmp('packet-too-big', 'EMSGSIZE', 1, 9000);
      dut.tx();
      dut.expectClean();
    });

    it('survives any segment in any state', () => {
      const random = new SeededRandom(3);
      for (let round = 0; round < 60; round++) {
        const dut = new Dut(version, { timestamps: round % 2 === 0, sack: true, maxEmbryonic: 50 });
        const listener = dut.listen();
        const mine = dut.accepted.length === 0 ? undefined : dut.connecting();
        dut.ownPort = round % 3 === 0 ? (mine?.connection.local.port ?? 80) : 80;
        for (let i = 0; i < 150; i++) {
          const flags = ['S', 'S.', '.', 'P.', 'F.', 'R', 'R.', 'FP.', '-', 'SF', 'U.'][random.below(11)] ?? '.';
          const near = () => (random.below(4) === 0 ? random.uint32() : random.below(30));
          const seq = near();
          const length = random.below(3) === 0 ? random.below(20) : 0;
          const end = (seq + length) % 2 ** 32;
          const ack = flags.includes('.') ? ` ack ${near()}` : '';
          const urgent = random.below(9) === 0 ? ` urg ${random.below(65_536)}` : '';
          const options = random.below(2) === 0 ? ` <nop,nop,TS val ${random.below(200)} ecr 1>` : '';
          dut.rx(`${flags} ${seq}:${end}(${length})${ack} win ${random.below(3000)}${urgent}${options}`);
          const connection = listener.accept() ?? mine?.connection;
          if (connection === undefined) continue;
          const action = random.below(12);
          try {
            if (action === 0) connection.write(new Uint8Array(random.below(3000)));
            else if (action === 1) connection.read(random.below(50));
            else if (action === 2) connection.end();
            else if (action === 3 && random.below(4) === 0) connection.close();
            else if (action === 4 && random.below(8) === 0) connection.abort();
          } catch (error) {
            expect(error).to.have.property('code', 'EPIPE');
          }
          if (random.below(10) === 0) dut.wait(random.below(1000));
        }
        dut.expectClean();
      }
    });
  });
}
