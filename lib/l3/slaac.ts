/**
 * Stateless address autoconfiguration (RFC 4862) of one link: a link-local address, and of each advertised /64 a stable address (RFC 7217)
 * and temporary ones (RFC 8981). Every address is verified to be unique first, lives as long as its router says, is deprecated before it
 * ends, and is replaced when somebody has it already.
 */

import { Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import type { DadVerdict } from '../l2/dad.js';
import type { NdpPrefix } from '../wire/ndp-options.js';
import { eui64Address, type IdentifierSeed, randomAddress, StableIdentifiers } from './interface-identifiers.js';
import { lifetimeMs } from './lifetimes.js';

/** RFC 4862 5.5.3 e: who forges advertisements cannot end an address sooner than in two hours. */
const TWO_HOURS = 7_200_000;
/** RFC 7217 7 and RFC 8981 3.8: IDGEN_RETRIES, TEMP_IDGEN_RETRIES. */
const RETRIES = 3;
/** RFC 7217 7: IDGEN_DELAY, in milliseconds. */
const IDGEN_DELAY = 1_000;
// RFC 8981 3.8, in milliseconds.
const TEMP_VALID_LIFETIME = 2 * 86_400_000;
const TEMP_PREFERRED_LIFETIME = 86_400_000;
/** RFC 8981 3.8: MAX_DESYNC_FACTOR, as a part of the preferred lifetime. */
const MAX_DESYNC = 0.4;
/** So many prefixes at most, since anybody on the link can advertise. */
const MAX_PREFIXES = 16;

/** How an address came to be. */
export type AutoAddressKind = 'link-local' | 'stable' | 'temporary';

/** An address that is in use, or about to be. The prefix is a /64. */
export interface AutoAddress {
  readonly address: Ipv6Address;
  readonly kind: AutoAddressKind;
  /** `tentative`: not to be used yet; `deprecated`: not for new conversations. */
  readonly state: 'tentative' | 'preferred' | 'deprecated';
  /** When these ends come, in milliseconds of the clock, or `Infinity`. */
  readonly preferredUntil: number;
  readonly validUntil: number;
}

/** What {@link Slaac} tells. */
export type SlaacEvent =
  /** It may be used from now on; `deprecated` and `preferred` may follow each other. */
  | { readonly kind: 'added' | 'deprecated' | 'preferred' | 'removed'; readonly address: AutoAddress }
  /** Somebody has the address: another is tried. */
  | { readonly kind: 'duplicate'; readonly address: AutoAddress }
  /** As often as that is allowed: there will be none. Without a link-local address IPv6 is to be disabled (RFC 4862 5.4.5). */
  | { readonly kind: 'failed'; readonly address: AutoAddress };

/** What the autoconfiguration needs. */
export interface SlaacPort {
  /** Verifies that an address is unique, as `DuplicateAddressDetection.start`. */
  detect(address: Ipv6Address, done: (verdict: DadVerdict) => void, delayed: boolean): () => void;
  /** An address will not be used any more: its solicited-node group can be left. */
  release(address: Ipv6Address): void;
  on(event: SlaacEvent): void;
}

/** Options of {@link Slaac}. */
export interface SlaacOptions extends IdentifierSeed {
  /** The interface's MAC address as a 48-bit number: identifiers are made of it instead of the secret. */
  readonly eui64?: number;
  /** Whether to have temporary addresses beside the stable ones. Default true. */
  readonly temporary?: boolean;
  /** TEMP_PREFERRED_LIFETIME in milliseconds. Default: a day. */
  readonly temporaryPreferred?: number;
  /** TEMP_VALID_LIFETIME in milliseconds. Default: two days. */
  readonly temporaryValid?: number;
  /** DupAddrDetectTransmits and RetransTimer (milliseconds) of the detection: new temporary addresses are made so much earlier. */
  readonly transmits?: number;
  readonly retransmitTimer?: number;
}

interface Prefix {
  readonly prefix: Ipv6Address;
  preferredUntil: number;
  validUntil: number;
}

interface Entry {
  readonly kind: AutoAddressKind;
  readonly prefix: Prefix;
  readonly address: Ipv6Address;
  /** How many addresses before this one somebody had already. */
  readonly conflicts: number;
  state: AutoAddress['state'];
  preferredUntil: number;
  validUntil: number;
  /** The ends that a temporary address has of its own (RFC 8981 3.4). */
  readonly preferredCap: number;
  readonly validCap: number;
  /** When its successor is to be made, or `Infinity`: temporary addresses only, once each. */
  regenerateAt: number;
  stop: () => void;
}

/** The autoconfigured addresses of one link. */
export class Slaac {
  private readonly port: SlaacPort;
  private readonly env: Env;
  private readonly options: SlaacOptions;
  private readonly identifiers: StableIdentifiers;
  private readonly prefixes = new Map<string, Prefix>();
  private readonly retries = new Set<Timer>();
  private readonly timer: Timer;
  private readonly regenerateAdvance: number;
  private entries: Entry[] = [];
  private temporaryGivenUp = false;

  /** @throws UsageError `ERR_INVALID_OPTION` where the secret is not four words */
  constructor(port: SlaacPort, env: Env, options: SlaacOptions) {
    if (options.secret.length !== 4) throw new UsageError('ERR_INVALID_OPTION', 'the secret is four words');
    this.port = port;
    this.env = env;
    this.options = options;
    this.identifiers = new StableIdentifiers(options);
    this.timer = env.timers.timer(() => this.age());
    // RFC 8981 3.8: REGEN_ADVANCE.
    this.regenerateAdvance = 2_000 + RETRIES * (options.transmits ?? 1) * (options.retransmitTimer ?? 1_000);
  }

  /** The addresses, tentative ones included. */
  list(): readonly AutoAddress[] {
    return this.entries.map(snapshot);
  }

  /** Makes the link-local address (RFC 4862 5.3); `zone` is the link's, where links have zones. */
  start(zone = ''): void {
    if (this.entries.some(({ kind }) => kind === 'link-local')) return;
    const prefix = {
      prefix: new Ipv6Address(0xfe80_0000, 0, 0, 0, zone),
      preferredUntil: Infinity,
      validUntil: Infinity,
    };
    this.make('link-local', prefix, 0, true);
  }

  /** Takes in a prefix that a router advertised (RFC 4862 5.5.3). */
  received(option: NdpPrefix): void {
    const { prefix, validLifetime, preferredLifetime } = option;
    if (!option.autonomous || prefix.isLinkLocal || prefix.isMulticast || preferredLifetime > validLifetime) return;
    // An address is a prefix and an identifier of 64 bits: with another length the prefix is ignored (RFC 4862 5.5.3 d).
    if (option.length !== 64) return;
    const key = keyOf(prefix);
    const known = this.prefixes.get(key);
    if (known !== undefined) this.refresh(known, option);
    else if (validLifetime > 0 && this.prefixes.size < MAX_PREFIXES) this.begin(key, option);
  }

  /** Removes every address, and tells so of those in use. */
  dispose(): void {
    for (const timer of this.retries) timer.cancel();
    this.retries.clear();
    this.prefixes.clear();
    this.timer.cancel();
    for (const entry of this.entries.splice(0)) this.remove(entry);
  }

  private begin(key: string, option: NdpPrefix): void {
    const now = this.env.timers.now();
    const prefix: Prefix = {
      prefix: new Ipv6Address(option.prefix.a, option.prefix.b, 0, 0),
      preferredUntil: now + lifetimeMs(option.preferredLifetime),
      validUntil: now + lifetimeMs(option.validLifetime),
    };
    this.prefixes.set(key, prefix);
    this.make('stable', prefix, 0, true);
    this.makeTemporary(prefix, 0, true);
    this.arm();
  }

  private refresh(prefix: Prefix, option: NdpPrefix): void {
    const now = this.env.timers.now();
    const valid = lifetimeMs(option.validLifetime);
    const remaining = prefix.validUntil - now;
    prefix.preferredUntil = now + lifetimeMs(option.preferredLifetime);
    if (valid > TWO_HOURS || valid > remaining) prefix.validUntil = now + valid;
    else if (remaining > TWO_HOURS) prefix.validUntil = now + TWO_HOURS;
    const mine = this.entries.filter((entry) => entry.prefix === prefix);
    for (const entry of mine) limit(entry);
    this.settle();
    // A prefix that was deprecated, and is preferred again, has no temporary address to use.
    const fresh = mine.some((entry) => entry.kind === 'temporary' && entry.regenerateAt < Infinity);
    if (!fresh) this.makeTemporary(prefix, 0, true);
    this.arm();
  }

  private make(kind: AutoAddressKind, prefix: Prefix, conflicts: number, delayed: boolean): void {
    this.enter(kind, prefix, this.stableAddress(prefix.prefix, conflicts), conflicts, delayed, Infinity, Infinity);
  }

  private stableAddress(prefix: Ipv6Address, conflicts: number): Ipv6Address {
    const { eui64 } = this.options;
    return eui64 === undefined ? this.identifiers.address(prefix, conflicts) : eui64Address(prefix, eui64);
  }

  private makeTemporary(prefix: Prefix, conflicts: number, delayed: boolean): void {
    const { temporary = true, temporaryPreferred = TEMP_PREFERRED_LIFETIME } = this.options;
    // Who was told of another address may have ended everything.
    const isOver = this.prefixes.get(keyOf(prefix.prefix)) !== prefix;
    if (!temporary || this.temporaryGivenUp || isOver) return;
    const now = this.env.timers.now();
    // Each ends at a random time of its own, so that not all hosts do it at once and nobody can link the ends (RFC 8981 3.4).
    const desync = this.env.random.float() * MAX_DESYNC * temporaryPreferred;
    const preferredCap = now + temporaryPreferred - desync;
    // It would need a successor at once (RFC 8981 3.4 step 4).
    if (Math.min(prefix.preferredUntil, preferredCap) - now <= this.regenerateAdvance) return;
    const validCap = now + (this.options.temporaryValid ?? TEMP_VALID_LIFETIME);
    const address = randomAddress(prefix.prefix, this.env.random);
    this.enter('temporary', prefix, address, conflicts, delayed, preferredCap, validCap);
  }

  private enter(
    kind: AutoAddressKind,
    prefix: Prefix,
    address: Ipv6Address,
    conflicts: number,
    delayed: boolean,
    preferredCap: number,
    validCap: number,
  ): void {
    const entry: Entry = {
      kind,
      prefix,
      address,
      conflicts,
      state: 'tentative',
      preferredUntil: 0,
      validUntil: 0,
      preferredCap,
      validCap,
      regenerateAt: kind === 'temporary' ? preferredCap - this.regenerateAdvance : Infinity,
      stop: () => {},
    };
    limit(entry);
    this.entries.push(entry);
    entry.stop = this.port.detect(address, (verdict) => this.decided(entry, verdict), delayed);
  }

  private decided(entry: Entry, verdict: DadVerdict): void {
    if (verdict === 'duplicate') {
      this.conflicted(entry);
      return;
    }
    entry.state = entry.preferredUntil > this.env.timers.now() ? 'preferred' : 'deprecated';
    this.tell('added', entry);
    this.arm();
  }

  private conflicted(entry: Entry): void {
    const { kind, prefix, conflicts } = entry;
    this.tell('duplicate', entry);
    if (!this.entries.includes(entry)) return;
    this.entries = this.entries.filter((other) => other !== entry);
    // With an identifier made of the MAC address the next try would be the same (RFC 4862 5.4.5).
    const hopeless = kind !== 'temporary' && this.options.eui64 !== undefined;
    if (hopeless || conflicts + 1 > RETRIES - (kind === 'temporary' ? 1 : 0)) {
      if (kind === 'temporary') this.temporaryGivenUp = true;
      this.tell('failed', entry);
      return;
    }
    if (kind === 'temporary') this.makeTemporary(prefix, conflicts + 1, false);
    else this.retryLater(kind, prefix, conflicts + 1);
    this.arm();
  }

  /** RFC 7217 6: with a delay, for whom two hosts compete otherwise in step. */
  private retryLater(kind: AutoAddressKind, prefix: Prefix, conflicts: number): void {
    const timer = this.env.timers.timer(() => {
      this.retries.delete(timer);
      if (prefix.validUntil > this.env.timers.now()) this.make(kind, prefix, conflicts, false);
    });
    this.retries.add(timer);
    timer.arm(this.env.timers.now() + this.env.random.float() * IDGEN_DELAY);
  }

  private age(): void {
    const now = this.env.timers.now();
    for (const [key, { validUntil }] of this.prefixes) if (validUntil <= now) this.prefixes.delete(key);
    this.settle();
    for (const entry of this.entries) {
      if (entry.regenerateAt > now) continue;
      entry.regenerateAt = Infinity;
      this.makeTemporary(entry.prefix, 0, false);
    }
    this.arm();
  }

  /** Brings each address into the state that its lifetimes say. */
  private settle(): void {
    const now = this.env.timers.now();
    for (const entry of this.entries) {
      // Who is told of one may end all.
      if (!this.entries.includes(entry)) return;
      if (entry.validUntil <= now) {
        this.remove(entry);
      } else if (entry.state !== 'tentative') {
        const state = entry.preferredUntil > now ? 'preferred' : 'deprecated';
        if (state !== entry.state) {
          entry.state = state;
          this.tell(state, entry);
        }
      }
    }
  }

  private remove(entry: Entry): void {
    this.entries = this.entries.filter((other) => other !== entry);
    if (entry.state === 'tentative') {
      entry.stop();
      return;
    }
    this.tell('removed', entry);
    this.port.release(entry.address);
  }

  private arm(): void {
    const now = this.env.timers.now();
    let next = Infinity;
    for (const { validUntil } of this.prefixes.values()) next = Math.min(next, validUntil);
    for (const { preferredUntil, validUntil, regenerateAt, state } of this.entries) {
      next = Math.min(next, validUntil, regenerateAt);
      if (state !== 'tentative' && preferredUntil > now) next = Math.min(next, preferredUntil);
    }
    this.timer.arm(next);
  }

  private tell(kind: SlaacEvent['kind'], entry: Entry): void {
    this.port.on({ kind, address: snapshot(entry) });
  }
}

function keyOf({ a, b }: Ipv6Address): string {
  return `${a},${b}`;
}

/** An address lives as its prefix does; a temporary one no longer than its own limits (RFC 8981 3.4). */
function limit(entry: Entry): void {
  entry.preferredUntil = Math.min(entry.prefix.preferredUntil, entry.preferredCap);
  entry.validUntil = Math.min(entry.prefix.validUntil, entry.validCap);
}

function snapshot({ address, kind, state, preferredUntil, validUntil }: Entry): AutoAddress {
  return { address, kind, state, preferredUntil, validUntil };
}
