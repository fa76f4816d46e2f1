/**
 * What was found out about the datagrams of a flow, kept for those that follow: which socket they are for, and how they leave. Nothing of it
 * outlives a change of what it follows from; an entry in whose place another flow belongs is made anew.
 */

import type { IpAddress } from '../core/address.js';
import type { Device, DeviceFeatures } from '../core/device.js';
import type { IpFlow, IpPacket } from '../wire/ip.js';
import { Ends } from '../wire/ends.js';
import type { Endpoint } from './tcp/api.js';

// A power of two.
const PLACES = 256;

function place(word: number, ports: number): number {
  const mixed = Math.imul(word ^ ports ^ (ports >>> 16), 0x9e37_79b1);
  return mixed >>> 24;
}

/** Datagrams that came from one sender to one socket. */
export class Arrival<Socket> {
  readonly socket: Socket;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  private readonly ports: number;
  private readonly device: Device | undefined;
  private readonly version: number;
  private readonly ends: Ends = new Ends();

  /** @param version of the sockets: their number when they were asked */
  constructor(packet: IpPacket, version: number, socket: Socket, source: Endpoint, destination: Endpoint) {
    const { view } = packet.frame.slab;
    this.socket = socket;
    this.source = source;
    this.destination = destination;
    this.ports = view.getInt32(packet.frame.start);
    this.device = packet.frame.device;
    this.version = version;
    this.ends.read(view, packet.sourceOffset, lengthOf(packet));
  }

  /** Whether the packet, a datagram, is one more of them. */
  has(packet: IpPacket, version: number): boolean {
    const { frame } = packet;
    const { view } = frame.slab;
    return (
      this.version === version &&
      this.ports === view.getInt32(frame.start) &&
      this.device === frame.device &&
      this.ends.are(view, packet.sourceOffset, lengthOf(packet))
    );
  }
}

function lengthOf({ version }: IpPacket): 8 | 32 {
  return version === 4 ? 8 : 32;
}

/** Arrivals by sender. */
export class Arrivals<Socket> {
  private readonly places: (Arrival<Socket> | undefined)[] = Array.from({ length: PLACES }, () => undefined);

  /** That of the packet, if it is known. */
  find(packet: IpPacket, version: number): Arrival<Socket> | undefined {
    const arrival = this.places[placeOf(packet)];
    return arrival?.has(packet, version) === true ? arrival : undefined;
  }

  keep(packet: IpPacket, arrival: Arrival<Socket>): void {
    this.places[placeOf(packet)] = arrival;
  }
}

function placeOf(packet: IpPacket): number {
  const { frame, destinationOffset } = packet;
  const { view } = frame.slab;
  // The last word of the source address stands in front of the destination.
  return place(view.getInt32(destinationOffset - 4), view.getInt32(frame.start));
}

/** How datagrams leave from one socket to one receiver. */
export interface Departure<Socket> {
  readonly socket: Socket;
  readonly address: IpAddress;
  readonly port: number;
  /** Of the ways, see `IpPaths.generation`, and of the socket's options. */
  readonly generation: number | undefined;
  readonly revision: number;
  readonly flow: IpFlow;
  /** The pseudo-header's sum but for the length. */
  readonly sum: number;
  /** Chosen already, where the receivers are a group. */
  readonly device: Device | undefined;
  readonly features: DeviceFeatures;
}

/** Departures by receiver. */
export class Departures<Socket extends { readonly revision: number }> {
  private readonly places: (Departure<Socket> | undefined)[] = Array.from({ length: PLACES }, () => undefined);

  find(socket: Socket, { address, port }: Endpoint, generation: number | undefined): Departure<Socket> | undefined {
    const known = this.places[place(address.word(3), port)];
    if (known === undefined || generation === undefined) return undefined;
    const isIt =
      known.socket === socket &&
      known.generation === generation &&
      known.revision === socket.revision &&
      known.port === port &&
      (known.address === address || known.address.equals(address));
    return isIt ? known : undefined;
  }

  keep(departure: Departure<Socket>): void {
    this.places[place(departure.address.word(3), departure.port)] = departure;
  }
}
