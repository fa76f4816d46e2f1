/** What makes devices for those who come: the devices that it has, and the end of all of them. */

import { defer, from, merge, type Observable, Subject } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { NetError, UsageError } from '../../lib/core/errors.js';
import type { Timer } from '../../lib/core/timers.js';
import type { ErgotLink } from './ergot-link.js';

/**
 * Makes a device for each peer that comes. A device ends when its peer does, and may be closed alone; the listener closes those that are left.
 *
 * @example
 * listener.devices$.subscribe((device) => node.plug(device));
 */
export interface ErgotListener extends AsyncDisposable {
  /**
   * Those that are open, then each that is made. Who subscribes to a device at once misses nothing. It errors when the listener fails, and completes
   * when it is closed.
   */
  readonly devices$: Observable<Device>;
  /** Closes all devices, and makes no more. */
  close(): Promise<void>;
}

/** Where a socket is. */
export interface ErgotSocketAddress {
  readonly address: string;
  readonly port: number;
}

/** A listener at a socket. */
export interface ErgotSocketListener extends ErgotListener {
  /** Where it listens, as soon as it does; rejects where it cannot. */
  readonly listening: Promise<ErgotSocketAddress>;
}

/** What is used of a socket that says where it listens. */
interface Listening {
  on(event: 'listening', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  address(): ErgotSocketAddress | string | null;
}

/** Where a socket listens, as soon as it does. Nobody has to look whether it fails. */
export function listeningOf(socket: Listening): Promise<ErgotSocketAddress> {
  const listening = new Promise<ErgotSocketAddress>((resolve, reject) => {
    socket.on('listening', () => {
      const address = socket.address();
      if (address !== null && typeof address === 'object') resolve({ address: address.address, port: address.port });
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new NetError('ECANCELED', 'it was closed')));
  });
  listening.catch(() => undefined);
  return listening;
}

/** The devices of a listener. */
export class OpenLinks<L extends ErgotLink> {
  readonly devices$: Observable<L>;
  private readonly links = new Set<L>();
  private readonly made = new Subject<L>();

  constructor() {
    this.devices$ = defer(() => merge(from([...this.links]), this.made));
  }

  get size(): number {
    return this.links.size;
  }

  add(link: L): void {
    this.links.add(link);
    this.made.next(link);
  }

  remove(link: L): void {
    this.links.delete(link);
  }

  /** Ends all links, and `devices$`. */
  async close(): Promise<void> {
    const closed = [...this.links].map((link) => link.close());
    this.made.complete();
    await Promise.all(closed);
  }

  /** Ends all links, and `devices$`, with an error. */
  fail(error: unknown): void {
    for (const link of this.links) link.fail(error);
    this.made.error(error);
  }
}

/** How many peers a listener without connections knows, and for how long. */
export interface ErgotPeerOptions {
  /** Peers at a time; what further ones send is dropped as `ErgotUnknownPeer`. Default 64. */
  readonly mostPeers?: number;
  /**
   * Milliseconds after which the device of a peer that sends nothing ends. Default 5 minutes, as long as translators of addresses keep a UDP mapping
   * (RFC 4787 4.3).
   */
  readonly idle?: number;
}

const MOST_PEERS = 64;
const IDLE = 300_000;

/** The devices of a listener without connections: of each peer that was heard of lately. */
export class PeerLinks<K, L extends ErgotLink> {
  readonly open: OpenLinks<L> = new OpenLinks();
  private readonly peers = new Map<K, { readonly link: L; heardAt: number }>();
  private readonly most: number;
  private readonly idle: number;
  private readonly timer: Timer;
  private readonly env: Env;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor({ mostPeers = MOST_PEERS, idle = IDLE }: ErgotPeerOptions, env: Env) {
    if (!(mostPeers >= 1 && idle > 0)) {
      throw new UsageError('ERR_INVALID_OPTION', 'a listener that knows no peer, or none for any time');
    }
    this.most = mostPeers;
    this.idle = idle;
    this.env = env;
    this.timer = env.timers.timer(() => this.expire());
  }

  /** Whether a peer that is not known may become one. */
  get hasRoom(): boolean {
    return this.peers.size < this.most;
  }

  /** The device of a peer that has just been heard of, if there is one. */
  heard(peer: K): L | undefined {
    const known = this.peers.get(peer);
    if (known === undefined) return undefined;
    known.heardAt = this.env.timers.now();
    return known.link;
  }

  add(peer: K, link: L): void {
    const heardAt = this.env.timers.now();
    this.peers.set(peer, { link, heardAt });
    if (!this.timer.armed) this.timer.arm(heardAt + this.idle);
    this.open.add(link);
  }

  remove(peer: K, link: L): void {
    if (this.peers.get(peer)?.link !== link) return;
    this.peers.delete(peer);
    this.open.remove(link);
    if (this.peers.size === 0) this.timer.cancel();
  }

  private expire(): void {
    const now = this.env.timers.now();
    let next = Number.POSITIVE_INFINITY;
    for (const { link, heardAt } of this.peers.values()) {
      // It removes itself.
      if (heardAt + this.idle <= now) void link.close();
      else next = Math.min(next, heardAt + this.idle);
    }
    this.timer.arm(next);
  }
}
