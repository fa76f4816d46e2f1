/**
 * Which packets a mapping lets in, and what each packet says of its session: the filters of RFC 4787 5, and for how long what was sent
 * keeps doors open.
 */

import { DropReason } from '../../core/drops.js';
import { NatProtocol } from './protocols.js';
import { MappingKind } from './mappings.js';
import type { NatSettings } from './options.js';
import type { Policies } from './policies.js';
import type { NatFilter } from './rules.js';
import { ANY_PORT, SessionKind } from './sessions.js';
import type { End, NatState } from './state.js';
import { isOpening, keepsAlive, tcpKind, tcpState } from './tcp-session.js';

/** Whether a packet may pass a mapping. */
export class Admission {
  private readonly state: NatState;
  private readonly policies: Policies;
  private readonly settings: NatSettings;

  constructor(state: NatState, policies: Policies, settings: NatSettings) {
    this.state = state;
    this.policies = policies;
    this.settings = settings;
  }

  /** A packet comes in to a mapping from `remote`: whether it may. `flags` are TCP's. */
  comesIn(mapping: number, protocol: NatProtocol, remote: End, flags: number, now: number): boolean {
    const kind = this.state.mappings.kind(mapping);
    if (protocol === NatProtocol.Tcp) return this.segmentComesIn(mapping, kind, remote, flags, now);
    if (kind === MappingKind.Local) return true;
    if (kind === MappingKind.Forward) return this.forwarded(mapping, remote, now);
    const session = this.sessionOf(mapping, protocol, remote);
    if (session === 0) return false;
    if (this.settings.refreshInbound && protocol === NatProtocol.Udp) {
      this.state.useSession(session, SessionKind.Udp, now);
    }
    return true;
  }

  /** A packet goes out from a mapping to `remote`; false where there can be no session for it, see {@link NatState.refusal}. */
  goesOut(mapping: number, protocol: NatProtocol, remote: End, flags: number, now: number): boolean {
    if (protocol === NatProtocol.Tcp) return this.segmentGoesOut(mapping, remote, flags, now);
    const kind = protocol === NatProtocol.Udp ? SessionKind.Udp : SessionKind.Icmp;
    const known = this.sessionOf(mapping, protocol, remote);
    if (known === 0) return this.openFor(mapping, protocol, remote, kind, now) !== 0;
    this.state.useSession(known, kind, now);
    return true;
  }

  /** The session that a packet to or from `remote` belongs to, or 0. */
  sessionOf(mapping: number, protocol: NatProtocol, remote: End): number {
    const { sessions } = this.state;
    const filter = this.filterOf(mapping, protocol);
    if (filter === 'endpoint-independent') return sessions.find(mapping, 0, 0, 0, 0, 0);
    const port = filter === 'address-dependent' ? 0 : remote.port;
    return sessions.find(mapping, remote.word0, remote.word1, remote.word2, remote.word3, port);
  }

  /** How much of the remote end makes a session: all of it with TCP and forwarded ports. */
  private filterOf(mapping: number, protocol: NatProtocol): NatFilter {
    const { mappings } = this.state;
    const kind = mappings.kind(mapping);
    if (protocol === NatProtocol.Tcp || kind === MappingKind.Forward) return 'address-and-port-dependent';
    if (kind === MappingKind.Local) return 'endpoint-independent';
    if (protocol === NatProtocol.Icmp) return 'address-dependent';
    return this.ruleFilter(mapping);
  }

  private ruleFilter(mapping: number): NatFilter {
    const owner = this.state.mappings.owner(mapping);
    for (const source of this.policies.sources) if (source.number === owner) return source.filter;
    return 'address-and-port-dependent';
  }

  /** Opens a session with as much of the remote end as the filter looks at. */
  private openFor(mapping: number, protocol: NatProtocol, remote: End, kind: SessionKind, now: number): number {
    const filter = this.filterOf(mapping, protocol);
    const { word0, word1, word2, word3, port } = remote;
    if (filter === 'endpoint-independent') remote.set(0, 0, 0, 0, 0);
    else if (filter === 'address-dependent') remote.port = 0;
    const session = this.state.openSession(mapping, remote, kind, now);
    remote.set(word0, word1, word2, word3, port);
    return session;
  }

  private forwarded(mapping: number, remote: End, now: number): boolean {
    const { sessions } = this.state;
    const known = this.sessionOf(mapping, NatProtocol.Udp, remote);
    if (known === 0) return this.state.openSession(mapping, remote, SessionKind.UdpUnanswered, now) !== 0;
    sessions.use(known, sessions.kind(known), now);
    return true;
  }

  private segmentComesIn(mapping: number, kind: MappingKind, remote: End, flags: number, now: number): boolean {
    const known = this.sessionOf(mapping, NatProtocol.Tcp, remote);
    if (known !== 0) {
      this.follow(known, flags, false, now);
      return true;
    }
    if (kind === MappingKind.Local) return true;
    if (!isOpening(flags) || !this.lets(mapping, kind, remote)) return false;
    const session = this.state.openSession(mapping, remote, SessionKind.TcpKnocking, now);
    if (session === 0) return false;
    this.follow(session, flags, false, now);
    return true;
  }

  /** Whether a SYN may come in that nobody inside has asked for. */
  private lets(mapping: number, kind: MappingKind, { word0, word1, word2, word3 }: End): boolean {
    if (kind === MappingKind.Forward) return true;
    const filter = this.ruleFilter(mapping);
    if (filter !== 'address-dependent') return filter === 'endpoint-independent';
    return this.state.sessions.find(mapping, word0, word1, word2, word3, ANY_PORT) !== 0;
  }

  private segmentGoesOut(mapping: number, remote: End, flags: number, now: number): boolean {
    const known = this.sessionOf(mapping, NatProtocol.Tcp, remote);
    if (known !== 0) {
      this.follow(known, flags, true, now);
      return true;
    }
    // RFC 5382 REQ-2: a connection begins with a SYN; nothing else is translated before.
    this.state.refusal = DropReason.NatNoMapping;
    if (!isOpening(flags)) return false;
    const session = this.state.openSession(mapping, remote, SessionKind.TcpOpening, now);
    if (session === 0) return false;
    const isDynamic = this.state.mappings.kind(mapping) === MappingKind.Dynamic;
    if (isDynamic && this.ruleFilter(mapping) === 'address-dependent') this.state.permit(session, mapping, remote, now);
    this.follow(session, flags, true, now);
    return true;
  }

  private follow(session: number, flags: number, out: boolean, now: number): void {
    const { sessions } = this.state;
    const before = sessions.state(session);
    const after = tcpState(before, flags, out);
    if (after !== before) sessions.setState(session, after);
    if (keepsAlive(before, after, flags, out)) this.state.useSession(session, tcpKind(after), now);
  }
}
