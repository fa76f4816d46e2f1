/**
 * Whose the fragments are that come to the first of the workers that share a device: only the first fragment of a packet has ports. The
 * fragments that come before it wait for it, those that come after it follow it, so that one worker has them all and can reassemble them.
 */

import { DropReason } from '../core/drops.js';
import type { Env } from '../core/env.js';
import type { Frame } from '../core/frame.js';
import type { Timer } from '../core/timers.js';
import { Ranges } from '../l3/ranges.js';
import type { Steering } from './steering.js';

const NAME = 'fragment-steering';
const UNKNOWN = -1;
/** As long as reassembly waits, which is what the fragments are for (RFC 1122 3.3.2 allows a minute or two; ours waits for half of one). */
const PATIENCE = 30_000;
const MOST_PACKETS = 1024;
const MOST_HELD = 512;
/** Fragments of an honest packet. One of more is remembered until its time is over, since not all of them are. */
const MOST_RANGES = 256;

const ignore = (): void => undefined;

interface Packet {
  owner: number;
  readonly since: number;
  /** Fragments that came before the first one. */
  readonly held: Frame[];
  /** Which bytes of its payload came: some may come twice. */
  readonly came: Ranges;
  /** How many there are in all; -1 until the last fragment has said so. */
  length: number;
}

/** Takes fragments as the steering has just read them. Packets are few at a time: they go by their text. */
export class FragmentSteering {
  private readonly steering: Steering;
  private readonly pass: (frame: Frame, owner: number) => void;
  private readonly env: Env;
  private readonly packets = new Map<string, Packet>();
  private readonly timer: Timer;
  private held = 0;

  /** @param pass is given each fragment, which is valid during the call, once its packet's owner is known */
  constructor(steering: Steering, pass: (frame: Frame, owner: number) => void, env: Env) {
    this.steering = steering;
    this.pass = pass;
    this.env = env;
    this.timer = env.timers.timer(() => this.expire());
  }

  /** Takes the fragment that the steering has just read. */
  receive(frame: Frame): void {
    const { offset, more } = this.steering;
    const name = this.name(frame);
    const packet = this.packetOf(name);
    const { transport, transportEnd } = this.steering;
    // Of one that is cut short nothing will be taken.
    if (transportEnd <= frame.end) note(packet, offset, offset + transportEnd - transport, more);
    if (offset === 0) this.found(packet, this.steering.whole());
    const { owner } = packet;
    if (owner === UNKNOWN) this.hold(packet, frame);
    else this.pass(frame, owner);
    if (packet.came.covered === packet.length && owner !== UNKNOWN) this.packets.delete(name);
  }

  /** Drops what waits. */
  dispose(): void {
    this.timer.cancel();
    for (const name of this.packets.keys()) this.drop(name, DropReason.Disposed);
  }

  /** Version, addresses, number and of IPv4 the protocol: what fragments of a packet have in common (RFC 791 3.2, RFC 8200 4.5). */
  private name(frame: Frame): string {
    const { network, protocol, identification } = this.steering;
    const { view } = frame.slab;
    const version = view.getUint8(network) >>> 4;
    const [from, to] = version === 4 ? [12, 20] : [8, 40];
    // Fragments of IPv6 may name different headers that come next.
    let words = `${version}.${version === 4 ? protocol : 0}.${identification}`;
    for (let at = network + from; at < network + to; at += 4) words += `.${view.getUint32(at)}`;
    return words;
  }

  private packetOf(name: string): Packet {
    const known = this.packets.get(name);
    if (known !== undefined) return known;
    if (this.packets.size >= MOST_PACKETS) this.dropOldest(DropReason.FragmentMemory);
    const since = this.env.timers.now();
    const packet: Packet = { owner: UNKNOWN, since, held: [], came: new Ranges(), length: -1 };
    this.packets.set(name, packet);
    if (!this.timer.armed) this.timer.arm(since + PATIENCE);
    return packet;
  }

  private found(packet: Packet, owner: number): void {
    packet.owner = owner;
    this.held -= packet.held.length;
    for (const frame of packet.held.splice(0)) {
      this.pass(frame, owner);
      frame.release();
    }
  }

  private hold(packet: Packet, frame: Frame): void {
    if (this.held >= MOST_HELD) {
      this.env.drops.report(DropReason.FragmentMemory, frame, NAME);
      return;
    }
    this.held++;
    packet.held.push(frame.retain());
  }

  /** Packets are in the order in which they came. */
  private expire(): void {
    const now = this.env.timers.now();
    for (const [name, { since }] of this.packets) {
      if (since + PATIENCE > now) return this.timer.arm(since + PATIENCE);
      this.drop(name, DropReason.FragmentTimeout);
    }
  }

  private dropOldest(reason: DropReason): void {
    const [oldest = ''] = this.packets.keys();
    this.drop(oldest, reason);
  }

  private drop(name: string, reason: DropReason): void {
    const packet = this.packets.get(name);
    this.packets.delete(name);
    this.held -= packet?.held.length ?? 0;
    for (const frame of packet?.held ?? []) this.env.drops.refuse(reason, frame, NAME);
  }
}

/** Notes that these bytes of a packet's payload have come. */
function note(packet: Packet, from: number, to: number, more: boolean): void {
  const { came } = packet;
  if (to <= from) return;
  if (!more) packet.length = to;
  if (came.size < MOST_RANGES && came.fit(from, to, ignore) === 'new') came.add(from, to);
}
