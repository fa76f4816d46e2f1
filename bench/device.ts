/**
 * Frames through the TAP driver, without a stack: written to a TAP whose kernel side is not interested, and read from one that the kernel
 * has bridged them to. Per second of this process's CPU, the kernel's share in its calls included: what a frame costs is the driver's,
 * how long it waits is not.
 */

import { MacAddress } from '../lib/core/address.js';
import type { Device } from '../lib/core/device.js';
import type { Env } from '../lib/core/env.js';
import { asTx, ChecksumState, GsoType, type TxFrame } from '../lib/core/frame.js';
import { ETHERNET_HEADER, EthernetFrame, EtherType } from '../lib/wire/ethernet.js';
import { IpProtocol } from '../lib/wire/ip.js';
import { IPV4_HEADER, Ipv4Packet } from '../lib/wire/ipv4.js';
import type { TapOptions } from '../drivers/tap.js';
import { environment } from '../operators/time/environment.js';
import { Namespace, whyNoNamespaces } from './namespace.js';
import { type Row, row } from './report.js';

const SECTION = 'Frames through the TAP driver';
const TCP_HEADER = 20;
const SEGMENT = 1460;
const SUPER_SEGMENT = 65_535 + ETHERNET_HEADER;
// Fewer than the kernel's queue of the reading TAP, so that none is lost.
const BURST = 512;
const BURST_BYTES = 8 << 20;
const BURSTS = 40;
// From one network for documentation to another (RFC 5737).
const SOURCE = 0xc000_0201;
const DESTINATION = 0xc633_6401;
const ELSEWHERE = 0x0200_0000_00ee;

interface Way {
  readonly title: string;
  readonly options: TapOptions;
  readonly sizes: readonly number[];
}

const WAYS: readonly Way[] = [
  { title: 'offload, io_uring', options: { io: 'uring' }, sizes: [64, 1514, SUPER_SEGMENT] },
  { title: 'offload, calls', options: { io: 'calls' }, sizes: [64, 1514, SUPER_SEGMENT] },
  { title: 'no offload, io_uring', options: { io: 'uring', offload: false }, sizes: [64, 1514] },
  { title: 'no offload, calls', options: { io: 'calls', offload: false }, sizes: [64, 1514] },
];

/** A way with its devices open. */
interface Bed {
  readonly way: Way;
  readonly env: Env;
  readonly namespace: Namespace;
  /** Nobody receives what it sends. */
  readonly lone: Device;
  readonly from: Device;
  readonly to: Device;
}

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
  const beds: Bed[] = [];
  try {
    for (const way of WAYS) beds.push(make(way));
    return await measure(rounds, beds);
  } finally {
    for (const { namespace } of beds) namespace.remove();
  }
}

function make(way: Way): Bed {
  const namespace = new Namespace('bridge');
  namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
  const env = environment();
  const mac = MacAddress.parse('02:00:00:00:00:0b');
  const lone = namespace.openTap({ ...way.options, name: 'lone0' }, env);
  const from = namespace.openTap({ ...way.options, name: 'from0' }, env);
  const to = namespace.openTap({ ...way.options, name: 'to0', mac, receiveQueue: 2 * BURST }, env);
  namespace.ip('link', 'add', 'bridge0', 'type', 'bridge');
  for (const device of [from, to]) namespace.ip('link', 'set', device.name, 'master', 'bridge0');
  namespace.ip('link', 'set', 'bridge0', 'up');
  return { way, env, namespace, lone, from, to };
}

async function measure(rounds: number, beds: readonly Bed[]): Promise<Row[]> {
  const values = new Map<Bed, Map<number, Rates[]>>();
  for (const bed of beds) values.set(bed, new Map(bed.way.sizes.map((size) => [size, []])));
  for (let round = 0; round < rounds; round++) {
    for (const bed of beds) {
      for (const size of bed.way.sizes)
        values
          .get(bed)
          ?.get(size)
          ?.push(await burstsOf(size, bed));
    }
  }
  return beds.flatMap((bed) =>
    bed.way.sizes.flatMap((size) => {
      const rates = values.get(bed)?.get(size) ?? [];
      const rowOf = (what: string, rate: (each: Rates) => number): Row =>
        row(SECTION, `${bed.way.title}: ${size} B, ${what}`, 'frames/CPU s', rates.map(rate));
      return [rowOf('written', (each) => each.written), rowOf('read', (each) => each.read)];
    }),
  );
}

async function burstsOf(size: number, { env, lone, from, to }: Bed): Promise<Rates> {
  const burst = Math.min(BURST, Math.floor(BURST_BYTES / size));
  let [writing, reading, read] = [0, 0, 0];
  for (let i = 0; i < BURSTS; i++) {
    writing += await cpuOf(async () => {
      for (let n = 0; n < burst; n++) lone.sink.next(frameOf(size, ELSEWHERE, env));
      await Promise.resolve();
    });
    for (let n = 0; n < burst; n++) from.sink.next(frameOf(size, to.mac.value, env));
    await Promise.resolve();
    reading += await cpuOf(async () => {
      read += await arrivals(to, burst);
    });
  }
  return { written: (burst * BURSTS) / writing, read: read / reading };
}

/** A segment of TCP, or a super-segment. */
function frameOf(size: number, to: number, env: Env): TxFrame {
  const payload = size - ETHERNET_HEADER - IPV4_HEADER;
  const frame = env.pool.alloc(payload);
  const at = frame.put(payload);
  frame.slab.bytes.fill(0, at, at + TCP_HEADER);
  frame.slab.view.setUint8(at + 12, (TCP_HEADER / 4) << 4);
  Ipv4Packet.emit(frame, { source: SOURCE, destination: DESTINATION, protocol: IpProtocol.Tcp, identification: 0 });
  if (payload > TCP_HEADER + SEGMENT) {
    frame.checksum = ChecksumState.Partial;
    frame.checksumStart = at;
    frame.checksumField = at + 16;
    frame.gsoType = GsoType.TcpV4;
    frame.gsoSize = SEGMENT;
  }
  EthernetFrame.emit(frame, to, 0x0200_0000_0001, EtherType.Ipv4);
  return asTx(frame);
}

/** Seconds of CPU that something takes. */
async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1e-6;
}

/** Reads what is there, until all have come or nothing more does. */
function arrivals(device: Device, burst: number): Promise<number> {
  return new Promise((resolve) => {
    let frames = 0;
    const subscription = device.frames$.subscribe(() => {
      if (++frames === burst) finish();
    });
    const timer = setTimeout(() => finish(), 50);
    const finish = () => {
      clearTimeout(timer);
      subscription.unsubscribe();
      resolve(frames);
    };
  });
}
