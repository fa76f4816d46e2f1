/** What a stage of a pipeline costs each packet, beside the same operators under `pipe`; and what filters in the language of tcpdump cost. */

import { type MonoTypeOperatorFunction, type Observable, Subject } from 'rxjs';
import type { Frame } from '../lib/core/frame.js';
import { PcapFilter } from '../lib/filter/pcap-filter/index.js';
import { PacketNotation } from '../lib/text/notation.js';
import { layer } from '../operators/flow/layer.js';
import { pipeline } from '../operators/flow/pipeline.js';
import { environment } from '../operators/time/environment.js';
import { type Row, row } from './report.js';

const STAGES = 'Pipelines: a packet through so many stages that only pass it on';
const FILTERS = 'Filters in the language of tcpdump: a packet';
const COUNTS = [1, 10, 100, 999];
/** Stages passed, or packets judged, in one measurement. */
const TURNS = 200_000;
const BEST_OF = 5;

const EXPRESSIONS: readonly (readonly [name: string, expression: string])[] = [
  ['tcp', 'tcp'],
  ['tcp dst port 80', 'tcp dst port 80'],
  ['tcp dst port 80 and host 10.0.0.1', 'tcp dst port 80 and host 10.0.0.1'],
  ['tcp[tcpflags] & (tcp-syn | tcp-fin) != 0', 'tcp[tcpflags] & (tcp-syn | tcp-fin) != 0'],
  ['ip[2:2] - ((ip[0] & 0xf) << 2) > 20', 'ip[2:2] - ((ip[0] & 0xf) << 2) > 20'],
  ['100 addresses', `host ${Array.from({ length: 100 }, (_, i) => `10.1.0.${i}`).join(' or ')}`],
];
const PACKETS = ['< 40000 > 8080 S 0:0(0) win 65535', '> udp 53 > 1024 (12)', '< icmp echo_request id 7 seq 1 (56)'];

const env = environment({ seed: 1 });

/** Nanoseconds for each of `count` things. */
function best(count: number, work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < BEST_OF; turn++) {
    const begun = process.hrtime.bigint();
    work();
    least = Math.min(least, Number(process.hrtime.bigint() - begun) / count);
  }
  return least;
}

function passing(): MonoTypeOperatorFunction<Frame> {
  return layer(() => (frame) => frame);
}

/** Sends a packet again and again through what is made of so many operators. */
function through(count: number, isPipeline: boolean): () => number {
  const operators = Array.from({ length: count }, passing);
  const in$ = new Subject<Frame>();
  const named = operators.map((operator, i) => [`${i}`, operator] as const);
  const out$: Observable<Frame> = isPipeline
    ? in$.pipe(pipeline<Frame>(named, env))
    : operators.reduce<Observable<Frame>>((source, operator) => operator(source), in$);
  out$.subscribe();
  const frame = env.pool.alloc(60);
  frame.put(60);
  const packets = Math.ceil(TURNS / count);
  return () =>
    best(packets, () => {
      for (let i = 0; i < packets; i++) in$.next(frame);
    });
}

function judged(expression: string): () => number {
  const filter = new PcapFilter(expression);
  const notation = new PacketNotation();
  const frames = PACKETS.map((line) => notation.build(line));
  let matched = 0;
  return () =>
    best(TURNS, () => {
      for (let i = 0; i < TURNS; i++) {
        const frame = frames[i % frames.length];
        if (frame !== undefined && filter.matches(frame.slab.view, frame.start, frame.end, 'ethernet')) matched++;
      }
      if (matched < 0) throw new Error('nothing was judged');
    });
}

/** Measures everything, `rounds` times, interleaved. */
export function pipelineBenchmark(rounds: number): Row[] {
  const stages = COUNTS.flatMap((count) => [
    { name: `${count} under pipe`, measure: through(count, false), values: [] as number[] },
    { name: `${count} in a pipeline`, measure: through(count, true), values: [] as number[] },
  ]);
  const filters = EXPRESSIONS.map(([name, expression]) => ({
    name,
    measure: judged(expression),
    values: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { measure, values } of [...stages, ...filters]) values.push(measure());
  }
  const rows = stages.map(({ name, values }, i) => {
    const reference = i % 2 === 0 ? undefined : stages[i - 1];
    const compared = reference === undefined ? undefined : row(STAGES, reference.name, 'ns', reference.values);
    return row(STAGES, name, 'ns', values, compared);
  });
  return [...rows, ...filters.map(({ name, values }) => row(FILTERS, name, 'ns', values))];
}
