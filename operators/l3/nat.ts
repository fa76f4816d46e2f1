import { type MonoTypeOperatorFunction, type Observable, Subject } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { Frame, type TxPacket } from '../../lib/core/frame.js';
import type { IcmpErrorKind } from '../../lib/l3/icmp-report.js';
import { NatErrors } from '../../lib/l4/nat/errors.js';
import {
  type NatMapping,
  type NatSession,
  type NatStats,
  natStats,
  listMappings,
  listSessions,
} from '../../lib/l4/nat/show.js';
import type { FlowTable } from '../../lib/l4/conntrack/flow-table.js';
import { type NatOptions, natSettings } from '../../lib/l4/nat/options.js';
import type { NatRule } from '../../lib/l4/nat/rules.js';
import { type NatVerdict, PASS, Translator } from '../../lib/l4/nat/translator.js';
import { TrackedFlows } from '../../lib/l4/nat/tracked-flows.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../lib/wire/ipv6.js';
import { walkExtensions } from '../../lib/wire/ipv6-extensions.js';
import { ipOffset } from '../../lib/wire/network-offset.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/** What a translator takes and passes on. */
export type NatPacket = Frame | Ipv4Packet | Ipv6Packet;

/** Options of {@link nat}. */
export interface NatOperatorOptions extends NatOptions {
  /**
   * The tracking of flows, where it stands in front of `prerouting`, as in netfilter, rather than between the two operators: it is told what replies to
   * translated packets look like. Its `confirm` then stands behind `postrouting`.
   */
  readonly conntrack?: { readonly table: FlowTable };
}

/** The two operators of a translator, and what it remembers. */
export interface Nat {
  /** Where packets come in, in front of all that decides where they go: translates destinations. */
  readonly prerouting: <P extends NatPacket>(source: Observable<P>) => Observable<P>;
  /** Where packets go out, `frame.output` being the device: translates sources. */
  readonly postrouting: <P extends NatPacket>(source: Observable<P>) => Observable<P>;
  /** ICMP errors about what cannot be translated; merge them with what goes out. Nobody has to. */
  readonly replies$: Observable<TxPacket>;
  /** The mappings, for people. */
  mappings(): readonly NatMapping[];
  /** The sessions, for people. */
  sessions(): readonly NatSession[];
  stats(): NatStats;
  /** Forgets all mappings. */
  clear(): void;
}

const NAME = 'nat';

/**
 * Translates network addresses and ports: many internal hosts behind few external addresses, forwarded ports, addresses one to one (RFC 3022), as
 * RFC 4787, 5382, 5508 and 7857 ask for: a mapping is the same for all destinations, its port is a random one and nobody else's, internal hosts
 * reach each other by external addresses, and errors of ICMP are translated with what they quote.
 *
 *     in          --a--b--|     a: 10.0.0.5:4000 > 192.0.2.9:53, b: the answer
 *     postrouting --A-----|     A: 198.51.100.1:31337 > 192.0.2.9:53
 *     prerouting  -----B--|     B: 192.0.2.9:53 > 10.0.0.5:4000
 *
 * Both operators stand in the way of all packets, `prerouting` before and `postrouting` after the packet is routed; what stands between them sees
 * internal addresses in both directions, so that is where `firewall` and `conntrack` go (or see `options.conntrack`). Fragments have no ports: put `defragment` in front. A frame
 * that others hold, too, goes on as a copy.
 *
 * **Drops** `NatNoPort`, `NatNoMapping`, `NatUnsupported`, `NatBadQuote`, `ConntrackFull`.
 * **State and timers** mappings and sessions, for all subscriptions together, and two timers while there are any of these.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * ```ts
 * const home = nat([{ kind: 'source', from: '10.0.0.0/24', to: '198.51.100.1' }]);
 * const out$ = lan$.pipe(home.prerouting, home.postrouting);
 * const in$ = wan$.pipe(home.prerouting);
 * ```
 */
export function nat(rules: readonly NatRule[], options: NatOperatorOptions = {}, env: Env = defaultEnvironment()): Nat {
  const { reportExhaustion } = natSettings(options);
  const translator = new Translator(rules, options, env);
  const tracked = options.conntrack === undefined ? undefined : new TrackedFlows(options.conntrack.table);
  const replies = new Subject<TxPacket>();
  const errors = new NatErrors(translator, env);
  const report = (frame: Frame, kind: IcmpErrorKind): void => {
    const error = replies.observed ? errors.about(frame, kind) : undefined;
    if (error !== undefined) replies.next(error);
  };
  translator.refused = (syn) => report(syn, 'port-unreachable');
  const refuse = (frame: Frame, verdict: DropReason): void => {
    const isExhausted = verdict === DropReason.NatNoPort || verdict === DropReason.ConntrackFull;
    if (isExhausted && reportExhaustion) report(frame, 'prohibited');
    env.drops.report(verdict, frame, NAME);
  };
  const operator =
    (translate: (frame: Frame) => NatVerdict) =>
    <P extends NatPacket>(source: Observable<P>): Observable<P> =>
      source.pipe(hook<P>(translator, translate, refuse, env));
  return {
    prerouting: operator((frame) => translator.comeIn(frame)),
    postrouting: operator((frame) => {
      const verdict = translator.goOut(frame);
      if (verdict === PASS) tracked?.leaves(frame);
      return verdict;
    }),
    replies$: replies.asObservable(),
    mappings: () => listMappings(translator),
    sessions: () => listSessions(translator, env.timers.now()),
    stats: () => natStats(translator),
    clear: () => translator.state.forget(),
  };
}

function hook<P extends NatPacket>(
  translator: Translator,
  translate: (frame: Frame) => NatVerdict,
  refuse: (frame: Frame, verdict: DropReason) => void,
  env: Env,
): MonoTypeOperatorFunction<P> {
  return responder((emit) => {
    translator.begin();
    const pass = (packet: P, frame: Frame): void => {
      const verdict = translate(frame);
      if (verdict === PASS) emit(packet);
      else refuse(frame, verdict);
    };
    return {
      next(packet) {
        const frame = packet instanceof Frame ? packet : packet.frame;
        if (frame.exclusive) return pass(packet, frame);
        const copy = copyOf(frame, env);
        // A view of the same kind.
        pass((packet instanceof Frame ? copy : viewOf(packet, copy)) as P, copy);
        return copy.release();
      },
      teardown: () => translator.end(),
    };
  });
}

/** A copy with the headers that were narrowed away. */
function copyOf(frame: Frame, env: Env): Frame {
  const { start } = frame;
  const from = Math.min(start, Math.max(ipOffset(frame), frame.base));
  frame.start = from;
  const copy = env.pool.copy(frame);
  frame.start = start;
  const shift = copy.start - from;
  copy.start += start - from;
  copy.network = frame.network < 0 ? frame.network : frame.network + shift;
  return copy;
}

function viewOf(packet: Ipv4Packet | Ipv6Packet, copy: Frame): Ipv4Packet | Ipv6Packet {
  const offset = copy.start + packet.offset - packet.frame.start;
  if (packet.version === 4) return Ipv4Packet.of(copy, offset);
  const view = Ipv6Packet.of(copy, offset);
  if (packet.frame.start > packet.offset) walkExtensions(view);
  return view;
}
