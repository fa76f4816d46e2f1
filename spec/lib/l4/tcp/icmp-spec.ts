import { expect } from 'chai';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const HARD = [
  ['protocol-unreachable', 'ENOPROTOOPT'],
  ['port-unreachable', 'ECONNREFUSED'],
  ['prohibited', 'EHOSTUNREACH'],
] as const;

for (const version of VERSIONS) {
  describe(`TCP and ICMP errors over IPv${version} (RFC 5927)`, () => {
    for (const [kind, code] of HARD) {
      it(`takes ${kind} for a soft error in every synchronised state, and tells when asked (GP-24, SHLD-25, MUST-56)`, () => {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        for (const step of ['ESTABLISHED', 'FIN-WAIT-1', 'CLOSING']) {
          expect(connection.state).to.equal(step);
          if (step === 'ESTABLISHED') connection.write(new Uint8Array(10));
          expect(dut.icmp(kind, code, 1)).to.equal(true);
          expect(connection.takeError()?.code).to.equal(code);
          expect(connection.takeError()).to.equal(undefined);
          if (step === 'ESTABLISHED') connection.end();
          if (step === 'FIN-WAIT-1') dut.rx('F. 1:1(0) ack 1');
        }
        dut.rx('. 2:2(0) ack 12');
        expect(connection.state).to.equal('TIME-WAIT');
        expect(app.events).not.to.include(`closed ${code}`);
        dut.expectClean();
      });
    }

    it('believes only what quotes a segment in flight (RFC 5927 4.1, MUST-54)', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      expect(dut.icmp('host-unreachable', 'EHOSTUNREACH', 1)).to.equal(false);
      connection.write(new Uint8Array(1000));
      for (const [seq, believed] of [
        [0, false],
        [1, true],
        [1000, true],
        [1001, false],
        [2 ** 31, false],
      ] as const) {
        expect(dut.icmp('host-unreachable', 'EHOSTUNREACH', seq), String(seq)).to.equal(believed);
      }
      dut.rx('. 1:1(0) ack 1001');
      expect(dut.icmp('host-unreachable', 'EHOSTUNREACH', 1)).to.equal(false);
      dut.expectClean();
    });

    it('forgets a soft error once something is acknowledged: later troubles have other reasons', () => {
      for (const [bytes, ack] of [
        [1000, 1001],
        [5000, 1461],
      ] as const) {
        const dut = new Dut(version, { dataRetries: 1 });
        const { connection, app } = dut.accepted();
        connection.write(new Uint8Array(bytes));
        expect(dut.icmp('host-unreachable', 'EHOSTUNREACH', 1)).to.equal(true);
        dut.rx(`. 1:1(0) ack ${ack}`);
        connection.write(new Uint8Array(10));
        dut.wait(10_000);
        expect(app.events.at(-1)).to.equal('closed ETIMEDOUT');
        dut.expectClean();
      }
      const opening = new Dut(version, { connectErrors: 'hard' });
      const { connection } = opening.connecting();
      expect(opening.icmp('host-unreachable', 'EHOSTUNREACH', 0)).to.equal(true);
      opening.rx('S. 0:0(0) ack 1 win 60000 <mss 1460>');
      expect(connection.takeError()).to.equal(undefined);
      opening.expectClean();
    });

    it('keeps an embryonic connection, whose peer may be there after all', () => {
      const dut = new Dut(version);
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      expect(dut.icmp('port-unreachable', 'ECONNREFUSED', 0)).to.equal(true);
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('cuts no SYN, and nothing that is small enough (RFC 5927 7)', () => {
      const dut = new Dut(version);
      dut.connecting();
      dut.take();
      expect(dut.icmp('packet-too-big', 'EMSGSIZE', 0, 1280)).to.equal(false);
      dut.rx('S. 0:0(0) ack 1 win 60000 <mss 1460>');
      dut.take();
      dut.tx();
      expect(dut.icmp('packet-too-big', 'EMSGSIZE', 1, 1280)).to.equal(false);
      dut.expectClean();
    });
  });
}
