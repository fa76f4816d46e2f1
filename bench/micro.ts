/** What a frame costs in the pipeline and in plain function calls, and what its parts cost. Nanoseconds, without any device. */

import { lookup, pipelined, plain, tcpDemux } from './micro/pipeline.js';
import { checksum, tcpTransfer, timers } from './micro/parts.js';
import { Exchange } from './micro/tcp-exchange.js';
import { type Row, row } from './report.js';
import { time, WARM_UP_ROUNDS } from './timing.js';

const SECTION = 'Cost per frame';
const MEMORY = 'Memory allocated per frame';
/** Runs whose memory is measured: so few that no collection comes between, as a rule. */
const RUNS = 2;
const TRIES = 10;

/** Bytes of the heap that each thing takes until it is collected: the least of several tries, since others allocate, too. */
function allocated(batch: number, work: () => void): number {
  for (let i = 0; i < 50; i++) work();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TRIES; i++) {
    globalThis.gc?.({ type: 'minor' });
    const before = process.memoryUsage().heapUsed;
    for (let run = 0; run < RUNS; run++) work();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) least = Math.min(least, grown / (RUNS * batch));
  }
  return least;
}

type Work = readonly [name: string, batch: number, work: () => void];

/** Measures everything, `rounds` times, interleaved. */
export function microBenchmark(rounds: number): Row[] {
  const frames: readonly Work[] = [
    ['Ethernet, IPv4, UDP to a socket: plain function calls', 1000, plain()],
    ['Ethernet, IPv4, UDP to a socket: the operators', 1000, pipelined()],
    ['Ethernet, IPv4, TCP demux by the operators, one connection of 1,000', 1000, tcpDemux(4, 1)],
    ['Ethernet, IPv4, TCP demux by the operators, 64 of 1,000 in turn', 1000, tcpDemux(4, 64)],
    ['Ethernet, IPv6, TCP demux by the operators, one connection of 1,000', 1000, tcpDemux(6, 1)],
    ['Ethernet, IPv6, TCP demux by the operators, 64 of 1,000 in turn', 1000, tcpDemux(6, 64)],
  ];
  const [staying, coming] = [new Exchange(64), new Exchange(64)];
  staying.open();
  staying.ask();
  const echo: Work = ['TCP echo of 64 bytes by a whole host, 64 connections in turn', 64, () => staying.roundTrip()];
  const accepted = 'TCP connection accepted by a whole host, asked once, and closed, 64 at once';
  const life: Work = [accepted, 64, () => coming.life()];
  const parts: readonly Work[] = [
    ['TCP lookup, 1 connection', 1000, lookup(1)],
    ['TCP lookup, 1,000 connections in turn', 1000, lookup(1000)],
    ['TCP lookup, 100,000 connections in turn', 1000, lookup(100_000)],
    ['checksum of 64 bytes', 1000, checksum(64)],
    ['checksum of 1,500 bytes', 1000, checksum(1500)],
    ['checksum of 64 KiB', 1000, checksum(65_536)],
    ['timer moved later', 1000, timers.later()],
    ['timer armed and cancelled', 1000, timers.armed()],
    ['TCP, 1,448 bytes written, sent, received, acknowledged, read', 100, tcpTransfer(100)],
    echo,
    life,
  ];
  const works = [...frames, ...parts];
  const values = works.map((): number[] => []);
  const counted = [...frames, life];
  const sizes = counted.map((): number[] => []);
  for (let round = 0; round < WARM_UP_ROUNDS; round++) for (const [, batch, work] of works) time(batch, work);
  for (let round = 0; round < rounds; round++) {
    for (const [i, [, batch, work]] of works.entries()) values[i]?.push(time(batch, work));
    for (const [i, [, batch, work]] of counted.entries()) sizes[i]?.push(allocated(batch, work));
  }
  staying.end();
  coming.end();
  const rows = works.map(([name], i) => row(SECTION, name, 'ns', values[i] ?? []));
  const memory = counted.map(([name], i) => row(MEMORY, name, 'B', sizes[i] ?? []));
  const [first, second] = rows;
  if (first === undefined || second === undefined) return rows;
  const compared = row(SECTION, second.name, 'ns', values[1] ?? [], { ...first, name: 'plain calls' });
  return [first, compared, ...rows.slice(2), ...memory];
}
