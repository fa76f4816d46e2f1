/**
 * Translates addresses and ports of packets on their way through a router: where they come in their destinations, where they go out their
 * sources (RFC 3022; RFC 4787, 5382, 5508 and 7857 say how). What lies in between, rules and routes and connection tracking, sees internal addresses
 * only, whichever way a packet goes.
 */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { type Frame, NOT_PARSED } from '../../core/frame.js';
import { ipOffset } from '../../wire/network-offset.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { isIcmpError, mayBeFragmented, rewriteIdentification, rewriteSource } from '../../wire/rewrite.js';
import { Admission } from './admission.js';
import { ErrorTranslator } from './error-translator.js';
import type { ExternalAddress } from './externals.js';
import { HeldSyns } from './held-syns.js';
import { MappingKind } from './mappings.js';
import { type NatOptions, type NatSettings, natSettings } from './options.js';
import { Policies, type SourcePolicy } from './policies.js';
import { destinationPortOf, isIcmpReply, NatProtocol, natProtocol, NO_PROTOCOL, sourcePortOf } from './protocols.js';
import type { NatRule, StaticPrefixes } from './rules.js';
import { staticDestination, staticSource } from './static-rewrite.js';
import { End, NatState } from './state.js';
import { isOpening } from './tcp-session.js';

/** What becomes of a packet: it goes on, or is dropped for a reason. */
export type NatVerdict = DropReason | typeof PASS;
export const PASS = 0;

/** Values of `Frame.translation` beside mappings' slots: the source stays, or is translated by a static rule. */
export const SOURCE_STAYS: number = -1;
export const SOURCE_STATIC: number = -2;

/** See the module. */
export class Translator {
  readonly policies: Policies;
  readonly state: NatState;
  readonly held: HeldSyns;
  /** Is given SYNs that nobody asked for, once it is time to tell their senders; the frame starts at its IP header. */
  refused: (syn: Frame) => void = () => {};
  private readonly settings: NatSettings;
  private readonly admission: Admission;
  private readonly errors: ErrorTranslator;
  private readonly env: Env;
  private readonly fields: PacketFields = new PacketFields();
  private readonly from: End = new End();
  private readonly remote: End = new End();
  private users = 0;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(rules: readonly NatRule[], options: NatOptions, env: Env) {
    this.env = env;
    this.settings = natSettings(options);
    this.policies = new Policies(rules, this.settings.tables, env.random);
    this.state = new NatState(this.policies, this.settings, env);
    this.admission = new Admission(this.state, this.policies, this.settings);
    this.errors = new ErrorTranslator(this.policies, this.state, this.admission);
    this.held = new HeldSyns(this.settings.unsolicited, (syn) => this.refused(syn), env);
  }

  /** Whoever sends packets through begins: from now on sessions end in time. */
  begin(): void {
    this.users++;
    this.state.watch();
  }

  /** The last to end leaves no timer, and no frame. */
  end(): void {
    if (--this.users > 0) return;
    this.state.stop();
    this.held.dispose();
  }

  /**
   * Translates the destination of a packet that has come in. Its bytes must be the caller's to change. What is not IP, or of addresses that
   * are nobody's, stays as it is here and in `goOut`.
   */
  comeIn(frame: Frame): NatVerdict {
    const { fields, policies } = this;
    frame.translation = 0;
    const at = ipOffset(frame);
    if (at === NOT_PARSED || !fields.read(frame, at) || fields.isMapped) return PASS;
    policies.refresh();
    const { destination0, destination1, destination2, destination3 } = fields;
    for (const one of policies.statics) {
      if (one.external.has(destination0, destination1, destination2, destination3))
        return this.comeInStatic(frame, one);
    }
    const external = policies.externals.find(destination0, destination1, destination2, destination3);
    if (external === undefined) return PASS;
    if (isIcmpError(fields)) return this.errors.comeIn(frame, fields, external);
    const protocol = natProtocol(fields);
    if (protocol === NO_PROTOCOL) return external.isLocal ? PASS : DropReason.NatUnsupported;
    const now = this.env.timers.now();
    const mapping = this.mappingTo(external, protocol, now);
    if (mapping === 0) return this.strange(frame, external, protocol);
    return this.comeInMapped(frame, mapping, protocol, now);
  }

  /** Translates the source of a packet that is about to leave by `frame.output`. */
  goOut(frame: Frame): NatVerdict {
    const { translation } = frame;
    frame.translation = 0;
    const { fields, policies } = this;
    const at = ipOffset(frame);
    if (translation === SOURCE_STAYS || at === NOT_PARSED || !fields.read(frame, at) || fields.isMapped) return PASS;
    policies.refresh();
    if (isIcmpError(fields)) return this.errors.goOut(frame, fields, translation);
    if (translation > 0 && this.isOf(translation)) return this.translateSource(frame, translation);
    for (const one of policies.statics) {
      const applies = translation === SOURCE_STATIC || one.out === undefined || frame.output?.name === one.out;
      if (applies && this.isStatic(one)) return translateStatic(frame, fields, one);
    }
    const protocol = natProtocol(fields);
    if (protocol === NO_PROTOCOL) return this.goOutUnsupported(frame);
    return this.goOutMapped(frame, protocol, this.env.timers.now());
  }

  private comeInMapped(frame: Frame, mapping: number, protocol: NatProtocol, now: number): NatVerdict {
    const { fields, remote, state } = this;
    const { mappings } = state;
    // The translator's own host is to know who it is that talks to it.
    const isLocal = mappings.kind(mapping) === MappingKind.Local;
    // What makes room for the sender's mapping must not end the receiver's.
    mappings.count(mapping, 1);
    const translation = isLocal ? SOURCE_STAYS : this.translationOf(frame, now);
    mappings.count(mapping, -1);
    this.setRemote(translation);
    if (translation === 0 || !this.admission.comesIn(mapping, protocol, remote, fields.tcpFlags, now)) {
      const isSyn = translation !== 0 && protocol === NatProtocol.Tcp && isOpening(fields.tcpFlags);
      if (isSyn) this.held.hold(frame, fields, mappings.external(mapping));
      state.closeUnused(mapping);
      return translation === 0 ? state.refusal : DropReason.NatNoMapping;
    }
    mappings.rewriteDestination(mapping, frame, fields);
    frame.translation = translation;
    return PASS;
  }

  private comeInStatic(frame: Frame, one: StaticPrefixes): NatVerdict {
    const { fields } = this;
    let translation = 0;
    if (isIcmpError(fields)) {
      if (!this.errors.comeInStatic(frame, fields, one)) return DropReason.NatBadQuote;
    } else translation = this.translationOf(frame, this.env.timers.now());
    if (translation === 0 && !isIcmpError(fields)) return this.state.refusal;
    staticDestination(frame, fields, one.internal);
    frame.translation = translation;
    return PASS;
  }

  private goOutMapped(frame: Frame, protocol: NatProtocol, now: number): NatVerdict {
    const { fields, from, policies } = this;
    this.setRemoteTo();
    const known = this.mappingFrom(frame, protocol);
    if (known !== 0) return this.send(frame, known, protocol, now);
    from.set(fields.source0, fields.source1, fields.source2, fields.source3, sourcePortOf(fields));
    const begins = protocol === NatProtocol.Tcp ? isOpening(fields.tcpFlags) : !isIcmpReply(fields);
    const own = policies.externals.find(from.word0, from.word1, from.word2, from.word3);
    if (own !== undefined) {
      if (!own.isLocal || !begins) return PASS;
      const mapping = this.state.openLocal(protocol, own, from, now);
      return mapping === 0 ? this.state.refusal : this.send(frame, mapping, protocol, now);
    }
    const policy = policies.sourceOfOthers(fields, frame.output);
    if (policy === undefined) return PASS;
    if (!begins) return DropReason.NatNoMapping;
    const mapping = this.state.openSource(policy, protocol, from, now);
    return mapping === 0 ? this.state.refusal : this.send(frame, mapping, protocol, now);
  }

  private send(frame: Frame, mapping: number, protocol: NatProtocol, now: number): NatVerdict {
    const { fields, remote } = this;
    const { mappings } = this.state;
    if (!this.admission.goesOut(mapping, protocol, remote, fields.tcpFlags, now)) {
      // The host itself may answer from a port that it has opened connections from.
      if (mappings.kind(mapping) !== MappingKind.Local) return this.state.refusal;
    } else if (this.held.size > 0 && isOpening(fields.tcpFlags)) {
      const { destination0, destination1, destination2, destination3, destinationPort } = fields;
      const [external, port] = [mappings.external(mapping), mappings.externalPort(mapping)];
      this.held.answer(external, port, destination0, destination1, destination2, destination3, destinationPort);
    }
    return this.translateSource(frame, mapping);
  }

  private translateSource(frame: Frame, mapping: number): NatVerdict {
    const { mappings } = this.state;
    const external = this.policies.externals.at(mappings.external(mapping));
    if (external === undefined) return DropReason.NatNoMapping;
    const { fields } = this;
    const { word0, word1, word2, word3 } = external;
    rewriteSource(frame, fields, word0, word1, word2, word3, mappings.externalPort(mapping));
    if (mayBeFragmented(fields)) {
      // Each segment of a super-segment has the next one.
      const count = frame.gsoSize > 0 ? Math.ceil(fields.length / frame.gsoSize) : 1;
      rewriteIdentification(fields, external.identify(count));
    }
    return PASS;
  }

  /** How the source of a packet to an external address is to be translated where it goes out: if its sender is internal, too. 0 where it cannot be. */
  private translationOf(frame: Frame, now: number): number {
    const { fields, policies } = this;
    for (const one of policies.statics) {
      if (this.isStatic(one) && (one.out === undefined || frame.device?.name !== one.out)) return SOURCE_STATIC;
    }
    const inside = policies.inside(fields, frame);
    const protocol = natProtocol(fields);
    return inside === undefined || protocol === NO_PROTOCOL ? SOURCE_STAYS : this.hairpin(inside, protocol, now);
  }

  /** The mapping of an internal host that sends to an external address: as if the packet went out (RFC 4787 REQ-9). */
  private hairpin(policy: SourcePolicy, protocol: NatProtocol, now: number): number {
    const { fields, from, remote, state } = this;
    from.set(fields.source0, fields.source1, fields.source2, fields.source3, sourcePortOf(fields));
    let mapping = 0;
    const { mappings } = state;
    const { word0, word1, word2, word3, port } = from;
    for (
      let one = mappings.findInternal(protocol, word0, word1, word2, word3, port);
      one !== 0;
      one = mappings.nextInternal(one)
    ) {
      const isForward = mappings.kind(one) === MappingKind.Forward;
      this.setRemoteTo();
      if (isForward ? this.admission.sessionOf(one, protocol, remote) !== 0 : mappings.owner(one) === policy.number) {
        mapping = one;
        break;
      }
    }
    const begins = protocol === NatProtocol.Tcp ? isOpening(fields.tcpFlags) : true;
    state.refusal = DropReason.NatNoMapping;
    if (mapping === 0 && begins) mapping = state.openSource(policy, protocol, from, now);
    if (mapping === 0) return 0;
    this.setRemoteTo();
    return this.admission.goesOut(mapping, protocol, remote, fields.tcpFlags, now) ? mapping : 0;
  }

  /** The mapping that a packet to an external address is for, or 0; ports that are forwarded get theirs now. */
  private mappingTo(external: ExternalAddress, protocol: NatProtocol, now: number): number {
    const { fields, state } = this;
    if (protocol === NatProtocol.Icmp && !isIcmpReply(fields)) return 0;
    const port = destinationPortOf(fields);
    const known = state.mappings.findExternal(protocol, external.number, port);
    if (known !== 0) return known;
    const target = external.target(protocol, port);
    if (target === undefined || (protocol === NatProtocol.Tcp && !isOpening(fields.tcpFlags))) return 0;
    return state.openForward(protocol, external, port, target, now);
  }

  /** The mapping that a packet that leaves goes out from, or 0. */
  private mappingFrom(frame: Frame, protocol: NatProtocol): number {
    const { fields, remote, policies } = this;
    const { mappings } = this.state;
    const { source0, source1, source2, source3 } = fields;
    const port = sourcePortOf(fields);
    let slot = mappings.findInternal(protocol, source0, source1, source2, source3, port);
    for (; slot !== 0; slot = mappings.nextInternal(slot)) {
      const kind = mappings.kind(slot);
      if (kind === MappingKind.Dynamic) {
        if (policies.source(fields, frame.output)?.number === mappings.owner(slot)) return slot;
      } else if (kind === MappingKind.Local || this.admission.sessionOf(slot, protocol, remote) !== 0) return slot;
    }
    return 0;
  }

  /** A packet to an external address for which there is no mapping. */
  private strange(frame: Frame, external: ExternalAddress, protocol: NatProtocol): NatVerdict {
    if (external.isLocal) return PASS;
    const { fields } = this;
    if (protocol === NatProtocol.Tcp && isOpening(fields.tcpFlags)) this.held.hold(frame, fields, external.number);
    return DropReason.NatNoMapping;
  }

  /** What has no ports can only be translated one to one. */
  private goOutUnsupported(frame: Frame): NatVerdict {
    const { fields, policies } = this;
    if (policies.sourceOfOthers(fields, frame.output) === undefined) return PASS;
    const { source0, source1, source2, source3 } = fields;
    const isExternal = policies.externals.find(source0, source1, source2, source3) !== undefined;
    return isExternal ? PASS : DropReason.NatUnsupported;
  }

  private isStatic({ internal }: StaticPrefixes): boolean {
    const { source0, source1, source2, source3 } = this.fields;
    return internal.has(source0, source1, source2, source3);
  }

  /** Whether the mapping is still that of the packet's source. */
  private isOf(mapping: number): boolean {
    const { fields, state } = this;
    const protocol = natProtocol(fields);
    if (protocol === NO_PROTOCOL) return false;
    const { source0, source1, source2, source3 } = fields;
    return state.mappings.isInternal(mapping, protocol, source0, source1, source2, source3, sourcePortOf(fields));
  }

  /** Who sent a packet that has come in, as the receiver is to know him: by his own mapping, if he is inside. */
  private setRemote(own: number): void {
    const { fields, remote, state, policies } = this;
    const { source0, source1, source2, source3, sourcePort } = fields;
    const external = own > 0 ? policies.externals.at(state.mappings.external(own)) : undefined;
    if (external !== undefined) {
      const { word0, word1, word2, word3 } = external;
      const port = fields.icmpType < 0 ? state.mappings.externalPort(own) : 0;
      return remote.set(word0, word1, word2, word3, port);
    }
    const one = own === SOURCE_STATIC ? policies.statics.find((rule) => this.isStatic(rule)) : undefined;
    if (one === undefined) return remote.set(source0, source1, source2, source3, sourcePort);
    const { external: prefix } = one;
    const word3 = prefix.take(3, source3);
    return remote.set(prefix.take(0, source0), prefix.take(1, source1), prefix.take(2, source2), word3, sourcePort);
  }

  /** Whom a packet is sent to. */
  private setRemoteTo(): void {
    const { destination0, destination1, destination2, destination3, destinationPort } = this.fields;
    this.remote.set(destination0, destination1, destination2, destination3, destinationPort);
  }
}

function translateStatic(frame: Frame, fields: PacketFields, { external }: StaticPrefixes): NatVerdict {
  staticSource(frame, fields, external);
  return PASS;
}
