/**
 * The profile of a device with phone-number addresses (ergot proposals 0145 and 0146): its scope, its own sockets, its links to a parent, to children and to
 * siblings; what it gives out and where that leads as one piece.
 */

import type { Device } from '../../core/device.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import { PhoneAddress } from '../address.js';
import { isScope } from '../address-text.js';
import { AddressPool } from '../allocator-pool.js';
import { ProtocolError } from '../frame-error.js';
import type { Message } from '../message.js';
import { LinkState, type LinkStatus, type Profile, type ProfileNode } from '../profile.js';
import { RoutingTable } from '../routing.js';
import { PhoneAddressing } from './addressing.js';
import { PhoneControl } from './control.js';
import { PhoneForwarder } from './forwarder.js';
import type { SubscribeAnswer } from './groups.js';
import { type PhoneBlock, PhoneLink, type PhoneLinkOptions } from './link.js';
import { hasOverlap, isWithin, type PhoneOptions, type PhoneSettings, phoneSettings } from './options.js';
import { err, type Prefix } from './messages.js';
import { levelOf, levelsOf } from './prefix.js';
import { PhoneUplink } from './uplink.js';

/** A device's addresses and links. Made by {@link phoneProfile}. */
export class PhoneProfile implements Profile<PhoneAddress> {
  readonly addressing: PhoneAddressing;
  /** The routes of the device's scope. */
  readonly table: RoutingTable;
  /** What can be given out. */
  readonly pool: AddressPool;
  private readonly settings: PhoneSettings;
  private readonly byDevice = new Map<Device, PhoneLink>();
  private readonly byNumber: (PhoneLink | undefined)[] = [];
  private served: ProfileNode<PhoneAddress> | undefined = undefined;
  private forwarder: PhoneForwarder | undefined = undefined;
  private control: PhoneControl | undefined = undefined;

  constructor(options: PhoneOptions) {
    const settings = phoneSettings(options);
    this.settings = settings;
    this.table = new RoutingTable(settings.bits);
    this.pool = new AddressPool({ packed: settings.packed });
    for (const { first, len } of settings.pool) this.pool.add(first, len);
    for (const { first, len } of [settings.sockets, ...settings.groups]) this.pool.reserve(first, len);
    const linkNamed = (name: string) => [...this.byDevice.keys()].find((device) => device.name === name);
    this.addressing = new PhoneAddressing(settings.bits, settings.sockets, linkNamed);
  }

  /** The device's scope. */
  get bits(): number {
    return this.settings.bits;
  }

  get links(): readonly LinkStatus<PhoneAddress>[] {
    return Array.from(this.byDevice.values(), (link) => this.status(link));
  }

  start(node: ProfileNode<PhoneAddress>): void {
    this.served = node;
    const { table, addressing, byNumber, settings, pool } = this;
    const linkOf = (device: Device): PhoneLink | undefined => this.byDevice.get(device);
    this.forwarder = new PhoneForwarder({ node, table, addressing, links: byNumber, linkOf });
    this.control = new PhoneControl({
      node,
      settings,
      table,
      pool,
      lastPort: addressing.lastPort,
      links: () => this.byDevice.values(),
      linkOf,
      placed: (link, uplink) => {
        link.uplink = uplink;
        this.route(link);
      },
    });
  }

  stop(): void {
    this.control?.stop();
    this.served = this.forwarder = this.control = undefined;
  }

  attach(device: Device): void {
    if (this.byDevice.has(device)) throw new UsageError('ERR_INVALID_OPTION', `${device.name} is attached already`);
    const options = this.settings.link(device);
    const free = this.byNumber.indexOf(undefined);
    const link = new PhoneLink(device, free < 0 ? this.byNumber.length : free, options);
    this.checkLink(options);
    if (link.kind !== 'parent') this.control?.serve();
    this.byDevice.set(device, link);
    this.byNumber[link.number] = link;
    this.table.addLink(link.number, link.kind);
    this.useBlocks(link);
    this.control?.attached(link);
    this.node.changed();
  }

  detach(device: Device): void {
    const link = this.byDevice.get(device);
    if (link === undefined) return;
    this.byDevice.delete(device);
    this.byNumber[link.number] = undefined;
    this.table.removeLink(link.number);
    this.control?.detached(link);
    if (link.kind === 'child') for (const { first } of link.options.blocks ?? []) this.pool.release(first);
    this.node.changed();
  }

  receive(device: Device, frame: Frame): void {
    const link = this.byDevice.get(device);
    if (link !== undefined) this.forwarder?.receive(link, frame);
  }

  send(message: Message<PhoneAddress>, frame: Frame): ProtocolError | undefined {
    if (this.forwarder !== undefined) return this.forwarder.send(message, frame);
    frame.release();
    return ProtocolError.IseInternalError;
  }

  /** What the routes of {@link PhoneProfile.table} call a link; -1 for one that is not attached. */
  numberOf(device: Device): number {
    return this.byDevice.get(device)?.number ?? -1;
  }

  /** Where the device's addresses lie in the scope of the parent at the other end of a link; `undefined` while they have no place there. */
  uplinkOf(device: Device): PhoneUplink | undefined {
    return this.byDevice.get(device)?.uplink;
  }

  /**
   * What an address of this device's scope is in a longer one ("what is my offset in ^10?"); `undefined` if no scope of that length is known above, or
   * it has no address there.
   */
  locate(address: PhoneAddress, bits: number): PhoneAddress | undefined {
    return address.bits <= this.bits ? this.control?.locate(address.value, bits) : undefined;
  }

  /**
   * Lets own sockets have what is sent to a multicast address, of this device's scope or of just that of one above; `done` is told what came of it, at
   * once or later. Sockets hear by their keys, as they do what is sent to all.
   */
  subscribe(address: PhoneAddress, done: (answer: SubscribeAnswer) => void = () => {}): void {
    if (this.control === undefined) done(err('ParentUnavailable'));
    else this.control.subscribe({ bits: address.bits, address: address.value }, done);
  }

  /** Takes a subscription back. */
  unsubscribe(address: PhoneAddress): void {
    this.control?.unsubscribe({ bits: address.bits, address: address.value });
  }

  /** Where the device's scope lies in those above it, as far as is known; without levels if it has no parent. */
  get prefix(): Prefix {
    return { levels: (this.control?.levels() ?? []).map(levelOf) };
  }

  /** Hears from a sibling, by which it goes up, where the scope that both share lies. Children are told. */
  hear(prefix: Prefix): void {
    this.control?.heard(levelsOf(prefix, this.bits));
  }

  /** Says that a link works, or does not: routes pass over it then. A link that was not attached is nothing to it. */
  setWorking(device: Device, working: boolean): void {
    const link = this.byDevice.get(device);
    if (link === undefined || link.working === working) return;
    link.working = working;
    this.route(link);
    this.control?.rerouted();
    this.node.changed();
  }

  /** Says that routes of {@link PhoneProfile.table} lead up otherwise than before: what is wanted of multicast addresses is asked for there. */
  rerouted(): void {
    this.control?.rerouted();
  }

  /** Says where the device's addresses lie in its parent's scope, or that they have no place there. */
  setUplink(device: Device, uplink: PhoneUplink | undefined): void {
    const link = this.byDevice.get(device);
    if (link?.kind === 'parent') this.control?.placed(link, uplink);
  }

  private get node(): ProfileNode<PhoneAddress> {
    if (this.served === undefined) throw new UsageError('ERR_INVALID_STATE', 'a profile that serves no node');
    return this.served;
  }

  private route(link: PhoneLink): void {
    this.table.setLink(link.number, link.working && (link.kind !== 'parent' || link.uplink !== undefined));
  }

  private status(link: PhoneLink): LinkStatus<PhoneAddress> {
    const { device, uplink, kind } = link;
    const known = kind === 'parent' ? uplink !== undefined : kind === 'sibling' || this.hasRange(link);
    const state = !link.working ? LinkState.Down : known ? LinkState.Active : LinkState.Inactive;
    return { link: device, state, address: this.addressAt(link) };
  }

  private hasRange(link: PhoneLink): boolean {
    return this.control?.leadsTo(link) ?? false;
  }

  private addressAt({ kind, uplink }: PhoneLink): PhoneAddress | undefined {
    if (kind !== 'parent') return this.addressing.here;
    const value = uplink?.up(this.settings.sockets.first) ?? -1;
    return uplink === undefined || value < 0 ? undefined : new PhoneAddress(value, uplink.bits);
  }

  /**
   * Looks whether a link could be attached now.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for blocks that there are not, that overlap, or are not free
   */
  checkLink({ kind, blocks = [], bits = 0 }: PhoneLinkOptions): void {
    if (blocks.length > 0 && hasOverlap(blocks)) {
      throw new UsageError('ERR_INVALID_OPTION', 'blocks of a link overlap');
    }
    if (kind === 'parent') {
      const areThere = bits > this.bits && isScope(bits) && blocks.every((block) => isWithin(block, bits));
      if (blocks.length > 0 && !areThere) {
        throw new UsageError('ERR_INVALID_OPTION', `no blocks of a parent's scope longer than ^${this.bits}: ^${bits}`);
      }
      return;
    }
    for (const { first, len } of blocks) {
      const free = isWithin({ first, len }, this.bits) && (kind === 'sibling' || this.pool.isFree(first, len));
      if (!free) throw new UsageError('ERR_INVALID_OPTION', `^${len} at ${first} is not free in ^${this.bits}`);
    }
  }

  private useBlocks({ number, kind, options, device }: PhoneLink): void {
    const { blocks = [], upward, bits = 0, translation } = options;
    if (kind === 'parent') {
      this.table.setLink(number, false);
      if (blocks.length > 0) this.setUplink(device, new PhoneUplink(bits, inPieces(blocks), translation));
      return;
    }
    for (const { first, len } of blocks) {
      if (kind === 'child') this.pool.reserve(first, len);
      this.table.add(first, len, number);
    }
    if (kind === 'sibling' && upward !== undefined) this.table.addUpward(number, upward);
  }
}

/** The pieces of a scope that lie in the ranges of a parent's: one after the other. */
function inPieces(
  blocks: readonly PhoneBlock[],
): { readonly local: number; readonly first: number; readonly len: number }[] {
  let local = 0;
  return blocks.map(({ first, len }) => {
    const piece = { local, first, len };
    local += 2 ** len;
    return piece;
  });
}

/**
 * Makes the profile of a device with phone-number addresses.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @example
 * const apex = ergot(phoneProfile({ bits: 10 }));
 * const leaf = ergot(phoneProfile({ bits: 6, link: () => 'parent' }));
 */
export function phoneProfile(options: PhoneOptions): PhoneProfile {
  return new PhoneProfile(options);
}
