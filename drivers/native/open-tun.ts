/** Opens TAP and TUN interfaces and sets their kernel's side; {@link openTap} and {@link openTun} are what users call. */

import { closeSync, constants, openSync } from 'node:fs';
import type { Cidr, MacAddress } from '../../lib/core/address.js';
import { Cidr as Prefix } from '../../lib/core/address.js';
import { NetError } from '../../lib/core/errors.js';
import { EINVAL, systemError } from './errno.js';
import { IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR, IFNAMSIZ, IFREQ, TUNSETIFF, TUNSETPERSIST } from './if-tun.js';
import { type Libc, libc } from './libc.js';
import { checkOptions, type TunOptions } from './tun-options.js';
import { knowsVnetHeader, type Offloads, settleOffloads } from './offload.js';
import { steerReceiving } from './receive-steering.js';
import { addAddress, setLink } from './rtnetlink.js';

const DEVICE = '/dev/net/tun';

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
  /** Whether it was made for this descriptor and goes with it: nobody else has set anything of it. */
  readonly isOwn: boolean;
}

/**
 * Opens an interface in the network namespace of this thread and sets its kernel's side. Whether it is to stay is left for later.
 *
 * @throws UsageError `ERR_INVALID_OPTION`
 * @throws NetError `ENOTSUP` on other systems, `ENODEV` without /dev/net/tun, `EACCES` or `EPERM` without permission, `EBUSY`
 *   where the name is taken
 */
export function openTunInterface(kind: number, options: TunOptions, peerMac?: MacAddress): OpenedTun {
  checkOptions(options);
  const peers = (options.peer ?? []).map((peer) => Prefix.of(peer));
  const { name: wanted = '', persist } = options;
  const c = libc();
  const fd = openControl();
  try {
    const isOwn = persist !== true && c.ifNameToIndex(wanted) === 0;
    const name = attach(c, fd, kind, options);
    const offloads = settleOffloads(c, fd);
    options.onOpen?.(fd);
    configure(name, options, peers, peerMac);
    return { fd, name, offloads, isOwn };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Says whether an interface stays without its descriptor. @throws NetError */
export function setPersistence(c: Libc, { fd, name }: OpenedTun, persist: boolean): void {
  if (c.ioctlValue(fd, TUNSETPERSIST, persist ? 1 : 0) >= 0) return;
  throw systemError(c.errno(), 'ioctl', `cannot have ${name} ${persist ? 'stay' : 'go'} when it is closed`);
}

function configure(name: string, options: TunOptions, peers: readonly Cidr[], mac: MacAddress | undefined): void {
  const { mtu, receiveQueue, receiveProcessors, up } = options;
  // The link address changes only while the interface is down.
  if (mac !== undefined) setLink(name, { mac });
  if (mtu !== undefined || receiveQueue !== undefined) setLink(name, { mtu, queueLength: receiveQueue });
  if (receiveProcessors !== undefined) steerReceiving(name, receiveProcessors);
  for (const peer of peers) addAddress(name, peer);
  if (up !== false) setLink(name, { up: true });
}
