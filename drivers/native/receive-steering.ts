/**
 * Receive packet steering of an interface (RPS, RFS; Documentation/networking/scaling.rst): on which processors the kernel goes on with
 * a packet that came in, by its flow. Without it that is the one that brings it in: for a TAP the one that writes, within its write.
 */

import { constants, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { NetError, UsageError } from '../../lib/core/errors.js';
import { systemError } from './errno.js';
import { withSysfs } from './sysfs.js';

/** Sets of processors that have names: see {@link Processors}. */
export const PROCESSOR_SETS: readonly ['none', 'all', 'readers', 'adaptive'] = ['none', 'all', 'readers', 'adaptive'];

/**
 * No processors, all, or those with these numbers: each flow has one of them; where there are none, it is the one that writes. Or, for each flow, the
 * one on which its reader runs (RFS, receive flow steering): that needs a table of the host's, too, `net.core.rps_sock_flow_entries`. Or, while very
 * much goes both ways by the interface, all but the one that writes: see `BulkSteering`.
 */
export type Processors = (typeof PROCESSOR_SETS)[number] | readonly number[];

/** Most processors that a kernel can be built for. */
export const MOST_PROCESSORS = 8192;
/** The kernel writes so many processors as eight hexadecimal digits, the highest first, with commas between such groups. */
const GROUP = 32;
/** Flows whose readers a queue remembers; more share places. */
const FLOWS = 4096;

/** @throws UsageError `ERR_INVALID_OPTION` */
export function checkProcessors(processors: Processors | undefined): void {
  const known = (one: number) => Number.isInteger(one) && one >= 0 && one < MOST_PROCESSORS;
  if (processors === undefined || PROCESSOR_SETS.some((one) => one === processors)) return;
  if (!Array.isArray(processors) || !processors.every(known))
    throw new UsageError('ERR_INVALID_OPTION', `receiveProcessors ${String(processors)} are not numbers of processors`);
}

/** A set of processors as the kernel writes it, e.g. `00000001,00000003` for 0, 1 and 32. */
export function maskOf(processors: readonly number[]): string {
  const groups = new Uint32Array(Math.floor(Math.max(0, ...processors) / GROUP) + 1);
  for (const one of processors) {
    const group = Math.floor(one / GROUP);
    groups[group] = (groups[group] ?? 0) | (1 << (one % GROUP));
  }
  const digits = (group: number) => group.toString(16).padStart(GROUP / 4, '0');
  return Array.from(groups, digits).toReversed().join(',');
}

/** The processors in a set that the kernel wrote. */
export function processorsOf(mask: string): readonly number[] {
  const groups = mask.trim().split(',').toReversed();
  return groups.flatMap((group, at) => {
    const bits = Number.parseInt(group, 16);
    return Array.from({ length: GROUP }, (_, bit) => bit)
      .filter((bit) => ((bits >>> bit) & 1) === 1)
      .map((bit) => at * GROUP + bit);
  });
}

/** The processors in a list such as `0-3,5`. */
export function processorsIn(list: string): readonly number[] {
  return list
    .trim()
    .split(',')
    .flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/** Puts `wanted` into a set of the kernel; false where a processor is not there. */
function write(path: string, wanted: readonly number[]): boolean {
  try {
    writeFileSync(path, maskOf(wanted));
  } catch (error) {
    // Beyond the most that this kernel can have.
    if ((error as NodeJS.ErrnoException).code === 'EOVERFLOW') return false;
    throw error;
  }
  const got = new Set(processorsOf(readFileSync(path, 'latin1')));
  return wanted.every((one) => got.has(one));
}

function online(sysfs: string): readonly number[] {
  return processorsIn(readFileSync(`${sysfs}/devices/system/cpu/online`, 'latin1'));
}

function wantedOf(sysfs: string, processors: Processors): readonly number[] {
  if (processors === 'all') return online(sysfs);
  return typeof processors === 'string' ? [] : processors;
}

/** False where a processor is not there. */
function steer(sysfs: string, name: string, processors: Processors): boolean {
  const queues = `${sysfs}/class/net/${name}/queues`;
  const wanted = wantedOf(sysfs, processors);
  let all = true;
  for (const queue of readdirSync(queues).filter((one) => one.startsWith('rx-'))) {
    all = write(`${queues}/${queue}/rps_cpus`, wanted) && all;
    writeFileSync(`${queues}/${queue}/rps_flow_cnt`, processors === 'readers' ? `${FLOWS}` : '0');
  }
  // Of all processors the kernel leaves out those that are kept free of such work.
  return all || processors === 'all';
}

/** What is said of an interface for which it failed. */
function failure(name: string): string {
  return `cannot choose processors for what ${name} receives`;
}

/** What `visit` makes of the sysfs of this thread's network namespace, for an interface. */
function inSysfs<T>(name: string, visit: (sysfs: string) => T): T {
  try {
    return withSysfs(visit);
  } catch (error) {
    if (error instanceof NetError) throw error;
    const { code, errno = 0, syscall = 'write' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      throw new NetError('ENOTSUP', `${failure(name)}: this kernel has no receive packet steering`);
    throw systemError(-errno, syscall, failure(name));
  }
}

/**
 * Sets on which processors the kernel takes in what comes by an interface of this thread's network namespace, by each of its queues.
 *
 * @throws NetError `EPERM` or `EACCES` without the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN, `ENOTSUP` where the kernel has no such steering,
 *   or is older than Linux 5.2, `EINVAL` where a processor is not there
 */
export function steerReceiving(name: string, processors: Processors): void {
  if (inSysfs(name, (sysfs) => steer(sysfs, name, processors))) return;
  throw new NetError('EINVAL', `${failure(name)}: not all of ${String(processors)} are there: EINVAL (write)`);
}

/** Where the processors of one queue are set, while that is open; and those that there are. */
export interface QueueProcessors {
  /** Takes a mask with each write. */
  readonly fd: number;
  readonly online: readonly number[];
}

/**
 * Opens the first queue of an interface of this thread's network namespace.
 *
 * @throws NetError as {@link steerReceiving} does
 */
export function openQueueProcessors(name: string): QueueProcessors {
  return inSysfs(name, (sysfs) => ({
    online: online(sysfs),
    fd: openSync(`${sysfs}/class/net/${name}/queues/rx-0/rps_cpus`, constants.O_WRONLY),
  }));
}
