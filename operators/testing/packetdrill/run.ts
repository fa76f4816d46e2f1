/** Runs a script: one event after another, in virtual time, until one fails. */

import { UsageError } from '../../../lib/core/errors.js';
import type { TcpConnection } from '../../../lib/l4/tcp/api.js';
import { Unsupported } from './arguments.js';
import { Flows } from './flow.js';
import type { MatchRules } from './match.js';
import { receiveIcmp, receiveSegment } from './inject.js';
import { expectSegment, type Window } from './expect.js';
import { type CodeBlock, judge } from './python.js';
import { type EventResult, isFailure, type Outcome, outcomeText, type ScriptResult } from './result.js';
import type { Action, CallLine, IpMode, Script, ScriptEvent } from './script.js';
import { packetText } from './segment-text.js';
import { applyCommand, type ProfileName, profileSettings, type Settings } from './settings.js';
import { type Call, resultDifference, Sockets } from './sockets.js';
import { isPreparation } from './system-calls.js';
import { infoNames, type StateQuestion, stateQuestion } from './tcp-info.js';
import type { Returned } from './test-socket.js';
import { type Ends, World } from './world.js';

/** How a script is run. */
export interface RunOptions {
  readonly mode: IpMode;
  readonly profile: ProfileName;
  /** No tolerance: at once is at once, and timers are exact to a tick. */
  readonly strict: boolean;
}

/** A blocking call under way. */
interface Pending {
  readonly event: ScriptEvent;
  readonly line: CallLine;
  readonly call: Call;
  readonly expected: number;
  readonly tolerance: number;
  /** What its times are relative to. */
  readonly since: number;
}

/** What is noted of an event's time. */
type Timing = Pick<EventResult, 'off' | 'wait' | 'tolerance' | 'answer'>;

/** What makes a run end: its last event failed. */
class Failed extends Error {
  readonly result: EventResult;
  constructor(result: EventResult) {
    super('failed');
    this.result = result;
  }
}

/** What looks at no packets: what leaves before the last of it, and after everything else, nobody sees. */
const BYSTANDERS: readonly Action['kind'][] = ['code', 'command', 'skip'];
const OK: Outcome = { kind: 'ok' };
/** How long after its time the end of a call is waited for. */
const PATIENCE = 2000;
const TICK = 1;
/** More than any script needs: a host that is busy with itself is not waited for. */
const MOST_STEPS = 1_000_000;

/** One run. Times are in milliseconds since the script began. */
export class Run {
  private readonly script: Script;
  private readonly options: RunOptions;
  private readonly settings: Settings;
  private readonly flows: Flows;
  private readonly rules: MatchRules;
  private readonly results: EventResult[] = [];
  private started: { readonly world: World; readonly sockets: Sockets } | undefined = undefined;
  /** What the next relative time is relative to. */
  private base = 0;
  private pending: Pending | undefined = undefined;
  private asserted = 0;
  private skipped = 0;
  private steps = 0;

  constructor(script: Script, options: RunOptions) {
    this.script = script;
    this.options = options;
    this.settings = profileSettings(options.profile);
    this.flows = new Flows(this.option('bind_port', 8080));
    const linux = options.profile === 'linux';
    this.rules = {
      optionOrder: linux ? 'exact' : 'set',
      checkWindow: linux,
      timestampTick: this.option('tcp_ts_tick_usecs', 0) / 1000,
      tolerance: options.strict ? TICK : this.option('tolerance_usecs', 4000) / 1000,
      checkEcho: options.strict,
    };
  }

  /** Runs the script to its end, or to the first event that fails. */
  run(): ScriptResult {
    const failure = this.play();
    const nothing = this.asserted === 0 && failure === undefined;
    const { world } = this.started ?? {};
    world?.close();
    return {
      name: this.script.name,
      mode: this.options.mode,
      ok: failure === undefined && !nothing,
      ...(nothing ? { error: 'asserts nothing' } : {}),
      ...(failure === undefined ? {} : { failure }),
      events: this.results,
      asserted: this.asserted,
      skipped: this.skipped,
      pcapng: () => world?.recording.toPcapng() ?? new Uint8Array(0),
    };
  }

  private play(): EventResult | undefined {
    const { init, events } = this.script;
    try {
      for (const command of init) applyCommand(this.settings, command);
      const border = events.findLast(({ action }) => !BYSTANDERS.includes(action.kind));
      for (const event of events) this.play1(event, event === border);
      this.finishPending();
    } catch (error) {
      if (error instanceof Failed) return error.result;
      throw error;
    }
    return undefined;
  }

  private play1(event: ScriptEvent, last: boolean): void {
    const { action } = event;
    if (action.kind === 'command') return this.command(event, action.command);
    const world = this.start().world;
    if (action.kind === 'outbound') {
      const window = this.window(event);
      const found = expectSegment(
        {
          world,
          flow: this.flows.outbound(action.segment.ports),
          rules: this.rules,
          next: () => this.next,
          step: () => this.step(),
        },
        action.segment,
        window,
      );
      this.asserted++;
      const wait = window.from - this.base;
      const { tolerance } = window;
      const timing = found.off === undefined ? {} : { off: found.off, wait, tolerance };
      const answer = found.answer === undefined ? {} : { answer: found.answer };
      this.note(event, found.outcome, { ...timing, ...answer });
      this.base = world.now;
      return;
    }
    const at = this.waitFor(event);
    if (last) this.expectNothing(event, at);
    this.perform(event);
    this.settle();
    this.base = action.kind === 'inbound' || action.kind === 'icmp' ? at : world.now;
  }

  private perform(event: ScriptEvent): void {
    const { action } = event;
    const { world, sockets } = this.start();
    switch (action.kind) {
      case 'inbound':
        receiveSegment(world, this.flows.inbound(action.segment.ports), action.segment);
        return this.note(event, OK);
      case 'icmp':
        return this.note(event, receiveIcmp(world, this.flows.current, action.message));
      case 'call':
        return this.call(event, action.call);
      case 'skip':
        return this.skip(event, action.what);
      case 'code':
        return this.code(event, action.code, sockets.underTest?.connection);
      default:
    }
  }

  private code(event: ScriptEvent, { assertions, others }: CodeBlock, connection: TcpConnection | undefined): void {
    for (const assertion of assertions) {
      const { text, place } = assertion;
      const verdict = judge(assertion, infoNames(connection, this.options.profile));
      if ('unknown' in verdict) {
        this.skip({ ...event, place, text }, `the stack does not tell ${verdict.unknown}`);
        continue;
      }
      this.asserted++;
      const failure: Outcome = { kind: 'mismatch', field: 'value', expected: text, got: verdict.seen };
      this.note({ ...event, place, text }, verdict.held ? OK : failure);
    }
    for (const { place, text } of others) this.skip({ ...event, place, text }, 'code that is no assertion');
  }

  private skip(event: ScriptEvent, reason: string): void {
    this.skipped++;
    this.note(event, { kind: 'skipped', reason });
  }

  /** Commands take no time; what they set before the first event of another kind is what the host is made with. */
  private command(event: ScriptEvent, command: string): void {
    if (this.started !== undefined) this.waitFor(event);
    const question = stateQuestion(command);
    if (question !== undefined && this.started !== undefined) this.count(event, question, this.started.sockets);
    else this.apply(event, command);
    this.base = this.started?.world.now ?? this.window(event).from;
  }

  /** The script asks how many sockets are in a state. */
  private count(event: ScriptEvent, { state, count }: StateQuestion, sockets: Sockets): void {
    const got = sockets.countIn(state);
    this.asserted++;
    const field = `sockets in ${state}`;
    this.note(event, got === count ? OK : { kind: 'mismatch', field, expected: String(count), got: String(got) });
  }

  private apply(event: ScriptEvent, command: string): void {
    const drops = /^\s*tcpdrop\b/.test(command);
    if (drops) this.started?.sockets.abortAll();
    const outcome = drops ? 'applied' : applyCommand(this.settings, command);
    if (outcome === 'applied') this.started?.world.host.tcp.configure(this.settings.tcp);
    this.note(event, outcome === 'applied' ? OK : { kind: 'skipped', reason: 'a command that means nothing here' });
  }

  private start(): { readonly world: World; readonly sockets: Sockets } {
    if (this.started !== undefined) return this.started;
    const { options, flows } = this;
    const { mode, profile } = options;
    const ends = this.ends();
    const { tcp, hopLimit } = this.settings;
    const world = new World({ ends, mtu: this.option('mtu', ends.version === 6 ? 1520 : 1500), tcp, hopLimit });
    const sockets = new Sockets({
      tcp: world.host.tcp,
      mode,
      remote: ends.remote,
      bindPort: this.option('bind_port', 8080),
      connectPort: this.option('connect_port', 8080),
      linux: profile === 'linux',
      flows,
      now: () => world.now,
      clock: () => world.scheduler.now(),
      keepAlive: () => this.settings.keepAlive,
      fastOpenListeners: () => this.settings.fastOpenListeners,
    });
    this.started = { world, sockets };
    return this.started;
  }

  private ends(): Ends {
    const version = this.options.mode === 'ipv6' ? 6 : 4;
    const fallback = version === 6 ? ['fd3d:a0b:17d6::1', 'fd3d:fa7b:d17d::1'] : ['192.168.0.1', '192.0.2.1'];
    const address = (name: string, other = ''): string => {
      const given = this.script.options.get(name);
      return given !== undefined && given.includes(':') === (version === 6) ? given : other;
    };
    const [local, remote] = fallback;
    return {
      version,
      local: address('local_ip', local),
      remote: address('remote_ip', remote),
      bits: version === 6 ? 48 : 16,
    };
  }

  private option(name: string, fallback: number): number {
    const given = this.script.options.get(name);
    return given === undefined ? fallback : Number(given);
  }

  /** When an event is expected, and how far it may be off. */
  private window({ time }: ScriptEvent): Window {
    if (time.kind === 'any') return { from: 0, to: Number.POSITIVE_INFINITY, tolerance: 0, any: true };
    const base = time.relative ? this.base : 0;
    const from = base + time.from / 1000;
    return { from, to: base + time.to / 1000, tolerance: this.tolerance(from), any: false };
  }

  private tolerance(expected: number): number {
    const after = expected - this.base;
    if (this.options.strict) return after === 0 ? 0 : TICK;
    const percent = this.option('tolerance_percent', 12.5);
    // The clock is a sum of fractions: a nanosecond is no difference.
    return Math.max(this.option('tolerance_usecs', 4000) / 1000, (percent / 100) * after) + 1e-6;
  }

  /** Lets time pass until an event is due. */
  private waitFor(event: ScriptEvent): number {
    const { from: due, tolerance } = this.window(event);
    const { world } = this.start();
    if (event.action.kind === 'call') this.finishPending();
    if (world.now > due + tolerance) {
      const off = world.now - due;
      this.note(event, { kind: 'late', by: off, expected: seconds(due), got: seconds(world.now) }, { off });
    }
    this.passUntil(due);
    return Math.max(due, world.now);
  }

  private passUntil(time: number): void {
    while (this.next <= time) this.step();
    this.start().world.runUntil(time);
    this.poll();
  }

  /** When the next thing happens: on the host, or that the blocking call gives up. */
  private get next(): number {
    const { world } = this.start();
    const { deadline = Number.POSITIVE_INFINITY } = this.pending?.call ?? {};
    return Math.min(world.next, Math.max(deadline, world.now));
  }

  /** The next thing happens. */
  private step(): void {
    const { world } = this.start();
    const { next } = this;
    if (++this.steps > MOST_STEPS)
      throw new UsageError('ERR_TOO_MANY_EVENTS', `${this.script.name}: no end is in sight`);
    if (next < world.next) world.runUntil(next);
    else world.scheduler.step();
    this.poll();
  }

  /** Everything happens that is due now. */
  private settle(): void {
    this.passUntil(this.start().world.now);
  }

  private call(event: ScriptEvent, line: CallLine): void {
    const { world, sockets } = this.start();
    let call: Call;
    try {
      call = sockets.begin(line);
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      return this.note(event, { kind: 'unsupported', reason: error.message });
    }
    const { end } = line;
    if (end !== undefined) {
      const { time } = event;
      const base = time.kind === 'at' && time.relative ? this.base : 0;
      const expected = base + end / 1000;
      this.pending = { event, line, call, expected, tolerance: this.tolerance(expected), since: this.base };
      return this.poll();
    }
    const returned = this.attempt(call) ?? this.block(event, call);
    if (returned === undefined) {
      return this.note(event, { kind: 'missing', expected: `a return at ${seconds(world.now)}` });
    }
    this.returned(event, line, call, returned);
  }

  /** What a call returns that does not block. */
  private attempt(call: Call): Returned {
    const returned = call.attempt();
    if (returned !== undefined || call.instead === undefined) return returned;
    return { value: -1, errno: call.instead };
  }

  /** A call blocks that the script says returns at once: it may, within tolerance. */
  private block(event: ScriptEvent, call: Call): Returned {
    const { world } = this.start();
    const { from, tolerance } = this.window(event);
    while (world.next <= from + tolerance) {
      this.step();
      const returned = call.attempt();
      if (returned !== undefined) return returned;
    }
    return undefined;
  }

  private returned(
    event: ScriptEvent,
    line: CallLine,
    call: Call,
    returned: NonNullable<Returned>,
    timing: Timing = {},
  ): void {
    for (const what of call.untold ?? []) this.skip(event, `the stack does not tell ${what}`);
    if (call.unchecked === true) return;
    if (!isPreparation(line.name, line.result.errno)) this.asserted++;
    const differs = resultDifference(line, returned) ?? call.check?.(returned);
    const { field, expected = '', got = '' } = differs ?? { field: '' };
    this.note(event, differs === undefined ? OK : { kind: 'mismatch', field, expected, got }, timing);
  }

  /** Looks whether the blocking call has returned. */
  private poll(): void {
    const { pending } = this;
    if (pending === undefined) return;
    const returned = pending.call.attempt();
    if (returned === undefined) return;
    this.pending = undefined;
    const { event, line, call, expected, tolerance } = pending;
    const off = this.start().world.now - expected;
    const timing = { off, wait: expected - pending.since, tolerance };
    if (Math.abs(off) > tolerance) {
      const got = seconds(expected + off);
      this.note(event, { kind: off < 0 ? 'early' : 'late', by: off, expected: seconds(expected), got }, timing);
    }
    this.returned(event, line, call, returned, timing);
  }

  /** Only one call blocks at a time: the next waits for it. */
  private finishPending(): void {
    const { pending } = this;
    if (pending === undefined) return;
    this.poll();
    const limit = pending.expected + pending.tolerance + PATIENCE;
    while (this.pending !== undefined && this.next <= limit) this.step();
    if (this.pending === undefined) return;
    this.note(pending.event, { kind: 'missing', expected: `a return at ${seconds(pending.expected)}` });
  }

  /** Nothing may have left that the script does not know of, long before its last event. */
  private expectNothing(event: ScriptEvent, at: number): void {
    const { current } = this.flows;
    if (current === undefined) return;
    const { world } = this.start();
    const border = at - this.tolerance(at);
    const extra = world.sent.find((packet) => current.owns(packet) && world.since(packet.time) < border);
    if (extra !== undefined) this.note(event, { kind: 'extra', got: packetText(extra, current) });
  }

  /** `--non_fatal=packet`, `--non_fatal=packet,syscall`. */
  private isTolerated({ action }: ScriptEvent): boolean {
    const kinds = (this.script.options.get('non_fatal') ?? '').split(',');
    return kinds.includes(action.kind === 'outbound' ? 'packet' : action.kind === 'call' ? 'syscall' : '-');
  }

  private note(event: ScriptEvent, noted: Outcome, timing: Timing = {}): void {
    const outcome = isFailure(noted) && this.isTolerated(event) ? tolerated(noted) : noted;
    const time = this.started?.world.now ?? 0;
    const result: EventResult = {
      place: event.place,
      text: event.text,
      time,
      ...timing,
      outcome,
    };
    this.results.push(result);
    if (isFailure(outcome)) throw new Failed(result);
  }
}

function tolerated(outcome: Outcome): Outcome {
  return { kind: 'skipped', reason: `not fatal: ${outcomeText(outcome).join(' ')}` };
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(6)} s`;
}
