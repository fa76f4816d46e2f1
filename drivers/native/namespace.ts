/**
 * Network namespaces of the calling thread (setns(2), unshare(2)).
 *
 * A device belongs to the namespace in which it was opened, whatever the thread does afterwards: so one process can hold
 * devices of many namespaces, by opening each in a short visit.
 */

import { closeSync, openSync } from 'node:fs';
import { systemError } from './errno.js';
import { libc } from './libc.js';

const CLONE_NEWNET = 0x4000_0000;
const OWN = '/proc/thread-self/ns/net';

function enter(fd: number, path: string): void {
  const c = libc();
  if (c.setns(fd, CLONE_NEWNET) < 0) throw systemError(c.errno(), 'setns', `cannot enter network namespace ${path}`);
}

/**
 * Runs `visit` with this thread inside the network namespace that the file stands for, and returns to where it was.
 * `visit` must be synchronous: other work of the thread would run inside the namespace too.
 *
 * @param namespace a path such as `/proc/123/ns/net`, or the name of one made by `ip netns add`
 * @throws NetError `EPERM` without the capability CAP_SYS_ADMIN, `ENODEV` if there is no such namespace
 */
export function inNamespace<T>(namespace: string, visit: () => T): T {
  const path = namespace.includes('/') ? namespace : `/run/netns/${namespace}`;
  const home = openSync(OWN, 'r');
  try {
    const there = openNamespace(path);
    try {
      enter(there, path);
    } finally {
      closeSync(there);
    }
    try {
      return visit();
    } finally {
      enter(home, OWN);
    }
  } finally {
    closeSync(home);
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).errno ?? 0;
    throw systemError(-errno, 'open', `cannot open network namespace ${path}`);
  }
}

/** Puts this thread into a new, empty network namespace, for good. @throws NetError `EPERM` */
export function unshareNamespace(): void {
  const c = libc();
  if (c.unshare(CLONE_NEWNET) < 0) throw systemError(c.errno(), 'unshare', 'cannot make a network namespace');
}
