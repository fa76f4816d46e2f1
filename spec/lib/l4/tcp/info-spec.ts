import { expect } from 'chai';
import { linuxTcpInfo } from '../../../../lib/l4/tcp/info.js';
import { Dut, type Opened } from './dut.js';
import { VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`what TCP tells of a connection over IPv${version}`, () => {
    it('knows nothing of the network yet in SYN-SENT (GP-28)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      const info = connection.info();
      expect(info).to.include({ state: 'SYN-SENT', caState: 'Open', rtt: 0, rto: 1000, bytesSent: 0, segsOut: 1 });
      expect(info.minRtt).to.equal(Number.POSITIVE_INFINITY);
      expect(info.options).to.deep.equal({
        timestamps: false,
        sack: false,
        windowScaling: false,
        ecn: false,
        ecnSeen: false,
        synData: false,
      });
      expect(linuxTcpInfo(info)).to.include({ state: 2, ca_state: 0, rto: 1_000_000, snd_ssthresh: 0x7fff_ffff });
      connection.abort();
      dut.expectClean();
    });

    it('measures, counts segments and bytes, and says when there was something last (GP-28)', () => {
      const dut = new Dut(version, { timestamps: true, sack: true, windowScaling: true, delayedAck: 0 });
      const { connection } = dut.connecting();
      dut.wait(30);
      dut.rx('S. 0:0(0) ack 1 win 60000 <mss 1460,sackOK,TS val 9 ecr 1000,nop,wscale 2>');
      connection.write(new Uint8Array(3000));
      dut.wait(50);
      dut.rx('. 1:1(0) ack 2897 win 20000 <nop,nop,TS val 9 ecr 1030>');
      dut.rx('P. 1:501(500) ack 2897 win 20000 <nop,nop,TS val 9 ecr 1030>');
      dut.wait(7);
      const info = connection.info();
      expect(info).to.include({ state: 'ESTABLISHED', caState: 'Open', sndMss: 1448, advmss: 1448, rcvMss: 536 });
      expect(info).to.include({ sndCwnd: 10, unacked: 1, sacked: 0, lost: 0, retrans: 0, sndWnd: 80_000 });
      expect(info).to.include({ bytesSent: 3000, bytesAcked: 2896, bytesReceived: 500, bytesRetrans: 0 });
      expect(info).to.include({ segsOut: 6, segsIn: 3, dataSegsOut: 3, dataSegsIn: 1, totalRetrans: 0 });
      expect(info).to.include({ lastDataSent: 57, lastDataRecv: 7, lastAckRecv: 7, notsentBytes: 0, minRtt: 30 });
      expect(info).to.include({ delivered: 2, deliveryRate: 2896 * 20, deliveryRateAppLimited: false });
      expect(info.rtt).to.be.within(30, 50);
      expect(info.rto).to.be.within(230, 300);
      expect(linuxTcpInfo(info)).to.include({
        state: 1,
        options: 7,
        snd_cwnd: 10,
        min_rtt: 30_000,
        rtt: Math.round(info.rtt * 1000),
        last_data_sent: 57,
        bytes_acked: 2896,
        snd_wscale: 2,
      });
      connection.abort();
      dut.expectClean();
    });

    it('is in Loss after a timeout, with a window of one segment (GP-28)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(4380));
      dut.wait(200);
      const info = connection.info();
      expect(info).to.include({ caState: 'Loss', sndCwnd: 1, retransmits: 1, backoff: 1, totalRetrans: 1 });
      expect(info).to.include({ unacked: 3, bytesRetrans: 1460 });
      expect(linuxTcpInfo(info)).to.include({ ca_state: 4, total_retrans: 1, bytes_retrans: 1460 });
      dut.rx('. 1:1(0) ack 4381');
      expect(connection.info()).to.include({ caState: 'Open', unacked: 0, retransmits: 0 });
      connection.abort();
      dut.expectClean();
    });

    it('divides the time in which there was something to send by what kept it', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 2000, sendBuffer: 3000 });
      dut.wait(1000);
      expect(connection.info()).to.include({ busyTime: 0, rwndLimited: 0, sndbufLimited: 0 });
      connection.write(new Uint8Array(1000));
      dut.wait(10);
      dut.rx('. 1:1(0) ack 1001 win 2000');
      dut.wait(10);
      connection.write(new Uint8Array(3000));
      dut.wait(20);
      expect(connection.info()).to.include({ busyTime: 30, rwndLimited: 20, sndbufLimited: 0, notsentBytes: 1540 });
      dut.rx('. 1:1(0) ack 2461 win 65535');
      connection.write(new Uint8Array(5000));
      dut.wait(5);
      dut.rx('. 1:1(0) ack 2461 win 65535');
      dut.wait(5);
      expect(connection.info()).to.include({ busyTime: 40, rwndLimited: 20, sndbufLimited: 10 });
      dut.rx('. 1:1(0) ack 5461 win 65535');
      dut.wait(50);
      expect(connection.info()).to.include({ busyTime: 40, rwndLimited: 20, sndbufLimited: 10 });
      connection.abort();
      dut.expectClean();
    });

    it('counts window probes, and keep-alives', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ win: 0 });
      connection.write(new Uint8Array(10));
      dut.wait(700);
      expect(connection.info()).to.include({ probes: 2, backoff: 2, rwndLimited: 700 });
      connection.abort();
      const other = new Dut(version);
      const { connection: idle } = other.accepted();
      idle.setKeepAlive(true, 1000, 100, 5);
      other.wait(1250);
      expect(idle.info().probes).to.equal(3);
      idle.abort();
      dut.expectClean();
      other.expectClean();
    });

    it('counts as not sent what was written and waits: neither SYN nor FIN, nor what is over (GP-28)', () => {
      const dut = new Dut(version);
      const unsent = ({ connection }: Opened) => [connection.unsentBytes, connection.info().notsentBytes];
      const opening = dut.connecting();
      expect(unsent(opening)).to.deep.equal([0, 0]);
      opening.connection.write(new Uint8Array(10));
      expect(unsent(opening)).to.deep.equal([10, 10]);
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(unsent(opening)).to.deep.equal([0, 0]);
      opening.connection.end();
      expect(unsent(opening), 'the FIN is on its way').to.deep.equal([0, 0]);
      dut.rx('. 1:1(0) ack 12');
      expect([opening.connection.state, ...unsent(opening)]).to.deep.equal(['FIN-WAIT-2', 0, 0]);
      dut.rx('F. 1:1(0) ack 12');
      expect([opening.connection.state, ...unsent(opening)]).to.deep.equal(['TIME-WAIT', 0, 0]);
      const other = new Dut(version);
      const opened = other.accepted({ win: 1000 });
      opened.connection.write(new Uint8Array(1500));
      expect(unsent(opened)).to.deep.equal([500, 500]);
      other.rx('R 1:1(0) win 0');
      expect([opened.connection.state, ...unsent(opened)]).to.deep.equal(['CLOSED', 0, 0]);
      dut.expectClean();
      other.expectClean();
    });

    it('tells nothing more to a listener that goes after the first of two states of one event', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      const states: string[] = [];
      connection.onState = (state) => {
        states.push(state);
        connection.onState = undefined;
      };
      connection.write(new Uint8Array(100));
      connection.end();
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      dut.tx('FP. 1:101(100) ack 1 win 65535');
      expect(states).to.deep.equal(['ESTABLISHED']);
      expect(app.events).to.deep.equal(['connected']);
      expect(dut.host.counters.handlersThrew).to.equal(0);
      dut.expectClean();
    });

    it('tells the states that a connection comes to, in order and when the event is over', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.connecting();
      const states: string[] = [];
      connection.onState = (state) => states.push(`${state} ${connection.state} ${app.events.length}`);
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      connection.end();
      expect(states).to.deep.equal(['ESTABLISHED ESTABLISHED 0']);
      dut.rx('F. 1:1(0) ack 2');
      dut.wait(60_000);
      expect(states.slice(1)).to.deep.equal([
        'FIN-WAIT-1 TIME-WAIT 1',
        'FIN-WAIT-2 TIME-WAIT 1',
        'TIME-WAIT TIME-WAIT 1',
        'CLOSED CLOSED 4',
      ]);
      connection.onState = undefined;
      dut.expectClean();
    });
  });
}
