/** A link as profiles have it: who we are there, who is at the other end, and whether anything was heard of it lately. */

import type { Device } from '../../core/device.js';
import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import type { Timer } from '../../core/timers.js';
import { MAX_HEADER } from '../frame.js';
import { NODE_CENTRAL, NODE_EDGE, NODE_LAST, netAddress } from '../net-address.js';
import { LinkState, type LinkStatus } from '../profile.js';

/** When a link counts as lost. */
export interface Liveness {
  /** Milliseconds without a frame, more than 0. */
  readonly timeout: number;
  /**
   * What it is then: `inactive`, until a frame comes, as suits streams; or `down` for good, as suits datagrams, whose sender may be another one next time.
   * Default `inactive`.
   */
  readonly lost?: 'inactive' | 'down';
}

/** {@link Liveness} of all links, or of each one. */
export type LivenessOption = Liveness | ((link: Device) => Liveness | undefined);

/** Which end of a link we are. */
export type PortRole = 'central' | 'edge';

/** What a profile does about its ports. */
export interface PortOwner {
  /** The port was silent for too long, and has its new state already. */
  lost(port: Port): void;
}

/** A link, and what is known of it. */
export class Port {
  readonly link: Device;
  readonly role: PortRole;
  state: LinkState = LinkState.Inactive;
  /** The link's network, or 0: as it was last known, whatever the state. */
  network = 0;
  /** Our node number there. */
  node: number;
  /** Whether a frame to us has said, since the port was last inactive, which network it is. */
  confirmed = false;
  private readonly env: Env;
  private readonly timer: Timer | undefined;
  private readonly timeout: number;
  private readonly after: LinkState;
  private heardAt = 0;

  /** @throws UsageError `ERR_INVALID_OPTION` for a link of another medium, or one that has no room for a header */
  constructor(link: Device, role: PortRole, env: Env, liveness: LivenessOption | undefined, owner: PortOwner) {
    if (link.medium !== 'ergot' || link.mtu <= MAX_HEADER) {
      throw new UsageError('ERR_INVALID_OPTION', `'${link.name}' carries no frames of ergot`);
    }
    this.link = link;
    this.role = role;
    this.env = env;
    this.node = role === 'central' ? NODE_CENTRAL : NODE_EDGE;
    const rule = typeof liveness === 'function' ? liveness(link) : liveness;
    checkLiveness(rule);
    this.timeout = rule?.timeout ?? Number.POSITIVE_INFINITY;
    this.after = rule?.lost === 'down' ? LinkState.Down : LinkState.Inactive;
    this.timer = rule === undefined ? undefined : env.timers.timer(() => this.fire(owner));
  }

  /** Whether frames to others than the one at the other end can go there. */
  get active(): boolean {
    return this.state === LinkState.Active;
  }

  /** The node at the other end of a link of two. */
  get peer(): number {
    return this.role === 'central' ? NODE_EDGE : NODE_CENTRAL;
  }

  /** Whether somebody else on the link can have this number. */
  mayBeFrom(node: number): boolean {
    return node > 0 && node <= NODE_LAST && node !== this.node;
  }

  /** Our address, with port 0: while there is no network, that which is good on this link alone. */
  get address(): number {
    return netAddress(this.network, this.node, 0);
  }

  get status(): LinkStatus<number> {
    const { link, state } = this;
    const known = state === LinkState.Active || state === LinkState.ActiveLocal;
    return { link, state, address: known ? this.address : undefined };
  }

  /** Whether a frame with so many bytes of body fits, with a header as large as headers may be. */
  fits(body: number): boolean {
    return MAX_HEADER + body <= this.link.mtu;
  }

  /** Notes that a frame came. */
  heard(): void {
    if (this.timer === undefined) return;
    this.heardAt = this.env.timers.now();
    if (!this.timer.armed) this.timer.arm(this.heardAt + this.timeout);
  }

  /** Leaves no timer armed. */
  close(): void {
    this.timer?.cancel();
  }

  /** Frames only note their time: whether it was long enough ago is seen here. */
  private fire(owner: PortOwner): void {
    const deadline = this.heardAt + this.timeout;
    if (this.env.timers.now() < deadline) {
      this.timer?.arm(deadline);
      return;
    }
    this.state = this.after;
    this.confirmed = false;
    owner.lost(this);
  }
}

/** @throws UsageError `ERR_INVALID_OPTION` for a time that is none */
export function checkLiveness(liveness: LivenessOption | undefined): void {
  if (liveness === undefined || typeof liveness === 'function' || liveness.timeout > 0) return;
  throw new UsageError('ERR_INVALID_OPTION', `no time to wait for frames: ${liveness.timeout} ms`);
}
