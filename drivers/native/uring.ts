/**
 * io_uring(7): a ring of requests and one of completions, shared with the kernel, so that one system call carries out many reads or
 * writes of one file. The rings are mapped into this process and seen through typed arrays. Every request here is one that completes at
 * once, so that between two calls nothing is under way.
 *
 * Requests have places, and stay there: what is read into the same memory again need not be said again.
 */

import { NetError } from '../../lib/core/errors.js';
import { EAGAIN, EINTR, EINVAL, EOPNOTSUPP, systemError } from './errno.js';
import type { Libc } from './libc.js';

// linux/io_uring.h
const SYS_SETUP = 425;
const SYS_ENTER = 426;
const SYS_REGISTER = 427;
const SETUP_COOP_TASKRUN = 1 << 8;
const SETUP_SINGLE_ISSUER = 1 << 12;
const SETUP_DEFER_TASKRUN = 1 << 13;
const FEATURE_SINGLE_MMAP = 1;
const ENTER_GETEVENTS = 1;
const REGISTER_FILES = 2;
const UNREGISTER_FILES = 3;
const FIXED_FILE = 1 << 8;
const OFFSET_SQES = 0x1000_0000;
const RWF_NOWAIT = 8;

const NOTHING = new Uint8Array(0);

/** Kinds of requests. */
export const UringOp = { Writev: 2, Read: 22, Write: 23 } as const;
export type UringOp = (typeof UringOp)[keyof typeof UringOp];

// struct io_uring_params, in words: the sizes, and the two tables of offsets into the mapping.
const PARAMS = 30;
const FLAGS = 2;
const FEATURES = 5;
const SQ_OFFSETS = 10;
const CQ_OFFSETS = 20;
// Within a table: head, tail, mask; then the array of the requests, or the completions.
const TAIL = 1;
const MASK = 2;
const SQ_ARRAY = 6;
const CQ_ENTRIES = 5;

const SQE_WORDS = 16;
const CQE_WORDS = 4;

const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;

/** From what new kernels do best to what all of them do that have io_uring (6.1, 5.19, 5.1). */
const WANTED: readonly number[] = [SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, SETUP_COOP_TASKRUN, 0];

/** Rings that the thread that made them uses. */
export class Uring {
  /** What each request gave, by its place: as the system call, but the negative error number where it failed. */
  readonly results: Int32Array;
  private readonly c: Libc;
  private readonly fd: number;
  private readonly mappings: (readonly [address: number, length: number])[] = [];
  private readonly ring: Int32Array;
  private readonly requests: Int32Array;
  private readonly array: number;
  private readonly sqTail: number;
  private readonly sqMask: number;
  private readonly cqHead: number;
  private readonly cqTail: number;
  private readonly cqMask: number;
  private readonly completions: number;
  /** Of the first word of each request: whether its file is the registered one. */
  private readonly flags: number;
  private tail: number;
  private head: number;
  private added = 0;

  /**
   * @param file what is read and written
   * @param places how many requests there are
   * @throws NetError where the kernel has no io_uring, does not allow it here, or would have it wait for this file
   */
  constructor(c: Libc, file: number, places: number) {
    this.c = c;
    const params = new Uint32Array(PARAMS);
    this.fd = setUp(c, places, params);
    const word = (at: number): number => params[at] ?? 0;
    const entries = word(0);
    const ringSize = Math.max(
      word(SQ_OFFSETS + SQ_ARRAY) + 4 * entries,
      word(CQ_OFFSETS + CQ_ENTRIES) + 4 * CQE_WORDS * word(1),
    );
    const requestSize = 4 * SQE_WORDS * entries;
    const ring = this.map(ringSize, 0);
    const requests = this.map(requestSize, OFFSET_SQES);
    this.ring = new Int32Array(c.view(ring, ringSize));
    this.requests = new Int32Array(c.view(requests, requestSize));
    this.array = word(SQ_OFFSETS + SQ_ARRAY) >> 2;
    this.sqTail = word(SQ_OFFSETS + TAIL) >> 2;
    this.sqMask = this.ring[word(SQ_OFFSETS + MASK) >> 2] ?? 0;
    this.cqHead = word(CQ_OFFSETS) >> 2;
    this.cqTail = word(CQ_OFFSETS + TAIL) >> 2;
    this.cqMask = this.ring[word(CQ_OFFSETS + MASK) >> 2] ?? 0;
    this.completions = word(CQ_OFFSETS + CQ_ENTRIES) >> 2;
    this.tail = Atomics.load(this.ring, this.sqTail);
    this.head = Atomics.load(this.ring, this.cqHead);
    this.results = new Int32Array(places);
    const isRegistered = this.register(file);
    this.flags = isRegistered ? FIXED_FILE : 0;
    for (let place = 0; place < places; place++) this.clear(place, isRegistered ? 0 : file);
    this.probe();
  }

  /**
   * Reads nothing. Kernels know `READ` since 5.6; and only from a file that says so do they take a request that must not wait: a TAP or TUN does
   * since 6.4.
   */
  private probe(): void {
    this.set(0, UringOp.Read, 0, 0);
    this.add(0);
    const isBroken = this.run() !== 0;
    const [result] = this.results;
    if (!isBroken && result !== -EOPNOTSUPP && result !== -EINVAL) return;
    this.close();
    throw new NetError(
      'ENOTSUP',
      'io_uring cannot read and write this without waiting, as it can a TAP or TUN since Linux 6.4',
    );
  }

  /** A registered file need not be looked up for each request. */
  private register(file: number): boolean {
    const { c } = this;
    const files = new Int32Array([file]);
    return c.uringRegister(SYS_REGISTER, this.fd, REGISTER_FILES, new Uint8Array(files.buffer), 1) === 0;
  }

  private clear(place: number, file: number): void {
    const { requests } = this;
    const at = place * SQE_WORDS;
    requests.fill(0, at, at + SQE_WORDS);
    requests[at + 1] = file;
    // The offset -1: devices have no position.
    requests[at + 2] = -1;
    requests[at + 3] = -1;
    // What would have to wait completes with `EAGAIN`.
    requests[at + 7] = RWF_NOWAIT;
    requests[at + 8] = place;
  }

  /**
   * Says what the request at a place is.
   *
   * @param address of the bytes, or of the vectors
   * @param length in bytes, or how many vectors
   */
  set(place: number, op: UringOp, address: number, length: number): void {
    const at = place * SQE_WORDS;
    const { requests } = this;
    requests[at] = op | this.flags;
    requests[at + 4] = address;
    requests[at + 5] = address / 0x1_0000_0000;
    requests[at + 6] = length;
  }

  /** Has the next run carry out the request at a place. */
  add(place: number): void {
    this.ring[this.array + (this.tail & this.sqMask)] = place;
    this.tail = (this.tail + 1) | 0;
    this.added++;
    this.results[place] = -EAGAIN;
  }

  /**
   * Carries out all that was added.
   *
   * @returns 0, or the error number where the ring itself failed: what is missing has `EAGAIN`, and the ring must not be used any more
   */
  run(): number {
    const { ring, c } = this;
    Atomics.store(ring, this.sqTail, this.tail);
    let toSubmit = this.added;
    let left = toSubmit;
    this.added = 0;
    while (left > 0) {
      const submitted = c.uringEnter(SYS_ENTER, this.fd, toSubmit, left, ENTER_GETEVENTS, 0, 0);
      const errno = submitted < 0 ? c.errno() : 0;
      if (submitted > 0) toSubmit -= submitted;
      left -= this.reap();
      if (errno !== 0 && errno !== EINTR) return errno;
    }
    return 0;
  }

  private reap(): number {
    const { ring, results, cqMask, completions } = this;
    const tail = Atomics.load(ring, this.cqTail);
    let { head } = this;
    let count = 0;
    for (; head !== tail; head = (head + 1) | 0) {
      const at = completions + (head & cqMask) * CQE_WORDS;
      results[ring[at] ?? 0] = ring[at + 2] ?? 0;
      count++;
    }
    this.head = head;
    Atomics.store(ring, this.cqHead, head);
    return count;
  }

  /** Frees the rings, which must not be used any more. */
  close(): void {
    // The kernel ends a ring when it has time for that; until then it would keep the file open.
    if (this.flags !== 0) this.c.uringRegister(SYS_REGISTER, this.fd, UNREGISTER_FILES, NOTHING, 0);
    this.free();
  }

  private free(): void {
    for (const [address, length] of this.mappings) this.c.munmap(address, length);
    this.c.close(this.fd);
  }

  private map(length: number, offset: number): number {
    const address = this.c.mmap(0, length, PROT_READ_WRITE, MAP_SHARED_POPULATE, this.fd, offset);
    if (address >= 0) {
      this.mappings.push([address, length]);
      return address;
    }
    const errno = this.c.errno();
    this.free();
    throw systemError(errno, 'mmap', 'cannot map the rings of io_uring');
  }
}

function setUp(c: Libc, entries: number, params: Uint32Array): number {
  for (const flags of WANTED) {
    params.fill(0);
    params[FLAGS] = flags;
    const fd = c.uringSetup(SYS_SETUP, entries, new Uint8Array(params.buffer));
    if (fd < 0) continue;
    if (((params[FEATURES] ?? 0) & FEATURE_SINGLE_MMAP) !== 0) return fd;
    c.close(fd);
    throw new NetError('ENOTSUP', 'the io_uring of this kernel is too old');
  }
  throw systemError(c.errno(), 'io_uring_setup', 'cannot make an io_uring');
}
