/** Opens TAP and TUN interfaces and sets their kernel's side; {@link openTap} and {@link openTun} are what users call. */

import { closeSync, constants, openSync } from 'node:fs';
import type { Cidr, MacAddress } from '../../lib/core/address.js';
import { Cidr as Prefix } from '../../lib/core/address.js';
import { NetError, UsageError } from '../../lib/core/errors.js';
import { EINVAL, systemError } from './errno.js';
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR, IFNAMSIZ, IFREQ, TUNSETIFF, TUNSETPERSIST } from './if-tun.js';
import { type Libc, libc } from './libc.js';
import type { IoKind } from './tun-io.js';
import { knowsVnetHeader, type Offloads, settleOffloads } from './offload.js';
import { addAddress, setLink } from './rtnetlink.js';

const DEVICE = '/dev/net/tun';

/** Options that TAP and TUN share. */
export interface TunOptions {
  /** Name of the interface, up to 15 bytes; `%d` in it, or leaving it out, lets the kernel choose a number. */
  readonly name?: string;
  /** Largest IP packet, in bytes, 68 to 65,521; also set on the kernel's side. Default 1500. */
  readonly mtu?: number;
  /** Addresses of the kernel's side, e.g. `10.77.0.1/24`. */
  readonly peer?: readonly (Cidr | string)[];
  /** Whether to bring the kernel's side up. Default true; `false` leaves it as it is. */
  readonly up?: boolean;
  /** Whether the interface stays when the device is closed. Left out, it stays as it is: a new one goes. */
  readonly persist?: boolean;
  /** Whether further devices may be opened on the same interface, each with a share of its traffic. Default false. */
  readonly multiQueue?: boolean;
  /** Frames that the kernel queues for us. The kernel's default is 1000 for TAP and 500 for TUN. */
  readonly receiveQueue?: number;
  /**
   * Whether checksums and segmentation may be left to the kernel's side, both ways: frames then have a virtio-net header
   * (`IFF_VNET_HDR`) in front on their way through the descriptor, and may be super-segments of 64 KiB. Default true; where the kernel
   * knows no such header it is as if false.
   */
  readonly offload?: boolean;
  /**
   * How frames are read and written: with io_uring many at a time, or with one system call each. Default `auto`: io_uring where the kernel
   * allows it. `uring` fails where it does not.
   */
  readonly io?: IoKind;
  /** Frames that wait for an interface that takes none at the moment; more are dropped. Default 1024. */
  readonly sendQueue?: number;
}

/** Largest MTU: an IP packet is at most 65,535 bytes, and the kernel takes that much with the link header. */
const LARGEST_MTU = 65_521;

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}

function checkOptions(options: TunOptions): void {
  const { name, mtu, receiveQueue, sendQueue, io } = options;
  const whole = (value: number | undefined, least: number, most: number) =>
    value === undefined || (Number.isInteger(value) && value >= least && value <= most);
  if (name !== undefined && !/^(?!\.{1,2}$)[^\s/:%\0]*(?:%d)?$/.test(name))
    throw invalid(`bad interface name ${JSON.stringify(name)}`);
  if (name !== undefined && Buffer.byteLength(name) >= IFNAMSIZ)
    throw invalid(`interface name ${name} is longer than 15 bytes`);
  if (io !== undefined && !['auto', 'uring', 'calls'].includes(io)) throw invalid(`io ${String(io)} is not known`);
  if (!whole(mtu, 68, LARGEST_MTU)) throw invalid(`mtu ${mtu} is not in 68..${LARGEST_MTU}`);
  if (!whole(receiveQueue, 1, 1_000_000)) throw invalid(`receiveQueue ${receiveQueue} is not in 1..1,000,000`);
  if (!whole(sendQueue, 1, 1_000_000)) throw invalid(`sendQueue ${sendQueue} is not in 1..1,000,000`);
}

function openControl(): number {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK | 0x80000);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    throw systemError(-(errno ?? 0), 'open', `cannot open ${DEVICE}`);
  }
}

/** Attaches the descriptor to an interface and returns its name. */
function attach(c: Libc, fd: number, kind: number, options: TunOptions): string {
  const wanted = options.name ?? '';
  const request = new Uint8Array(IFREQ);
  new TextEncoder().encodeInto(wanted, request);
  const vnetHeader = options.offload !== false && knowsVnetHeader(c, fd);
  const flags =
    kind | IFF_NO_PI | (options.multiQueue === true ? IFF_MULTI_QUEUE : 0) | (vnetHeader ? IFF_VNET_HDR : 0);
  new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
  if (c.ioctl(fd, TUNSETIFF, request) < 0) {
    const errno = c.errno();
    if (errno === EINVAL && wanted !== '' && c.ifNameToIndex(wanted) !== 0) {
      throw new NetError('EBUSY', `interface ${wanted} exists and is of another kind: EBUSY (ioctl)`, {
        syscall: 'ioctl',
      });
    }
    throw systemError(errno, 'ioctl', `cannot open interface ${wanted === '' ? 'of any name' : wanted}`);
  }
  return new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
}

/** An opened interface. */
export interface OpenedTun {
  readonly fd: number;
  readonly name: string;
  readonly offloads: Offloads;
}

/**
 * Opens an interface in the network namespace of this thread and sets its kernel's side.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @throws NetError `ENOTSUP` on other systems, `ENODEV` without /dev/net/tun, `EACCES` or `EPERM` without permission, `EBUSY`
 *   where the name is taken
 */
export function openTunInterface(kind: number, options: TunOptions, peerMac?: MacAddress): OpenedTun {
  checkOptions(options);
  const peers = (options.peer ?? []).map((peer) => Prefix.of(peer));
  const c = libc();
  const fd = openControl();
  try {
    const name = attach(c, fd, kind, options);
    const offloads = settleOffloads(c, fd);
    if (options.persist !== undefined && c.ioctlValue(fd, TUNSETPERSIST, options.persist ? 1 : 0) < 0) {
      throw systemError(c.errno(), 'ioctl', `cannot make ${name} persistent`);
    }
    configure(name, options, peers, peerMac);
    return { fd, name, offloads };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function configure(name: string, options: TunOptions, peers: readonly Cidr[], mac: MacAddress | undefined): void {
  const { mtu, receiveQueue, up } = options;
  // The link address changes only while the interface is down.
  if (mac !== undefined) setLink(name, { mac });
  if (mtu !== undefined || receiveQueue !== undefined) setLink(name, { mtu, queueLength: receiveQueue });
  for (const peer of peers) addAddress(name, peer);
  if (up !== false) setLink(name, { up: true });
}
