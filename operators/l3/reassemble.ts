import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { mendIpv4Header } from '../../lib/l3/fragment.js';
import { Reassembler, type ReassemblyOptions } from '../../lib/l3/reassembly.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link reassemble}. */
export interface ReassembleOptions extends Omit<ReassemblyOptions, 'expired'> {
  /** A datagram was not complete in time; the packet is its first fragment, for an ICMP time exceeded. Valid during the call. */
  readonly expired?: (first: Ipv4Packet) => void;
}

/**
 * Puts fragmented packets together; whole ones pass.
 *
 *     in   --1--3--2--p--|     1, 2, 3: fragments of one packet
 *     out  --------W--p--|
 *
 * A whole packet is on a frame of its own, with the first fragment's header; like every received frame it is valid only during `next`.
 *
 * **Drops** `FragmentBad`, `FragmentOverlap` (RFC 5722), `FragmentMemory`, `FragmentTimeout`, `Disposed`.
 * **State and timers** per subscription: incomplete packets, at most 4 MiB, each for 30 s, and one timer.
 *
 * @example
 * ```ts
 * const net$ = link$.on(EtherType.Ipv4).pipe(ipv4({ addresses }), reassemble(), demux((packet) => packet.protocol));
 * ```
 */
export function reassemble(
  options: ReassembleOptions = {},
  env: Env = defaultEnvironment(),
): OperatorFunction<Ipv4Packet, Ipv4Packet> {
  const { expired, ...limits } = options;
  return responder((emit) => {
    const reassembler = new Reassembler(
      { ...limits, expired: (first) => first && expired?.(new Ipv4Packet(first, first.start)) },
      env,
    );
    return {
      next(packet) {
        if (!packet.isFragment) return emit(packet);
        const { identification, fragmentOffset: offset, moreFragments: more } = packet;
        const whole = reassembler.add(packet, { identification, offset, more });
        if (whole === undefined) return undefined;
        if (mendIpv4Header(whole)) emit(new Ipv4Packet(whole, whole.network));
        else env.drops.report(DropReason.FragmentBad, whole, 'reassemble');
        return whole.release();
      },
      teardown: () => reassembler.dispose(),
    };
  });
}
