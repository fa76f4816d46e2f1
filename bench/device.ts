/** Frames through the TAP driver, without a stack: written to one TAP, bridged by the kernel, read from another. */

import { MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { asTx } from '../lib/core/frame.js';
import { ETHERNET_HEADER, EthernetFrame } from '../lib/wire/ethernet.js';
import { environment } from '../operators/time/environment.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { type Row, row } from './report.js';

const SECTION = 'Frames through the TAP driver, no offload';
const SIZES = [64, 1514] as const;
// Fewer than the kernel's queue of the reading TAP, so that none is lost.
const BURST = 512;
const BURSTS = 40;
// IEEE 802 EtherType for local experiments.
const EXPERIMENT = 0x88b5;

interface Rates {
  readonly written: number;
  readonly read: number;
}

/** Measures frames per second, if it can; says why if it cannot. */
export async function deviceBenchmark(rounds: number): Promise<Row[]> {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    process.stderr.write(`SKIPPED: the device benchmark ${why}\n`);
    return [];
  }
  const namespace = new Namespace('bridge');
  try {
    const env = environment();
    const mac = MacAddress.parse('02:00:00:00:00:0b');
    const from = namespace.openTap({ name: 'from0' }, env);
    const to = namespace.openTap({ name: 'to0', mac, receiveQueue: 2 * BURST }, env);
    namespace.ip('link', 'add', 'bridge0', 'type', 'bridge');
    for (const device of [from, to]) namespace.ip('link', 'set', device.name, 'master', 'bridge0');
    namespace.ip('link', 'set', 'bridge0', 'up');
    return await measure(rounds, from, to, env);
  } finally {
    namespace.remove();
  }
}

async function measure(rounds: number, from: Device, to: Device, env: Env): Promise<Row[]> {
  const values = new Map(SIZES.map((size) => [size, [] as Rates[]]));
  for (let round = 0; round < rounds; round++) {
    for (const size of SIZES) values.get(size)?.push(await burstsOf(size, from, to, env));
  }
  return SIZES.flatMap((size) => {
    const rates = values.get(size) ?? [];
    const rowOf = (what: string, rate: (each: Rates) => number) =>
      row(SECTION, `${size} B, ${what}`, 'frames/s', rates.map(rate));
    return [rowOf('written (and bridged)', (each) => each.written), rowOf('read', (each) => each.read)];
  });
}

async function burstsOf(size: number, from: Device, to: Device, env: Env): Promise<Rates> {
  let [writing, reading, read] = [0, 0, 0];
  for (let burst = 0; burst < BURSTS; burst++) {
    const begun = performance.now();
    for (let i = 0; i < BURST; i++) {
      const frame = env.pool.alloc(size);
      const payload = size - ETHERNET_HEADER;
      frame.slab.bytes.fill(0, frame.put(payload), frame.end);
      EthernetFrame.emit(frame, to.mac.value, from.mac.value, EXPERIMENT);
      from.sink.next(asTx(frame));
    }
    await Promise.resolve();
    writing += performance.now() - begun;
    const arrived = await arrivals(to);
    reading += arrived.milliseconds;
    read += arrived.frames;
  }
  return { written: (BURST * BURSTS * 1000) / writing, read: (read * 1000) / reading };
}

/** Reads what is there, until nothing more comes. */
function arrivals(device: Device): Promise<{ frames: number; milliseconds: number }> {
  return new Promise((resolve) => {
    let [frames, first, last] = [0, 0, 0];
    const subscription = device.frames$.subscribe(() => {
      last = performance.now();
      if (frames++ === 0) first = last;
      if (frames === BURST) finish();
    });
    const timer = setTimeout(() => finish(), 50);
    const finish = () => {
      clearTimeout(timer);
      subscription.unsubscribe();
      resolve({ frames: Math.max(0, frames - 1), milliseconds: last - first });
    };
  });
}
