import { expect } from 'chai';
import { Dut, type Opened } from './dut.js';
import { VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`TCP closing over IPv${version}`, () => {
    it('closes first: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT for 2 MSL (SM-08, SM-09, E-12, MUST-13)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.end();
      dut.tx('F. 1:1(0) ack 1 win 65535');
      expect(connection.state).to.equal('FIN-WAIT-1');
      dut.rx('. 1:1(0) ack 2');
      expect(connection.state).to.equal('FIN-WAIT-2');
      dut.rx('P. 1:4(3) ack 2');
      dut.rx('F. 4:4(0) ack 2');
      dut.tx('. 2:2(0) ack 5 win 65535');
      expect(connection.state).to.equal('TIME-WAIT');
      expect(app.events).to.deep.equal(['flushed', 'readable']);
      connection.read();
      dut.wait(0);
      expect(app.events).to.deep.equal(['flushed', 'readable', 'closed']);
      dut.wait(59_999);
      expect(dut.host.size).to.equal(1);
      dut.wait(1);
      expect(dut.host.size).to.equal(0);
      dut.expectClean();
    });

    it('closes second: CLOSE-WAIT, LAST-ACK, CLOSED (SM-07, SM-10, GT-105)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('F. 1:1(0) ack 1');
      dut.tx('. 1:1(0) ack 2 win 65535');
      expect(connection.state).to.equal('CLOSE-WAIT');
      expect(connection.readEnded).to.equal(true);
      connection.write(new Uint8Array(10));
      connection.end();
      connection.end();
      dut.tx('P. 1:11(10) ack 2 win 65535', 'F. 11:11(0) ack 2 win 65535');
      expect(connection.state).to.equal('LAST-ACK');
      dut.wait(200);
      dut.tx('FP. 1:11(10) ack 2 win 65535');
      dut.rx('. 2:2(0) ack 11');
      dut.wait(400);
      dut.tx('F. 11:11(0) ack 2 win 65535');
      expect(connection.state).to.equal('LAST-ACK');
      dut.rx('. 2:2(0) ack 12');
      expect(connection.state).to.equal('CLOSED');
      expect(app.events).to.deep.equal(['readable', 'flushed', 'closed']);
      dut.expectClean();
    });

    it('closes at the same time: CLOSING (SM-11, GP-26, GP-37)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.end();
      dut.take();
      dut.rx('F. 1:1(0) ack 1');
      dut.tx('. 2:2(0) ack 2 win 65535');
      expect(connection.state).to.equal('CLOSING');
      for (const offset of [0, 1, 2]) {
        const seq = 65_537 + offset;
        dut.rx(`P. ${seq}:${seq + 1}(1) ack 1`);
        dut.tx('. 2:2(0) ack 2 win 65535');
      }
      dut.wait(200);
      dut.tx('F. 1:1(0) ack 2 win 65535');
      dut.rx('. 2:2(0) ack 2');
      expect(connection.state).to.equal('TIME-WAIT');
      dut.expectClean();
    });

    it('goes to TIME-WAIT at once where the FIN acknowledges ours (SM-08)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.end();
      dut.take();
      dut.rx('F. 1:1(0) ack 2');
      dut.tx('. 2:2(0) ack 2 win 65535');
      expect(connection.state).to.equal('TIME-WAIT');
      dut.expectClean();
    });

    it('sends the FIN behind all data, as far as the windows let it (GT-100, GT-109)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 1460 });
      connection.write(new Uint8Array(2000));
      connection.end();
      dut.tx('. 1:1461(1460) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 1461 win 540');
      dut.tx('P. 1461:2001(540) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 2001 win 1460');
      dut.tx('F. 2001:2001(0) ack 1 win 65535');
      dut.expectClean();
    });

    it('takes the FIN only when everything before it is there (SM-07, E-15, SM-17)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('F. 11:21(10) ack 1');
      dut.tx('. 1:1(0) ack 1 win 65535');
      expect(connection.state).to.equal('ESTABLISHED');
      dut.rx('. 1:11(10) ack 1');
      dut.tx('. 1:1(0) ack 22 win 65535');
      expect(connection.state).to.equal('CLOSE-WAIT');
      expect([connection.readableBytes, connection.readEnded]).to.deep.equal([20, false]);
      while (connection.read() !== undefined);
      expect(connection.readEnded).to.equal(true);
      dut.expectClean();
    });

    it('takes a FIN while its window is shut (SM-13)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 10 });
      dut.rx('. 1:11(10) ack 1');
      dut.tx('. 1:1(0) ack 11 win 0');
      dut.rx('F. 11:11(0) ack 1');
      dut.tx('. 1:1(0) ack 12 win 0');
      expect(connection.state).to.equal('CLOSE-WAIT');
      dut.expectClean();
    });

    it('ignores data after the FIN (E-14)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('F. 1:1(0) ack 1');
      dut.take();
      dut.rx('P. 2:5(3) ack 1');
      expect(connection.readableBytes).to.equal(0);
      expect(dut.drops('TcpClosed')).to.equal(1);
      dut.expectClean();
    });

    it('resets when closed with data unread (GT-101, SHLD-3)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('P. 1:4(3) ack 1');
      connection.close();
      dut.tx('R. 1:1(0) ack 4 win 65535');
      expect(app.events).to.deep.equal(['readable', 'closed']);
      dut.rx('. 4:4(0) ack 1');
      dut.tx('R 1:1(0) win 0');
      dut.expectClean();
    });

    it('resets when data come after it was closed', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.close();
      dut.tx('F. 1:1(0) ack 1 win 65535');
      dut.rx('P. 1:4(3) ack 2');
      dut.tx('R 2:2(0) win 0');
      expect(app.events.at(-1)).to.equal('closed');
      dut.expectClean();
    });

    it('aborts with RST in every state that has a peer to tell (GP-29, SM-07, GT-26)', () => {
      for (const [prepare, flags] of [
        [[], 'R. 1:1(0) ack 1 win 65535'],
        [['F. 1:1(0) ack 1'], 'R. 1:1(0) ack 2 win 65535'],
      ] as const) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        for (const line of prepare) dut.rx(line);
        dut.take();
        app.events.length = 0;
        connection.abort();
        connection.abort();
        dut.tx(flags);
        expect(app.events).to.deep.equal(['closed ECONNABORTED']);
        expect(() => connection.write(Uint8Array.of(1)))
          .to.throw()
          .with.property('code', 'EPIPE');
        expect(connection.read()).to.equal(undefined);
        dut.expectClean();
      }
    });

    it('waits for the FIN of a peer only as long as somebody cares (GP-20, GT-103)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.close();
      dut.rx('. 1:1(0) ack 2');
      dut.take();
      dut.wait(59_999);
      expect(connection.state).to.equal('FIN-WAIT-2');
      dut.wait(1);
      expect(connection.state).to.equal('CLOSED');
      expect(app.events.at(-1)).to.equal('closed');
      dut.rx('. 1:1(0) ack 2');
      dut.tx('R 2:2(0) win 0');
      dut.expectClean();
    });

    it('waits for ever in FIN-WAIT-2 while the application reads (GP-20)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.end();
      dut.rx('. 1:1(0) ack 2');
      dut.wait(3_600_000);
      expect(connection.state).to.equal('FIN-WAIT-2');
      dut.rx('P. 1:4(3) ack 2');
      expect(connection.readableBytes).to.equal(3);
      dut.expectClean();
    });

    const timeWait = (options = {}) => {
      const dut = new Dut(version, options);
      const { connection } = dut.accepted();
      connection.end();
      dut.rx('F. 1:1(0) ack 2');
      dut.take();
      return { dut, connection };
    };

    it('answers a repeated FIN in TIME-WAIT and starts 2 MSL anew (E-13, GT-104, SM-09)', () => {
      const { dut, connection } = timeWait();
      dut.wait(50_000);
      dut.rx('F. 1:1(0) ack 2');
      dut.tx('. 2:2(0) ack 2 win 65535');
      dut.wait(59_999);
      expect(connection.state).to.equal('TIME-WAIT');
      dut.wait(1);
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('answers data in TIME-WAIT with an ACK (GT-104)', () => {
      const { dut } = timeWait();
      dut.rx('P. 10:20(10) ack 2');
      dut.tx('. 2:2(0) ack 2 win 65535');
      dut.expectClean();
    });

    it('is ended in TIME-WAIT by an exact RST only, or by none (GP-49, 1337-1)', () => {
      const { dut, connection } = timeWait();
      dut.rx('R 5:5(0) win 0');
      expect(connection.state).to.equal('TIME-WAIT');
      dut.take();
      dut.rx('R 2:2(0) win 0');
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
      const other = timeWait({ ignoreTimeWaitResets: true });
      other.dut.rx('R 2:2(0) win 0');
      expect(other.connection.state).to.equal('TIME-WAIT');
      other.dut.expectClean();
    });

    it('reopens from TIME-WAIT for a SYN with a higher sequence number, and not for a lower (MAY-2, 6191-1, GT-104)', () => {
      const { dut, connection } = timeWait();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx('. 2:2(0) ack 2 win 65535');
      const before = dut.iss;
      dut.rx('S 5:5(0) win 1000 <mss 1460>');
      expect(dut.take()).to.deep.equal(['S. 0:0(0) ack 6 win 65535 <mss 1460>']);
      expect((dut.iss - before) | 0).to.be.greaterThan(2);
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('does not let TIME-WAIT grow without bound', () => {
      const dut = new Dut(version, { maxTimeWait: 2 });
      const listener = dut.listen();
      for (let port = 1; port <= 5; port++) {
        dut.peerPort = port;
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.rx('. 1:1(0) ack 1');
        listener.accept()?.close();
        dut.rx('F. 1:1(0) ack 2');
      }
      expect(dut.host.size).to.equal(2);
      dut.expectClean();
    });

    it('acknowledges the end, and the data in front of it, where TIME-WAIT is full', () => {
      const dut = new Dut(version, { maxTimeWait: 0 });
      const { connection, app } = dut.accepted();
      connection.end();
      dut.take();
      dut.rx('. 1:1(0) ack 2');
      dut.rx('FP. 1:4(3) ack 2');
      dut.tx('. 2:2(0) ack 5 win 65535');
      expect(connection.read()?.length).to.equal(3);
      dut.wait(0);
      expect(app.events).to.deep.equal(['flushed', 'readable', 'closed']);
      expect(dut.host.size).to.equal(0);
      dut.expectClean();
    });

    it('reports closed only after everything was read (GT-102)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('FP. 1:4(3) ack 1');
      connection.end();
      dut.rx('. 5:5(0) ack 2');
      expect(connection.state).to.equal('CLOSED');
      expect(app.events).to.deep.equal(['readable', 'flushed']);
      expect(connection.read()?.length).to.equal(3);
      dut.wait(0);
      expect(app.events.at(-1)).to.equal('closed');
      dut.expectClean();
    });

    it('answers the calls of its application in every state (E-16)', () => {
      const calls = (dut: Dut, { connection }: Opened) => {
        const attempt = () => {
          try {
            return connection.write(Uint8Array.of(1)) === 1 ? 'taken' : 'full';
          } catch (error) {
            return (error as { code: string }).code;
          }
        };
        const result = [connection.state, attempt(), connection.read() === undefined];
        connection.end();
        connection.end();
        result.push(connection.state, attempt());
        dut.expectClean();
        result.push(connection.state, attempt());
        connection.close();
        connection.abort();
        return result;
      };
      const synSent = new Dut(version);
      expect(calls(synSent, synSent.connecting())).to.deep.equal([
        'SYN-SENT',
        'taken',
        true,
        'SYN-SENT',
        'EPIPE',
        'CLOSED',
        'EPIPE',
      ]);
      const states: readonly (readonly [lines: readonly string[], state: string, write: string, ended: string])[] = [
        [[], 'ESTABLISHED', 'taken', 'FIN-WAIT-1'],
        [['F. 1:1(0) ack 1'], 'CLOSE-WAIT', 'taken', 'LAST-ACK'],
      ];
      for (const [lines, state, write, ended] of states) {
        const dut = new Dut(version);
        const opened = dut.accepted();
        for (const line of lines) dut.rx(line);
        expect(calls(dut, opened)).to.deep.equal([state, write, true, ended, 'EPIPE', 'CLOSED', 'EPIPE']);
      }
      const after: readonly (readonly [line: string, state: string])[] = [
        ['. 1:1(0) ack 2', 'FIN-WAIT-2'],
        ['F. 1:1(0) ack 1', 'CLOSING'],
        ['F. 1:1(0) ack 2', 'TIME-WAIT'],
      ];
      for (const [line, state] of after) {
        const dut = new Dut(version);
        const opened = dut.accepted();
        opened.connection.end();
        dut.rx(line);
        expect(calls(dut, opened)).to.deep.equal([state, 'EPIPE', true, state, 'EPIPE', 'CLOSED', 'EPIPE']);
      }
    });

    it('gives up a FIN that nobody acknowledges (SM-15, GT-100)', () => {
      for (const lines of [[], ['F. 1:1(0) ack 1']]) {
        const dut = new Dut(version, { dataRetries: 4 });
        const { connection, app } = dut.accepted();
        for (const line of lines) dut.rx(line);
        dut.take();
        connection.end();
        dut.wait(60_000);
        expect(dut.take().length).to.equal(5);
        expect(app.events.at(-1)).to.equal('closed ETIMEDOUT');
        dut.expectClean();
      }
    });

    it('is reset in the middle of closing (GT-106)', () => {
      const cases: readonly (readonly [lines: readonly string[], end: boolean, reset: string, event: string])[] = [
        [[], true, 'R 1:1(0) win 0', 'closed ECONNRESET'],
        [['. 1:1(0) ack 2'], true, 'R 1:1(0) win 0', 'closed ECONNRESET'],
        [['F. 1:1(0) ack 1'], false, 'R 2:2(0) win 0', 'closed ECONNRESET'],
        [['F. 1:1(0) ack 1'], true, 'R 2:2(0) win 0', 'closed'],
      ];
      for (const [lines, end, reset, event] of cases) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        if (end) connection.end();
        for (const line of lines) dut.rx(line);
        dut.take();
        dut.rx(reset);
        dut.tx();
        expect(app.events.at(-1)).to.equal(event);
        dut.expectClean();
      }
    });

    it('waits only so long for a FIN that nobody reads up to, though it is to keep alive (GT-92)', () => {
      const dut = new Dut(version, { finWait2Timeout: 300 });
      const { connection } = dut.accepted();
      connection.close();
      dut.rx('. 1:1(0) ack 2');
      connection.setKeepAlive(true, 500, 100, 3);
      dut.wait(300);
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('ends everything with ENETDOWN when disposed', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.write(new Uint8Array(100));
      dut.expectClean();
      expect(app.events).to.deep.equal(['closed ENETDOWN']);
      dut.rx('P. 1:4(3) ack 1');
      expect(dut.drops('Disposed')).to.equal(1);
    });

    it('so also in TIME-WAIT, where something is still to be read', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.end();
      dut.rx('. 1:1(0) ack 2');
      dut.rx('FP. 1:11(10) ack 2');
      expect([connection.state, connection.readableBytes]).to.deep.equal(['TIME-WAIT', 10]);
      dut.expectClean();
      expect(app.events).to.deep.equal(['flushed', 'readable', 'closed ENETDOWN']);
    });

    it('takes nothing new from those who hear that it is disposed', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      let code = '';
      app.closed = () => {
        try {
          dut.host.connect({ ...connection.remote }, app);
        } catch (error) {
          code = (error as { code: string }).code;
        }
      };
      dut.host.dispose();
      expect(code).to.equal('ENETDOWN');
      expect(dut.host.size).to.equal(0);
      dut.expectClean();
    });
  });
}
