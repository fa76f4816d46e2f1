import { expect } from 'chai';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const UNKNOWN = Number.POSITIVE_INFINITY;

for (const version of VERSIONS) {
  describe(`the round-trip time of TCP's handshake over IPv${version} (RFC 6298 3)`, () => {
    for (const repeated of [false, true]) {
      it(`is ${repeated ? 'not known where the SYN came again' : 'known where it came once'} (6298-2)`, () => {
        const dut = new Dut(version);
        const listener = dut.listen();
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.wait(500);
        if (repeated) dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.wait(100);
        dut.rx('. 1:1(0) ack 1 win 1000');
        const info = listener.accept()?.info();
        expect(info).to.include({ minRtt: repeated ? UNKNOWN : 600, rto: repeated ? 3000 : 1800 });
        dut.expectClean();
      });
    }

    it('is what the timestamp says that comes back, where the SYN came again (7323-7)', () => {
      const dut = new Dut(version, { timestamps: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 1000 <mss 1460,TS val 1 ecr 0>');
      dut.wait(500);
      dut.rx('S 0:0(0) win 1000 <mss 1460,TS val 501 ecr 0>');
      dut.take();
      dut.wait(100);
      dut.rx('. 1:1(0) ack 1 win 1000 <nop,nop,TS val 601 ecr 1000>');
      expect(listener.accept()?.info().minRtt).to.equal(600);
      dut.expectClean();
    });

    it('is not known where both ends open, and our SYN went again as SYN-ACK (6298-2)', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      dut.take();
      dut.wait(50);
      dut.rx('S 0:0(0) win 1000 <mss 1460>');
      dut.wait(50);
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460>');
      expect(connection.info()).to.include({ state: 'ESTABLISHED', minRtt: UNKNOWN });
      dut.expectClean();
    });
  });
}
