import { expect } from 'chai';
import type { NetError } from '../../../../lib/core/errors.js';
import { Dut, Recorder } from './dut.js';
import { VERSIONS } from './pair.js';

const code = (call: () => unknown): string | undefined => {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

/** Wants to hear of trouble, too. */
class Worried extends Recorder {
  trouble({ code: what }: NetError): void {
    this.events.push(`trouble ${what}`);
  }
}

for (const version of VERSIONS) {
  describe(`TCP shutdown and linger over IPv${version}`, () => {
    it('shuts down writing with a FIN, and goes on reading (GT-102, GP-32)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection, app } = dut.accepted();
      connection.shutdown('write');
      dut.tx('F. 1:1(0) ack 1 win 65535');
      expect(code(() => connection.write(new Uint8Array(1)))).to.equal('EPIPE');
      dut.rx('P. 1:6(5) ack 2');
      dut.tx('. 2:2(0) ack 6 win 65535');
      expect(connection.read()?.length).to.equal(5);
      expect(app.events).to.deep.equal(['readable', 'flushed']);
      connection.abort();
      dut.expectClean();
    });

    it('shuts down reading: what came can be read, then the stream is over, and nothing is sent (GT-102)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('P. 1:6(5) ack 1');
      connection.shutdown('read');
      connection.shutdown('read');
      dut.wait(0);
      expect(app.events).to.deep.equal(['readable']);
      expect(connection.readEnded).to.equal(false);
      expect(connection.read()?.length).to.equal(5);
      expect(connection.readEnded).to.equal(true);
      dut.wait(40);
      dut.tx('. 1:1(0) ack 6 win 65535');
      connection.write(new Uint8Array(3));
      dut.tx('P. 1:4(3) ack 6 win 65535');
      connection.abort();
      dut.expectClean();
    });

    it('tells a reader that waits that reading was shut down (GT-102)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.shutdown('both');
      dut.wait(0);
      expect(app.events).to.deep.equal(['readable']);
      expect(connection.readEnded).to.equal(true);
      dut.tx('F. 1:1(0) ack 1 win 65535');
      connection.abort();
      dut.expectClean();
    });

    it('gives up a connection that is being opened, and sends no further SYN (GT-05, GT-01)', () => {
      for (const how of ['read', 'write', 'both'] as const) {
        const dut = new Dut(version);
        const { connection, app } = dut.connecting();
        dut.take();
        connection.shutdown(how);
        dut.wait(10_000);
        dut.tx();
        expect(app.events).to.deep.equal(['closed ECONNABORTED']);
        expect(code(() => connection.shutdown(how))).to.equal('ENOTCONN');
        dut.expectClean();
      }
    });

    it('resets with a linger time of zero, whatever is queued (GP-29, GP-32)', () => {
      for (const first of [undefined, 'write', 'read'] as const) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        connection.setLinger(0);
        if (first !== undefined) connection.shutdown(first);
        else connection.write(new Uint8Array(5));
        dut.take();
        connection.close();
        const seq = first === undefined ? 6 : first === 'write' ? 2 : 1;
        dut.tx(`R. ${seq}:${seq}(0) ack 1 win 65535`);
        expect(app.events.at(-1)).to.equal('closed');
        expect(connection.state).to.equal('CLOSED');
        dut.expectClean();
      }
    });

    it('resets a connection in SYN-RECEIVED, too, with a linger time of zero (GT-26)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      connection.setLinger(0);
      dut.take();
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      expect(connection.state).to.equal('SYN-RECEIVED');
      dut.take();
      connection.close();
      dut.tx('R. 1:1(0) ack 1 win 65535');
      dut.expectClean();
    });

    it('closes with a FIN at once where no linger time was set, or it was taken back (GP-30)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setLinger(0);
      connection.setLinger(undefined);
      connection.close();
      dut.tx('F. 1:1(0) ack 1 win 65535');
      dut.host.dispose();
      dut.expectClean();
    });

    it('says when everything was acknowledged that a close lingers for (GP-31, GP-32)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      const lingered: string[] = [];
      Object.assign(app, { lingered: (complete: boolean) => lingered.push(`${complete} ${connection.state}`) });
      connection.setLinger(3000);
      connection.write(new Uint8Array(5));
      connection.shutdown('write');
      connection.close();
      dut.tx('P. 1:6(5) ack 1 win 65535', 'F. 6:6(0) ack 1 win 65535');
      dut.rx('. 1:1(0) ack 6');
      expect(lingered).to.deep.equal([]);
      dut.rx('. 1:1(0) ack 7');
      expect(lingered).to.deep.equal(['true FIN-WAIT-2']);
      dut.wait(5000);
      expect(lingered.length).to.equal(1);
      dut.host.dispose();
      dut.expectClean();
    });

    it('says when the linger time is over, and goes on in the background (GP-31)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      const lingered: boolean[] = [];
      Object.assign(app, { lingered: (complete: boolean) => lingered.push(complete) });
      connection.setLinger(150);
      connection.write(new Uint8Array(5));
      connection.close();
      dut.wait(149);
      expect(lingered).to.deep.equal([]);
      dut.wait(1);
      expect(lingered).to.deep.equal([false]);
      dut.take();
      dut.wait(100);
      expect(dut.take()).to.have.length.above(0);
      dut.rx('. 1:1(0) ack 7');
      expect(connection.state).to.equal('FIN-WAIT-2');
      expect(lingered).to.deep.equal([false]);
      dut.host.dispose();
      dut.expectClean();
    });

    it('does not linger where there is nothing to wait for (GP-31, GP-33)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      const lingered: boolean[] = [];
      Object.assign(app, { lingered: (complete: boolean) => lingered.push(complete) });
      connection.setLinger(1000);
      connection.shutdown('write');
      dut.rx('. 1:1(0) ack 2');
      connection.close();
      expect(lingered).to.deep.equal([true]);
      const { connection: opening, app: other } = dut.connecting();
      opening.setLinger(1000);
      opening.close();
      expect(other.events).to.deep.equal(['closed']);
      dut.host.dispose();
      dut.expectClean();
    });

    it('waits for the peer’s FIN as long as this connection was told to, then knows nothing of it (GP-20, GT-107, GT-103)', () => {
      for (const [time, expected] of [
        [3000, 3000],
        [undefined, 60_000],
      ] as const) {
        const dut = new Dut(version);
        const { connection } = dut.accepted();
        if (time !== undefined) connection.setFinWait2Timeout(time);
        connection.close();
        dut.rx('. 1:1(0) ack 2');
        dut.wait(expected - 1);
        expect(connection.state).to.equal('FIN-WAIT-2');
        dut.wait(1);
        expect(connection.state).to.equal('CLOSED');
        dut.take();
        dut.rx('. 1:1(0) ack 2');
        dut.tx('R 2:2(0) win 0');
        dut.expectClean();
      }
    });

    it('ends in FIN-WAIT-2 at once where that is not to be waited in (GT-107)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setFinWait2Timeout(-1);
      connection.close();
      dut.take();
      dut.rx('. 1:1(0) ack 2');
      dut.tx('R. 2:2(0) ack 1 win 65535');
      expect(connection.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('disconnects with a RST where the peer needs one, and without an error (E-16)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      connection.write(new Uint8Array(4));
      dut.take();
      connection.disconnect();
      dut.tx('R. 5:5(0) ack 1 win 65535');
      expect(app.events).to.deep.equal(['closed']);
      const { connection: opening, app: other } = dut.connecting();
      dut.take();
      opening.disconnect();
      dut.tx();
      expect(other.events).to.deep.equal(['closed']);
      dut.expectClean();
    });

    it('answers each call in each state as the RFC has it (E-16)', () => {
      const byte = new Uint8Array(1);
      const dut = new Dut(version);
      const { connection: gone } = dut.connecting();
      gone.abort();
      expect(code(() => gone.write(byte))).to.equal('EPIPE');
      expect(gone.read()).to.equal(undefined);
      expect(code(() => gone.shutdown('write'))).to.equal('ENOTCONN');
      gone.end();
      gone.close();
      gone.abort();
      gone.disconnect();
      expect(gone.info().state).to.equal('CLOSED');
      const { connection } = dut.connecting();
      expect(connection.write(byte), 'queued in SYN-SENT').to.equal(1);
      expect(connection.read()).to.equal(undefined);
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(dut.take()).to.deep.equal(['P. 1:2(1) ack 1 win 65535']);
      connection.end();
      for (const state of ['FIN-WAIT-1', 'FIN-WAIT-2', 'TIME-WAIT']) {
        if (state === 'FIN-WAIT-2') dut.rx('. 1:1(0) ack 3');
        if (state === 'TIME-WAIT') dut.rx('F. 1:1(0) ack 3');
        expect(connection.info().state).to.equal(state);
        expect(
          code(() => connection.write(byte)),
          state,
        ).to.equal('EPIPE');
        connection.end();
        expect(connection.read()).to.equal(undefined);
      }
      dut.host.dispose();
      dut.expectClean();
    });

    it('gives an error once to who asks, that which ended the connection or what ICMP said, and soft ones to nobody else (SHLD-20)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      expect(connection.takeError()).to.equal(undefined);
      connection.write(new Uint8Array(10));
      expect(dut.icmp('host-unreachable', 'EHOSTUNREACH', 1)).to.equal(true);
      expect(connection.takeError()?.code).to.equal('EHOSTUNREACH');
      expect(connection.takeError()).to.equal(undefined);
      dut.rx('R. 1:1(0) ack 1');
      expect(app.events).to.deep.equal(['closed ECONNRESET']);
      expect(connection.takeError()?.code).to.equal('ECONNRESET');
      expect(connection.takeError()).to.equal(undefined);
      dut.expectClean();
    });

    it('tells who wants to know of ICMP errors, and when nothing was acknowledged through three retransmissions (SHLD-9, SHLD-25)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      const app = new Worried();
      connection.handler = app;
      connection.write(new Uint8Array(10));
      dut.wait(200 + 400 + 799);
      expect(app.events).to.deep.equal([]);
      dut.wait(1);
      expect(app.events).to.deep.equal(['trouble ETIMEDOUT']);
      expect(connection.takeError()).to.equal(undefined);
      expect(dut.icmp('net-unreachable', 'ENETUNREACH', 1)).to.equal(true);
      expect(app.events.at(-1)).to.equal('trouble ENETUNREACH');
      dut.rx('. 1:1(0) ack 11');
      expect(app.events.slice(2)).to.deep.equal(['flushed']);
      expect(connection.state).to.equal('ESTABLISHED');
      connection.write(new Uint8Array(10));
      connection.close();
      expect(dut.icmp('net-unreachable', 'ENETUNREACH', 11)).to.equal(true);
      expect(app.events.slice(3)).to.deep.equal([]);
      connection.abort();
      dut.expectClean();
    });

    it('looks at what is to be read without taking it', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      expect(connection.peek()).to.equal(undefined);
      dut.rx('P. 1:6(5) ack 1');
      expect([...(connection.peek(2) ?? [])]).to.deep.equal([1, 2]);
      expect(connection.peek()?.length).to.equal(5);
      expect(connection.readableBytes).to.equal(5);
      expect(connection.read(3)?.length).to.equal(3);
      expect([...(connection.peek() ?? [])]).to.deep.equal([4, 5]);
      connection.abort();
      expect(connection.peek()).to.equal(undefined);
      dut.expectClean();
    });

    it('sends urgent data with a pointer behind them, until they are acknowledged (MUST-30, MUST-31, MUST-62, SHLD-13)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ mss: 100 });
      const pointers: string[] = [];
      dut.onSegment = (segment) => pointers.push(`${segment.flags & 0x20 ? 'U' : '-'}${segment.urgentPointer}`);
      connection.write(new Uint8Array(10));
      connection.write(new Uint8Array(250), { urgent: true });
      connection.write(new Uint8Array(30), { urgent: true });
      dut.rx('P. 1:2(1) ack 11');
      dut.wait(40);
      // Small ones do not wait for an acknowledgment.
      expect(pointers).to.deep.equal(['-0', 'U250', 'U150', 'U50', 'U30', '-0']);
      pointers.length = 0;
      dut.rx('. 2:2(0) ack 291');
      connection.write(new Uint8Array(1));
      expect(pointers).to.deep.equal(['-0']);
      connection.abort();
      dut.expectClean();
    });
  });
}
