import type { Device } from '../../../../lib/core/device.js';
import type { Env } from '../../../../lib/core/env.js';
import { Frame, FramePool } from '../../../../lib/core/frame.js';
import * as e from '../../../../lib/ergot/index.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import { link } from '../../../../drivers/link.js';
import { hex, unhex } from '../bytes.js';

/** The key of pings, which frames for any or all have here. */
export const KEY: e.Key = e.endpoint('ergot/.well-known/ping', e.u32, e.u32).requestKey;
export const address: (text: string) => number = e.parseNetAddress;

export interface Letter {
  readonly kind?: number;
  readonly seq?: number;
  readonly ttl?: number;
  readonly name?: number;
  /** In hexadecimal. */
  readonly body?: string;
}

/** A frame's bytes. */
export function letter(
  from: string,
  to: string,
  { kind = 1, seq = 7, ttl = 15, name = 0, body = '2a' }: Letter = {},
): Uint8Array {
  const header = new e.FrameHeader();
  Object.assign(header, { source: address(from), destination: address(to), sequence: seq, kind, ttl, name });
  header.keyLow = KEY.low;
  header.keyHigh = KEY.high;
  const frame = Frame.from(unhex(body));
  header.push(frame);
  return frame.bytes().slice();
}

/** A frame in words: `1.2:5 > 1.1:3 kind 1 seq 7 ttl 15 body 2a`. */
export function read(frame: Frame): string {
  const header = new e.FrameHeader();
  if (header.read(frame) !== undefined) return `bad ${hex(frame.bytes())}`;
  const { sequence, kind, ttl } = header;
  const at = `${e.netAddressText(header.source)} > ${e.netAddressText(header.destination)}`;
  return `${at} kind ${kind} seq ${sequence} ttl ${ttl} body ${hex(frame.slab.bytes.slice(header.body, frame.end))}`;
}

/** A node without sockets, whose links lead nowhere: it notes what becomes of frames. */
export class FakeNode implements e.ProfileNode<number> {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  readonly profile: e.Profile<number>;
  /** What own sockets were given: `reach 0 port 3 from 1.2:5 seq 7 body 2a`. */
  readonly delivered: string[] = [];
  /** What left: `link0: 1.1:3 > ...`. */
  readonly sent: string[] = [];
  /** What own sockets say to what they are given. */
  answer: e.ProtocolError | undefined = undefined;
  changes = 0;
  private count = 0;

  constructor(profile: e.Profile<number>) {
    this.env = environment({ scheduler: this.scheduler, seed: 1, pool: new FramePool({ poison: true }) });
    this.profile = profile;
    profile.start(this);
  }

  get stack(): e.NetStackApi<number> {
    const idle = { port: 1, dropped: 0, close: () => undefined };
    return {
      addressing: this.profile.addressing,
      serve: () => idle,
      request: () => () => undefined,
      requestAll: () => () => undefined,
      subscribe: () => idle,
      publish: () => undefined,
      sockets: () => [],
    };
  }

  get drops(): Record<string, number> {
    return this.env.drops.toJSON();
  }

  deliver(message: e.Message<number>, frame: Frame): e.ProtocolError | undefined {
    if (this.answer !== undefined) return this.answer;
    const { reach, port, sequence } = message;
    const body = hex(frame.slab.bytes.slice(message.body, frame.end));
    this.delivered.push(
      `reach ${reach} port ${port} from ${e.netAddressText(message.source)} seq ${sequence} body ${body}`,
    );
    this.env.drops.deliver(frame);
    return undefined;
  }

  transmit(out: Device, frame: Frame): void {
    this.sent.push(`${out.name}: ${read(frame)}`);
    frame.release();
  }

  changed(): void {
    this.changes++;
  }

  /** A link that the profile has. */
  plug(name = `link${this.count++}`, mtu = 1500): Device {
    const end = this.device(name, mtu);
    this.profile.attach(end);
    return end;
  }

  device(name: string, mtu = 1500): Device {
    return link({ ends: [name, `far-${name}`], medium: 'ergot', mtu }, this.env).ends[0];
  }

  /** Has a frame come in. Returns how it ended: a number of `Frame.fate`. */
  come(by: Device, bytes: Uint8Array): number {
    const frame = this.env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    this.profile.receive(by, frame);
    const { fate } = frame;
    frame.release();
    return fate;
  }

  /** Has own sockets say something. */
  say(to: string, { seq = 0, kind = 1, body = '2a', port = 9 }: Letter & { readonly port?: number } = {}): string {
    const bytes = unhex(body);
    const frame = this.env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    const message = new e.Message(address(to));
    Object.assign(message, { kind, sequence: seq, port, keyLow: KEY.low, keyHigh: KEY.high });
    message.reach = this.profile.addressing.reach(message.destination);
    const error = this.profile.send(message, frame);
    if (error === e.ProtocolError.IseDestinationLocal || error === e.ProtocolError.IseRoutingLoop) frame.release();
    const size = message.mtu > 0 ? ` ${message.mtu}` : '';
    return error === undefined ? 'sent' : `${e.protocolErrorName(error)}${size}`;
  }

  /** What left since this was last asked. */
  out(): string[] {
    return this.sent.splice(0);
  }

  /** What own sockets were given since this was last asked. */
  taken(): string[] {
    return this.delivered.splice(0);
  }

  states(): string[] {
    return this.profile.links.map(({ link: { name }, state, address: own }) => {
      return `${name} ${state}${own === undefined ? '' : ` ${e.netAddressText(own)}`}`;
    });
  }
}
