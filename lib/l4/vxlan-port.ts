/** The networks of VXLAN that share one UDP port of a host: what comes in goes to the one whose identifier it has (RFC 7348 4.1). */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { IpVersion } from '../core/address.js';
import type { Frame } from '../core/frame.js';
import type { IpPacket } from '../wire/ip.js';
import { readVni, VXLAN_HEADER, VxlanHeader } from '../wire/vxlan.js';
import type { UdpTunnel, UdpTunnelReceiver, UdpTunnels } from './udp-tunnels.js';

const NAME = 'vxlan';

/** A virtual network, as far as a port needs to know it. */
export interface VxlanNetwork {
  readonly name: string;
  /** 1 to 0xffffff. */
  readonly vni: number;
  /** Of the network underneath. */
  readonly version: IpVersion;
  /** A frame of the network, valid during the call: its range is the Ethernet frame. `packet` is the one that it came in. */
  receive(frame: Frame, packet: IpPacket): void;
}

/** A port with its networks. */
export class VxlanPort implements UdpTunnelReceiver {
  /** It is open as long as there are networks. */
  readonly tunnel: UdpTunnel;
  private readonly env: Env;
  private readonly ports: Map<number, VxlanPort>;
  private readonly networks = new Map<number, VxlanNetwork>();

  private constructor(tunnels: UdpTunnels, ports: Map<number, VxlanPort>, port: number, env: Env) {
    this.env = env;
    this.ports = ports;
    this.tunnel = tunnels.open(port, this);
  }

  /**
   * Adds a network to a port, which is opened if it is the first one.
   *
   * @throws UsageError `ERR_INVALID_OPTION` where there is one of that number; NetError `EADDRINUSE`, `ENETDOWN` (the host has ended)
   */
  static join(tunnels: UdpTunnels, port: number, network: VxlanNetwork, env: Env): VxlanPort {
    const ports = portsOf.get(tunnels) ?? new Map<number, VxlanPort>();
    portsOf.set(tunnels, ports);
    const joined = ports.get(port) ?? new VxlanPort(tunnels, ports, port, env);
    ports.set(port, joined);
    const key = keyOf(network.vni, network.version);
    const other = joined.networks.get(key);
    if (other !== undefined) {
      throw new UsageError('ERR_INVALID_OPTION', `'${other.name}' is VXLAN ${network.vni} of port ${port} already`);
    }
    joined.networks.set(key, network);
    return joined;
  }

  /** Takes a network away; the last one closes the port. */
  leave(network: VxlanNetwork): void {
    this.networks.delete(keyOf(network.vni, network.version));
    if (this.networks.size > 0) return;
    this.tunnel.close();
    this.ports.delete(this.tunnel.port);
  }

  receive(frame: Frame, packet: IpPacket): void {
    const wrong = VxlanHeader.check(frame, frame.start);
    if (wrong !== undefined) return this.env.drops.report(wrong, frame, NAME);
    const vni = readVni(frame.slab.view, frame.start);
    const network = this.networks.get(keyOf(vni, packet.version));
    if (network === undefined) return this.env.drops.report(DropReason.VxlanUnknownNetwork, frame, NAME);
    frame.start += VXLAN_HEADER;
    return network.receive(frame, packet);
  }
}

const portsOf = new WeakMap<UdpTunnels, Map<number, VxlanPort>>();

function keyOf(vni: number, version: IpVersion): number {
  return vni * 2 + (version === 4 ? 0 : 1);
}
