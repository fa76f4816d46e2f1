/**
 * The kernel's side of an interface, set through rtnetlink (rtnetlink(7)): MTU, link address, queue length, addresses, up.
 * Each request is one message that the kernel carries out and acknowledges before `send` returns.
 */

import type { Cidr, MacAddress } from '../../lib/core/address.js';
import { systemError } from './errno.js';
import { libc } from './libc.js';

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;

// linux/netlink.h, linux/rtnetlink.h
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
const NLM_F_REPLACE = 0x100;
const NLM_F_CREATE = 0x400;
const NLMSG_ERROR = 2;

// linux/if_link.h, linux/if_addr.h, linux/if.h
const IFLA_ADDRESS = 1;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_F_NODAD = 0x02;
const IFF_UP = 1;

const HEADER = 16;

/** A netlink message under construction; its integers are in the machine's order. */
class Message {
  private readonly bytes = new Uint8Array(256);
  private readonly view = new DataView(this.bytes.buffer);
  private length = HEADER;

  constructor(type: number, flags: number) {
    this.view.setUint16(4, type, true);
    this.view.setUint16(6, flags, true);
  }

  u8(value: number): this {
    this.view.setUint8(this.length++, value);
    return this;
  }

  u32(value: number): this {
    this.view.setUint32(this.length, value, true);
    this.length += 4;
    return this;
  }

  /** Appends an attribute; `write` fills its payload of `size` bytes at the given offset. */
  attribute(type: number, size: number, write: (view: DataView, at: number) => void): this {
    this.view.setUint16(this.length, 4 + size, true);
    this.view.setUint16(this.length + 2, type, true);
    write(this.view, this.length + 4);
    this.length += (4 + size + 3) & ~3;
    return this;
  }

  finish(): Uint8Array {
    this.view.setUint32(0, this.length, true);
    return this.bytes.subarray(0, this.length);
  }
}

function request(message: Message, purpose: string): void {
  const c = libc();
  const fd = c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0);
  if (fd < 0) throw systemError(c.errno(), 'socket', purpose);
  try {
    const bytes = message.finish();
    if (c.send(fd, bytes, bytes.length, 0) < 0) throw systemError(c.errno(), 'send', purpose);
    const answer = new Uint8Array(4096);
    const view = new DataView(answer.buffer);
    const length = c.recv(fd, answer, answer.length, 0);
    if (length < 0) throw systemError(c.errno(), 'recv', purpose);
    const failed = view.getUint16(4, true) === NLMSG_ERROR ? -view.getInt32(HEADER, true) : 0;
    if (failed !== 0) throw systemError(failed, 'rtnetlink', purpose);
  } finally {
    libc().close(fd);
  }
}

/** What to set of an interface; what is left out stays. */
export interface LinkSettings {
  readonly mac?: MacAddress | undefined;
  readonly mtu?: number | undefined;
  /** Packets that the kernel queues for the reader. */
  readonly queueLength?: number | undefined;
  readonly up?: boolean | undefined;
}

/** Index of the interface in this thread's network namespace. @throws NetError `ENODEV` */
export function interfaceIndex(name: string): number {
  const c = libc();
  const index = c.ifNameToIndex(name);
  if (index === 0) throw systemError(c.errno(), 'if_nametoindex', `no interface ${name}`);
  return index;
}

/** Sets an interface of this thread's network namespace. @throws NetError with the kernel's code */
export function setLink(name: string, settings: LinkSettings): void {
  const { mac, mtu, queueLength, up } = settings;
  const message = new Message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
  message.u32(0).u32(interfaceIndex(name));
  message.u32(up === true ? IFF_UP : 0).u32(up === undefined ? 0 : IFF_UP);
  if (mac !== undefined) {
    message.attribute(IFLA_ADDRESS, 6, (view, at) => {
      view.setUint16(at, mac.value / 0x1_0000_0000);
      view.setUint32(at + 2, mac.value % 0x1_0000_0000);
    });
  }
  if (mtu !== undefined) message.attribute(IFLA_MTU, 4, (view, at) => view.setUint32(at, mtu, true));
  if (queueLength !== undefined) {
    message.attribute(IFLA_TXQLEN, 4, (view, at) => view.setUint32(at, queueLength, true));
  }
  request(message, `cannot set interface ${name}`);
}

/** Gives an interface an address, without duplicate detection; one that it has already stays. @throws NetError */
export function addAddress(name: string, cidr: Cidr): void {
  const { address } = cidr;
  const ipv4 = address.version === 4;
  const message = new Message(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  message.u8(ipv4 ? AF_INET : AF_INET6).u8(cidr.length);
  message.u8(ipv4 ? 0 : IFA_F_NODAD).u8(0);
  message.u32(interfaceIndex(name));
  const write = (view: DataView, at: number) => void address.write(view, at);
  message.attribute(IFA_LOCAL, ipv4 ? 4 : 16, write).attribute(IFA_ADDRESS, ipv4 ? 4 : 16, write);
  const { broadcast } = cidr;
  if (broadcast !== undefined) message.attribute(IFA_BROADCAST, 4, (view, at) => void broadcast.write(view, at));
  request(message, `cannot give ${cidr.toString()} to ${name}`);
}

/** Removes an interface. @throws NetError */
export function deleteLink(name: string): void {
  const message = new Message(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK);
  message.u32(0).u32(interfaceIndex(name)).u32(0).u32(0);
  request(message, `cannot remove ${name}`);
}
