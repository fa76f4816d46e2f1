import { expect } from 'chai';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { forBothVersions } from '../../../both-versions.js';
import { Dut, type Opened } from './dut.js';

/** A connection with one segment in flight, whose application then does `act` when it is told of what comes. */
function inFlight(dut: Dut, act: (opened: Opened) => void): Opened {
  const opened = dut.accepted();
  opened.connection.write(new Uint8Array(10));
  dut.tx('P. 1:11(10) ack 1 win 65535');
  let acted = false;
  opened.app.on.readable = () => {
    if (acted) return;
    acted = true;
    act(opened);
  };
  return opened;
}

const timersOf = ({ connection }: Opened) => (connection as Connection).timers;

forBothVersions('what waits for the end of an event', ({ version }) => {
  it('is a timer that goes on for the answer: it counts from when that was sent', () => {
    const dut = new Dut(version);
    const opened = inFlight(dut, ({ connection }) => {
      connection.discard();
      expect(timersOf(opened).isRetransmitArmed).to.equal(false);
      connection.write(new Uint8Array(20));
    });
    dut.wait(150);
    dut.rx('P. 1:6(5) ack 11');
    dut.tx('P. 11:31(20) ack 6 win 65535');
    expect(timersOf(opened).isRetransmitArmed).to.equal(true);
    const { rto } = (opened.connection as Connection).rtt;
    dut.wait(rto - 1);
    dut.tx();
    dut.wait(1);
    dut.tx('P. 11:31(20) ack 6 win 65535');
    dut.rx('. 6:6(0) ack 31');
    expect(timersOf(opened).isRetransmitArmed).to.equal(false);
    expect(dut.scheduler.pending).to.equal(0);
    dut.expectClean();
  });

  it('is a timer that probes the window where the answer has to wait for that', () => {
    const dut = new Dut(version);
    const opened = inFlight(dut, ({ connection }) => {
      connection.discard();
      connection.write(new Uint8Array(20));
    });
    dut.rx('P. 1:6(5) ack 11 win 0');
    expect(timersOf(opened).isRetransmitArmed).to.equal(true);
    dut.take();
    dut.wait(200);
    expect(dut.takeBare().at(-1)).to.equal('. 10:10(0) ack 6');
    dut.rx('. 6:6(0) ack 11 win 100');
    expect(dut.takeBare()).to.deep.equal(['P. 11:31(20) ack 6']);
    dut.wait(1000);
    expect(dut.takeBare()).to.include('P. 11:31(20) ack 6');
    dut.expectClean();
  });

  it('is a timer that is given back where nobody answers, to whoever needs one next', () => {
    const dut = new Dut(version);
    const opened = inFlight(dut, ({ connection }) => void connection.discard());
    dut.rx('. 1:1(0) ack 11');
    expect(timersOf(opened).isRetransmitArmed).to.equal(false);
    expect(dut.scheduler.pending).to.equal(0);
    dut.peerPort++;
    dut.rx('S 0:0(0) win 65535 <mss 1460>');
    dut.take();
    dut.wait(1000);
    expect(dut.takeBare()).to.deep.equal(['S. 0:0(0) ack 1 <mss 1460>']);
    dut.expectClean();
  });

  const ends: Record<string, (opened: Opened) => void> = {
    'closes it': ({ connection }) => connection.close(),
    'reads and closes it': ({ connection }) => {
      connection.discard();
      connection.close();
    },
    'aborts it': ({ connection }) => connection.abort(),
    'answers and aborts it': ({ connection }) => {
      connection.write(new Uint8Array(20));
      connection.abort();
    },
    'disconnects it': ({ connection }) => connection.disconnect(),
    'answers and throws': ({ connection }) => {
      connection.write(new Uint8Array(20));
      throw new Error('broken');
    },
    'reads and throws': ({ connection }) => {
      connection.discard();
      throw new Error('broken');
    },
  };
  for (const [what, act] of Object.entries(ends)) {
    for (const segment of ['P. 1:6(5) ack 11', 'P. 1:6(5) ack 1', 'F. 1:1(0) ack 11']) {
      it(`leaves no timer and no queue to a connection whose application ${what}, told of ${segment}`, () => {
        const dut = new Dut(version);
        const opened = inFlight(dut, act);
        dut.rx(segment);
        dut.take();
        const { state } = opened.connection;
        if (state === 'CLOSED') expect(dut.scheduler.pending, 'timers').to.equal(0);
        else expect(timersOf(opened).isRetransmitArmed, `a timer in ${state}`).to.equal(true);
        dut.wait(3_600_000);
        expect(dut.host.size).to.equal(0);
        expect(dut.scheduler.pending).to.equal(0);
        expect(dut.host.memory.used).to.equal(0);
        // The next connection has queues that are empty.
        dut.peerPort = 7777;
        const next = dut.connected();
        dut.rx('P. 1:4(3) ack 1');
        expect(next.connection.read()).to.have.length(3);
        next.connection.write(new Uint8Array(7));
        expect(next.connection.unacknowledgedBytes).to.equal(7);
        expect(dut.takeBare().at(-1)).to.equal('P. 1:8(7) ack 4');
        expect((next.connection as Connection).sent.count).to.equal(1);
        dut.rx('. 4:4(0) ack 8');
        expect(timersOf(next).isRetransmitArmed).to.equal(false);
        expect(dut.host.memory.used).to.equal(0);
        dut.expectClean();
      });
    }
  }

  it('is an acknowledgment that an answer carries, and that is delayed where there is none', () => {
    for (const ackPolicy of ['adaptive', 'full-sized', 'every-second'] as const) {
      const dut = new Dut(version, { ackPolicy });
      const opened = inFlight(dut, ({ connection }) => void connection.write(new Uint8Array(20)));
      dut.rx('P. 1:6(5) ack 11');
      expect(dut.takeBare()).to.deep.equal(['P. 11:31(20) ack 6']);
      dut.rx('P. 6:11(5) ack 31');
      expect(timersOf(opened).isAckDelayed).to.equal(true);
      dut.tx();
      dut.wait(1000);
      expect(dut.takeBare()).to.deep.equal(['. 31:31(0) ack 11']);
      expect(dut.scheduler.pending).to.equal(0);
      dut.expectClean();
    }
  });

  it('is every second acknowledgment, though the first was delayed when its event ended', () => {
    const dut = new Dut(version, { ackPolicy: 'every-second' });
    const opened = dut.accepted();
    dut.rx('P. 1:6(5) ack 1');
    dut.tx();
    dut.rx('P. 6:11(5) ack 1');
    expect(dut.takeBare()).to.deep.equal(['. 1:1(0) ack 11']);
    expect(timersOf(opened).isAckDelayed).to.equal(false);
    dut.expectClean();
  });
});

forBothVersions('a listener that is closed', ({ version }) => {
  it('forgets those whose handshake is not complete, and nobody else', () => {
    const dut = new Dut(version, { maxEmbryonic: 5, synCookies: 'off' });
    const first = dut.listen();
    const other = dut.host.listen({ address: dut.own, port: 81 });
    const open = (own: number, ports: readonly number[], complete: boolean) => {
      dut.ownPort = own;
      for (const port of ports) {
        dut.peerPort = port;
        dut.rx('S 0:0(0) win 65535 <mss 1460>');
        if (complete) dut.rx('. 1:1(0) ack 1');
      }
    };
    open(80, [1, 2, 3], false);
    open(81, [4, 5], false);
    open(80, [6, 7], true);
    const accepted = first.accept();
    expect(dut.host.size).to.equal(7);
    dut.take();
    first.close();
    // Those that waited to be accepted are reset; embryos learn it when they acknowledge.
    expect(dut.takeBare().filter((line) => line.startsWith('R'))).to.have.length(1);
    expect([...dut.host.connections()].map(({ remote }) => remote.port).toSorted((a, b) => a - b)).to.deep.equal([
      4, 5, 6,
    ]);
    expect(accepted?.state).to.equal('ESTABLISHED');
    // The listener that comes after it has room for as many as any.
    const second = dut.host.listen({ address: dut.own, port: 80 });
    open(80, [11, 12, 13, 14, 15, 16], false);
    expect(dut.host.size).to.equal(8);
    expect(dut.drops('TcpBacklogFull')).to.equal(1);
    second.close();
    expect(dut.host.size).to.equal(3);
    // Of the other listener's none was counted twice: there is room for three more.
    open(81, [21, 22, 23, 24], false);
    expect(dut.host.size).to.equal(6);
    expect(dut.drops('TcpBacklogFull')).to.equal(2);
    other.close();
    expect(dut.host.size).to.equal(1);
    dut.expectClean();
  });

  it('has room again for each embryo that completes, is reset or times out', () => {
    const dut = new Dut(version, { maxEmbryonic: 2, synCookies: 'off' });
    const listener = dut.listen();
    const syn = (port: number) => {
      dut.peerPort = port;
      dut.rx('S 0:0(0) win 65535 <mss 1460>');
      return dut.host.size;
    };
    expect([syn(1), syn(2), syn(3)]).to.deep.equal([1, 2, 2]);
    dut.peerPort = 2;
    dut.rx('. 1:1(0) ack 1');
    expect([syn(3), syn(4)]).to.deep.equal([3, 3]);
    dut.peerPort = 3;
    dut.rx('R 1:1(0)');
    expect([syn(4), syn(5)]).to.deep.equal([3, 3]);
    dut.wait(600_000);
    expect(dut.host.size).to.equal(1);
    expect([syn(5), syn(6), syn(7)]).to.deep.equal([2, 3, 3]);
    expect(listener.accept()?.remote.port).to.equal(2);
    dut.expectClean();
  });
});
