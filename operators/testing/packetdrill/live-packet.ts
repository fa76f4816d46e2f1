/** A segment as the host under test sent it, with live numbers. */

import type { IpAddress } from '../../../lib/core/address.js';
import { Frame } from '../../../lib/core/frame.js';
import { readTcpOptionList, type TcpOptionItem } from '../../../lib/text/tcp-option-list.js';
import { type IpPacket, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { TCP_HEADER, TcpSegment } from '../../../lib/wire/tcp.js';

/** A segment, taken apart. */
export interface LivePacket {
  /** When it left, in milliseconds of the clock. */
  readonly time: number;
  readonly trafficClass: number;
  readonly hopLimit: number;
  /** Of IPv6; 0 in IPv4. */
  readonly flowLabel: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly ack: number;
  /** Nine control bits. */
  readonly flags: number;
  /** Bits between data offset and control bits that must be 0. */
  readonly reserved: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly TcpOptionItem[];
  readonly length: number;
  /** What is wrong with the packet whatever was expected, e.g. its checksum. */
  readonly wrong: string | undefined;
}

/** Takes a packet apart that leaves at `time`, and should do so from `local` to `remote`; `undefined` if it is no TCP segment. */
export function readLivePacket(
  bytes: Uint8Array,
  time: number,
  local: IpAddress,
  remote: IpAddress,
): LivePacket | undefined {
  const frame = Frame.from(bytes);
  const Packet = (bytes[0] ?? 0) >>> 4 === 6 ? Ipv6Packet : Ipv4Packet;
  const wrongIp = Packet.check(frame, frame.start);
  const ip = new Packet(frame, frame.start);
  if (ip.protocol !== IpProtocol.Tcp || bytes.length < ip.headerLength + TCP_HEADER) return undefined;
  const total = ip.totalLength;
  frame.end = frame.start + total;
  frame.start += ip.headerLength;
  const wrongTcp = TcpSegment.check(ip);
  const segment = new TcpSegment(frame, frame.start);
  const { view } = frame.slab;
  const offsetByte = view.getUint8(frame.start + 12);
  const payload = Math.min(segment.payload, frame.end);
  return {
    time,
    trafficClass: ip.trafficClass,
    hopLimit: ip.hopLimit,
    flowLabel: ip instanceof Ipv6Packet ? ip.flowLabel : 0,
    sourcePort: segment.sourcePort,
    destinationPort: segment.destinationPort,
    sequence: segment.sequence,
    ack: segment.acknowledgment,
    flags: segment.flags | ((offsetByte & 1) << 8),
    reserved: (offsetByte >>> 1) & 7,
    window: segment.window,
    urgent: segment.urgentPointer,
    options: readTcpOptionList(view, frame.start + TCP_HEADER, payload),
    length: frame.end - payload,
    wrong:
      wrongIp !== undefined
        ? 'bad IP header'
        : wrongTcp !== undefined
          ? 'bad TCP checksum or header'
          : (misdirected(ip, local, remote) ?? dirty(frame, payload)),
  };
}

/** Scripts have two ends. */
function misdirected(ip: IpPacket, local: IpAddress, remote: IpAddress): string | undefined {
  const { sourceAddress: from, destinationAddress: to } = ip;
  return from.equals(local) && to.equals(remote) ? undefined : `addresses, ${from.toString()} to ${to.toString()}`;
}

/** Applications of scripts write zeros only. */
function dirty(frame: Frame, from: number): string | undefined {
  const { bytes } = frame.slab;
  for (let i = from; i < frame.end; i++) if (bytes[i] !== 0) return 'payload that nobody wrote';
  return undefined;
}
