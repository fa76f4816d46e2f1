/**
 * A device as the tenant of its parent: it asks for a place for each piece of its scope, keeps the leases, asks anew where they were lost, and asks for
 * more when the device has to grow. Whatever happens, the device's own addresses stay: only where they lie in the parent's scope changes.
 *
 * What is not answered is asked again, at longer and longer intervals, under the same number, so that an answer that was lost costs no addresses.
 */

import type { Env } from '../../core/env.js';
import type { Timer } from '../../core/timers.js';
import type { PhoneAddress } from '../address.js';
import { AllocError, AllocFlag } from '../allocator-pool.js';
import type { Endpoint } from '../endpoint.js';
import { ErgotError } from '../error.js';
import type { Incoming, NetStackApi } from '../net-stack-api.js';
import { LEASE_TIMES } from '../profiles/leases.js';
import type { PhoneBlock, PhoneLink } from './link.js';
import {
  type Answer,
  type AllocSuccess,
  allocAddresses,
  type LeaseRefusal,
  refreshAddresses,
  type RefreshSuccess,
  releaseAddresses,
} from './messages.js';
import { asAsked } from './pieces.js';
import { atLink } from './target.js';
import { PhoneUplink, type UplinkSegment } from './uplink.js';

const SECOND = 1000;
/** How long an answer may take: the parent may have to ask its own. */
const TIMEOUT = 3 * SECOND;
const REFRESH_TIMEOUT = SECOND;
const FIRST_RETRY = SECOND;
const LONGEST_RETRY = 4 * SECOND;

/** The device as its tenancy sees it. */
export interface TenancyHost {
  readonly env: Env;
  readonly stack: NetStackApi<PhoneAddress>;
  /** The device's scope. */
  readonly bits: number;
  /** What places are needed for. */
  readonly pieces: readonly PhoneBlock[];
  /** The number by which the device's first request is known, wherever it asks. */
  readonly nonce: number;
  /** Where the device lies is another place, or none. */
  placed(link: PhoneLink, uplink: PhoneUplink | undefined): void;
}

/** What came of a wish to grow. */
type Grown = (result: undefined | AllocError) => void;

/** What a device has of one parent. */
export class Tenancy {
  private readonly host: TenancyHost;
  private readonly link: PhoneLink;
  private readonly flags: number;
  private readonly timer: Timer;
  private readonly giveUps = new Set<() => void>();
  /** Who waits to be told what came of a wish to grow. */
  private readonly growing = new Set<Grown>();
  private next: () => void = () => this.begin();
  private segments: readonly UplinkSegment[] = [];
  private nonce: number;
  private retry = FIRST_RETRY;
  private end = 0;
  private open = true;

  constructor(host: TenancyHost, link: PhoneLink) {
    this.host = host;
    this.link = link;
    this.flags = link.options.flags ?? AllocFlag.AllowUnaligned;
    this.nonce = host.nonce;
    this.timer = host.env.timers.timer(() => this.next());
    this.timer.arm(this.now);
  }

  /** Whether a piece has a place. */
  has(piece: PhoneBlock): boolean {
    return this.segments.some(({ local }) => local === piece.first);
  }

  /** Asks for a place for one more piece. */
  extend(piece: PhoneBlock, done: Grown): void {
    if (!this.open || this.segments.length === 0) return done(AllocError.ParentUnavailable);
    const grown = (result: undefined | AllocError): void => {
      if (this.growing.delete(grown)) done(result);
    };
    this.growing.add(grown);
    const nonce = this.host.env.random.uint32();
    this.ask(allocAddresses, { nonce, allocs: [{ len: piece.len, flags: this.flags }] }, (answer) => {
      // An answer that comes after the other pieces were lost is to nobody's wish any more: what it gives runs out by itself.
      if (!this.growing.has(grown)) return;
      if (answer instanceof ErgotError) return grown(AllocError.ParentUnavailable);
      if (answer.kind === 'Err') return grown(AllocError.ParentRefused);
      const segments = this.segmentsOf([piece], answer.value);
      if (segments === undefined || !this.place([...this.segments, ...segments], answer.value.bits)) {
        return grown(AllocError.ParentRefused);
      }
      this.keep(answer.value.expires_seconds);
      grown(undefined);
    });
  }

  /** Asks the parent nothing more. Who waits to grow is told. */
  stop(): void {
    this.open = false;
    this.timer.cancel();
    for (const giveUp of this.giveUps) giveUp();
    this.giveUps.clear();
    this.growNoMore();
  }

  private get now(): number {
    return this.host.env.timers.now();
  }

  private ask<Request, Response>(
    endpoint: Endpoint<Request, Response>,
    request: Request,
    done: (answer: Response | ErgotError) => void,
    timeout: number = TIMEOUT,
  ): void {
    const asked: { giveUp?: () => void; over: boolean } = { over: false };
    const heard = (answer: Incoming<Response, PhoneAddress> | ErgotError): void => {
      asked.over = true;
      if (asked.giveUp !== undefined) this.giveUps.delete(asked.giveUp);
      if (this.open) done(answer instanceof ErgotError ? answer : answer.value);
    };
    try {
      asked.giveUp = this.host.stack.request(endpoint, atLink(this.link.device), request, heard, { timeout });
      if (!asked.over) this.giveUps.add(asked.giveUp);
    } catch (error) {
      // All sockets are taken; that passes.
      if (!(error instanceof ErgotError)) throw error;
      heard(error);
    }
  }

  /** What an earlier life of this device had of the parent is given back. */
  private begin(): void {
    this.ask(releaseAddresses, { addresses: [] }, (answer) => {
      if (answer instanceof ErgotError) this.later(() => this.begin());
      else this.request();
    });
  }

  private request(): void {
    const allocs = asAsked(this.host.pieces).map(({ len }) => ({ len, flags: this.flags }));
    this.ask(allocAddresses, { nonce: this.nonce, allocs }, (answer) => {
      if (answer instanceof ErgotError || answer.kind === 'Err') return this.later(() => this.request());
      const segments = this.segmentsOf(asAsked(this.host.pieces), answer.value);
      if (segments !== undefined && this.place(segments, answer.value.bits)) {
        this.retry = FIRST_RETRY;
        return this.keep(answer.value.expires_seconds);
      }
      this.nonce = this.host.env.random.uint32();
      this.later(() => this.begin());
    });
  }

  private refresh(): void {
    const { segments } = this;
    const addresses = segments.map(({ first }) => first);
    const heard = (answer: Answer<RefreshSuccess, LeaseRefusal> | ErgotError): void => {
      // Since then there is another place, or one more, whose lease was not asked about, and for which the timer is set.
      if (segments !== this.segments) return;
      if (answer instanceof ErgotError) {
        if (this.now >= this.end) this.lose();
        else this.later(() => this.refresh());
      } else if (answer.kind === 'Ok') {
        this.extended(answer.value.expires_seconds);
      } else if (answer.value.kind === 'TooSoon') this.later(() => this.refresh());
      else this.lose();
    };
    this.ask(refreshAddresses, { addresses }, heard, REFRESH_TIMEOUT);
  }

  /** The leases are good for so many seconds more. */
  private keep(seconds: number): void {
    this.end = this.now + seconds * SECOND;
    this.at(this.now + Math.max(0, seconds - LEASE_TIMES.refreshBelow) * SECOND, () => this.refresh());
  }

  /** A parent that extends leases by next to nothing is not asked all the time. */
  private extended(seconds: number): void {
    if (seconds > LEASE_TIMES.refreshBelow) {
      this.retry = FIRST_RETRY;
      return this.keep(seconds);
    }
    this.end = this.now + seconds * SECOND;
    this.later(() => this.refresh());
  }

  /** The leases are over. */
  private lose(): void {
    this.segments = [];
    this.host.placed(this.link, undefined);
    if (this.open) this.later(() => this.request());
    this.growNoMore();
  }

  /** Whoever waits to grow is told that the parent gives nothing. */
  private growNoMore(): void {
    for (const grown of this.growing) grown(AllocError.ParentUnavailable);
  }

  private later(next: () => void): void {
    const { retry } = this;
    this.retry = Math.min(LONGEST_RETRY, 2 * retry);
    this.at(this.now + retry, next);
  }

  private at(time: number, next: () => void): void {
    this.next = next;
    this.timer.arm(time);
  }

  /** Where the pieces lie by an answer; `undefined` if that is not what was asked. */
  private segmentsOf(pieces: readonly PhoneBlock[], { allocs }: AllocSuccess): UplinkSegment[] | undefined {
    if (allocs.length !== pieces.length) return undefined;
    const segments: UplinkSegment[] = [];
    pieces.forEach(({ first: local, len }, index) => {
      const given = allocs[index];
      if (given !== undefined && given.len >= len) segments.push({ local, first: given.address, len });
    });
    return segments.length === pieces.length ? segments : undefined;
  }

  /** Says where the device lies; false if no device of its scope could lie there. */
  private place(segments: readonly UplinkSegment[], bits: number): boolean {
    if (bits <= this.host.bits || (this.segments.length > 0 && bits !== this.link.uplink?.bits)) return false;
    try {
      this.host.placed(this.link, new PhoneUplink(bits, segments, this.link.options.translation));
    } catch {
      return false;
    }
    this.segments = segments;
    return true;
  }
}
