/**
 * Ergot: what a frame costs in a router, by its parts and from link to link; how many bytes it takes beside what is said; and what allocations and
 * routes take of memory and time.
 */

import {
  AddressPool,
  cobsLength,
  FrameHeader,
  FrameKind,
  netAddress,
  PhoneHeader,
  PORT_ANY,
} from '../lib/ergot/index.js';
import { SeededRandom } from '../lib/core/random.js';
import { bytesInUse } from './memory.js';
import { decisions, headers, routes, stuffing } from './micro/ergot.js';
import { feedAlone, hops, piped, scenes } from './micro/ergot-nodes.js';
import { BATCH } from './micro/pipeline.js';
import { type Row, row } from './report.js';
import { time } from './timing.js';

const PARTS = 'Ergot: the parts of a frame’s way';
const NODES = 'Ergot: a frame of 64 bytes through a node';
const SPEED = 'Ergot: frames a second through a node';
const OVERHEAD = 'Ergot: bytes beside what is said';
const TABLES = 'Ergot: allocations and routes';
const COUNT = 100_000;
const LARGEST_LEN = 12;

/** Does something {@link BATCH} times. */
type Work = readonly [name: string, work: () => void];

/** Bytes of the header of a frame from 1.2:5 to `destination`, with `sequence`. */
export function headerBytes(destination: number, sequence: number): number {
  const header = new FrameHeader();
  header.source = netAddress(1, 2, 5);
  header.destination = destination;
  header.sequence = sequence;
  header.kind = FrameKind.Request;
  return header.size;
}

/** Bytes of the header of a frame to `destination` in the scope of `bits` bits, from a socket in the same one. */
export function phoneHeaderBytes(destination: number, bits: number): number {
  const header = new PhoneHeader();
  Object.assign(header, { source: 0x17, sourceBits: bits, destination, bits, sequence: 7, kind: FrameKind.Request });
  return header.size;
}

/** What is on the wire beside 64 bytes that are said: the same in every run. */
export function overheadRows(): Row[] {
  const said = 64;
  const near = headerBytes(netAddress(1, 1, 3), 7);
  const far = headerBytes(netAddress(4096, 2, 3), 0xffff);
  const keyed = headerBytes(netAddress(1, 1, PORT_ANY), 7);
  const phone = phoneHeaderBytes(0x34, 6);
  const stuffed = (bytes: number) => cobsLength(said + bytes) - said;
  return (
    [
      ['a datagram or packet, to a port nearby, one of the first 128 frames', near],
      ['a datagram or packet, to a port far away, after many frames', far],
      ['a datagram or packet, to whoever has the key', keyed],
      ['a datagram or packet, to a phone number nearby', phone],
      ['a stream, to a port nearby', stuffed(near)],
      ['a stream, to a port far away', stuffed(far)],
      ['a stream, to whoever has the key', stuffed(keyed)],
    ] as const
  ).map(([name, bytes]) => row(OVERHEAD, name, 'B', [bytes]));
}

/** What each of some works costs: nanoseconds in each of the rounds, which are interleaved. */
function timed(rounds: number, works: readonly Work[]): number[][] {
  const values = works.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, [, work]] of works.entries()) values[i]?.push(time(BATCH, work));
  }
  return values;
}

function partRows(rounds: number): Row[] {
  const works: readonly Work[] = [
    ['header read, to a port', headers.read(false)],
    ['header read, with a key', headers.read(true)],
    ['header written, to a port', headers.write(false)],
    ['header written, with a key', headers.write(true)],
    ['header read, a hop taken off, source rewritten', headers.hop()],
    ['decision, 10 routes', decisions(10)],
    ['decision, 1,000 routes', decisions(1_000)],
    ['decision, 100,000 routes', decisions(100_000)],
    ['decision, 10 routes, among siblings', decisions(10, true)],
    ['64 bytes stuffed', stuffing.encode(64)],
    ['64 bytes taken out of a stream', stuffing.decode(64)],
    ['1,024 bytes stuffed', stuffing.encode(1_024)],
    ['1,024 bytes taken out of a stream', stuffing.decode(1_024)],
  ];
  const values = timed(rounds, works);
  return works.map(([name], i) => row(PARTS, name, 'ns', values[i] ?? []));
}

/** What a hop costs: with the frame put into memory and let go, which is a row of its own. */
function nodeRows(rounds: number): Row[] {
  const works: readonly Work[] = [
    ['no node: put into memory, and let go', feedAlone()],
    ['a router of ergot 0.12', hops(scenes.router())],
    ['a phone-number device, from child to child', hops(scenes.phone('child', 'child'))],
    ['a phone-number device, from child to parent', hops(scenes.phone('child', 'parent'))],
    ['a phone-number device, from sibling to child', hops(scenes.phone('sibling', 'child'))],
    ['a router of ergot 0.12, as an operator', piped(scenes.router())],
    ['a phone-number device, from child to child, as an operator', piped(scenes.phone('child', 'child'))],
  ];
  const values = timed(rounds, works);
  const speeds = works.flatMap(([name], i) => {
    const each = (values[i] ?? []).map((nanoseconds) => 1e9 / nanoseconds);
    return name.endsWith('operator') ? [row(SPEED, name, 'frames/s', each)] : [];
  });
  return [...works.map(([name], i) => row(NODES, name, 'ns', values[i] ?? [])), ...speeds];
}

/** Allocations of 2 to 4,096 addresses of a space of 2^32. */
function fill(pool: AddressPool, count: number, random: SeededRandom): number[] {
  const firsts: number[] = [];
  for (let i = 0; i < count; i++) {
    const made = pool.allocate([{ len: 1 + random.below(LARGEST_LEN), flags: 0 }]);
    if (typeof made !== 'number') for (const { first } of made) firsts.push(first);
  }
  return firsts;
}

function newPool(): AddressPool {
  const pool = new AddressPool();
  pool.add(0, 32);
  return pool;
}

/** Nanoseconds that one of `count` allocations takes, and giving it back in any order; and the bytes that it holds. */
function allocation(count: number): { give: number; take: number; bytes: number } {
  const random = new SeededRandom(count);
  const before = bytesInUse();
  const pool = newPool();
  let begun = process.hrtime.bigint();
  const firsts = fill(pool, count, random);
  const give = Number(process.hrtime.bigint() - begun) / count;
  const order = Uint32Array.from(firsts);
  firsts.length = 0;
  const bytes = (bytesInUse() - before - order.byteLength) / count;
  for (let i = order.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0];
  }
  begun = process.hrtime.bigint();
  for (const first of order) pool.release(first);
  const take = Number(process.hrtime.bigint() - begun) / count;
  if (pool.allocations > 0) throw new Error('some were not given back');
  return { give, take, bytes };
}

function routeCost(count: number): { add: number; bytes: number } {
  const before = bytesInUse();
  const begun = process.hrtime.bigint();
  const table = routes(count);
  const add = Number(process.hrtime.bigint() - begun) / count;
  const bytes = (bytesInUse() - before) / count;
  if (table.size !== count) throw new Error('some were not added');
  return { add, bytes };
}

function tableRows(rounds: number): Row[] {
  // The first calls of everything are slow.
  allocation(COUNT);
  routeCost(COUNT);
  const given = Array.from({ length: rounds }, () => allocation(COUNT));
  const routed = Array.from({ length: rounds }, () => routeCost(COUNT));
  const of = (what: string): string => `${COUNT.toLocaleString('en')} ${what}`;
  const gives = given.map(({ give }) => give);
  const takes = given.map(({ take }) => take);
  const adds = routed.map(({ add }) => add);
  const kept = given.map(({ bytes }) => bytes);
  const known = routed.map(({ bytes }) => bytes);
  return [
    row(TABLES, of('allocations of 2 to 4,096 addresses: giving one'), 'ns', gives),
    row(TABLES, of('allocations: taking one back'), 'ns', takes),
    row(TABLES, of('routes: adding one'), 'ns', adds),
    row(TABLES, of('allocations: memory of each'), 'B', kept),
    row(TABLES, of('routes: memory of each'), 'B', known),
  ];
}

/** Measures everything, `rounds` times. */
export function ergotBenchmark(rounds: number): Row[] {
  return [...nodeRows(rounds), ...partRows(rounds), ...overheadRows(), ...tableRows(rounds)];
}
