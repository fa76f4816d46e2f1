/** What a translator remembers, for people and for tests. */

import { type IpAddress, Ipv4Address, Ipv6Address } from '../../core/address.js';
import { PROTOCOL_NAMES } from './protocols.js';
import { SessionKind } from './sessions.js';
import type { Translator } from './translator.js';

/** An address and a port, or an identifier of ICMP in its place. */
export interface NatEnd {
  readonly address: IpAddress;
  readonly port: number;
}

/** A mapping as it is now. */
export interface NatMapping {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly kind: 'dynamic' | 'forward' | 'local';
  readonly internal: NatEnd;
  readonly external: NatEnd;
  readonly sessions: number;
}

/** A session as it is now. */
export interface NatSession {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly internal: NatEnd;
  readonly external: NatEnd;
  /** Without the port, or at all, where the filter looks at less. */
  readonly remote: NatEnd;
  readonly state: 'open' | 'opening' | 'established' | 'closing' | 'unanswered';
  /** Milliseconds until it is over, if nothing keeps it alive. */
  readonly expiresIn: number;
}

/** How much a translator remembers. */
export interface NatStats {
  readonly mappings: number;
  readonly sessions: number;
  readonly hosts: number;
  /** Sessions that nobody had answered, or that were closing, and that had to make room for others. */
  readonly evicted: number;
  /** Memory of all tables when they are full, in bytes. */
  readonly bytes: number;
}

const KINDS = ['dynamic', 'forward', 'local'] as const;
const STATES = ['open', 'open', 'opening', 'established', 'closing', 'unanswered', 'opening'] as const;

function addressOf(word: (index: 0 | 1 | 2 | 3) => number): IpAddress {
  const made = new Ipv6Address(word(0), word(1), word(2), word(3));
  return made.isMapped ? new Ipv4Address(made.d) : made;
}

function mappingAt({ state, policies }: Translator, slot: number): NatMapping {
  const { mappings } = state;
  const external = policies.externals.at(mappings.external(slot))?.address ?? Ipv4Address.ANY;
  return {
    protocol: PROTOCOL_NAMES[mappings.protocol(slot)],
    kind: KINDS[mappings.kind(slot)],
    internal: { address: addressOf((index) => mappings.word(slot, index)), port: mappings.internalPort(slot) },
    external: { address: external, port: mappings.externalPort(slot) },
    sessions: mappings.sessions(slot),
  };
}

/** All mappings, in no order. */
export function listMappings(translator: Translator): readonly NatMapping[] {
  const list: NatMapping[] = [];
  translator.state.mappings.forEach((slot) => list.push(mappingAt(translator, slot)));
  return list;
}

/** All sessions, in no order. */
export function listSessions(translator: Translator, now: number): readonly NatSession[] {
  const { sessions } = translator.state;
  const list: NatSession[] = [];
  sessions.forEach((slot) => {
    const kind = sessions.kind(slot);
    if (kind === SessionKind.Permission) return;
    const { protocol, internal, external } = mappingAt(translator, sessions.mapping(slot));
    const remote = { address: addressOf((index) => sessions.word(slot, index)), port: sessions.port(slot) };
    const expiresIn = Math.max(0, sessions.deadlineOf(slot) - now);
    list.push({ protocol, internal, external, remote, state: STATES[kind], expiresIn });
  });
  return list;
}

export function natStats({ state }: Translator): NatStats {
  const { mappings, sessions, hosts, evicted, bytes } = state;
  return { mappings: mappings.size, sessions: sessions.size, hosts: hosts.size, evicted, bytes };
}
