import { expect } from 'chai';
import { forBothVersions } from '../../../both-versions.js';
import { Dut, type Opened, Recorder } from './dut.js';
import { App, join, Pair, pattern } from './pair.js';

const FAILURE = Object.assign(new Error('the way out threw'), { code: 'EPIPE' });

/** Lets what is to throw throw. */
function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    expect(error).to.equal(FAILURE);
    return false;
  }
}

/** Has the way out throw once. */
function fail(dut: Dut): void {
  const { emit } = dut.host.output;
  dut.host.output.emit = (packet) => {
    dut.host.output.emit = emit;
    packet.release();
    throw FAILURE;
  };
}

/** Something waits for a window that is shut. */
function shut(dut: Dut): void {
  dut.accepted({ win: 0 }).connection.write(pattern(10));
}

/** Keep-alives are due. */
function idle(dut: Dut): void {
  dut.accepted().connection.setKeepAlive(true, 1000, 500, 5);
}

/** One segment is in flight, which the peer does not acknowledge. */
function tail(dut: Dut): void {
  const listener = dut.listen();
  dut.rx('S 0:0(0) win 65535 <mss 1000,sackOK>');
  dut.wait(20);
  dut.rx('. 1:1(0) ack 1');
  listener.accept()?.write(pattern(1000));
  dut.take();
}

forBothVersions('A way out of TCP that throws once', ({ version }) => {
  /** Has the first host's way out throw with the packet number `at`, whatever it is about; returns how many it was given. */
  function exchange(at: number): number {
    const pair = new Pair({ version });
    const [host] = pair.hosts;
    const { emit } = host.output;
    let sent = 0;
    host.output.emit = (packet) => {
      if (++sent !== at) return emit?.(packet);
      packet.release();
      throw FAILURE;
    };
    const quiet = () => {
      while (!attempt(() => pair.scheduler.run()));
    };
    const before = new App(pattern(20_000));
    attempt(() => join(pair, before, new App(pattern(20_000))));
    quiet();
    const isOver = sent >= at;
    const after = new App(pattern(2000));
    const other = new App(pattern(2000));
    const listener = pair.hosts[1].listen({ address: pair.ends[1], port: 81 });
    listener.acceptable = () => {
      const connection = listener.accept();
      if (connection !== undefined) other.attach(connection).start();
    };
    attempt(() => (after.connection = host.connect({ address: pair.ends[1], port: 81 }, after)));
    quiet();
    if (isOver) expect([after.receivedBytes, other.receivedBytes], `packet ${at}`).to.deep.equal([2000, 2000]);
    for (const each of pair.hosts) attempt(() => each.dispose());
    quiet();
    pair.expectClean();
    return sent;
  }

  it('costs that packet, and perhaps its connection: others come and go', () => {
    const count = exchange(0);
    expect(count).to.be.above(20);
    for (let at = 1; at <= count + 10; at++) exchange(at);
  });

  it('costs no bytes that another connection has received', () => {
    const dut = new Dut(version);
    const other = dut.accepted();
    dut.peerPort++;
    dut.rx('S 0:0(0) win 65535 <mss 1460>');
    dut.rx('. 1:1(0) ack 1');
    const [, connection] = [...dut.host.connections()].sort((a, b) => a.remote.port - b.remote.port);
    if (connection === undefined) throw new Error('no connection');
    const app = new Recorder();
    app.on.readable = () => void other.connection.write(pattern(100));
    connection.handler = app;
    const { emit } = dut.host.output;
    dut.host.output.emit = (packet) => {
      packet.release();
      throw FAILURE;
    };
    expect(attempt(() => dut.rx('P. 1:11(10) ack 1'))).to.equal(false);
    dut.host.output.emit = emit;
    expect([...(connection.read() ?? [])]).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    dut.host.dispose();
    dut.expectClean();
  });

  const waits: readonly (readonly [string, (dut: Dut) => void, number, RegExp])[] = [
    ['the SYN-ACK', (dut) => (dut.listen(), dut.rx('S 0:0(0) win 65535 <mss 1460>')), 1000, /^S\. /],
    ['the SYN', (dut) => (dut.connecting(), dut.take(), fail(dut), dut.wait(1000)), 2000, /^S /],
    ['a window probe', (dut) => (shut(dut), fail(dut), dut.wait(200)), 400, /^\. 0:0/],
    ['a keep-alive', (dut) => (idle(dut), fail(dut), dut.wait(1000)), 500, /^\. 0:0/],
    ['a loss probe', (dut) => (tail(dut), fail(dut), dut.wait(300)), 1000, /1:1001\(1000\)/],
  ];
  for (const [what, act, ms, pattern] of waits) {
    it(`is no reason not to send ${what} again`, () => {
      const dut = new Dut(version, { sack: true });
      if (what === 'the SYN-ACK') fail(dut);
      expect(attempt(() => act(dut))).to.equal(false);
      dut.take();
      dut.wait(ms);
      expect(dut.take()[0]).to.match(pattern);
      dut.host.dispose();
      dut.expectClean();
    });
  }

  const acts: readonly (readonly [string, (opened: Opened, dut: Dut) => void])[] = [
    ['write', ({ connection }) => void connection.write(pattern(100))],
    ['end', ({ connection }) => connection.end()],
    ['close', ({ connection }) => connection.close()],
    ['abort', ({ connection }) => connection.abort()],
    ['disconnect', ({ connection }) => connection.disconnect()],
    ['setCork', ({ connection }) => connection.setCork(false)],
    ['setMaxSegmentSize', ({ connection }) => connection.setMaxSegmentSize(500)],
    ['a timer', (_, dut) => dut.wait(5000)],
    ['an ICMP error', (_, dut) => void dut.icmp('packet-too-big', 'EMSGSIZE', 1, 1280)],
  ];
  for (const [what, act] of acts) {
    it(`has the error told by ${what}, and the host goes on`, () => {
      const dut = new Dut(version);
      const opened = dut.accepted();
      const { connection } = opened;
      if (what.startsWith('a')) connection.write(pattern(1460));
      if (what.startsWith('set')) connection.setCork(true);
      if (what.startsWith('set')) connection.write(pattern(700));
      const { emit } = dut.host.output;
      dut.host.output.emit = (packet) => {
        dut.host.output.emit = emit;
        packet.release();
        throw FAILURE;
      };
      expect(attempt(() => act(opened, dut))).to.equal(false);
      expect(dut.host.output.emit).to.equal(emit);
      dut.take();
      dut.peerPort++;
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      expect(dut.take()[0]).to.match(/^S\. 0:0\(0\) ack 1 /);
      dut.host.dispose();
      dut.expectClean();
    });
  }
});
