import { expect } from 'chai';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import { accepted, accurateHost, countersOf } from './accurate.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const MSS = 1000;

function readAll(connection: TcpConnection): number[] {
  const bytes: number[] = [];
  for (let chunk = connection.read(); chunk !== undefined; chunk = connection.read()) bytes.push(...chunk);
  return bytes;
}

/** The bytes that the peer's stream has from `from` to `to`: each is its sequence number. */
function stream(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => (from + i) & 0xff);
}

for (const version of VERSIONS) {
  describe(`TCP taking super-segments whole over IPv${version}`, () => {
    it('has one acknowledgment for all of it, and counts what was on the wire', () => {
      const dut = new Dut(version, { ackPolicy: 'adaptive', quickAcks: 16 });
      const { connection } = dut.accepted({ mss: MSS });
      const before = connection.info();
      const { segmentsIn } = dut.host.counters;
      dut.rx('P. 1:9501(9500) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 9501']);
      const after = connection.info();
      expect(after.rcvMss).to.equal(MSS);
      expect([after.segsIn - before.segsIn, after.dataSegsIn - before.dataSegsIn]).to.deep.equal([10, 10]);
      expect(dut.host.counters.segmentsIn - segmentsIn).to.equal(10);
      expect(readAll(connection)).to.deep.equal(stream(1, 9501));
      connection.abort();
      dut.expectClean();
    });

    for (const ackPolicy of ['adaptive', 'every-second', 'full-sized'] as const) {
      it(`acknowledges two segments in one at once, one of them a little later (${ackPolicy})`, () => {
        const dut = new Dut(version, { ackPolicy, quickAcks: 0, receiveBuffer: 1 << 20, windowScaling: true });
        const { connection } = dut.accepted({ mss: MSS });
        dut.rx('. 1:1001(1000) ack 1');
        dut.wait(500);
        readAll(connection);
        dut.take();
        dut.rx('. 1001:2001(1000) ack 1', { gso: MSS });
        expect(dut.take()).to.deep.equal([]);
        dut.wait(500);
        expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 2001']);
        readAll(connection);
        dut.rx('. 2001:4001(2000) ack 1', { gso: MSS });
        readAll(connection);
        expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 4001']);
        connection.abort();
        dut.expectClean();
      });
    }

    it('keeps one that is ahead of a gap, tells of it in one block, and delivers it when the gap is filled', () => {
      const dut = new Dut(version, { sack: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1000,sackOK>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      if (connection === undefined) throw new Error('nothing to accept');
      dut.take();
      dut.rx('. 1001:6001(5000) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 1 <nop,nop,sack 1001:6001>']);
      dut.rx('. 1:3001(3000) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 6001 <nop,nop,sack 1001:3001>']);
      dut.rx('. 2001:5001(3000) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 6001 <nop,nop,sack 2001:5001>']);
      dut.rx('P. 5001:8001(3000) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 8001 <nop,nop,sack 5001:6001>']);
      expect(readAll(connection)).to.deep.equal(stream(1, 8001));
      connection.abort();
      dut.expectClean();
    });

    it('takes of one what the window has room for', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: MSS, receiveBuffer: 2500 });
      dut.rx('F. 1:4001(4000) ack 1', { gso: MSS });
      dut.tx('. 1:1(0) ack 2501 win 0');
      expect(readAll(connection)).to.deep.equal(stream(1, 2501));
      expect(connection.readEnded).to.equal(false);
      connection.abort();
      dut.expectClean();
    });

    it('ends the stream where one has a FIN', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: MSS });
      dut.rx('FP. 1:3001(3000) ack 1', { gso: MSS });
      expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 3002']);
      expect(readAll(connection)).to.deep.equal(stream(1, 3001));
      expect(connection.readEnded).to.equal(true);
      connection.abort();
      dut.expectClean();
    });

    it('has the window grow with the data, not with their number of segments', () => {
      const dut = new Dut(version, { receiveWindow: 'gradual', windowScaling: true, receiveBuffer: 1 << 18 });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1000,nop,wscale 7>');
      dut.rx('. 1:1(0) ack 1 win 512');
      const connection = listener.accept();
      if (connection === undefined) throw new Error('nothing to accept');
      const { memory } = dut.host;
      const used = memory.used;
      dut.rx('. 1:32001(32000) ack 1 win 512', { gso: MSS });
      expect(memory.used - used).to.equal(32000);
      expect(readAll(connection)).to.have.length(32000);
      expect(memory.used).to.equal(used);
      dut.take();
      dut.rx('. 32001:64001(32000) ack 1 win 512', { gso: MSS });
      // What was offered at first, and twice what came each time.
      expect((connection.info().rcvSsthresh - 65535) / 64000).to.equal(2);
      connection.abort();
      dut.expectClean();
    });

    it('counts every packet of one that was marked on its way (RFC 9768)', () => {
      const dut = accurateHost(version);
      const connection = accepted(dut);
      dut.rx('[ce] .5 1:5001(5000) ack 1', { gso: MSS });
      const { received } = countersOf(connection);
      expect([received.ce, received.ceBytes]).to.deep.equal([5 + 5, 5000]);
      expect(dut.host.counters.ceReceived).to.equal(5);
      connection.abort();
      dut.expectClean();
    });
  });
}
