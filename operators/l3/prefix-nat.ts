import type { MonoTypeOperatorFunction } from 'rxjs';
import type { Cidr } from '../../lib/core/address.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { PrefixPair } from '../../lib/l4/nat64/prefix-pair.js';
import { PrefixSide, PrefixTranslator, PrefixVerdict } from '../../lib/l4/nat64/prefix-translator.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

type Packet = Ipv4Packet | Ipv6Packet;

/** Networks of the same version and size: the internal one is seen as the external one from outside. */
export interface PrefixNatRule {
  readonly internal: Cidr | string;
  readonly external: Cidr | string;
}

/** A running translation of prefixes: itself both of its halves, for a pipeline on the border. */
export interface PrefixNat extends MonoTypeOperatorFunction<Packet> {
  /** External destinations become internal ones: in front of a router's decision. */
  readonly prerouting: MonoTypeOperatorFunction<Packet>;
  /** Internal sources become external ones, unless they send to their own network: behind a router's decision. */
  readonly postrouting: MonoTypeOperatorFunction<Packet>;
}

/**
 * Makes one network be seen as another of the same size, host for host and without state: one-to-one NAT of IPv4, and prefix translation of IPv6 (NPTv6, RFC
 * 6296), where 16 bits behind the prefix change so that no checksum does.
 *
 *     in   --o--i--x--|     o: from 10.1.0.5 to elsewhere, i: to 203.0.113.5
 *     out  --O--I--x--|     O: from 203.0.113.5, I: to 10.1.0.5; x: of neither network
 *
 * Packets are changed in place, the quotations of ICMP errors too; where somebody else looks at their bytes a copy goes on, valid during `next`.
 * Hosts reach each other by their external addresses as well (hairpinning).
 *
 * **Drops** `TranslateImpossible`: IPv6 hosts of subnet 0xffff, or with the identifier 0 or all ones behind a longer prefix (RFC 6296 3.4, 3.5).
 * **State and timers** none.
 *
 * @throws UsageError `ERR_INVALID_OPTION` without rules, or for networks of different size or version; `ERR_INVALID_ADDRESS`
 * @example
 * ```ts
 * const border = prefixNat([{ internal: 'fd01:203:405::/48', external: '2001:db8:1::/48' }]);
 * router({ interfaces, hooks: { prerouting: border.prerouting, postrouting: border.postrouting } });
 * ```
 */
export function prefixNat(rules: readonly PrefixNatRule[], env: Env = defaultEnvironment()): PrefixNat {
  if (rules.length === 0) throw new UsageError('ERR_INVALID_OPTION', 'prefixNat() without rules translates nothing');
  const pairs = rules.map(({ internal, external }) => new PrefixPair(internal, external));
  const prerouting = half(pairs, PrefixSide.Destination, env);
  const postrouting = half(pairs, PrefixSide.Source, env);
  return Object.assign(half(pairs, PrefixSide.Source | PrefixSide.Destination, env), { prerouting, postrouting });
}

function half(pairs: readonly PrefixPair[], sides: number, env: Env): MonoTypeOperatorFunction<Packet> {
  const { drops, pool } = env;
  return responder<Packet, Packet>((emit) => {
    const translator = new PrefixTranslator(pairs);
    return {
      next(packet) {
        const { frame, offset: network } = packet;
        const verdict = translator.look(frame, network, sides);
        if (verdict === PrefixVerdict.Pass) return emit(packet);
        if (verdict === PrefixVerdict.Drop) return drops.report(DropReason.TranslateImpossible, frame, 'prefixNat');
        if (frame.exclusive) {
          translator.rewrite(frame, network);
          return emit(packet);
        }
        const { start } = frame;
        frame.start = network;
        const copy = pool.copy(frame);
        frame.start = start;
        copy.network = copy.start;
        drops.deliver(frame);
        translator.rewrite(copy, copy.start);
        emit(packet.version === 4 ? Ipv4Packet.of(copy, copy.start) : Ipv6Packet.of(copy, copy.start));
        return copy.release();
      },
    };
  });
}
