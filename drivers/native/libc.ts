/**
 * The system calls that drivers make, bound by koffi.
 *
 * Calls run on the JavaScript thread, without Node's thread pool: 30 to 50 ns beside the call itself. The library is bound at
 * the first use, so that importing this module costs nothing and does not fail on other systems. Buffers may be passed as
 * `Uint8Array` or, as fast but without an object per offset, as addresses: see {@link SlabAddresses}.
 */

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { NetError } from '../../lib/core/errors.js';
import type { Slab } from '../../lib/core/frame.js';
import { bindPoll, type Poll } from './readiness.js';

/** The bound calls. Each gives -1 where it failed; `errno()` right after says why. */
export interface Libc {
  read(fd: number, address: number, length: number): number;
  write(fd: number, address: number, length: number): number;
  /** `vectors` is the address of `count` entries of address and length, 8 bytes each. */
  writev(fd: number, vectors: number, count: number): number;
  close(fd: number): number;
  mmap(address: number, length: number, protection: number, flags: number, fd: number, offset: number): number;
  munmap(address: number, length: number): number;
  /** syscall(2) of io_uring_setup. */
  uringSetup(number: number, entries: number, params: Uint8Array): number;
  /** syscall(2) of io_uring_enter. */
  uringEnter(
    number: number,
    fd: number,
    submit: number,
    complete: number,
    flags: number,
    argument: number,
    size: number,
  ): number;
  /** syscall(2) of io_uring_register. */
  uringRegister(number: number, fd: number, operation: number, argument: Uint8Array, count: number): number;
  ioctl(fd: number, request: number, argument: Uint8Array): number;
  /** For requests whose argument is a number. */
  ioctlValue(fd: number, request: number, argument: number): number;
  socket(domain: number, type: number, protocol: number): number;
  send(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  recv(fd: number, bytes: Uint8Array, length: number, flags: number): number;
  /** 0 where there is no such interface. */
  ifNameToIndex(name: string): number;
  setns(fd: number, kind: number): number;
  unshare(flags: number): number;
  /** Number of the processor that this thread runs on. */
  currentProcessor(): number;
  errno(): number;
  /** The address of memory that never moves: that of an `ArrayBuffer` outside the JavaScript heap. */
  address(bytes: Uint8Array): number;
  /** Memory outside of the JavaScript heap, seen in place: not to be touched once it is unmapped. */
  view(address: number, length: number): ArrayBuffer;
  /** Watches a descriptor. `callback` must not throw. */
  poll: Poll;
}

let bound: Libc | undefined;

function bind(): Libc {
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  // The process itself is linked with the C library, whichever it is.
  const lib = koffi.load(null);
  const ifNameToIndex = lib.func('unsigned int if_nametoindex(const char *name)');
  return {
    read: lib.func('intptr_t read(int fd, uintptr_t address, size_t length)'),
    write: lib.func('intptr_t write(int fd, uintptr_t address, size_t length)'),
    writev: lib.func('intptr_t writev(int fd, uintptr_t vectors, int count)'),
    close: lib.func('int close(int fd)'),
    mmap: lib.func('intptr_t mmap(uintptr_t address, size_t length, int protection, int flags, int fd, long offset)'),
    munmap: lib.func('int munmap(uintptr_t address, size_t length)'),
    uringSetup: lib.func('syscall', 'long', ['long', 'uint32_t', 'void *']),
    uringEnter: lib.func('syscall', 'long', ['long', 'int', 'uint32_t', 'uint32_t', 'uint32_t', 'uintptr_t', 'size_t']),
    uringRegister: lib.func('syscall', 'long', ['long', 'int', 'uint32_t', 'void *', 'uint32_t']),
    ioctl: lib.func('int ioctl(int fd, unsigned long request, void *argument)'),
    ioctlValue: lib.func('ioctl', 'int', ['int', 'ulong', 'ulong']),
    socket: lib.func('int socket(int domain, int type, int protocol)'),
    send: lib.func('intptr_t send(int fd, void *bytes, size_t length, int flags)'),
    recv: lib.func('intptr_t recv(int fd, void *bytes, size_t length, int flags)'),
    ifNameToIndex,
    setns: lib.func('int setns(int fd, int kind)'),
    unshare: lib.func('int unshare(int flags)'),
    currentProcessor: lib.func('int sched_getcpu()'),
    errno: () => koffi.errno(),
    address: (bytes) => Number(koffi.address(bytes)),
    view: (address, length) => koffi.view(address, length),
    poll: bindPoll(koffi, lib),
  };
}

/**
 * The C library of this process.
 *
 * @throws NetError `ENOTSUP` on a system other than Linux, or where koffi has no binary for it
 */
export function libc(): Libc {
  if (bound !== undefined) return bound;
  if (process.platform !== 'linux') {
    throw new NetError('ENOTSUP', `native devices need Linux, this is ${process.platform}`);
  }
  try {
    bound = bind();
  } catch (error) {
    throw new NetError(
      'ENOTSUP',
      `cannot bind the C library: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return bound;
}

/** Addresses of slabs' memory, looked up once a slab. */
export class SlabAddresses {
  private readonly known = new WeakMap<Slab, number>();
  private readonly library: Libc;
  // Frames that follow each other tend to be of one slab.
  private slab: Slab | undefined = undefined;
  private base = 0;

  constructor(library: Libc) {
    this.library = library;
  }

  /** Address of the slab's first byte. */
  of(slab: Slab): number {
    if (slab === this.slab) return this.base;
    let base = this.known.get(slab);
    if (base === undefined) {
      base = this.library.address(slab.bytes);
      this.known.set(slab, base);
    }
    this.slab = slab;
    this.base = base;
    return base;
  }
}
