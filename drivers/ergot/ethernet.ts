/**
 * Links of ergot on an Ethernet device of any kind, under an EtherType of their own, so that others can use the device meanwhile. Frames are not copied: on
 * the way out headers are pushed in front, on the way in they are narrowed away. See `ethernet-shim` for the bytes.
 */

import { Subscription } from 'rxjs';
import { isGroupMac, MacAddress } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import type { Frame, RxFrame, TxFrame } from '../../lib/core/frame.js';
import { ERGOT_ETHER_TYPE, ERGOT_SHIM, popErgotShim, pushErgotShim } from '../../lib/ergot/ethernet-shim.js';
import { FrameHeader } from '../../lib/ergot/frame.js';
import { ETHERNET_HEADER, EthernetFrame, readMac } from '../../lib/wire/ethernet.js';
import { withHeadroom } from '../port.js';
import { checkEthernet, checkMtu } from '../virtual-device.js';
import { ErgotLink } from './ergot-link.js';
import { type ErgotListener, PeerLinks, type ErgotPeerOptions } from './listener.js';

const EVERYBODY = 0xffff_ffff_ffff;
const AGEING = 5000;
const SOURCE = 6;
const TYPE = 12;

/** What both kinds of links on Ethernet can be told. */
export interface ErgotEthernetOptions {
  /** 0x600 to 0xffff. Default 0x88b5, the first one for local experiments (IEEE 802). */
  readonly etherType?: number;
  /** Default: the device's name and `.ergot`. */
  readonly name?: string;
  /** Our MAC address. Default: the device's. */
  readonly mac?: MacAddress | string;
  /** Largest frame in bytes. Default: what fits the device. */
  readonly mtu?: number;
}

/** Options of {@link ergotOverEthernet}. */
export interface ErgotEthernetLinkOptions extends ErgotEthernetOptions {
  /**
   * Who is at the other end. A MAC address: what others send is dropped as `ErgotUnknownPeer`. `learned` (default): whoever was heard of last, and everybody
   * until then; for cables with two ends. A group's address, or `everybody`: a bus; all hear each frame.
   */
  readonly peer?: MacAddress | string;
  /** Milliseconds of silence after which whoever was learned is forgotten: it may have been replaced by another one. Default 5,000. */
  readonly ageing?: number;
}

/** Options of {@link listenErgotEthernet}. */
export interface ErgotEthernetListenerOptions extends ErgotEthernetOptions, ErgotPeerOptions {}

/** What becomes of those who listen when the device under them ends. */
interface Ended {
  readonly error: (error: unknown) => void;
  readonly complete: () => void;
}

/** Our end of an Ethernet device: its address, its type, what fits. */
class Port {
  readonly device: Device;
  readonly name: string;
  readonly mac: number;
  readonly mtu: number;
  readonly env: Env;
  private readonly etherType: number;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(device: Device, options: ErgotEthernetOptions, env: Env) {
    const { etherType = ERGOT_ETHER_TYPE, mac, mtu = device.mtu - ERGOT_SHIM } = options;
    checkEthernet(device, 'the device under an ergot link');
    if (!(Number.isInteger(etherType) && etherType >= 0x600 && etherType <= 0xffff)) {
      throw new UsageError('ERR_INVALID_OPTION', `${etherType} is no EtherType`);
    }
    if (mtu > device.mtu - ERGOT_SHIM) {
      throw new UsageError('ERR_INVALID_OPTION', `frames of ${mtu} bytes do not fit '${device.name}'`);
    }
    this.device = device;
    this.name = options.name ?? `${device.name}.ergot`;
    this.mac = mac === undefined ? device.mac.value : MacAddress.of(mac).value;
    this.mtu = checkMtu(mtu);
    this.env = env;
    this.etherType = etherType;
  }

  /** Calls `heard` with each frame for us, narrowed to that of ergot, and its sender. */
  listen(heard: (frame: Frame, from: number) => void, ended: Ended): Subscription {
    const next = (frame: RxFrame): void => {
      const { view } = frame.slab;
      // What is of other types is for those who use the device itself.
      if (frame.length < ETHERNET_HEADER || view.getUint16(frame.start + TYPE) !== this.etherType) return;
      const from = readMac(view, frame.start + SOURCE);
      const own = frame.exclusive ? frame : this.env.pool.copy(frame);
      const wrong = this.unwrap(own);
      if (wrong === undefined) heard(own, from);
      else this.env.drops.report(wrong, own, this.name);
      if (own !== frame) own.release();
    };
    return this.device.frames$.subscribe({ next, ...ended });
  }

  /** Sends a frame to a station; takes over its reference. */
  send(frame: TxFrame, to: number): void {
    const { device } = this;
    const own = withHeadroom(frame, ETHERNET_HEADER + ERGOT_SHIM, this.env.pool);
    own.renew();
    pushErgotShim(own);
    EthernetFrame.emit(own, to, this.mac, this.etherType);
    own.device = device;
    device.sink.next(own);
  }

  /** Narrows a frame to that of ergot, or says why it is not to be. */
  private unwrap(frame: Frame): DropReason | undefined {
    const { view } = frame.slab;
    const wrong = EthernetFrame.check(frame, frame.start);
    if (wrong !== undefined) return wrong;
    const to = readMac(view, frame.start);
    if (!isGroupMac(to) && to !== this.mac) return DropReason.EthernetNotForUs;
    // A hub, or a loop of cables: our own words.
    if (readMac(view, frame.start + SOURCE) === this.mac) return DropReason.ErgotUnknownPeer;
    frame.start += ETHERNET_HEADER;
    const bad = popErgotShim(frame);
    frame.renew();
    frame.wholeEnd = frame.end;
    return bad ?? (frame.length > this.mtu ? DropReason.ErgotTooLarge : undefined);
  }
}

/** What one peer sends, or everybody. */
class EthernetLink extends ErgotLink {
  private readonly port: Port;
  private readonly ended: (link: EthernetLink) => void;
  private readonly peer: number;
  private readonly ageing: number;
  private learned = EVERYBODY;
  /** When what was learned is forgotten. */
  private until = 0;

  /** @param ageing milliseconds for which it is known who spoke last; 0 where all goes to `peer` */
  constructor(name: string, peer: number, ageing: number, port: Port, ended: (link: EthernetLink) => void) {
    super(name, port.mtu, port.env);
    this.port = port;
    this.peer = peer;
    this.ageing = ageing;
    this.ended = ended;
  }

  /** This one has spoken. */
  heard(from: number): void {
    if (this.ageing === 0) return;
    this.learned = from;
    this.until = this.env.timers.now() + this.ageing;
  }

  /** Delivers a frame that the port narrowed. */
  receive(frame: Frame): void {
    this.intake.pass(frame);
  }

  protected override transmit(frame: TxFrame): void {
    const isKnown = this.ageing > 0 && this.env.timers.now() < this.until;
    this.port.send(frame, isKnown ? this.learned : this.peer);
  }

  protected override detach(): void {
    this.ended(this);
  }
}

/**
 * Makes a link on an Ethernet device, which others may use meanwhile. It ends as that device does; closing it does not close the device.
 *
 * **Drops** on the way in `EthernetBadSource`, `EthernetNotForUs`, `ErgotUnknownPeer`, `EthernetUnknownType` for another experiment under the same type, `ErgotTruncated`,
 * `ErgotTooLarge`. What is of other EtherTypes is not its own, and is not counted.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a device that is no Ethernet device, or a number out of range; `ERR_INVALID_ADDRESS`
 * @example
 * const link = ergotOverEthernet(tap, { peer: '02:00:00:00:00:01' }, env);
 * node.plug(link);
 */
export function ergotOverEthernet(device: Device, options: ErgotEthernetLinkOptions, env: Env): Device {
  const { peer = 'learned', ageing = AGEING } = options;
  const isLearning = peer === 'learned';
  const to = isLearning || peer === 'everybody' ? EVERYBODY : MacAddress.of(peer).value;
  const isOfOne = !isGroupMac(to);
  if (!(ageing > 0)) throw new UsageError('ERR_INVALID_OPTION', `no time to know a peer: ${ageing} ms`);
  const port = new Port(device, options, env);
  const listening = new Subscription();
  const link = new EthernetLink(port.name, to, isLearning ? ageing : 0, port, () => listening.unsubscribe());
  const heard = (frame: Frame, from: number): void => {
    if (isOfOne && from !== to) return env.drops.report(DropReason.ErgotUnknownPeer, frame, port.name);
    link.heard(from);
    return link.receive(frame);
  };
  listening.add(port.listen(heard, { error: (error) => link.fail(error), complete: () => void link.close() }));
  return link;
}

/**
 * Makes a link for each station that sends frames of ergot: for a router of many on one segment. It ends as the device does.
 *
 * **Drops** as {@link ergotOverEthernet}; what is no frame of ergot makes no link, and ends as `ErgotTruncated` or `ErgotBadHeader`.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * listenErgotEthernet(tap, { mostPeers: 16 }, env).devices$.subscribe((device) => router.plug(device));
 */
export function listenErgotEthernet(device: Device, options: ErgotEthernetListenerOptions, env: Env): ErgotListener {
  const port = new Port(device, options, env);
  const peers = new PeerLinks<number, EthernetLink>(options, env);
  const listening = new Subscription();
  const header = new FrameHeader();
  const make = (from: number): EthernetLink => {
    const name = `${port.name}:${new MacAddress(from).toString()}`;
    return new EthernetLink(name, from, 0, port, (link) => peers.remove(from, link));
  };
  const heard = (frame: Frame, from: number): void => {
    let link = peers.heard(from);
    if (link === undefined) {
      const wrong = header.read(frame) ?? (peers.hasRoom ? undefined : DropReason.ErgotUnknownPeer);
      if (wrong !== undefined) return env.drops.report(wrong, frame, port.name);
      peers.add(from, (link = make(from)));
    }
    return link.receive(frame);
  };
  const close = (): Promise<void> => {
    listening.unsubscribe();
    return peers.open.close();
  };
  const error = (failure: unknown): void => peers.open.fail(failure);
  listening.add(port.listen(heard, { error, complete: () => void close() }));
  return { devices$: peers.open.devices$, close, [Symbol.asyncDispose]: close };
}
