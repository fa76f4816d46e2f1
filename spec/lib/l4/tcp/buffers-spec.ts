import { expect } from 'chai';
import { App, join, Pair, pattern, VERSIONS } from './pair.js';
import { Dut } from './dut.js';

const GRADUAL = { receiveWindow: 'gradual', windowScaling: true } as const;

/** The largest receive buffer of the server in a transfer of `bytes` over a path with `delay`. */
function transfer(options: { bytes: number; delay: number; tcp: object; server?: object; pace?: number }): {
  readonly took: number;
  readonly receive: number;
  readonly send: number;
} {
  const { bytes, delay, tcp } = options;
  const pair = new Pair({ tcp: [tcp, tcp], carry: () => [delay] });
  const client = new App(pattern(bytes), false);
  const server = new App(undefined, false);
  join(pair, client, server, { server: options.server ?? {} });
  let took = 0;
  for (; server.receivedBytes < bytes && took < 600_000; took += 10) pair.scheduler.runFor(10);
  expect(server.receivedBytes).to.equal(bytes);
  const result = {
    took,
    receive: server.connection?.info().receiveBuffer ?? 0,
    send: client.connection?.info().sendBuffer ?? 0,
  };
  client.connection?.close();
  server.connection?.close();
  pair.scheduler.runFor(100_000);
  for (const { memory } of pair.hosts) expect(memory.used).to.equal(0);
  return result;
}

describe('TCP buffers', () => {
  it('grow with what is read in a round trip and with the congestion window, to their limits (GT-57)', () => {
    for (const timestamps of [true, false]) {
      const tcp = { timestamps };
      const tuned = transfer({ bytes: 8_000_000, delay: 50, tcp });
      expect(tuned.receive).to.be.within(1_000_000, 6 << 20);
      expect(tuned.send).to.be.within(1_000_000, 4 << 20);
      const small = transfer({
        bytes: 8_000_000,
        delay: 50,
        tcp: { timestamps, receiveBufferMax: 1 << 17, sendBufferMax: 1 << 18 },
      });
      expect(small).to.include({ receive: 1 << 17, send: 1 << 18 });
      expect(tuned.took).to.be.below(small.took / 3);
      const limited = transfer({
        bytes: 5_000_000,
        delay: 50,
        tcp: { timestamps, receiveBufferMax: 400_000, sendBufferMax: 500_000 },
      });
      expect(limited).to.include({ receive: 400_000, send: 500_000 });
    }
  });

  it('stay as they are where they are given, or set (GT-57)', () => {
    expect(transfer({ bytes: 3_000_000, delay: 20, tcp: {}, server: { receiveBuffer: 70_000 } }).receive).to.equal(
      70_000,
    );
    const dut = new Dut(4, GRADUAL);
    const { connection } = dut.accepted();
    connection.setSendBuffer(1000);
    connection.setReceiveBuffer(100_000);
    expect(connection.write(new Uint8Array(2000))).to.equal(1000);
    dut.rx('. 1:1(0) ack 1001');
    expect(connection.info()).to.include({ sendBuffer: 1000, receiveBuffer: 100_000 });
    connection.abort();
    dut.expectClean();
  });

  it('do not grow where the application limits what comes (GT-57)', () => {
    const pair = new Pair({ carry: () => [50] });
    const client = new App(undefined, false);
    const server = new App(undefined, false);
    join(pair, client, server);
    pair.scheduler.runFor(200);
    for (let i = 0; i < 100; i++) {
      client.connection?.write(pattern(5000));
      pair.scheduler.runFor(100);
    }
    expect(server.connection?.info()).to.include({ receiveBuffer: 1 << 17, bytesReceived: 500_000 });
    expect(server.connection?.info().rcvRtt).to.be.within(90, 500);
    client.connection?.close();
    server.connection?.close();
    pair.scheduler.runFor(100_000);
  });
});

for (const version of VERSIONS) {
  describe(`TCP buffers over IPv${version}`, () => {
    it('are offered gradually: what the SYN offered, and two segments more for each that comes', () => {
      const dut = new Dut(version, { ...GRADUAL, delayedAck: 0 });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,wscale 7>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 7>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      dut.rx('. 1:1461(1460) ack 1');
      // 65,535 and 2,920, in units of 128, rounded up.
      dut.tx('. 1:1(0) ack 1461 win 535');
      dut.rx('. 1461:1471(10) ack 1');
      dut.tx('. 1:1(0) ack 1471 win 535');
      dut.rx('. 1471:2931(1460) ack 1');
      dut.tx('. 1:1(0) ack 2931 win 558');
      expect(connection?.info().rcvSsthresh).to.equal(65_535 + 4 * 1460);
      connection?.abort();
      dut.expectClean();
    });

    it('are offered whole, or rounded up to whole segments, where they are to be as FreeBSD’s', () => {
      const tcp = { windowScaling: true, receiveWindow: 'whole', wholeSegmentBuffers: true } as const;
      const dut = new Dut(version, { ...tcp, receiveBuffer: 65_536, receiveBufferMax: 2 << 20, delayedAck: 0 });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,wscale 6>');
      dut.tx('S. 0:0(0) ack 1 win 65535 <mss 1460,nop,wscale 6>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      dut.rx('. 1:2(1) ack 1');
      expect(connection?.info().receiveBuffer).to.equal(65_700);
      dut.tx('. 1:1(0) ack 2 win 1026');
      connection?.abort();
      dut.expectClean();
    });

    it('take all that they offered, however often a scaled window was rounded (SHLD-14, GT-54)', () => {
      const dut = new Dut(version, { ...GRADUAL, receiveBuffer: 100_000, receiveBufferMax: 1 << 20, delayedAck: 0 });
      const listener = dut.listen({ receiveBuffer: 100_000 });
      dut.rx('S 0:0(0) win 65535 <mss 1460,nop,wscale 7>');
      const scale = Number(/wscale (\d+)/.exec(dut.take().join())?.[1]);
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      let next = 1;
      let window = 1000;
      while (window > 0) {
        const length = Math.min(window, 999);
        dut.rx(`. ${next}:${next + length}(${length}) ack 1`);
        next += length;
        const answer = dut.take().join();
        expect(answer).to.contain(`ack ${next} `);
        window = Number(/win (\d+)/.exec(answer)?.[1]) * 2 ** scale;
      }
      expect(next - 1).to.be.within(100_000 - 999, 100_000 + 2 ** scale);
      expect(dut.drops('TcpOutOfMemory')).to.equal(0);
      connection?.abort();
      dut.expectClean();
    });

    it('offer as much in a SYN as they are told to', () => {
      const dut = new Dut(version, { initialReceiveWindow: 64_240 });
      dut.connecting();
      dut.tx('S 0:0(0) win 64240 <mss 1460>');
      dut.host.dispose();
      dut.expectClean();
    });

    it('that are made smaller take nothing back of what was promised (GT-45, SHLD-14)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 20_000 });
      connection.setReceiveBuffer(10_000);
      dut.rx('. 1:1001(1000) ack 1');
      dut.tx('. 1:1(0) ack 1001 win 19000');
      connection.read();
      dut.rx('. 1001:9001(8000) ack 1');
      dut.tx('. 1:1(0) ack 9001 win 11000');
      connection.read();
      dut.rx('. 9001:20001(11000) ack 1');
      // The queue was empty.
      dut.tx('. 1:1(0) ack 20001 win 0');
      connection.read();
      dut.tx('. 1:1(0) ack 20001 win 10000');
      connection.abort();
      dut.expectClean();
    });

    it('that are made smaller drop what fits into the window and not into them (GP-43)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection } = dut.accepted({ receiveBuffer: 20_000 });
      dut.rx('. 1:1001(1000) ack 1');
      dut.take();
      connection.setReceiveBuffer(5000);
      dut.rx('FP. 1001:6001(5000) ack 1');
      dut.tx('. 1:1(0) ack 1001 win 19000');
      expect(dut.drops('TcpOutOfMemory')).to.equal(1);
      expect(connection.state).to.equal('ESTABLISHED');
      connection.read();
      dut.rx('FP. 1001:6001(5000) ack 1');
      expect(dut.take()).to.deep.equal(['. 1:1(0) ack 6002 win 13999']);
      connection.abort();
      dut.expectClean();
    });

    it('that are made larger are told of at once (GT-49)', () => {
      const dut = new Dut(version, { delayedAck: 0 });
      const { connection, app } = dut.accepted({ receiveBuffer: 2000, sendBuffer: 2000 });
      dut.rx('. 1:2001(2000) ack 1');
      dut.tx('. 1:1(0) ack 2001 win 0');
      connection.setReceiveBuffer(2500);
      dut.tx();
      connection.setReceiveBuffer(5000);
      dut.tx('. 1:1(0) ack 2001 win 3000');
      expect(connection.write(new Uint8Array(3000))).to.equal(2000);
      connection.setSendBuffer(4000);
      dut.wait(0);
      expect(app.events).to.deep.equal(['readable', 'writable']);
      expect(connection.write(new Uint8Array(3000))).to.equal(2000);
      connection.abort();
      dut.expectClean();
    });
  });

  describe(`the memory of TCP over IPv${version}`, () => {
    it('is counted, whatever becomes of what is queued', () => {
      const dut = new Dut(version, { sack: true });
      const listener = dut.listen();
      dut.rx('S 0:0(0) win 65535 <mss 1460,sackOK,nop,nop>');
      dut.rx('. 1:1(0) ack 1');
      const connection = listener.accept();
      const { memory } = dut.host;
      connection?.write(new Uint8Array(3000));
      expect(memory.used).to.equal(3000);
      dut.rx('. 1:1(0) ack 1001');
      expect(memory.used).to.equal(2000);
      dut.rx('. 101:201(100) ack 1001');
      dut.rx('. 301:401(100) ack 1001');
      dut.rx('. 101:201(100) ack 1001');
      // Two pieces, and what each costs besides its bytes.
      expect(memory.used).to.equal(2200 + 2 * 256);
      dut.rx('. 1:151(150) ack 1001');
      expect(memory.used).to.equal(2300 + 256);
      connection?.read(50);
      expect(memory.used).to.equal(2300 + 256 - 50);
      dut.rx('R. 201:201(0) ack 1001');
      expect(memory.used).to.equal(0);
      // What was received before the RST can still be read.
      while (connection?.read() !== undefined);
      expect(memory.used).to.equal(0);
      dut.expectClean();
    });

    it('that is short: no buffer grows, windows shrink, and grow again afterwards', () => {
      const dut = new Dut(version, { ...GRADUAL, memory: 40_000, delayedAck: 0 });
      const { connection } = dut.accepted();
      connection.write(new Uint8Array(30_000));
      dut.take();
      dut.rx('. 1:1461(1460) ack 1');
      expect(connection.info().rcvSsthresh).to.equal(4 * 1460);
      dut.rx('. 1461:1462(1) ack 14601');
      dut.rx('. 1462:1462(0) ack 30001');
      connection.read();
      connection.read();
      dut.take();
      dut.rx('. 1462:2922(1460) ack 30001');
      expect(connection.info().rcvSsthresh).to.equal(6 * 1460);
      connection.abort();
      dut.expectClean();
    });

    it('that is used up: what is out of order goes first, what is in order if the reader has enough to read (GT-42)', () => {
      const dut = new Dut(version, { memory: 10_000, delayedAck: 0 });
      const { connection } = dut.accepted();
      dut.rx('. 2001:6001(4000) ack 1');
      dut.rx('. 8001:15001(7000) ack 1');
      expect(dut.drops('TcpOutOfMemory')).to.equal(1);
      expect(dut.host.memory.used).to.equal(4256);
      dut.rx('. 1:1001(1000) ack 1');
      expect(dut.host.memory.used).to.equal(5256);
      // There is no room for this but in the place of what is out of order.
      dut.rx('. 1001:1101(100) ack 1');
      dut.rx('. 1101:7101(6000) ack 1');
      expect(dut.host.memory.used).to.equal(7100);
      dut.take();
      dut.rx('. 7101:11101(4000) ack 1');
      expect(dut.drops('TcpOutOfMemory')).to.equal(2);
      dut.tx('. 1:1(0) ack 7101 win 65535');
      while (connection.read() !== undefined);
      dut.rx('. 7101:18101(11000) ack 1');
      expect(connection.readableBytes).to.equal(11_000);
      connection.abort();
      expect(dut.host.memory.used).to.equal(0);
      dut.expectClean();
    });

    it('is bounded by its limit where single bytes come out of order, whatever else they cost', () => {
      const dut = new Dut(version, { memory: 100_000, delayedAck: 0 });
      const { connection } = dut.accepted();
      // Each joins the one before: not one gap more, but a piece each.
      for (let at = 2; at < 1002; at++) dut.rx(`. ${at}:${at + 1}(1) ack 1`);
      expect(dut.drops('TcpOutOfMemory')).to.be.within(600, 620);
      expect(dut.host.memory.used).to.be.at.most(100_000 + 256);
      dut.take();
      connection.abort();
      expect(dut.host.memory.used).to.equal(0);
      dut.expectClean();
    });

    it('may be made more or less while the host runs', () => {
      const dut = new Dut(version, { memory: 10_000 });
      const { connection } = dut.accepted();
      expect(connection.writableBytes).to.equal(10_000);
      dut.host.configure({ memory: 50_000 });
      expect(connection.write(new Uint8Array(40_000))).to.equal(40_000);
      expect([connection.writableBytes, dut.host.memory.isScarce]).to.deep.equal([10_000, true]);
      dut.host.configure({ memory: 60_000 });
      expect([connection.writableBytes, dut.host.memory.isScarce]).to.deep.equal([20_000, false]);
      dut.host.configure({ memory: 30_000 });
      expect([connection.writableBytes, dut.host.memory.isScarce]).to.deep.equal([0, true]);
      dut.rx('. 1:1(0) ack 14601');
      expect(connection.writableBytes).to.equal(4600);
      connection.abort();
      dut.expectClean();
    });

    it('that is used up by others leaves every connection a little', () => {
      const dut = new Dut(version, { memory: 10_000, delayedAck: 0 });
      const { connection } = dut.accepted();
      expect(connection.writableBytes).to.equal(10_000);
      expect(connection.write(new Uint8Array(20_000))).to.equal(10_000);
      const { connection: other, app } = dut.connected();
      expect(other.writableBytes).to.equal(4096);
      expect(other.write(new Uint8Array(5000))).to.equal(4096);
      expect(other.write(new Uint8Array(5000))).to.equal(0);
      dut.rx('. 1:1(0) ack 1461');
      expect(app.events).to.deep.equal(['writable']);
      connection.abort();
      other.abort();
      expect(dut.host.memory.used).to.equal(0);
      dut.expectClean();
    });
  });
}
