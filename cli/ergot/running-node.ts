/** A node of ours in an ergot network, for as long as a command needs it. */

import type { Env } from '../../lib/core/env.js';
import { edgeProfile } from '../../lib/ergot/profiles/edge.js';
import { LinkState, type LinkStatus, type Profile } from '../../lib/ergot/profile.js';
import { ergot, type ErgotNode } from '../../operators/ergot/ergot.js';
import { ping } from '../../operators/ergot/services/ping.js';
import { CommandError, type Io, messageOf } from '../command.js';
import { wallEnvironment } from '../wall-environment.js';
import { closeAll, type LinkPlace, type OpenPlace, openLink } from './place.js';

/** Whoever is at the other end of the only link of a node. */
const NEIGHBOUR = '0.1:0';
const PROD_INTERVAL = 200;
/** Milliseconds that a network has to answer those who want something of it at once. */
const PATIENCE = 3000;

/** A node that runs until the user wants it to end, or what it needs is gone. */
export class RunningNode {
  readonly node: ErgotNode<number>;
  readonly env: Env;
  private readonly ending = new AbortController();
  private failure: unknown = undefined;

  constructor(profile: Profile<number>, io: Io) {
    this.env = wallEnvironment();
    this.node = ergot(profile, {}, this.env);
    io.signal.addEventListener('abort', this.end, { signal: this.ending.signal });
    if (io.signal.aborted) this.end();
  }

  /** Aborted when it is to end. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** Ends it, as failed: `ended` rejects. */
  readonly fail = (error: unknown): void => {
    this.failure ??= error;
    this.ending.abort();
  };

  /** Resolves when the user wants it to end. @throws CommandError why it ended otherwise */
  async ended(): Promise<void> {
    if (!this.signal.aborted) {
      await new Promise((resolve) => this.signal.addEventListener('abort', resolve, { once: true }));
    }
    if (this.failure !== undefined) throw new CommandError(messageOf(this.failure));
  }

  /** Our addresses, by the names of their links, as far as there are any. */
  addresses(): ReadonlyMap<string, string> {
    const active = this.node.profile.links.filter(isActive);
    return new Map(
      active.map(({ link, address }) => [link.name, this.node.stack.addressing.text(address ?? 0).replace(/:0$/, '')]),
    );
  }

  private readonly end = (): void => this.ending.abort();
}

function isActive({ state, address }: LinkStatus<number>): boolean {
  return state === LinkState.Active && address !== undefined;
}

/**
 * Runs a node at the edge while `work` goes on.
 *
 * @param again whether it connects again whenever it is not connected
 * @throws CommandError that the link cannot be opened; what `work` throws
 */
export async function withEdge<T>(
  place: LinkPlace,
  again: boolean,
  io: Io,
  work: (running: RunningNode) => Promise<T>,
): Promise<T> {
  const running = new RunningNode(edgeProfile(), io);
  const { node, env, fail } = running;
  let link: OpenPlace<unknown> | undefined;
  try {
    const opened = await openLink(place, again, env);
    link = opened;
    node.failures$.subscribe(({ error }) => fail(new CommandError(`${opened.name}: ${messageOf(error)}`)));
    node.plug(opened.open);
    return await work(running);
  } finally {
    node.dispose();
    if (link !== undefined) await closeAll([link]);
  }
}

/**
 * Resolves when the network at the other end of our only link has told us our address: it does with the first frame that it sends us, so it is asked
 * for one.
 *
 * @returns whether it did before the user wanted it to end
 * @throws CommandError when nobody does in time, or the link fails
 */
export async function joined(running: RunningNode, name: string): Promise<boolean> {
  const { node, signal } = running;
  const asking = ping(node, NEIGHBOUR, { interval: PROD_INTERVAL }).subscribe();
  const isJoined = await new Promise<boolean>((resolve) => {
    const late = running.env.timers.timer(() => resolve(false));
    const done = (): void => {
      late.cancel();
      resolve(node.profile.links.some(isActive));
    };
    late.arm(running.env.timers.now() + PATIENCE);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
    node.links$.subscribe((links) => {
      if (links.some(isActive)) done();
    });
  });
  asking.unsubscribe();
  if (signal.aborted) await running.ended();
  else if (!isJoined) throw new CommandError(`${name}: no router answers (ERR_ERGOT_TIMEOUT)`);
  return isJoined;
}

/** Keeps the network knowing us, and us knowing it: a word to the neighbour now and then. The function that comes back ends it. */
export function keepInTouch({ node }: RunningNode, interval: number): () => void {
  const asking = ping(node, NEIGHBOUR, { interval }).subscribe();
  return () => asking.unsubscribe();
}
