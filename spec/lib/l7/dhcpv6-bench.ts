/** DHCPv6 clients on a wire of the test's own, in virtual time: what they send and what they configure is on record. */

import { Ipv6Address } from '../../../lib/core/address.js';
import type { Env } from '../../../lib/core/env.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { Timers } from '../../../lib/core/timers.js';
import type { DadVerdict } from '../../../lib/l2/dad.js';
import { Dhcpv6Client, type Dhcpv6ClientOptions } from '../../../lib/l7/dhcpv6-client.js';
import { type InterfaceConfiguration6, optionOf } from '../../../lib/l7/dhcpv6-lease.js';
import type { Dhcpv6Port } from '../../../lib/l7/dhcpv6-port.js';
import { Dhcpv6Type, type Dhcpv6Values, duidOfMac } from '../../../lib/wire/dhcpv6.js';
import type { Dhcpv6Option } from '../../../lib/wire/dhcpv6-options.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

export const ip = (text: string): Ipv6Address => Ipv6Address.parse(text);
export const DUID: Uint8Array = duidOfMac(0x0200_0000_0007);
export const IAID = 7;
export const OURS = '2001:db8::50';
export const SERVER: Uint8Array = duidOfMac(0x0200_0000_0001);
export const OTHER: Uint8Array = duidOfMac(0x0200_0000_0002);

const TYPES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(Dhcpv6Type).map(([name, code]) => [code, name.replace(/(?<!^)[A-Z]/g, '-$&').toLowerCase()]),
);

/** A message that the client sent. */
export interface Said {
  readonly at: number;
  readonly type: string;
  readonly message: Dhcpv6Values;
  /** Addresses of its association. */
  readonly addresses: readonly string[];
}

/** A port that keeps what is sent. */
export class FakePort6 implements Dhcpv6Port {
  received: ((message: Dhcpv6Values) => void) | undefined = undefined;
  ended: (() => void) | undefined = undefined;
  readonly said: Said[] = [];
  closed = false;
  private readonly scheduler: SimulationScheduler;

  constructor(scheduler: SimulationScheduler) {
    this.scheduler = scheduler;
  }

  send(message: Dhcpv6Values): void {
    const association = optionOf(message.options, 'ia-na')?.options ?? [];
    const addresses = association.flatMap((one) => (one.kind === 'ia-address' ? [one.address.toString()] : []));
    this.said.push({ at: this.scheduler.now(), type: TYPES[message.type] ?? '', message, addresses });
  }
  close(): void {
    this.closed = true;
  }

  /** What was said since the last call; holds that it was one message of this type. */
  one(type: string): Said {
    const said = this.said.splice(0);
    const [first] = said;
    if (first?.type === type && said.length === 1) return first;
    throw new Error(`not one ${type}, but ${said.map((one) => one.type).join(', ') || 'nothing'}`);
  }

  types(): string[] {
    return this.said.splice(0).map(({ type }) => type);
  }
}

/** An interface that writes down what it is told; verifying takes a second, and finds what the test says. */
export class FakeInterface6 implements InterfaceConfiguration6 {
  readonly told: string[] = [];
  /** Addresses that others have. */
  readonly taken: Set<string> = new Set();
  private readonly timers: Timers;

  constructor(timers: Timers) {
    this.timers = timers;
  }

  claim(address: Ipv6Address, done: (verdict: DadVerdict) => void): () => void {
    const text = address.toString();
    this.told.push(`?${text}`);
    const timer = this.timers.timer(() => {
      const verdict = this.taken.has(text) ? 'duplicate' : 'unique';
      this.told.push(`${verdict} ${text}`);
      done(verdict);
    });
    timer.arm(this.timers.now() + 1000);
    return () => {
      timer.cancel();
      this.told.push(`-${text}`);
    };
  }
  setPreferred(address: Ipv6Address, preferred: boolean): void {
    this.told.push(`${preferred ? 'preferred' : 'deprecated'} ${address.toString()}`);
  }
  setDns(servers: readonly Ipv6Address[], search: readonly string[]): void {
    this.told.push(`dns ${[...servers, ...search].join(' ')}`.trim());
  }
}

/** An address with its lifetimes in seconds. */
export type Given = readonly [address: string, preferred: number, valid: number];

/** See the module. */
export class ClientBench6 {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env;
  readonly port: FakePort6;
  readonly interface: FakeInterface6;
  readonly events: string[] = [];
  readonly client: Dhcpv6Client;
  changed: () => void = () => undefined;

  constructor(options: Partial<Dhcpv6ClientOptions> = {}, seed = 1) {
    this.env = environment({ scheduler: this.scheduler, random: new SeededRandom(seed) });
    this.port = new FakePort6(this.scheduler);
    this.interface = new FakeInterface6(this.env.timers);
    this.client = new Dhcpv6Client(
      {
        port: this.port,
        configuration: this.interface,
        duid: DUID,
        iaid: IAID,
        changed: (lease, change) => {
          this.events.push([change, ...(lease?.addresses ?? []).map(({ address }) => address.toString())].join(' '));
          this.changed();
        },
        ...options,
      },
      this.env,
    );
  }

  /** A server's answer, with our association holding these options. */
  answer(
    to: Said,
    type: number,
    association: readonly Dhcpv6Option[] | undefined,
    { server = SERVER, t1 = 0, t2 = 0, more = [] }: AnswerOptions = {},
  ): void {
    const own: Dhcpv6Option[] = [
      { kind: 'client-id', duid: DUID },
      { kind: 'server-id', duid: server },
    ];
    const ia: Dhcpv6Option[] =
      association === undefined ? [] : [{ kind: 'ia-na', iaid: IAID, t1, t2, options: association }];
    const { transaction } = to.message;
    this.port.received?.({ type, transaction, options: [...own, ...ia, ...more] });
  }

  advertise(to: Said, options: AnswerOptions = {}, ...given: Given[]): void {
    this.answer(to, Dhcpv6Type.Advertise, addresses(given), options);
  }

  reply(to: Said, options: AnswerOptions = {}, ...given: Given[]): void {
    this.answer(to, Dhcpv6Type.Reply, addresses(given), options);
  }

  /** Gets an address, valid for an hour by default. */
  bind(options: AnswerOptions = {}, ...given: Given[]): void {
    this.client.start();
    this.scheduler.runFor(1000);
    this.advertise(this.port.one('solicit'), {}, ...given);
    this.scheduler.runFor(1100);
    this.reply(this.port.one('request'), options, ...given);
    this.scheduler.runFor(1000);
  }
}

/** What is special about an answer. */
export interface AnswerOptions {
  readonly server?: Uint8Array;
  readonly t1?: number;
  readonly t2?: number;
  /** Further options of the message. */
  readonly more?: readonly Dhcpv6Option[];
}

function addresses(given: readonly Given[]): Dhcpv6Option[] {
  const all: readonly Given[] = given.length === 0 ? [[OURS, 1800, 3600]] : given;
  return all.map(([address, preferredLifetime, validLifetime]) => {
    return { kind: 'ia-address', address: ip(address), preferredLifetime, validLifetime, options: [] };
  });
}

export function status(code: number): Dhcpv6Option {
  return { kind: 'status', code, message: '' };
}
