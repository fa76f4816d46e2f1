import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { Frame } from '../../lib/core/frame.js';
import { mendIpv4Header, mendIpv6Header } from '../../lib/l3/fragment.js';
import { fragmentProblem, Reassembler, type ReassemblyOptions } from '../../lib/l3/reassembly.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { type ExtensionProblem, findPayload, FragmentHeader, walkExtensions } from '../../lib/wire/ipv6-extensions.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link reassemble}. */
export interface ReassembleOptions extends Omit<ReassemblyOptions, 'expired'> {
  /** A datagram was not complete in time; the packet is its first fragment, for an ICMP time exceeded. Valid during the call. */
  readonly expired?: (first: Ipv4Packet | Ipv6Packet) => void;
  /** Is told of IPv6 fragments and headers that ask for a parameter problem (RFC 8200 4.5). The packet is valid during the call. */
  readonly problem?: (packet: Ipv6Packet, problem: ExtensionProblem) => void;
  /** The packets are on their way: what the headers behind that of a fragment say is for their destination alone (RFC 8200 4). Default false. */
  readonly transit?: boolean;
}

const NAME = 'reassemble';

/**
 * Puts fragmented packets of one IP version together; whole ones pass.
 *
 *     in   --1--3--2--p--|     1, 2, 3: fragments of one packet
 *     out  --------W--p--|
 *
 * A whole packet is on a frame of its own, with the first fragment's header; like every received frame it is valid only during `next`.
 *
 * **Drops** `FragmentBad`, `FragmentOverlap` (RFC 5722), `FragmentMemory`, `FragmentTimeout`, `Disposed`; of IPv6 also what `ipv6` drops
 * for its extension headers, unless they are in transit.
 * **State and timers** per subscription: incomplete packets, at most 4 MiB, each for 30 s (IPv4) or 60 s (IPv6), and one timer.
 *
 * @example
 * ```ts
 * const net$ = link$.on(EtherType.Ipv4).pipe(ipv4({ addresses }), reassemble(), demux((packet) => packet.protocol));
 * ```
 */
export function reassemble<P extends Ipv4Packet | Ipv6Packet>(
  options: ReassembleOptions = {},
  env: Env = defaultEnvironment(),
): OperatorFunction<P, P> {
  const { expired, ...limits } = options;
  return responder((emit: (packet: P) => void) => {
    const reassembler = new Reassembler({ ...limits, expired: (first) => first && expired?.(packetAt(first)) }, env);
    return {
      next(packet) {
        if (!packet.isFragment) return emit(packet);
        const frame = add(reassembler, packet, options, env);
        if (frame === undefined) return undefined;
        const whole = packet.version === 4 ? whole4(frame, env) : whole6(frame, options, env);
        // Of the version that came in.
        if (whole !== undefined) emit(whole as P);
        return frame.release();
      },
      teardown: () => reassembler.dispose(),
    };
  });
}

function add(
  reassembler: Reassembler,
  packet: Ipv4Packet | Ipv6Packet,
  { problem }: ReassembleOptions,
  env: Env,
): Frame | undefined {
  const header =
    packet.version === 4 ? packet : new FragmentHeader(packet.frame, packet.offset + packet.fragmentHeader);
  const { identification, fragmentOffset: offset, moreFragments: more } = header;
  const place = { identification, offset, more };
  const trouble = packet.version === 6 ? fragmentProblem(packet, place) : undefined;
  if (packet.version === 4 || trouble === undefined) return reassembler.add(packet, place);
  problem?.(packet, trouble);
  return env.drops.report(trouble.reason, packet.frame, NAME);
}

/** The first fragment that starts with the frame. */
function packetAt(frame: Frame): Ipv4Packet | Ipv6Packet {
  const version = frame.slab.view.getUint8(frame.start) >>> 4;
  return version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
}

function whole4(frame: Frame, env: Env): Ipv4Packet | undefined {
  if (mendIpv4Header(frame)) return new Ipv4Packet(frame, frame.network);
  return env.drops.report(DropReason.FragmentBad, frame, NAME);
}

/** What stood behind the first fragment's header may be further headers. */
function whole6(frame: Frame, { problem, transit = false }: ReassembleOptions, env: Env): Ipv6Packet | undefined {
  if (!mendIpv6Header(frame)) return env.drops.report(DropReason.FragmentBad, frame, NAME);
  const packet = new Ipv6Packet(frame, frame.network);
  packet.fragmented = true;
  const trouble = problemOf(packet, transit);
  if (trouble !== undefined) {
    problem?.(packet, trouble);
    return env.drops.report(trouble.reason, frame, NAME);
  }
  frame.start = packet.offset + packet.headerLength;
  if (!packet.isFragment) return packet;
  // Fragments of fragments: nobody sends them.
  return env.drops.report(DropReason.FragmentBad, frame, NAME);
}

/** What is wrong with the headers, as far as that is for us to say; the payload is found in any case. */
function problemOf(packet: Ipv6Packet, transit: boolean): ExtensionProblem | undefined {
  if (!transit) return walkExtensions(packet);
  findPayload(packet, packet.frame.end);
  return undefined;
}
