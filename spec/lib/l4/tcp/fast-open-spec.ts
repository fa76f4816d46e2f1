import { expect } from 'chai';
import { ipOf } from '../../../../lib/core/address.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import { FastOpenMemory } from '../../../../lib/l4/tcp/fast-open.js';
import { type TcpOptions, tcpConfig } from '../../../../lib/l4/tcp/options.js';
import { App, Pair, pattern, VERSIONS } from './pair.js';
import { Dut, Recorder } from './dut.js';

const DAY = 24 * 3_600_000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

for (const version of VERSIONS) {
  describe(`TCP Fast Open over IPv${version} (RFC 7413)`, () => {
    describe('at a server', () => {
      const serving = (options: TcpOptions = {}, listen = {}) => {
        const dut = new Dut(version, options);
        return { dut, listener: dut.listen({ fastOpen: 5, ...listen }) };
      };
      const cookieOf = (dut: Dut) => {
        dut.rx('S 0:0(0) win 1000 <mss 1460,FO,nop,nop>');
        const [line = ''] = dut.take();
        expect(line).to.match(/^S\. 0:0\(0\) ack 1 win 65535 <mss 1460,FO [0-9a-f]{16},nop,nop>$/);
        dut.rx('R 1:1(0) win 0');
        return /FO ([0-9a-f]+)/.exec(line)?.[1] ?? '';
      };

      it('gives a cookie to whom asks, and opens as usual', () => {
        const { dut, listener } = serving();
        dut.rx('S 0:0(0) win 1000 <mss 1460,FO,nop,nop>');
        expect(listener.accept()).to.equal(undefined);
        dut.rx('. 1:1(0) ack 1 win 1000');
        expect(listener.accept()?.state).to.equal('ESTABLISHED');
        dut.expectClean();
      });

      it('takes the data of a SYN with the right cookie, and answers before the handshake is complete', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        const app = new Recorder();
        const data: number[] = [];
        listener.acceptable = () => {
          const connection = listener.accept();
          if (connection === undefined) return;
          connection.handler = app;
          app.on.readable = () => {
            const bytes = connection.read();
            if (bytes === undefined) return;
            data.push(...bytes);
            connection.write(new Uint8Array(1500));
            connection.end();
          };
        };
        dut.rx(`S 0:3(3 "abc") win 1600 <mss 1460,FO ${cookie},nop,nop>`);
        dut.tx(
          'S. 0:0(0) ack 4 win 65535 <mss 1460>',
          '. 1:1461(1460) ack 4 win 65535',
          'P. 1461:1501(40) ack 4 win 65535',
          'F. 1501:1501(0) ack 4 win 65535',
        );
        expect(Buffer.from(data).toString()).to.equal('abc');
        dut.rx('. 4:4(0) ack 1 win 1600');
        dut.rx('F. 4:4(0) ack 1502 win 1600');
        expect(app.events).to.include.members(['readable', 'flushed']);
        expect(app.events).not.to.include('connected');
        expect(dut.host.counters).to.include({ fastOpensPassive: 1, accepted: 1, failed: 1 });
        dut.expectClean();
      });

      it('offers only the room that the data of the SYN leave, and takes all of it', () => {
        const { dut, listener } = serving({}, { receiveBuffer: 2000 });
        dut.rx('S 0:0(0) win 1000 <mss 1460,FO,nop,nop>');
        const cookie = /FO ([0-9a-f]+)/.exec(dut.take()[0] ?? '')?.[1];
        dut.rx('R 1:1(0) win 0');
        dut.rx(`S 0:500(500) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        dut.tx('S. 0:0(0) ack 501 win 1500 <mss 1460>');
        dut.rx('. 501:1961(1460) ack 1 win 60000');
        dut.rx('. 1961:2001(40) ack 1 win 60000');
        dut.wait(50);
        expect(dut.take().at(-1)).to.match(/ack 2001 win 0$/);
        expect(listener.accept()?.readableBytes).to.equal(2000);
        dut.expectClean();
      });

      it('takes an acknowledgment of SYN-ACK and early data at once', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.rx(`S 0:3(3) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        const connection = listener.accept();
        connection?.write(new Uint8Array(100));
        expect(connection?.state).to.equal('SYN-RECEIVED');
        dut.rx('. 4:4(0) ack 101 win 60000');
        expect([connection?.state, connection?.unacknowledgedBytes]).to.deep.equal(['ESTABLISHED', 0]);
        dut.take();
        dut.wait(100_000);
        dut.tx();
        dut.expectClean();
      });

      it('points behind urgent data that go before the handshake is complete, and no further (MUST-62)', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.rx(`S 0:3(3) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        const pointers: number[] = [];
        dut.onSegment = (segment) => pointers.push(segment.urgentPointer);
        const connection = listener.accept();
        connection?.write(new Uint8Array(5), { urgent: true });
        dut.rx('. 4:4(0) ack 6 win 60000');
        connection?.write(new Uint8Array(10));
        expect(pointers).to.deep.equal([5, 0]);
        dut.expectClean();
      });

      it('lets early data go at a new rate as soon as that is set', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.rx(`S 0:3(3) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        const connection = listener.accept();
        connection?.setMaxPacingRate(10);
        connection?.write(new Uint8Array(4 * 1460));
        expect(dut.take().length, 'the SYN-ACK, and two ahead of their time').to.equal(3);
        connection?.setMaxPacingRate(0);
        expect(dut.take().length).to.equal(2);
        dut.rx('. 4:4(0) ack 5841 win 60000');
        dut.expectClean();
      });

      it('repeats the SYN-ACK without the cookie, and early data only after the handshake', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.rx(`S 0:3(3) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        listener.accept()?.write(new Uint8Array(100));
        dut.take();
        dut.wait(1000);
        dut.tx('S. 0:0(0) ack 4 win 65535 <mss 1460>');
        dut.rx(`S 0:3(3) win 60000 <mss 1460,FO ${cookie},nop,nop>`);
        dut.tx('S. 0:0(0) ack 4 win 65535 <mss 1460>');
        dut.rx('. 4:4(0) ack 1 win 60000');
        dut.wait(10_000);
        expect(dut.take()[0]).to.equal('P. 1:101(100) ack 4 win 65535');
        dut.expectClean();
      });

      it('answers a wrong cookie with the right one, and acknowledges no more than the SYN', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        for (const wrong of ['0123456789abcdef', cookie.slice(0, 12)]) {
          dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${wrong}${wrong.length === 16 ? ',nop,nop' : ''}>`);
          dut.tx(`S. 0:0(0) ack 1 win 65535 <mss 1460,FO ${cookie},nop,nop>`);
          expect(listener.accept()).to.equal(undefined);
          dut.rx('R 1:1(0) win 0');
        }
        expect(dut.host.counters).to.include({ fastOpensPassive: 0, fastOpensRejected: 2 });
        dut.expectClean();
      });

      it('makes a cookie for an address, whatever the port, and understands the experiment', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.peerPort = 9;
        expect(cookieOf(dut)).to.equal(cookie);
        dut.rx(`S 0:3(3) win 1000 <mss 1460,FOEXP ${cookie}>`);
        dut.tx('S. 0:0(0) ack 4 win 65535 <mss 1460>');
        expect(listener.accept()?.readableBytes).to.equal(3);
        dut.peerPort = 10;
        dut.rx('S 0:3(3) win 1000 <mss 1460,FOEXP>');
        dut.tx(`S. 0:0(0) ack 1 win 65535 <mss 1460,FOEXP ${cookie}>`);
        dut.expectClean();
      });

      it('changes its key every day, and takes cookies of the day before', () => {
        const { dut, listener } = serving();
        const old = cookieOf(dut);
        dut.wait(DAY);
        dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${old},nop,nop>`);
        const [line = ''] = dut.take();
        expect(line).to.match(/^S\. 0:0\(0\) ack 4 win 65535 <mss 1460,FO [0-9a-f]{16},nop,nop>$/);
        expect(line).not.to.contain(old);
        expect(listener.accept()?.readableBytes).to.equal(3);
        dut.rx('R 4:4(0) win 0');
        dut.wait(DAY);
        dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${old},nop,nop>`);
        expect(dut.take()[0]).to.contain('ack 1 ');
        dut.expectClean();
      });

      it('lets no more begin so than its limit, until they have completed or ended (5.1)', () => {
        const { dut, listener } = serving({}, { fastOpen: 2 });
        const cookie = cookieOf(dut);
        const numbers: number[] = [];
        const as = (port: number) => {
          dut.peerPort = port;
          dut.iss = numbers[port] ?? 0;
        };
        const begin = (port: number) => {
          dut.peerPort = port;
          dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${cookie},nop,nop>`);
          numbers[port] = dut.iss;
          return dut.take()[0]?.split(' ')[3];
        };
        expect([1, 2, 3].map(begin)).to.deep.equal(['4', '4', '1']);
        as(1);
        dut.rx('. 4:4(0) ack 1 win 1000');
        expect([4, 5].map(begin)).to.deep.equal(['4', '1']);
        as(2);
        const app = new Recorder();
        listener.accept();
        const connection = listener.accept();
        if (connection !== undefined) connection.handler = app;
        dut.rx('R 4:4(0) win 0');
        expect(app.events).to.include('closed ECONNRESET');
        expect([6, 7].map(begin)).to.deep.equal(['4', '1']);
        dut.expectClean();
      });

      it('does nothing of it unless the listener asks for it', () => {
        const dut = new Dut(version);
        const listener = dut.listen();
        dut.rx('S 0:3(3) win 1000 <mss 1460,FO,nop,nop>');
        dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
        expect(listener.accept()).to.equal(undefined);
        dut.expectClean();
      });

      it('does without cookies where it is told to', () => {
        const { dut, listener } = serving({ fastOpenWithoutCookie: true });
        dut.rx('S 0:3(3) win 1000 <mss 1460>');
        dut.tx('S. 0:0(0) ack 4 win 65535 <mss 1460>');
        expect(listener.accept()?.readableBytes).to.equal(3);
        dut.expectClean();
      });

      it('resets those that were not accepted when the listener closes, and gives up those that never answer', () => {
        const { dut, listener } = serving();
        const cookie = cookieOf(dut);
        dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${cookie},nop,nop>`);
        const connection = listener.accept();
        const app = new Recorder();
        if (connection !== undefined) connection.handler = app;
        dut.peerPort = 9;
        dut.rx(`S 0:3(3) win 1000 <mss 1460,FO ${cookie},nop,nop>`);
        dut.take();
        listener.close();
        dut.tx('R. 1:1(0) ack 4 win 65535');
        dut.wait(100_000);
        expect(app.events.at(-1)).to.equal('closed ETIMEDOUT');
        dut.expectClean();
      });
    });

    describe('at a client', () => {
      const COOKIE = '0123456789abcdef';
      /** A client that has got a cookie. */
      const knowing = (options: TcpOptions = {}) => {
        const dut = new Dut(version, options);
        const { connection } = dut.connecting({ fastOpen: true });
        dut.wait(0);
        dut.tx('S 0:0(0) win 65535 <mss 1460,FO,nop,nop>');
        dut.rx(`S. 0:0(0) ack 1 win 60000 <mss 1460,FO ${COOKIE},nop,nop>`);
        connection.abort();
        dut.take();
        return dut;
      };

      it('asks for a cookie, and sends data after the handshake that time', () => {
        const dut = new Dut(version);
        const { app } = dut.connecting({ fastOpen: Uint8Array.of(1, 2, 3) });
        dut.tx('S 0:0(0) win 65535 <mss 1460,FO,nop,nop>');
        dut.rx(`S. 0:0(0) ack 1 win 60000 <mss 1460,FO ${COOKIE},nop,nop>`);
        dut.tx('P. 1:4(3) ack 1 win 65535');
        expect(app.events).to.deep.equal(['connected']);
        dut.expectClean();
      });

      it('sends data with the SYN when it has one; the SYN-ACK acknowledges them', () => {
        const dut = knowing();
        const { connection, app } = dut.connecting({ fastOpen: new Uint8Array(100) });
        dut.tx(`S 0:100(100) win 65535 <mss 1460,FO ${COOKIE},nop,nop>`);
        dut.rx('S. 0:0(0) ack 101 win 60000 <mss 1460>');
        dut.tx('. 101:101(0) ack 1 win 65535');
        expect(connection.unacknowledgedBytes).to.equal(0);
        expect(app.events).to.deep.equal(['connected', 'flushed']);
        connection.write(new Uint8Array(1));
        dut.tx('P. 101:102(1) ack 1 win 65535');
        expect(dut.host.counters.fastOpensActive).to.equal(1);
        dut.expectClean();
      });

      it('sends with the SYN all that is written in the event that connects, as far as it fits', () => {
        const dut = knowing();
        const { connection } = dut.connecting({ fastOpen: true });
        connection.write(new Uint8Array(1000));
        connection.write(new Uint8Array(1000));
        dut.tx();
        dut.wait(0);
        dut.tx(`S 0:1420(1420) win 65535 <mss 1460,FO ${COOKIE},nop,nop>`);
        dut.rx('S. 0:0(0) ack 1421 win 60000 <mss 1460>');
        dut.tx('P. 1421:2001(580) ack 1 win 65535');
        dut.expectClean();
      });

      it('sends again at once what the SYN-ACK does not acknowledge', () => {
        const dut = knowing();
        dut.connecting({ fastOpen: new Uint8Array(100) });
        dut.take();
        dut.rx('S. 0:0(0) ack 1 win 60000 <mss 1460>');
        dut.tx('P. 1:101(100) ack 1 win 65535');
        dut.expectClean();
      });

      it('refuses data that find no room in the send buffer, or in memory', () => {
        for (const [tcp, options, size] of [
          [{}, { sendBuffer: 4 }, 5],
          [{ memory: 1000 }, {}, 4097],
        ] as const) {
          const dut = new Dut(version, tcp);
          expect(() => dut.connecting({ ...options, fastOpen: new Uint8Array(size) }))
            .to.throw()
            .with.property('code', 'ENOBUFS');
          dut.tx();
          expect([dut.host.size, dut.host.memory.used]).to.deep.equal([0, 0]);
          const { connection } = dut.connecting({ ...options, fastOpen: new Uint8Array(size - 1) });
          expect(connection.unacknowledgedBytes).to.equal(size - 1);
          dut.expectClean();
        }
      });

      it('takes an acknowledgment of part of the data, and refuses one beyond them', () => {
        const dut = knowing();
        const { connection } = dut.connecting({ fastOpen: new Uint8Array(100) });
        dut.take();
        dut.rx('S. 0:0(0) ack 102 win 60000 <mss 1460>');
        dut.tx('R 102:102(0) win 0');
        expect(connection.state).to.equal('SYN-SENT');
        dut.rx('S. 0:0(0) ack 41 win 60000 <mss 1460>');
        dut.tx('P. 41:101(60) ack 1 win 65535');
        dut.expectClean();
      });

      it('repeats the SYN without data and option, and avoids Fast Open for a while where that alone helps (4.1.3.1)', () => {
        const dut = knowing();
        const lossy = () => {
          const { connection } = dut.connecting({ fastOpen: new Uint8Array(100) });
          const [first = ''] = dut.take();
          dut.wait(1000);
          if (first.includes('(100)')) dut.tx('S 0:0(0) win 65535 <mss 1460>');
          else dut.take();
          dut.rx('S. 0:0(0) ack 1 win 60000 <mss 1460>');
          expect(dut.take()).to.deep.equal(['P. 1:101(100) ack 1 win 65535']);
          connection.abort();
          dut.take();
          return first;
        };
        expect(lossy()).to.contain('FO');
        expect(lossy()).to.contain('FO');
        expect(lossy()).to.equal('S 0:0(0) win 65535 <mss 1460>');
        dut.wait(60_000);
        expect(lossy()).to.contain(`(100) win 65535 <mss 1460,FO ${COOKIE},nop,nop>`);
        dut.wait(60_000);
        expect(lossy()).to.equal('S 0:0(0) win 65535 <mss 1460>');
        dut.expectClean();
      });

      it('tries the experiment where a cookie was asked for and none came, and goes on in that form', () => {
        const dut = new Dut(version);
        const attempt = (answer: string) => {
          const { connection } = dut.connecting({ fastOpen: Uint8Array.of(1) });
          const [line = ''] = dut.take();
          dut.rx(`S. 0:0(0) ack 1 win 60000 <mss 1460${answer}>`);
          connection.abort();
          dut.take();
          return line.slice(line.indexOf('<'));
        };
        expect(attempt('')).to.equal('<mss 1460,FO,nop,nop>');
        expect(attempt(`,FOEXP ${COOKIE}`)).to.equal('<mss 1460,FOEXP>');
        expect(attempt('')).to.equal(`<mss 1460,FOEXP ${COOKIE}>`);
        dut.expectClean();
      });

      it('ignores a cookie that it did not ask for', () => {
        const dut = new Dut(version);
        const first = dut.connecting();
        dut.take();
        dut.rx(`S. 0:0(0) ack 1 win 60000 <mss 1460,FO ${COOKIE},nop,nop>`);
        first.connection.abort();
        dut.take();
        dut.connecting({ fastOpen: Uint8Array.of(1) });
        dut.tx('S 0:0(0) win 65535 <mss 1460,FO,nop,nop>');
        dut.expectClean();
      });

      it('opens simultaneously like any other (MUST-10)', () => {
        const dut = knowing();
        const { connection } = dut.connecting({ fastOpen: new Uint8Array(100) });
        dut.take();
        dut.rx('S 0:0(0) win 60000 <mss 1460>');
        dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
        dut.rx('S. 0:0(0) ack 1 win 60000 <mss 1460>');
        expect(connection.state).to.equal('ESTABLISHED');
        expect(dut.take().join()).to.contain('1:101(100)');
        dut.expectClean();
      });

      it('is closed or aborted before its SYN has left without any', () => {
        const dut = new Dut(version);
        const { connection, app } = dut.connecting({ fastOpen: true });
        connection.abort();
        dut.wait(10_000);
        dut.tx();
        expect(app.events).to.deep.equal(['closed ECONNABORTED']);
        dut.expectClean();
      });
    });

    it('saves a round trip between two hosts of ours, and loses nothing on a bad path', () => {
      const times: number[] = [];
      for (let round = 0; round < 2; round++) {
        const pair = new Pair({ version, carry: () => [50] });
        const [client, server] = pair.hosts;
        const remote = { address: pair.ends[1], port: 80 };
        const listener = server.listen(remote, { fastOpen: 10 });
        const data = pattern(3000);
        const got: App[] = [];
        listener.acceptable = () => {
          const connection = listener.accept();
          if (connection !== undefined) got.push(new App(data).attach(connection));
          got.at(-1)?.start();
        };
        for (let i = 0; i <= round; i++) {
          const app = new App();
          const started = pair.scheduler.now();
          app.connection = client.connect(remote, app, { fastOpen: data.slice(0, 500) });
          let answered = 0;
          const readable = app.readable.bind(app);
          app.readable = () => {
            answered ||= pair.scheduler.now() - started;
            readable();
          };
          pair.scheduler.runFor(200_000);
          times.push(answered);
          expect(Buffer.compare(app.data, data)).to.equal(0);
          expect(hex(got.at(-1)?.data ?? new Uint8Array())).to.equal(hex(data.slice(0, 500)));
        }
        expect(pair.hosts.map(({ memory }) => memory.used)).to.deep.equal([0, 0]);
        listener.close();
        pair.expectClean();
      }
      expect(times).to.deep.equal([200, 200, 100]);
    });
  });
}

describe('Fast Open cookies', () => {
  it('are those of Linux for the same key and addresses', () => {
    const keys = [
      [0xa1a1_a1a1, 0xb2b2_b2b2, 0xc3c3_c3c3, 0xd4d4_d4d4],
      [0, 0, 0, 0],
    ] as const;
    const ends = [
      ['192.0.2.1', '192.168.0.1'],
      ['fd3d:fa7b:d17d::1', 'fd3d:a0b:17d6::1'],
    ] as const;
    const cookies = keys.map((fastOpenKey) => {
      const memory = new FastOpenMemory(new SeededRandom(1), tcpConfig({ fastOpenKey }));
      return ends.map(([client, own]) => hex(memory.cookieFor(ipOf(client), ipOf(own), 0)));
    });
    expect(cookies).to.deep.equal([
      ['3021b9d889017eeb', 'c1d1e9742a47a9bc'],
      ['b7c12350a90dc8f5', '82af1a8f9a205c34'],
    ]);
  });

  it('are remembered for a bounded number of servers', () => {
    const memory = new FastOpenMemory(new SeededRandom(1), tcpConfig({}));
    const server = (i: number) => ipOf(`10.0.${i >>> 8}.${i & 255}`);
    const known = { mss: 1460, experimental: false, losses: 0, lostAt: 0 };
    for (let i = 0; i < 1500; i++) memory.remember(server(i), { ...known, cookie: Uint8Array.of(i >>> 8, i & 255) });
    expect([0, 400, 500, 1499].map((i) => memory.find(server(i), 0)?.cookie.length)).to.deep.equal([0, 0, 2, 2]);
  });
});
