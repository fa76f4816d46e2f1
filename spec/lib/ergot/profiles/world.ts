import type { Device } from '../../../../lib/core/device.js';
import type { Env } from '../../../../lib/core/env.js';
import { FramePool } from '../../../../lib/core/frame.js';
import * as e from '../../../../lib/ergot/index.js';
import { type Link, link } from '../../../../drivers/link.js';
import { type ErgotNode, ergot } from '../../../../operators/ergot/ergot.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';

export const ping: e.Endpoint<number, number> = e.endpoint('ergot/.well-known/ping', e.u32, e.u32);
export type Node = ErgotNode<number>;

/** The token of a lease, or why there is none. */
export type Leased = e.SeedNetAssignment | string;

/** Nodes, and cables without delay between them, in virtual time. */
export class World {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  private readonly nodes: Node[] = [];
  private cables = 0;

  constructor() {
    this.env = environment({ scheduler: this.scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  }

  get now(): number {
    return this.scheduler.now();
  }

  /** A node that answers pings. */
  node(profile: e.Profile<number>): Node {
    const node = ergot(profile, {}, this.env);
    node.serve(ping).subscribe((request) => request.answer(request.value));
    this.nodes.push(node);
    return node;
  }

  root(options: e.RouterOptions = {}): Node {
    return this.node(e.routerProfile(options));
  }

  bridge(options: e.BridgeOptions = {}): Node {
    return this.node(e.bridgeProfile(options));
  }

  edge(options: e.EdgeOptions = {}): Node {
    return this.node(e.edgeProfile(options));
  }

  /** A link between all of these, whose ends have the names of their places: `0a`, `0b`... */
  join(...nodes: readonly Node[]): Link & { unplug(): void } {
    const cable = this.cables++;
    const made = link({ medium: 'ergot', ends: nodes.map((_, i) => `${cable}${'abcdefghij'[i]}`) }, this.env);
    const plugs = nodes.map((node, i) => node.plug(made.ends[i] as Device));
    return Object.assign(made, { unplug: () => plugs.forEach((plug) => plug.unsubscribe()) });
  }

  /** The ends of a link that are not plugged in yet. */
  cable(ends: number): readonly [Device, ...Device[]] {
    const cable = this.cables++;
    return link(
      { medium: 'ergot', ends: Array.from({ length: ends }, (_, i) => `${cable}${'abcdefghij'[i]}`) },
      this.env,
    ).ends;
  }

  /** Lets so many seconds go by, and then whatever happens at that moment. */
  seconds(seconds: number): void {
    this.scheduler.runFor(seconds * 1000);
  }

  /** Until so many seconds of the clock. */
  until(seconds: number): void {
    this.scheduler.runUntil(seconds * 1000);
  }

  /** What an endpoint answers at once, or the code or protocol error. */
  ask<Q, R>(node: Node, endpoint: e.Endpoint<Q, R>, to: number | string, request: Q, timeout = 1000): R | string {
    let heard: R | string = 'nothing yet';
    const address = typeof to === 'string' ? e.parseNetAddress(to) : to;
    const done = (result: e.Incoming<R, number> | e.ErgotError): void => {
      if (!(result instanceof e.ErgotError)) heard = result.value;
      else heard = result.protocolError === undefined ? result.code : e.protocolErrorName(result.protocolError);
    };
    const stop = node.stack.request(endpoint, address, request, done, { timeout });
    this.seconds(0);
    if (heard === 'nothing yet') stop();
    return heard;
  }

  ping(from: Node, to: string): number | string {
    return this.ask(from, ping, to, 42);
  }

  states(node: Node): string[] {
    return node.profile.links.map(({ link: { name }, state, address }) => {
      return `${name} ${state}${address === undefined ? '' : ` ${e.netAddressText(address)}`}`;
    });
  }

  /** Ends everything, and says what is left: frames, and timers. */
  end(): readonly number[] {
    for (const node of this.nodes) node.dispose();
    this.scheduler.run();
    return [this.env.pool.outstanding, this.scheduler.pending];
  }
}

/** What an answer holds, or its error. */
export function unwrap<T>(answer: e.Answer<T, string> | string): T | string {
  if (typeof answer === 'string') return answer;
  return answer.kind === 'Ok' ? answer.value : answer.value.kind;
}
