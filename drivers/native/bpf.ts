/** Programs for the kernel (bpf(2)): an assembler of the instructions that steering needs, loading, and a run for tests. */

import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { systemError } from './errno.js';
import { libc } from './libc.js';

// Numbers of the system call.
const SYSCALL: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280 };
// linux/bpf.h: commands, the type of program, and more room for attributes than any of the commands takes.
const PROG_LOAD = 5;
const PROG_TEST_RUN = 10;
const SOCKET_FILTER = 1;
const ATTRIBUTES = 128;
const LICENSE = 'MIT';

// linux/bpf_common.h, linux/bpf.h: classes and modes, joined with the sizes, operations and conditions below.
const LOAD_ABSOLUTE = 0x20;
const LOAD_INDIRECT = 0x40;
const ALU32 = 0x04;
const ALU64 = 0x07;
const JUMP = 0x05;
const OTHER_REGISTER = 0x08;
const EXIT = 0x95;
const INSTRUCTION = 8;

/** Sizes of loads. */
export const Load = { Word: 0x00, Half: 0x08, Byte: 0x10 } as const;
/** Operations on the low 32 bits of registers; the high ones become zero. */
export const Op = { Mul: 0x20, And: 0x50, Shl: 0x60, Shr: 0x70, Mod: 0x90, Xor: 0xa0, Mov: 0xb0 } as const;
/** Conditions of jumps, on 64 bits. */
export const If = { Always: 0x00, Equal: 0x10, AtLeast: 0x30, NotEqual: 0x50 } as const;
/** Register 0 is what loads give and programs return; loads lose 1 to 5; the packet comes in 1 and must be in 6 for loads. */
export const RESULT = 0;
const CONTEXT = 1;
const PACKET = 6;
/** Offsets from here on count from the network header, whatever the link (linux/filter.h, SKF_NET_OFF). */
const NETWORK = -0x10_0000;

/** Writes a program. A load beyond the end of the packet ends it with 0. */
export class Assembler {
  private readonly code: (readonly [operation: number, registers: number, immediate: number])[] = [];
  private readonly jumps: (readonly [at: number, label: string])[] = [];
  private readonly labels = new Map<string, number>();

  constructor() {
    this.add(ALU64 | Op.Mov | OTHER_REGISTER, PACKET | (CONTEXT << 4), 0);
  }

  /** An operation with a value. */
  op(operation: number, register: number, value: number): this {
    return this.add(ALU32 | operation, register, value);
  }

  /** An operation with another register. */
  opWith(operation: number, register: number, other: number): this {
    return this.add(ALU32 | operation | OTHER_REGISTER, register | (other << 4), 0);
  }

  /** Loads what is at an offset in the packet, from its network header on, in the order of the machine. */
  load(size: number, offset: number): this {
    return this.add(LOAD_ABSOLUTE | size, 0, NETWORK + offset);
  }

  /** The same at an offset in a register. */
  loadAt(size: number, register: number): this {
    return this.add(LOAD_INDIRECT | size, register << 4, NETWORK);
  }

  /** Jumps forward if the result and the value are so. */
  jump(condition: number, value: number, label: string): this {
    this.jumps.push([this.code.length, label]);
    return this.add(JUMP | condition, RESULT, value);
  }

  label(name: string): this {
    this.labels.set(name, this.code.length);
    return this;
  }

  exit(): this {
    return this.add(EXIT, 0, 0);
  }

  bytes(): Uint8Array {
    const bytes = new Uint8Array(this.code.length * INSTRUCTION);
    const view = new DataView(bytes.buffer);
    this.code.forEach(([operation, registers, immediate], i) => {
      view.setUint8(i * INSTRUCTION, operation);
      view.setUint8(i * INSTRUCTION + 1, registers);
      view.setInt32(i * INSTRUCTION + 4, immediate, true);
    });
    for (const [at, label] of this.jumps) {
      view.setInt16(at * INSTRUCTION + 2, (this.labels.get(label) ?? at) - at - 1, true);
    }
    return bytes;
  }

  private add(operation: number, registers: number, immediate: number): this {
    this.code.push([operation, registers, immediate | 0]);
    return this;
  }
}

let call: ((number: number, command: number, attributes: Uint8Array, size: number) => number) | undefined;

function bpf(command: number, attributes: Uint8Array): number {
  const number = SYSCALL[process.arch];
  if (number === undefined) return -1;
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  call ??= koffi.load(null).func('long syscall(long number, int command, void *attributes, unsigned int size)');
  return call(number, command, attributes, ATTRIBUTES);
}

/** Bytes outside of the JavaScript heap, whose address does not change. */
function pinned(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

const addressOf = (bytes: Uint8Array): bigint => BigInt(libc().address(bytes));

/** Loads a program that says a number about a packet; its descriptor, or `undefined` where the kernel does not let us. */
export function loadProgram(code: Uint8Array): number | undefined {
  const instructions = pinned(code);
  const license = pinned(new TextEncoder().encode(`${LICENSE}\0`));
  const attributes = pinned(new Uint8Array(ATTRIBUTES));
  const view = new DataView(attributes.buffer);
  view.setUint32(0, SOCKET_FILTER, true);
  view.setUint32(4, code.length / INSTRUCTION, true);
  view.setBigUint64(8, addressOf(instructions), true);
  view.setBigUint64(16, addressOf(license), true);
  const fd = bpf(PROG_LOAD, attributes);
  return fd < 0 ? undefined : fd;
}

/** What a program says about an Ethernet frame. @throws NetError where the kernel does not let us ask */
export function runProgram(fd: number, frame: Uint8Array): number {
  const data = pinned(frame);
  const attributes = pinned(new Uint8Array(ATTRIBUTES));
  const view = new DataView(attributes.buffer);
  view.setUint32(0, fd, true);
  view.setUint32(8, data.length, true);
  view.setBigUint64(16, addressOf(data), true);
  if (bpf(PROG_TEST_RUN, attributes) < 0) throw systemError(libc().errno(), 'bpf', 'cannot run a program');
  return view.getUint32(4, true);
}

/** Forgets a program; what it was attached to keeps it. */
export function closeProgram(fd: number): void {
  libc().close(fd);
}
