/** What it costs to judge a packet by 10 rules, and by a million: the whole `firewall`, beside rules that are gone through one after the other. */

import { Subject } from 'rxjs';
import { Ipv4Address } from '../lib/core/address.js';
import { asRx, type RxFrame } from '../lib/core/frame.js';
import { SeededRandom } from '../lib/core/random.js';
import { accept, dport, drop, from, ruleSet, sport, tcp, to, udp } from '../lib/filter/build.js';
import { compileRules } from '../lib/filter/compile.js';
import type { Rule } from '../lib/filter/model.js';
import type { Program } from '../lib/filter/program.js';
import { pseudoHeaderSum, pushIpHeader } from '../lib/l3/ip-output.js';
import { type IpFlow, IpProtocol } from '../lib/wire/ip.js';
import { UDP_HEADER, UdpDatagram } from '../lib/wire/udp.js';
import { firewall } from '../operators/filter/firewall.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { type Row, row } from './report.js';

const SECTION = 'Judging a packet by rules';
const BUILDING = 'Compiling rules';
const SIZES = [10, 100, 1_000, 10_000] as const;
const BATCH = 1_000;
const PAYLOAD = 64;
const DURATION = 60_000_000n;
const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });

/** A packet that a rule is about. */
interface Target {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** The last kind is measured at this size, too. */
const MOST = 1_000_000;

/** A kind of rule sets: rule number `i`, and what it is about. */
interface Kind {
  readonly name: string;
  readonly rule: (i: number, target: Target) => Rule;
}

const addressOf = (value: number): Ipv4Address => new Ipv4Address(value);
const verdict = (i: number): typeof accept => (i % 3 === 0 ? drop : accept);

const KINDS: readonly Kind[] = [
  {
    name: 'networks on both sides, and ranges of ports',
    rule(i, { source, destination, destinationPort }) {
      const parts = [
        from(`${addressOf(source).toString()}/${16 + (i % 17)}`),
        to(`${addressOf(destination).toString()}/${20 + (i % 13)}`),
        dport([destinationPort, Math.min(0xffff, destinationPort + (i % 50))]),
      ];
      return verdict(i)(udp, ...parts.slice(0, 1 + (i % 3)));
    },
  },
  {
    name: 'ports alone',
    rule: (i, { sourcePort, destinationPort }) => verdict(i)(udp, sport(sourcePort), dport(destinationPort)),
  },
  {
    name: 'one service of one host each',
    rule: (i, { destination, destinationPort }) =>
      verdict(i)(i % 2 === 0 ? tcp : udp, to(addressOf(destination)), dport(destinationPort)),
  },
];

function targetsOf(count: number, random: SeededRandom): Target[] {
  return Array.from({ length: count }, () => ({
    source: 0x0a00_0000 + random.below(1 << 24),
    destination: 0xac10_0000 + random.below(1 << 20),
    sourcePort: random.below(0x1_0000),
    destinationPort: random.below(0x1_0000),
  }));
}

/** Packets in turn: every second one is about a rule, the others about none. */
function framesOf(targets: readonly Target[], random: SeededRandom): RxFrame[] {
  const strangers = targetsOf(BATCH, random);
  return Array.from({ length: BATCH }, (_, i) => {
    const known = targets[random.below(targets.length)];
    return frameOf(
      (i % 2 === 0 ? known : strangers[i]) ?? { source: 0, destination: 0, sourcePort: 0, destinationPort: 0 },
    );
  });
}

function frameOf({ source, destination, sourcePort, destinationPort }: Target): RxFrame {
  const frame = env.pool.alloc(PAYLOAD);
  frame.put(PAYLOAD);
  const ends = { source: addressOf(source), destination: addressOf(destination) };
  const flow = { version: 4, ...ends, protocol: IpProtocol.Udp, hopLimit: 64, trafficClass: 0, dontFragment: true };
  UdpDatagram.emit(frame, sourcePort, destinationPort, pseudoHeaderSum(flow as IpFlow, PAYLOAD + UDP_HEADER));
  pushIpHeader(frame, flow as IpFlow, 0);
  return asRx(frame);
}

/** Nanoseconds per packet: the best of some runs. */
function time(frames: readonly RxFrame[], work: (frame: RxFrame) => void): number {
  const until = process.hrtime.bigint() + DURATION;
  let best = Number.POSITIVE_INFINITY;
  do {
    const begun = process.hrtime.bigint();
    for (let i = 0; i < frames.length; i++) {
      const frame = frames[i];
      if (frame !== undefined) {
        frame.fate = 0;
        work(frame);
      }
    }
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / frames.length);
  } while (process.hrtime.bigint() < until);
  return best;
}

/** The whole operator. */
function operator(rules: readonly Rule[]): (frame: RxFrame) => void {
  const packets$ = new Subject<RxFrame>();
  packets$.pipe(firewall(ruleSet({ rules, policy: 'drop' }), {}, env)).subscribe();
  return (frame) => packets$.next(frame);
}

/** The same rules, one after the other. */
function inTurn(rules: readonly Rule[]): (frame: RxFrame) => void {
  const program: Program = compileRules(ruleSet({ rules }), {
    random: env.random,
    context: { now: () => 0, wallTime: () => 0, log: () => undefined },
  });
  return (frame) => {
    program.read(frame, frame.network);
    for (let rule = 0; rule < rules.length; rule++) if (program.matches(rule)) return;
  };
}

interface Measured {
  readonly name: string;
  readonly values: number[];
}

/** Measures everything, `rounds` times, interleaved. */
export function filterBenchmark(rounds: number): Row[] {
  const rows: Row[] = [];
  for (const kind of KINDS) {
    const sizes = kind === KINDS.at(-1) ? [...SIZES, MOST] : SIZES;
    const random = new SeededRandom(7);
    const targets = targetsOf(sizes.at(-1) ?? 0, random);
    const all = targets.map((target, i) => kind.rule(i, target));
    const works = sizes.map((size) => ({
      size,
      frames: framesOf(targets.slice(0, size), random),
      ...workOf(all, size),
    }));
    for (let round = 0; round < rounds; round++) {
      for (const { frames, judge, naive, judged, inTurn } of works) {
        judged.values.push(time(frames, judge));
        if (naive !== undefined) inTurn.values.push(time(frames, naive));
      }
    }
    let ten: Row | undefined;
    for (const { size, judged, inTurn, built } of works) {
      const title = `${size.toLocaleString('en')} rules, ${kind.name}`;
      const made = row(
        SECTION,
        title,
        'ns',
        judged.values,
        ten === undefined ? undefined : { ...ten, name: '10 rules' },
      );
      ten ??= made;
      rows.push(made);
      if (inTurn.values.length > 0) rows.push(row(SECTION, `${title}, one after the other`, 'ns', inTurn.values, ten));
      rows.push(row(BUILDING, title, 'ms', [built]));
    }
  }
  return rows;
}

function workOf(all: readonly Rule[], size: number) {
  const rules = all.slice(0, size);
  const begun = process.hrtime.bigint();
  const judge = operator(rules);
  const built = Number(process.hrtime.bigint() - begun) / 1e6;
  const measured = (name: string): Measured => ({ name, values: [] });
  const naive = size < MOST ? inTurn(rules) : undefined;
  return { judge, naive, built, judged: measured('judged'), inTurn: measured('inTurn') };
}
