import { expect } from 'chai';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { accurateHost, connected, OPTION, sees, took } from './accurate.js';
import { VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`Accurate ECN over IPv${version}: handshake`, () => {
    const host = (options: TcpOptions = {}) => accurateHost(version, options);

    it('RFC 9768 3.1.1: asks with all three bits, and says with the ACK which mark the SYN-ACK had', () => {
      for (const [codepoint, ace] of [
        ['noecn', 2],
        ['ect1', 3],
        ['ect0', 4],
        ['ce', 6],
      ] as const) {
        const dut = host();
        dut.connecting();
        sees(dut, 'SEWA 0:0(0) <mss 1460>');
        dut.rx(`[${codepoint}] SW. 0:0(0) ack 1 win 65535 <mss 1000,${OPTION}>`);
        sees(dut, `.${ace} 1:1(0) ack 1 <${OPTION}>`);
        // After that it is a counter, which a mark on the SYN-ACK has moved (3.2.2.2).
        dut.rx('.5 1:11(10) ack 1');
        dut.wait(40);
        expect(took(dut)[0]).to.match(new RegExp(`^\\.${codepoint === 'ce' ? 6 : 5} 1:1\\(0\\) ack 11`));
        dut.expectClean();
      }
    });

    it('RFC 9768 3.2.2.1: the ACK without data goes first', () => {
      const dut = host();
      const { connection } = dut.connecting();
      connection.write(new Uint8Array(10));
      dut.take();
      dut.rx(`SW. 0:0(0) ack 1 win 65535 <mss 1000,${OPTION}>`);
      sees(dut, `.2 1:1(0) ack 1 <${OPTION}>`, `[ect0] P.5 1:11(10) ack 1 <${OPTION}>`);
      dut.expectClean();
    });

    it('RFC 9768 3.1.2: falls back to what the peer can', () => {
      for (const [answer, data] of [
        ['S.', 'P.0'],
        ['SEWA.', 'P.0'],
        ['SE.', '[ect0] P.0'],
        ['SW.', '[ect0] P.5'],
        ['SEA.', '[ect0] P.5'],
      ] as const) {
        const dut = host();
        const connection = connected(dut, answer, '');
        connection.write(new Uint8Array(10));
        expect(took(dut)[0]?.split(' 1:11(10)')[0], answer).to.equal(data);
        dut.expectClean();
      }
    });

    it('RFC 9768 3.1.4.1: asks again once, and then not any more', () => {
      const dut = host();
      dut.connecting();
      dut.wait(3000);
      sees(dut, 'SEWA 0:0(0) <mss 1460>', 'SEWA 0:0(0) <mss 1460>', 'S 0:0(0) <mss 1460>');
      dut.expectClean();
    });

    it('agrees to it without asking, or asks for that of RFC 3168, if told so', () => {
      for (const [ecn, asked] of [
        ['accurate-passive', 'S 0:0(0) <mss 1460>'],
        ['accurate-classic', 'SEW 0:0(0) <mss 1460>'],
      ] as const) {
        const dut = host({ ecn });
        dut.connecting();
        sees(dut, asked);
        dut.rx('SE. 0:0(0) ack 1 win 65535 <mss 1000>');
        sees(dut, '.0 1:1(0) ack 1');
        dut.ownPort = 80;
        dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
        sees(dut, `SW. 0:0(0) ack 1 <mss 1460,${OPTION}>`);
        dut.expectClean();
      }
    });

    it('asks as often as it is told to', () => {
      const dut = host({ ecnSynRetries: 2 });
      dut.connecting();
      dut.wait(7000);
      expect(took(dut).map((line) => line.split(' ')[0])).to.deep.equal(['SEWA', 'SEWA', 'SEWA', 'S']);
      dut.expectClean();
    });

    it('RFC 9768 3.1.5: a client marks its data also where an earlier SYN is answered after one without ECN', () => {
      const dut = host();
      const { connection } = dut.connecting();
      dut.wait(3000);
      dut.rx(`SW. 0:0(0) ack 1 win 65535 <mss 1000,${OPTION}>`);
      dut.take();
      connection.write(new Uint8Array(10));
      sees(dut, `[ect0] P.5 1:11(10) ack 1 <${OPTION}>`);
      dut.expectClean();
    });

    it('RFC 9768 3.1.1: a server says with the SYN-ACK which mark the SYN had', () => {
      for (const [codepoint, answer] of [
        ['noecn', 'SW.'],
        ['ect1', 'SEW.'],
        ['ect0', 'SA.'],
        ['ce', 'SWA.'],
      ] as const) {
        const dut = host();
        dut.listen();
        dut.rx(`[${codepoint}] SEWA 0:0(0) win 65535 <mss 1000>`);
        sees(dut, `${answer} 0:0(0) ack 1 <mss 1460,${OPTION}>`);
        dut.expectClean();
      }
    });

    it('RFC 9768 3.1.2, 3.1.3: a server answers older peers in their way, and newer ones in its own', () => {
      for (const [flags, answer] of [
        ['S', 'S.'],
        ['SEW', 'SE.'],
        ['SE', 'SW.'],
        ['SW', 'SW.'],
        ['SA', 'SW.'],
        ['SEA', 'SW.'],
        ['SWA', 'SW.'],
      ] as const) {
        const dut = host();
        dut.listen();
        dut.rx(`${flags} 0:0(0) win 65535 <mss 1000>`);
        expect(took(dut)[0]?.split(' ')[0], flags).to.equal(answer);
        dut.expectClean();
      }
    });

    it('RFC 9768 3.2.3.2.2: a lost SYN-ACK goes again without the option, then without ECN, and data without marks', () => {
      const dut = host();
      const listener = dut.listen();
      dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
      dut.wait(3000);
      sees(dut, `SW. 0:0(0) ack 1 <mss 1460,${OPTION}>`, 'SW. 0:0(0) ack 1 <mss 1460>', 'S. 0:0(0) ack 1 <mss 1460>');
      dut.rx('.2 1:1(0) ack 1');
      listener.accept()?.write(new Uint8Array(10));
      dut.rx('[ce] P.5 1:11(10) ack 1');
      sees(dut, 'P.5 1:11(10) ack 1', '.6 11:11(0) ack 11');
      dut.expectClean();
    });

    it('RFC 9768 3.1.5: tells of the latest SYN; one without ECN ends the marks, one of another kind the connection', () => {
      const dut = host();
      const listener = dut.listen();
      dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
      dut.rx('[ect0] SEWA 0:0(0) win 65535 <mss 1000>');
      dut.rx('S 0:0(0) win 65535 <mss 1000>');
      sees(dut, `SW. 0:0(0) ack 1 <mss 1460,${OPTION}>`, 'SA. 0:0(0) ack 1 <mss 1460>', 'SW. 0:0(0) ack 1 <mss 1460>');
      dut.rx('.2 1:1(0) ack 1');
      listener.accept()?.write(new Uint8Array(10));
      sees(dut, 'P.5 1:11(10) ack 1');
      dut.expectClean();
      for (const [first, second] of [
        ['SEWA', 'SEW'],
        ['SEW', 'SEWA'],
      ] as const) {
        const other = host();
        other.listen();
        other.rx(`${first} 0:0(0) win 65535 <mss 1000>`);
        other.take();
        other.rx(`${second} 0:0(0) win 65535 <mss 1000>`);
        expect(took(other)[0]).to.match(/^R\./);
        expect(other.host.size).to.equal(0);
        other.expectClean();
      }
    });

    it('RFC 9768 3.1.2: opens at the same time', () => {
      const dut = host();
      const { connection } = dut.connecting();
      dut.rx('[ect1] SEWA 0:0(0) win 65535 <mss 1000>');
      sees(dut, 'SEWA 0:0(0) <mss 1460>', `SEW. 0:0(0) ack 1 <mss 1460,${OPTION}>`);
      dut.rx('SW. 0:0(0) ack 1 win 65535 <mss 1000>');
      dut.take();
      connection.write(new Uint8Array(10));
      expect(took(dut)[0]).to.match(/^\[ect0\] P\.5/);
      dut.expectClean();
    });

    it('RFC 9768 3.2.2.3: sends without marks where those of the handshake were changed', () => {
      for (const answer of ['SEW.', 'SA.', 'SWA.']) {
        const dut = host();
        const connection = connected(dut, answer);
        connection.write(new Uint8Array(10));
        expect(took(dut)[0], answer).to.match(/^P\.5/);
        dut.expectClean();
      }
      for (const [ace, marks] of [
        [0, false],
        [1, true],
        [2, true],
        [3, false],
        [4, false],
        [5, true],
        [6, false],
        [7, true],
      ] as const) {
        const dut = host();
        const listener = dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
        dut.rx(`.${ace} 1:1(0) ack 1`);
        dut.take();
        listener.accept()?.write(new Uint8Array(10));
        expect(took(dut)[0]?.startsWith('[ect0]'), `${ace}`).to.equal(marks);
        dut.expectClean();
      }
    });

    it('RFC 9768 3.2.2.1: a mark on the SYN or SYN-ACK reduces the window; no counter in the ACK is not heeded', () => {
      const client = host();
      connected(client, 'SWA.');
      expect(client.host.counters.ecnReductions).to.equal(1);
      client.expectClean();
      for (const [ace, reductions, later] of [
        [6, 1, 2],
        [2, 0, 1],
        [0, 0, 0],
      ] as const) {
        const dut = host();
        const listener = dut.listen();
        dut.rx('SEWA 0:0(0) win 65535 <mss 1000>');
        dut.rx(`.${ace} 1:1(0) ack 1`);
        expect(dut.host.counters.ecnReductions).to.equal(reductions);
        listener.accept()?.write(new Uint8Array(10));
        dut.rx('.7 1:1(0) ack 11');
        expect(dut.host.counters.ecnReductions).to.equal(later);
        dut.expectClean();
      }
    });
  });
}
