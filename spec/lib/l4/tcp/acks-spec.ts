import { expect } from 'chai';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const LINUX: TcpOptions = { ackPolicy: 'adaptive', quickAcks: 16 };
const ack = (number: number, win = 65535, seq = 1) => `. ${seq}:${seq}(0) ack ${number} win ${win}`;

/** Past the quick ACKs at the start: the next data may be acknowledged later. */
function settle(dut: Dut, read: () => void, from = 1): number {
  let next = from;
  for (let i = 0; i < 16; i++) {
    dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
    next += 1000;
    expect(dut.take()).to.deep.equal([ack(next)]);
    read();
  }
  return next;
}

for (const version of VERSIONS) {
  describe(`TCP acknowledging over IPv${version}`, () => {
    it('acknowledges at once at the start, as often as the window has room for, then delays (MUST-58, MUST-59, SM-18)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      const next = settle(dut, () => connection.read());
      dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
      dut.tx();
      dut.wait(39);
      dut.tx();
      dut.wait(1);
      dut.tx(ack(next + 1000));
      connection.abort();
      dut.expectClean();
    });

    it('has fewer quick ones for a small window', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted({ receiveBuffer: 5000 });
      for (let i = 0; i < 6; i++) {
        dut.rx(`. ${1 + 500 * i}:${501 + 500 * i}(500) ack 1`);
        connection.read();
      }
      // 5000 bytes are four pairs of segments of 536; the last two segments are acknowledged together.
      expect(dut.take().map((line) => line.replace(/ win.*/, ''))).to.deep.equal(
        [501, 1001, 1501, 2001, 3001].map((number) => `. 1:1(0) ack ${number}`),
      );
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges at once what is more than a full segment, whose size it measures (SHLD-19, SM-18)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      const next = settle(dut, () => connection.read());
      dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
      dut.tx();
      dut.rx(`. ${next + 1000}:${next + 1001}(1) ack 1`);
      dut.tx(ack(next + 1001));
      expect(connection.info().rcvMss).to.equal(1000);
      connection.read();
      // A sender whose segments became smaller, and end where nothing makes them end, sends full ones.
      for (let i = 0, at = next + 1001; i < 4; i++, at += 300) dut.rx(`. ${at}:${at + 300}(300) ack 1`);
      expect(connection.info().rcvMss).to.equal(300);
      connection.abort();
      dut.expectClean();
    });

    it('waits with the window update that an ACK is, where the application does not keep up', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted({ receiveBuffer: 20_000 });
      connection.setQuickAck(false);
      dut.rx('. 1:1001(1000) ack 1');
      dut.rx('. 1001:2001(1000) ack 1');
      // The window would be smaller than the one that was promised.
      dut.tx();
      dut.wait(40);
      dut.tx(ack(2001, 18_000));
      connection.abort();
      dut.expectClean();
    });

    it('delays no longer where the application answers: the ACK goes with the data (SM-18)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      dut.rx('P. 1:101(100) ack 1');
      dut.tx(ack(101));
      connection.read();
      connection.write(new Uint8Array(10));
      dut.tx('P. 1:11(10) ack 101 win 65535');
      dut.wait(5);
      dut.rx('P. 101:201(100) ack 11');
      dut.tx();
      connection.read();
      dut.wait(10);
      connection.write(new Uint8Array(10));
      dut.tx('P. 11:21(10) ack 201 win 65535');
      dut.wait(5);
      // And where no answer comes, it is interactive no more.
      dut.rx('P. 201:301(100) ack 21');
      dut.wait(40);
      dut.tx(ack(301, 65535, 21));
      dut.rx('P. 301:401(100) ack 21');
      dut.tx(ack(401, 65535, 21));
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges a remnant when it is read, unless an answer is likely', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      const next = settle(dut, () => connection.read());
      dut.rx(`P. ${next}:${next + 10}(10) ack 1`);
      dut.wait(5);
      dut.tx();
      connection.read();
      dut.tx(ack(next + 10));
      connection.setQuickAck(false);
      dut.rx(`P. ${next + 10}:${next + 20}(10) ack 1`);
      connection.read();
      dut.tx();
      // Two of them are acknowledged anyhow.
      dut.rx(`P. ${next + 20}:${next + 30}(10) ack 1`);
      connection.read();
      dut.tx(ack(next + 30));
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges quickly again after a pause longer than the timeout', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      let next = settle(dut, () => connection.read());
      dut.wait(1001);
      for (let i = 0; i < 16; i++, next += 1000) {
        dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
        connection.read();
        expect(dut.take().length, `ACK ${i}`).to.equal(1);
      }
      dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
      dut.tx();
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges quickly again where the peer repeats what was acknowledged', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      const next = settle(dut, () => connection.read());
      dut.rx(`. ${next - 1000}:${next}(1000) ack 1`);
      dut.tx(ack(next));
      dut.rx(`. ${next}:${next + 100}(100) ack 1`);
      dut.tx(ack(next + 100));
      connection.abort();
      dut.expectClean();
    });

    it('delays longer where data come slowly, but never 500 ms (MUST-40)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      let next = settle(dut, () => connection.read());
      const delays: number[] = [];
      for (let i = 0; i < 5; i++, next += 1000) {
        dut.rx(`. ${next}:${next + 1000}(1000) ack 1`);
        connection.read();
        let waited = 0;
        for (; waited < 500 && dut.take().length === 0; waited++) dut.wait(1);
        delays.push(waited);
      }
      expect(delays).to.deep.equal([40, 80, 160, 200, 200]);
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges at once what is out of order, and what fills the gap (MUST-58, GT-41)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      const next = settle(dut, () => connection.read());
      dut.rx(`. ${next + 100}:${next + 200}(100) ack 1`);
      dut.tx(ack(next));
      dut.rx(`. ${next}:${next + 100}(100) ack 1`);
      dut.tx(ack(next + 200));
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges a FIN at once where nothing came before, and else with what the application will send (MUST-58)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      dut.rx('F. 1:1(0) ack 1');
      dut.tx(ack(2));
      connection.abort();
      const other = new Dut(version, LINUX);
      const { connection: talked } = other.accepted();
      other.rx('P. 1:101(100) ack 1');
      other.tx(ack(101));
      other.rx('F. 101:101(0) ack 1');
      other.tx();
      other.wait(40);
      other.tx(ack(102));
      talked.abort();
      const third = new Dut(version, LINUX);
      const { connection: closing } = third.accepted();
      third.rx('P. 1:101(100) ack 1');
      third.take();
      third.rx('F. 101:101(0) ack 1');
      closing.end();
      third.tx('F. 1:1(0) ack 102 win 65535');
      closing.abort();
      dut.expectClean();
      other.expectClean();
      third.expectClean();
    });

    it('acknowledges a FIN at once where it closed first', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      dut.rx('P. 1:101(100) ack 1');
      connection.read();
      connection.end();
      dut.take();
      dut.rx('F. 101:101(0) ack 2');
      dut.tx(ack(102, 65535, 2));
      connection.close();
      dut.host.dispose();
      dut.expectClean();
    });

    it('lets the application switch quick acknowledgments (SM-18)', () => {
      const dut = new Dut(version, LINUX);
      const { connection } = dut.accepted();
      connection.setQuickAck(false);
      dut.rx('P. 1:101(100) ack 1');
      connection.read();
      dut.tx();
      connection.setQuickAck(true);
      dut.tx(ack(101));
      dut.rx('P. 101:201(100) ack 1');
      dut.tx(ack(201));
      connection.setQuickAck(true);
      dut.tx();
      connection.abort();
      const plain = new Dut(version, { quickAcks: 2 });
      const { connection: other } = plain.accepted();
      other.setQuickAck(false);
      plain.rx('P. 1:101(100) ack 1');
      plain.tx();
      other.setQuickAck(true);
      plain.tx(ack(101));
      other.abort();
      dut.expectClean();
      plain.expectClean();
    });

    it('acknowledges every second segment, whatever its size, where it is to do as FreeBSD', () => {
      const dut = new Dut(version, { ackPolicy: 'every-second' });
      const { connection } = dut.accepted();
      dut.rx('P. 1:11(10) ack 1');
      dut.tx();
      dut.rx('P. 11:12(1) ack 1');
      dut.tx(ack(12));
      dut.rx('P. 12:13(1) ack 1');
      connection.read();
      dut.wait(39);
      dut.tx();
      dut.wait(1);
      dut.tx(ack(13));
      // More than a segment is two.
      dut.rx('P. 13:1513(1500) ack 1');
      dut.tx(ack(1513));
      dut.rx('F. 1513:1513(0) ack 1');
      dut.tx(ack(1514));
      connection.abort();
      dut.expectClean();
    });

    it('acknowledges everything at once where nothing is to be delayed', () => {
      const dut = new Dut(version, { ...LINUX, delayedAck: 0 });
      const { connection } = dut.accepted();
      connection.setQuickAck(false);
      for (let i = 0; i < 20; i++) {
        dut.rx(`P. ${1 + i}:${2 + i}(1) ack 1`);
        dut.tx(ack(2 + i));
      }
      connection.abort();
      dut.expectClean();
    });
  });
}
