/** All that a translator remembers: mappings, their sessions, the hosts that they are of, and the external ports that they take. */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import { Allocation } from './allocation.js';
import type { ExternalAddress, ForwardTarget } from './externals.js';
import { NatHosts } from './hosts.js';
import { MappingKind, Mappings } from './mappings.js';
import type { NatSettings } from './options.js';
import type { Policies, SourcePolicy } from './policies.js';
import type { NatProtocol } from './protocols.js';
import { ANY_PORT, SessionKind, Sessions } from './sessions.js';

const LAST_PORT = 65_535;

/** An end of a flow: an address as four signed words, and a port. */
export class End {
  word0 = 0;
  word1 = 0;
  word2 = 0;
  word3 = 0;
  port = 0;

  set(word0: number, word1: number, word2: number, word3: number, port: number): void {
    this.word0 = word0;
    this.word1 = word1;
    this.word2 = word2;
    this.word3 = word3;
    this.port = port;
  }
}

/** See the module. What cannot be opened is 0, and {@link NatState.refusal} says why. */
export class NatState {
  readonly mappings: Mappings;
  readonly sessions: Sessions;
  readonly hosts: NatHosts;
  /** Why the last mapping or session was not opened. */
  refusal: DropReason = DropReason.NatNoPort;
  /** Sessions that nobody had answered, or that were closing, and that had to make room. */
  evicted = 0;
  private readonly policies: Policies;
  private readonly settings: NatSettings;
  private readonly env: Env;
  private readonly timer: Timer;
  private readonly allocation: Allocation;
  private readonly target: End = new End();

  constructor(policies: Policies, settings: NatSettings, env: Env) {
    const { capacity, timeouts } = settings;
    const { udp, udpUnanswered, icmp, tcpOpening, tcpEstablished, tcpClosing } = timeouts;
    const times = [udp, icmp, tcpOpening, tcpEstablished, tcpClosing, udpUnanswered, tcpOpening];
    this.policies = policies;
    this.settings = settings;
    this.env = env;
    this.mappings = new Mappings(capacity, env.random);
    this.sessions = new Sessions(capacity, times, env.random);
    this.hosts = new NatHosts(capacity, env.random);
    this.allocation = new Allocation(policies, this.hosts, env.random);
    this.timer = env.timers.timer(() => this.expire());
    policies.retired = (external) => {
      this.forget(external);
      this.allocation.forget(external);
    };
  }

  /** A mapping of an internal end by a rule: with a random port of the address that its host was given. */
  openSource(policy: SourcePolicy, protocol: NatProtocol, from: End, now: number): number {
    const { word0, word1, word2, word3, port } = from;
    const { hosts } = this;
    this.refusal = DropReason.NatNoPort;
    const host =
      hosts.find(word0, word1, word2, word3, policy.number) || hosts.add(word0, word1, word2, word3, policy.number);
    if (host === 0 || hosts.sessions(host) >= this.settings.perHost) return 0;
    const externalPort = this.allocation.take(policy, host, protocol, port);
    const external = hosts.external(host);
    // Counted first: to make room for it must not make the host forgotten.
    hosts.countMapping(host, 1);
    const mapping = externalPort === 0 ? 0 : this.addMapping(protocol, from, external, externalPort);
    if (mapping !== 0) {
      this.mappings.setOrigin(mapping, MappingKind.Dynamic, policy.number, host, seconds(now));
      return mapping;
    }
    if (externalPort !== 0) this.policies.externals.at(external)?.free(protocol).give(externalPort);
    hosts.countMapping(host, -1);
    this.forgetHost(host);
    return 0;
  }

  /** A mapping for a port that is forwarded. */
  openForward(
    protocol: NatProtocol,
    external: ExternalAddress,
    port: number,
    target: ForwardTarget,
    now: number,
  ): number {
    const { address, shift } = target;
    const [a, b, c, d] = [address.word(0) | 0, address.word(1) | 0, address.word(2) | 0, address.word(3) | 0];
    this.target.set(a, b, c, d, port + shift);
    const mapping = this.addMapping(protocol, this.target, external.number, port);
    if (mapping !== 0) this.mappings.setOrigin(mapping, MappingKind.Forward, 0, 0, seconds(now));
    return mapping;
  }

  /** A mapping of an end of the translator's own host: with its own port, if that is free. */
  openLocal(protocol: NatProtocol, external: ExternalAddress, from: End, now: number): number {
    const free = external.free(protocol);
    this.refusal = DropReason.NatNoPort;
    const port = free.take(from.port) ? from.port : free.takeAny(1024, LAST_PORT, -1, this.env.random);
    if (port === 0) return 0;
    const mapping = this.addMapping(protocol, from, external.number, port);
    if (mapping === 0) free.give(port);
    else this.mappings.setOrigin(mapping, MappingKind.Local, 0, 0, seconds(now));
    return mapping;
  }

  /** Begins a session of a mapping; where there is no room for it, a mapping that has none ends. */
  openSession(mapping: number, remote: End, kind: SessionKind, now: number): number {
    const { mappings, hosts } = this;
    const host = mappings.host(mapping);
    const { word0, word1, word2, word3, port } = remote;
    let session = 0;
    // Counted first: to make room for it must not end the mapping.
    mappings.count(mapping, 1);
    if (host === 0 || hosts.sessions(host) < this.settings.perHost) {
      session = this.sessions.add(mapping, word0, word1, word2, word3, port, kind, now);
      if (session === 0 && this.makeRoom()) {
        session = this.sessions.add(mapping, word0, word1, word2, word3, port, kind, now);
      }
      this.refusal = DropReason.ConntrackFull;
    } else this.refusal = DropReason.NatNoPort;
    if (session === 0) {
      if (mappings.count(mapping, -1) === 0) this.closeMapping(mapping);
      return 0;
    }
    if (host !== 0) hosts.countSession(host, 1);
    if (kind !== SessionKind.Permission) this.watch();
    return session;
  }

  /** A session was used: its time starts anew, as what it is from now on. */
  useSession(session: number, kind: SessionKind, now: number): void {
    const { sessions } = this;
    const before = sessions.kind(session);
    sessions.use(session, kind, now);
    // What became of another kind may end sooner than it would have.
    if (kind !== before) this.watch();
  }

  /** Gives a session a permission for all that comes from its remote address. */
  permit(session: number, mapping: number, remote: End, now: number): void {
    const { sessions } = this;
    const { word0, word1, word2, word3, port } = remote;
    let permission = sessions.find(mapping, word0, word1, word2, word3, ANY_PORT);
    if (permission === 0) {
      remote.port = ANY_PORT;
      permission = this.openSession(mapping, remote, SessionKind.Permission, now);
      remote.port = port;
      if (permission === 0) return;
    }
    sessions.countUse(permission, 1);
    sessions.setPermission(session, permission);
  }

  /** Ends a session, and with the last one its mapping. */
  closeSession(session: number): void {
    const { sessions, mappings } = this;
    const mapping = sessions.mapping(session);
    const permission = sessions.permission(session);
    sessions.remove(session);
    const host = mappings.host(mapping);
    if (host !== 0) this.hosts.countSession(host, -1);
    const left = mappings.count(mapping, -1);
    if (permission !== 0 && sessions.countUse(permission, -1) === 0) this.closeSession(permission);
    else if (left === 0) this.closeMapping(mapping);
  }

  /** Ends a mapping that came to have no session. */
  closeUnused(mapping: number): void {
    if (this.mappings.external(mapping) !== 0 && this.mappings.sessions(mapping) === 0) this.closeMapping(mapping);
  }

  /** Ends all sessions of an external address, or all there are. */
  forget(external?: ExternalAddress): void {
    const { sessions, mappings } = this;
    sessions.forEach((session) => {
      if (external !== undefined && mappings.external(sessions.mapping(session)) !== external.number) return;
      this.closeSession(session);
    });
  }

  /** Watches for sessions that are over; as long as nobody stops it. */
  watch(): void {
    const { deadline } = this.sessions;
    if (deadline < this.timer.deadline) this.timer.arm(deadline);
  }

  /** No timer is left; what is over stays until it is watched again. */
  stop(): void {
    this.timer.cancel();
  }

  /** Bytes of memory when full. */
  get bytes(): number {
    return this.mappings.bytes + this.sessions.bytes + this.hosts.bytes;
  }

  private expire(): void {
    const now = this.env.timers.now();
    for (let session = this.sessions.over(now); session !== 0; session = this.sessions.over(now)) {
      this.closeSession(session);
    }
    this.watch();
  }

  /** A mapping without sessions; 0 where there is no room, and none can be made. */
  private addMapping(protocol: NatProtocol, from: End, external: number, externalPort: number): number {
    const { word0, word1, word2, word3, port } = from;
    const { mappings } = this;
    if (mappings.size >= this.settings.capacity && !this.makeRoom()) {
      this.refusal = DropReason.ConntrackFull;
      return 0;
    }
    return mappings.add(protocol, word0, word1, word2, word3, port, external, externalPort);
  }

  /** Forgets a host that has no mapping. */
  private forgetHost(host: number): void {
    if (this.hosts.mappings(host) > 0) return;
    this.allocation.release(host);
    this.hosts.remove(host);
  }

  private closeMapping(mapping: number): void {
    const { mappings } = this;
    const host = mappings.host(mapping);
    if (mappings.kind(mapping) !== MappingKind.Forward) {
      const external = this.policies.externals.at(mappings.external(mapping));
      external?.free(mappings.protocol(mapping)).give(mappings.externalPort(mapping));
    }
    mappings.remove(mapping);
    if (host === 0) return;
    this.hosts.countMapping(host, -1);
    this.forgetHost(host);
  }

  /** Ends the session that has waited longest for an answer, of somebody inside or then of who had begun it, or else the first one that was closing. */
  private makeRoom(): boolean {
    const { sessions } = this;
    const session =
      sessions.oldest(SessionKind.UdpUnanswered) ||
      sessions.oldest(SessionKind.TcpKnocking) ||
      sessions.oldest(SessionKind.TcpClosing);
    if (session === 0) return false;
    this.evicted++;
    this.closeSession(session);
    return true;
  }
}

function seconds(now: number): number {
  return Math.trunc(now / 1000) | 0;
}
