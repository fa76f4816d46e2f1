/** Options of TAP and TUN devices, and what is wrong with them. */

import type { Cidr } from '../../lib/core/address.js';
import { UsageError } from '../../lib/core/errors.js';
import { IFNAMSIZ } from './if-tun.js';
import { checkProcessors, type Processors } from './receive-steering.js';
import { IO_KINDS, type IoKind } from './tun-io.js';

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
   * (`IFF_VNET_HDR`) in front on their way through the descriptor, and may be super-segments of 64 KiB. Datagrams of UDP that are sent in a
   * row to one peer leave as one, where the kernel takes that (Linux 6.2). Default true; where the kernel knows no such header it is as if
   * false.
   */
  readonly offload?: boolean;
  /**
   * Whether packets of a flow that are read in a row are merged into super-segments where the kernel does not hand over such, without
   * `offload`. Default true; a monitor that wants to see what is on the wire says false to both.
   */
  readonly coalesce?: boolean;
  /**
   * How frames are read and written: with io_uring many at a time, or with one system call each. Default `auto`: io_uring where the kernel
   * can do it (Linux 6.4) and allows it. `uring` fails where it does not.
   */
  readonly io?: IoKind;
  /**
   * For how long after traffic the driver goes on looking for more before it goes to sleep, in microseconds, up to 1,000,000: what comes
   * meanwhile waits for no wake-up, at the cost of a busy processor. Timers and other work have their turn. Default 0.
   */
  readonly busyPoll?: number;
  /**
   * How long a processor that sleeps may take to wake up while packets come a few at a time, in microseconds, up to 1,000,000 (PM QoS,
   * `/dev/cpu_dma_latency`, root's): with 0 none of this machine sleeps then, where the kernel can have them wait awake, so that whoever waits for
   * a packet, here or on the kernel's side, has it at once. It costs power, and takes from others what a sleeping processor leaves them. Left
   * out, nothing is asked for.
   */
  readonly wakeLatency?: number;
  /**
   * On which processors the kernel goes on with what is written here (RPS, receive packet steering; `readers`: RFS), by flow: so its TCP,
   * and what that sends in answer, need not run within our writes. Bulk without `offload` gains half as much again and more, nothing else does.
   * Processors given by number should not be those of this process (taskset(1)). `adaptive`: all but the one that this thread is on, while there is bulk
   * of connections and no `offload`, else none; of interfaces with one queue. What other processors do not keep up with the kernel drops, beyond a thousand
   * packets (`net.core.netdev_max_backlog`; counted in /proc/net/softnet_stat). Left out, it is `adaptive` where the interface is made for this device
   * alone and root's rights are there, and else stays as it is, which for a new one is `none`: what is written is received within the write.
   */
  readonly receiveProcessors?: Processors;
  /** Frames that wait for an interface that takes none at the moment; more are dropped. Default 1024. */
  readonly sendQueue?: number;
  /** Is given the descriptor before anything is read from it: for settings that have no option here. */
  readonly onOpen?: (fd: number) => void;
}

/** Those that count once it is open. */
export type TunDeviceOptions = Pick<
  TunOptions,
  'mtu' | 'sendQueue' | 'io' | 'busyPoll' | 'wakeLatency' | 'receiveProcessors' | 'multiQueue' | 'coalesce' | 'persist'
>;

/** Largest MTU: an IP packet is at most 65,535 bytes, and the kernel takes that much with the link header. */
const LARGEST_MTU = 65_521;

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}

/** @throws UsageError `ERR_INVALID_OPTION` */
export function checkOptions(options: TunOptions): void {
  const { name, mtu, receiveQueue, sendQueue, io, busyPoll, wakeLatency, receiveProcessors } = options;
  const whole = (value: number | undefined, least: number, most: number) =>
    value === undefined || (Number.isInteger(value) && value >= least && value <= most);
  if (name !== undefined && !/^(?!\.{1,2}$)[^\s/:%\0]*(?:%d)?$/.test(name))
    throw invalid(`bad interface name ${JSON.stringify(name)}`);
  if (name !== undefined && Buffer.byteLength(name) >= IFNAMSIZ)
    throw invalid(`interface name ${name} is longer than 15 bytes`);
  if (io !== undefined && !IO_KINDS.includes(io)) throw invalid(`io ${String(io)} is not known`);
  if (!whole(mtu, 68, LARGEST_MTU)) throw invalid(`mtu ${mtu} is not in 68..${LARGEST_MTU}`);
  if (!whole(receiveQueue, 1, 1_000_000)) throw invalid(`receiveQueue ${receiveQueue} is not in 1..1,000,000`);
  if (!whole(sendQueue, 1, 1_000_000)) throw invalid(`sendQueue ${sendQueue} is not in 1..1,000,000`);
  if (!whole(busyPoll, 0, 1_000_000)) throw invalid(`busyPoll ${busyPoll} is not in 0..1,000,000`);
  if (!whole(wakeLatency, 0, 1_000_000)) throw invalid(`wakeLatency ${wakeLatency} is not in 0..1,000,000`);
  checkProcessors(receiveProcessors);
  if (receiveProcessors === 'adaptive' && options.multiQueue === true)
    throw invalid('receiveProcessors adaptive is for interfaces with one queue');
}
