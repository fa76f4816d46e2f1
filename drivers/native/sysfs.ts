/**
 * sysfs of this thread's network namespace (sysfs(5)).
 *
 * What is mounted at /sys shows the interfaces of the namespace in which it was mounted. One that is mounted here and now, and is
 * attached to no directory (fsopen(2), fsmount(2); Linux 5.2), shows those of ours, and goes with its descriptor.
 */

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { systemError } from './errno.js';
import { libc } from './libc.js';

// The same on all processors that Node is built for.
const FSOPEN = 430;
const FSCONFIG = 431;
const FSMOUNT = 432;

// linux/mount.h
const CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;

interface Calls {
  open(number: number, type: string, flags: number): number;
  configure(number: number, fd: number, command: number, key: number, value: number, extra: number): number;
  mount(number: number, fd: number, flags: number, attributes: number): number;
}

let calls: Calls | undefined;

function bind(): Calls {
  const lib = (createRequire(import.meta.url)('koffi') as typeof Koffi).load(null);
  return {
    open: lib.func('syscall', 'long', ['long', 'str', 'uint32_t']),
    configure: lib.func('syscall', 'long', ['long', 'int', 'uint32_t', 'uintptr_t', 'uintptr_t', 'int']),
    mount: lib.func('syscall', 'long', ['long', 'int', 'uint32_t', 'uint32_t']),
  };
}

/** A descriptor, or the error of the call that was to give it. */
function held(fd: number, syscall: string): number {
  if (fd < 0) throw systemError(libc().errno(), syscall, "cannot mount the network namespace's sysfs");
  return fd;
}

function mounted(): number {
  const c = libc();
  calls ??= bind();
  const context = held(calls.open(FSOPEN, 'sysfs', CLOEXEC), 'fsopen');
  try {
    held(calls.configure(FSCONFIG, context, FSCONFIG_CMD_CREATE, 0, 0, 0), 'fsconfig');
    return held(calls.mount(FSMOUNT, context, CLOEXEC, 0), 'fsmount');
  } finally {
    c.close(context);
  }
}

/**
 * Gives `visit` the path of sysfs as this thread's network namespace has it; it holds while `visit` runs.
 *
 * @throws NetError `EPERM` without the capability CAP_SYS_ADMIN, `ENOTSUP` before Linux 5.2 and on other systems
 */
export function withSysfs<T>(visit: (path: string) => T): T {
  const fd = mounted();
  try {
    return visit(`/proc/self/fd/${fd}`);
  } finally {
    libc().close(fd);
  }
}
