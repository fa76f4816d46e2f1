/** Rigs of ergot's links for the compliance suite, and what specs of them have in common. */

import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { firstValueFrom, timeout } from 'rxjs';
import type { Rig } from '../../../drivers/compliance.js';
import type { ErgotListener } from '../../../drivers/ergot/listener.js';
import { listenErgotTcp } from '../../../drivers/ergot/tcp-listener.js';
import { ergotOverTcp } from '../../../drivers/ergot/tcp.js';
import { listenErgotUdp } from '../../../drivers/ergot/udp-listener.js';
import { ergotOverUdp } from '../../../drivers/ergot/udp.js';
import { ergotOverStream } from '../../../drivers/ergot/stream.js';
import type { Device } from '../../../lib/core/device.js';
import type { Env } from '../../../lib/core/env.js';
import { asTx, FramePool, type TxFrame } from '../../../lib/core/frame.js';
import { FrameHeader, FrameKind } from '../../../lib/ergot/frame.js';
import { netAddress } from '../../../lib/ergot/net-address.js';
import { environment } from '../../../operators/time/environment.js';
import { until } from '../../until.js';

/** An environment on the wall clock whose frames show when they are looked at too late. */
export function wallEnv(): Env {
  return environment({ seed: 1, pool: new FramePool({ poison: true }) });
}

export function pause(milliseconds = 15): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Lets a pipe in memory, whose chunks take a turn each, and the loopback bring what is under way, on a busy machine too. */
async function settle(): Promise<void> {
  for (let i = 0; i < 300; i++) await new Promise(setImmediate);
  await pause();
}

/** What is kept is closed after each test of the suite that this is called in, however the test ended: an open socket would hold the process. */
export function keeper(): <T extends AsyncDisposable>(one: T) => T {
  const kept: AsyncDisposable[] = [];
  afterEach(async () => {
    await Promise.all(kept.splice(0).map((one) => one[Symbol.asyncDispose]()));
  });
  return (one) => {
    kept.push(one);
    return one;
  };
}

/** A frame of ergot with this body. */
export function ergotFrame(env: Env, body: Uint8Array): TxFrame {
  const frame = env.pool.alloc(body.length);
  frame.slab.bytes.set(body, frame.put(body.length));
  const header = new FrameHeader();
  header.source = netAddress(1, 2, 5);
  header.destination = netAddress(1, 1, 3);
  header.kind = FrameKind.Topic;
  header.ttl = 15;
  header.push(frame);
  return asTx(frame);
}

/** Sends a frame of one byte. */
export function say(device: Device, env: Env, byte: number): void {
  device.sink.next(ergotFrame(env, Uint8Array.of(byte)));
}

/** The last byte of each frame that a device receives, and how it ended. */
export function hear(device: Device): { readonly bytes: number[]; ended: string } {
  const heard = { bytes: [] as number[], ended: 'open' };
  device.frames$.subscribe({
    next: (frame) => void heard.bytes.push(frame.slab.bytes[frame.end - 1] ?? -1),
    error: (error: unknown) => (heard.ended = error instanceof Error && 'code' in error ? String(error.code) : 'error'),
    complete: () => (heard.ended = 'complete'),
  });
  return heard;
}

/** One end of a pipe in memory with two directions. */
export class PipeEnd extends Duplex {
  peer: PipeEnd | undefined = undefined;

  override _read(): void {
    // Chunks are pushed when they come.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    setImmediate(() => {
      if (this.peer?.destroyed === false) this.peer.push(chunk);
      done();
    });
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      if (this.peer?.destroyed === false) this.peer.push(null);
      done();
    });
  }
}

export function pipe(highWaterMark = 16_384): [PipeEnd, PipeEnd] {
  const ends: [PipeEnd, PipeEnd] = [new PipeEnd({ highWaterMark }), new PipeEnd({ highWaterMark })];
  const [a, b] = ends;
  a.peer = b;
  b.peer = a;
  return ends;
}

/** The far end's half of a rig. */
function farEnd(device: Device, env: Env): Pick<Rig, 'inject' | 'sent'> {
  const sent: Uint8Array[] = [];
  device.frames$.subscribe({ next: (frame) => void sent.push(Uint8Array.from(frame.bytes())), error: () => undefined });
  return {
    inject(bytes) {
      const frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      device.sink.next(asTx(frame));
    },
    sent: () => sent,
  };
}

export function streamRig(): Rig {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  // Room for few frames: it is full now and then.
  const [near, far] = pipe(300);
  return {
    device: ergotOverStream(near, {}, env),
    env,
    ...farEnd(ergotOverStream(far, {}, farEnv), farEnv),
    settle,
    fail: () => void near.destroy(new Error('unplugged')),
  };
}

/** A stream of the web's, made of the same pipe. */
export function webStreamRig(): Rig {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  const [near, far] = pipe();
  return {
    device: ergotOverStream(Duplex.toWeb(near), {}, env),
    env,
    ...farEnd(ergotOverStream(far, {}, farEnv), farEnv),
    settle,
  };
}

/** The first device of a listener. */
function firstOf({ devices$ }: ErgotListener): Promise<Device> {
  return firstValueFrom(devices$.pipe(timeout(1000)));
}

/** What comes of it; where that is a failure, after closing what it was for. */
async function orClosed<T>(made: Promise<T>, close: () => Promise<void>): Promise<T> {
  try {
    return await made;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Both ends of a TCP connection over the loopback. */
async function tcpEnds(
  env: Env,
  farEnv: Env,
): Promise<{ client: Device; accepted: Device; readonly close: () => Promise<void> }> {
  const listener = listenErgotTcp({ port: 0 }, farEnv);
  const { port } = await listener.listening;
  const client = ergotOverTcp({ port, retry: false }, env);
  const close = async (): Promise<void> => void (await Promise.all([listener.close(), client.close()]));
  const accepted = await orClosed(firstOf(listener), close);
  await orClosed(
    until(() => client.connected),
    close,
  );
  return { client, accepted, close };
}

export async function tcpRig(): Promise<Rig> {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  const { client, accepted, close } = await tcpEnds(env, farEnv);
  return { device: client, env, ...farEnd(accepted, farEnv), settle, dispose: close };
}

/** The end that was accepted. */
export async function acceptedRig(): Promise<Rig> {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  const { client, accepted, close } = await tcpEnds(farEnv, env);
  return { device: accepted, env, ...farEnd(client, farEnv), settle, dispose: close };
}

/** Both ends of a UDP link over the loopback. */
async function udpEnds(
  env: Env,
  farEnv: Env,
): Promise<{ client: Device; heard: Device; readonly close: () => Promise<void> }> {
  const listener = listenErgotUdp({ port: 0 }, farEnv);
  const { port } = await listener.listening;
  const client = ergotOverUdp({ host: '127.0.0.1', port }, env);
  const close = async (): Promise<void> => void (await Promise.all([listener.close(), client.close()]));
  const arrived = firstOf(listener);
  say(client, env, 0);
  return { client, heard: await orClosed(arrived, close), close };
}

export async function udpRig(): Promise<Rig> {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  const { client, heard, close } = await udpEnds(env, farEnv);
  return { device: client, env, ...farEnd(heard, farEnv), settle, dispose: close };
}

/** The listener's end. */
export async function udpPeerRig(): Promise<Rig> {
  const [env, farEnv] = [wallEnv(), wallEnv()];
  const { client, heard, close } = await udpEnds(farEnv, env);
  return { device: heard, env, ...farEnd(client, farEnv), settle, dispose: close };
}

/** Resolves when a stream has ended, however it did. */
export async function closed(stream: Duplex): Promise<void> {
  if (!stream.closed) await once(stream, 'close');
}
