import { expect } from 'chai';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

/** Flags and sequence numbers of what came out. */
const sent = (dut: Dut): string[] => dut.take().map((line) => line.replace(/ ack.*/, ''));
const bytes = (count: number): Uint8Array => new Uint8Array(count);

for (const version of VERSIONS) {
  describe(`when TCP sends small segments, and pushes, over IPv${version}`, () => {
    it('one small segment is in flight, and what follows is sent together (GT-50, GT-51, SM-19, SHLD-7, SHLD-27, MAY-16)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal(['P. 1:11(10)']);
      for (let i = 0; i < 30; i++) connection.write(bytes(40));
      // A full one does not wait.
      expect(sent(dut)).to.deep.equal(['P. 11:1011(1000)']);
      dut.rx('. 1:1(0) ack 11');
      expect(sent(dut)).to.deep.equal(['P. 1011:1211(200)']);
      connection.abort();
      dut.expectClean();
    });

    it('a full segment in flight does not hold back a small one (Minshall), nor a FIN, nor what is urgent (GT-51, SM-19)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(bytes(1000));
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal(['P. 1:1001(1000)', 'P. 1001:1011(10)']);
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal([]);
      connection.write(bytes(10), { urgent: true });
      expect(sent(dut)).to.deep.equal(['PU. 1011:1031(20)']);
      dut.rx('. 1:1(0) ack 1031');
      connection.write(bytes(10));
      connection.write(bytes(20));
      connection.end();
      expect(sent(dut)).to.deep.equal(['P. 1031:1041(10)', 'FP. 1041:1061(20)']);
      connection.abort();
      dut.expectClean();
    });

    it('a small segment far behind holds back nothing', () => {
      for (const behind of [0, 2 ** 31, 3 * 2 ** 30]) {
        const dut = new Dut(version);
        const { connection } = dut.accepted({ mss: 1000 });
        const { snd } = connection as Connection;
        snd.smallEnd = (snd.una - behind) | 0;
        connection.write(bytes(1000));
        connection.write(bytes(10));
        expect(sent(dut)).to.deep.equal(['P. 1:1001(1000)', 'P. 1001:1011(10)']);
        connection.abort();
        dut.expectClean();
      }
    });

    it('the algorithm can be off, from the beginning or when that is called for (MUST-17, GT-51)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(bytes(10));
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal(['P. 1:11(10)']);
      connection.setNoDelay(true);
      expect(sent(dut)).to.deep.equal(['P. 11:21(10)']);
      connection.write(bytes(10));
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal(['P. 21:31(10)', 'P. 31:41(10)']);
      connection.abort();
      dut.expectClean();
    });

    it('a cork holds back what is not full, until it is pulled (GP-25)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.setCork(false);
      connection.setNoDelay(true);
      connection.setCork(true);
      connection.write(bytes(2500));
      expect(sent(dut)).to.deep.equal(['. 1:1001(1000)', '. 1001:2001(1000)']);
      connection.write(bytes(100));
      expect(sent(dut)).to.deep.equal([]);
      connection.write(bytes(400));
      expect(sent(dut)).to.deep.equal(['P. 2001:3001(1000)']);
      connection.write(bytes(7));
      dut.rx('. 1:1(0) ack 3001');
      expect(sent(dut)).to.deep.equal([]);
      connection.setCork(false);
      expect(sent(dut)).to.deep.equal(['P. 3001:3008(7)']);
      connection.abort();
      dut.expectClean();
    });

    it('a cork that is forgotten gives way after 200 ms, and to a FIN (GP-25)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.setCork(true);
      connection.write(bytes(10));
      dut.wait(199);
      expect(sent(dut)).to.deep.equal([]);
      dut.wait(1);
      expect(sent(dut)).to.deep.equal(['P. 1:11(10)']);
      dut.rx('. 1:1(0) ack 11');
      connection.write(bytes(10));
      connection.end();
      expect(sent(dut)).to.deep.equal(['FP. 11:21(10)']);
      connection.abort();
      dut.expectClean();
    });

    it('a write may say that more follows: it waits, and is not pushed (MAY-15)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(bytes(1000), { more: true });
      expect(sent(dut)).to.deep.equal(['. 1:1001(1000)']);
      connection.write(bytes(10), { more: true });
      expect(sent(dut)).to.deep.equal([]);
      connection.write(bytes(10));
      expect(sent(dut)).to.deep.equal(['P. 1001:1021(20)']);
      dut.rx('. 1:1(0) ack 1021');
      connection.write(bytes(10), { more: true });
      dut.wait(250);
      expect(sent(dut)).to.deep.equal(['P. 1021:1031(10)']);
      connection.abort();
      dut.expectClean();
    });

    it('PSH is on the last segment of each write, and again when that is sent again (MUST-60, MUST-61, SM-13)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 1000 });
      connection.write(bytes(2500));
      connection.write(bytes(1500));
      expect(sent(dut)).to.deep.equal([
        '. 1:1001(1000)',
        '. 1001:2001(1000)',
        'P. 2001:2501(500)',
        '. 2501:3501(1000)',
      ]);
      dut.rx('. 1:1(0) ack 2501');
      expect(sent(dut)).to.deep.equal(['P. 3501:4001(500)']);
      dut.rx('. 1:1(0) ack 3501');
      dut.wait(200);
      expect(sent(dut)).to.deep.equal(['P. 3501:4001(500)']);
      connection.abort();
      dut.expectClean();
    });

    it('what is more than half of the largest window is pushed on the way (MUST-60)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 10_000, mss: 1000 });
      connection.write(bytes(21_500));
      const pushed: string[] = [];
      for (let una = 1; una < 21_501; ) {
        const lines = sent(dut);
        pushed.push(...lines.filter((line) => line.startsWith('P')));
        una += lines.reduce((sum, line) => sum + Number(/\((\d+)\)/.exec(line)?.[1]), 0);
        dut.rx(`. 1:1(0) ack ${una} win 10000`);
      }
      // Bursts of 5000 bytes: every second one is more than that.
      expect(pushed).to.deep.equal(['P. 9001:10001(1000)', 'P. 19001:20001(1000)', 'P. 21001:21501(500)']);
      connection.abort();
      dut.expectClean();
    });
  });
}
