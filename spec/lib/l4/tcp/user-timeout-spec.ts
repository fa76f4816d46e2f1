import { expect } from 'chai';
import { Dut } from './dut.js';
import { VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  describe(`the user timeout of TCP over IPv${version} (RFC 5482)`, () => {
    it('that becomes longer lets the retransmission timeout run its time (GP-52)', () => {
      const dut = new Dut(version, { minRto: 3000 });
      const { connection } = dut.accepted({ userTimeout: 500 });
      connection.write(new Uint8Array(10));
      dut.take();
      dut.wait(100);
      connection.setUserTimeout(60_000);
      dut.wait(2899);
      dut.tx();
      dut.wait(1);
      expect(dut.take().length).to.equal(1);
      dut.expectClean();
    });

    it('that becomes shorter counts at once, whatever it was before (GP-52)', () => {
      const dut = new Dut(version, { minRto: 3000 });
      const { connection, app } = dut.accepted({ userTimeout: 500 });
      connection.write(new Uint8Array(10));
      connection.setUserTimeout(60_000);
      dut.wait(600);
      connection.setUserTimeout(700);
      dut.wait(99);
      expect(app.events).to.deep.equal([]);
      dut.wait(1);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
    });

    it('that is set while a window is shut counts for its probes (GP-58)', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted({ userTimeout: 1000, win: 0 });
      connection.write(new Uint8Array(10));
      dut.wait(800);
      expect(dut.take().length).to.equal(2);
      connection.setUserTimeout(60_000);
      dut.wait(599);
      dut.tx();
      dut.wait(1);
      expect(dut.take().length).to.equal(1);
      connection.setUserTimeout(1500);
      dut.wait(299);
      expect(app.events).to.deep.equal([]);
      dut.wait(1);
      expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
      dut.expectClean();
    });

    for (const userTimeout of [300, 1000]) {
      it(`of ${userTimeout} ms ends no connection that waits for its first data, nor does it shorten that (GT-22)`, () => {
        const dut = new Dut(version);
        const listener = dut.listen({ deferAccept: 5000, userTimeout });
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.rx('. 1:1(0) ack 1 win 1000');
        dut.take();
        dut.wait(6999);
        dut.tx();
        dut.wait(1);
        dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460>');
        dut.rx('P. 1:4(3 "abc") ack 1 win 1000');
        expect(listener.accept()?.readableBytes).to.equal(3);
        dut.expectClean();
      });
    }

    it('ends no connection that waits for room in the queue of its listener', () => {
      const dut = new Dut(version);
      const listener = dut.listen({ backlog: 1, userTimeout: 300 });
      const iss: number[] = [];
      for (const port of [1, 2]) {
        dut.peerPort = port;
        dut.rx('S 0:0(0) win 1000 <mss 1460>');
        dut.take();
        iss[port] = dut.iss;
      }
      for (const port of [1, 2]) {
        dut.peerPort = port;
        dut.iss = iss[port] ?? 0;
        dut.rx('. 1:1(0) ack 1 win 1000');
      }
      dut.tx();
      dut.wait(999);
      dut.tx();
      dut.wait(1);
      expect(dut.take().length).to.equal(1);
      listener.accept()?.abort();
      dut.take();
      dut.rx('. 1:1(0) ack 1 win 1000');
      expect(listener.accept()?.state).to.equal('ESTABLISHED');
      dut.expectClean();
    });

    it('of 0 is the host’s (GP-52)', () => {
      for (const options of [{}, { userTimeout: 0 }, { userTimeout: 10_000 }]) {
        const dut = new Dut(version, { userTimeout: 900 });
        const { connection, app } = dut.accepted(options);
        if (options.userTimeout === 10_000) connection.setUserTimeout(0);
        connection.write(new Uint8Array(10));
        dut.wait(899);
        expect(app.events).to.deep.equal([]);
        dut.wait(1);
        expect(app.events).to.deep.equal(['closed ETIMEDOUT']);
        dut.expectClean();
      }
    });
  });
}
