/** A firewall without its streams: rules that can be replaced between two packets, and what they say of each. */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import { FlowState, type Frame, NOT_PARSED, type TxPacket } from '../core/frame.js';
import type { IcmpErrors } from '../l3/icmp-errors.js';
import { Ipv4Packet } from '../wire/ipv4.js';
import { Ipv6Packet } from '../wire/ipv6.js';
import { ipOffset } from '../wire/network-offset.js';
import { accept, ruleSet, when } from './build.js';
import { compileRules } from './compile.js';
import { Field } from './facts.js';
import { FlowVerdict, FlowVerdicts } from './flow-verdicts.js';
import type { Hook, NatStatement, Predicate, Rule, RuleSet } from './model.js';
import { type FilterContext, Outcome, type Program, type RuleInfo } from './program.js';
import { Rejections } from './reject.js';
import { parseRules } from './text-parser.js';

/** Rules in any of the three ways: text, built ones, or a predicate that says what is let through. */
export type RuleSource = string | readonly Rule[] | RuleSet | Predicate;

/** Options of a {@link Filter}, and of `firewall`. */
export interface FilterOptions {
  /** Which base chains of the rules are meant: those of this hook. Default: those of the only hook that they have. */
  readonly hook?: Hook;
  /** Conditions that the text calls by name: `when "name"`. */
  readonly predicates?: Readonly<Record<string, Predicate>>;
  /**
   * Does what `redirect`, `masquerade`, `dnat` and `snat` ask for, and returns whether it could; the packet is dropped where it could not.
   * Without it rules that ask for a translation are refused.
   */
  readonly nat?: (statement: NatStatement, frame: Frame) => boolean;
  /**
   * Makes the ICMP errors of `reject`: `icmpErrors` of a host or router, so that their limit is shared and they come from an address of its
   * own. Default: ones that come from where the packet was to go, 1,000 a second and 50 at once.
   */
  readonly errors?: Pick<IcmpErrors, 'about'>;
  /**
   * Local time in milliseconds since the beginning of 1970, for `meta hour` and `meta day`. Default: the clock of the environment, taken for
   * that of UTC: on the wall clock it is, and virtual time begins with Thursday, 0:00.
   */
  readonly wallTime?: () => number;
  /**
   * After rules were replaced, asks them once about each flow that goes on, as if it were new, and ends flows that they would not let begin; the flow is
   * then within every limit, and counts towards none. Needs a connection tracker in front. Default false: such flows go by the rules as any
   * packet does, so those that begin with `ct state established accept` let them go on.
   */
  readonly revalidate?: boolean;
}

/** A packet that a rule with `log` was fulfilled by; the frame is valid only during the call. */
export interface FilterLog {
  readonly rule: RuleInfo;
  /** What the rule says to call it; may be empty. */
  readonly prefix: string;
  /** Milliseconds of the environment's clock. */
  readonly time: number;
  readonly frame: Frame;
}

/** What one rule was fulfilled by. */
export interface RuleCounter extends RuleInfo {
  readonly packets: number;
  /** Of IP packets, with their headers. */
  readonly bytes: number;
}

/** What the policy of a base chain decided about. */
export interface PolicyCounter {
  readonly chain: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Counters since the rules were last replaced. */
export interface FilterCounters {
  readonly rules: readonly RuleCounter[];
  readonly policies: readonly PolicyCounter[];
}

/** Whoever wants to know more than the verdict. */
export interface FilterListener {
  log(log: FilterLog): void;
  /** Takes over the reference of the packet. */
  reply(packet: TxPacket): void;
}

/** Bit of `Field.State`. */
const AS_NEW = 1 << FlowState.New;

/** Judges packets by rules. */
export class Filter {
  private readonly env: Env;
  private readonly options: FilterOptions;
  private readonly listener: FilterListener;
  private readonly context: FilterContext;
  private readonly rejections: Rejections;
  private readonly flows: FlowVerdicts | undefined;
  private program: Program;
  private isReplaced = false;

  /** @throws RuleError */
  constructor(rules: RuleSource, options: FilterOptions, listener: FilterListener, env: Env) {
    this.env = env;
    this.options = options;
    this.listener = listener;
    this.context = contextOf(options, listener, env);
    this.rejections = new Rejections(options.errors, env);
    this.flows = options.revalidate === true ? new FlowVerdicts() : undefined;
    this.program = this.compile(rules);
  }

  /**
   * Puts other rules in place of these, all at once; where they cannot be done nothing changes. Counters, and what limits remember, begin anew.
   *
   * @throws RuleError
   */
  replace(rules: RuleSource): void {
    this.program = this.compile(rules);
    this.flows?.clear();
    this.isReplaced = true;
  }

  counters(): FilterCounters {
    const { infos, packets, bytes, bases, policyPackets, policyBytes } = this.program;
    return {
      rules: infos.map((info, i) => ({ ...info, packets: packets[i] ?? 0, bytes: bytes[i] ?? 0 })),
      policies: bases.map(({ name }, i) => ({
        chain: name,
        packets: policyPackets[i] ?? 0,
        bytes: policyBytes[i] ?? 0,
      })),
    };
  }

  /**
   * Why the packet is to be dropped, or `undefined` where it is let through, as is what is not IP. Whoever is asked or told of a packet meanwhile may
   * have others judged.
   */
  judge(frame: Frame): DropReason | undefined {
    const network = ipOffset(frame);
    if (network === NOT_PARSED) return undefined;
    const { program } = this;
    return program.isAsking ? this.judgeAside(program, frame, network) : this.judgeBy(program, frame, network);
  }

  private judgeAside(program: Program, frame: Frame, network: number): DropReason | undefined {
    return program.aside(() => this.judgeBy(program, frame, network));
  }

  private judgeBy(program: Program, frame: Frame, network: number): DropReason | undefined {
    if (!program.read(frame, network)) return whatIsWrong(frame, network);
    const outcome =
      this.flows === undefined || !this.isReplaced ? program.decide() : this.decideAgain(program, this.flows);
    if (program.failed) return DropReason.CallbackThrew;
    if (outcome === Outcome.Accept) return undefined;
    if (outcome === Outcome.Drop) return DropReason.Filtered;
    const answer = this.rejections.answer(program.rejectWith, frame, program.facts.fields);
    if (answer !== undefined) this.listener.reply(answer);
    return DropReason.FilterRejected;
  }

  private decideAgain(program: Program, flows: FlowVerdicts): Outcome {
    const { flow, flowState, flowReply } = program.frame;
    if (flow === 0) return program.decide();
    const isNew = flowState === FlowState.New;
    if (isNew) flows.forget(flow);
    const known = flows.of(flow);
    if (known === FlowVerdict.Refused) return Outcome.Drop;
    if (known === FlowVerdict.Fine || flowReply || (!isNew && flowState !== FlowState.Established)) {
      return program.decide();
    }
    program.values[Field.State] = AS_NEW;
    program.isUnlimited = !isNew;
    const outcome = program.decide();
    program.isUnlimited = false;
    // Not where a callback threw, or has put other rules in place of these.
    if (program.failed || program !== this.program) return outcome;
    if (outcome === Outcome.Accept) flows.set(flow, FlowVerdict.Fine);
    else if (!isNew) flows.set(flow, FlowVerdict.Refused);
    return outcome;
  }

  private compile(rules: RuleSource): Program {
    const { hook, predicates } = this.options;
    return compileRules(ruleSetOf(rules), {
      ...(hook === undefined ? {} : { hook }),
      ...(predicates === undefined ? {} : { predicates }),
      context: this.context,
      random: this.env.random,
    });
  }
}

function contextOf({ nat, wallTime }: FilterOptions, listener: FilterListener, { timers }: Env): FilterContext {
  return {
    now: () => timers.now(),
    wallTime: wallTime ?? (() => timers.now()),
    log: (rule, prefix, frame) => listener.log({ rule, prefix, time: timers.now(), frame }),
    ...(nat === undefined ? {} : { translate: nat }),
  };
}

/** The rules, however they were given. @throws RuleError where the text is not one of rules */
export function ruleSetOf(source: RuleSource): RuleSet {
  if (typeof source === 'string') return parseRules(source);
  if (typeof source === 'function') return ruleSet({ rules: [accept(when(source))], policy: 'drop' });
  return 'chains' in source ? source : ruleSet({ rules: source });
}

function whatIsWrong(frame: Frame, network: number): DropReason {
  const version = network < frame.end ? frame.slab.view.getUint8(network) >>> 4 : 0;
  if (version === 4) return Ipv4Packet.check(frame, network) ?? DropReason.Ipv4BadHeader;
  if (version === 6) return Ipv6Packet.check(frame, network) ?? DropReason.Ipv6BadExtension;
  return DropReason.IpUnknownVersion;
}
