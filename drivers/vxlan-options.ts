/** What a VXLAN device is told, and what it can be told later. */

import type { IpAddress, MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import { UsageError } from '../lib/core/errors.js';
import type { UdpTunnels } from '../lib/l4/udp-tunnels.js';
import { MAX_VNI, VXLAN_PORT } from '../lib/wire/vxlan.js';

/** The host under a VXLAN: any `host` or `router`. */
export interface VxlanUnderlay {
  readonly udp: { readonly tunnels: UdpTunnels };
}

/** A station, and the peer that it is behind. */
export interface VxlanStation {
  readonly mac: MacAddress | string;
  readonly peer: IpAddress | string;
}

/** Options of {@link vxlanDevice}. */
export interface VxlanDeviceOptions {
  /** Identifier of the virtual network, 1 to 0xffffff. */
  readonly vni: number;
  /** The host whose UDP carries it. Left out: {@link VxlanDevice.attach} says it later. */
  readonly underlay?: VxlanUnderlay;
  /** Our end: an address of the underlying host, to send from and to receive at, in its zone where it has one. Default: as the routes say, and all. */
  readonly local?: IpAddress | string;
  /** Other ends, of one IP version: each is sent what is for many, and what is for a station that is not known. */
  readonly peers?: readonly (IpAddress | string)[];
  /** Take frames from ends that nobody named. Default: where there are no `peers`. */
  readonly anyPeer?: boolean;
  /** Remember behind which peer stations are. Default true. */
  readonly learning?: boolean;
  /** Stations whose peer is known from the start. */
  readonly stations?: readonly VxlanStation[];
  /** Milliseconds after which a silent station is forgotten. Default 5 minutes. */
  readonly ageing?: number;
  /** Stations that it remembers. Default 8192. */
  readonly mostStations?: number;
  /** UDP port of all ends. Default 4789. */
  readonly port?: number;
  /** TTL or hop limit of the outer packets, 1 to 255. Default 64. */
  readonly hopLimit?: number;
  /** DSCP of the outer packets, 0 to 63; `inherit` is that of the packet inside. Default `inherit`. Marks of congestion follow RFC 6040. */
  readonly dscp?: number | 'inherit';
  /** Compute the outer UDP checksum. Default: over IPv6 only, as Linux does; what is inside has its own (RFC 6935). */
  readonly checksum?: boolean;
  /** Take datagrams without a checksum over IPv6 (RFC 6936). Default false. It is one setting for all networks of a port. */
  readonly acceptZeroChecksum6?: boolean;
  /**
   * Refuse outer packets that are larger than their path's MTU, instead of sending them in fragments. Default false, as on Linux, though RFC 7348
   * 4.3 has ends send no fragments, and lets them drop those that come: none are sent while the MTU is as small as the default one.
   */
  readonly dontFragment?: boolean;
  /** Default `vxlan` and the identifier. */
  readonly name?: string;
  /** Default: a locally administered one, drawn from the environment. */
  readonly mac?: MacAddress | string;
  /**
   * Largest IP packet inside, in bytes, 68 to 65,477, over IPv6 to 65,457. Default: what fits the path to the first peer, or 1500 bytes, without
   * fragments: it follows when the device is attached, and when another peer becomes the first. Where the path leads over a bridge that the device is a
   * port of, it is as if this port had 1500 bytes; such a bridge needs an `mtu` of its own, or it follows the device, and outer packets go in fragments.
   * VLAN tags take room of it: VLANs on the device have an MTU that is smaller by their tags.
   */
  readonly mtu?: number;
}

/** A VXLAN device. */
export interface VxlanDevice extends Device {
  readonly vni: number;
  /** The other ends that were named. */
  readonly peers: readonly IpAddress[];
  /** Stations, the peers that they are behind, and when they were last heard of (`undefined`: it was told). */
  readonly stations: readonly {
    readonly mac: MacAddress;
    readonly peer: IpAddress;
    readonly heardAt: number | undefined;
  }[];
  /** Says whose UDP carries it, where that could not be said when it was made. @throws UsageError `ERR_INVALID_STATE`; NetError `EADDRINUSE` */
  attach(underlay: VxlanUnderlay): void;
  /** Names another end. @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  addPeer(peer: IpAddress | string): void;
  /** Forgets another end and the stations behind it; says whether it was one. */
  removePeer(peer: IpAddress | string): boolean;
  /**
   * Says behind which peer a station is, wherever it is heard; what comes from that peer is taken.
   *
   * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
   */
  pin(mac: MacAddress | string, peer: IpAddress | string): void;
  /** Undoes {@link VxlanDevice.pin}, also for the peer if nothing else names it; says whether there was something to undo. */
  unpin(mac: MacAddress | string): boolean;
}

/** @throws UsageError `ERR_INVALID_OPTION` for a number out of range */
export function checkVxlanOptions({
  vni,
  port = VXLAN_PORT,
  hopLimit = 64,
  dscp = 0,
  ageing = 0,
  mostStations = 1,
}: VxlanDeviceOptions): void {
  const isBetween = (value: number, least: number, most: number): boolean =>
    Number.isInteger(value) && value >= least && value <= most;
  const wrong = !isBetween(vni, 1, MAX_VNI)
    ? `VXLAN identifier ${vni} is not in 1..${MAX_VNI}`
    : !isBetween(port, 1, 65_535)
      ? `port ${port} is not in 1..65535`
      : !isBetween(hopLimit, 1, 255)
        ? `a hop limit is a whole number from 1 to 255, not ${hopLimit}`
        : dscp !== 'inherit' && !isBetween(dscp, 0, 63)
          ? `DSCP ${dscp} is not in 0..63`
          : !(ageing >= 0 && mostStations >= 1)
            ? 'a VXLAN that remembers nothing'
            : undefined;
  if (wrong !== undefined) throw new UsageError('ERR_INVALID_OPTION', wrong);
}
