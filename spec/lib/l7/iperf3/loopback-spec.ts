/** Our client against our server, two hosts in virtual time. */

import { expect } from 'chai';
import type { EndReport, SideReport } from '../../../../lib/l7/iperf3/report.js';
import { DEFAULT_PARAMETERS } from '../../../../lib/l7/iperf3/parameters.js';
import { forBothVersions } from '../../../both-versions.js';
import { IperfBench, type Log, MEGABIT } from './bench.js';

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

function endOf(log: Log): EndReport {
  if (log.end === undefined) throw new Error(`no end: ${log.error?.message ?? 'it goes on'}`);
  return log.end;
}

/** Bytes of both sides of all streams. */
function bytesOf(log: Log): { sent: number; received: number } {
  const { streams } = endOf(log);
  return {
    sent: sum(streams.map(({ sent }) => sent?.count.bytes ?? 0)),
    received: sum(streams.map(({ received }) => received?.count.bytes ?? 0)),
  };
}

/** Bits a second. */
function rateOf(side: SideReport | undefined): number {
  return side === undefined ? 0 : (side.count.bytes * 8) / side.seconds;
}

forBothVersions('iperf3, ours against ours', (facts) => {
  let bench: IperfBench;
  const open = (...more: ConstructorParameters<typeof IperfBench> extends [unknown, ...infer R] ? R : never) =>
    (bench = new IperfBench(facts, ...more));
  afterEach(() => bench.close());

  it('TCP: fills the wire, in intervals of a second', () => {
    const log = open().run({ time: 3 });
    const { streams } = endOf(log);
    expect(streams).to.have.length(1);
    const [{ sent, received } = { sent: undefined, received: undefined }] = streams;
    expect(sent?.seconds).to.be.closeTo(3, 0.001);
    expect(rateOf(received)).to.be.within(0.9 * 20 * MEGABIT, 20 * MEGABIT);
    // What was under way when time was up is waited for.
    expect(received?.count.bytes).to.be.within(
      (sent?.count.bytes ?? 0) - DEFAULT_PARAMETERS.length,
      (sent?.count.bytes ?? 0) + DEFAULT_PARAMETERS.length,
    );
    expect(log.intervals.map(({ start, end }) => [start, end])).to.deep.equal([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    expect(sum(log.intervals.map(({ streams: [one] }) => one?.count.bytes ?? 0))).to.equal(sent?.count.bytes);
    expect(log.intervals[2]?.streams[0]?.path?.rtt).to.be.above(1);
    expect(bench.tests[0]?.end?.streams[0]?.received?.count.bytes).to.equal(received?.count.bytes);
    expect(bench.outcomes).to.deep.equal([undefined]);
  });

  for (const [name, parameters] of [
    ['forward', {}],
    ['reverse', { reverse: true }],
    ['four streams', { parallel: 4 }],
    ['four streams, reverse', { parallel: 4, reverse: true }],
  ] as const) {
    it(`TCP ${name}: a number of bytes, in whole blocks, for which the peer waits`, () => {
      const log = open().run({ ...parameters, time: 0, bytes: 3_000_001 });
      const { sent, received } = bytesOf(log);
      const blocks = Math.ceil(3_000_001 / DEFAULT_PARAMETERS.length);
      const { parallel, reverse } = { ...DEFAULT_PARAMETERS, ...parameters };
      expect(sent % DEFAULT_PARAMETERS.length).to.equal(0);
      expect(sent / DEFAULT_PARAMETERS.length).to.be.within(blocks, blocks + parallel - 1);
      // A client that receives has enough when it has as many bytes as it wants.
      if (reverse) expect(received).to.be.within(3_000_001, sent);
      else expect(received).to.equal(sent);
    });
  }

  it('TCP: the last block is whole also where time ends the test', () => {
    open();
    const { log } = bench.start({ time: 1, reverse: true, length: 1_000_000 });
    bench.net.runFor(1040);
    expect(log.over).to.equal(false);
    let written = 0;
    while (!log.over) {
      for (const connection of bench.net.hosts.server.tcp.connections()) {
        written = Math.max(written, connection.info().bytesAcked + connection.unacknowledgedBytes);
      }
      bench.net.runFor(1);
    }
    expect(written).to.be.above(1_000_000);
    expect(written % 1_000_000).to.equal(0);
    expect(endOf(log).streams[0]?.sent?.count.bytes).to.be.at.most(written);
  });

  it('TCP: a number of blocks', () => {
    const log = open().run({ time: 0, blocks: 25, length: 10_000, parallel: 2 });
    expect(bytesOf(log)).to.deep.equal({ sent: 250_000, received: 250_000 });
  });

  it('TCP: both directions at once', () => {
    const log = open().run({ bidirectional: true, parallel: 2, time: 2 });
    expect(log.begun?.streams.map(({ id, sends }) => [id, sends])).to.deep.equal([
      [1, true],
      [3, true],
      [4, false],
      [5, false],
    ]);
    const { streams } = endOf(log);
    for (const half of [streams.slice(0, 2), streams.slice(2)])
      expect(sum(half.map(({ received }) => received?.count.bytes ?? 0)) * 8).to.be.above(0.7 * 40 * MEGABIT);
  });

  it('TCP: a rate, with a burst and without; what is omitted does not count', () => {
    for (const burst of [0, 4]) {
      const log = open().run({ bitrate: 4 * MEGABIT, burst, time: 3, omit: 2, length: 10_000 });
      const { sent, received } = bytesOf(log);
      expect(sent * 8).to.be.closeTo(12 * MEGABIT, 0.5 * MEGABIT);
      expect(received).to.be.closeTo(sent, 100_000);
      expect(log.intervals.map(({ omitted, start, end }) => [omitted, start, end])).to.deep.equal([
        [true, 0, 1],
        [true, 1, 2],
        [false, 0, 1],
        [false, 1, 2],
        [false, 2, 3],
      ]);
      if (burst === 0) bench.close();
    }
  });

  it('TCP: small segments, buffers and the rest are handed on', () => {
    const shape = { segmentSize: 500, window: 60_000, noDelay: true, trafficClass: 0x10, pacingRate: 8 * MEGABIT };
    const log = open().run({ ...shape, time: 1, reverse: true, title: 'T', extraData: 'X' });
    expect(log.json.toJSON()).to.deep.include({ title: 'T', extra_data: 'X' });
    expect(bench.tests[0]?.begun?.parameters).to.deep.include(shape);
    expect(bytesOf(log).received * 8).to.be.below(8.2 * MEGABIT);
  });

  it('TCP: what is sent again is told by whoever sends', () => {
    const log = open({ loss: 0.01 }).run({ time: 3, reverse: true });
    expect(endOf(log).streams[0]?.sent?.retransmits).to.be.above(0);
    expect(endOf(log).streams[0]?.received?.retransmits).to.equal(undefined);
  });

  it('UDP: a rate, all of it received, in order', () => {
    const log = open().run({ protocol: 'udp', bitrate: 5 * MEGABIT, length: 0, time: 2, parallel: 2 });
    const { streams } = endOf(log);
    for (const { sent, received } of streams) {
      expect((sent?.count.bytes ?? 0) * 8).to.be.closeTo(10 * MEGABIT, 0.1 * MEGABIT);
      // What was on its way when the test ended does not count.
      expect(received?.count.packets).to.be.within((sent?.count.packets ?? 0) - 20, sent?.count.packets ?? 0);
      expect(received?.count.lost).to.equal(0);
    }
    expect(log.begun?.parameters.length).to.equal(facts.version === 4 ? 1448 : 1428);
  });

  for (const counters64 of [false, true]) {
    it(`UDP reverse with loss and jitter, counted with ${counters64 ? 64 : 32} bits`, () => {
      open({ loss: 0.05, jitter: 4 });
      const log = bench.run({ protocol: 'udp', bitrate: 2 * MEGABIT, length: 500, time: 5, reverse: true, counters64 });
      const { sent, received } = endOf(log).streams[0] ?? {};
      const { packets = 0, lost = 0 } = received?.count ?? {};
      expect(sent?.count.packets).to.be.closeTo(2500, 10);
      expect(packets).to.be.closeTo(2500, 20);
      expect(lost / packets).to.be.within(0.02, 0.1);
      expect(received?.jitter).to.be.within(0.3, 4);
      expect((received?.count.bytes ?? 0) / 500).to.be.closeTo(packets - lost, received?.count.outOfOrder ?? 0);
    });
  }

  it('UDP: as fast as it goes, through a wire that loses most of it; a number of datagrams', () => {
    const log = open({ queueFrames: 50 }).run({ protocol: 'udp', length: 1000, time: 1, omit: 1 });
    const { sent, received } = endOf(log).streams[0] ?? {};
    expect((sent?.count.bytes ?? 0) * 8).to.be.above(100 * MEGABIT);
    expect(rateOf(received)).to.be.within(18 * MEGABIT, 20 * MEGABIT);
    expect(received?.count.lost).to.be.above(1000);
    const few = bench.run({ protocol: 'udp', length: 100, blocks: 7, time: 0, bitrate: MEGABIT });
    expect(endOf(few).streams[0]?.sent?.count).to.deep.include({ bytes: 700, packets: 7 });
  });

  it('the server tells the client what it printed, and is free for the next', () => {
    open();
    for (let i = 1; i <= 3; i++) {
      const log = bench.run({ time: 1, serverOutput: true });
      const output = endOf(log).serverOutput;
      expect(output).to.match(/^Accepted connection from /);
      expect(output).to.match(/receiver$/);
    }
    expect(bench.outcomes).to.deep.equal([undefined, undefined, undefined]);
  });

  for (const [name, parameters] of [
    ['TCP', { time: 0, parallel: 2 }],
    ['TCP reverse', { time: 10, reverse: true }],
    ['TCP, a number of bytes', { time: 0, bytes: 1e12 }],
    ['UDP', { time: 0, protocol: 'udp', bitrate: MEGABIT, length: 500 }],
  ] as const) {
    it(`${name}: when it is interrupted both sides tell what there was`, () => {
      open();
      const { client, log } = bench.start(parameters);
      bench.net.runFor(1500);
      client.interrupt();
      bench.net.runFor(2000);
      expect(log.error).to.include({ code: 'EINTR', message: 'the client has terminated' });
      const { sent, received } = bytesOf(log);
      // A block that was begun is sent to its end, and does not count.
      expect(received).to.be.within(80_000, sent + 2 * DEFAULT_PARAMETERS.length);
      expect(endOf(log).streams[0]?.sent?.seconds).to.be.within(1.4, 1.6);
      expect(log.intervals).to.have.length(2);
      expect(log.json.toJSON()).to.have.property('error', 'interrupt - the client has terminated');
      expect(bench.outcomes).to.deep.equal([undefined]);
    });
  }

  it('tells what it knows itself when it is interrupted and the server is gone', () => {
    open();
    const { client, log } = bench.start({ time: 0 });
    bench.net.runFor(1500);
    bench.net.links['lan']?.partition();
    client.interrupt();
    bench.net.runFor(1999);
    expect(log.over).to.equal(false);
    bench.net.runFor(2);
    expect(log.error).to.have.property('code', 'EINTR');
    const { sent, received } = endOf(log).streams[0] ?? {};
    expect(sent?.count.bytes).to.be.above(1_000_000);
    expect(received).to.equal(undefined);
    bench.net.links['lan']?.heal();
  });

  it('has nothing to tell when it is interrupted before anything flows', () => {
    open();
    for (const time of [0, 1, 3]) {
      const { client, log } = bench.start({});
      bench.net.runFor(time);
      client.interrupt();
      client.interrupt();
      expect(log.end).to.equal(undefined);
      expect(log.error).to.have.property('code', 'EINTR');
      bench.net.runFor(1000);
    }
    expect(bench.run({ time: 1 }).error).to.equal(undefined);
  });

  it('prints what the program prints', () => {
    const log = open().run({ time: 1 });
    expect(log.lines.slice(2)).to.have.length(6);
    expect(log.lines[0]).to.equal(`Connecting to host ${facts.a.toString()}, port 5201`);
    expect(log.lines[2]).to.equal('[ ID] Interval           Transfer     Bitrate         Retr  Cwnd');
    expect(log.lines[3]).to.match(
      /^\[ {2}5\] {3}0\.00-1\.00 {3}sec {2}[\d.]+ MBytes {2}[\d.]+ Mbits\/sec +\d+ +[\d.]+ KBytes$/,
    );
    expect(log.lines[6]).to.match(
      /^\[ {2}5\] {3}0\.00-1\.00 {3}sec {2}[\d.]+ MBytes {2}[\d.]+ Mbits\/sec +\d+ +sender$/,
    );
    expect(log.lines[7]).to.match(
      /^\[ {2}5\] {3}0\.00-1\.\d\d {3}sec {2}[\d.]+ MBytes {2}[\d.]+ Mbits\/sec +receiver$/,
    );
  });

  it('ends after one test, if that is wanted', () => {
    open({}, true).run({ time: 1 });
    bench.net.runFor(100);
    expect(bench.run({ time: 1 }).error).to.have.property('code', 'ECONNRESET');
  });
});
