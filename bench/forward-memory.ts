/** What it costs to take a packet one hop further, from memory to memory: the whole of `router`, without devices and system calls, and what is put in the way. */

import { conntrack } from '../operators/filter/conntrack.js';
import { firewall } from '../operators/filter/firewall.js';
import { layer } from '../operators/flow/layer.js';
import { pipeline } from '../operators/flow/pipeline.js';
import { nat } from '../operators/l3/nat.js';
import type { RoutedPacket, RouterHooks } from '../operators/stack/router.js';
import { hundredRules } from './forward-plan.js';
import { forwarding, type ForwardingOptions, type HookPlace } from './micro/forwarding.js';
import { BATCH } from './micro/pipeline.js';
import { type Row, row } from './report.js';

const SECTION = 'Forwarding, from memory to memory: a packet';
const DURATION = 60_000_000n;
const WARM_UPS = 300;
const SMALL = 50;
const LARGE = 1486;
const MANY = 1000;

const pass = layer<RoutedPacket, RoutedPacket>(() => (packet) => packet);

/** So many stages that only pass packets on, at the hook of those that go further. */
const stages =
  (count: number) =>
  ({ env }: HookPlace): RouterHooks => ({
    forward: pipeline<RoutedPacket>(
      Array.from({ length: count }, (_, i) => [`stage ${i}`, pass] as const),
      env,
    ),
  });

/** Flows tracked, and sources translated to the address of the other device, as in netfilter. */
export function masquerading({ env, tables }: HookPlace): RouterHooks {
  const tracking = conntrack({}, env);
  const rules = ([4, 6] as const).map((version) => ({ kind: 'masquerade' as const, out: 'right', version }));
  const translator = nat(rules, { conntrack: tracking, tables }, env);
  return {
    prerouting: [tracking, translator.prerouting],
    postrouting: [translator.postrouting, tracking.confirm],
  };
}

/** A firewall of rules that no packet fulfils. */
export const walled = ({ env }: HookPlace): RouterHooks => ({ forward: firewall(hundredRules(), {}, env) });

type Case = readonly [name: string, options: ForwardingOptions, reference?: string];

/** The first of each version is what the others are compared with. */
function casesOf(version: 4 | 6): readonly Case[] {
  const name = `IPv${version}`;
  const base = { version, flows: 1, length: SMALL };
  return [
    [name, base],
    [`${name}, 1,486 bytes`, { ...base, length: LARGE }, name],
    [`${name}, to 1,000 destinations`, { ...base, flows: MANY }, name],
    [`${name}, a pipeline of 1 stage`, { ...base, hooks: stages(1) }, name],
    [`${name}, a pipeline of 10 stages`, { ...base, hooks: stages(10) }, name],
    [`${name}, 100 rules`, { ...base, hooks: walled }, name],
    [`${name}, conntrack and masquerade, 1 flow`, { ...base, hooks: masquerading }, name],
    [`${name}, conntrack and masquerade, 1,000 flows`, { ...base, flows: MANY, hooks: masquerading }, name],
  ];
}

/** Nanoseconds per packet: the best of some runs. */
function time(work: () => void): number {
  const until = process.hrtime.bigint() + DURATION;
  let best = Number.POSITIVE_INFINITY;
  do {
    const begun = process.hrtime.bigint();
    work();
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / BATCH);
  } while (process.hrtime.bigint() < until);
  return best;
}

/** Measures everything, `rounds` times, interleaved. */
export function forwardMemory(rounds: number): Row[] {
  const works = ([4, 6] as const)
    .flatMap(casesOf)
    .map(([name, options, reference]) => ({ name, reference, work: forwarding(options), values: [] as number[] }));
  for (const { work } of works) for (let i = 0; i < WARM_UPS; i++) work();
  for (let round = 0; round < rounds; round++) for (const { work, values } of works) values.push(time(work));
  const rows = new Map<string, Row>();
  for (const { name, reference = '', values } of works)
    rows.set(name, row(SECTION, name, 'ns', values, rows.get(reference)));
  return [...rows.values()];
}
