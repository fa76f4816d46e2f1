/**
 * Duplicate address detection (RFC 4862 5.4): before an IPv6 address is used, the link is asked whether somebody has it already.
 * Looped-back probes of our own are told from others' by a nonce (RFC 7527). Optimistic detection (RFC 4429) is left out.
 */

import type { Ipv6Address } from '../core/address.js';
import type { Env } from '../core/env.js';
import { UsageError } from '../core/errors.js';
import type { Timer } from '../core/timers.js';
import { solicitedNode } from '../wire/ipv6.js';

/** RFC 4861 10: MAX_RTR_SOLICITATION_DELAY, which RFC 4862 5.4.2 takes for probes, too; in milliseconds. */
const MAX_DELAY = 1_000;
/** RFC 4861 10: MAX_MULTICAST_SOLICIT, so many more probes after one that came back (RFC 7527 4.1). */
const MAX_MULTICAST_SOLICIT = 3;
/** How long we wait before we look again whether the link still returns our own frames, in milliseconds. */
const LOOP_RETRY = 60_000;
/** RFC 3971 5.3.2: at least 6 bytes; with them the option is 8 bytes long. */
const NONCE_LENGTH = 6;

/** What the detection needs of the link. */
export interface DadPort {
  /** Sends a neighbour solicitation for `target` from :: to its solicited-node group, with a nonce option. */
  solicit(target: Ipv6Address, nonce: Uint8Array): void;
  /** Starts to listen to `group` at once; the membership report may wait `reportDelay` milliseconds. */
  join(group: Ipv6Address, reportDelay: number): void;
  /** Undoes one `join`. */
  leave(group: Ipv6Address): void;
}

/** Options of {@link DuplicateAddressDetection}. */
export interface DadOptions {
  /** DupAddrDetectTransmits: how often to ask; 0 finds every address unique at once. Default 1. */
  readonly transmits?: number;
  /** RetransTimer: between probes, and from the last one to the verdict, in milliseconds. Default 1000. */
  readonly retransmitTimer?: number;
}

/** What was found out. After `unique` the solicited-node group stays joined: who uses the address leaves it in the end. */
export type DadVerdict = 'unique' | 'duplicate';

interface Probe {
  readonly address: Ipv6Address;
  readonly group: Ipv6Address;
  readonly timer: Timer;
  readonly nonces: Uint8Array[];
  readonly done: (verdict: DadVerdict) => void;
  /** Probes that are still to be sent. */
  left: number;
  /** Whether one of the probes since the last decision came back. */
  looped: boolean;
  /** Whether we already asked more often because of that. */
  extended: boolean;
}

/** The detections of one link. */
export class DuplicateAddressDetection {
  private readonly port: DadPort;
  private readonly env: Env;
  private readonly transmits: number;
  /** RetransTimer in milliseconds; router advertisements may change it. */
  retransmitTimer: number;
  private readonly probes = new Map<string, Probe>();
  private readonly loopListeners = new Set<(address: Ipv6Address) => void>();

  /** @throws UsageError `ERR_INVALID_OPTION` unless `transmits` is a whole number from 0 on */
  constructor(port: DadPort, env: Env, options: DadOptions = {}) {
    const { transmits = 1, retransmitTimer = 1_000 } = options;
    if (!Number.isInteger(transmits) || transmits < 0) {
      throw new UsageError('ERR_INVALID_OPTION', `${transmits} probes of an address`);
    }
    this.port = port;
    this.env = env;
    this.transmits = transmits;
    this.retransmitTimer = retransmitTimer;
  }

  /**
   * Finds out whether `address` is free: `done` is told later, or at once where no probe is to be sent, unless the returned function is
   * called before. `delayed` says that many hosts may be doing this now (the interface came up, or a router advertisement to all
   * asked for it): then the first probe waits up to a second (RFC 4862 5.4.2).
   *
   * @throws UsageError `ERR_INVALID_ADDRESS` for an address that no host can have, `ERR_INVALID_STATE` while it is being probed
   */
  start(address: Ipv6Address, done: (verdict: DadVerdict) => void, delayed = true): () => void {
    if (address.isUnspecified || address.isMulticast) {
      throw new UsageError('ERR_INVALID_ADDRESS', `${address.toString()} cannot be the address of a host`);
    }
    const key = keyOf(address);
    if (this.probes.has(key)) throw new UsageError('ERR_INVALID_STATE', `${address.toString()} is being probed`);
    const delay = delayed ? this.env.random.float() * MAX_DELAY : 0;
    const group = solicitedNode(address);
    // Who does not listen to the group hears neither another's probe nor its advertisement (RFC 4862 5.4.2).
    this.port.join(group, delay);
    if (this.transmits === 0) {
      done('unique');
      return () => {};
    }
    const timer = this.env.timers.timer(() => this.advance(probe));
    const probe: Probe = {
      address,
      group,
      timer,
      nonces: [],
      done,
      left: this.transmits,
      looped: false,
      extended: false,
    };
    this.probes.set(key, probe);
    timer.arm(this.env.timers.now() + delay);
    return () => {
      if (this.probes.get(key) === probe) this.drop(probe);
    };
  }

  /** Whether `address` is being probed: nothing is sent from it, and nothing to it is accepted but solicitations. */
  isTentative(address: Ipv6Address): boolean {
    return this.probes.size > 0 && this.probes.has(keyOf(address));
  }

  /**
   * Looks at a received solicitation for `target`. Returns whether that is tentative: then it must not be answered. From a unicast source
   * it is somebody's address resolution, and ignored; from :: somebody wants the same address (RFC 4862 5.4.3), or it is our own
   * probe, which the nonce tells (RFC 7527 4.2).
   *
   * @param nonce data of its nonce option, if it has one
   */
  solicited(target: Ipv6Address, fromUnspecified: boolean, nonce?: Uint8Array): boolean {
    const probe = this.probes.get(keyOf(target));
    if (probe === undefined) return false;
    if (!fromUnspecified) return true;
    if (nonce !== undefined && probe.nonces.some((own) => areEqual(own, nonce))) this.cameBack(probe);
    else this.finish(probe, 'duplicate');
    return true;
  }

  /** Looks at a received advertisement of `target`. Returns whether that was tentative: now it is known to be another's (RFC 4862 5.4.4). */
  advertised(target: Ipv6Address): boolean {
    const probe = this.probes.get(keyOf(target));
    if (probe === undefined) return false;
    this.finish(probe, 'duplicate');
    return true;
  }

  /** Calls `listener` with each address whose probe came back to us, once per probing; returns how to stop. Listeners must not throw. */
  observeLoops(listener: (address: Ipv6Address) => void): () => void {
    const own = (address: Ipv6Address) => listener(address);
    this.loopListeners.add(own);
    return () => {
      this.loopListeners.delete(own);
    };
  }

  /** Ends all detections without a verdict. */
  dispose(): void {
    for (const probe of this.probes.values()) this.drop(probe);
  }

  private advance(probe: Probe): void {
    if (probe.left > 0) {
      this.send(probe);
    } else if (!probe.looped) {
      this.finish(probe, 'unique');
    } else {
      this.askAgain(probe);
    }
  }

  private send(probe: Probe): void {
    probe.left--;
    // A new one each time, so that an old probe that comes late is known, too.
    const nonce = Uint8Array.from({ length: NONCE_LENGTH }, () => this.env.random.below(256));
    probe.nonces.push(nonce);
    probe.timer.arm(this.env.timers.now() + this.retransmitTimer);
    this.port.solicit(probe.address, nonce);
  }

  /** While the link returns our frames, nobody's silence says anything: ask more often, then rarely, until it does not (RFC 7527 4.1). */
  private askAgain(probe: Probe): void {
    probe.looped = false;
    probe.left = MAX_MULTICAST_SOLICIT;
    if (!probe.extended) {
      probe.extended = true;
      this.send(probe);
      return;
    }
    probe.nonces.length = 0;
    probe.timer.arm(this.env.timers.now() + LOOP_RETRY);
  }

  private cameBack(probe: Probe): void {
    if (!probe.looped && !probe.extended) {
      for (const listener of this.loopListeners) listener(probe.address);
    }
    probe.looped = true;
  }

  private finish(probe: Probe, verdict: DadVerdict): void {
    probe.timer.cancel();
    this.probes.delete(keyOf(probe.address));
    if (verdict === 'duplicate') this.port.leave(probe.group);
    probe.done(verdict);
  }

  private drop(probe: Probe): void {
    probe.timer.cancel();
    this.probes.delete(keyOf(probe.address));
    this.port.leave(probe.group);
  }
}

/** The address without its zone: a detection is of one link anyhow. */
function keyOf(address: Ipv6Address): string {
  return `${address.a},${address.b},${address.c},${address.d}`;
}

function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
