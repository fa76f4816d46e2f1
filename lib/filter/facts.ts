/** What rules decide by: every field of one packet as a number in one table, so that the conditions of ten thousand rules are numbers, too. */

import type { Device } from '../core/device.js';
import { FlowState, type Frame, NOT_PARSED } from '../core/frame.js';
import { IpProtocol } from '../wire/ip.js';
import { PacketFields } from '../wire/packet-fields.js';

/** Places in the table. */
export const Field = {
  Version: 0,
  Protocol: 1,
  SourcePort: 2,
  DestinationPort: 3,
  Length: 4,
  HopLimit: 5,
  Dscp: 6,
  IcmpType: 7,
  IcmpCode: 8,
  Mark: 9,
  /** Second of the day. */
  Hour: 10,
  /** Day of the week, from Sunday, 0. */
  Day: 11,
  EtherSource: 12,
  EtherDestination: 13,
  TcpFlags: 14,
  /** One bit: 1 shifted by the `FlowState`. */
  State: 15,
  /** 1 for replies, else 0. */
  Direction: 16,
  /** See {@link Fragment}. */
  Fragment: 17,
  /** Number of the device's name among those that rules know. */
  InInterface: 18,
  OutInterface: 19,
  /** Four signed words, IPv4 mapped. */
  Source: 20,
  Destination: 24,
} as const;
export type Field = (typeof Field)[keyof typeof Field];

const FIELDS = 28;

/** The value of a field that the packet does not have. */
export const ABSENT = -1;

/** What has to be read besides the fields of IP and its transport. */
export const Need = { Link: 1, Clock: 2, Interfaces: 4 } as const;

/** Values of {@link Field.Fragment}: of whole packets, those with a fragment header are told from others. */
export const Fragment = { None: 0, First: 1, Later: 2, Atomic: 3 } as const;

// IEEE 802.3: offsets of the addresses in the link header.
const ETHER_SOURCE = 6;
const ETHER_DESTINATION = 0;

const DAY = 86_400;
/** 1 January 1970 was a Thursday. */
const FIRST_DAY = 4;
const WEEK = 7;

const UDP_LITE = 136;
const DCCP = 33;
const SCTP = 132;

/** What rules say of one device: its number, and which of their conditions on names it fulfils. */
class DeviceFacts {
  readonly number: number;
  readonly fulfils: Uint8Array;

  constructor(number: number, fulfils: Uint8Array) {
    this.number = number;
    this.fulfils = fulfils;
  }
}

/** Devices as rules see them. Names are looked at once per device. */
export class DeviceNames {
  private readonly numbers = new Map<string, number>();
  private readonly conditions: (readonly string[])[] = [];
  private known = new WeakMap<Device, DeviceFacts>();
  private last: Device | undefined = undefined;
  private lastFacts: DeviceFacts | undefined = undefined;

  /** The number of a name that rules know. */
  numberOf(name: string): number {
    const number = this.numbers.get(name) ?? this.numbers.size;
    this.numbers.set(name, number);
    return number;
  }

  /** The number of a condition: that the name is one of these, which may end in `*`. */
  conditionOf(names: readonly string[]): number {
    for (const name of names) this.numberOf(name);
    return this.conditions.push(names) - 1;
  }

  factsOf(device: Device): DeviceFacts {
    if (device === this.last && this.lastFacts !== undefined) return this.lastFacts;
    const facts = this.known.get(device) ?? this.learn(device);
    this.last = device;
    this.lastFacts = facts;
    return facts;
  }

  private learn(device: Device): DeviceFacts {
    const fulfils = Uint8Array.from(this.conditions, (names) => (names.some((name) => isCalled(device, name)) ? 1 : 0));
    const facts = new DeviceFacts(this.numbers.get(device.name) ?? this.numbers.size, fulfils);
    this.known.set(device, facts);
    return facts;
  }
}

function isCalled({ name }: Device, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** One packet's fields: one table serves many packets. */
export class Facts {
  readonly values: Float64Array = new Float64Array(FIELDS);
  readonly fields: PacketFields = new PacketFields();
  readonly devices: DeviceNames = new DeviceNames();
  inDevice: DeviceFacts | undefined = undefined;
  outDevice: DeviceFacts | undefined = undefined;
  /** Bits of {@link Need}. */
  needs = 0;

  /**
   * Reads a packet.
   *
   * @param network offset of its IP header
   * @param seconds since the beginning of 1970, by the clock on the wall; of use only where the clock is needed
   * @returns whether it is a sound packet
   */
  read(frame: Frame, network: number, seconds: number): boolean {
    const { fields, values, needs } = this;
    if (!fields.read(frame, network)) return false;
    values[Field.Version] = fields.version;
    values[Field.Protocol] = fields.protocol;
    values[Field.Length] = fields.length;
    values[Field.HopLimit] = fields.hopLimit;
    values[Field.Dscp] = fields.trafficClass >>> 2;
    values[Field.Fragment] = fragmentOf(fields);
    values[Field.Source] = fields.source0;
    values[Field.Source + 1] = fields.source1;
    values[Field.Source + 2] = fields.source2;
    values[Field.Source + 3] = fields.source3;
    values[Field.Destination] = fields.destination0;
    values[Field.Destination + 1] = fields.destination1;
    values[Field.Destination + 2] = fields.destination2;
    values[Field.Destination + 3] = fields.destination3;
    this.readTransport();
    this.readMetadata(frame);
    if (needs !== 0) this.readRest(frame, seconds);
    return true;
  }

  /** Does something that may read other packets; afterwards the facts are about this one again. */
  aside<T>(work: () => T): T {
    const { inDevice, outDevice } = this;
    const values = this.values.slice();
    const fields = Object.assign({}, this.fields);
    try {
      return work();
    } finally {
      this.values.set(values);
      Object.assign(this.fields, fields);
      this.inDevice = inDevice;
      this.outDevice = outDevice;
    }
  }

  private readTransport(): void {
    const { fields, values } = this;
    const { protocol } = fields;
    const there = fields.transport !== NOT_PARSED;
    const hasPorts = there && isWithPorts(protocol);
    values[Field.SourcePort] = hasPorts ? fields.sourcePort : ABSENT;
    values[Field.DestinationPort] = hasPorts ? fields.destinationPort : ABSENT;
    values[Field.TcpFlags] = there && protocol === IpProtocol.Tcp ? fields.tcpFlags : ABSENT;
    // Absent, too, where it is none.
    values[Field.IcmpType] = fields.icmpType;
    values[Field.IcmpCode] = fields.icmpCode;
  }

  private readMetadata(frame: Frame): void {
    const { values } = this;
    const { flowState } = frame;
    values[Field.Mark] = frame.mark >>> 0;
    values[Field.State] = 1 << flowState;
    const isTracked = flowState !== FlowState.Untracked && flowState !== FlowState.Invalid;
    values[Field.Direction] = isTracked ? (frame.flowReply ? 1 : 0) : ABSENT;
  }

  private readRest(frame: Frame, seconds: number): void {
    const { values, needs } = this;
    if ((needs & Need.Link) !== 0) this.readLink(frame);
    if ((needs & Need.Clock) !== 0) {
      const day = Math.floor(seconds / DAY);
      values[Field.Hour] = Math.floor(seconds) - day * DAY;
      values[Field.Day] = (((day + FIRST_DAY) % WEEK) + WEEK) % WEEK;
    }
    if ((needs & Need.Interfaces) === 0) return;
    const { device, output } = frame;
    this.inDevice = device === undefined ? undefined : this.devices.factsOf(device);
    this.outDevice = output === undefined ? undefined : this.devices.factsOf(output);
    values[Field.InInterface] = this.inDevice?.number ?? ABSENT;
    values[Field.OutInterface] = this.outDevice?.number ?? ABSENT;
  }

  private readLink(frame: Frame): void {
    const { values } = this;
    const link = linkOffset(frame);
    if (link === NOT_PARSED) {
      values[Field.EtherSource] = values[Field.EtherDestination] = ABSENT;
      return;
    }
    const { view } = frame.slab;
    values[Field.EtherSource] = macAt(view, link + ETHER_SOURCE);
    values[Field.EtherDestination] = macAt(view, link + ETHER_DESTINATION);
  }
}

function fragmentOf(fields: PacketFields): number {
  if (fields.isFragment) return fields.fragmentOffset === 0 ? Fragment.First : Fragment.Later;
  return fields.hasFragmentHeader ? Fragment.Atomic : Fragment.None;
}

function macAt(view: DataView, at: number): number {
  return view.getUint16(at) * 0x1_0000_0000 + view.getUint32(at + 2);
}

/** Where the Ethernet header is: where a layer found it, or at the start of a frame that no layer has read. */
function linkOffset(frame: Frame): number {
  if (frame.link !== NOT_PARSED || frame.network !== NOT_PARSED) return frame.link;
  return (frame.device?.medium ?? 'ethernet') === 'ethernet' ? frame.start : NOT_PARSED;
}

function isWithPorts(protocol: number): boolean {
  switch (protocol) {
    case IpProtocol.Tcp:
    case IpProtocol.Udp:
    case DCCP:
    case SCTP:
    case UDP_LITE:
      return true;
    default:
      return false;
  }
}
