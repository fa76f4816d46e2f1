/** The rules of a translator at work: which sources are translated, and to what; which addresses are external at the moment. */

import type { IpAddress } from '../../core/address.js';
import { ipOf } from '../../core/address.js';
import type { Device } from '../../core/device.js';
import type { Frame } from '../../core/frame.js';
import type { Random } from '../../core/random.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { ExternalAddress, ExternalAddresses, type ForwardTarget } from './externals.js';
import type { NatTables } from './options.js';
import {
  blocksOf,
  type ForwardRule,
  forwardProtocols,
  invalid,
  type MasqueradeRule,
  type NatFilter,
  type NatRule,
  poolOf,
  type PortBlocks,
  portClasses,
  type PortRange,
  portRange,
  type Prefix,
  prefixesOf,
  type SourceRule,
  StaticPrefixes,
} from './rules.js';

/** 169.254.0.0/16 (RFC 3927), fe80::/10, 224.0.0.0/4 and what follows. */
const LINK_LOCAL4 = 0xa9fe;
const LINK_LOCAL6 = 0x3fa;
const FIRST_GROUP = 224;

/** A rule that translates sources. */
export class SourcePolicy {
  readonly number: number;
  readonly version: 4 | 6;
  readonly filter: NatFilter;
  readonly low: PortRange;
  readonly high: PortRange;
  readonly preservePorts: boolean;
  readonly blocks: PortBlocks | undefined;
  /** The device whose address it is, or `undefined` of a pool of its own. */
  readonly masquerades: string | undefined;
  /** What sources are translated to at the moment; empty where the device has no address. */
  pool: readonly ExternalAddress[] = [];
  /** The device that packets leave by, or `undefined` for any. */
  readonly out: string | undefined;
  private readonly from: readonly Prefix[];

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(rule: MasqueradeRule | SourceRule, number: number, version: 4 | 6) {
    this.number = number;
    this.version = version;
    this.filter = rule.filter ?? 'address-dependent';
    const { low, high } = portClasses(rule, number);
    this.low = low;
    this.high = high;
    this.preservePorts = rule.preservePorts ?? false;
    this.blocks = blocksOf(rule, high, number);
    this.masquerades = rule.kind === 'masquerade' ? rule.out : undefined;
    this.out = rule.out;
    this.from = prefixesOf(rule.from);
    if (this.out === undefined && this.from.length === 0) {
      throw invalid(number, 'which packets? A device (out), prefixes (from), or both must be given');
    }
  }

  /** Whether it translates the source of a packet that leaves by `device`. */
  applies(fields: PacketFields, device: Device | undefined): boolean {
    return this.leavesBy(device) && this.covers(fields);
  }

  /** Whether packets that leave by the device are its. */
  leavesBy(device: Device | undefined): boolean {
    return this.out === undefined || device?.name === this.out;
  }

  /** Whether a packet comes from the internal side. Of a rule that names no prefixes nothing is that came in by one of the `outside` devices. */
  isInside(fields: PacketFields, device: Device | undefined, outside: ReadonlySet<string>): boolean {
    if (this.out === undefined) return this.covers(fields);
    if (device === undefined || device.name === this.out) return false;
    return (this.from.length > 0 || !outside.has(device.name)) && this.covers(fields);
  }

  /** The external ports for an internal one. */
  portsFor(port: number): PortRange {
    return port < 1024 ? this.low : this.high;
  }

  private covers(fields: PacketFields): boolean {
    const { from } = this;
    if (fields.version !== this.version || staysOnLink(fields)) return false;
    if (from.length === 0) return true;
    for (const prefix of from) {
      if (prefix.has(fields.source0, fields.source1, fields.source2, fields.source3)) return true;
    }
    return false;
  }
}

/** A forward rule whose external address is that of a device. */
interface DeviceForward {
  readonly rule: ForwardRule;
  readonly index: number;
  readonly device: string;
  /** The address at the moment. */
  external: ExternalAddress | undefined;
}

/** All rules. */
export class Policies {
  readonly sources: readonly SourcePolicy[];
  readonly statics: readonly StaticPrefixes[];
  readonly externals: ExternalAddresses;
  /** Addresses that forward rules name: they are external whether or not a device has them. */
  private readonly named = new Set<ExternalAddress>();
  private readonly forwards: readonly DeviceForward[];
  /** Devices that lie outside of any rule. */
  private readonly outside: ReadonlySet<string>;
  private readonly tables: () => NatTables | undefined;
  private generation = -1;
  private own: readonly IpAddress[] = [];
  /** Is told of an address that a device has no longer; all that stands for it is to be forgotten. */
  retired: (external: ExternalAddress) => void = () => {};

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(rules: readonly NatRule[], tables: () => NatTables | undefined, random: Random) {
    this.tables = tables;
    this.externals = new ExternalAddresses(random);
    this.sources = rules.flatMap((rule, index) => this.sourceOf(rule, index));
    this.statics = rules.flatMap((rule, index) => (rule.kind === 'static' ? [new StaticPrefixes(rule, index)] : []));
    this.forwards = rules.flatMap((rule, index) => (rule.kind === 'forward' ? this.forwardOf(rule, index) : []));
    this.outside = new Set([...this.sources, ...this.statics].flatMap(({ out }) => out ?? []));
    this.rehearse();
  }

  /** Looks whether devices have other addresses; to be called for each packet. */
  refresh(): void {
    const tables = this.tables();
    if (tables === undefined || tables.generation === this.generation) return;
    this.generation = tables.generation;
    for (const source of this.sources) {
      if (source.masquerades === undefined) continue;
      const address = addressOf(tables, source.masquerades, source.version);
      const [old] = source.pool;
      if (old !== undefined && address?.equals(old.address) === true) continue;
      source.pool = address === undefined ? [] : [this.externals.add(address)];
      if (old !== undefined) this.retire(old);
    }
    for (const forward of this.forwards) {
      const { rule, index, device, external: old } = forward;
      const address = addressOf(tables, device, ipOf(rule.to).version);
      forward.external = address === undefined ? undefined : this.externals.add(address);
      // Ports that are in use meanwhile are left to whom they are given.
      if (forward.external !== undefined) install(rule, index, forward.external);
      if (old !== undefined && old !== forward.external) this.retire(old);
    }
    this.own = [...tables.addresses.list(), ...tables.addresses6.list()].map(({ cidr }) => cidr.address);
    this.externals.setLocal(this.own);
  }

  /** The first rule that translates the source of a packet that leaves by `device`. */
  source(fields: PacketFields, device: Device | undefined): SourcePolicy | undefined {
    for (const source of this.sources) if (source.applies(fields, device)) return source;
    return undefined;
  }

  /** The same of packets that are to be translated or dropped: the host's own addresses are good outside as they are. */
  sourceOfOthers(fields: PacketFields, device: Device | undefined): SourcePolicy | undefined {
    const source = this.source(fields, device);
    return source === undefined || this.isOwn(fields) ? undefined : source;
  }

  /** The rule of internal hosts that a packet's sender is one of. */
  inside(fields: PacketFields, frame: Frame): SourcePolicy | undefined {
    for (const source of this.sources) if (source.isInside(fields, frame.device, this.outside)) return source;
    return undefined;
  }

  private sourceOf(rule: NatRule, index: number): SourcePolicy[] {
    if (rule.kind === 'masquerade') return [new SourcePolicy(rule, index, rule.version ?? 4)];
    if (rule.kind !== 'source') return [];
    const addresses = poolOf(rule, index);
    const policy = new SourcePolicy(rule, index, addresses[0]?.version ?? 4);
    policy.pool = addresses.map((address) => this.externals.add(address));
    return [policy];
  }

  private forwardOf(rule: ForwardRule, index: number): DeviceForward[] {
    if (rule.address !== undefined) {
      const external = this.externals.add(ipOf(rule.address));
      mustInstall(rule, index, external);
      this.named.add(external);
      return [];
    }
    const { version } = ipOf(rule.to);
    const devices = this.sources.flatMap((source) => (source.version === version ? (source.masquerades ?? []) : []));
    const device = rule.on ?? (devices.length === 1 ? devices[0] : undefined);
    if (device === undefined) throw invalid(index, 'ports of what? An address, or a device (on), must be given');
    return [{ rule, index, device, external: undefined }];
  }

  /** Finds out whether the ports of devices are forwarded twice. */
  private rehearse(): void {
    const stages = new Map<string, ExternalAddress>();
    for (const { rule, index, device } of this.forwards) {
      const to = ipOf(rule.to);
      const key = `${device} ${to.version}`;
      const stage = stages.get(key) ?? new ExternalAddress(to, 0);
      stages.set(key, stage);
      mustInstall(rule, index, stage);
    }
  }

  /** Whether the translator's own host has a packet's source address. */
  private isOwn({ source0, source1, source2, source3 }: PacketFields): boolean {
    for (const one of this.own) {
      const isIt = (one.word(3) | 0) === source3 && (one.word(2) | 0) === source2 && (one.word(1) | 0) === source1;
      if (isIt && (one.word(0) | 0) === source0) return true;
    }
    return false;
  }

  private retire(external: ExternalAddress): void {
    if (this.sources.some(({ pool }) => pool.includes(external))) return;
    if (this.forwards.some((forward) => forward.external === external)) return;
    this.retired(external);
    if (!this.named.has(external)) this.externals.remove(external);
  }
}

/** Whether a packet's source is none that anybody could answer from elsewhere, or its destination is a group or everybody. */
function staysOnLink({ version, source0, source3, destination0, destination3 }: PacketFields): boolean {
  if (version === 6) {
    const isLinkLocal = source0 >>> 22 === LINK_LOCAL6;
    return (
      isLinkLocal || source0 >>> 24 === 0xff || destination0 >>> 24 === 0xff || (source0 === 0 && source3 >>> 1 === 0)
    );
  }
  const top = source3 >>> 24;
  return (
    top === 0 ||
    top === 127 ||
    top >= FIRST_GROUP ||
    source3 >>> 16 === LINK_LOCAL4 ||
    destination3 >>> 24 >= FIRST_GROUP
  );
}

/** The address that a device sends with to anywhere. */
function addressOf(tables: NatTables, device: string, version: 4 | 6): IpAddress | undefined {
  if (version === 4) return tables.addresses.list().find((own) => own.device.name === device)?.cidr.address;
  const own = tables.addresses6.list().filter((one) => one.device.name === device && !one.tentative);
  const global = own.filter(({ cidr }) => !cidr.address.isLinkLocal);
  return (global.find(({ deprecated }) => !deprecated) ?? global[0])?.cidr.address;
}

/** @throws UsageError `ERR_INVALID_OPTION` */
function mustInstall(rule: ForwardRule, index: number, external: ExternalAddress): void {
  if (install(rule, index, external)) return;
  throw invalid(index, `ports ${rule.ports} of ${external.address.toString()} are forwarded already`);
}

/** Forwards the ports of a rule that are not taken; false where one of them is. @throws UsageError `ERR_INVALID_OPTION` */
function install(rule: ForwardRule, index: number, external: ExternalAddress): boolean {
  const { from, to } = portRange(rule.ports, index);
  const first = rule.toPort ?? from;
  const address = ipOf(rule.to);
  if (!(Number.isInteger(first) && first >= 1 && first + to - from <= 65_535)) {
    throw invalid(index, `ports ${from} to ${to} do not fit behind port ${first}`);
  }
  if (address.version !== external.address.version) throw invalid(index, 'addresses of two IP versions');
  const target: ForwardTarget = { address, shift: first - from };
  let all = true;
  for (const protocol of forwardProtocols(rule, index)) all = external.forward(protocol, from, to, target) && all;
  return all;
}
