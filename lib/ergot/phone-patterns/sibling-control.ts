/** When a sibling router says something, and when it takes others for dead: the clock of a {@link SiblingMesh}. */

import type { Env } from '../../core/env.js';
import { UsageError } from '../../core/errors.js';
import type { Timer } from '../../core/timers.js';
import type { Prefix } from '../phone/messages.js';
import { SiblingMesh, type SiblingRecord } from './sibling-mesh.js';

/** How often a router says that it lives, in milliseconds, if nobody says otherwise. */
export const SIBLING_INTERVAL = 500;
/** Who was not heard of for as many intervals is dead: three in a row may be lost. */
const LIFETIME = 3.5;
/** Between two hellos there is at least this part of an interval, whatever the news. */
const HURRY = 1 / 20;

/** @throws UsageError `ERR_INVALID_OPTION` for an interval that is not positive, or has no end */
export function checkInterval(interval: number): void {
  if (interval > 0 && interval < Number.POSITIVE_INFINITY) return;
  throw new UsageError('ERR_INVALID_OPTION', `interval must be more than 0, not ${interval}`);
}

/** What a router's control needs of it. */
export interface SiblingVoice<L> {
  /** Sends what is known by a link. */
  say(link: L, records: readonly SiblingRecord[]): void;
  /** Ways, the chosen router or the layer's prefix may be others now. */
  changed(): void;
}

/** Keeps a router among its siblings. */
export class SiblingControl<L> {
  readonly mesh: SiblingMesh<L>;
  private readonly voice: SiblingVoice<L>;
  private readonly interval: number;
  private readonly env: Env;
  private readonly timer: Timer;
  private readonly links = new Set<L>();
  /** When something is to be said next, and when that was last done. */
  private due: number;
  private said: number = Number.NEGATIVE_INFINITY;
  private settling = true;

  /** @throws UsageError `ERR_INVALID_OPTION` for a number other than 0..3, or an interval that is not positive */
  constructor(id: number, interval: number, voice: SiblingVoice<L>, env: Env) {
    checkInterval(interval);
    const now = env.timers.now();
    this.mesh = new SiblingMesh<L>(id, interval * LIFETIME, now);
    this.voice = voice;
    this.interval = interval;
    this.env = env;
    this.due = now;
    this.timer = env.timers.timer(() => this.fire());
    this.arm();
  }

  get now(): number {
    return this.env.timers.now();
  }

  /** The router that speaks with the parent. */
  get chosen(): number | undefined {
    return this.mesh.chosen(this.now);
  }

  /** Where the layer lies in the scope of its parent, as far as is known. */
  get prefix(): Prefix | undefined {
    return this.mesh.prefix(this.now);
  }

  /** Begins to speak by a link. */
  add(link: L): void {
    this.links.add(link);
    this.hurry();
  }

  /** Takes a link, and who was heard by it, away. */
  remove(link: L): void {
    if (!this.links.delete(link)) return;
    if (this.mesh.forget(link)) this.news();
  }

  /** Says what there is at this end. */
  set(parent: boolean, prefix: Prefix | undefined): void {
    if (this.mesh.set(parent, prefix)) this.news();
  }

  /** Hears what came by a link. */
  hear(link: L, from: number, records: readonly SiblingRecord[]): void {
    if (!this.links.has(link)) return;
    if (this.mesh.hear(link, from, records, this.now)) this.news();
    else this.arm();
  }

  /** Ends: leaves no timer. */
  stop(): void {
    this.timer.cancel();
    this.links.clear();
  }

  private news(): void {
    this.hurry();
    this.voice.changed();
  }

  private hurry(): void {
    this.due = Math.min(this.due, Math.max(this.now, this.said + this.interval * HURRY));
    this.arm();
  }

  private arm(): void {
    const settled = this.settling ? this.mesh.settledAt : Number.POSITIVE_INFINITY;
    this.timer.arm(Math.min(this.due, this.mesh.deadline, settled));
  }

  private fire(): void {
    const { now, mesh } = this;
    let news = mesh.expire(now);
    if (this.settling && now >= mesh.settledAt) {
      this.settling = false;
      news = true;
    }
    if (news || now >= this.due) this.sayAll(now);
    this.arm();
    if (news) this.voice.changed();
  }

  private sayAll(now: number): void {
    this.said = now;
    this.due = now + this.interval;
    const records = this.mesh.say();
    for (const link of this.links) this.voice.say(link, records);
  }
}
