import { expect } from 'chai';
import * as fc from 'fast-check';
import type { TcpConnection } from '../../../../lib/l4/tcp/api.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { forBothVersions } from '../../../both-versions.js';
import { Dut, type Opened, Recorder } from './dut.js';

/** All that there is to read. */
function readAll(connection: TcpConnection): number[] {
  const bytes: number[] = [];
  for (let part = connection.read(); part !== undefined; part = connection.read()) bytes.push(...part);
  return bytes;
}

const bytesOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => (from + i) & 0xff);

forBothVersions('segments that come together', ({ version }) => {
  const batching = (options: TcpOptions = {}) => new Dut(version, options, undefined, true);

  /** Reads all that it is told of, and answers with as much. */
  function echoing(opened: Opened): number[] {
    const lengths: number[] = [];
    opened.app.on.readable = () => {
      const bytes = readAll(opened.connection);
      lengths.push(bytes.length);
      opened.connection.write(Uint8Array.from(bytes));
    };
    return lengths;
  }

  it('are told of when all have been received: once, and with one answer', () => {
    const dut = batching();
    const opened = dut.accepted();
    const lengths = echoing(opened);
    dut.together('P. 1:11(10) ack 1', 'P. 11:31(20) ack 1', 'P. 31:61(30) ack 1');
    expect(lengths).to.deep.equal([60]);
    expect(dut.takeBare()).to.deep.equal(['P. 1:61(60) ack 61']);
    opened.connection.abort();
    dut.expectClean();
  });

  it('are told of each on its connection, in the order in which they came', () => {
    const dut = batching();
    dut.accepted();
    const ports = [dut.peerPort, dut.peerPort + 1];
    const first = dut.iss;
    dut.peerPort++;
    dut.rx('S 0:0(0) win 65535 <mss 1460>');
    dut.rx('. 1:1(0) ack 1');
    const order: number[] = [];
    for (const connection of dut.host.connections()) {
      const app = new Recorder();
      app.on.readable = () => {
        connection.discard();
        order.push(connection.remote.port);
      };
      connection.handler = app;
    }
    const second = dut.iss;
    const toSecond = () => void (dut.iss = second);
    const toFirst = () => void (dut.iss = first);
    dut.together(
      `${ports[1]} > 80 P. 1:11(10) ack 1`,
      toFirst,
      `${ports[0]} > 80 P. 1:21(20) ack 1`,
      toSecond,
      `${ports[1]} > 80 P. 11:31(20) ack 1`,
    );
    expect(order).to.deep.equal([ports[1], ports[0]]);
    dut.host.dispose();
  });

  it('wait for none that is long, and are received before it', () => {
    const dut = batching();
    const { connection, app } = dut.accepted();
    const told: number[] = [];
    app.on.readable = () => void told.push(connection.readableBytes);
    const sees = (...expected: number[]) => {
      return () => expect([told.length, connection.readableBytes]).to.deep.equal(expected);
    };
    dut.together(
      'P. 1:101(100) ack 1',
      'P. 101:201(100) ack 1',
      sees(0, 0),
      '. 201:1601(1400) ack 1',
      sees(1, 1600),
      'P. 1601:1701(100) ack 1',
      sees(1, 1600),
    );
    expect([told, connection.readableBytes]).to.deep.equal([[200], 1700]);
    expect(readAll(connection)).to.deep.equal(bytesOf(1, 1701));
    connection.abort();
    dut.expectClean();
  });

  it('are seen where they lie, and what is not read is kept', () => {
    const dut = batching();
    const { connection, app } = dut.accepted();
    const views: Uint8Array[] = [];
    app.on.readable = () => {
      // The last of them lies in its frame; the one before it had to be kept.
      connection.discard(250);
      for (let left = 100; left > 0; ) {
        const count = connection.consume((bytes, from, to) => void views.push(bytes.subarray(from, to)), left);
        if (count === 0) break;
        left -= count;
      }
      expect(views.flatMap((view) => [...view])).to.deep.equal(bytesOf(251, 351));
    };
    dut.together('P. 1:301(300) ack 1', 'P. 301:601(300) ack 1');
    // The frames are gone, and were overwritten.
    expect([...new Set(views.at(-1))]).to.deep.equal([0xdb]);
    expect(readAll(connection)).to.deep.equal(bytesOf(351, 601));
    connection.abort();
    dut.expectClean();
  });

  it('are dropped for their own reasons', () => {
    const dut = batching();
    const { connection } = dut.accepted();
    dut.together('. 1:11(10) ack 999999', '2 > 9 P. 1:11(10) ack 1', () => expect(dut.env.drops.total).to.equal(0));
    expect(dut.dropNames()).to.have.members(['tcp-bad-ack 1', 'tcp-no-connection 1']);
    connection.abort();
    dut.expectClean();
  });

  it('open, ask and close a connection within one event', () => {
    const dut = batching();
    const listener = dut.listen();
    const lengths: number[] = [];
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection === undefined) return;
      const app = new Recorder();
      app.on.readable = () => {
        lengths.push(readAll(connection).length);
        if (connection.readEnded) connection.close();
      };
      connection.handler = app;
    };
    dut.together('S 0:0(0) win 65535 <mss 1460>');
    expect(dut.takeBare()).to.deep.equal(['S. 0:0(0) ack 1 <mss 1460>']);
    dut.together('. 1:1(0) ack 1', 'P. 1:11(10) ack 1', 'F. 11:11(0) ack 1');
    expect(lengths).to.deep.equal([10]);
    expect(dut.takeBare().at(-1)).to.equal('F. 1:1(0) ack 12');
    dut.together('. 12:12(0) ack 2');
    expect(dut.host.size).to.equal(0);
    dut.expectClean();
  });

  it('are dropped where the host ends before they had their turn, and not touched where it ends while they are told of', () => {
    const early = batching();
    early.accepted();
    early.together('P. 1:11(10) ack 1', () => early.host.dispose());
    expect(early.drops('Disposed')).to.equal(1);
    early.expectClean();
    const late = batching();
    const opened = late.accepted();
    opened.app.on.readable = () => late.host.dispose();
    late.together('P. 1:11(10) ack 1', 'P. 11:21(10) ack 1');
    expect(late.env.pool.outstanding).to.equal(0);
    late.expectClean();
  });

  it('have their turn though the way out throws', () => {
    const dut = batching();
    const opened = dut.accepted();
    const { emit } = dut.host.output;
    let thrown = 0;
    dut.host.output.emit = (packet) => {
      emit?.(packet);
      if (thrown++ === 0) throw new Error('mine');
    };
    expect(() => dut.together('2 > 9 P. 1:11(10) ack 1', 'P. 1:11(10) ack 1')).to.throw('mine');
    expect(dut.env.pool.outstanding).to.equal(0);
    expect(readAll(opened.connection)).to.deep.equal(bytesOf(1, 11));
    dut.host.output.emit = emit;
    opened.connection.abort();
    dut.expectClean();
  });

  for (const [what, segments, last] of [
    ['have their turn', ['. 1:1(0) ack 1', 'P. 1:11(10) ack 1', 'P. 11:31(20) ack 1'], 31],
    ['are kept', ['P. 1:301(300) ack 1'], 301],
  ] as const) {
    it(`${what} though what one of them lets go at once throws`, () => {
      const dut = batching();
      const { connection } = dut.accepted({ win: 10 });
      connection.write(new Uint8Array(3000));
      dut.take();
      const { emit } = dut.host.output;
      let thrown = 0;
      dut.host.output.emit = (packet) => {
        const { length } = packet;
        emit?.(packet);
        if (length > 1024 && thrown++ === 0) throw new Error('mine');
      };
      expect(() => dut.together(...segments)).to.throw('mine');
      expect(thrown).to.be.at.least(1);
      expect(dut.host.lender).to.equal(undefined);
      expect(readAll(connection)).to.deep.equal(bytesOf(1, last));
      connection.abort();
      dut.expectClean();
    });
  }

  it('property: lead to the same bytes and the same acknowledgments as one by one', () => {
    const pieces = fc.array(
      fc.record({ from: fc.nat(300), length: fc.integer({ min: 0, max: 120 }), cut: fc.boolean() }),
      { minLength: 1, maxLength: 25 },
    );
    const run = (segments: { from: number; length: number; cut: boolean }[], together: boolean) => {
      const dut = batching({ sack: true });
      const opened = dut.accepted();
      const read: number[] = [];
      opened.app.on.readable = () => void read.push(...readAll(opened.connection));
      let batch: string[] = [];
      const flush = () => {
        if (together) dut.together(...batch);
        else for (const line of batch) dut.rx(line);
        batch = [];
      };
      for (const { from, length, cut } of segments) {
        batch.push(`P. ${1 + from}:${1 + from + length}(${length}) ack 1`);
        if (cut) flush();
      }
      flush();
      dut.wait(1000);
      const last = dut.takeBare().at(-1)?.replace(/ <.*/, '');
      opened.connection.abort();
      dut.expectClean();
      return { read, last };
    };
    fc.assert(
      fc.property(pieces, (segments) => {
        const [one, other] = [run(segments, false), run(segments, true)];
        expect(other.read).to.deep.equal(one.read);
        expect(one.read).to.deep.equal(bytesOf(1, 1 + one.read.length));
        expect(other.last).to.equal(one.last);
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});
