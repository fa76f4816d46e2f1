/**
 * Ends of stateful NAT64 (RFC 6146): hosts of IPv6 share IPv4 addresses. Mappings do not depend on who is talked to (3.5.1), filters may depend
 * on the remote address. What cannot be known of a later fragment is kept of the first one (3.4).
 */

import { type Cidr, Ipv4Address, Ipv6Address } from '../../core/address.js';
import { DropReason } from '../../core/drops.js';
import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import type { Frame } from '../../core/frame.js';
import type { Timer } from '../../core/timers.js';
import type { PacketFields } from '../../wire/packet-fields.js';
import { HeldSyns } from '../nat/held-syns.js';
import { MappingKind, Mappings } from '../nat/mappings.js';
import { destinationPortOf, NatProtocol, natProtocol, NO_PROTOCOL, sourcePortOf } from '../nat/protocols.js';
import { ANY_PORT, SessionKind, Sessions } from '../nat/sessions.js';
import { type EndsMapper, FINE, KEPT, type NewEnds } from './ends.js';
import { FragmentEnds } from './fragment-ends.js';
import { Pool, Taken } from './pool.js';
import { isNotGlobal, Nat64Prefix } from './prefix.js';
import { isHost } from './stateless.js';
import { isFirst, restartsTime, SessionState, stateAfter } from './tcp-state.js';

/** Times in milliseconds after which idle sessions end (RFC 6146 4). */
export interface Nat64Timeouts {
  /** Default 5 minutes, at least 2. */
  readonly udp?: number;
  /** Of open connections: default, and at least, 2 hours and 4 minutes. */
  readonly tcpEstablished?: number;
  /** Of connections that open or close: default, and at least, 4 minutes. */
  readonly tcpTransitory?: number;
  /** How long a SYN that nobody expected is kept, before its sender is told: default 6 seconds, at least that. */
  readonly tcpIncomingSyn?: number;
  /** Of ICMP queries: default, and at least, 60 seconds. */
  readonly icmp?: number;
}

/** A port of the pool that leads to a port of a host of IPv6, for as long as the translator lives. */
export interface Nat64Forward {
  readonly protocol: 'tcp' | 'udp';
  /** An address of the pool, which may be left out where there is only one. */
  readonly address?: Ipv4Address | string;
  readonly port: number;
  readonly to: { readonly address: Ipv6Address | string; readonly port: number };
}

/** Options of {@link StatefulMapper}. */
export interface StatefulOptions {
  /** Stands for the IPv4 network (RFC 6052). Default 64:ff9b::/96. */
  readonly prefix?: Cidr | string;
  /** IPv4 addresses that the hosts of IPv6 share. */
  readonly pool: readonly (Ipv4Address | Cidr | string)[];
  /** First and last port of them that may be used. Default 1 to 65535. */
  readonly ports?: readonly [number, number];
  readonly forwards?: readonly Nat64Forward[];
  /** Whose packets come in to a mapped port: those of addresses that it sent to, or anybody's. Default `address-dependent`. */
  readonly filtering?: 'endpoint-independent' | 'address-dependent';
  readonly timeouts?: Nat64Timeouts;
  /** Sessions at once; the memory for them is taken as they are used. Default 65,536. */
  readonly capacity?: number;
  /** Let the well-known prefix stand for private addresses, too, against RFC 6052 3.1. Default false. */
  readonly allowPrivate?: boolean;
}

const MINUTE = 60_000;
const LEAST: Required<Nat64Timeouts> = {
  udp: 2 * MINUTE,
  tcpEstablished: 124 * MINUTE,
  tcpTransitory: 4 * MINUTE,
  tcpIncomingSyn: 6000,
  icmp: MINUTE,
};
const DEFAULTS: Required<Nat64Timeouts> = { ...LEAST, udp: 5 * MINUTE };
const CAPACITY = 65_536;
const MAPPED = 0xffff;

/** Maps ends by a table of sessions. */
export class StatefulMapper implements EndsMapper {
  /** Is told of an idle connection, so that it can be probed (RFC 6146 3.5.2.3): the session's slot. */
  probe: ((session: number) => void) | undefined = undefined;
  /** Is told of a SYN that nobody expected, and nobody answered by one: its frame starts at the IP header. Valid during the call. */
  unanswered: ((syn: Frame) => void) | undefined = undefined;
  readonly prefix: Nat64Prefix;
  readonly pool: Pool;
  readonly mappings: Mappings;
  readonly sessions: Sessions;
  private readonly env: Env;
  private readonly onlyGlobal: boolean;
  private readonly filters: boolean;
  private readonly capacity: number;
  /** Sessions that there are: permissions do not count. */
  private open = 0;
  readonly fragments: FragmentEnds;
  private readonly syns: HeldSyns;
  private readonly taken = new Taken();
  private readonly timer: Timer;
  /** Since nobody used it, the timer is not armed. */
  private asleep = false;

  /** @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS` */
  constructor(options: StatefulOptions, env: Env) {
    const { prefix, pool, ports = [1, 65_535], capacity = CAPACITY } = options;
    if (!Number.isInteger(capacity) || capacity < 1) throw invalid(`not a number of sessions: ${capacity}`);
    const times = timesOf(options.timeouts);
    this.env = env;
    this.prefix = new Nat64Prefix(prefix);
    this.onlyGlobal = this.prefix.isWellKnown && options.allowPrivate !== true;
    this.filters = options.filtering !== 'endpoint-independent';
    this.capacity = capacity;
    this.pool = new Pool(pool, ports, env.random);
    const forwards = options.forwards ?? [];
    // One more, for whom another one's session ends.
    this.mappings = new Mappings(capacity + forwards.length + 1, env.random);
    // Each may need a permission of its own.
    this.sessions = new Sessions(capacity * (this.filters ? 2 : 1), queueTimes(times), env.random);
    this.fragments = new FragmentEnds(env);
    this.syns = new HeldSyns(times.tcpIncomingSyn, (syn) => this.unanswered?.(syn), env);
    this.timer = env.timers.timer(() => this.expire());
    for (const forward of forwards) this.forward(forward);
  }

  takes(fields: PacketFields): boolean {
    if (fields.version === 4) return this.pool.number(fields.destination3) >= 0;
    return this.prefix.has(fields.destination0, fields.destination1, fields.destination2);
  }

  turnsBack(fields: PacketFields): boolean {
    return this.takes(fields);
  }

  map(frame: Frame, fields: PacketFields, ends: NewEnds): DropReason | typeof FINE | typeof KEPT {
    ends.keepPorts();
    if (fields.fragmentOffset > 0) {
      if (this.fragments.find(fields, ends)) return FINE;
      return this.fragments.keep(frame) ? KEPT : DropReason.FragmentMemory;
    }
    const protocol = natProtocol(fields);
    if (protocol === NO_PROTOCOL) return DropReason.NatUnsupported;
    const wrong =
      fields.version === 6 ? this.mapOut(fields, protocol, ends) : this.mapIn(frame, fields, protocol, ends);
    if (wrong === FINE && fields.moreFragments) this.fragments.add(fields, ends);
    return wrong;
  }

  mapError(fields: PacketFields, quote: PacketFields, ends: NewEnds, quotedEnds: NewEnds): DropReason | typeof FINE {
    const protocol = natProtocol(quote);
    if (protocol === NO_PROTOCOL) return DropReason.NatBadQuote;
    ends.keepPorts();
    quotedEnds.keepPorts();
    const found =
      fields.version === 4
        ? this.mapErrorIn(fields, quote, protocol, ends, quotedEnds)
        : this.mapErrorOut(fields, quote, protocol, ends, quotedEnds);
    return found ? FINE : DropReason.NatBadQuote;
  }

  /** To be called before packets are looked at: ends what was over while nobody used it. */
  wakeUp(): void {
    if (this.asleep) this.expire();
  }

  /** Lets go of everything that waits. What is over meanwhile ends when it is used again. */
  dispose(): void {
    this.asleep = true;
    this.timer.cancel();
    this.syns.dispose();
    this.fragments.dispose();
  }

  /** From IPv6 to IPv4. */
  private mapOut(fields: PacketFields, protocol: NatProtocol, ends: NewEnds): DropReason | typeof FINE {
    const { prefix, mappings, pool } = this;
    const { source0, source1, source2, source3 } = fields;
    const remote = this.remote(fields.destination1, fields.destination2, fields.destination3);
    // From an address that stands for an IPv4 one: a loop (RFC 6146 3.5).
    if (remote === 0 || prefix.has(source0, source1, source2) || !isUnicast(source0)) {
      return DropReason.TranslateImpossible;
    }
    const port = sourcePortOf(fields);
    let mapping = mappings.findInternal(protocol, source0, source1, source2, source3, port);
    const isNew = mapping === 0;
    if (isNew) {
      if (protocol === NatProtocol.Tcp && !isFirst(fields.tcpFlags)) return DropReason.NatNoMapping;
      mapping = this.openMapping(fields, protocol, port);
      if (mapping === 0) return DropReason.NatNoPort;
    }
    const remotePort = protocol === NatProtocol.Icmp ? 0 : destinationPortOf(fields);
    const done = this.use(mapping, protocol, remote, remotePort, fields.tcpFlags, true);
    if (!done && mappings.sessions(mapping) === 0) this.close(mapping);
    if (!done) return DropReason.ConntrackFull;
    const external = pool.address(mappings.external(mapping));
    if (protocol === NatProtocol.Tcp) {
      this.syns.answer(mappings.external(mapping), mappings.externalPort(mapping), 0, 0, MAPPED, remote, remotePort);
    }
    ends.setSource(0, 0, MAPPED, external);
    ends.sourcePort = mappings.externalPort(mapping);
    ends.setDestination(0, 0, MAPPED, remote);
    return FINE;
  }

  /** From IPv4 to IPv6. */
  private mapIn(frame: Frame, fields: PacketFields, protocol: NatProtocol, ends: NewEnds): DropReason | typeof FINE {
    const { mappings, pool, prefix } = this;
    const remote = fields.source3;
    if (!isHost(remote) || (this.onlyGlobal && isNotGlobal(remote) && pool.number(remote) < 0)) {
      return DropReason.TranslateImpossible;
    }
    const port = destinationPortOf(fields);
    const external = pool.number(fields.destination3);
    const mapping = mappings.findExternal(protocol, external, port);
    const remotePort = protocol === NatProtocol.Icmp ? 0 : fields.sourcePort;
    if (mapping === 0 || !this.lets(mapping, remote)) {
      if (protocol === NatProtocol.Tcp && isFirst(fields.tcpFlags)) this.syns.hold(frame, fields, external);
      return DropReason.NatNoMapping;
    }
    if (!this.use(mapping, protocol, remote, remotePort, fields.tcpFlags, false)) return DropReason.ConntrackFull;
    ends.setSource(prefix.word0, prefix.word1(remote), prefix.word2(remote), prefix.word3(remote));
    this.setInternal(mapping, ends);
    // ICMP has one identifier, whoever sends.
    if (protocol === NatProtocol.Icmp) ends.sourcePort = mappings.internalPort(mapping);
    return FINE;
  }

  /** An error about what a host of IPv6 sent: the quoted packet is as it went out. */
  private mapErrorIn(
    fields: PacketFields,
    quote: PacketFields,
    protocol: NatProtocol,
    ends: NewEnds,
    quotedEnds: NewEnds,
  ): boolean {
    const { mappings, pool, prefix } = this;
    const { destination3: remote } = quote;
    if (fields.destination3 !== quote.source3 || !isHost(remote) || !isHost(fields.source3)) return false;
    const mapping = mappings.findExternal(protocol, pool.number(quote.source3), sourcePortOf(quote));
    if (mapping === 0 || !this.lets(mapping, remote)) return false;
    const router = fields.source3;
    ends.setSource(prefix.word0, prefix.word1(router), prefix.word2(router), prefix.word3(router));
    this.setInternal(mapping, ends);
    ends.keepPorts();
    quotedEnds.setDestination(prefix.word0, prefix.word1(remote), prefix.word2(remote), prefix.word3(remote));
    quotedEnds.setSource(ends.destination0, ends.destination1, ends.destination2, ends.destination3);
    quotedEnds.sourcePort = mappings.internalPort(mapping);
    return true;
  }

  /** An error about what came in to a host of IPv6. It is from the address that the host has out there, whoever reports it. */
  private mapErrorOut(
    fields: PacketFields,
    quote: PacketFields,
    protocol: NatProtocol,
    ends: NewEnds,
    quotedEnds: NewEnds,
  ): boolean {
    const { mappings, pool } = this;
    const { destination0, destination1, destination2, destination3 } = quote;
    const remote = this.remote(fields.destination1, fields.destination2, fields.destination3);
    const quoted = this.prefix.has(quote.source0, quote.source1, quote.source2)
      ? this.remote(quote.source1, quote.source2, quote.source3)
      : 0;
    if (remote === 0 || quoted !== remote) return false;
    const port = destinationPortOf(quote);
    const mapping = mappings.findInternal(protocol, destination0, destination1, destination2, destination3, port);
    if (mapping === 0) return false;
    const external = pool.address(mappings.external(mapping));
    ends.setSource(0, 0, MAPPED, external);
    ends.setDestination(0, 0, MAPPED, remote);
    quotedEnds.setSource(0, 0, MAPPED, remote);
    quotedEnds.setDestination(0, 0, MAPPED, external);
    quotedEnds.destinationPort = mappings.externalPort(mapping);
    if (protocol === NatProtocol.Icmp) quotedEnds.sourcePort = quotedEnds.destinationPort;
    return true;
  }

  private setInternal(mapping: number, ends: NewEnds): void {
    const { mappings } = this;
    ends.setDestination(
      mappings.word(mapping, 0),
      mappings.word(mapping, 1),
      mappings.word(mapping, 2),
      mappings.word(mapping, 3),
    );
    ends.destinationPort = mappings.internalPort(mapping);
  }

  /** The IPv4 address, signed, behind the prefix; 0 where it is none that packets may go to. */
  private remote(word1: number, word2: number, word3: number): number {
    const ipv4 = this.prefix.ipv4(word1, word2, word3);
    if (!isHost(ipv4)) return 0;
    // Who knows the pool's addresses may talk to the hosts behind them.
    return this.onlyGlobal && isNotGlobal(ipv4) && this.pool.number(ipv4) < 0 ? 0 : ipv4;
  }

  /** Whether packets of a remote address come in to a mapping. */
  private lets(mapping: number, remote: number): boolean {
    if (!this.filters || this.mappings.kind(mapping) === MappingKind.Forward) return true;
    return this.sessions.find(mapping, 0, 0, MAPPED, remote, ANY_PORT) !== 0;
  }

  /** A new mapping of a packet's source, or 0. */
  private openMapping(fields: PacketFields, protocol: NatProtocol, port: number): number {
    const { mappings, pool, taken } = this;
    const { source0, source1, source2, source3 } = fields;
    const host = source0 ^ source1 ^ source2 ^ source3;
    if (!pool.take(protocol, host ^ (host >>> 16), port, taken)) return 0;
    const { external, port: externalPort } = taken;
    const mapping = mappings.add(protocol, source0, source1, source2, source3, port, external, externalPort);
    if (mapping === 0) pool.give(protocol, external, externalPort);
    else mappings.setOrigin(mapping, MappingKind.Dynamic, 0, 0, Math.floor(this.env.timers.now() / 1000));
    return mapping;
  }

  private close(mapping: number): void {
    const { mappings, pool } = this;
    pool.give(mappings.protocol(mapping), mappings.external(mapping), mappings.externalPort(mapping));
    mappings.remove(mapping);
  }

  /** Uses the session with a remote end, or begins it; false where there is no room for one. */
  private use(
    mapping: number,
    protocol: NatProtocol,
    remote: number,
    port: number,
    flags: number,
    from6: boolean,
  ): boolean {
    const { sessions } = this;
    const now = this.env.timers.now();
    const found = sessions.find(mapping, 0, 0, MAPPED, remote, port);
    const isTcp = protocol === NatProtocol.Tcp;
    // What belongs to no connection passes as long as there is a mapping (RFC 6146 3.5.2.2, CLOSED).
    if (found === 0)
      return (isTcp && !isFirst(flags)) || this.begin(mapping, protocol, remote, port, flags, from6, now);
    if (!isTcp) {
      // Who only receives has not answered.
      sessions.use(found, from6 ? datagramKind(protocol, true) : sessions.kind(found), now);
      return true;
    }
    const before = sessions.state(found) as SessionState;
    const after = stateAfter(before, flags, from6);
    sessions.setState(found, after);
    if (restartsTime(before, after, flags, from6)) sessions.use(found, kindOf(after), now);
    // What closes ends sooner than it would have.
    if (before !== after) this.wake(found);
    return true;
  }

  private begin(
    mapping: number,
    protocol: NatProtocol,
    remote: number,
    port: number,
    flags: number,
    from6: boolean,
    now: number,
  ): boolean {
    if (!this.hasRoom(mapping)) return false;
    const { sessions, mappings } = this;
    const isTcp = protocol === NatProtocol.Tcp;
    const state = isTcp ? stateAfter(SessionState.None, flags, from6) : SessionState.None;
    const kind = isTcp ? kindOf(state) : datagramKind(protocol, from6);
    const slot = sessions.add(mapping, 0, 0, MAPPED, remote, port, kind, now);
    sessions.setState(slot, state);
    mappings.count(mapping, 1);
    this.open++;
    if (this.filters) {
      const permission =
        sessions.find(mapping, 0, 0, MAPPED, remote, ANY_PORT) ||
        sessions.add(mapping, 0, 0, MAPPED, remote, ANY_PORT, SessionKind.Permission, now);
      sessions.setPermission(slot, permission);
      sessions.countUse(permission, 1);
    }
    this.wake(slot);
    return true;
  }

  /** Sees to it that a session ends in time. */
  private wake(session: number): void {
    const deadline = this.sessions.deadlineOf(session);
    if (!this.asleep && deadline < this.timer.deadline) this.timer.arm(deadline);
  }

  /** Whether a mapping may have one more session: where there is no room, one that nobody answered, is closing, or never opened ends. */
  private hasRoom(mapping: number): boolean {
    if (this.open < this.capacity) return true;
    const { sessions, mappings } = this;
    const oldest =
      sessions.oldest(SessionKind.UdpUnanswered) ||
      sessions.oldest(SessionKind.TcpClosing) ||
      sessions.oldest(SessionKind.TcpOpening);
    if (oldest === 0) return false;
    // Counted meanwhile: to make room must not end the mapping.
    mappings.count(mapping, 1);
    this.finish(oldest);
    mappings.count(mapping, -1);
    return true;
  }

  /** Ends a session, and what was there for it alone. */
  private finish(slot: number): void {
    const { sessions, mappings } = this;
    const mapping = sessions.mapping(slot);
    const permission = sessions.permission(slot);
    sessions.remove(slot);
    this.open--;
    if (permission !== 0 && sessions.countUse(permission, -1) === 0) sessions.remove(permission);
    if (mappings.count(mapping, -1) === 0) this.close(mapping);
  }

  private expire(): void {
    const { sessions } = this;
    this.asleep = false;
    const now = this.env.timers.now();
    for (let slot = sessions.over(now); slot !== 0; slot = sessions.over(now)) {
      if (sessions.state(slot) === SessionState.Established) {
        sessions.setState(slot, SessionState.Trans);
        sessions.use(slot, SessionKind.TcpClosing, now);
        this.probe?.(slot);
      } else {
        this.finish(slot);
      }
    }
    // Whoever is told of a connection may be the last to leave.
    if (!this.asleep) this.timer.arm(sessions.deadline);
  }

  private forward({ protocol, address, port, to }: Nat64Forward): void {
    const { pool, mappings } = this;
    const own = address === undefined ? pool.addresses[0] : addressOf(address);
    if (address === undefined && pool.addresses.length > 1) throw invalid('a forward names one of several addresses');
    const external = own === undefined ? -1 : pool.number(own.value);
    const text = `${protocol} port ${port}`;
    if (external < 0) throw invalid(`${text}: not an address of the pool`);
    for (const number of [port, to.port]) {
      if (!Number.isInteger(number) || number < 1 || number > 65_535) throw invalid(`${text}: not a port: ${number}`);
    }
    const number = protocol === 'tcp' ? NatProtocol.Tcp : NatProtocol.Udp;
    if (!pool.reserve(number, external, port)) throw invalid(`${text} is forwarded twice`);
    const { a, b, c, d } = typeof to.address === 'string' ? Ipv6Address.parse(to.address) : to.address;
    if (mappings.findInternal(number, a | 0, b | 0, c | 0, d | 0, to.port) !== 0) {
      throw invalid(`${text}: ${to.address.toString()} port ${to.port} has a port already`);
    }
    const mapping = mappings.add(number, a | 0, b | 0, c | 0, d | 0, to.port, external, port);
    mappings.setOrigin(mapping, MappingKind.Forward, 0, 0, 0);
    // It does not end with its sessions.
    mappings.count(mapping, 1);
  }
}

/** What a session is that is not TCP's. What comes from IPv4 may be anybody's, until it is answered. */
function datagramKind(protocol: NatProtocol, from6: boolean): SessionKind {
  if (protocol === NatProtocol.Icmp) return SessionKind.Icmp;
  return from6 ? SessionKind.Udp : SessionKind.UdpUnanswered;
}

function kindOf(state: SessionState): SessionKind {
  switch (state) {
    case SessionState.Established:
    case SessionState.V4Fin:
    case SessionState.V6Fin:
      return SessionKind.TcpEstablished;
    case SessionState.BothFin:
    case SessionState.Trans:
      return SessionKind.TcpClosing;
    default:
      return SessionKind.TcpOpening;
  }
}

function timesOf(given: Nat64Timeouts = {}): Required<Nat64Timeouts> {
  const times = { ...DEFAULTS, ...given };
  for (const [name, least] of Object.entries(LEAST)) {
    const time = times[name as keyof Nat64Timeouts];
    if (!(time >= least)) throw invalid(`the time of ${name} is ${least} ms at least, not ${time} (RFC 6146 4)`);
  }
  return times;
}

/** By {@link SessionKind}: UDP has its time whether or not it is answered (RFC 6146 4); knocking TCP, and permissions, have no queue here. */
function queueTimes({ udp, icmp, tcpTransitory, tcpEstablished }: Required<Nat64Timeouts>): readonly number[] {
  return [udp, icmp, tcpTransitory, tcpEstablished, tcpTransitory, udp, tcpTransitory, 0];
}

/** Whether an IPv6 address, by its first word, is that of one host beyond the link: no group, not link-local, not :: or ::1 or the like. */
function isUnicast(word0: number): boolean {
  return word0 !== 0 && word0 >>> 24 !== 0xff && word0 >>> 22 !== 0x3fa;
}

function addressOf(address: Ipv4Address | string): Ipv4Address {
  return typeof address === 'string' ? Ipv4Address.parse(address) : address;
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}
