/** All that a translator remembers: mappings, their sessions, the hosts that they are of, and the external ports that they take. */

import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import type { ExternalAddress, ForwardTarget } from './externals.js';
import { NatHosts } from './hosts.js';
import { MappingKind, Mappings } from './mappings.js';
import type { NatSettings } from './options.js';
import type { Policies, SourcePolicy } from './policies.js';
import { NatProtocol } from './protocols.js';
import { SessionKind, Sessions } from './sessions.js';

/** A host that is new is given one of so many addresses of its pool: the first, from a random one on, that has a port for it. */
const MOST_TRIED = 16;
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
  /** Sessions that nobody had answered, and that had to make room. */
  evicted = 0;
  private readonly policies: Policies;
  private readonly settings: NatSettings;
  private readonly env: Env;
  private readonly timer: Timer;

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
    this.timer = env.timers.timer(() => this.expire());
    policies.retired = (external) => this.forget(external);
  }

  /** A mapping of an internal end by a rule: with a random port of the address that its host was given. */
  openSource(policy: SourcePolicy, protocol: NatProtocol, from: End, now: number): number {
    const { word0, word1, word2, word3, port } = from;
    const { hosts } = this;
    this.refusal = DropReason.NatNoPort;
    const known = hosts.find(word0, word1, word2, word3, policy.number);
    if (known !== 0 && hosts.sessions(known) >= this.settings.perHost) return 0;
    const external = known === 0 ? this.choose(policy) : this.policies.externals.at(hosts.external(known));
    let chosen = external;
    let externalPort = external === undefined ? 0 : this.takePort(policy, external, protocol, port);
    if (known === 0 && external !== undefined) {
      const { pool } = policy;
      const start = pool.indexOf(external);
      for (let i = 1; externalPort === 0 && i < Math.min(pool.length, MOST_TRIED); i++) {
        chosen = pool[(start + i) % pool.length];
        if (chosen !== undefined) externalPort = this.takePort(policy, chosen, protocol, port);
      }
    }
    if (chosen === undefined || externalPort === 0) return 0;
    return this.enter(protocol, from, chosen, externalPort, policy, known, now);
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
    const mapping = this.mappings.add(protocol, a, b, c, d, port + shift, external.number, port);
    this.refusal = DropReason.ConntrackFull;
    if (mapping !== 0) this.mappings.setOrigin(mapping, MappingKind.Forward, 0, 0, seconds(now));
    return mapping;
  }

  /** A mapping of an end of the translator's own host: with its own port, if that is free. */
  openLocal(protocol: NatProtocol, external: ExternalAddress, from: End, now: number): number {
    const free = external.free(protocol);
    this.refusal = DropReason.NatNoPort;
    const port = free.take(from.port) ? from.port : free.takeAny(1024, LAST_PORT, -1, this.env.random);
    if (port === 0) return 0;
    const { word0, word1, word2, word3 } = from;
    const mapping = this.mappings.add(protocol, word0, word1, word2, word3, from.port, external.number, port);
    if (mapping === 0) {
      free.give(port);
      this.refusal = DropReason.ConntrackFull;
    } else this.mappings.setOrigin(mapping, MappingKind.Local, 0, 0, seconds(now));
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

  /** Gives a session a permission for all that comes from its remote address. */
  permit(session: number, mapping: number, remote: End, now: number): void {
    const { sessions } = this;
    const { word0, word1, word2, word3, port } = remote;
    let permission = sessions.find(mapping, word0, word1, word2, word3, 0);
    if (permission === 0) {
      remote.port = 0;
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

  private choose({ pool }: SourcePolicy): ExternalAddress | undefined {
    return pool.length < 2 ? pool[0] : pool[this.env.random.below(pool.length)];
  }

  private takePort(policy: SourcePolicy, external: ExternalAddress, protocol: NatProtocol, port: number): number {
    const free = external.free(protocol);
    const isIdentifier = protocol === NatProtocol.Icmp;
    const { from, to } = isIdentifier ? ALL : policy.portsFor(port);
    if (policy.preservePorts && port >= from && port <= to && free.take(port)) return port;
    return free.takeAny(from, to, protocol === NatProtocol.Udp ? port : -1, this.env.random);
  }

  private enter(
    protocol: NatProtocol,
    from: End,
    external: ExternalAddress,
    externalPort: number,
    policy: SourcePolicy,
    known: number,
    now: number,
  ): number {
    const { word0, word1, word2, word3, port } = from;
    const { hosts, mappings } = this;
    const host = known === 0 ? hosts.add(word0, word1, word2, word3, policy.number, external.number) : known;
    const mapping = mappings.add(protocol, word0, word1, word2, word3, port, external.number, externalPort);
    if (host !== 0) hosts.countMapping(host, 1);
    if (mapping !== 0 && host !== 0) {
      mappings.setOrigin(mapping, MappingKind.Dynamic, policy.number, host, seconds(now));
      return mapping;
    }
    this.refusal = DropReason.ConntrackFull;
    if (host !== 0) hosts.countMapping(host, -1);
    if (mapping !== 0) mappings.remove(mapping);
    external.free(protocol).give(externalPort);
    return 0;
  }

  private closeMapping(mapping: number): void {
    const { mappings } = this;
    const host = mappings.host(mapping);
    if (mappings.kind(mapping) !== MappingKind.Forward) {
      const external = this.policies.externals.at(mappings.external(mapping));
      external?.free(mappings.protocol(mapping)).give(mappings.externalPort(mapping));
    }
    mappings.remove(mapping);
    if (host !== 0) this.hosts.countMapping(host, -1);
  }

  /** Ends the session that has waited longest for somebody inside to answer. */
  private makeRoom(): boolean {
    const { sessions } = this;
    const session = sessions.oldest(SessionKind.UdpUnanswered) || sessions.oldest(SessionKind.TcpKnocking);
    if (session === 0) return false;
    this.evicted++;
    this.closeSession(session);
    return true;
  }
}

const ALL = { from: 1, to: LAST_PORT };

function seconds(now: number): number {
  return Math.trunc(now / 1000) | 0;
}
