/** The part of a router's routing table that leads to its siblings, and by them to the parent. */

import { scopeSize } from '../address-text.js';
import type { RoutingTable } from '../routing.js';
import type { Hop } from '../routing-ranges.js';
import { MAX_SIBLINGS } from './sibling-mesh.js';

/** Ways to siblings, put into a routing table as they come and go. */
export class SiblingRoutes {
  private readonly table: RoutingTable;
  private readonly bits: number;
  /** The links by which there is a way to each sibling, and up. */
  private readonly known: Set<number>[] = Array.from({ length: MAX_SIBLINGS }, () => new Set<number>());
  private readonly upward = new Set<number>();

  /** @param bits each sibling has 2^`bits` addresses */
  constructor(table: RoutingTable, bits: number) {
    this.table = table;
    this.bits = bits;
  }

  /** The ways to sibling `id` are these, and no others. */
  set(id: number, ways: readonly Hop[]): void {
    const first = id * scopeSize(this.bits);
    const known = this.known[id] ?? new Set();
    for (const link of known) {
      if (ways.some((way) => way.link === link)) continue;
      this.table.remove(first, link);
      known.delete(link);
    }
    for (const { link, metric } of ways) if (this.table.add(first, this.bits, link, metric)) known.add(link);
  }

  /** These ways lead up, and no others. */
  setUpward(ways: readonly Hop[]): void {
    for (const link of this.upward) {
      if (ways.some((way) => way.link === link)) continue;
      this.table.removeUpward(link);
      this.upward.delete(link);
    }
    for (const { link, metric } of ways) if (this.table.addUpward(link, metric)) this.upward.add(link);
  }

  /** A link was taken out of the table. */
  forget(link: number): void {
    for (const known of this.known) known.delete(link);
    this.upward.delete(link);
  }
}
