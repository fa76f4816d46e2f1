/** What is written while applications are being told of news goes out when they return, in as few segments as it fits. */

import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { Dut, Recorder } from './dut.js';

forBothVersions('TCP that is written to from within callbacks', ({ version }) => {
  /** A connection that does `act` when data come. */
  function answering(act: (dut: Dut, connection: ReturnType<Dut['accepted']>['connection']) => void): Dut {
    const dut = new Dut(version);
    const { connection, app } = dut.accepted({ noDelay: true });
    app.on.readable = () => {
      connection.read();
      act(dut, connection);
    };
    return dut;
  }

  it('sends small writes as one segment, that acknowledges what they answer', () => {
    const dut = answering((_, connection) => {
      for (let i = 0; i < 4; i++) connection.write(new Uint8Array(100));
    });
    dut.rx('P. 1:11(10) ack 1');
    dut.tx('P. 1:401(400) ack 11 win 65535');
    dut.expectClean();
  });

  it('sends each at once otherwise', () => {
    const dut = new Dut(version);
    const { connection } = dut.accepted({ noDelay: true });
    for (let i = 0; i < 2; i++) connection.write(new Uint8Array(100));
    dut.tx('P. 1:101(100) ack 1 win 65535', 'P. 101:201(100) ack 1 win 65535');
    dut.expectClean();
  });

  it('sends what others wrote, too', () => {
    const dut = new Dut(version);
    const listener = dut.listen({ noDelay: true });
    const open = (port: number) => {
      dut.peerPort = port;
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      dut.rx('. 1:1(0) ack 1 win 65535');
      const connection = listener.accept();
      if (connection === undefined) throw new Error('nothing to accept');
      const app = new Recorder();
      connection.handler = app;
      return { connection, app };
    };
    const other = open(7000);
    const { connection, app } = open(7001);
    app.on.readable = () => {
      connection.read();
      for (let i = 0; i < 3; i++) other.connection.write(new Uint8Array(10));
    };
    dut.take();
    const ports: number[] = [];
    dut.onSegment = (segment) => ports.push(segment.destinationPort);
    dut.rx('P. 1:11(10) ack 1');
    expect(dut.take()).to.have.length(1);
    expect(ports).to.deep.equal([7000]);
    dut.wait(100);
    expect(ports).to.deep.equal([7000, 7001]);
    dut.expectClean();
  });

  it('sends what was written before an abort', () => {
    const dut = answering((_, connection) => {
      connection.write(new Uint8Array(100));
      connection.abort();
    });
    dut.rx('P. 1:11(10) ack 1');
    dut.tx('P. 1:101(100) ack 11 win 65535', 'R. 101:101(0) ack 11 win 65535');
    dut.expectClean();
  });

  it('sends what was written before an end, and then the end', () => {
    const dut = answering((_, connection) => {
      connection.write(new Uint8Array(100));
      connection.end();
    });
    dut.rx('P. 1:11(10) ack 1');
    dut.tx('P. 1:101(100) ack 11 win 65535', 'F. 101:101(0) ack 11 win 65535');
    dut.expectClean();
  });
});
