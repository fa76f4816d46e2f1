/** An ergot node without its links' streams: a profile and a net stack, each given the other, started and stopped together. */

import { DropReason } from '../core/drops.js';
import type { Device } from '../core/device.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { ErgotError } from './error.js';
import type { Message } from './message.js';
import { NetStack, type NetStackOptions } from './net-stack.js';
import type { ProtocolError } from './frame-error.js';
import type { Profile, ProfileNode } from './profile.js';

/** What a node needs of whoever has its links. */
export interface MachineLinks {
  /** Sends a frame by a link that is attached. Takes over its reference. */
  transmit(link: Device, frame: Frame): void;
  /** The profile's `links` are no more what they were. */
  changed(): void;
}

/** Profiles that serve a node, or served one: what they know is of that node. */
const taken = new WeakSet<object>();

/** A node. */
export class ErgotMachine<A> implements ProfileNode<A> {
  readonly env: Env;
  readonly stack: NetStack<A>;
  readonly profile: Profile<A>;
  private readonly outside: MachineLinks;
  private readonly attached = new Set<Device>();
  private telling = false;
  private open = true;

  /** @throws UsageError `ERR_INVALID_OPTION`; for a profile that another node has, or had, `ERR_INVALID_STATE` */
  constructor(profile: Profile<A>, outside: MachineLinks, options: NetStackOptions, env: Env) {
    this.env = env;
    this.profile = profile;
    this.outside = outside;
    this.stack = new NetStack(profile, options, env);
    if (taken.has(profile)) throw new UsageError('ERR_INVALID_STATE', 'a profile serves one node: make another one');
    taken.add(profile);
    profile.start(this);
  }

  deliver(message: Message<A>, frame: Frame): ProtocolError | undefined {
    return this.stack.deliver(message, frame);
  }

  transmit(link: Device, frame: Frame): void {
    if (this.attached.has(link)) this.outside.transmit(link, frame);
    else this.env.drops.refuse(DropReason.DeviceDown, frame, 'ergot');
  }

  /** Is told on once no handler runs. */
  changed(): void {
    if (this.telling || !this.open) return;
    this.telling = true;
    this.stack.call(this);
  }

  /** For {@link ErgotMachine.changed}. */
  run(): void {
    this.telling = false;
    this.outside.changed();
  }

  /**
   * Takes a link.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for one that the profile cannot use; ErgotError `ERR_ERGOT_CLOSED`
   */
  attach(link: Device): void {
    if (!this.open) throw new ErgotError('ERR_ERGOT_CLOSED', 'the node has ended');
    if (this.attached.has(link)) throw new UsageError('ERR_INVALID_OPTION', `'${link.name}' is attached`);
    this.attached.add(link);
    this.stack.begin();
    try {
      this.profile.attach(link);
    } catch (error) {
      this.attached.delete(link);
      throw error;
    } finally {
      this.stack.end();
    }
  }

  detach(link: Device): void {
    if (!this.attached.delete(link)) return;
    this.stack.begin();
    try {
      this.profile.detach(link);
    } finally {
      this.stack.end();
    }
  }

  /** Handles a frame that came by a link, and is lent. */
  receive(link: Device | undefined, frame: Frame): void {
    const { stack, env, profile } = this;
    if (link === undefined || !this.attached.has(link))
      return env.drops.report(DropReason.DeviceUnknown, frame, 'ergot');
    stack.begin();
    try {
      profile.receive(link, frame);
    } finally {
      stack.end();
    }
  }

  /** Ends: closes sockets and links. Leaves no timer. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.stack.close();
    for (const link of this.attached) this.detach(link);
    this.profile.stop();
  }
}
