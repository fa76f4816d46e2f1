/**
 * What a device with phone-number addresses does beside forwarding: it gives its children addresses, has its own of its parents, keeps account of who
 * subscribed to what, and passes on where it lies.
 */

import type { Device } from '../../core/device.js';
import { UsageError } from '../../core/errors.js';
import type { PhoneAddress } from '../address.js';
import { AllocError, AddressPool, MAX_ALLOCS } from '../allocator-pool.js';
import { AddressAllocator, type GrownRange } from '../allocator.js';
import { ErgotError } from '../error.js';
import type { OpenSocket } from '../net-stack-api.js';
import type { ProfileNode } from '../profile.js';
import type { RoutingTable } from '../routing.js';
import { Grants, type Serve } from './grants.js';
import { Groups, OWN_MEMBER, type SubscribeAnswer } from './groups.js';
import { PhoneCast } from './header.js';
import type { PhoneBlock, PhoneLink } from './link.js';
import { publishPrefix, type ScopedAddress } from './messages.js';
import { inBlock, type PhoneSettings } from './options.js';
import { asAsked } from './pieces.js';
import { levelOf, levelsOf, locate } from './prefix.js';
import { atLink, linkOf } from './target.js';
import { Tenancy } from './tenancy.js';
import type { PhoneUplink } from './uplink.js';

/** The device as its control sees it. */
export interface ControlHost {
  readonly node: ProfileNode<PhoneAddress>;
  readonly settings: PhoneSettings;
  readonly table: RoutingTable;
  readonly pool: AddressPool;
  /** The highest number of a socket of its own. */
  readonly lastPort: number;
  links(): Iterable<PhoneLink>;
  linkOf(device: Device): PhoneLink | undefined;
  /** Where the device lies by a parent is another place, or none. */
  placed(link: PhoneLink, uplink: PhoneUplink | undefined): void;
}

/** The device's conversations with its neighbours. */
export class PhoneControl {
  readonly allocator: AddressAllocator;
  private readonly host: ControlHost;
  private readonly grants: Grants;
  private readonly groups: Groups;
  private readonly tenancies = new Map<PhoneLink, Tenancy>();
  private readonly nonce: number;
  /** What has, or needs, a place with the parent. */
  private readonly pieces: PhoneBlock[];
  /** What the scope has beside them, to grow into. */
  private readonly territory: AddressPool = new AddressPool();
  private serving = false;
  /** Where siblings say that this device lies. */
  private told: readonly PhoneUplink[] = [];

  constructor(host: ControlHost) {
    const { node, settings, table } = host;
    this.host = host;
    this.nonce = node.env.random.uint32();
    this.pieces = [...settings.ask];
    this.territory.add(0, settings.bits);
    // The largest first: what lies within another is reserved with it.
    const used = [...settings.ask, ...settings.pool].sort((one, other) => other.len - one.len);
    for (const { first, len } of used) this.territory.reserve(first, len);
    const { growBy } = settings;
    const grow = (len: number, answer: (result: GrownRange | AllocError) => void): void => this.grow(len, answer);
    this.allocator = new AddressAllocator(host.pool, this.territory.free > 0 ? { growBy, grow } : {});
    const childOf = (source: PhoneAddress): PhoneLink | undefined => this.childOf(source);
    this.grants = new Grants({
      timers: node.env.timers,
      table,
      allocator: this.allocator,
      childOf,
      linkOf: (device) => host.linkOf(device),
      granted: () => this.moved(),
      refreshed: (link) => this.tell(link),
    });
    this.groups = new Groups({
      timers: node.env.timers,
      table,
      stack: node.stack,
      isMulticast: (value) => settings.groups.some((group) => inBlock(group, value)) || this.grants.isMulticast(value),
      askerOf: (source) => this.askerOf(source),
      parent: () => this.upward(),
    });
    node.stack.subscribe(publishPrefix, ({ source, value }) => {
      const link = this.linkAt(source);
      if (link?.kind !== 'parent') return;
      link.prefix = value;
      this.moved();
    });
  }

  /** A link is there; where it is none to a parent, after {@link PhoneControl.serve}. */
  attached(link: PhoneLink): void {
    const { node, settings } = this.host;
    const { kind, options } = link;
    if (kind === 'parent') {
      if (options.blocks !== undefined) return;
      const { nonce, pieces } = this;
      const placed = (at: PhoneLink, uplink: PhoneUplink | undefined): void => this.placed(at, uplink);
      const tenancy = new Tenancy(
        { env: node.env, stack: node.stack, bits: settings.bits, pieces, nonce, placed },
        link,
      );
      this.tenancies.set(link, tenancy);
      return;
    }
    this.grants.attached(link);
    this.tell(link);
    this.rerouted();
  }

  /** A link is gone, and so are its routes. */
  detached(link: PhoneLink): void {
    this.tenancies.get(link)?.stop();
    this.tenancies.delete(link);
    this.groups.forget(link);
    if (link.kind === 'parent') this.moved();
  }

  /** Whether a child has addresses of this device. */
  leadsTo(link: PhoneLink): boolean {
    return (link.options.blocks ?? []).length > 0 || this.grants.leadTo(link);
  }

  subscribe(address: ScopedAddress, answer: (answer: SubscribeAnswer) => void): void {
    this.groups.subscribe(address, OWN_MEMBER, answer);
  }

  unsubscribe(address: ScopedAddress): void {
    this.groups.unsubscribe(address, OWN_MEMBER);
  }

  /** What the number `local` of the device's scope is in the scope of `bits`. */
  locate(local: number, bits: number): PhoneAddress | undefined {
    return locate(local, this.host.settings.bits, bits, this.levels());
  }

  /** A link to a parent works with another place than before. */
  placed(link: PhoneLink, uplink: PhoneUplink | undefined): void {
    this.host.placed(link, uplink);
    this.groups.follow(link);
    this.moved();
  }

  /** Another link may lead up than before. */
  rerouted(): void {
    this.groups.follow();
  }

  /** Where this device lies, from its parent's scope on; as siblings say, if it has no parent of its own. */
  levels(): readonly PhoneUplink[] {
    const parent = this.parent();
    if (parent?.uplink === undefined) return this.told;
    return [parent.uplink, ...(parent.prefix === undefined ? [] : levelsOf(parent.prefix, parent.uplink.bits))];
  }

  /** A sibling, by which it goes up, says where this device lies, or that it does not know. */
  heard(levels: readonly PhoneUplink[]): void {
    this.told = levels;
    const upward = this.upward();
    this.groups.follow(upward?.kind === 'sibling' ? upward : undefined);
    this.moved();
  }

  stop(): void {
    for (const tenancy of this.tenancies.values()) tenancy.stop();
    this.tenancies.clear();
    this.groups.stop();
    this.grants.stop();
    this.allocator.close();
  }

  private linkAt(source: PhoneAddress): PhoneLink | undefined {
    const device = linkOf(source);
    return device === undefined ? undefined : this.host.linkOf(device);
  }

  private childOf(source: PhoneAddress): PhoneLink | undefined {
    const link = this.linkAt(source);
    return link?.kind === 'child' ? link : undefined;
  }

  /** Who may subscribe: a child, or a sibling by whose other end it goes up here. */
  private askerOf(source: PhoneAddress): PhoneLink | undefined {
    const link = this.linkAt(source);
    return link?.kind === 'parent' ? undefined : link;
  }

  /** Where subscriptions of longer scopes go. */
  private upward(): PhoneLink | undefined {
    const { upward } = this.host.table;
    for (const link of this.host.links()) if (link.number === upward && link.working) return link;
    return undefined;
  }

  private parent(): PhoneLink | undefined {
    for (const link of this.host.links()) if (link.working && link.uplink !== undefined) return link;
    return undefined;
  }

  /**
   * Serves children and siblings from the first on: who has none keeps its sockets for itself.
   *
   * @throws UsageError `ERR_INVALID_OPTION` where there are too few sockets for that, and then none is taken
   */
  serve(): void {
    if (this.serving) return;
    const opened: OpenSocket[] = [];
    let port = this.host.lastPort;
    const serve: Serve = (endpoint, handler, options) => {
      for (; port > 0; port--) {
        try {
          opened.push(this.host.node.stack.serve(endpoint, handler, { ...options, port }));
          return;
        } catch (error) {
          if (!(error instanceof UsageError)) throw error;
        }
      }
      throw new UsageError('ERR_INVALID_OPTION', 'too few addresses of own sockets are left to serve who is at a link');
    };
    try {
      this.grants.serve(serve);
      this.groups.serve(serve);
      this.serving = true;
    } finally {
      if (!this.serving) for (const socket of opened) socket.close();
    }
  }

  private moved(): void {
    for (const link of this.host.links()) if (link.kind === 'child') this.tell(link);
    this.host.node.changed();
  }

  /** Tells a child where it lies. */
  private tell(link: PhoneLink): void {
    try {
      const levels = this.levels().map(levelOf);
      this.host.node.stack.publish(publishPrefix, atLink(link.device, 0, PhoneCast.All), { levels });
    } catch (error) {
      // It is told again when it refreshes its lease.
      if (!(error instanceof ErgotError)) throw error;
    }
  }

  /** Takes 2^`len` numbers more of the scope, with a place for them at every parent that there is. */
  private grow(len: number, answer: (result: GrownRange | AllocError) => void): void {
    const taken = this.territory.allocate([{ len, flags: 0 }]);
    const piece = typeof taken === 'number' ? undefined : taken[0];
    if (piece === undefined) return answer(AllocError.NoSpace);
    const { first } = piece;
    // Who moves asks for all at once.
    if (asAsked([...this.pieces, { first, len }]).length > MAX_ALLOCS) {
      this.territory.release(first);
      return answer(AllocError.NoSpace);
    }
    let waiting = this.tenancies.size;
    let best: undefined | AllocError = AllocError.ParentUnavailable;
    const grown = (result: undefined | AllocError): void => {
      if (result === undefined) best = undefined;
      else if (best !== undefined && result === AllocError.ParentRefused) best = result;
      if (--waiting > 0) return;
      if (best === undefined) this.use({ first, len });
      else this.territory.release(first);
      answer(best ?? { first, len });
    };
    if (waiting === 0) {
      best = undefined;
      return grown(undefined);
    }
    for (const tenancy of this.tenancies.values()) tenancy.extend({ first, len }, grown);
  }

  /** Has one more piece. A parent that came while the others were asked is asked for a place for it, too. */
  private use(piece: PhoneBlock): void {
    this.pieces.push(piece);
    for (const tenancy of this.tenancies.values()) if (!tenancy.has(piece)) tenancy.extend(piece, () => {});
  }
}
