/**
 * Sibling routers, the "virtual parent" of ergot proposal 0146: one to four routers that together are one parent to their children, and one child
 * to their parent. Router `i` has the addresses that begin with `i` in two bits, each as many as the others:
 *
 *     layer of ^2.4     0.0 - 0.F   1.0 - 1.F   2.0 - 2.F   3.0 - 3.F
 *                       router 0    router 1    router 2    router 3
 *
 * Their cables may make circles; what goes from `1.7^2.4` to `3.4^2.4` goes by routers 1 and 3 if they are joined, and else by who joins them. The
 * lowest living router that has a parent asks it for addresses for the whole layer, and everything that leaves the layer goes by it; if it dies,
 * the next one asks.
 */

import type { Device } from '../../core/device.js';
import { DropReason } from '../../core/drops.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import type { PhoneAddress } from '../address.js';
import { isScope, MAX_ADDRESS_BITS, scopeSize } from '../address-text.js';
import { ErgotError } from '../error.js';
import type { ProtocolError } from '../frame-error.js';
import type { Message } from '../message.js';
import { PhoneCast } from '../phone/header.js';
import { isSamePrefix, type Prefix } from '../phone/messages.js';
import type { PhoneBlock, PhoneLinkOptions } from '../phone/link.js';
import { type PhoneOptions, DEFAULT_SOCKETS } from '../phone/options.js';
import { PhoneProfile } from '../phone/profile.js';
import { atLink, linkOf } from '../phone/target.js';
import { type Addressing, LinkState, type LinkStatus, type Profile, type ProfileNode } from '../profile.js';
import type { LinkKind } from '../routing.js';
import { checkInterval, SIBLING_INTERVAL, SiblingControl } from './sibling-control.js';
import { siblingHello, soundRecords } from './sibling-hello.js';
import { isSibling, MAX_SIBLINGS, SIBLING_BITS, type SiblingRecord } from './sibling-mesh.js';
import { SiblingRoutes } from './sibling-routes.js';

/** Options of {@link siblingProfile}. */
export interface SiblingOptions extends Pick<PhoneOptions, 'packed' | 'groups'> {
  /** Which router of the layer this is, 0..3. */
  readonly id: number;
  /** Each router has 2^n addresses; the layer has four times as many. 1..30. */
  readonly bits: number;
  /** Own sockets have the first 2^n of them. Default 2^7, or all that there are. */
  readonly sockets?: number;
  /** What is at the other end of a link. */
  readonly link: (device: Device) => LinkKind | PhoneLinkOptions;
  /** Milliseconds between two hellos, the same at all siblings; who misses three or four in a row is dead. Default 500. */
  readonly interval?: number;
}

/**
 * One of the routers. Made by {@link siblingProfile}.
 *
 * **State and timers** what it knows of its siblings and has said to them, one timer; those of a device with phone-number addresses.
 */
export class SiblingProfile implements Profile<PhoneAddress> {
  readonly addressing: Addressing<PhoneAddress>;
  /** The device as it would be alone. */
  readonly phone: PhoneProfile;
  readonly id: number;
  private readonly options: SiblingOptions;
  private readonly routes: SiblingRoutes;
  /** Links to parents; the device has the first of them while this router is the chosen one. */
  private readonly parents: Device[] = [];
  private heard: Prefix | undefined = undefined;
  private served: ProfileNode<PhoneAddress> | undefined = undefined;
  private control: SiblingControl<Device> | undefined = undefined;

  constructor(options: SiblingOptions) {
    const { id, bits, packed = false, groups = [] } = options;
    const { sockets = Math.min(DEFAULT_SOCKETS, bits), interval = SIBLING_INTERVAL } = options;
    checkInterval(interval);
    if (!isSibling(id)) throw new UsageError('ERR_INVALID_OPTION', `a sibling is number 0..3, not ${id}`);
    if (!isScope(bits) || bits + SIBLING_BITS > MAX_ADDRESS_BITS) {
      throw new UsageError('ERR_INVALID_OPTION', `each sibling has ^1..^30, not ^${bits}`);
    }
    const part: PhoneBlock = { first: id * scopeSize(bits), len: bits };
    this.id = id;
    this.options = options;
    this.phone = new PhoneProfile({
      bits: bits + SIBLING_BITS,
      sockets: { first: part.first, len: sockets },
      pool: [part],
      ask: [{ first: 0, len: bits + SIBLING_BITS }],
      groups,
      packed,
      link: (device) => this.linkOptions(device),
    });
    this.addressing = this.phone.addressing;
    this.routes = new SiblingRoutes(this.phone.table, bits);
  }

  get links(): readonly LinkStatus<PhoneAddress>[] {
    const { links } = this.phone;
    const held = this.parents.filter((link) => this.phone.numberOf(link) < 0);
    return [...links, ...held.map((link) => ({ link, state: LinkState.Inactive, address: undefined }))];
  }

  /** The router that speaks with the parent, 0..3; `undefined` while there is none. */
  get chosen(): number | undefined {
    return this.control?.chosen;
  }

  /** Where the layer lies in the scope of its parent, once the chosen router knows and said so. */
  get prefix(): Prefix | undefined {
    return this.control?.prefix;
  }

  /** What an address of the layer is in a longer scope; `undefined` if no scope of that length is known above, or it has no address there. */
  locate(address: PhoneAddress, bits: number): PhoneAddress | undefined {
    return this.phone.locate(address, bits);
  }

  /** Wants what is sent to a multicast address; `done` is told once. */
  subscribe(address: PhoneAddress, done?: Parameters<PhoneProfile['subscribe']>[1]): void {
    this.phone.subscribe(address, done);
  }

  /** Wants it no more. */
  unsubscribe(address: PhoneAddress): void {
    this.phone.unsubscribe(address);
  }

  /** Whether another router of the layer can be reached. */
  reaches(id: number): boolean {
    return this.control?.mesh.reaches(id) ?? false;
  }

  start(node: ProfileNode<PhoneAddress>): void {
    const { env, stack } = node;
    this.served = node;
    this.phone.start({
      env,
      stack,
      deliver: (message, frame) => node.deliver(message, frame),
      transmit: (link, frame) => node.transmit(link, frame),
      changed: () => this.changed(),
    });
    const voice = {
      say: (link: Device, records: readonly SiblingRecord[]) => this.say(link, records),
      changed: () => this.update(),
    };
    this.control = new SiblingControl(this.id, this.options.interval ?? SIBLING_INTERVAL, voice, env);
    stack.subscribe(siblingHello, ({ value, source }) => {
      const link = linkOf(source);
      if (link !== undefined) this.control?.hear(link, value.id, soundRecords(value));
    });
  }

  stop(): void {
    this.control?.stop();
    this.control = undefined;
    this.phone.stop();
  }

  attach(link: Device): void {
    const options = this.linkOptions(link);
    const { kind } = options;
    if (this.parents.includes(link)) throw new UsageError('ERR_INVALID_OPTION', `${link.name} is attached already`);
    if (kind === 'parent') {
      // It is given to the device when this router is the chosen one, with nobody there who could be told.
      this.phone.checkLink(options);
      this.parents.push(link);
      this.changed();
      return;
    }
    this.phone.attach(link);
    if (kind === 'sibling') this.control?.add(link);
  }

  detach(link: Device): void {
    const parent = this.parents.indexOf(link);
    if (parent >= 0) this.parents.splice(parent, 1);
    this.routes.forget(this.phone.numberOf(link));
    this.phone.detach(link);
    this.control?.remove(link);
    this.changed();
  }

  receive(link: Device, frame: Frame): void {
    if (this.phone.numberOf(link) >= 0) this.phone.receive(link, frame);
    else this.served?.env.drops.report(DropReason.DeviceDown, frame, 'siblings');
  }

  send(message: Message<PhoneAddress>, frame: Frame): ProtocolError | undefined {
    return this.phone.send(message, frame);
  }

  private linkOptions(device: Device): PhoneLinkOptions {
    const what = this.options.link(device);
    return typeof what === 'string' ? { kind: what } : what;
  }

  private say(link: Device, records: readonly SiblingRecord[]): void {
    try {
      this.served?.stack.publish(siblingHello, atLink(link, 0, PhoneCast.All), { id: this.id, records });
    } catch (error) {
      // Who does not hear us on a link takes it for cut.
      if (!(error instanceof ErgotError)) throw error;
    }
  }

  /** Something at this end is no more what it was. */
  private changed(): void {
    const { control } = this;
    if (control === undefined) return;
    control.set(this.parents.length > 0, this.ownPrefix());
    this.update();
  }

  /** Puts the routes, and the link to the parent, in the order that the layer now has. */
  private update(): void {
    const { control, phone } = this;
    if (control === undefined) return;
    const { mesh, chosen } = control;
    const [up] = chosen === this.id ? this.parents : [];
    for (const link of this.parents) if (link !== up && phone.numberOf(link) >= 0) phone.detach(link);
    if (up !== undefined && phone.numberOf(up) < 0) phone.attach(up);
    const waysTo = (id: number) =>
      mesh.ways(id).map(({ link, distance }) => ({ link: phone.numberOf(link), metric: distance }));
    for (let id = 0; id < MAX_SIBLINGS; id++) if (id !== this.id) this.routes.set(id, waysTo(id));
    this.routes.setUpward(chosen === undefined || chosen === this.id ? [] : waysTo(chosen));
    phone.rerouted();
    this.hearPrefix();
    this.served?.changed();
  }

  /** Lets the device know what the chosen router says. */
  private hearPrefix(): void {
    const { control, phone } = this;
    const heard = control?.chosen === this.id ? undefined : control?.prefix;
    if (isSamePrefix(heard, this.heard)) return;
    this.heard = heard;
    phone.hear(heard ?? { levels: [] });
  }

  private ownPrefix(): Prefix | undefined {
    const [up] = this.parents;
    return up !== undefined && this.phone.uplinkOf(up) !== undefined ? this.phone.prefix : undefined;
  }
}

/**
 * Makes the profile of one of up to four sibling routers.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const link = ({ name }: Device) => (name.startsWith('router') ? 'sibling' : 'child');
 * const router = ergot(siblingProfile({ id: 1, bits: 8, link }));
 */
export function siblingProfile(options: SiblingOptions): SiblingProfile {
  return new SiblingProfile(options);
}
