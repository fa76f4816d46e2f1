/**
 * VLAN sub-interfaces (IEEE 802.1Q): each is a device of its own on one Ethernet device, and of one on such a device a second tag is
 * made (QinQ, 802.1ad).
 */

import type { Subscription } from 'rxjs';
import { MacAddress } from '../lib/core/address.js';
import type { Device, DeviceFeatures, DeviceShare } from '../lib/core/device.js';
import { DropReason } from '../lib/core/drops.js';
import type { Env } from '../lib/core/env.js';
import { UsageError } from '../lib/core/errors.js';
import { type Frame, NOT_PARSED, type RxFrame, type TxFrame } from '../lib/core/frame.js';
import { ETHERNET_HEADER, EtherType } from '../lib/wire/ethernet.js';
import {
  isVlanType,
  popVlanTag,
  pushVlanTag,
  VLAN_PRIORITY_ONLY,
  VLAN_RESERVED,
  VLAN_TAG,
  type VlanFields,
  VlanTag,
} from '../lib/wire/vlan.js';
import { endCopy, withHeadroom } from './port.js';
import { checkEthernet, checkMtu, countsTags, LEAST_MTU, VirtualDevice } from './virtual-device.js';

/** Options of {@link vlanDevice}. */
export interface VlanDeviceOptions {
  /** VLAN identifier, 1 to 4094; 0 is what belongs to no VLAN: frames without a tag, or with one that only has a priority. */
  readonly vid: number;
  /** Priority code point of what is sent, 0 to 7. Default 0. */
  readonly priority?: number;
  /** Tag protocol identifier: `EtherType.Vlan` (0x8100), or `EtherType.QinQ` (0x88a8) for the outer one of two tags. Default 0x8100. */
  readonly protocol?: number;
  /** Default: the parent's name, a dot and the identifier. */
  readonly name?: string;
  /** Default: the parent's. */
  readonly mac?: MacAddress | string;
  /** Largest IP packet, in bytes. Default: the parent's, also when that changes; it counts no tags, but over a VXLAN it does, and there is room for the tag. */
  readonly mtu?: number;
}

/** More are not understood by those who look into frames for the IP packet. */
const MOST_TAGS = 2;
const ALL: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };

/** The VLAN devices of a parent, which share one subscription to it. */
class Trunk {
  readonly parent: Device;
  private readonly env: Env;
  private readonly devices = new Map<number, VlanDevice>();
  private subscription: Subscription | undefined = undefined;

  constructor(parent: Device, env: Env) {
    this.parent = parent;
    this.env = env;
  }

  add(device: VlanDevice, key: number): void {
    if (this.devices.has(key)) {
      throw new UsageError('ERR_INVALID_OPTION', `'${this.parent.name}' has a device '${device.name}' already`);
    }
    this.devices.set(key, device);
    this.subscription ??= this.parent.frames$.subscribe({
      next: (frame) => this.receive(frame),
      error: (error) => this.end((one) => one.fail(error)),
      complete: () => this.end((one) => void one.close()),
    });
  }

  remove(key: number): void {
    this.devices.delete(key);
    if (this.devices.size > 0) return;
    trunks.delete(this.parent);
    this.subscription?.unsubscribe();
  }

  private end(how: (device: VlanDevice) => void): void {
    // Each of them removes itself.
    for (const device of this.devices.values()) how(device);
  }

  private receive(frame: RxFrame): void {
    const type = frame.length < ETHERNET_HEADER ? 0 : frame.slab.view.getUint16(frame.start + ETHERNET_HEADER - 2);
    if (isVlanType(type)) this.receiveTagged(frame, type);
    // Otherwise it is for those who use the parent itself.
    else this.devices.get(VLAN_PRIORITY_ONLY)?.receive(frame);
  }

  private receiveTagged(frame: RxFrame, protocol: number): void {
    const { drops, pool } = this.env;
    const wrong = VlanTag.check(frame, frame.start + ETHERNET_HEADER);
    if (wrong !== undefined) return drops.report(wrong, frame, this.parent.name);
    const vid = frame.slab.view.getUint16(frame.start + ETHERNET_HEADER) & 0xfff;
    const device = this.devices.get(keyOf(vid, protocol));
    if (device === undefined) return drops.report(DropReason.VlanUnknown, frame, this.parent.name);
    const own = frame.exclusive ? frame : pool.copy(frame);
    popVlanTag(own);
    own.link = NOT_PARSED;
    device.receive(own);
    endCopy(own, frame);
  }
}

const trunks = new WeakMap<Device, Trunk>();

/** Both protocols have the one VLAN of what belongs to none. */
function keyOf(vid: number, protocol: number): number {
  return vid === VLAN_PRIORITY_ONLY ? vid : (protocol << 12) | vid;
}

class VlanDevice extends VirtualDevice {
  mtu: number;
  readonly share?: DeviceShare;
  /** How many tags its frames have on the wire of the device at the bottom. */
  readonly tags: number;
  private readonly parent: Device;
  private readonly ownMtu: number | undefined;
  private readonly trunk: Trunk;
  private readonly key: number;
  private readonly tag: VlanFields;
  private readonly protocol: number;
  private readonly isTagged: boolean;

  constructor(parent: Device, options: VlanDeviceOptions, env: Env) {
    const { vid, priority = 0, protocol = EtherType.Vlan, name = `${parent.name}.${vid}` } = options;
    super(name, options.mac === undefined ? parent.mac : MacAddress.of(options.mac), ALL, env);
    this.parent = parent;
    if (parent.share !== undefined) this.share = parent.share;
    this.tag = { vid, priority };
    this.protocol = protocol;
    this.isTagged = vid !== VLAN_PRIORITY_ONLY || priority > 0;
    this.ownMtu = options.mtu;
    this.mtu = checkMtu(this.fittingMtu());
    this.tags = (parent instanceof VlanDevice ? parent.tags : 0) + (this.isTagged ? 1 : 0);
    if (this.tags > MOST_TAGS) throw new UsageError('ERR_INVALID_OPTION', `'${name}' would need a third tag`);
    this.key = keyOf(vid, protocol);
    this.trunk = trunks.get(parent) ?? new Trunk(parent, env);
    trunks.set(parent, this.trunk);
    this.trunk.add(this, this.key);
    this.sitOn(parent);
  }

  override get countsTags(): boolean {
    return countsTags(this.parent);
  }

  override get features(): DeviceFeatures {
    return this.parent.features;
  }

  /** Delivers a frame of the parent's, without the tag. */
  receive(frame: Frame): void {
    this.intake.pass(frame);
  }

  protected override transmit(frame: TxFrame): void {
    let tagged = frame;
    if (this.isTagged) {
      tagged = withHeadroom(frame, VLAN_TAG, this.env.pool);
      pushVlanTag(tagged, this.tag, this.protocol);
    }
    tagged.device = this.parent;
    this.parent.sink.next(tagged);
  }

  protected override detach(): void {
    this.leave(this.parent);
    this.trunk.remove(this.key);
  }

  protected override fit(): void {
    this.mtu = Math.max(LEAST_MTU, this.fittingMtu());
    this.fitAbove();
  }

  private fittingMtu(): number {
    const { parent, ownMtu, isTagged } = this;
    return ownMtu ?? parent.mtu - (isTagged && countsTags(parent) ? VLAN_TAG : 0);
  }
}

/**
 * Makes a VLAN sub-interface of an Ethernet device: it receives the frames of one VLAN, without their tags, and sends frames with them. A
 * device may have many; those on one of protocol `EtherType.QinQ` are VLANs inside a VLAN.
 *
 * Who is subscribed to the parent itself goes on seeing every frame that comes in, tagged ones too, as a copy. To share the parent
 * without copies use a device of VLAN 0 for what has no tag.
 *
 * It ends as the parent does; closing it does not close the parent. Frames of VLANs that no device is made for are dropped as
 * `VlanUnknown`, and those with half a tag as `VlanTruncated`.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a parent that is no Ethernet device, a number out of range, a VLAN that the parent has a
 * device for already, or a third tag; `ERR_INVALID_ADDRESS`
 * @example
 * const office = vlanDevice(tap, { vid: 10 }, env);
 * const guests = vlanDevice(tap, { vid: 20, priority: 1 }, env);
 */
export function vlanDevice(parent: Device, options: VlanDeviceOptions, env: Env): Device {
  const { vid, priority = 0, protocol = EtherType.Vlan } = options;
  checkEthernet(parent, 'the parent');
  if (!(Number.isInteger(vid) && vid >= 0 && vid < VLAN_RESERVED)) {
    throw new UsageError('ERR_INVALID_OPTION', `VLAN identifier ${vid} is not in 0..4094`);
  }
  if (!(Number.isInteger(priority) && priority >= 0 && priority <= 7)) {
    throw new UsageError('ERR_INVALID_OPTION', `VLAN priority ${priority} is not in 0..7`);
  }
  if (!isVlanType(protocol)) {
    throw new UsageError('ERR_INVALID_OPTION', `0x${protocol.toString(16)} is no protocol of VLAN tags`);
  }
  return new VlanDevice(parent, options, env);
}
