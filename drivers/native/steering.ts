/**
 * Steering of a multi-queue interface by a program of ours in the kernel (TUNSETSTEERINGEBPF): the function of `lib/l4/share` over
 * addresses and ports, so that frames come to the queue of the worker whose flow they are of. By itself the kernel steers by what it last
 * saw from each flow, and forgets flows that were silent for three seconds. What the program does not understand (fragments, extension
 * headers, all but TCP and UDP) goes to the first queue; `lib/l4/steering` puts right whatever comes to a wrong one.
 */

import type { DeviceShare } from '../../lib/core/device.js';
import { FINAL_FACTOR, FINAL_SHIFT, FIRST_DYNAMIC_PORT, MIX_FACTOR, MIX_SHIFT } from '../../lib/l4/share.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { IPV6_HEADER, IPV6_NEXT_HEADER } from '../../lib/wire/ipv6.js';
import { Assembler, closeProgram, If, Load, loadProgram, Op, RESULT } from './bpf.js';
import { libc } from './libc.js';

// linux/if_tun.h
const TUNSETSTEERINGEBPF = 0x8004_54e0;

// Registers.
const SCRATCH = 2;
const HEADER = 7;
const HASH = 8;
const PORTS = 9;

const V4_FRAGMENT = 6;
const V4_FRAGMENT_BITS = 0x3fff;
const V4_PROTOCOL = 9;
const V4_SOURCE = 12;
const V6_SOURCE = 8;

/** Takes the word that was loaded into the hash. */
function mixIn(code: Assembler): void {
  code
    .opWith(Op.Xor, HASH, RESULT)
    .op(Op.Mul, HASH, MIX_FACTOR)
    .opWith(Op.Mov, SCRATCH, HASH)
    .op(Op.Shr, SCRATCH, MIX_SHIFT)
    .opWith(Op.Xor, HASH, SCRATCH);
}

/** Goes on only with TCP and UDP. */
function onlyTransports(code: Assembler, protocol: number, label: string): void {
  code
    .load(Load.Byte, protocol)
    .jump(If.Equal, IpProtocol.Tcp, label)
    .jump(If.NotEqual, IpProtocol.Udp, 'first')
    .label(label);
}

/** Loads the ports behind the header, the remote one in the high half. */
function ipv4(code: Assembler): void {
  code.load(Load.Half, V4_FRAGMENT).op(Op.And, RESULT, V4_FRAGMENT_BITS).jump(If.NotEqual, 0, 'first');
  onlyTransports(code, V4_PROTOCOL, 'transport4');
  code.op(Op.And, HEADER, 0xf).op(Op.Shl, HEADER, 2).load(Load.Word, V4_SOURCE);
  mixIn(code);
  code.loadAt(Load.Word, HEADER).jump(If.Always, 0, 'ports');
}

function ipv6(code: Assembler): void {
  onlyTransports(code, IPV6_NEXT_HEADER, 'transport6');
  for (let at = V6_SOURCE; at < V6_SOURCE + 16; at += 4) {
    code.load(Load.Word, at);
    mixIn(code);
  }
  code.load(Load.Word, IPV6_HEADER);
}

/** The program for workers that share a device so. */
export function steeringProgram({ of, secret }: DeviceShare): Uint8Array {
  const code = new Assembler();
  code.op(Op.Mov, HASH, secret).load(Load.Byte, 0).opWith(Op.Mov, HEADER, RESULT).op(Op.Shr, RESULT, 4);
  code.jump(If.Equal, 6, 'version6').jump(If.NotEqual, 4, 'first');
  ipv4(code);
  code.label('version6');
  ipv6(code);
  code.label('ports').opWith(Op.Mov, PORTS, RESULT).op(Op.And, RESULT, 0xffff);
  code.jump(If.AtLeast, FIRST_DYNAMIC_PORT, 'dealt').opWith(Op.Mov, RESULT, PORTS);
  mixIn(code);
  code
    .op(Op.Mul, HASH, FINAL_FACTOR)
    .opWith(Op.Mov, RESULT, HASH)
    .op(Op.Shr, RESULT, FINAL_SHIFT)
    .opWith(Op.Xor, RESULT, HASH)
    .label('dealt')
    .op(Op.Mod, RESULT, of)
    .exit()
    .label('first')
    .op(Op.Mov, RESULT, 0)
    .exit();
  return code.bytes();
}

/** Steers the interface of a descriptor; false where the kernel does not let us, and goes on steering by itself. */
export function steer(fd: number, share: DeviceShare): boolean {
  const program = loadProgram(steeringProgram(share));
  if (program === undefined) return false;
  const argument = new Uint8Array(4);
  new DataView(argument.buffer).setInt32(0, program, true);
  const done = libc().ioctl(fd, TUNSETSTEERINGEBPF, argument) >= 0;
  closeProgram(program);
  return done;
}
