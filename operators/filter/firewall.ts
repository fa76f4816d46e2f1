import { type Observable, Subject } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { TxPacket } from '../../lib/core/frame.js';
import {
  Filter,
  type FilterCounters,
  type FilterLog,
  type FilterOptions,
  type RuleSource,
} from '../../lib/filter/filter.js';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link firewall}. */
export interface FirewallOptions extends FilterOptions {
  /** Packets come with their reference, as on the way out: what is dropped is released. Default false. */
  readonly outgoing?: boolean;
}

/** What {@link firewall} makes: an operator between any two layers of the same packets. */
export interface Firewall {
  <P extends Packet>(source: Observable<P>): Observable<P>;
  /** What the senders of rejected packets are told, to be merged on the way out. Where nobody listens nobody is told. */
  readonly replies$: Observable<TxPacket>;
  /** Packets that rules with `log` were fulfilled by, told at once; listeners may send others through the firewall meanwhile. */
  readonly logs$: Observable<FilterLog>;
  /**
   * Puts other rules in place of these, between two packets; where they are wrong, nothing changes. @throws RuleError
   */
  replace(rules: RuleSource): void;
  /** What each rule was fulfilled by since the rules were last replaced. */
  counters(): FilterCounters;
}

/**
 * Lets through the packets that rules accept. Rules are text in the manner of nftables, are built of conditions and verdicts, or are a predicate.
 *
 *     in        --a--b--c--|
 *     out       --a--------|     b dropped, c rejected
 *     replies$  --------r---
 *
 * What is not IP passes. What is IP, but no sound packet, does not. Packets of flows that began under former rules go by the new ones as any
 * other: rules that begin with `ct state established,related accept` let them go on; with `revalidate` they do so only if the rest of the
 * rules would have let them begin.
 *
 * **Drops** `Filtered`, `FilterRejected` with an answer to the sender, `CallbackThrew`; of unsound packets `IpUnknownVersion`, and those of
 * `ipv4` and `ipv6`.
 * **State and timers** limits and counters, which are the firewall's: all streams that go through it share them. No timers.
 *
 * @example
 * const wall = firewall([accept(tcp, dport(22), from('10.0.0.0/8')), accept(state('established')), reject()]);
 * const tracking = conntrack();
 * packets$.pipe(tracking, wall, tracking.confirm)
 *
 * @throws RuleError for rules that cannot be done
 */
export function firewall(rules: RuleSource, options: FirewallOptions = {}, env: Env = defaultEnvironment()): Firewall {
  const replies$ = new Subject<TxPacket>();
  const logs$ = new Subject<FilterLog>();
  const filter = new Filter(
    rules,
    options,
    {
      log: (log) => logs$.next(log),
      reply(packet) {
        if (replies$.observed) replies$.next(packet);
        else packet.release();
      },
    },
    env,
  );
  const { drops } = env;
  const refuse = options.outgoing === true;
  const operator = <P extends Packet>(source: Observable<P>): Observable<P> =>
    source.pipe(
      layer(() => (packet: P) => {
        const frame = frameOf(packet);
        const reason = filter.judge(frame);
        if (reason === undefined) return packet;
        if (refuse) drops.refuse(reason, frame, 'firewall');
        else drops.report(reason, frame, 'firewall');
        return undefined;
      }),
    );
  return Object.assign(operator, {
    replies$: replies$.asObservable(),
    logs$: logs$.asObservable(),
    replace: (next: RuleSource) => filter.replace(next),
    counters: () => filter.counters(),
  });
}
