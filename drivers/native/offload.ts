/**
 * What a TAP or TUN descriptor and its user settle about offloads (Documentation/networking/tuntap.rst): a virtio-net header in front of
 * every frame, and what the kernel may leave undone in frames for us. What we leave undone it takes with the header alone.
 */

import { VIRTIO_NET_HEADER } from '../../lib/wire/virtio-net.js';
import { systemError } from './errno.js';
import {
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_TSO_ECN,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNGETFEATURES,
  TUNGETIFF,
  TUNSETOFFLOAD,
  TUNSETVNETHDRSZ,
} from './if-tun.js';
import type { Libc } from './libc.js';

const TCP_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
const UDP_OFFLOADS = TUN_F_USO4 | TUN_F_USO6;

// From all that is wanted to nothing: a kernel refuses a set with an offload that is newer than itself.
const WANTED: readonly number[] = [TCP_OFFLOADS | TUN_F_TSO_ECN, TCP_OFFLOADS, TUN_F_CSUM, 0];

/** What was settled. */
export interface Offloads {
  /** Frames have a virtio-net header in front, of `VIRTIO_NET_HEADER` bytes; checksums and segments of TCP may be left to the kernel. */
  readonly vnetHeader: boolean;
  /** Segments of UDP as well. */
  readonly udpSegmentation: boolean;
}

/** Whether the kernel knows virtio-net headers. */
export function knowsVnetHeader(c: Libc, fd: number): boolean {
  const features = new Uint32Array(1);
  const answered = c.ioctl(fd, TUNGETFEATURES, new Uint8Array(features.buffer)) === 0;
  return answered && ((features[0] ?? 0) & IFF_VNET_HDR) !== 0;
}

/**
 * Settles the offloads of a descriptor that has been attached to its interface. Queues of one interface share them: as the first one
 * was opened, with headers or without, so are all.
 *
 * @throws NetError where the kernel does not say what the descriptor is
 */
export function settleOffloads(c: Libc, fd: number): Offloads {
  if (!hasVnetHeader(c, fd)) {
    // A persistent interface remembers those of its last user, and would hand out super-segments that nothing tells apart.
    c.ioctlValue(fd, TUNSETOFFLOAD, 0);
    return { vnetHeader: false, udpSegmentation: false };
  }
  const size = Uint32Array.of(VIRTIO_NET_HEADER);
  if (c.ioctl(fd, TUNSETVNETHDRSZ, new Uint8Array(size.buffer)) < 0)
    throw systemError(c.errno(), 'ioctl', 'cannot set the length of virtio-net headers');
  // Whoever knows these (6.2) takes super-segments of UDP from us. We take none: of datagrams many a pipeline sees every single one.
  const udpSegmentation = c.ioctlValue(fd, TUNSETOFFLOAD, TCP_OFFLOADS | UDP_OFFLOADS) === 0;
  for (const set of WANTED) if (c.ioctlValue(fd, TUNSETOFFLOAD, set) === 0) break;
  return { vnetHeader: true, udpSegmentation };
}

function hasVnetHeader(c: Libc, fd: number): boolean {
  const request = new Uint8Array(IFREQ);
  if (c.ioctl(fd, TUNGETIFF, request) < 0) throw systemError(c.errno(), 'ioctl', 'cannot ask what was opened');
  return (new DataView(request.buffer).getUint16(IFNAMSIZ, true) & IFF_VNET_HDR) !== 0;
}
