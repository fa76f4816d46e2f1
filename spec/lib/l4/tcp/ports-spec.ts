import { expect } from 'chai';
import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { Dut, Recorder } from './dut.js';
import { VERSIONS } from './pair.js';

for (const version of VERSIONS) {
  /** One of many peers. */
  const peer = (i: number): IpAddress =>
    version === 4 ? new Ipv4Address(0x0a00_0100 + i) : new Ipv6Address(0xfd00_0000, 0, 0, 0x100 + i);
  const portTo = (dut: Dut, address: IpAddress, port = 443) => {
    const connection = dut.host.connect({ address, port }, new Recorder());
    const { local } = connection;
    connection.abort();
    return local.port;
  };

  describe(`TCP ports and numbers over IPv${version}`, () => {
    it('chooses ephemeral ports all over their range, by a secret and the destination (GT-25, RFC 6056)', () => {
      const dut = new Dut(version, { portRange: [40_000, 40_000 + 15_999] });
      const buckets = Array.from({ length: 16 }, () => 0);
      for (let i = 0; i < 1600; i++) {
        const bucket = Math.floor((portTo(dut, peer(i)) - 40_000) / 1000);
        buckets[bucket] = (buckets[bucket] ?? 0) + 1;
      }
      // The expectation is 100 each; 60 is four standard deviations below.
      for (const count of buckets) expect(count).to.be.within(60, 140);
      const elsewhere = [1, 2, 3, 4].map((port) => portTo(dut, peer(0), port));
      expect(Math.max(...elsewhere) - Math.min(...elsewhere)).to.be.greaterThan(100);
      dut.expectClean();
    });

    it('does not come back to a port towards the same destination before all others had their turn (GT-25)', () => {
      const dut = new Dut(version, { portRange: [40_000, 40_099] });
      const ports = Array.from({ length: 100 }, () => portTo(dut, dut.peer));
      expect(new Set(ports).size).to.equal(100);
      expect(portTo(dut, dut.peer)).to.equal(ports[0]);
      dut.expectClean();
    });

    /** A connection from port 5000 that we closed first. */
    const inTimeWait = (timestamps: boolean, options = {}) => {
      const dut = new Dut(version, { timestamps, ...options });
      const { connection } = dut.connecting({ localPort: 5000 });
      dut.take();
      const stamp = (value: number) => (timestamps ? ` <nop,nop,TS val ${value} ecr 1000>` : '');
      dut.rx(`S. 0:0(0) ack 1 win 60000${stamp(100)}`);
      connection.end();
      dut.rx(`F. 1:1(0) ack 2${stamp(101)}`);
      expect(connection.state).to.equal('TIME-WAIT');
      dut.take();
      return { dut, connection };
    };

    it('connects from a port in TIME-WAIT where timestamps tell old from new (SHLD-4, 6191-1)', () => {
      const { dut, connection } = inTimeWait(true);
      const former = dut.iss;
      dut.wait(10);
      const again = dut.connecting({ localPort: 5000 }).connection;
      expect([connection.state, again.state, dut.host.size]).to.deep.equal(['CLOSED', 'SYN-SENT', 1]);
      expect((dut.iss - former) | 0).to.be.greaterThan(2);
      dut.tx('S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 1010 ecr 0>');
      dut.expectClean();
    });

    it('does not where there are none, nor from a port of a connection that lives', () => {
      const { dut } = inTimeWait(false);
      expect(() => dut.connecting({ localPort: 5000 }))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      dut.connecting({ localPort: 5001 });
      expect(() => dut.connecting({ localPort: 5001 }))
        .to.throw()
        .with.property('code', 'EADDRINUSE');
      dut.expectClean();
    });

    it('takes a port in TIME-WAIT as the last resort where no other is free', () => {
      const { dut } = inTimeWait(true, { portRange: [5000, 5001] });
      expect(dut.connecting().connection.local.port).to.equal(5001);
      expect(dut.connecting().connection.local.port).to.equal(5000);
      expect(() => dut.connecting())
        .to.throw()
        .with.property('code', 'EADDRNOTAVAIL');
      dut.expectClean();
    });

    it('lets initial sequence numbers of a four-tuple grow with the clock, and tells nobody else of them (MUST-8, MUST-9, 6528)', () => {
      const dut = new Dut(version);
      const numbers = [0, 0, 0].map(() => {
        dut.connecting({ localPort: 5000 }).connection.abort();
        const { iss } = dut;
        dut.wait(1000);
        return iss;
      });
      const [a = 0, b = 0, c = 0] = numbers;
      expect([(b - a) >>> 0, (c - b) >>> 0]).to.deep.equal([250_000, 250_000]);
      dut.connecting({ localPort: 5001 });
      expect(Math.abs((dut.iss - c) | 0)).to.be.greaterThan(1_000_000);
      dut.expectClean();
    });

    it('answers a SYN in TIME-WAIT by its timestamp first, then by its number (MAY-2, SHLD-4, 6191-1, GT-104)', () => {
      const cases: readonly (readonly [seq: number, stamp: number | undefined, reopens: boolean])[] = [
        [50, 150, false],
        [0, 201, true],
        [50, 200, true],
        [2, 200, true],
        [1, 200, false],
        [50, undefined, true],
        [1, undefined, false],
      ];
      for (const [seq, stamp, reopens] of cases) {
        const dut = new Dut(version, { timestamps: true });
        const listener = dut.listen();
        dut.rx('S 0:0(0) win 65535 <mss 1460,nop,nop,TS val 100 ecr 0>');
        dut.rx('. 1:1(0) ack 1 <nop,nop,TS val 101 ecr 1000>');
        const connection = listener.accept();
        connection?.end();
        dut.rx('F. 1:1(0) ack 2 <nop,nop,TS val 200 ecr 1000>');
        dut.take();
        const option = stamp === undefined ? '' : `,nop,nop,TS val ${stamp} ecr 0`;
        dut.rx(`S ${seq}:${seq}(0) win 65535 <mss 1460${option}>`);
        expect(dut.take()[0]?.slice(0, 2), `${seq} ${stamp}`).to.equal(reopens ? 'S.' : '. ');
        expect(connection?.state).to.equal(reopens ? 'CLOSED' : 'TIME-WAIT');
        dut.expectClean();
      }
    });
  });
}
