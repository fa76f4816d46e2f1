import { expect } from 'chai';
import { Dut } from './dut.js';
import { pattern, VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`TCP data over IPv${version}`, () => {
    it('receives, tells once, and acknowledges with the exact window (GT-40)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ receiveBuffer: 10_000 });
      dut.rx('P. 1:4(3 "abc") ack 1');
      dut.rx('P. 4:6(2 "de") ack 1');
      expect(app.events).to.deep.equal(['readable']);
      dut.wait(40);
      dut.tx('. 1:1(0) ack 6 win 9995');
      expect(connection.readableBytes).to.equal(5);
      expect(Buffer.from(connection.read(2) ?? []).toString()).to.equal('ab');
      dut.rx('P. 6:7(1 "f") ack 1');
      expect(app.events).to.deep.equal(['readable', 'readable']);
      let rest = '';
      for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) rest += Buffer.from(bytes);
      expect(rest).to.equal('cdef');
      dut.expectClean();
    });

    it('delays the ACK by 40 ms, but not beyond a second full segment (SM-18, MUST-58, SHLD-19, MUST-40)', () => {
      const dut = new Dut(version);
      dut.accepted();
      dut.rx('. 1:1461(1460) ack 1');
      dut.tx();
      dut.rx('. 1461:2921(1460) ack 1');
      dut.tx('. 1:1(0) ack 2921 win 65535');
      dut.rx('. 2921:4381(1460) ack 1');
      dut.wait(39);
      dut.tx();
      dut.wait(1);
      dut.tx('. 1:1(0) ack 4381 win 65535');
      dut.expectClean();
    });

    it('acknowledges the first segments at once', () => {
      const dut = new Dut(version, { quickAcks: 2 });
      dut.accepted();
      dut.rx('. 1:101(100) ack 1');
      dut.rx('. 101:201(100) ack 1');
      dut.rx('. 201:301(100) ack 1');
      dut.tx('. 1:1(0) ack 101 win 65535', '. 1:1(0) ack 201 win 65535');
      dut.expectClean();
    });

    it('lets the answer carry the ACK, even where one was due at once (SM-18)', () => {
      const dut = new Dut(version, { quickAcks: 9 });
      const { connection, app } = dut.accepted();
      app.on.readable = () => connection.write(Uint8Array.of(1));
      dut.rx('P. 1:101(100) ack 1');
      dut.tx('P. 1:2(1) ack 101 win 65535');
      dut.wait(50);
      dut.tx();
      dut.expectClean();
    });

    it('takes segments larger than its MSS', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('. 1:30001(30000) ack 1');
      dut.tx('. 1:1(0) ack 30001 win 65535');
      expect(connection.readableBytes).to.equal(30_000);
      dut.expectClean();
    });

    it('puts data in order: duplicate ACKs for gaps, one ACK for the fill (GT-41, MUST-59, 5681-10)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('. 4:6(2 "de") ack 1');
      dut.rx('. 7:8(1 "g") ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535', '. 1:1(0) ack 1 win 65535');
      expect(app.events).to.deep.equal([]);
      dut.rx('. 1:4(3 "abc") ack 1');
      dut.tx('. 1:1(0) ack 6 win 65535');
      dut.rx('. 5:8(3 "efg") ack 1');
      dut.tx('. 1:1(0) ack 8 win 65535');
      let text = '';
      for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) text += Buffer.from(bytes);
      expect(text).to.equal('abcdefg');
      dut.expectClean();
    });

    it('is not kept from what it waits for by a flood of what it has (GT-42)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      for (let i = 0; i < 100; i++) dut.rx('. 1001:2001(1000) ack 1');
      dut.rx('. 1:1001(1000) ack 1');
      expect(connection.readableBytes).to.equal(2000);
      dut.expectClean();
    });

    it('reports gaps in SACK blocks, the latest first, and duplicates (GT-74, GT-75, GT-80, 2018-1, 2883-1)', () => {
      const dut = new Dut(version, { sack: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,nop,sackOK>');
      dut.rx('. 1:1(0) ack 1');
      listener.accept();
      dut.take();
      dut.rx('. 11:21(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,sack 11:21>');
      dut.rx('. 31:41(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,sack 31:41 11:21>');
      dut.rx('. 51:61(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,sack 51:61 31:41 11:21>');
      dut.rx('. 21:31(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,sack 11:41 51:61>');
      dut.rx('. 51:61(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535 <nop,nop,sack 51:61 51:61 11:41>');
      dut.rx('. 1:11(10) ack 1');
      dut.tx('. 1:1(0) ack 41 win 65535 <nop,nop,sack 51:61>');
      dut.rx('. 1:11(10) ack 1');
      dut.tx('. 1:1(0) ack 41 win 65535 <nop,nop,sack 1:11 51:61>');
      dut.rx('. 41:51(10) ack 1');
      dut.tx('. 1:1(0) ack 61 win 65535');
      dut.expectClean();
    });

    it('drops a segment with a wrong checksum, counted, without an ACK (GT-54, MUST-3)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('P. 1:4(3) ack 1', { corrupt: true });
      dut.wait(100);
      dut.tx();
      expect(dut.drops('TcpBadChecksum')).to.equal(1);
      expect(connection.readableBytes).to.equal(0);
      dut.expectClean();
    });

    it('sends full segments, with PSH on the last (SHLD-28, MUST-61, GT-52)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ mss: 1000 });
      connection.write(pattern(2500));
      dut.tx(
        '. 1:1001(1000) ack 1 win 65535',
        '. 1001:2001(1000) ack 1 win 65535',
        'P. 2001:2501(500) ack 1 win 65535',
      );
      expect(connection.unacknowledgedBytes).to.equal(2500);
      dut.rx('. 1:1(0) ack 2001');
      expect(app.events).to.deep.equal([]);
      dut.rx('. 1:1(0) ack 2501');
      expect(app.events).to.deep.equal(['flushed']);
      expect(dut.scheduler.pending).to.equal(0);
      dut.expectClean();
    });

    it('subtracts its options from the peer\u2019s MSS, and copes with a tiny one (MUST-16, GT-52, SM-02)', () => {
      for (const [mss, payload] of [
        [1000, 988],
        [1, 36],
        [0, (version === 4 ? 536 : 1220) - 12],
      ]) {
        const dut = new Dut(version, { timestamps: true });
        const listener = dut.listen({ noDelay: true });
        const option = mss === 0 ? '' : `mss ${mss},`;
        dut.rx(`S 0:0(0) win 65535 <${option}nop,nop,TS val 1 ecr 0>`);
        dut.rx('. 1:1(0) ack 1 <nop,nop,TS val 1 ecr 1000>');
        const connection = listener.accept();
        dut.take();
        connection?.write(new Uint8Array(2000));
        expect(dut.take()[0]).to.match(new RegExp(`^\\. 1:${1 + (payload ?? 0)}\\(${payload}\\)`));
        dut.expectClean();
      }
    });

    it('holds a second small segment back, but no full one, and the end not (GT-51, SM-19, SHLD-7, MUST-17)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(10));
      connection.write(new Uint8Array(10));
      dut.tx('P. 1:11(10) ack 1 win 65535');
      connection.write(new Uint8Array(1460));
      dut.tx('. 11:1471(1460) ack 1 win 65535');
      connection.write(new Uint8Array(5));
      dut.rx('. 1:1(0) ack 11');
      dut.tx('P. 1471:1486(15) ack 1 win 65535');
      connection.write(new Uint8Array(7));
      dut.tx();
      connection.setNoDelay(true);
      dut.tx('P. 1486:1493(7) ack 1 win 65535');
      connection.setNoDelay(false);
      connection.write(new Uint8Array(3));
      dut.tx();
      connection.end();
      dut.tx('FP. 1493:1496(3) ack 1 win 65535');
      dut.expectClean();
    });

    it('gathers small writes that wait into full segments (GT-50)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      for (let i = 0; i < 300; i++) connection.write(new Uint8Array(10).fill(i));
      dut.tx('P. 1:11(10) ack 1 win 65535', 'P. 11:1471(1460) ack 1 win 65535', 'P. 1471:2931(1460) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 2931');
      dut.tx('P. 2931:3001(70) ack 1 win 65535');
      dut.expectClean();
    });

    it('splits what does not fit the window only while nothing is in flight (GP-45, MUST-38)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 999, noDelay: true });
      connection.write(new Uint8Array(1000));
      dut.tx('. 1:1000(999) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 1000 win 1500');
      dut.tx('P. 1000:1001(1) ack 1 win 65535');
      connection.write(new Uint8Array(1460));
      dut.tx('P. 1001:2461(1460) ack 1 win 65535');
      connection.write(new Uint8Array(1460));
      dut.tx();
      dut.rx('. 1:1(0) ack 2461 win 1500');
      dut.tx('P. 2461:3921(1460) ack 1 win 65535');
      dut.expectClean();
    });

    it('respects a window that shrinks under what is in flight (SHLD-15, MUST-34, SM-06)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 4380 });
      connection.write(new Uint8Array(10_000));
      expect(dut.take().length).to.equal(3);
      dut.rx('. 1:1(0) ack 1461 win 1000');
      dut.tx();
      dut.rx('. 1:1(0) ack 4381 win 2920');
      expect(dut.take().length).to.equal(2);
      dut.expectClean();
    });

    it('is not moved by the window of a reordered old segment (E-11)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 4000 });
      dut.rx('. 11:12(1) ack 1 win 6000');
      dut.rx('. 1:11(10) ack 1 win 10');
      dut.take();
      connection.write(new Uint8Array(5840));
      expect(dut.take().length).to.equal(4);
      dut.expectClean();
    });

    it('goes by the window of what acknowledges more, even if it is sent again: the right edge is the one that the peer said', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 1000 });
      connection.write(new Uint8Array(3000));
      dut.tx('. 1:1001(1000) ack 1 win 65535');
      dut.rx('. 101:201(100) ack 1 win 1000');
      dut.tx('. 1001:1001(0) ack 1 win 65535');
      dut.rx('. 1:101(100) ack 1001 win 500');
      dut.tx('. 1001:1501(500) ack 201 win 65535');
      connection.abort();
      dut.expectClean();
    });

    it('closes its window when full, and opens it by worthwhile steps (GP-54, GP-55, GT-43, GT-44, MUST-39, SHLD-14)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ receiveBuffer: 5840 });
      for (let i = 0; i < 4; i++) dut.rx(`. ${1 + i * 1460}:${1461 + i * 1460}(1460) ack 1`);
      dut.tx('. 1:1(0) ack 2921 win 2920', '. 1:1(0) ack 5841 win 0');
      dut.rx('. 5841:5842(1) ack 1');
      dut.tx('. 1:1(0) ack 5841 win 0');
      connection.read(1000);
      dut.tx();
      connection.read(460);
      dut.tx('. 1:1(0) ack 5841 win 1460');
      connection.read();
      dut.tx('. 1:1(0) ack 5841 win 2920');
      dut.rx('. 5841:5842(1) ack 1');
      dut.wait(40);
      dut.tx('. 1:1(0) ack 5842 win 2919');
      dut.expectClean();
    });

    it('announces a scaled window that is less than one unit as shut (GT-48)', () => {
      const dut = new Dut(version, { windowScaling: true, delayedAck: 0 });
      const listener = dut.listen({ receiveBuffer: 1 << 20 });
      dut.rx('S 0:0(0) win 1000 <mss 1460,nop,wscale 0>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      let next = 1;
      for (; next + 60_000 <= 1 << 20; next += 60_000) dut.rx(`. ${next}:${next + 60_000}(60000) ack 1`);
      const rest = (1 << 20) - next - 10;
      dut.take();
      dut.rx(`. ${next}:${next + rest}(${rest}) ack 1`);
      expect(dut.take().at(-1)).to.match(/win 0$/);
      connection?.read(20);
      expect(dut.take()).to.deep.equal([]);
      connection?.read(70_000);
      expect(dut.take().length).to.equal(1);
      dut.expectClean();
    });

    it('takes only what it has room for, and asks for more when there is (a blocked write drains)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ sendBuffer: 4000 });
      expect(connection.write(new Uint8Array(6000))).to.equal(4000);
      expect(connection.writableBytes).to.equal(0);
      expect(connection.write(new Uint8Array(1))).to.equal(0);
      dut.rx('. 1:1(0) ack 501');
      expect(app.events).to.deep.equal([]);
      dut.rx('. 1:1(0) ack 1461');
      expect(app.events).to.deep.equal(['writable']);
      expect(connection.writableBytes).to.equal(1460);
      dut.expectClean();
    });

    it('counts no FIN among urgent data (MUST-31)', () => {
      for (const segments of [['FPU. 1:4(3 "abc") ack 1 urg 3'], ['PU. 1:4(3 "abc") ack 1 urg 3', 'F. 4:4(0) ack 1']]) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        for (const segment of segments) dut.rx(segment);
        expect(app.events[0]).to.equal('urgent 3');
        expect(connection.urgentBytes).to.equal(3);
        connection.read(2);
        expect(connection.urgentBytes).to.equal(1);
        connection.read(1);
        expect([connection.urgentBytes, connection.readEnded]).to.deep.equal([0, true]);
        dut.expectClean();
      }
    });

    it('counts a SYN among what its urgent pointer is beyond (MUST-62)', () => {
      for (const simultaneous of [false, true]) {
        const dut = new Dut(version);
        const { connection } = dut.connecting();
        dut.take();
        if (simultaneous) dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.rx('SU. 0:5(5) ack 1 win 1000 urg 4 <mss 1460>');
        expect([connection.state, connection.readableBytes]).to.deep.equal(['ESTABLISHED', 5]);
        expect(connection.urgentBytes).to.equal(3);
        dut.expectClean();
      }
    });

    it('announces urgent data, which stay in line (MUST-30..33, MUST-62, 6093-1)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('PU. 1:4(3 "abc") ack 1 urg 3');
      dut.rx('U. 4:4(0) ack 1 urg 100');
      expect(app.events).to.deep.equal(['urgent 3', 'readable', 'urgent 103']);
      expect(Buffer.from(connection.read() ?? []).toString()).to.equal('abc');
      dut.expectClean();
    });

    it('skips options that it does not know, in any segment (MUST-5, MUST-6, MUST-7, MUST-64)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('P. 1:2(1) ack 1 <nop,nop,nop,nop,mss 9,wscale 3,sackOK,eol,nop>');
      expect(connection.readableBytes).to.equal(1);
      dut.expectClean();
    });

    it('merges tiny segments into few pieces', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted();
      for (let i = 0; i < 3000; i++) dut.rx(`. ${1 + i}:${2 + i}(1) ack 1`);
      let pieces = 0;
      let total = 0;
      for (let bytes = connection.read(); bytes !== undefined; bytes = connection.read()) {
        for (const byte of bytes) expect(byte).to.equal((1 + total++) & 0xff);
        pieces++;
      }
      expect(total).to.equal(3000);
      expect(pieces).to.be.lessThan(4);
      dut.expectClean();
    });
  });
}
