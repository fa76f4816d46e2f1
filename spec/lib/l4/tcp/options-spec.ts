import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { tcpConfig } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

describe('the options of TCP', () => {
  it('stand in the documentation, with their defaults', () => {
    const rows = readFileSync(new URL('../../../../docs/TCP.md', import.meta.url), 'utf8').split('\n');
    const show = (value: unknown): string => {
      if (typeof value === 'number') return value >= 10_000 ? value.toLocaleString('en') : String(value);
      return Array.isArray(value) ? value.join('-') : String(value);
    };
    for (const [name, value] of Object.entries(tcpConfig({}))) {
      if (name === 'fastOpenKey') continue;
      const row = rows.find((line) => line.startsWith(`| \`${name}\``));
      expect(row, name).to.be.a('string');
      expect(row?.split('|')[2]?.replaceAll('`', '').trim(), name).to.equal(show(value));
    }
  });

  it('that make no sense are refused', () => {
    for (const options of [
      { receiveBuffer: 0 },
      { receiveBufferMax: 2 ** 31 },
      { sendBufferMax: 0 },
      { initialReceiveWindow: 0x1_0000 },
      { memory: 0 },
      { maxDelayedAck: 500 },
      { ackPolicy: 'never' as 'adaptive' },
      { receiveWindow: 'half' as 'whole' },
      { handshakeTimeout: -1 },
      { connectErrors: 'none' as 'any' },
      { minMss: 0 },
    ]) {
      expect(() => tcpConfig(options), JSON.stringify(options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});

for (const version of VERSIONS) {
  describe(`TCP limits of one connection over IPv${version}`, () => {
    it('differ from the host’s where it was given its own (GT-70)', () => {
      const dut = new Dut(version, { synRetries: 5 });
      const { app } = dut.connecting({ limits: { synRetries: 1, initialRto: 300 } });
      dut.wait(300);
      expect(dut.take().length).to.equal(2);
      dut.wait(600);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      const { connection, app: other } = dut.connecting({ limits: { dataRetries: 1, minRto: 50, maxRto: 70 } });
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      connection.write(new Uint8Array(1));
      dut.wait(50);
      expect(dut.take().length).to.equal(3);
      dut.wait(70);
      expect(other.events.at(-1)).to.equal('closed ETIMEDOUT');
      dut.expectClean();
    });

    it('are lower once the application has closed it, and nobody waits', () => {
      const dut = new Dut(version, { orphanRetries: 2 });
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(1));
      connection.close();
      dut.take();
      dut.wait(200 + 400 + 800 - 1);
      expect(connection.state).to.equal('FIN-WAIT-1');
      dut.wait(1);
      expect(connection.state).to.equal('CLOSED');
      const { connection: shut } = dut.connected();
      dut.rx('. 1:1(0) ack 1 win 0');
      shut.write(new Uint8Array(1));
      shut.close();
      dut.wait(20_000);
      expect(shut.state).to.equal('CLOSED');
      dut.expectClean();
    });

    it('of keep-alives and the user timeout have defaults (MUST-24, MUST-27, GP-52)', () => {
      const keepAlive = { keepAliveIdle: 500, keepAliveInterval: 100, keepAliveCount: 2 };
      const dut = new Dut(version, keepAlive);
      const { app } = dut.accepted({ keepAlive: true });
      dut.wait(700);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
      const limited = new Dut(version, { ...keepAlive, userTimeout: 900 });
      const { connection, app: other } = limited.connected();
      connection.write(new Uint8Array(1));
      limited.wait(900);
      expect(other.events).to.deep.equal(['closed ETIMEDOUT']);
      limited.expectClean();
    });

    it('of time count instead of the number of keep-alives (RFC 5482 4.2)', () => {
      const dut = new Dut(version, { keepAliveIdle: 500, keepAliveInterval: 100, keepAliveCount: 2, userTimeout: 900 });
      const { app } = dut.accepted({ keepAlive: true });
      dut.wait(899);
      expect(app.events).to.deep.equal([]);
      dut.wait(1);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
    });

    it('of packets may change while it is there: traffic class and hop limit (SHLD-21, GT-55)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      const packets: (readonly [number, number])[] = [];
      dut.onSegment = (_, packet) => packets.push([packet.hopLimit, packet.trafficClass]);
      connection.write(new Uint8Array(1));
      connection.setTrafficClass(0xb9);
      connection.setHopLimit(7);
      dut.wait(200);
      expect(packets).to.deep.equal([
        [64, 0],
        [7, 0xb8],
      ]);
      for (const hops of [0, 256, 1.5])
        expect(() => connection.setHopLimit(hops))
          .to.throw()
          .with.property('code', 'EINVAL');
      connection.abort();
      dut.expectClean();
    });

    it('of segments may be lowered while it is there', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setMaxSegmentSize(700);
      connection.write(new Uint8Array(1500));
      expect(dut.take().map((line) => /\(\d+\)/.exec(line)?.[0])).to.deep.equal(['(700)', '(700)', '(100)']);
      connection.abort();
      const { connection: opening } = dut.connecting();
      opening.setMaxSegmentSize(600);
      dut.take();
      dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect(opening.info().sndMss).to.equal(600);
      opening.abort();
      dut.expectClean();
    });

    it('a shut window stays shut as long as the application does not read (MAY-8)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 1000 });
      dut.rx('. 1:1001(1000) ack 1');
      dut.take();
      for (let i = 0; i < 50; i++) {
        dut.wait(60_000);
        dut.rx('. 1000:1000(0) ack 1');
        dut.tx('. 1:1(0) ack 1001 win 0');
      }
      connection.abort();
      dut.expectClean();
    });
  });

  describe(`TCP accepting deferred until data come, over IPv${version}`, () => {
    it('ignores the bare ACK, and accepts with the first data (GT-22)', () => {
      const dut = new Dut(version);
      const listener = dut.listen({ deferAccept: 5000 });
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      dut.take();
      dut.rx('. 1:1(0) ack 1');
      dut.tx();
      expect(listener.accept()).to.equal(undefined);
      // Its SYN-ACK was acknowledged: it is not sent again.
      dut.wait(2000);
      dut.tx();
      dut.rx('P. 1:11(10) ack 1');
      const connection = listener.accept();
      expect(connection?.readableBytes).to.equal(10);
      expect(connection?.info()).to.include({ state: 'ESTABLISHED', sndCwnd: 10 });
      connection?.abort();
      dut.expectClean();
    });

    it('sends the SYN-ACK again when the time is over, and accepts without data then (GT-22)', () => {
      const dut = new Dut(version);
      const listener = dut.listen({ deferAccept: 2500 });
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      dut.take();
      dut.rx('. 1:1(0) ack 1');
      dut.wait(2999);
      dut.tx();
      dut.wait(1);
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      expect(connection?.state).to.equal('ESTABLISHED');
      connection?.abort();
      dut.expectClean();
    });

    it('does not take the time that the peer thinks for that of the way (GT-22, 6298-2)', () => {
      for (const [lost, ts] of [
        [0, ''],
        [1000, 'nop,nop,TS val 1 ecr'],
      ] as const) {
        const dut = new Dut(version, { timestamps: ts !== '' });
        const listener = dut.listen({ deferAccept: 10_000 });
        dut.rx(`S 0:0(0) win 65535 <mss 1460${ts && ',TS val 1 ecr 0'}>`);
        dut.wait(lost);
        expect(dut.take().length, 'SYN-ACKs').to.equal(lost > 0 ? 2 : 1);
        const echo = ts && ` <${ts} ${1000 + lost}>`;
        dut.wait(5);
        dut.rx(`. 1:1(0) ack 1${echo}`);
        dut.wait(700);
        dut.rx(`P. 1:11(10) ack 1${echo}`);
        expect((listener.accept() as Connection).rtt.srtt).to.equal(5);
        dut.expectClean();
      }
    });

    it('nor the time that the connection waits for room in the queue (6298-2)', () => {
      const dut = new Dut(version);
      const listener = dut.listen({ backlog: 1 });
      dut.peerPort = 7778;
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      const { iss } = dut;
      dut.peerPort = 7777;
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      const other = dut.iss;
      [dut.peerPort, dut.iss] = [7778, iss];
      dut.rx('. 1:1(0) ack 1');
      [dut.peerPort, dut.iss] = [7777, other];
      dut.wait(5);
      dut.rx('. 1:1(0) ack 1');
      listener.accept();
      dut.wait(700);
      dut.rx('P. 1:11(10) ack 1');
      expect((listener.accept() as Connection).rtt.srtt).to.equal(5);
      dut.expectClean();
    });

    it('sends the SYN-ACK again as ever where nothing acknowledges it, and gives up (GT-22)', () => {
      const dut = new Dut(version, { synAckRetries: 2 });
      const listener = dut.listen({ deferAccept: 100 });
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      dut.wait(3000);
      expect(dut.take().length).to.equal(3);
      dut.wait(4000);
      expect(dut.host.size).to.equal(0);
      listener.close();
      dut.expectClean();
    });
  });
}
