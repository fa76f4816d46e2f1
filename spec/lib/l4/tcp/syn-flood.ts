/** A flood of SYNs from addresses and ports that nobody has, and a way to see what it costs. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type IpAddress, Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import type { Env } from '../../../../lib/core/env.js';
import type { Frame } from '../../../../lib/core/frame.js';
import { pseudoHeaderSum, pushIpHeader } from '../../../../lib/l3/ip-output.js';
import type { IpFlow } from '../../../../lib/wire/ip.js';
import { TCP_HEADER, TcpFlag, TcpSegment } from '../../../../lib/wire/tcp.js';
import { TcpOptions } from '../../../../lib/wire/tcp-options.js';

const options = new TcpOptions();
options.mss = 1400;
options.windowScale = 7;
options.sackPermitted = true;
options.hasTimestamps = true;

/** An IP packet with the `i`th SYN of a flood, in a frame of the environment's pool. */
export function spoofedSyn(env: Env, target: IpAddress, port: number, i: number): Frame {
  const frame = env.pool.alloc(0);
  const flow = {
    version: target.version,
    source: target.version === 4 ? new Ipv4Address(0x2c00_0000 + i) : new Ipv6Address(0x2600_0000, i, 0, i),
    destination: target,
    protocol: 6,
    hopLimit: 60,
    trafficClass: 0,
    dontFragment: true,
  } as IpFlow;
  options.timestampValue = i;
  const sequence = Math.imul(i, 0x9e37_79b1);
  const fields = { sourcePort: 1024 + (i % 60_000), destinationPort: port, sequence, acknowledgment: 0 };
  TcpSegment.emit(frame, { ...fields, flags: TcpFlag.Syn, window: 65535, urgentPointer: 0 }, options.length);
  options.write(frame.slab.view, frame.start + TCP_HEADER);
  TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
  pushIpHeader(frame, flow, i & 0xffff);
  return frame;
}

let collect: (() => void) | undefined;

/** Bytes in use on the heap and in buffers, after everything that is not has been collected. */
export function bytesInUse(): number {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
