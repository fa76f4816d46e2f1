import { expect } from 'chai';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

const ALL = { timestamps: true, windowScaling: true, sack: true } as const;

for (const version of VERSIONS) {
  describe(`what SYNs of TCP offer over IPv${version}`, () => {
    for (const [size, window] of [
      [4096, 511],
      [64 << 20, 65_535],
    ] as const) {
      it(`counts, even if the receive buffer is set to ${size} before the answer (GT-49, 7323-2)`, () => {
        const dut = new Dut(version, { windowScaling: true });
        const { connection } = dut.connecting();
        dut.tx('S 0:0(0) win 65535 <mss 1460,nop,wscale 7>');
        connection.setReceiveBuffer(size);
        expect(connection.info()).to.include({ rcvWscale: 0 });
        dut.wait(1000);
        dut.tx('S 0:0(0) win 65535 <mss 1460,nop,wscale 7>');
        dut.rx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 3>');
        expect(connection.info()).to.include({ sndWscale: 3, rcvWscale: 7 });
        dut.tx(`. 1:1(0) ack 1 win ${window}`);
        connection.abort();
        dut.expectClean();
      });
    }

    it('counts, whatever the host is told to offer before the answer (7323-1)', () => {
      const dut = new Dut(version, ALL);
      const { connection } = dut.connecting();
      const syn = 'S 0:0(0) win 65535 <mss 1460,sackOK,TS val';
      dut.tx(`${syn} 1000 ecr 0,nop,wscale 7>`);
      dut.host.configure({ timestamps: false, windowScaling: false, sack: false });
      dut.wait(1000);
      dut.tx(`${syn} 2000 ecr 0,nop,wscale 7>`);
      expect(connection.info().options).to.include({ timestamps: false, windowScaling: false, sack: false });
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK,TS val 77 ecr 2000,nop,wscale 7>');
      dut.tx('. 1:1(0) ack 1 win 1024 <nop,nop,TS val 2000 ecr 77>');
      expect(connection.info().options).to.include(ALL);
      connection.abort();
      dut.expectClean();
    });

    it('is nothing that the host is told to offer only afterwards', () => {
      const dut = new Dut(version);
      const { connection } = dut.connecting();
      dut.tx('S 0:0(0) win 65535 <mss 1460>');
      dut.host.configure(ALL);
      dut.rx('S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK,TS val 77 ecr 0,nop,wscale 7>');
      dut.tx('. 1:1(0) ack 1 win 65535');
      expect(connection.info().options).to.include({ timestamps: false, windowScaling: false, sack: false });
      connection.abort();
      dut.expectClean();
    });

    it('was agreed to by nobody where the answer is a RST (GT-04)', () => {
      const dut = new Dut(version, ALL);
      const { connection } = dut.connecting();
      dut.take();
      dut.rx('R. 0:0(0) ack 1 win 0');
      expect(connection.info().options).to.include({ timestamps: false, windowScaling: false, sack: false });
      expect(connection.info()).to.include({ state: 'CLOSED', rcvWscale: 0, advmss: 1460 });
      dut.expectClean();
    });

    it('counts where both ends open (7323-2)', () => {
      const dut = new Dut(version, { windowScaling: true });
      const { connection } = dut.connecting();
      dut.tx('S 0:0(0) win 65535 <mss 1460,nop,wscale 7>');
      connection.setReceiveBuffer(4096);
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,wscale 3>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 7>');
      connection.abort();
      dut.expectClean();
    });

    it('counts where a connection is served before its handshake is complete, whatever becomes of its buffer (7323-2)', () => {
      const whole = { wholeSegmentBuffers: true } as const;
      const dut = new Dut(version, { windowScaling: true, fastOpenWithoutCookie: true, ...whole });
      const listener = dut.listen({ receiveBuffer: 65_535, fastOpen: 5 });
      dut.rx('S 0:3(3) win 60000 <mss 1460,nop,wscale 3>');
      dut.tx('S. 0:0(0) ack 4 win 65535 <mss 1460,nop,wscale 0>');
      const connection = listener.accept();
      connection?.setReceiveBuffer(1 << 20);
      dut.wait(1000);
      expect(dut.takeBare()).to.deep.equal(['S. 0:0(0) ack 4 <mss 1460,nop,wscale 0>']);
      expect(connection?.info().rcvWscale).to.equal(0);
      connection?.abort();
      dut.expectClean();
    });
  });
}
