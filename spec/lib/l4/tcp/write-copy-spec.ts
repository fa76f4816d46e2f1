import { expect } from 'chai';
import type { TxPacket } from '../../../../lib/core/frame.js';
import { TcpFlag, TcpSegment } from '../../../../lib/wire/tcp.js';
import { Dut } from './dut.js';
import { App, join, lossy, Pair, pattern, VERSIONS, viewOf } from './pair.js';

for (const version of VERSIONS) {
  describe(`TCP writing a copy over IPv${version}`, () => {
    it('leaves the bytes to whoever wrote them', async () => {
      const pair = new Pair({ version });
      const server = new App();
      const client = new App(undefined, false);
      join(pair, client, server);
      await pair.scheduler.advance(20);
      const original = pattern(5000);
      const bytes = Buffer.from(original);
      const wanted = [original.slice(10, 20), original.slice(100, 1700), original.slice(1000), original];
      const { connection } = client;
      expect(connection?.writeCopy(bytes, 10, 20)).to.equal(10);
      expect(connection?.writeCopy(bytes, 100, 1700)).to.equal(1600);
      expect(connection?.writeCopy(bytes, 1000)).to.equal(4000);
      expect(connection?.writeCopy(bytes)).to.equal(5000);
      expect(connection?.writeCopy(bytes, 30, 30)).to.equal(0);
      bytes.fill(0);
      connection?.end();
      pair.scheduler.run();
      expect(Buffer.compare(server.data, Buffer.concat(wanted))).to.equal(0);
      pair.expectClean();
    });

    it('gathers what is small, and pushes its end', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setCork(true);
      for (let i = 0; i < 100; i++) connection.writeCopy(pattern(7));
      // One slot holds all of them.
      expect(dut.env.pool.outstanding).to.equal(1);
      connection.setCork(false);
      expect(dut.takeBare()).to.deep.equal(['P. 1:701(700) ack 1']);
      dut.rx('. 1:1(0) ack 701 win 65535');
      expect([dut.env.pool.outstanding, dut.host.memory.used]).to.deep.equal([0, 0]);
      connection.writeCopy(pattern(5), 0, 5, { more: true });
      connection.writeCopy(pattern(5));
      expect(dut.takeBare()).to.deep.equal(['P. 701:711(10) ack 1']);
      dut.wait(3000);
      expect(dut.takeBare()[0], 'again').to.equal('P. 701:711(10) ack 1');
      dut.rx('. 1:1(0) ack 711 win 65535');
      expect([dut.env.pool.outstanding, dut.host.memory.used]).to.deep.equal([0, 0]);
      connection.abort();
      dut.expectClean();
    });

    it('sends what is written by itself in the slot in which it waits, and keeps it', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      connection.setNoDelay(true);
      const { pool } = dut.env;
      const sent: TxPacket[] = [];
      const { emit } = dut.host.output;
      dut.host.output.emit = (packet) => void sent.push(packet);
      const payload = (at: number): Uint8Array => sent[at]?.bytes().slice(-100) ?? new Uint8Array();
      connection.writeCopy(pattern(100));
      const [first] = sent;
      expect([sent.length, pool.outstanding]).to.deep.equal([1, 1]);
      // It may not be changed, but for what is in front of it.
      expect([first?.exclusive, first?.writable, first?.ownsHeadroom]).to.deep.equal([false, false, true]);
      // What is written later goes elsewhere.
      connection.writeCopy(pattern(7));
      expect(payload(0)).to.deep.equal(pattern(100));
      expect([sent.length, sent[1]?.slab === first?.slab && sent[1]?.base === first?.base]).to.deep.equal([2, false]);
      // It is sent again as it was, whatever became of the headers.
      first?.slab.bytes.fill(0xff, first.start, first.end - 100);
      first?.release();
      const pushed = (packet: TxPacket | undefined): number => {
        const view = packet && viewOf(packet);
        return view === undefined ? 0 : new TcpSegment(view.frame, view.frame.start).flags & TcpFlag.Psh;
      };
      dut.wait(1000);
      const both = Buffer.concat([pattern(100), pattern(7)]);
      expect(Buffer.compare(sent[2]?.bytes().slice(-107) ?? new Uint8Array(), both)).to.equal(0);
      expect(sent[2]?.exclusive).to.equal(true);
      expect(pushed(sent[2])).to.equal(TcpFlag.Psh);
      for (const packet of sent.slice(1)) packet.release();
      dut.host.output.emit = emit;
      dut.rx('. 1:1(0) ack 108 win 65535');
      expect([pool.outstanding, dut.host.memory.used]).to.deep.equal([0, 0]);
      connection.abort();
      dut.expectClean();
    });

    it('keeps it though the device is slower than the acknowledgment', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      const sent: TxPacket[] = [];
      const { emit } = dut.host.output;
      dut.host.output.emit = (packet) => void sent.push(packet);
      connection.writeCopy(pattern(100));
      dut.host.output.emit = emit;
      dut.rx('. 1:1(0) ack 101 win 65535');
      connection.writeCopy(pattern(50, 3));
      expect(sent[0]?.bytes().slice(-100)).to.deep.equal(pattern(100));
      expect(sent[0]?.exclusive).to.equal(true);
      // Whoever else has it now is not the queue.
      expect(sent[0]?.retain().ownsHeadroom).to.equal(false);
      sent[0]?.release();
      sent[0]?.release();
      connection.abort();
      dut.expectClean();
    });

    it('takes no more than there is room for, and gives back what was not acknowledged', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted({ sendBuffer: 4000, win: 3000 });
      expect(connection.writeCopy(pattern(6000), 500)).to.equal(4000);
      expect(connection.writeCopy(pattern(10))).to.equal(0);
      expect(dut.take()).to.have.length(2);
      connection.abort();
      expect(dut.host.memory.used).to.equal(0);
      dut.expectClean();
    });

    it('refuses bytes that are not there, and a stream that has ended', () => {
      const dut = new Dut(version);
      const { connection } = dut.accepted();
      for (const [from, to] of [
        [-1, 5],
        [6, 5],
        [0, 11],
        [Number.NaN, 5],
        [0.5, 5],
        [0, 4.5],
        [11, undefined],
      ] as const) {
        expect(() => connection.writeCopy(pattern(10), from, to), `${from} to ${to}`)
          .to.throw()
          .with.property('code', 'ERR_OUT_OF_RANGE');
      }
      connection.end();
      expect(() => connection.writeCopy(pattern(10)))
        .to.throw()
        .with.property('code', 'EPIPE');
      connection.abort();
      dut.expectClean();
    });

    it('sends back what is shown, whatever is lost or comes in another order', () => {
      const data = pattern(100_000);
      const pair = new Pair({ version, carry: lossy(7) });
      const client = new App(data);
      const server = new Echo();
      join(pair, client, server, { server: { sendBuffer: 5000 } });
      pair.scheduler.run();
      expect(server.stops, 'times without room').to.be.above(5);
      expect(Buffer.compare(client.data, data)).to.equal(0);
      pair.expectClean();
    });
  });
}

/** Writes what it is shown where it lies, as far as there is room. */
class Echo extends App {
  stops = 0;

  constructor() {
    super(undefined, false);
  }

  override readable(): void {
    this.echo();
  }

  override writable(): void {
    this.echo();
  }

  private echo(): void {
    const { connection } = this;
    if (connection === undefined) return;
    const back = (bytes: Uint8Array, from: number, to: number): void => {
      expect(connection.writeCopy(bytes, from, to)).to.equal(to - from);
    };
    for (let room = connection.writableBytes; room > 0; room = connection.writableBytes) {
      if (connection.consume(back, Math.min(room, 900)) === 0) break;
    }
    if (connection.readEnded) connection.end();
    else if (connection.readableBytes > 0) this.stops++;
  }
}
