import { expect } from 'chai';
import type { ByteSink, TcpConnection } from '../../../../lib/l4/tcp/api.js';
import { Dut } from './dut.js';
import { App, join, lossy, Pair, pattern, VERSIONS } from './pair.js';

/** The bytes that the peer's stream has from `from` to `to`: each is its sequence number. */
function stream(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => (from + i) & 0xff);
}

function consumed(connection: TcpConnection, max = Number.POSITIVE_INFINITY): number[] {
  const bytes: number[] = [];
  const sink: ByteSink = (source, from, to) => bytes.push(...source.subarray(from, to));
  let sum = 0;
  for (let count = connection.consume(sink, max); count > 0; count = connection.consume(sink, max - sum)) sum += count;
  expect(sum).to.equal(bytes.length);
  return bytes;
}

for (const version of VERSIONS) {
  describe(`TCP reading without a copy over IPv${version}`, () => {
    it('shows what came where it lies, and keeps what was not looked at when the event ends', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      const views: Uint8Array[] = [];
      app.on.readable = () => {
        connection.consume((bytes, from, to) => {
          expect([...bytes.subarray(from, to)]).to.deep.equal(stream(1, 301));
          views.push(bytes.subarray(from, to));
        }, 300);
      };
      dut.rx('. 1:1001(1000) ack 1');
      // The frame is gone, and was overwritten.
      expect(views.map((view) => [view.length, ...new Set(view)])).to.deep.equal([[300, 0xdb]]);
      expect(connection.readableBytes).to.equal(700);
      expect(consumed(connection)).to.deep.equal(stream(301, 1001));
      connection.abort();
      dut.expectClean();
    });

    it('reads in all ways in turn, in order', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      for (const from of [1, 1001, 2001]) dut.rx(`. ${from}:${from + 1000}(1000) ack 1`);
      expect(consumed(connection, 500)).to.deep.equal(stream(1, 501));
      expect(connection.discard(600)).to.equal(600);
      const target = new Uint8Array(700);
      expect(connection.readInto(target)).to.equal(700);
      expect([...target]).to.deep.equal(stream(1101, 1801));
      expect([...(connection.read(100) ?? [])]).to.deep.equal(stream(1801, 1901));
      expect(connection.readInto(new Uint8Array(0))).to.equal(0);
      expect(consumed(connection)).to.deep.equal(stream(1901, 3001));
      expect([connection.discard(), connection.readableBytes]).to.deep.equal([0, 0]);
      expect(dut.host.memory.used).to.equal(0);
      connection.abort();
      dut.expectClean();
    });

    it('opens the window and acknowledges as reading does', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ receiveBuffer: 4380 });
      for (const from of [1, 1461, 2921]) dut.rx(`. ${from}:${from + 1460}(1460) ack 1`);
      dut.wait(100);
      expect(dut.take().at(-1)).to.equal('. 1:1(0) ack 4381 win 0');
      expect(connection.discard()).to.equal(4380);
      dut.wait(0);
      dut.tx('. 1:1(0) ack 4381 win 4380');
      connection.abort();
      dut.expectClean();
    });

    it('has a sink that may close, abort, write and read', () => {
      for (const how of ['close', 'abort', 'write', 'read'] as const) {
        const dut = new Dut(version);
        const { connection, app } = dut.accepted();
        const seen: number[] = [];
        app.on.readable = () => {
          connection.consume((bytes, from, to) => {
            seen.push(...bytes.subarray(from, to));
            if (how === 'write') connection.write(bytes.slice(from, to));
            else if (how === 'read') seen.push(...(connection.read() ?? []));
            else connection[how]();
          }, 400);
        };
        dut.rx('. 1:1001(1000) ack 1');
        dut.wait(0);
        expect(seen, how).to.deep.equal(stream(1, how === 'read' ? 1001 : 401));
        const out = dut.takeBare();
        const expected = {
          close: 'R. 1:1(0) ack 1001',
          abort: 'R. 1:1(0) ack 1001',
          write: 'P. 1:401(400) ack 1001',
          read: undefined,
        };
        expect(out[0], how).to.equal(expected[how]);
        if (how !== 'read') expect(out, how).to.have.length(1);
        connection.abort();
        expect(dut.host.memory.used, how).to.equal(0);
        dut.expectClean();
      }
    });

    it('reads nothing of what was given up', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      dut.rx('. 1:1001(1000) ack 1');
      connection.abort();
      expect([consumed(connection), connection.discard(), connection.readInto(new Uint8Array(9))]).to.deep.equal([
        [],
        0,
        0,
      ]);
      dut.expectClean();
    });

    it('tells of the end when everything was consumed', () => {
      const dut = new Dut(version);
      const { connection, app } = dut.accepted();
      dut.rx('F. 1:1001(1000) ack 1');
      expect(connection.readEnded).to.equal(false);
      connection.discard();
      expect(connection.readEnded).to.equal(true);
      connection.end();
      dut.rx('. 1002:1002(0) ack 2');
      expect(app.events).to.include('closed');
      dut.expectClean();
    });

    it('carries any data to sinks, whatever is lost or comes in another order', () => {
      const data = pattern(200_000);
      const pair = new Pair({ version, carry: lossy(1) });
      const server = new Consumer();
      join(pair, new App(data), server);
      pair.scheduler.run();
      expect(Buffer.compare(Buffer.concat(server.parts), data)).to.equal(0);
      pair.expectClean();
    });
  });
}

/** Takes by view, and not always all. */
class Consumer extends App {
  readonly parts: Uint8Array[] = [];
  private turn = 0;

  override readable(): void {
    const sink: ByteSink = (bytes, from, to) => this.parts.push(bytes.slice(from, to));
    if (this.turn++ % 3 === 0) this.connection?.consume(sink, 500);
    else while ((this.connection?.consume(sink) ?? 0) > 0);
  }
}
