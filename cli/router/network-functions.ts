/**
 * What packets meet on their way through the router, by the configuration: pipelines of named stages, one at each hook. They can be changed while
 * packets flow, all at once between two packets.
 */

import { type Observable, Subject, type Subscription } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import type { Hook, RuleSet } from '../../lib/filter/model.js';
import { parseRules } from '../../lib/filter/text-parser.js';
import type { NatRule } from '../../lib/l4/nat/rules.js';
import { conntrack, type Conntrack } from '../../operators/filter/conntrack.js';
import { firewall, type Firewall, type FirewallOptions } from '../../operators/filter/firewall.js';
import { type Pipeline, pipeline } from '../../operators/flow/pipeline.js';
import { type Nat, nat } from '../../operators/l3/nat.js';
import type { RoutedPacket, Router } from '../../operators/stack/router-api.js';
import type { NatConfiguration, RouterConfiguration } from './configuration.js';

const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
/** Where new flows begin, and where they have come through. */
const TRACKED: readonly Hook[] = ['prerouting', 'output'];
const CONFIRMED: readonly Hook[] = ['input', 'postrouting'];

/** Something for each hook. */
function ofHooks<T>(make: (hook: Hook) => T): Readonly<Record<Hook, T>> {
  return {
    prerouting: make('prerouting'),
    input: make('input'),
    forward: make('forward'),
    output: make('output'),
    postrouting: make('postrouting'),
  };
}

/** The stages of each hook, in their order, as far as they are there. */
type Stages = Readonly<Record<Hook, readonly (readonly [name: string, operator: Operator])[]>>;
type Operator = (source: Observable<RoutedPacket>) => Observable<RoutedPacket>;

/** The machines of one configuration. */
interface Machines {
  readonly walls: ReadonlyMap<Hook, Firewall>;
  readonly tracker: Conntrack | undefined;
  readonly translator: Nat | undefined;
}

const NOTHING: Machines = { walls: new Map(), tracker: undefined, translator: undefined };

/** See the module. */
export class NetworkFunctions {
  readonly hooks: Readonly<Record<Hook, Pipeline<RoutedPacket>>>;
  /** What they have to send besides. */
  readonly replies$: Observable<TxPacket>;
  private readonly env: Env;
  private readonly replies = new Subject<TxPacket>();
  private readonly sources = new Map<object, Subscription>();
  private readonly placed = ofHooks(() => new Map<string, Operator>());
  private machines: Machines = NOTHING;
  private configuration: RouterConfiguration | undefined = undefined;
  private router: Pick<Router, 'icmpErrors' | 'tables'> | undefined = undefined;

  constructor(env: Env) {
    this.env = env;
    this.replies$ = this.replies.asObservable();
    this.hooks = ofHooks(() => pipeline<RoutedPacket>([], env));
  }

  get tracker(): Conntrack | undefined {
    return this.machines.tracker;
  }

  get translator(): Nat | undefined {
    return this.machines.translator;
  }

  get walls(): ReadonlyMap<Hook, Firewall> {
    return this.machines.walls;
  }

  /** Tells of the router that they are part of. */
  attach(router: Pick<Router, 'icmpErrors' | 'tables'>): void {
    this.router = router;
  }

  /**
   * Puts those of another configuration in place; what is the same in both goes on with its state.
   *
   * @throws UsageError, RuleError what is wrong with it; nothing has then changed
   */
  change(configuration: RouterConfiguration): void {
    const rules = configuration.firewall === undefined ? undefined : parseRules(configuration.firewall);
    const machines = this.make(configuration, rules);
    // From here on nothing fails.
    const wanted = stagesOf(machines);
    for (const hook of HOOKS) fit(this.hooks[hook], wanted[hook], this.placed[hook]);
    for (const [hook, wall] of machines.walls) {
      if (rules !== undefined && this.machines.walls.get(hook) === wall) wall.replace(onlyHook(rules, hook));
    }
    this.listen(machines);
    if (this.machines.tracker !== machines.tracker) this.machines.tracker?.dispose();
    if (this.machines.translator !== machines.translator) this.machines.translator?.clear();
    this.machines = machines;
    this.configuration = configuration;
  }

  dispose(): void {
    for (const subscription of this.sources.values()) subscription.unsubscribe();
    this.machines.tracker?.dispose();
    this.machines.translator?.clear();
  }

  private make(configuration: RouterConfiguration, rules: RuleSet | undefined): Machines {
    const { env, router } = this;
    const before = this.configuration;
    const tracker = isTracking(configuration, rules)
      ? this.machines.tracker !== undefined && isSame(before?.conntrack, configuration.conntrack)
        ? this.machines.tracker
        : conntrack(configuration.conntrack ?? {}, env)
      : undefined;
    const walls = new Map<Hook, Firewall>();
    for (const hook of HOOKS) {
      if (rules === undefined || !rules.chains.some(({ base }) => base?.hook === hook)) continue;
      const options: FirewallOptions = { hook, ...(router === undefined ? {} : { errors: router.icmpErrors }) };
      // Also where there is one: whether it can be done is to be known before anything changes.
      const made = firewall(onlyHook(rules, hook), options, env);
      walls.set(hook, this.machines.walls.get(hook) ?? made);
    }
    return { walls, tracker, translator: this.translatorOf(configuration.nat, before?.nat) };
  }

  private translatorOf(wanted: NatConfiguration | undefined, before: NatConfiguration | undefined): Nat | undefined {
    if (wanted === undefined) return undefined;
    if (this.machines.translator !== undefined && isSame(before, wanted)) return this.machines.translator;
    const { capacity, perHost } = wanted;
    const limits = { ...(capacity !== undefined && { capacity }), ...(perHost !== undefined && { perHost }) };
    return nat(natRules(wanted), { tables: () => this.router?.tables, ...limits }, this.env);
  }

  private listen({ walls, translator }: Machines): void {
    const speakers = [...walls.values(), ...(translator === undefined ? [] : [translator])];
    for (const [speaker, subscription] of this.sources) {
      if (speakers.some((one) => one === speaker)) continue;
      subscription.unsubscribe();
      this.sources.delete(speaker);
    }
    for (const speaker of speakers) {
      if (this.sources.has(speaker)) continue;
      this.sources.set(
        speaker,
        speaker.replies$.subscribe((packet) => this.reply(packet)),
      );
    }
  }

  private reply(packet: TxPacket): void {
    if (this.replies.observed) this.replies.next(packet);
    else packet.release();
  }
}

/** The stages of each hook: the translator is next to the wire, so that all others see internal addresses. */
function stagesOf({ walls, tracker, translator }: Machines): Stages {
  const stages = (hook: Hook): (readonly [string, Operator])[] => {
    const wall = walls.get(hook);
    return [
      ...(hook === 'prerouting' && translator !== undefined ? [['nat', translator.prerouting] as const] : []),
      ...(TRACKED.includes(hook) && tracker !== undefined ? [['conntrack', tracker] as const] : []),
      ...(wall === undefined ? [] : [['firewall', wall] as const]),
      ...(CONFIRMED.includes(hook) && tracker !== undefined ? [['confirm', tracker.confirm] as const] : []),
      ...(hook === 'postrouting' && translator !== undefined ? [['nat', translator.postrouting] as const] : []),
    ];
  };
  return ofHooks(stages);
}

/** Makes a pipeline have these stages; those that it has stay. `has` says which operator each has. */
function fit(line: Pipeline<RoutedPacket>, wanted: Stages[Hook], has: Map<string, Operator>): void {
  for (const name of line.names) {
    if (wanted.some(([one]) => one === name)) continue;
    line.remove(name);
    has.delete(name);
  }
  for (const [index, [name, operator]] of wanted.entries()) {
    const next = line.names[index];
    if (!has.has(name)) {
      if (next === undefined) line.add(name, operator);
      else line.insertBefore(next, name, operator);
    } else if (has.get(name) !== operator) {
      line.replace(name, operator);
    }
    has.set(name, operator);
  }
}

/** The rules of one hook. */
function onlyHook({ sets, chains }: RuleSet, hook: Hook): RuleSet {
  return { sets, chains: chains.filter(({ base }) => base === undefined || base.hook === hook) };
}

/** Whether anybody wants to know of flows. */
function isTracking({ conntrack: wanted }: RouterConfiguration, rules: RuleSet | undefined): boolean {
  if (wanted !== undefined) return true;
  const parts = rules?.chains.flatMap(({ rules: all }) => all.flatMap(({ parts: one }) => one)) ?? [];
  return parts.some(({ kind }) => kind === 'state' || kind === 'direction');
}

/** The rules of a translator, in the order of what is most special. */
export function natRules({
  masquerade = [],
  source = [],
  forward = [],
  static: fixed = [],
}: NatConfiguration): NatRule[] {
  return [
    ...fixed.map((rule) => ({ kind: 'static' as const, ...rule })),
    ...forward.map((rule) => ({ kind: 'forward' as const, ...rule })),
    ...source.map((rule) => ({ kind: 'source' as const, ...rule })),
    ...masquerade.map((rule) => ({ kind: 'masquerade' as const, ...rule })),
  ];
}

/** Whether two parts of configurations say the same. */
export function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
