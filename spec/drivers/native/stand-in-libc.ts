/** A C library that does what a test tells it: what a kernel seldom does, at the time when the test wants it. */

import { openSync } from 'node:fs';
import { TUNSETPERSIST } from '../../../drivers/native/if-tun.js';
import type { Libc } from '../../../drivers/native/libc.js';
import type { PollEvents } from '../../../drivers/native/readiness.js';
import { UringOp } from '../../../drivers/native/uring.js';

// struct io_uring_params in words, and where this ring has its parts, in bytes.
const ENTRIES = 128;
const SQ = { head: 0, tail: 4, mask: 8, array: 64 };
const CQ = { head: 16, tail: 20, mask: 24, entries: 64 + 4 * ENTRIES };
const FIXED_FILE = 1 << 8;
const RING = CQ.entries + 16 * 2 * ENTRIES;

/** Where all memory is. */
export const ADDRESS = 4096;

/** Results of calls: bytes taken, or a negative error number. The last one stays. */
export type Script = number[];

/** A request of io_uring. */
export interface Requested {
  readonly op: number;
  /** Whether `file` is the number of a registered file. */
  readonly isFixed: boolean;
  readonly file: number;
  readonly address: number;
  readonly length: number;
}

/** See the module. */
export class StandInLibc {
  /** What writes give; `undefined` takes everything. */
  readonly writes: Script = [];
  /** What reads give. */
  readonly reads: Script = [];
  /** Puts what is read where it is to lie. */
  lands: (address: number, length: number) => void = () => undefined;
  /** Sets of offloads that TUNSETOFFLOAD takes. */
  takes: (set: number) => boolean = () => true;
  /** What `ioctl` writes into its argument. */
  answers: (request: number, argument: Uint8Array) => number = () => 0;
  /** Whether there is an io_uring. */
  uring = false;
  /** Lengths of what was written. */
  readonly written: number[] = [];
  readonly offloads: number[] = [];
  /** What TUNSETPERSIST was told, and whether it can be. */
  readonly persistence: number[] = [];
  persists = true;
  /** What is waited for, and who waits. */
  events: PollEvents = {};
  wake: () => void = () => undefined;
  enters = 0;
  /** The error number that every request of io_uring gives; 0 for none. */
  refuses = 0;
  /** How many requests each call of io_uring takes, or a negative error number; all, where there is nothing. */
  readonly submits: Script = [];
  /** Whether completions come in the opposite order. */
  reversed = false;
  /** Which mapping fails; 0 for none. */
  unmappable = 0;
  private maps = 0;
  /** What registering a file gives. */
  registers = 0;
  /** What became of the ring, in order. */
  readonly ringCalls: string[] = [];
  /** Of each request that was carried out. */
  readonly requested: Requested[] = [];
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
      currentProcessor: no,
      read: (_fd, address) => {
        const length = this.result(this.reads, 0);
        this.lands(address, length);
        return length;
      },
      write: (_fd, _address, length) => this.write(length),
      writev: () => this.write(0),
      close: () => this.note('close', 0),
      mmap: (_address, length) => (++this.maps === this.unmappable ? this.fail(12) : length),
      munmap: () => this.note('unmap', 0),
      view: (_address, length) => (length === 4 * this.requests.length ? this.requests : this.ring).buffer,
      uringSetup: (_number, _entries, params) => this.setUp(params),
      uringRegister: (_number, _fd, operation, _files, count) =>
        operation === 2 && count === 1
          ? this.note('register', this.registers)
          : this.note(operation === 3 && count === 0 ? 'unregister' : 'wrong', 0),
      uringEnter: (_number, _fd, submit) => this.enter(submit),
      ioctl: (_fd, request, argument) => this.answers(request, argument),
      ioctlValue: (_fd, request, set) => {
        if (request === TUNSETPERSIST) {
          this.persistence.push(set);
          return this.persists ? 0 : this.fail(22);
        }
        this.offloads.push(set);
        return this.takes(set) ? 0 : this.fail(22);
      },
      errno: () => this.last,
      address: () => ADDRESS,
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

  /** Carries out requests, as `read` and `write` would. */
  private enter(submit: number): number {
    this.enters++;
    const { ring, requests } = this;
    const taken = Math.min(this.next(this.submits, submit), submit);
    if (taken < 0) return this.fail(-taken);
    const completions: (readonly [place: number, result: number])[] = [];
    for (let i = 0; i < taken; i++) {
      const head = ring[SQ.head / 4] ?? 0;
      const at = (ring[SQ.array / 4 + (head & (ENTRIES - 1))] ?? 0) * 16;
      ring[SQ.head / 4] = head + 1;
      completions.push([requests[at + 8] ?? 0, this.carryOut(requests.subarray(at, at + 16))]);
    }
    if (this.reversed) completions.reverse();
    for (const [place, result] of completions) {
      const tail = ring[CQ.tail / 4] ?? 0;
      ring.set([place, 0, result, 0], CQ.entries / 4 + (tail & (2 * ENTRIES - 1)) * 4);
      ring[CQ.tail / 4] = tail + 1;
    }
    return taken;
  }

  private carryOut(request: Int32Array): number {
    const [first = 0, file = 0, , , address = 0, , length = 0] = request;
    const op = first & 0xff;
    if (this.refuses !== 0) return -this.refuses;
    if (op === UringOp.Read && length === 0) return 0;
    this.requested.push({ op, isFixed: (first & FIXED_FILE) !== 0, file, address, length });
    if (op === UringOp.Read) {
      const read = this.next(this.reads, 0);
      this.lands(address, read);
      return read;
    }
    const result = this.next(this.writes, length);
    if (result >= 0) this.written.push(length);
    return result;
  }

  private note(call: string, result: number): number {
    this.ringCalls.push(call);
    return result < 0 ? this.fail(-result) : result;
  }
}
