import { expect } from 'chai';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { decodeOptions, encodeOptions } from '../../../../lib/l4/tcp/syn-cookies.js';
import { tcpConfig } from '../../../../lib/l4/tcp/options.js';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const ALL: TcpOptions = { timestamps: true, windowScaling: true, sack: true };

for (const version of VERSIONS) {
  describe(`SYN cookies over IPv${version} (RFC 4987)`, () => {
    /** A listener that one embryonic connection of somebody else fills. */
    const crowded = (options: TcpOptions = {}, listen = {}) => {
      const dut = new Dut(version, { maxEmbryonic: 1, ...options });
      const listener = dut.listen(listen);
      dut.peerPort = 6666;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      dut.peerPort = 7777;
      return { dut, listener };
    };

    it('answers without keeping anything, and takes data with the ACK that returns the cookie (GP-46)', () => {
      const { dut, listener } = crowded();
      dut.rx('S 0:0(0) win 1000 <mss 1440>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      expect([dut.host.size, dut.scheduler.pending]).to.deep.equal([1, 1]);
      dut.rx('P. 1:6(5) ack 1 win 2000');
      const connection = listener.accept();
      expect([connection?.state, connection?.readableBytes]).to.deep.equal(['ESTABLISHED', 5]);
      connection?.write(new Uint8Array(3000));
      dut.tx('. 1:1441(1440) ack 6 win 65535');
      expect(dut.host.counters).to.include({ cookiesSent: 1, cookiesAccepted: 1, cookiesRejected: 0, accepted: 1 });
      dut.expectClean();
    });

    it('promises no larger window than the connection has (SHLD-14)', () => {
      for (const [timestamps, window] of [
        [false, 6 * 1460],
        [true, 6 * 1448],
      ] as const) {
        const { dut, listener } = crowded({ receiveWindow: 'gradual', timestamps }, { receiveBuffer: 10_000 });
        const ts = timestamps ? ',nop,nop,TS val 1 ecr 0' : '';
        dut.rx(`S 0:0(0) win 1000 <mss 1460${ts}>`);
        expect(dut.take()[0]).to.include(` ack 1 win ${window} <mss 1460`);
        const echo = timestamps ? ' <nop,nop,TS val 1 ecr 1000>' : '';
        dut.rx(`P. 1:${window + 1}(${window}) ack 1 win 2000${echo}`);
        expect(listener.accept()?.readableBytes).to.equal(window);
        dut.expectClean();
      }
    });

    it('refuses an ACK with a wrong cookie, or with a sequence number that is not that of the SYN (GP-46)', () => {
      const { dut } = crowded();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.take();
      for (const ack of [0, 2, 2 ** 29, 2 ** 31, 2 ** 32 - 1]) {
        dut.rx(`. 1:1(0) ack ${ack} win 1000`);
        dut.tx(`R ${ack | 0}:${ack | 0}(0) win 0`);
      }
      dut.rx('. 2:2(0) ack 1 win 1000');
      dut.tx('R 1:1(0) win 0');
      dut.peerPort = 7778;
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx('R 1:1(0) win 0');
      expect(dut.host.size).to.equal(1);
      expect(dut.host.counters).to.include({ cookiesSent: 1, cookiesAccepted: 0, cookiesRejected: 7 });
      dut.expectClean();
    });

    it('refuses a cookie that is older than two minutes', () => {
      for (const [minutes, state] of [
        [1, 'ESTABLISHED'],
        [2.2, undefined],
      ] as const) {
        const { dut, listener } = crowded({ synCookies: 'always' });
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        const cookie = dut.iss;
        // Others keep coming: cookies are expected all the time.
        dut.wait(minutes * 60_000);
        dut.peerPort = 5555;
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.peerPort = 7777;
        dut.iss = cookie;
        dut.take();
        dut.rx('. 1:1(0) ack 1 win 1000');
        expect(listener.accept()?.state).to.equal(state);
        if (state === undefined) dut.tx('R 1:1(0) win 0');
        dut.expectClean();
      }
    });

    it('repeats the cookie for a repeated SYN (GT-08)', () => {
      const { dut } = crowded();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const first = dut.iss;
      dut.wait(1000);
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      expect(dut.iss).to.equal(first);
      dut.expectClean();
    });

    it('keeps window scale and SACK in the timestamp, which goes on from there (GT-91, 7323-7)', () => {
      const { dut, listener } = crowded(ALL);
      dut.wait(300);
      dut.rx('S 0:0(0) win 1000 <mss 1460,sackOK,TS val 50 ecr 0,nop,wscale 7>');
      const [line = ''] = dut.take().slice(-1);
      const value = Number(/TS val (\d+) ecr 50,nop,wscale 7>$/.exec(line)?.[1]);
      expect(line).to.match(/^S\. 0:0\(0\) ack 1 win 65535 <mss 1460,sackOK,TS/);
      // The clock is at most 64 ms ahead of what the SYN-ACK says.
      dut.rx(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 60 ecr ${value}>`);
      listener.accept()?.write(new Uint8Array(10));
      const clock = Number(/TS val (\d+) ecr 60/.exec(dut.take()[0] ?? '')?.[1]);
      expect(clock - value).to.be.within(0, 127);
      dut.rx('P. 3:5(2) ack 1 win 100 <nop,nop,TS val 61 ecr 0>');
      expect(dut.take().at(-1)).to.match(/sack 3:5>$/);
      dut.expectClean();
    });

    it('lets the peer\u2019s scaled window be used (GT-47)', () => {
      const { dut, listener } = crowded({ ...ALL, initialWindow: 100 });
      dut.rx('S 0:0(0) win 1000 <mss 1460,sackOK,TS val 50 ecr 0,nop,wscale 7>');
      const value = Number(/TS val (\d+)/.exec(dut.take().at(-1) ?? '')?.[1]);
      dut.rx(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 60 ecr ${value}>`);
      listener.accept()?.write(new Uint8Array(50_000));
      const sent = dut.take().reduce((sum, line) => sum + Number(/\((\d+)\)/.exec(line)?.[1]), 0);
      expect(sent).to.be.within(12_800 - 1448, 12_800);
      dut.expectClean();
    });

    it('agrees to what the listener agrees to, whatever the host does', () => {
      const limits = { windowScaling: true, sack: true };
      const { dut, listener } = crowded({ timestamps: true, initialWindow: 100 }, { limits });
      dut.rx('S 0:0(0) win 1000 <mss 1460,sackOK,TS val 50 ecr 0,nop,wscale 7>');
      const [line = ''] = dut.take().slice(-1);
      expect(line).to.match(/<mss 1460,sackOK,TS val \d+ ecr 50,nop,wscale /);
      dut.rx(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 60 ecr ${Number(/TS val (\d+)/.exec(line)?.[1])}>`);
      const { windowScaling, sack } = listener.accept()?.info().options ?? {};
      expect({ windowScaling, sack }).to.deep.equal(limits);
      dut.expectClean();
    });

    it('keeps ECN in the timestamp, too (3168-1)', () => {
      const { dut, listener } = crowded({ ...ALL, ecn: 'passive' });
      dut.rx('SEW 0:0(0) win 1000 <mss 1460,sackOK,TS val 50 ecr 0,nop,wscale 7>');
      const [line = ''] = dut.take();
      expect(line).to.match(/^SE\. 0:0\(0\) ack 1 win 65535 <mss 1460,sackOK,TS/);
      dut.rx(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 60 ecr ${Number(/TS val (\d+)/.exec(line)?.[1])}>`);
      const connection = listener.accept();
      dut.rx('E. 1:1(0) ack 1 win 100 <nop,nop,TS val 60 ecr 0>');
      connection?.write(new Uint8Array(10));
      expect(dut.take()).to.have.lengthOf(1);
      expect(dut.host.counters.ecnReductions).to.equal(1);
      dut.expectClean();
    });

    it('agrees to nothing but the segment size where the peer sends no timestamps', () => {
      const { dut, listener } = crowded(ALL);
      dut.rx('S 0:0(0) win 1000 <mss 1460,sackOK,nop,nop,nop,wscale 7>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 1000');
      const connection = listener.accept();
      connection?.write(new Uint8Array(3000));
      // The window is not scaled, and there are no timestamps.
      dut.tx('. 1:1001(1000) ack 1 win 65535');
      dut.rx('P. 3:5(2) ack 1 win 1000');
      dut.tx('. 1001:1001(0) ack 1 win 65535');
      dut.expectClean();
    });

    it('remembers of the segment size what is not more than it (MUST-16)', () => {
      const { dut, listener } = crowded({ synCookies: 'always' }, {});
      let port = 5000;
      for (const mss of [20, 100, 300, 536, 700, 1220, 1360, 1400, 1440, 1460]) {
        dut.peerPort = port++;
        dut.rx(`S 0:0(0) win 60000 <mss ${mss}>`);
        dut.take();
        dut.rx('. 1:1(0) ack 1 win 60000');
        listener.accept()?.write(new Uint8Array(4000));
        const size = Number(/\((\d+)\)/.exec(dut.take()[0] ?? '')?.[1]);
        const most = Math.max(mss, 48);
        expect(size, `of ${mss}`).to.be.within(0.4 * most, most);
      }
      dut.expectClean();
    });

    it('drops SYNs, and does not send cookies, while the backlog is full; the ACK may come again (GP-34, GT-18)', () => {
      const { dut, listener } = crowded({}, { backlog: 1 });
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const late = dut.iss;
      dut.peerPort = 7778;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.take();
      dut.peerPort = 7779;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx();
      dut.peerPort = 7777;
      dut.iss = late;
      dut.rx('P. 1:4(3) ack 1 win 1000');
      dut.tx();
      expect(dut.drops('TcpBacklogFull')).to.equal(2);
      expect(listener.accept()?.remote.port).to.equal(7778);
      dut.rx('P. 1:4(3) ack 1 win 1000');
      expect(listener.accept()?.readableBytes).to.equal(3);
      dut.expectClean();
    });

    it('does without them while there is room, and then refuses stray ACKs as ever (GT-10, GT-19)', () => {
      const dut = new Dut(version, { ...ALL, maxEmbryonic: 2 });
      dut.listen();
      for (let i = 0; i < 10; i++) {
        dut.peerPort = 5000 + i;
        dut.rx('S 0:0(0) win 1000 <mss 1460,nop,wscale 7>');
        dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 7>');
        dut.rx('R 1:1(0) win 0');
      }
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx('R 1:1(0) win 0');
      expect(dut.host.counters).to.include({ cookiesSent: 0, cookiesRejected: 0 });
      dut.expectClean();
    });

    it('accepts a cookie after another SYN was answered without one (GT-20)', () => {
      const { dut, listener } = crowded();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      const cookie = dut.iss;
      dut.peerPort = 6666;
      dut.rx('R 1:1(0) win 0');
      dut.peerPort = 7777;
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      expect(dut.iss).not.to.equal(cookie);
      expect(dut.host.size).to.equal(1);
      dut.take();
      dut.iss = cookie;
      dut.rx('. 1:1(0) ack 1 win 1000');
      dut.tx();
      const connection = listener.accept();
      connection?.write(new Uint8Array(1));
      dut.tx('P. 1:2(1) ack 1 win 65535');
      expect(dut.host.size).to.equal(1);
      dut.expectClean();
    });

    it('tells an observer of SYNs once, when they are answered', () => {
      const { dut, listener } = crowded();
      const seen: number[] = [];
      listener.incoming = ({ port }) => seen.push(port);
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect(seen).to.deep.equal([7777]);
      dut.expectClean();
    });

    it('is used always, or never, if told so', () => {
      const always = new Dut(version, { synCookies: 'always' });
      const listener = always.listen();
      always.rx('S 0:0(0) win 1000 <mss 1460>');
      expect([always.take().length, always.host.size]).to.deep.equal([1, 0]);
      always.rx('. 1:1(0) ack 1 win 1000');
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      always.expectClean();
      const { dut } = crowded({ synCookies: 'off' });
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.tx();
      expect(dut.drops('TcpBacklogFull')).to.equal(1);
      dut.expectClean();
      expect(() => new Dut(version, { synCookies: 'sometimes' as 'off' }))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });

    it('measures no round trip, and starts with the full initial window (GT-27)', () => {
      const { dut, listener } = crowded();
      dut.rx('S 0:0(0) win 60000 <mss 1460>');
      dut.wait(10);
      dut.rx('. 1:1(0) ack 1 win 60000');
      dut.take();
      listener.accept()?.write(new Uint8Array(30_000));
      expect(dut.take().length).to.equal(10);
      dut.wait(989);
      expect(dut.take().length).to.equal(0);
      dut.expectClean();
    });
  });
}

describe('options in the timestamps of SYN cookies', () => {
  const config = tcpConfig({});

  it('come back as they were, in a clock that is never ahead', () => {
    for (const clock of [0, 1, 63, 64, 1000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      for (let windowScale = -1; windowScale <= 14; windowScale++) {
        for (const [sackPermitted, ecn] of [
          [false, false],
          [true, false],
          [false, true],
        ] as const) {
          const value = encodeOptions(clock, { windowScale, sackPermitted, ecn });
          expect(((clock | 0) - value) | 0).to.be.within(0, 126);
          expect(decodeOptions(value, config)).to.deep.equal({ windowScale, sackPermitted, ecn });
        }
      }
    }
  });

  it('count for nothing where they are switched off', () => {
    const off = tcpConfig({ windowScaling: false, sack: false });
    expect(decodeOptions(encodeOptions(1000, { windowScale: 7, sackPermitted: true, ecn: false }), off)).to.deep.equal({
      windowScale: -1,
      sackPermitted: false,
      ecn: false,
    });
  });
});
