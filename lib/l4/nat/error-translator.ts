/**
 * Translates errors of ICMP, with the packets that they quote, in both directions (RFC 5508 4). They neither keep a session alive nor end it
 * (REQ-6; RFC 4787 REQ-12, RFC 5382 REQ-10).
 */

import { DropReason } from '../../core/drops.js';
import { ChecksumState, type Frame } from '../../core/frame.js';
import { sum16 } from '../../wire/checksum.js';
import { IpProtocol } from '../../wire/ip.js';
import { PacketFields } from '../../wire/packet-fields.js';
import { readQuote, rewriteQuotedDestination, rewriteSource, SAME_PORT } from '../../wire/rewrite.js';
import type { Admission } from './admission.js';
import type { ExternalAddress } from './externals.js';
import { MappingKind } from './mappings.js';
import type { Policies } from './policies.js';
import { destinationPortOf, natProtocol, NO_PROTOCOL, sourcePortOf } from './protocols.js';
import type { StaticPrefixes } from './rules.js';
import { End, type NatState } from './state.js';
import { staticQuotedDestination, staticQuotedSource, staticSource } from './static-rewrite.js';

const PASS = 0;
const IPV4_ADDRESSES = 12;
const IPV6_ADDRESSES = 8;
const CORRECT = 0xffff;

/** See the module. */
export class ErrorTranslator {
  private readonly policies: Policies;
  private readonly state: NatState;
  private readonly admission: Admission;
  private readonly quote: PacketFields = new PacketFields();
  private readonly remote: End = new End();

  constructor(policies: Policies, state: NatState, admission: Admission) {
    this.policies = policies;
    this.state = state;
    this.admission = admission;
  }

  /** An error came to an external address: about a packet that had gone out. */
  comeIn(frame: Frame, fields: PacketFields, external: ExternalAddress): DropReason | typeof PASS {
    const { quote, state, policies } = this;
    const { mappings } = state;
    const stranger = external.isLocal ? PASS : DropReason.NatNoMapping;
    if (!this.reads(frame, fields)) return external.isLocal ? PASS : DropReason.NatBadQuote;
    const protocol = natProtocol(quote);
    const sender = policies.externals.find(quote.source0, quote.source1, quote.source2, quote.source3);
    if (protocol === NO_PROTOCOL || sender === undefined) return stranger;
    const mapping = mappings.findExternal(protocol, sender.number, sourcePortOf(quote));
    if (mapping === 0) return stranger;
    this.remote.set(
      quote.destination0,
      quote.destination1,
      quote.destination2,
      quote.destination3,
      quote.destinationPort,
    );
    const isLocal = mappings.kind(mapping) === MappingKind.Local;
    if (!isLocal && this.admission.sessionOf(mapping, protocol, this.remote) === 0) return stranger;
    if (!isSound(frame, fields, quote)) return DropReason.NatBadQuote;
    // Of a packet that went from one internal host to another: what it quotes as its destination is internal still.
    frame.translation = policies.inside(fields, frame) === undefined ? 0 : this.mappingOfDestination();
    mappings.rewriteError(mapping, frame, fields, quote);
    return PASS;
  }

  /** The same for an address that a static rule translates; the caller sees to the error's own destination. False where nothing is quoted. */
  comeInStatic(frame: Frame, fields: PacketFields, { external, internal }: StaticPrefixes): boolean {
    const { quote } = this;
    if (!this.reads(frame, fields) || !isSound(frame, fields, quote)) return false;
    const { source0, source1, source2, source3 } = quote;
    if (!external.has(source0, source1, source2, source3)) return false;
    staticQuotedSource(frame, fields, quote, internal);
    return true;
  }

  /** An error leaves by `frame.output`: about a packet that had come in. `translation` is the mapping that it was for, if that is known. */
  goOut(frame: Frame, fields: PacketFields, translation: number): DropReason | typeof PASS {
    const { quote, policies, state } = this;
    if (!this.reads(frame, fields)) {
      return policies.sourceOfOthers(fields, frame.output) === undefined ? PASS : DropReason.NatBadQuote;
    }
    const one = policies.statics.find((rule) => this.isStatic(rule, frame));
    if (one !== undefined) return this.goOutStatic(frame, fields, one);
    const { destination0, destination1, destination2, destination3 } = quote;
    if (policies.externals.find(destination0, destination1, destination2, destination3) !== undefined) return PASS;
    const mapping = translation > 0 ? translation : this.mappingOfDestination();
    const external = policies.externals.at(state.mappings.external(mapping));
    const isKnown = mapping > 0 && external !== undefined && this.leaves(mapping, translation, frame);
    if (!isKnown) return policies.sourceOfOthers(fields, frame.output) === undefined ? PASS : DropReason.NatNoMapping;
    if (!isSound(frame, fields, quote)) return DropReason.NatBadQuote;
    const { word0, word1, word2, word3 } = external;
    const port = state.mappings.externalPort(mapping);
    rewriteQuotedDestination(frame, fields, quote, word0, word1, word2, word3, port);
    // REQ-5 c: whoever inside sent it, outside it is from us.
    rewriteSource(frame, fields, word0, word1, word2, word3, SAME_PORT);
    return PASS;
  }

  /** Reads what an error quotes, if that is a packet of addresses that somebody may have. */
  private reads(frame: Frame, fields: PacketFields): boolean {
    return readQuote(frame, fields, this.quote) && !this.quote.isMapped;
  }

  private goOutStatic(frame: Frame, fields: PacketFields, one: StaticPrefixes): DropReason | typeof PASS {
    const { quote } = this;
    const { external, internal } = one;
    if (!isSound(frame, fields, quote)) return DropReason.NatBadQuote;
    staticQuotedDestination(frame, fields, quote, external);
    const { source0, source1, source2, source3 } = fields;
    if (internal.has(source0, source1, source2, source3)) staticSource(frame, fields, external);
    else {
      // REQ-5 c: whoever inside sent it, outside it is from the host that the quoted packet went to.
      const { destination0, destination1, destination2, destination3 } = quote;
      rewriteSource(frame, fields, destination0, destination1, destination2, destination3, SAME_PORT);
    }
    return PASS;
  }

  /** The mapping through which the quoted packet came in, or 0. */
  private mappingOfDestination(): number {
    const { quote, remote, admission } = this;
    const { mappings } = this.state;
    const protocol = natProtocol(quote);
    if (protocol === NO_PROTOCOL) return 0;
    const { destination0, destination1, destination2, destination3 } = quote;
    const port = destinationPortOf(quote);
    remote.set(quote.source0, quote.source1, quote.source2, quote.source3, quote.sourcePort);
    let slot = mappings.findInternal(protocol, destination0, destination1, destination2, destination3, port);
    while (slot !== 0 && admission.sessionOf(slot, protocol, remote) === 0) slot = mappings.nextInternal(slot);
    return slot;
  }

  /** Whether a packet of the mapping would leave by the device that the error leaves by. */
  private leaves(mapping: number, translation: number, frame: Frame): boolean {
    const { mappings } = this.state;
    if (translation > 0 || mappings.kind(mapping) !== MappingKind.Dynamic) return true;
    const owner = mappings.owner(mapping);
    return this.policies.sources.some((source) => source.number === owner && source.leavesBy(frame.output));
  }

  private isStatic({ internal, out }: StaticPrefixes, frame: Frame): boolean {
    const { destination0, destination1, destination2, destination3 } = this.quote;
    if (out !== undefined && frame.output?.name !== out) return false;
    return internal.has(destination0, destination1, destination2, destination3);
  }
}

/** Whether the checksums of an error, and of the IP header that it quotes, are right (REQ-3). */
function isSound(frame: Frame, fields: PacketFields, quote: PacketFields): boolean {
  const { view, network, transport, end, version } = fields;
  if (frame.checksum === ChecksumState.None) {
    const from = network + (version === 4 ? IPV4_ADDRESSES : IPV6_ADDRESSES);
    const addresses = version === 4 ? 0 : sum16(view, from, from + 32);
    const pseudo = version === 4 ? 0 : addresses + IpProtocol.Icmpv6 + (end - transport);
    if (sum16(view, transport, end, pseudo) !== CORRECT) return false;
  }
  if (version !== 4) return true;
  const header = (view.getUint8(quote.network) & 0x0f) * 4;
  return sum16(view, quote.network, quote.network + header) === CORRECT;
}
