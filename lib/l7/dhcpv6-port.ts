/**
 * How a DHCPv6 client reaches the wire of one interface: by an ordinary UDP socket at its link-local address (RFC 8415 7.2, 16). While there is
 * no such address what is sent gets lost, and is sent again in time.
 */

import { Ipv6Address } from '../core/address.js';
import type { Device } from '../core/device.js';
import type { NetError } from '../core/errors.js';
import type { IpTables } from '../l3/ip-tables.js';
import type { UdpMessage, UdpSocket, UdpSockets } from '../l4/udp-api.js';
import {
  DHCPV6_CLIENT_PORT,
  DHCPV6_SERVER_PORT,
  DHCPV6_SERVERS,
  type Dhcpv6Values,
  emitDhcpv6,
  parseDhcpv6,
} from '../wire/dhcpv6.js';

/** DHCPv6's way to one wire. */
export interface Dhcpv6Port {
  /** Who is told of messages. */
  received: ((message: Dhcpv6Values) => void) | undefined;
  /** Who is told that the stack has ended. */
  ended: (() => void) | undefined;
  /** Sends to all servers and relays of the link. */
  send(message: Dhcpv6Values): void;
  close(): void;
}

/** Opens the client's port on `device`. @throws NetError `EADDRINUSE`, `ENETDOWN` */
export function dhcpv6Port(udp: UdpSockets, tables: IpTables, device: Device): Dhcpv6Port {
  return new UdpDhcpv6Port(udp, tables, device);
}

class UdpDhcpv6Port implements Dhcpv6Port {
  received: ((message: Dhcpv6Values) => void) | undefined = undefined;
  ended: (() => void) | undefined = undefined;
  private readonly udp: UdpSockets;
  private readonly tables: IpTables;
  private readonly device: Device;
  /** Holds the port, and hears of the end, while there is no address yet. */
  private readonly anywhere: UdpSocket;
  private socket: UdpSocket | undefined = undefined;

  constructor(udp: UdpSockets, tables: IpTables, device: Device) {
    this.udp = udp;
    this.tables = tables;
    this.device = device;
    this.anywhere = this.bind(Ipv6Address.ANY);
  }

  send(message: Dhcpv6Values): void {
    try {
      this.open()?.send(emitDhcpv6(message), { address: DHCPV6_SERVERS, port: DHCPV6_SERVER_PORT });
    } catch {
      // No route, or the port is taken: lost like any datagram.
    }
  }

  close(): void {
    this.received = this.ended = undefined;
    this.anywhere.close();
    this.socket?.close();
    this.socket = undefined;
  }

  /** The socket at the present link-local address. */
  private open(): UdpSocket | undefined {
    const address = this.linkLocal();
    if (this.socket !== undefined && address?.equals(this.socket.local.address) === true) return this.socket;
    this.socket?.close();
    this.socket = undefined;
    if (address !== undefined) this.socket = this.bind(address);
    return this.socket;
  }

  private linkLocal(): Ipv6Address | undefined {
    const all = this.tables.addresses6.list();
    const own = all.find((one) => one.device === this.device && one.cidr.address.isLinkLocal && !one.tentative);
    return own?.cidr.address;
  }

  private bind(address: Ipv6Address): UdpSocket {
    const error = ({ code }: NetError) => {
      if (code === 'ENETDOWN' && address.isUnspecified) this.ended?.();
    };
    const message = (received: UdpMessage) => this.receive(received);
    return this.udp.bind({ address, port: DHCPV6_CLIENT_PORT }, { message, error }, { reuseAddress: true });
  }

  private receive({ data, device }: UdpMessage): void {
    if (device !== undefined && device !== this.device) return;
    const message = parseDhcpv6(data);
    if (message !== undefined) this.received?.(message);
  }
}
