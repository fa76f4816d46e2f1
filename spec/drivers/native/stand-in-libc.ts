/** A C library that does what a test tells it: what a kernel seldom does, at the time when the test wants it. */

import { openSync } from 'node:fs';
import type { Libc, PollEvents } from '../../../drivers/native/libc.js';
import { UringOp } from '../../../drivers/native/uring.js';

// struct io_uring_params in words, and where this ring has its parts, in bytes.
const ENTRIES = 128;
const SQ = { head: 0, tail: 4, mask: 8, array: 64 };
const CQ = { head: 16, tail: 20, mask: 24, entries: 64 + 4 * ENTRIES };
const RING = CQ.entries + 16 * 2 * ENTRIES;

/** Results of calls: bytes taken, or a negative error number. The last one stays. */
export type Script = number[];

/** See the module. */
export class StandInLibc {
  /** What writes give; `undefined` takes everything. */
  readonly writes: Script = [];
  /** What reads give. */
  readonly reads: Script = [];
  /** Sets of offloads that TUNSETOFFLOAD takes. */
  takes: (set: number) => boolean = () => true;
  /** What `ioctl` writes into its argument. */
  answers: (request: number, argument: Uint8Array) => number = () => 0;
  /** Whether there is an io_uring. */
  uring = false;
  /** Lengths of what was written. */
  readonly written: number[] = [];
  readonly offloads: number[] = [];
  /** What is waited for, and who waits. */
  events: PollEvents = {};
  wake: () => void = () => undefined;
  enters = 0;
  private last = 0;
  private readonly ring = new Int32Array(RING / 4);
  private readonly requests = new Int32Array(16 * ENTRIES);

  /** A descriptor that may be closed. */
  static descriptor(): number {
    return openSync('/dev/null', 'r+');
  }

  /** As the driver sees it. */
  get libc(): Libc {
    const no = () => -1;
    return {
      socket: no,
      send: no,
      recv: no,
      ifNameToIndex: no,
      setns: no,
      unshare: no,
      read: () => this.result(this.reads, 0),
      readv: () => this.result(this.reads, 0),
      write: (_fd, _address, length) => this.write(length),
      writev: () => this.write(0),
      close: () => 0,
      mmap: (_address, length) => length,
      munmap: () => 0,
      view: (_address, length) => (length === 4 * this.requests.length ? this.requests : this.ring).buffer,
      uringSetup: (_number, _entries, params) => this.setUp(params),
      uringRegister: () => 0,
      uringEnter: (_number, _fd, submit) => this.enter(submit),
      ioctl: (_fd, request, argument) => this.answers(request, argument),
      ioctlValue: (_fd, _request, set) => {
        this.offloads.push(set);
        return this.takes(set) ? 0 : this.fail(22);
      },
      errno: () => this.last,
      address: () => 4096,
      poll: (_fd, events, callback) => {
        this.events = events;
        this.wake = callback;
        return {
          start: (more, other) => {
            this.events = more;
            this.wake = other;
          },
          stop: () => (this.events = {}),
          close: () => undefined,
          ref: () => undefined,
          unref: () => undefined,
        };
      },
    };
  }

  private fail(errno: number): number {
    this.last = errno;
    return -1;
  }

  private next(script: Script, otherwise: number): number {
    return (script.length > 1 ? script.shift() : script[0]) ?? otherwise;
  }

  private result(script: Script, otherwise: number): number {
    const result = this.next(script, otherwise);
    return result < 0 ? this.fail(-result) : result;
  }

  private write(length: number): number {
    const result = this.result(this.writes, length);
    if (result >= 0) this.written.push(length);
    return result;
  }

  private setUp(params: Uint8Array): number {
    if (!this.uring) return this.fail(38);
    const words = new Uint32Array(params.buffer);
    words.set([ENTRIES, 2 * ENTRIES, words[2] ?? 0, 0, 0, 1]);
    words.set([SQ.head, SQ.tail, SQ.mask, 0, 0, 0, SQ.array], 10);
    words.set([CQ.head, CQ.tail, CQ.mask, 0, 0, CQ.entries], 20);
    this.ring[SQ.mask / 4] = ENTRIES - 1;
    this.ring[CQ.mask / 4] = 2 * ENTRIES - 1;
    return 1000;
  }

  /** Carries out requests, as `readv` and `write` would. */
  private enter(submit: number): number {
    this.enters++;
    const { ring, requests } = this;
    for (let i = 0; i < submit; i++) {
      const head = ring[SQ.head / 4] ?? 0;
      const at = (ring[SQ.array / 4 + (head & (ENTRIES - 1))] ?? 0) * 16;
      ring[SQ.head / 4] = head + 1;
      const op = (requests[at] ?? 0) & 0xff;
      const isRead = op === UringOp.Readv || op === UringOp.Read;
      const length = requests[at + 6] ?? 0;
      const result = isRead ? this.next(this.reads, 0) : this.next(this.writes, length);
      if (!isRead && result >= 0) this.written.push(length);
      const tail = ring[CQ.tail / 4] ?? 0;
      ring.set([requests[at + 8] ?? 0, 0, result, 0], CQ.entries / 4 + (tail & (2 * ENTRIES - 1)) * 4);
      ring[CQ.tail / 4] = tail + 1;
    }
    return submit;
  }
}
