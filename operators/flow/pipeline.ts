import { type MonoTypeOperatorFunction, Observable } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { PacketFilter } from '../filter/pcap-filter.js';
import { defaultEnvironment } from '../time/environment.js';
import type { Packet } from './packet.js';
import { PacketSubscriber } from './packet-subscriber.js';
import { PipelineRun } from './pipeline-run.js';
import { Stage, type StageCounters, type StageSpec } from './pipeline-stage.js';
import { type PacketTrace, Tracing, tracingOf } from './pipeline-trace.js';

/** A pipeline of named stages: an operator, and what can be done to it while packets flow. */
export interface Pipeline<P extends Packet> extends MonoTypeOperatorFunction<P> {
  /** The names of the stages, in their order. */
  readonly names: readonly string[];

  /** Adds a stage at the end. @throws UsageError `ERR_DUPLICATE_STAGE`, `ERR_INVALID_OPTION` */
  add(name: string, operator: MonoTypeOperatorFunction<P>): void;

  /** Adds a stage in front of another. @throws UsageError `ERR_UNKNOWN_STAGE`, `ERR_DUPLICATE_STAGE`, `ERR_INVALID_OPTION` */
  insertBefore(other: string, name: string, operator: MonoTypeOperatorFunction<P>): void;

  /** Adds a stage behind another. @throws UsageError `ERR_UNKNOWN_STAGE`, `ERR_DUPLICATE_STAGE`, `ERR_INVALID_OPTION` */
  insertAfter(other: string, name: string, operator: MonoTypeOperatorFunction<P>): void;

  /**
   * Takes a stage out: no further packet goes into it. Its source completes, and what it still has and lets go by then goes on
   * behind the place where it was; when the operator completes, it is over.
   *
   * @throws UsageError `ERR_UNKNOWN_STAGE`
   */
  remove(name: string): void;

  /** Puts another operator in the place of a stage, which ends as a removed one does; its counters begin anew. @throws UsageError `ERR_UNKNOWN_STAGE` */
  replace(name: string, operator: MonoTypeOperatorFunction<P>): void;

  /** What each stage did so far, by its name; of nested pipelines as `outer/inner`. */
  counters(): Readonly<Record<string, StageCounters>>;

  /**
   * What packets go through, from the subscription on: each stage, what it decided, and how it changed the packet. Never ends. As long as
   * nobody is subscribed it costs nothing. The records are copies, good for ever.
   *
   * @param filter - which packets, as they come in, in the language of `pcapFilter` or by a condition; default all
   * @throws PcapFilterError `ERR_BAD_FILTER`
   */
  trace$(filter?: PacketFilter<P>): Observable<PacketTrace>;
}

/**
 * A chain of named stages, each an operator, that can be changed while packets flow; the network functions of a router, say.
 *
 *     in        --a--b-----c--d--|
 *     firewall    a  b     c  d        b is dropped
 *     nat         a        c  d        removed after c
 *     out       --a--------c--d--|
 *
 * Packets are lent, as received ones are: a stage does not release them. Each packet leaves each stage in one way: passed on; dropped,
 * for a reason; taken (answered, or replaced by another); held, to come out later; and what was dropped is not passed on. A stage that lets a
 * packet vanish without a word makes an error, which is counted. What a stage does to a packet is over before the next stage sees it. All
 * stages that are not touched keep their state. A pipeline is an operator, and so may be a stage.
 *
 * **Drops** `NoVerdict` in the name of the stage, `Disposed` what is under way when the subscriber leaves; what the stages drop.
 * **State and timers** those of the stages, for each subscription their own; the account is common.
 *
 * @example
 * const functions = pipeline<IpPacket>([['firewall', firewall(rules)], ['nat', translator.postrouting]]);
 * packets$.pipe(functions).subscribe(out);
 * functions.insertBefore('nat', 'limit', rateLimit({ rate: 1000 }));
 *
 * @throws UsageError `ERR_DUPLICATE_STAGE`, `ERR_INVALID_OPTION`
 */
export function pipeline<P extends Packet>(
  stages: readonly StageSpec<P>[] = [],
  env: Env = defaultEnvironment(),
): Pipeline<P> {
  const chain = new Chain<P>(env);
  for (const stage of stages) chain.insert(stage, chain.stages.length);
  const operator: MonoTypeOperatorFunction<P> = (source) =>
    new Observable((subscriber) => {
      const run = new PipelineRun(chain.stages, subscriber, chain.tracing, env);
      chain.runs.add(run);
      subscriber.add(() => {
        chain.runs.delete(run);
        run.stop();
      });
      const ends = { error: (error: unknown) => subscriber.error(error), complete: () => run.complete() };
      const inlet = new PacketSubscriber<P>(ends, (packet) => run.enter(packet));
      subscriber.add(inlet);
      source.subscribe(inlet);
    });
  tracingOf.set(operator, chain.tracing);
  chains.set(operator, chain);
  const controls: Omit<Pipeline<P>, 'names'> = {
    add: (name, added) => chain.insert([name, added], chain.stages.length),
    insertBefore: (other, name, added) => chain.insert([name, added], chain.indexOf(other)),
    insertAfter: (other, name, added) => chain.insert([name, added], chain.indexOf(other) + 1),
    remove: (name) => chain.remove(chain.indexOf(name)),
    replace: (name, other) => chain.replace(chain.indexOf(name), other),
    counters: () => Object.fromEntries(chain.counters('')),
    trace$: (filter) => chain.tracing.trace$(filter),
  };
  Object.defineProperty(operator, 'names', { get: () => chain.stages.map(({ name }) => name) });
  return Object.assign(operator, controls) as Pipeline<P>;
}

/** The stages of a pipeline, and the subscriptions in which they run. */
class Chain<P extends Packet> {
  stages: readonly Stage<P>[] = [];
  readonly runs = new Set<PipelineRun<P>>();
  readonly tracing: Tracing<P>;

  constructor(env: Env) {
    this.tracing = new Tracing(env);
  }

  indexOf(name: string): number {
    const index = this.stages.findIndex((stage) => stage.name === name);
    if (index < 0) throw new UsageError('ERR_UNKNOWN_STAGE', `no stage ${JSON.stringify(name)}`);
    return index;
  }

  insert(spec: StageSpec<P>, index: number): void {
    const stage = new Stage(spec);
    if (this.stages.some(({ name }) => name === stage.name)) {
      throw new UsageError('ERR_DUPLICATE_STAGE', `there is a stage ${JSON.stringify(stage.name)} already`);
    }
    this.put(stage, index);
  }

  remove(index: number): void {
    const stage = this.stages[index];
    if (stage === undefined) return;
    this.stages = this.stages.toSpliced(index, 1);
    for (const run of this.runs) run.remove(stage);
  }

  replace(index: number, operator: MonoTypeOperatorFunction<P>): void {
    const old = this.stages[index];
    if (old === undefined) return;
    // In front of the old one, so that what that one still has does not go through both.
    this.put(new Stage([old.name, operator]), index);
    this.remove(index + 1);
  }

  /** The counters by the names of the stages, which stand behind `prefix`. */
  counters(prefix: string): (readonly [string, StageCounters])[] {
    return this.stages.flatMap((stage) => [
      [prefix + stage.name, stage.counters()] as const,
      ...(chains.get(stage.operator)?.counters(`${prefix}${stage.name}/`) ?? []),
    ]);
  }

  private put(stage: Stage<P>, index: number): void {
    const after = this.stages[index - 1];
    this.stages = this.stages.toSpliced(index, 0, stage);
    for (const run of this.runs) run.insert(stage, after);
  }
}

/** The chains of operators that are pipelines. */
const chains = new WeakMap<object, Pick<Chain<never>, 'counters'>>();
