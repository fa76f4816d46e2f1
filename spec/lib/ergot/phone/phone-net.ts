import { Subscription } from 'rxjs';
import { type LinkEnd, type LinkOptions, link } from '../../../../drivers/link.js';
import type { Env } from '../../../../lib/core/env.js';
import { type Frame, FramePool } from '../../../../lib/core/frame.js';
import * as e from '../../../../lib/ergot/index.js';
import type { ErgotNode } from '../../../../operators/ergot/ergot.js';
import { ergot } from '../../../../operators/ergot/ergot.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';

/** An endpoint to ask in tests: who is asked says what it is. */
export const who: e.Endpoint<number, string> = e.endpoint('test/who', e.u32, e.string);
/** A topic to publish in tests. */
export const news: e.Topic<string> = e.topic('test/news', e.string);

/** A device of a {@link PhoneNet}. */
export interface PhoneDevice {
  readonly name: string;
  readonly profile: e.PhoneProfile;
  readonly node: ErgotNode<e.PhoneAddress>;
  /** What it heard of `news`. */
  readonly heard: string[];
}

/** A cable of a {@link PhoneNet}. */
export interface PhoneCable {
  readonly upper: LinkEnd;
  readonly lower: LinkEnd;
  cut(): void;
  heal(): void;
  /** Pulls it out at both ends. */
  unplug(): void;
}

/** What the two ends of a cable are to their devices. */
export interface CableOptions extends Omit<LinkOptions, 'ends' | 'medium'> {
  /** Of the end at the parent; of either end where both are siblings. */
  readonly upper?: Partial<e.PhoneLinkOptions>;
  readonly lower?: Partial<e.PhoneLinkOptions>;
}

/** A network of devices with phone-number addresses in virtual time. */
export class PhoneNet {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  /** Frames in the order in which they arrived: `C>A 183^9 08A^10`. */
  readonly trace: string[] = [];
  readonly devices: Map<string, PhoneDevice> = new Map();
  private readonly kinds = new Map<string, e.PhoneLinkOptions>();
  private readonly subscriptions = new Subscription();
  private cables = 0;

  constructor(seed = 1) {
    this.env = environment({ scheduler: this.scheduler, seed, pool: new FramePool({ poison: true }) });
  }

  /** A device that answers `who` at its socket 1 and hears `news`. */
  device(name: string, options: Omit<e.PhoneOptions, 'link'>): PhoneDevice {
    const link = (device: { readonly name: string }) => this.kinds.get(device.name) ?? 'child';
    const profile = e.phoneProfile({ ...options, link });
    const node = ergot(profile, {}, this.env);
    const heard: string[] = [];
    node.serve(who, { port: 1 }).subscribe((request) => request.answer(`${name} ${request.source.toString()}`));
    node.topic(news).subscribe(({ value }) => heard.push(value));
    const device = { name, profile, node, heard };
    this.devices.set(name, device);
    return device;
  }

  /** Connects a child, or a sibling, to a device. */
  cable(
    upper: PhoneDevice,
    lower: PhoneDevice,
    kind: 'child' | 'sibling' = 'child',
    options: CableOptions = {},
  ): PhoneCable {
    const number = this.cables++;
    const names = [`${upper.name}-${lower.name}.${number}`, `${lower.name}-${upper.name}.${number}`] as const;
    this.kinds.set(names[0], { kind, ...options.upper });
    this.kinds.set(names[1], { kind: kind === 'child' ? 'parent' : 'sibling', ...options.lower });
    const cable = link({ ...options, ends: names, medium: 'ergot' }, this.env);
    const [a, b] = cable.ends;
    const plugs = [upper.node.plug(a), lower.node.plug(b)];
    return {
      upper: a,
      lower: b,
      cut: () => cable.partition(),
      heal: () => cable.heal(),
      unplug: () => plugs.forEach((plug) => plug.unsubscribe()),
    };
  }

  /** From now on, writes down what arrives by a cable, except what stays on it. */
  tap({ upper, lower }: PhoneCable): void {
    const watch = (end: LinkEnd) => {
      const [receiver, sender] = end.name.replace(/\..*/, '').split('-');
      this.subscriptions.add(end.frames$.subscribe((frame) => this.note(`${sender}>${receiver}`, frame)));
    };
    watch(upper);
    watch(lower);
  }

  /** What a device is told when it asks `who` of an address, within so many milliseconds; an error's code or name if it is told nothing. */
  ask(from: PhoneDevice, to: string | e.PhoneAddress, ms = 1000): string {
    let answer = 'nothing';
    const address = typeof to === 'string' ? e.PhoneAddress.parse(to) : to;
    const asked = from.node.request(who, address, 0, { timeout: ms }).subscribe({
      next: ({ value, source }) => (answer = `${value} from ${source.toString()}`),
      error: (error: unknown) => (answer = reason(error)),
    });
    this.scheduler.runFor(ms);
    asked.unsubscribe();
    return answer;
  }

  /** Ends everything; says what is left over: frames, and timers. */
  end(): readonly number[] {
    for (const { node } of this.devices.values()) node.dispose();
    this.subscriptions.unsubscribe();
    this.scheduler.runFor(10_000);
    return [this.env.pool.outstanding, this.scheduler.pending];
  }

  private note(way: string, frame: Frame): void {
    const header = new e.PhoneHeader();
    if (header.read(frame) !== undefined) this.trace.push(`${way} malformed`);
    else if (header.bits !== e.LINK_SCOPE) this.trace.push(`${way} ${headerText(header)}`);
  }
}

/** Who it is from, and whom it is for. */
function headerText(header: e.PhoneHeader): string {
  const source = new e.PhoneAddress(header.source, header.sourceBits);
  const destination = new e.PhoneTarget(header.destination, header.bits, header.cast);
  const error = header.kind === e.FrameKind.Error ? ' error' : '';
  return `${source.toString()} ${destination.toString()}${error}`;
}

function reason(error: unknown): string {
  if (!(error instanceof e.ErgotError)) throw error;
  if (error.protocolError === undefined) return error.code;
  return e.protocolErrorName(error.protocolError) + (error.mtu > 0 ? ` ${error.mtu}` : '');
}
