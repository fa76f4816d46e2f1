/**
 * A simulated network: hosts on in-memory links, all in one virtual clock. Hours pass in milliseconds, and what happens depends on
 * the seed alone, so that a property test which fails can be replayed.
 *
 * Chance is drawn per host and per link, from generators that depend on the seed and the name: adding a host leaves the others as they
 * were. Each has its own drop counters and its own pool of frames too, so that what was lost or leaked is known by name.
 */

import { AssertionError } from 'node:assert/strict';
import { merge, type OperatorFunction, Subscription, tap } from 'rxjs';
import { type Link, type LinkEnd, link } from '../../drivers/link.js';
import { anyMac } from '../../drivers/port.js';
import { Cidr } from '../../lib/core/address.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { type Frame, FramePool, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { SeededRandom } from '../../lib/core/random.js';
import type { Timer } from '../../lib/core/timers.js';
import type { Impairments } from '../../lib/l2/impairment.js';
import { type Host, host } from '../stack/host.js';
import { environment } from '../time/environment.js';
import { SimulationScheduler } from '../time/simulation-scheduler.js';
import type {
  NetworkAddresses,
  NetworkHostOptions,
  NetworkLinkOptions,
  NetworkNode,
  NetworkOptions,
} from './network-options.js';
import { LinkCapture, Trace } from './network-trace.js';
import { addressesOf } from './program/names.js';
import type { NetworkProgram, Program } from './program/program.js';
import { type ProgramOptions, startProgram } from './program/start.js';
import { supervise } from './program/supervisor.js';

/** A link of a network. */
export interface NetworkLink {
  readonly env: Env;
  /** The end of a host or node on it. @throws UsageError `ERR_INVALID_OPTION` if it has none */
  end(node: string): LinkEnd;
  /** Changes what is wrong with every direction; for one direction use that of the sender's `end`. */
  impair(impairments: Impairments): void;
  /** Cuts every end off from every other: what is on its way is lost as well. */
  partition(): void;
  heal(): void;
  /** What it carried so far, seen at each end, and what it dropped and why. @throws UsageError `ERR_INVALID_STATE` unless it was made with `capture` */
  pcapng(): Uint8Array;
}

/** Who sees what a node sends and receives; both are called from within the simulation and must not throw. */
export interface NodeObserver {
  /** A frame, as it comes to the node or leaves it; valid only during the call. */
  frame(direction: 'inbound' | 'outbound', frame: Frame, time: number, end: LinkEnd): void;
  /** All that was to happen at this time because of it has happened. */
  settled?(time: number): void;
}

/** A running simulated network. */
export interface Network<H extends string = string, L extends string = string> extends Disposable {
  readonly seed: number;
  readonly hosts: Readonly<Record<H, Host>>;
  readonly links: Readonly<Record<L, NetworkLink>>;
  readonly scheduler: SimulationScheduler;
  /** Virtual time, in milliseconds. */
  readonly now: number;
  /**
   * Starts a Node program on a host, now, unmodified: what it requires of `net`, `http`, `dgram`, `dns` and `timers` is the host's, and its clock
   * is virtual. It finds the other hosts by their names, too. Let time pass by `advance` or `runUntilSettled(program.exited)`.
   *
   * CommonJS or ES modules, which are loaded in no virtual time; `import()` is left out in CommonJS, and not waited for in ES modules. Nor is what else
   * is of the real world, such as reading files asynchronously; what leads out (`https`, `tls`, `child_process`, `fetch`...) throws `ERR_NOT_SIMULATED` when it
   * is called.
   *
   * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_STATE` if somebody else captures the process's uncaught exceptions
   */
  program(host: H, options: ProgramOptions): NetworkProgram;
  /** Lets time pass until nothing is left to happen. @throws UsageError `ERR_TOO_MANY_EVENTS`; what a node's stream failed with */
  run(): void;
  /** Lets `ms` milliseconds pass. @throws as `run` */
  runFor(ms: number): void;
  /**
   * Lets `ms` milliseconds pass (`Infinity`: all), or fewer once `done` says so, with turns of the event loop between events: for programs that
   * use promises, streams or Node's own modules over the network. Rejects as `run` throws.
   */
  advance(ms: number, done?: () => boolean): Promise<void>;
  /** Lets time pass, as `advance` does, until `promise` settles, and settles as it does. */
  runUntilSettled<T>(promise: Promise<T>): Promise<T>;
  /**
   * Has somebody see what a host or node sends and receives, until the returned function is called. Nodes that nobody observes cost nothing.
   *
   * @throws UsageError `ERR_INVALID_OPTION` for a node that there is not
   */
  observe(node: string, observer: NodeObserver): () => void;
  /** A hash over when, where and what the nodes have sent and received: the same for the same seed. */
  traceHash(): string;
  /**
   * Asserts that nothing is left: no frame in use, no timer armed, no TCP connection; and that no callback of an application threw.
   *
   * @throws AssertionError that says what is left, and the seed
   */
  assertIdle(): void;
  /** Ends all nodes and links. */
  dispose(): void;
}

/**
 * Makes a network of hosts, which are `host()`s, and of any other nodes.
 *
 * @throws UsageError `ERR_INVALID_OPTION`, `ERR_INVALID_ADDRESS`
 * @example
 * const net = network({ seed: 7, hosts: { a: '10.0.0.1/24', b: '10.0.0.2/24' }, links: { lan: { impair: { delay: 20, loss: 0.1 } } } });
 * const { a, b } = net.hosts;
 * nodeNet(b.tcp).createServer((socket) => socket.end('hello')).listen(80);
 * const reply = text(nodeNet(a.tcp).connect(80, '10.0.0.2'));
 * expect(await net.runUntilSettled(reply)).to.equal('hello');
 * net.run();
 * net.assertIdle();
 * net.dispose();
 */
export function network<H extends string, L extends string = 'lan', N extends string = never>(
  options: NetworkOptions<H, L, N>,
): Network<H, L> {
  const made: Network = new SimulatedNetwork(options);
  return made;
}

type AnyOptions = NetworkOptions<string, string, string>;

class SimulatedNetwork implements Network {
  readonly seed: number;
  readonly scheduler: SimulationScheduler;
  readonly hosts: Record<string, Host> = {};
  readonly links: Record<string, SimulatedLink> = {};
  private readonly options: AnyOptions;
  private readonly envs = new Map<string, Env>();
  private readonly trace = new Trace();
  private readonly subscriptions = new Subscription();
  private readonly failures: unknown[] = [];
  private readonly programs: Program[] = [];
  private readonly watched = new Map<string, WatchedNode>();
  private ends = 0;

  constructor(options: AnyOptions) {
    this.options = options;
    this.seed = options.seed ?? 1;
    const { start = 0, maxEvents, hosts, nodes = {} } = options;
    this.scheduler = new SimulationScheduler({ start, ...(maxEvents === undefined ? {} : { maxEvents }) });
    const names = [...Object.keys(hosts), ...Object.keys(nodes)];
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice !== undefined) throw invalid(`'${twice}' is the name of a host and of a node`);
    for (const [name, own] of Object.entries<NetworkLinkOptions>(options.links ?? { lan: {} })) {
      this.links[name] = this.makeLink(name, own, names);
    }
    for (const [name, own] of Object.entries(hosts)) this.addHost(name, hostOptions(own));
    for (const [name, node] of Object.entries(nodes)) this.addNode(name, node);
  }

  get now(): number {
    return this.scheduler.now();
  }

  program(host: string, options: ProgramOptions): NetworkProgram {
    const stack = this.hosts[host];
    if (stack === undefined) throw invalid(`there is no host '${host}'`);
    if (this.programs.length === 0) this.subscriptions.add(supervise());
    const names = (name: string) => {
      const named = Object.hasOwn(this.hosts, name) ? this.hosts[name] : undefined;
      return named && addressesOf(named);
    };
    const program = startProgram({ host, stack, names }, options);
    this.programs.push(program);
    return program;
  }

  observe(node: string, observer: NodeObserver): () => void {
    const watched = this.watched.get(node);
    if (watched === undefined) throw invalid(`there is no host and no node '${node}'`);
    return watched.add(observer);
  }

  run(): void {
    this.scheduler.run();
    this.check();
  }

  runFor(ms: number): void {
    this.scheduler.runFor(ms);
    this.check();
  }

  async advance(ms: number, done: () => boolean = () => false): Promise<void> {
    const end = this.now + ms;
    const isOver = () => this.failures.length > 0 || done();
    do {
      // Programs are loaded by the clock of the world, while theirs stands still.
      await Promise.allSettled(this.loads());
      await this.scheduler.advance(end - this.now, () => isOver() || this.loads().length > 0);
    } while (!isOver() && this.loads().length > 0);
    this.check();
  }

  async runUntilSettled<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => {
      settled = true;
    };
    promise.then(settle, settle);
    await this.advance(Infinity, () => settled);
    // If it is not settled, this says so.
    return this.scheduler.runUntilSettled(promise);
  }

  private loads(): readonly Promise<unknown>[] {
    return this.programs.flatMap(({ loads }) => [...loads]);
  }

  traceHash(): string {
    return this.trace.digest();
  }

  assertIdle(): void {
    const left: string[] = [];
    for (const [name, { pool, drops }] of this.envs) {
      if (pool.outstanding > 0) left.push(`${name}: ${pool.outstanding} frames in use`);
      const threw = drops.count(DropReason.CallbackThrew);
      if (threw > 0) left.push(`${name}: ${threw} callbacks threw`);
    }
    for (const [name, { tcp }] of Object.entries(this.hosts)) {
      for (const { local, remote, state } of tcp.connections()) {
        const ends = [local, remote].map(({ address, port }) => `${address.toString()} port ${port}`);
        left.push(`${name}: connection in ${state} from ${ends.join(' to ')}`);
      }
    }
    const running = this.programs.filter(({ exitCode }) => exitCode === undefined);
    for (const { host: name } of running) left.push(`${name}: a program is running`);
    const { pending, next } = this.scheduler;
    if (pending > 0) left.push(`${pending} timers armed, the first for ${next} ms`);
    if (left.length === 0) return;
    const message = `the network is not idle at ${this.now} ms (seed ${this.seed}): ${left.join('; ')}`;
    throw new AssertionError({ message, actual: left, expected: [], operator: 'assertIdle' });
  }

  dispose(): void {
    for (const program of this.programs) program.kill();
    this.subscriptions.unsubscribe();
    for (const one of Object.values(this.links)) one.close();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private check(): void {
    if (this.failures.length > 0) throw this.failures[0];
  }

  private envOf(name: string): Env {
    const { scheduler, seed } = this;
    const random = new SeededRandom(seedOf(seed, name));
    const env = environment({ scheduler, random, pool: new FramePool({ poison: this.options.poison ?? true }) });
    this.envs.set(name, env);
    return env;
  }

  private makeLink(name: string, options: NetworkLinkOptions, everybody: readonly string[]): SimulatedLink {
    const { between = everybody } = options;
    const stranger = between.find((node) => !everybody.includes(node));
    if (stranger !== undefined) throw invalid(`link '${name}' joins '${stranger}', which is no host and no node`);
    return new SimulatedLink(name, options, between, this.envOf(`link ${name}`));
  }

  /** The ends of a node, by link. */
  private endsOf(node: string): Record<string, LinkEnd> {
    const joined = Object.values(this.links).filter(({ nodes }) => nodes.includes(node));
    if (joined.length === 0) throw invalid(`no link joins '${node}'`);
    return Object.fromEntries(joined.map((one) => [one.name, one.end(node)]));
  }

  private addHost(name: string, options: NetworkHostOptions): void {
    const devices = this.endsOf(name);
    const { addresses, on = {}, routes = [], ...rest } = options;
    const [only] = Object.keys(devices);
    const isOnOne = Object.keys(devices).length === 1;
    const deviceOf = (linkName: string | undefined): LinkEnd => {
      const device = devices[linkName ?? (isOnOne ? (only ?? '') : '')];
      if (device === undefined) throw invalid(`host '${name}' is not on link '${linkName ?? 'left out'}'`);
      return device;
    };
    if (addresses !== undefined && !isOnOne) throw invalid(`host '${name}' is on several links: say which by 'on'`);
    for (const linkName of Object.keys(on)) deviceOf(linkName);
    const interfaces = Object.entries(devices).map(([linkName, device]) => ({
      device,
      addresses: list(on[linkName] ?? addresses ?? []),
    }));
    const made = host(
      { ...rest, interfaces, routes: routes.map(({ link: via, ...route }) => ({ ...route, device: deviceOf(via) })) },
      this.envOf(name),
    );
    this.hosts[name] = made;
    this.connect(name, devices, made);
  }

  private addNode(name: string, node: NetworkNode): void {
    const devices = this.endsOf(name);
    this.connect(name, devices, node(devices, this.envOf(name)));
  }

  private connect(
    name: string,
    devices: Readonly<Record<string, LinkEnd>>,
    operator: OperatorFunction<RxFrame, TxFrame>,
  ): void {
    const ends = Object.values(devices);
    const [first] = ends;
    const watched = new WatchedNode(this.scheduler);
    this.watched.set(name, watched);
    const seen = new Map(Object.entries(devices).map(([on, end]) => [end, this.recorder(on, name, end, watched)]));
    const inputs = ends.map((end) => end.frames$.pipe(tap((frame) => seen.get(end)?.('inbound', frame))));
    this.subscriptions.add(
      merge(...inputs)
        .pipe(operator)
        .subscribe({
          next: (frame) => {
            const end = ends.length === 1 ? first : ends.find((one) => one === frame.device);
            if (end === undefined) return this.envs.get(name)?.drops.refuse(DropReason.DeviceUnknown, frame, name);
            seen.get(end)?.('outbound', frame);
            end.sink.next(frame);
          },
          error: (error: unknown) => void this.failures.push(error),
        }),
    );
  }

  private recorder(
    linkName: string,
    node: string,
    end: LinkEnd,
    watched: WatchedNode,
  ): (direction: 'inbound' | 'outbound', frame: Frame) => void {
    const number = this.ends++;
    const capture = this.links[linkName]?.capture?.at(`${node}.${linkName}`);
    return (direction, frame) => {
      const { now } = this;
      this.trace.add(number, direction, frame, now);
      capture?.(direction, frame, now);
      if (watched.isWatched) watched.frame(direction, frame, now, end);
    };
  }
}

/** The observers of one node. */
class WatchedNode {
  private observers: readonly NodeObserver[] = [];
  private readonly settling: Timer;
  private readonly scheduler: SimulationScheduler;

  constructor(scheduler: SimulationScheduler) {
    this.scheduler = scheduler;
    this.settling = scheduler.timer(() => {
      for (const observer of this.observers) observer.settled?.(scheduler.now());
    });
  }

  get isWatched(): boolean {
    return this.observers.length > 0;
  }

  add(observer: NodeObserver): () => void {
    const own = { ...observer };
    this.observers = [...this.observers, own];
    return () => {
      this.observers = this.observers.filter((other) => other !== own);
    };
  }

  frame(direction: 'inbound' | 'outbound', frame: Frame, time: number, end: LinkEnd): void {
    for (const observer of this.observers) observer.frame(direction, frame, time, end);
    if (!this.settling.armed) this.settling.arm(this.scheduler.now());
  }
}

class SimulatedLink implements NetworkLink {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly env: Env;
  readonly capture: LinkCapture | undefined;
  private readonly link: Link;

  constructor(name: string, options: NetworkLinkOptions, nodes: readonly string[], env: Env) {
    const { between: _, macs, impairFrom = {}, capture = false, ...rest } = options;
    for (const node of Object.keys({ ...macs, ...impairFrom })) {
      if (!nodes.includes(node)) throw invalid(`link '${name}' does not join '${node}'`);
    }
    this.name = name;
    this.nodes = nodes;
    this.env = env;
    this.capture = capture ? new LinkCapture(rest.medium ?? 'ethernet') : undefined;
    this.capture?.dropsOf(name, env);
    const impaired = Object.entries(impairFrom).map(([node, impairments]) => [`${node}.${name}`, impairments] as const);
    this.link = link(
      {
        ...rest,
        ends: nodes.map((node) => `${node}.${name}`),
        macs: nodes.map((node) => macs?.[node] ?? anyMac(env)),
        impairFrom: Object.fromEntries(impaired),
      },
      env,
    );
  }

  end(node: string): LinkEnd {
    const end = this.link.ends[this.nodes.indexOf(node)];
    if (end === undefined) throw invalid(`link '${this.name}' does not join '${node}'`);
    return end;
  }

  impair(impairments: Impairments): void {
    this.link.impair(impairments);
  }

  partition(): void {
    this.link.partition();
  }

  heal(): void {
    this.link.heal();
  }

  pcapng(): Uint8Array {
    if (this.capture !== undefined) return this.capture.toPcapng();
    throw new UsageError('ERR_INVALID_STATE', `link '${this.name}' was made without capture`);
  }

  close(): void {
    // Ends of memory close at once.
    void this.link.close();
  }
}

function invalid(message: string): UsageError {
  return new UsageError('ERR_INVALID_OPTION', message);
}

function list(addresses: NetworkAddresses): readonly (string | Cidr)[] {
  return typeof addresses === 'string' || addresses instanceof Cidr ? [addresses] : addresses;
}

function hostOptions(options: NetworkHostOptions | NetworkAddresses): NetworkHostOptions {
  const isAddresses = typeof options === 'string' || options instanceof Cidr || Array.isArray(options);
  return isAddresses ? { addresses: options } : (options as NetworkHostOptions);
}

/** A seed for one part of the network: FNV-1a over its name, begun with the network's seed. */
function seedOf(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1)) | 0;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
