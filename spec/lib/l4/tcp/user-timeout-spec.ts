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
