/**
 * Claims to IPv4 addresses (RFC 5227): probing before use, announcing, noticing a second host with an address of ours and
 * defending against it once per ten seconds.
 */

import type { Env } from '../core/env.js';
import type { Timer } from '../core/timers.js';
import { ArpOperation, type ArpPacket } from '../wire/arp.js';

// RFC 5227 1.1, in milliseconds.
const PROBE_WAIT = 1_000;
const PROBE_NUM = 3;
const PROBE_MIN = 1_000;
const PROBE_MAX = 2_000;
const ANNOUNCE_WAIT = 2_000;
const ANNOUNCE_NUM = 2;
const ANNOUNCE_INTERVAL = 2_000;
const MAX_CONFLICTS = 10;
const RATE_LIMIT_INTERVAL = 60_000;
const DEFEND_INTERVAL = 10_000;
/** The longest that a probe takes. */
const PROBE_TIME = PROBE_WAIT + (PROBE_NUM - 1) * PROBE_MAX + ANNOUNCE_WAIT;

/** Another host uses, or wants to use, an address of ours. */
export interface AddressConflict {
  /** The address, as a 32-bit number. */
  readonly address: number;
  /** The other host's MAC address, as a 48-bit number. */
  readonly mac: number;
  /**
   * `defended`: we announced ours again. `persistent`: it is the second conflict within ten seconds; RFC 5227 2.4 leaves it to the
   * user to give the address up. `probing`: the address is not in use here yet, and must not be taken; or it is probed for anew.
   */
  readonly kind: 'defended' | 'persistent' | 'probing';
}

interface Probe {
  readonly address: number;
  readonly timer: Timer;
  readonly done: (free: boolean) => void;
  /** What the times of RFC 5227 are multiplied by. */
  readonly pace: number;
  sent: number;
}

interface Announcement {
  readonly address: number;
  readonly timer: Timer;
  left: number;
}

/** The claims of one link. */
export class ArpClaims {
  private readonly env: Env;
  private readonly request: (sender: number, target: number) => void;
  private readonly probes = new Map<number, Probe>();
  private readonly announcements = new Map<number, Announcement>();
  private readonly defences = new Map<number, number>();
  private conflicts = 0;
  private listeners: readonly ((conflict: AddressConflict) => void)[] = [];

  /** `request` broadcasts an ARP request for `target` by `sender`. */
  constructor(request: (sender: number, target: number) => void, env: Env) {
    this.request = request;
    this.env = env;
  }

  /** Calls `listener` for each conflict from now on; returns how to stop. Listeners must not throw. */
  observe(listener: (conflict: AddressConflict) => void): () => void {
    this.listeners = [...this.listeners, listener];
    return () => {
      this.listeners = this.listeners.filter((other) => other !== listener);
    };
  }

  /**
   * Finds out whether `address` is free (RFC 5227 2.1.1): `done` is told within seconds, unless the returned function is called before.
   * If it is free, take it into use and {@link announce} it. After ten conflicts a probe starts a minute late. An address in use may be probed
   * for anew, after the link was lost, say: until `done` is told it is not defended.
   *
   * @param within the longest time that it takes, in milliseconds: RFC 5227's seven seconds, shortened for links that are known to be fast
   */
  probe(address: number, done: (free: boolean) => void, within: number = PROBE_TIME): () => void {
    this.cancel(address);
    const timer = this.env.timers.timer(() => this.advance(probe));
    const probe: Probe = { address, timer, done, pace: within / PROBE_TIME, sent: 0 };
    this.probes.set(address, probe);
    const wait = this.conflicts >= MAX_CONFLICTS ? RATE_LIMIT_INTERVAL : 0;
    this.arm(probe.timer, wait + this.env.random.float() * PROBE_WAIT * probe.pace);
    return () => {
      if (this.probes.get(address) === probe) this.cancel(address);
    };
  }

  /** Tells everybody twice that `address` is ours (RFC 5227 2.3). */
  announce(address: number): void {
    this.announcements.get(address)?.timer.cancel();
    const announcement: Announcement = {
      address,
      timer: this.env.timers.timer(() => this.repeat(announcement)),
      left: ANNOUNCE_NUM,
    };
    this.announcements.set(address, announcement);
    this.repeat(announcement);
  }

  /** Stops announcing and defending an address that was given up. */
  release(address: number): void {
    this.announcements.get(address)?.timer.cancel();
    this.announcements.delete(address);
    this.defences.delete(address);
  }

  /** Looks at a received packet; `senderIsOurs` says whether its sender address is one of ours. True if it was a conflict. */
  notice(packet: ArpPacket, senderIsOurs: boolean): boolean {
    const { senderIp, senderMac } = packet;
    if (this.probes.size > 0) {
      // Somebody has it, or somebody probes for it just as we do (RFC 5227 2.1.1).
      const isProbe = senderIp === 0 && packet.operation === ArpOperation.Request;
      const probe = this.probes.get(isProbe ? packet.targetIp : senderIp);
      if (probe !== undefined) {
        this.refuse(probe, senderMac);
        return true;
      }
    }
    if (senderIsOurs) this.defend(senderIp, senderMac);
    return senderIsOurs;
  }

  dispose(): void {
    for (const { timer } of this.probes.values()) timer.cancel();
    for (const { timer } of this.announcements.values()) timer.cancel();
    this.probes.clear();
    this.announcements.clear();
  }

  private refuse(probe: Probe, mac: number): void {
    const { address } = probe;
    this.conflicts++;
    this.tell({ address, mac, kind: 'probing' });
    // Who was told may have given the probe up.
    if (this.probes.get(address) !== probe) return;
    this.cancel(address);
    probe.done(false);
  }

  private defend(address: number, mac: number): void {
    const now = this.env.timers.now();
    const last = this.defences.get(address) ?? Number.NEGATIVE_INFINITY;
    this.defences.set(address, now);
    if (now - last < DEFEND_INTERVAL) {
      this.tell({ address, mac, kind: 'persistent' });
      return;
    }
    this.request(address, address);
    this.tell({ address, mac, kind: 'defended' });
  }

  private advance(probe: Probe): void {
    if (probe.sent < PROBE_NUM) {
      probe.sent++;
      const last = probe.sent === PROBE_NUM;
      const pause = last ? ANNOUNCE_WAIT : PROBE_MIN + this.env.random.float() * (PROBE_MAX - PROBE_MIN);
      this.arm(probe.timer, pause * probe.pace);
      this.request(0, probe.address);
      return;
    }
    this.probes.delete(probe.address);
    this.conflicts = 0;
    probe.done(true);
  }

  private repeat(announcement: Announcement): void {
    announcement.left--;
    if (announcement.left > 0) this.arm(announcement.timer, ANNOUNCE_INTERVAL);
    else this.announcements.delete(announcement.address);
    this.request(announcement.address, announcement.address);
  }

  private arm(timer: Timer, after: number): void {
    timer.arm(this.env.timers.now() + after);
  }

  private cancel(address: number): void {
    this.probes.get(address)?.timer.cancel();
    this.probes.delete(address);
  }

  private tell(conflict: AddressConflict): void {
    for (const listener of this.listeners) {
      // One may have been stopped by who was told before.
      if (this.listeners.includes(listener)) listener(conflict);
    }
  }
}
