/** Who has subscribed to which multicast address: for each scope a map by the address as a signed integer, which needs no memory to be asked. */

/** Links by the multicast addresses that they subscribed to. */
export class RouteGroups {
  private readonly scopes: (Map<number, Set<number>> | undefined)[] = [];

  /** Those that have subscribed; `undefined` if there is none. */
  members(value: number, bits: number): Set<number> | undefined {
    return this.scopes[bits]?.get(value | 0);
  }

  /** Adds a link. True if it is the first of the address. */
  add(value: number, bits: number, link: number): boolean {
    const scope = (this.scopes[bits] ??= new Map<number, Set<number>>());
    const members = scope.get(value | 0);
    if (members === undefined) scope.set(value | 0, new Set([link]));
    else members.add(link);
    return members === undefined;
  }

  /** Takes a link out. True if it was the last of the address. */
  delete(value: number, bits: number, link: number): boolean {
    const members = this.members(value, bits);
    if (members === undefined || !members.delete(link) || members.size > 0) return false;
    this.scopes[bits]?.delete(value | 0);
    return true;
  }

  /** Takes a link out everywhere. */
  deleteLink(link: number): void {
    for (const scope of this.scopes) {
      if (scope === undefined) continue;
      for (const [value, members] of scope) if (members.delete(link) && members.size === 0) scope.delete(value);
    }
  }
}
