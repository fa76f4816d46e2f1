/** Ethernet frames of flows, for tests of steering: headers only, as far as steering reads them. */

import * as fc from 'fast-check';
import { IpProtocol } from '../../../lib/wire/ip.js';

/** A segment or datagram to 10.77.0.2 or fd77::2. */
export interface Flow {
  readonly version: 4 | 6;
  readonly protocol: number;
  /** Bytes of the remote address; of sixteen an IPv4 packet takes four. */
  readonly source: readonly number[];
  readonly localPort: number;
  readonly remotePort: number;
  /** Words of IPv4 options. */
  readonly options: number;
}

const port = fc.integer({ min: 0, max: 0xffff });

/** Any flow. */
export const TCP_AND_UDP: fc.Arbitrary<Flow> = fc.record({
  version: fc.constantFrom(4, 6),
  protocol: fc.constantFrom(IpProtocol.Tcp, IpProtocol.Udp),
  source: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 16, maxLength: 16 }),
  // The ports of DHCP clients have rules of their own.
  localPort: port.filter((number) => number !== 68 && number !== 546),
  remotePort: port,
  options: fc.integer({ min: 0, max: 10 }),
});

const US4 = [10, 77, 0, 2];
const US6 = [0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/** The frame of a flow, with `payload` bytes behind the ports. */
export function frameOf(flow: Flow, payload = 16): Uint8Array {
  const { version, protocol, source, options } = flow;
  const ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, ...(version === 4 ? [8, 0] : [0x86, 0xdd])];
  const length = 4 + payload;
  const total = 20 + 4 * options + length;
  const fixed4 = [0x45 + options, 0, total >> 8, total & 0xff, 0, 0, 0, 0, 64, protocol, 0, 0];
  const header4 = [...fixed4, ...source.slice(0, 4), ...US4, ...Array.from({ length: 4 * options }, () => 1)];
  const header6 = [0x60, 0, 0, 0, length >> 8, length & 0xff, protocol, 64, ...source, ...US6];
  const header = version === 4 ? header4 : header6;
  const ports = [flow.remotePort >> 8, flow.remotePort & 0xff, flow.localPort >> 8, flow.localPort & 0xff];
  return Uint8Array.from([...ethernet, ...header, ...ports, ...Array.from({ length: payload }, () => 0)]);
}
