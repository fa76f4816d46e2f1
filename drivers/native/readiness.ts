/**
 * Watching a descriptor's readiness by libuv's `uv_poll`.
 *
 * koffi makes the handle, and takes it down with its thread. But its callback makes an object of what is ready, which after a sleep, with
 * cold caches, costs more than reading: so the handle is started anew with a callback that is given nothing.
 */

import type * as Koffi from 'koffi';

/** A watch of a descriptor's readiness by the event loop. Keep it referenced: a collected one stops. */
export interface PollHandle {
  start(events: PollEvents, callback: () => void): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/** What to wait for. */
export interface PollEvents {
  readonly readable?: boolean;
  readonly writable?: boolean;
}

/** Watches a descriptor. */
export type Poll = (fd: number, events: PollEvents, callback: () => void) => PollHandle;

// uv.h
const UV_POLL = 8;
const UV_READABLE = 1;
const UV_WRITABLE = 2;

type KoffiModule = typeof Koffi;

/** What it needs of libuv, which is part of this process. */
interface Uv {
  /** 0 where it started. */
  start(handle: number, events: number, callback: bigint): number;
  /** The handle of a watch of this descriptor, 0 where there is none. */
  find(fd: number): number;
  register(callback: () => void): bigint;
  unregister(callback: bigint): void;
}

/** @throws Error where this process does not offer its libuv */
function bindUv(koffi: KoffiModule, lib: Koffi.LibraryHandle): Uv {
  // What it is called with besides is left in registers.
  const callback = koffi.pointer(koffi.proto('void ()'));
  const visit = koffi.pointer(koffi.proto('void (uintptr_t handle, uintptr_t argument)'));
  const getLoop = lib.func('int napi_get_uv_event_loop(void *env, _Out_ uintptr_t *loop)');
  const walk = lib.func('uv_walk', 'void', ['uintptr_t', visit, 'uintptr_t']);
  const kindOf = lib.func('int uv_handle_get_type(uintptr_t handle)');
  const fileOf = lib.func('int uv_fileno(uintptr_t handle, _Out_ int *fd)');
  const loop = [0];
  if (getLoop(koffi.node.env, loop) !== 0) throw new Error('no event loop');
  return {
    start: lib.func('uv_poll_start', 'int', ['uintptr_t', 'int', callback]),
    find(fd) {
      let found = 0;
      const file = [-1];
      walk(
        loop[0],
        (handle: number) => {
          if (kindOf(handle) === UV_POLL && fileOf(handle, file) === 0 && file[0] === fd) found = handle;
        },
        0,
      );
      return found;
    },
    register: (onReady) => koffi.register(onReady, callback),
    unregister: (registered) => koffi.unregister(registered),
  };
}

/** A handle of koffi's that calls back without arguments. */
class Watch implements PollHandle {
  private readonly uv: Uv;
  private readonly inner: PollHandle;
  private readonly handle: number;
  private readonly registered: bigint;
  private callback: () => void;

  constructor(uv: Uv, inner: PollHandle, handle: number, callback: () => void) {
    this.uv = uv;
    this.inner = inner;
    this.handle = handle;
    this.callback = callback;
    this.registered = uv.register(() => this.callback());
  }

  start({ readable = false, writable = false }: PollEvents, callback: () => void): void {
    this.callback = callback;
    this.uv.start(this.handle, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), this.registered);
  }

  stop(): void {
    this.inner.stop();
  }

  close(): void {
    this.inner.close();
    // It may be what is running just now.
    setImmediate(() => this.uv.unregister(this.registered));
  }

  ref(): void {
    this.inner.ref();
  }

  unref(): void {
    this.inner.unref();
  }
}

/** Binds libuv's; koffi's own way where this process does not offer its libuv. */
export function bindPoll(koffi: KoffiModule, lib: Koffi.LibraryHandle): Poll {
  const plain: Poll = (fd, events, callback) => koffi.node.poll(fd, events, () => callback());
  let uv: Uv;
  try {
    uv = bindUv(koffi, lib);
  } catch {
    return plain;
  }
  return (fd, events, callback) => {
    const inner = plain(fd, events, callback);
    const handle = uv.find(fd);
    if (handle === 0) return inner;
    const watch = new Watch(uv, inner, handle, callback);
    watch.start(events, callback);
    return watch;
  };
}
