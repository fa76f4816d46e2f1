import { type MonoTypeOperatorFunction, Observable, Subject } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { Frame, TxPacket } from '../../lib/core/frame.js';
import { Nat64Machine, type Nat64Mapping, type Nat64Options, type PacketTranslator } from '../../lib/l4/nat64/nat64.js';
import { StatelessMapper, type StatelessOptions } from '../../lib/l4/nat64/stateless.js';
import { Translator, type TranslatorOptions } from '../../lib/l4/nat64/translator.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

type Packet = Ipv4Packet | Ipv6Packet;

/** An operator that translates between the versions of IP. */
export interface TranslatorOperator extends MonoTypeOperatorFunction<Packet> {
  /** ICMP errors, and probes, of the translator itself: merge them into the way out. Without a subscriber they are not made. */
  readonly replies$: Observable<TxPacket>;
}

/** A running NAT64: see {@link nat64}. */
export interface Nat64 extends TranslatorOperator {
  /** The mappings as they are now. */
  list(): Nat64Mapping[];
}

/** Options of {@link siit}. */
export interface SiitOptions extends StatelessOptions, TranslatorOptions {}

/**
 * Lets hosts of IPv6 reach IPv4: packets to `prefix` become IPv4 packets from an address of `pool`, and what comes back to that becomes IPv6 again (RFC 6146,
 * RFC 7915). Packets of either version go in, those of the other come out; what is for others passes by.
 *
 *     in   --6-----4--x--|     6: to 64:ff9b::c633:6407, 4: its answer, x: neither to the prefix nor to the pool
 *     out  --4-----6--x--|     4: from the pool to 198.51.100.7
 *
 * Mappings do not depend on the remote end; filters do on its address, unless told otherwise. TCP, UDP and ICMP queries are translated, and ICMP errors with
 * the packets that they quote, in place where that can be. Host to host behind the translator (hairpinning) works, and so do fragments, in any order.
 * Names are left to a DNS64 of yours.
 *
 * What comes out is a whole packet, whose frame starts at its IP header, valid during `next`. In a router take `nat64Device` of the drivers instead:
 * there the translated packets are routed, filtered and tracked as any others are.
 *
 * **Drops** `TranslateImpossible`, `NatUnsupported`, `NatNoMapping`, `NatNoPort`, `NatBadQuote`, `ConntrackFull`, `HopLimitExceeded`, `IpTooBig`,
 * `Ipv4SourceRouted`, `Ipv6SourceRouted`, `Ipv6BadExtension`, `FragmentBad`, `FragmentTimeout`, `FragmentMemory`.
 * **State and timers** mappings and sessions, at most `capacity`, one table for all subscriptions; three timers, while there is one.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * ```ts
 * const translate = nat64({ pool: ['192.0.2.1'] });
 * merge(net6$.pipe(translate), translate.replies$).subscribe(send);
 * ```
 */
export function nat64(options: Nat64Options, env: Env = defaultEnvironment()): Nat64 {
  const machine = new Nat64Machine(options, env);
  return Object.assign(operatorOf(machine), { list: () => machine.list() });
}

/**
 * Translates between the versions of IP without state (RFC 7915): addresses by explicit mappings (RFC 7757), others by a prefix (RFC 6052). For hosts that have
 * an address of each version, one for one.
 *
 *     in   --4--6--x--|     4: to 192.0.2.33, 6: its answer
 *     out  --6--4--x--|     siit({ prefix: '2001:db8::/96', mappings: [{ ipv4: '192.0.2.33', ipv6: 'fd00::33' }] })
 *
 * The same holds as for {@link nat64}, and any protocol is translated, fragments in any order.
 *
 * **Drops** as `nat64`, but for those of its table. **State and timers** none.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 */
export function siit(options: SiitOptions, env: Env = defaultEnvironment()): TranslatorOperator {
  return operatorOf(siitMachine(options, env));
}

/** A stateless translator as a whole. */
function siitMachine(options: SiitOptions, env: Env): PacketTranslator {
  return new Translator(new StatelessMapper(options), options, env);
}

function operatorOf(machine: PacketTranslator): TranslatorOperator {
  const replies = new Subject<TxPacket>();
  let users = 0;
  const operator = responder<Packet, Packet>((emit) => {
    const out = (frame: Frame): void => emit(viewOf(frame));
    users++;
    return {
      next(packet) {
        if (!machine.translate(packet.frame, packet.offset, out)) emit(packet);
      },
      teardown() {
        if (--users === 0) machine.dispose();
      },
    };
  });
  const replies$ = new Observable<TxPacket>((subscriber) => {
    machine.reply = (packet) => replies.next(packet);
    subscriber.add(replies.subscribe(subscriber));
    subscriber.add(() => {
      if (!replies.observed) machine.reply = undefined;
    });
  });
  return Object.assign(operator, { replies$ });
}

function viewOf(frame: Frame): Packet {
  const { network } = frame;
  return frame.slab.view.getUint8(network) >>> 4 === 4 ? Ipv4Packet.of(frame, network) : Ipv6Packet.of(frame, network);
}
