/** Brings reports about packets of ours to whoever sent them: what routers and hosts wrote in ICMP, and what we found out ourselves. */

import { Ipv4Address } from '../core/address.js';
import type { NetCode } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { Icmpv4Type, Icmpv4Unreachable } from '../wire/icmpv4.js';
import { Icmpv6Quote } from '../wire/icmpv6.js';
import { Ipv4Packet } from '../wire/ipv4.js';
import type { IpPacket } from '../wire/ip.js';
import type { IcmpErrorKind, IcmpReport } from './icmp-report.js';
import { onLinkOf } from './scope.js';

/** Receives reports of one protocol, synchronously, and returns false for those that it does not believe. It must not throw. */
export type IcmpReportHandler = (report: IcmpReport) => unknown;

/** Handlers of reports, one per protocol. */
export class IcmpReports {
  private readonly handlers = new Map<number, IcmpReportHandler>();

  /** Sends reports about packets of `protocol` to `handler` from now on; returns how to stop. */
  on(protocol: number, handler: IcmpReportHandler): () => void {
    this.handlers.set(protocol, handler);
    return () => {
      if (this.handlers.get(protocol) === handler) this.handlers.delete(protocol);
    };
  }

  /**
   * Returns whether the report may be believed: not, if the transport that sends such packets does not remember that one (RFC 5927 4.1,
   * RFC 8899 4.6.1), or if nobody here sends any.
   */
  deliver(report: IcmpReport): boolean {
    const handler = this.handlers.get(report.protocol);
    return handler !== undefined && handler(report) !== false;
  }

  /**
   * Reports what we know ourselves about the outgoing packet that starts at `frame.start`: no ICMP message crosses the wire.
   * Later fragments are not reported, since whoever sent the packet cannot recognise them.
   */
  local(frame: Frame, kind: IcmpErrorKind, code: NetCode, mtu = 0): void {
    const quote = Icmpv6Quote.at(frame, frame.start, frame.end);
    const packet = quote?.packet ?? new Ipv4Packet(frame, frame.start);
    const transport = quote?.transport ?? transportOf(packet);
    if (transport < 0 || frame.end - transport < 8) return;
    const { protocol } = packet;
    const source = onLinkOf(frame.device, packet.sourceAddress);
    const destination = onLinkOf(frame.device, packet.destinationAddress);
    this.deliver({ kind, code, reporter: source, source, destination, protocol, mtu, frame, transport });
  }
}

/** Offset of the transport header, or -1 in a later fragment. */
function transportOf(packet: IpPacket): number {
  return packet instanceof Ipv4Packet && packet.fragmentOffset === 0 ? packet.offset + packet.headerLength : -1;
}

/** What an ICMP error means. */
export interface Meaning {
  readonly kind: IcmpErrorKind;
  readonly code: NetCode;
}

// Indexed by code; the errors that Linux gives to sockets (GP-23).
const UNREACHABLE: readonly Meaning[] = [
  { kind: 'net-unreachable', code: 'ENETUNREACH' },
  { kind: 'host-unreachable', code: 'EHOSTUNREACH' },
  { kind: 'protocol-unreachable', code: 'ENOPROTOOPT' },
  { kind: 'port-unreachable', code: 'ECONNREFUSED' },
  { kind: 'packet-too-big', code: 'EMSGSIZE' },
  { kind: 'source-route-failed', code: 'EOPNOTSUPP' },
  { kind: 'net-unreachable', code: 'ENETUNREACH' },
  { kind: 'host-unreachable', code: 'EHOSTDOWN' },
  { kind: 'host-unreachable', code: 'ENONET' },
  { kind: 'prohibited', code: 'ENETUNREACH' },
  { kind: 'prohibited', code: 'EHOSTUNREACH' },
  { kind: 'net-unreachable', code: 'ENETUNREACH' },
  { kind: 'host-unreachable', code: 'EHOSTUNREACH' },
  { kind: 'prohibited', code: 'EHOSTUNREACH' },
  { kind: 'prohibited', code: 'EHOSTUNREACH' },
  { kind: 'prohibited', code: 'EHOSTUNREACH' },
];

/** What an ICMPv4 error of this type and code means, or `undefined` where it means nothing to sockets. */
export function meaningOfIcmpv4(type: number, code: number): Meaning | undefined {
  switch (type) {
    case Icmpv4Type.DestinationUnreachable:
      return UNREACHABLE[code];
    case Icmpv4Type.TimeExceeded:
      return { kind: code === 0 ? 'time-exceeded' : 'reassembly-timeout', code: 'EHOSTUNREACH' };
    case Icmpv4Type.ParameterProblem:
      return { kind: 'parameter-problem', code: 'EINVAL' };
    default:
      return undefined;
  }
}

/** Type and code that say `kind`. */
export function icmpv4Of(kind: IcmpErrorKind): { readonly type: number; readonly code: number } {
  if (kind === 'time-exceeded') return { type: Icmpv4Type.TimeExceeded, code: 0 };
  if (kind === 'reassembly-timeout') return { type: Icmpv4Type.TimeExceeded, code: 1 };
  if (kind === 'parameter-problem') return { type: Icmpv4Type.ParameterProblem, code: 0 };
  return { type: Icmpv4Type.DestinationUnreachable, code: unreachableCode(kind) };
}

function unreachableCode(kind: IcmpErrorKind): number {
  if (kind === 'prohibited') return Icmpv4Unreachable.AdminProhibited;
  const code = UNREACHABLE.findIndex((meaning) => meaning.kind === kind);
  return code < 0 ? Icmpv4Unreachable.Host : code;
}

/** Whether the address, as a number, can be of one host: neither unspecified, nor a group, nor reserved (RFC 1122 3.2.2). */
export function isHostAddress(address: number): boolean {
  return address !== Ipv4Address.ANY.value && address >>> 28 < 14;
}
