/** A node over a profile that only notes what it is asked, and messages for it as frames bring them. */

import { expect } from 'chai';
import type { Env } from '../../../lib/core/env.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FlatProfile } from './flat-profile.js';

export const ping: e.Endpoint<number, number> = e.endpoint('ergot/.well-known/ping', e.u32, e.u32);
export const yeet: e.Topic<bigint> = e.topic('topic/yeet', e.u64);
export const address: (text: string) => number = e.parseNetAddress;

/** What frames bring, apart from what they usually bring: a request of 1.9:7 with number 3. */
export interface Arriving {
  readonly kind?: number;
  readonly to?: string;
  readonly sequence?: number;
  readonly key?: e.Key;
  readonly name?: string;
  readonly body?: Uint8Array;
}

export interface StackRig {
  readonly scheduler: SimulationScheduler;
  readonly env: Env;
  readonly profile: FlatProfile;
  readonly machine: e.ErgotMachine<number>;
  readonly stack: e.NetStack<number>;
  /** Gives the node's sockets a message as the profile does; the protocol error's name, or `ok`. */
  readonly arrive: (message: Arriving) => string;
  /** Ends the node, which leaves nothing. */
  readonly end: () => void;
}

/** Makes the node 1.1, without links. */
export function stackRig(options: e.NetStackOptions = {}): StackRig {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const profile = new FlatProfile(1);
  const machine = new e.ErgotMachine(
    profile,
    { transmit: (_link, frame) => frame.release(), changed() {} },
    options,
    env,
  );
  const { stack } = machine;

  const arrive = ({ kind = e.FrameKind.Request, to = '1.1:1', sequence = 3, key, name, body }: Arriving) => {
    const frame = env.pool.alloc(64);
    const bytes = body ?? e.encode(e.u32, 42);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    const message = new e.Message(address('1.9:7'));
    const destination = address(to);
    const { low: keyLow, high: keyHigh } = key ?? ping.requestKey;
    const { addressing } = profile;
    const port = addressing.port(destination);
    const reach = addressing.reach(destination);
    const hash = name === undefined ? 0 : e.nameHash(name);
    Object.assign(message, {
      kind,
      sequence,
      destination,
      port,
      reach,
      keyLow,
      keyHigh,
      name: hash,
      body: frame.start,
    });
    message.source = address('1.9:7');
    const error = stack.deliver(message, frame);
    frame.release();
    return error === undefined ? 'ok' : e.protocolErrorName(error);
  };

  const end = () => {
    machine.close();
    expect([env.pool.outstanding, scheduler.pending]).to.deep.equal([0, 0]);
  };
  return { scheduler, env, profile, machine, stack, arrive, end };
}

/** What a call throws, by its code or the name of the protocol error. */
export function outcome(run: () => void): string {
  try {
    run();
    return 'ok';
  } catch (error) {
    return nameOf(error);
  }
}

export function nameOf(error: unknown): string {
  if (!(error instanceof e.ErgotError)) return (error as { readonly code: string }).code;
  return error.protocolError === undefined ? error.code : e.protocolErrorName(error.protocolError);
}
