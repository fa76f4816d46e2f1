/** What the configuration of a router says, read and checked value by value: the type of what `schema` lets through. */

import type { Cidr, IpAddress, Ipv4Address, Ipv6Address, IpVersion, MacAddress } from '../../lib/core/address.js';
import type { Processors } from '../../drivers/native/receive-steering.js';
import type { IoKind } from '../../drivers/native/tun-io.js';
import type { Place } from './text-types.js';

export interface VlanConfiguration {
  readonly parent: string;
  readonly id: number;
  readonly priority?: number;
  readonly protocol?: '802.1Q' | '802.1ad';
}

export interface BridgeConfiguration {
  readonly ports: readonly string[];
  /** Seconds. */
  readonly ageing?: number;
}

export interface VxlanConfiguration {
  readonly id: number;
  readonly local: IpAddress;
  readonly peers?: readonly IpAddress[];
  readonly port?: number;
}

export interface DhcpConfiguration {
  readonly first: IpAddress;
  readonly last: IpAddress;
  /** Seconds. */
  readonly lease?: number;
  readonly routers?: readonly Ipv4Address[];
  readonly dns?: readonly Ipv4Address[];
  readonly domain?: string;
  readonly reservations?: Readonly<Record<string, IpAddress>>;
}

export interface AdvertiseConfiguration {
  readonly dns?: readonly Ipv6Address[];
  readonly search?: readonly string[];
  /** Seconds; 0: it is no default router. */
  readonly lifetime?: number;
}

/** A device, and how the router uses it. */
export interface DeviceConfiguration {
  readonly kind?: 'tap' | 'tun' | 'vlan' | 'bridge' | 'vxlan';
  readonly vlan?: VlanConfiguration;
  readonly bridge?: BridgeConfiguration;
  readonly vxlan?: VxlanConfiguration;
  readonly addresses?: readonly Cidr[];
  readonly peer?: readonly Cidr[];
  readonly mac?: MacAddress;
  readonly mtu?: number;
  readonly offload?: boolean;
  readonly io?: IoKind;
  readonly busyPoll?: number;
  readonly wakeLatency?: number;
  readonly receiveProcessors?: Processors;
  readonly forwarding?: boolean;
  readonly redirects?: boolean;
  readonly clampMss?: boolean | number;
  readonly reversePath?: 'strict' | 'loose';
  readonly proxy?: boolean | readonly Cidr[];
  readonly dhcp?: DhcpConfiguration;
  readonly advertise?: boolean | AdvertiseConfiguration;
}

export interface NextHopConfiguration {
  readonly via?: IpAddress;
  readonly device?: string;
  readonly weight?: number;
}

export interface RouteConfiguration extends NextHopConfiguration {
  readonly to: Cidr | 'default';
  readonly type?: 'unicast' | 'blackhole' | 'unreachable' | 'prohibit';
  readonly through?: readonly NextHopConfiguration[];
  readonly metric?: number;
  readonly mtu?: number;
  readonly table?: number | string;
}

export interface PolicyConfiguration {
  readonly priority: number;
  readonly from?: Cidr;
  readonly to?: Cidr;
  readonly device?: string;
  readonly mark?: number;
  readonly mask?: number;
  readonly dscp?: number;
  readonly origin?: 'local' | 'forwarded';
  readonly invert?: boolean;
  readonly table?: number | string;
  readonly action?: 'blackhole' | 'unreachable' | 'prohibit';
  readonly suppressPrefixLength?: number;
}

interface SourceConfiguration {
  readonly from?: readonly Cidr[];
  readonly filter?: 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';
  readonly ports?: string;
  readonly preservePorts?: boolean;
}

export interface NatConfiguration {
  readonly masquerade?: readonly (SourceConfiguration & { readonly out: string; readonly version?: IpVersion })[];
  readonly source?: readonly (SourceConfiguration & { readonly out?: string; readonly to: readonly string[] })[];
  readonly forward?: readonly {
    readonly protocol: 'tcp' | 'udp' | readonly ('tcp' | 'udp')[];
    readonly address?: IpAddress;
    readonly on?: string;
    readonly ports: number | string;
    readonly to: IpAddress;
    readonly toPort?: number;
  }[];
  readonly static?: readonly { readonly internal: Cidr; readonly external: Cidr; readonly out?: string }[];
  readonly capacity?: number;
  readonly perHost?: number;
}

export interface ConntrackConfiguration {
  readonly capacity?: number;
  readonly midStream?: 'track' | 'untracked' | 'invalid';
  readonly invalid?: 'pass' | 'drop';
}

/** The whole of it. */
export interface RouterConfiguration {
  /** For editors; it says nothing. */
  readonly $schema?: string;
  /** By name. */
  readonly devices: Readonly<Record<string, DeviceConfiguration>>;
  readonly routes?: readonly RouteConfiguration[];
  readonly policy?: readonly PolicyConfiguration[];
  /** Rules as text. */
  readonly firewall?: string;
  readonly conntrack?: ConntrackConfiguration;
  readonly nat?: NatConfiguration;
  readonly hopLimit?: number;
  /** Path of a Unix socket. */
  readonly control?: string;
  readonly metrics?: Place;
}
