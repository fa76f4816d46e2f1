/** A link as IP sees it: somewhere to send packets to neighbours, to groups of them or to all. */

import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTx, type Frame, type TxFrame, type TxPacket } from '../core/frame.js';
import type { NeighbourCache } from './neighbour.js';

/** One link. Addresses are given as the four words of `IpAddress.word`, signed or not. */
export interface IpLink {
  readonly device: Device;
  /** What it knows of next hops, where they have to be found. */
  readonly neighbours?: NeighbourCache;
  /** Where frames go; whoever runs the link sets it. Until then they are dropped. */
  emit: ((frame: TxFrame) => void) | undefined;
  /** Is told of packets whose next hop did not answer; the packet is valid during the call. */
  failed: ((packet: Frame) => void) | undefined;
  /** Sends a packet to a next hop, or to a multicast group; takes over its reference. */
  send(packet: TxPacket, a: number, b: number, c: number, d: number): void;
  /** Sends a packet to everybody on the link; takes over its reference. */
  broadcast(packet: TxPacket): void;
  /** An upper layer made progress through this next hop. */
  confirm(a: number, b: number, c: number, d: number): void;
  /** Cancels timers, drops what waits. */
  dispose(): void;
}

/** A link without link addresses, such as a TUN device: whatever is sent goes to the other end. */
export class PointToPointLink implements IpLink {
  readonly device: Device;
  emit: ((frame: TxFrame) => void) | undefined = undefined;
  failed: ((packet: Frame) => void) | undefined = undefined;
  private readonly env: Env;

  constructor(device: Device, env: Env) {
    this.device = device;
    this.env = env;
  }

  send(packet: TxPacket): void {
    transmit(this, packet, this.env);
  }

  broadcast(packet: TxPacket): void {
    transmit(this, packet, this.env);
  }

  confirm(): void {}

  dispose(): void {}
}

/** Hands a complete frame to whoever runs the link. */
export function transmit(link: IpLink, frame: Frame, env: Env): void {
  frame.device = link.device;
  if (link.emit !== undefined) {
    link.emit(asTx(frame));
    return;
  }
  env.drops.refuse(DropReason.DeviceDown, frame, 'link');
}
