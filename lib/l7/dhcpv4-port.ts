/**
 * How DHCP reaches the wire of one interface. Before a client has an address it sends from 0.0.0.0 to everybody, by one particular device and
 * whatever the routing table says; a server answers a client that cannot answer ARP yet (RFC 2131 4.1). No UDP socket may do such things,
 * so these datagrams are built here, link header and all, and leave by the host's UDP output as they are. Everything else goes
 * through ordinary sockets: replies to all are received by any wildcard socket, unicast by one that is bound to the address.
 */

import { Ipv4Address, MacAddress } from '../core/address.js';
import type { Device } from '../core/device.js';
import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { asTxPacket } from '../core/frame.js';
import { type IpOutput, pseudoHeaderSum, pushIpHeader } from '../l3/ip-output.js';
import type { UdpMessage, UdpSocket, UdpSockets } from '../l4/udp-api.js';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, type DhcpMessage, parseDhcp } from '../wire/dhcpv4.js';
import { EtherType, EthernetFrame } from '../wire/ethernet.js';
import { type IpFlow, IpProtocol } from '../wire/ip.js';
import { UDP_HEADER, UdpDatagram } from '../wire/udp.js';

const TTL = 64;

/** UDP as DHCP needs it; `UdpHost` is one. */
export interface DhcpUdp extends UdpSockets {
  readonly output: IpOutput;
}

/** DHCP's way to one wire. */
export interface DhcpPort {
  readonly mac: MacAddress;
  /** Who is told of messages. */
  received: ((message: DhcpMessage, from: Ipv4Address) => void) | undefined;
  /** Who is told that the stack has ended. */
  ended: (() => void) | undefined;
  /** Sends to everybody on the link, from an address that need not be ours yet. */
  broadcast(bytes: Uint8Array, source: Ipv4Address): void;
  /** Sends to a host that cannot answer ARP for its address yet. */
  sendTo(bytes: Uint8Array, destination: Ipv4Address, mac: MacAddress): void;
  /** Sends to a host in the ordinary way, from our address; it may get lost without a word. */
  send(bytes: Uint8Array, destination: Ipv4Address, port?: number): void;
  /** Our address, which unicast messages come to and go out from; `undefined` while there is none. */
  setAddress(address: Ipv4Address | undefined): void;
  close(): void;
}

/** Whose port it is. */
export type DhcpRole = 'client' | 'server';

/**
 * Opens DHCP's port on `device`.
 *
 * @throws NetError `EADDRINUSE`, `ENETDOWN`
 */
export function dhcpPort(udp: DhcpUdp, device: Device, role: DhcpRole, env: Env): DhcpPort {
  return new UdpDhcpPort(udp, device, role, env);
}

class UdpDhcpPort implements DhcpPort {
  readonly mac: MacAddress;
  received: ((message: DhcpMessage, from: Ipv4Address) => void) | undefined = undefined;
  ended: (() => void) | undefined = undefined;
  private readonly udp: DhcpUdp;
  private readonly device: Device;
  private readonly env: Env;
  private readonly localPort: number;
  private readonly remotePort: number;
  private readonly anywhere: UdpSocket;
  private here: UdpSocket | undefined = undefined;
  private identification: number;

  constructor(udp: DhcpUdp, device: Device, role: DhcpRole, env: Env) {
    this.udp = udp;
    this.device = device;
    this.env = env;
    this.mac = device.mac;
    const isClient = role === 'client';
    this.localPort = isClient ? DHCP_CLIENT_PORT : DHCP_SERVER_PORT;
    this.remotePort = isClient ? DHCP_SERVER_PORT : DHCP_CLIENT_PORT;
    this.identification = env.random.below(0x1_0000);
    this.anywhere = this.bind(Ipv4Address.ANY);
  }

  broadcast(bytes: Uint8Array, source: Ipv4Address): void {
    this.emit(bytes, source, Ipv4Address.BROADCAST, MacAddress.BROADCAST);
  }

  sendTo(bytes: Uint8Array, destination: Ipv4Address, mac: MacAddress): void {
    this.emit(
      bytes,
      this.here?.local.address.version === 4 ? this.here.local.address : Ipv4Address.ANY,
      destination,
      mac,
    );
  }

  send(bytes: Uint8Array, destination: Ipv4Address, port: number = this.remotePort): void {
    try {
      this.here?.send(bytes, { address: destination, port });
    } catch {
      // No route, say: lost like any datagram, and sent again in time.
    }
  }

  setAddress(address: Ipv4Address | undefined): void {
    this.here?.close();
    this.here = address && this.bind(address);
  }

  close(): void {
    this.anywhere.close();
    this.here?.close();
    this.here = this.received = this.ended = undefined;
  }

  private bind(address: Ipv4Address): UdpSocket {
    return this.udp.bind(
      { address, port: this.localPort },
      { message: (message) => this.receive(message), error: ({ code }) => this.failed(code, address) },
      { reuseAddress: true },
    );
  }

  /** Errors about datagrams of ours are lost datagrams; but both sockets hear when the stack ends. */
  private failed(code: string, { isUnspecified }: Ipv4Address): void {
    if (code === 'ENETDOWN' && isUnspecified) this.ended?.();
  }

  private receive({ data, source, device }: UdpMessage): void {
    if (device !== undefined && device !== this.device) return;
    let message: DhcpMessage;
    try {
      message = parseDhcp(data);
    } catch {
      return;
    }
    if (source.address.version === 4) this.received?.(message, source.address);
  }

  private emit(bytes: Uint8Array, source: Ipv4Address, destination: Ipv4Address, mac: MacAddress): void {
    const { pool, drops } = this.env;
    const flow: IpFlow<4> = {
      version: 4,
      source,
      destination,
      protocol: IpProtocol.Udp,
      hopLimit: TTL,
      trafficClass: 0,
      dontFragment: false,
    };
    const frame = pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    UdpDatagram.emit(frame, this.localPort, this.remotePort, pseudoHeaderSum(flow, UDP_HEADER + bytes.length));
    this.identification = (this.identification + 1) & 0xffff;
    pushIpHeader(frame, flow, this.identification);
    if (this.device.medium === 'ethernet') {
      EthernetFrame.emit(frame, mac.value, this.mac.value, EtherType.Ipv4);
    } else {
      // On a link without addresses the packet is the frame; that `link` is at its start says that it needs no route.
      frame.link = frame.start;
    }
    frame.device = this.device;
    // The way out tells a finished frame from a packet by where it starts, and lets it pass.
    if (this.udp.output.emit !== undefined) return this.udp.output.emit(asTxPacket(frame));
    drops.report(DropReason.DeviceDown, frame, 'dhcpPort');
    return frame.release();
  }
}
