/**
 * Several routing tables, and rules that choose between them: policy routing. Without rules of the user there is one, that the table `main`
 * routes everything. It stands wherever a single table does: routes that are added and removed are those of `main`.
 */

import type { Address, Cidr, IpVersion } from '../core/address.js';
import type { Device } from '../core/device.js';
import { Fib, type RouteChanges } from './fib.js';
import type { Gateway, Route, Routes } from './routes.js';
import { RouteQuery } from './routing-query.js';
import { CheckedRule, type RoutingRule, type TableId } from './routing-rules.js';

/** Tables that have a name and a number, as Linux has it. */
const NUMBERS: Readonly<Record<string, number>> = { main: 254, default: 253 };
const MAIN = 254;
const MAPPED = 0xffff;

/** The rule that there is at first. */
export const MAIN_RULE: RoutingRule = { priority: 32_766, table: MAIN };

/** A rule, and its table if it has one. */
class Step<V extends IpVersion> {
  readonly checked: CheckedRule<V>;
  readonly table: Fib<V> | undefined;

  constructor(checked: CheckedRule<V>, table: Fib<V> | undefined) {
    this.checked = checked;
    this.table = table;
  }
}

/** See the module. */
export class RoutingTables<V extends IpVersion = IpVersion> implements Routes<V> {
  readonly ipVersion: V;
  readonly main: Fib<V>;
  private readonly changes: RouteChanges = { count: 0 };
  private readonly tables = new Map<TableId, Fib<V>>();
  private readonly query = new RouteQuery();
  private steps: readonly Step<V>[] = [];
  /** Whether all packets are routed by `main`. */
  private isPlain = true;

  constructor(version: V) {
    this.ipVersion = version;
    if (version === 4) this.query.source2 = MAPPED;
    this.main = this.table(MAIN);
    this.replaceRules([MAIN_RULE]);
  }

  get version(): number {
    return this.changes.count;
  }

  get size(): number {
    return this.main.size;
  }

  get avoided(): readonly Gateway<V>[] {
    return [...this.tables.values()].flatMap(({ avoided }) => avoided);
  }

  get isByDestination(): boolean {
    if (this.isPlain) return this.main.isByDestination;
    return this.steps.every(({ checked, table }) => checked.isByDestination && table?.isByDestination !== false);
  }

  /** The table of this number or name; made where there is none. `main` is 254, `default` 253. */
  table(id: TableId): Fib<V> {
    const key = NUMBERS[id] ?? id;
    const known = this.tables.get(key);
    if (known !== undefined) return known;
    const table = new Fib<V>(this.ipVersion, this.changes);
    this.tables.set(key, table);
    return table;
  }

  /** Numbers and names of all tables. */
  ids(): TableId[] {
    return [...this.tables.keys()];
  }

  /** The rules, in their order. */
  rules(): readonly RoutingRule[] {
    return this.steps.map(({ checked }) => checked.rule);
  }

  /** @throws UsageError `ERR_INVALID_ADDRESS`, `ERR_INVALID_OPTION` */
  addRule(rule: RoutingRule): void {
    this.replaceRules([...this.rules(), rule]);
  }

  /** Removes the rules that `isMeant` says; returns how many there were. */
  removeRules(isMeant: (rule: RoutingRule) => boolean): number {
    const before = this.steps.length;
    this.replaceRules(this.rules().filter((rule) => !isMeant(rule)));
    return before - this.steps.length;
  }

  /** Replaces all rules at once, the one for `main` included. If one of them is wrong, nothing has changed. @throws as {@link RoutingTables.addRule} */
  replaceRules(rules: readonly RoutingRule[]): void {
    const checked = rules.map((rule) => new CheckedRule<V>(rule, this.ipVersion));
    checked.sort((one, other) => one.rule.priority - other.rule.priority);
    this.steps = checked.map(
      (one) => new Step(one, one.rule.table === undefined ? undefined : this.table(one.rule.table)),
    );
    const [first] = this.steps;
    this.isPlain = this.steps.length === 1 && first?.table === this.main && first.checked.isForAll;
    this.changes.count++;
  }

  /** The route of a packet. Where a rule ends its way, that is a route that leads nowhere. */
  find(query: RouteQuery): Route<V> | undefined {
    const { a, b, c, d, flow } = query;
    if (this.isPlain) return this.main.lookup(a, b, c, d, flow);
    const { steps } = this;
    for (let i = 0; i < steps.length; i++) {
      const step = steps[i];
      if (step === undefined || !step.checked.matches(query)) continue;
      const { table } = step;
      const route = table === undefined ? step.checked.end : table.lookup(a, b, c, d, flow);
      if (route !== undefined && (table === undefined || route.destination.length > step.checked.suppressed))
        return route;
    }
    return undefined;
  }

  /** The route of a packet that is sent from here, and of which nothing else is known yet. */
  lookup(a: number, b: number, c: number, d: number, flow = 0): Route<V> | undefined {
    if (this.isPlain) return this.main.lookup(a, b, c, d, flow);
    const { query } = this;
    query.a = a | 0;
    query.b = b | 0;
    query.c = c | 0;
    query.d = d | 0;
    query.flow = flow;
    return this.find(query);
  }

  add(route: Route<V>): void {
    this.main.add(route);
  }

  remove(isMeant: (route: Route<V>) => boolean): number {
    return this.main.remove(isMeant);
  }

  /** Removes the routes of all tables that lead to a device, which has gone. */
  removeDevice(device: Device): number {
    return [...this.tables.values()].reduce((sum, table) => sum + table.removeDevice(device), 0);
  }

  at(destination: Cidr<V>): readonly Route<V>[] {
    return this.main.at(destination);
  }

  any(): Route<V> | undefined {
    return this.main.any();
  }

  list(): Route<V>[] {
    return this.main.list();
  }

  avoid(device: Device, gateway: Address<V>): boolean {
    const has = [...this.tables.values()].map((table) => table.avoid(device, gateway));
    return has.includes(true);
  }

  goBy(device: Device, gateway: Address<V>): boolean {
    return [...this.tables.values()].some((table) => table.goBy(device, gateway));
  }

  trust(device: Device, gateway: Address<V>): void {
    for (const table of this.tables.values()) table.trust(device, gateway);
  }

  trustAll(): void {
    for (const table of this.tables.values()) table.trustAll();
  }
}
