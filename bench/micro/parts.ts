/** What else a frame costs: timers, checksums, and TCP between two hosts without anything between them. */

import { Ipv4Address } from '../../lib/core/address.js';
import type { Frame, TxPacket } from '../../lib/core/frame.js';
import type { IpPaths } from '../../lib/l3/ip-output.js';
import type { TcpConnection, TcpHandler } from '../../lib/l4/tcp/api.js';
import { TcpHost } from '../../lib/l4/tcp/tcp-host.js';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { sum16 } from '../../lib/wire/checksum.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { TimerWheel } from '../../operators/time/timer-wheel.js';
import { BATCH } from './pipeline.js';

const US = Ipv4Address.parse('10.0.0.1');
const PEER = Ipv4Address.parse('10.0.0.2');
const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });

const paths: IpPaths = {
  path: (_, source) => ({ source: source ?? US, mtu: 1500 }),
  isLocal: () => true,
  isBroadcast: () => false,
};

export function checksum(size: number): () => void {
  const { view } = env.pool.alloc(size).slab;
  return () => {
    for (let i = 0; i < BATCH; i++) sum16(view, 0, size);
  };
}

/** Timers of a wheel: what is done to each of a thousand. */
export const timers = {
  later(): () => void {
    const all = timersOf(new TimerWheel(scheduler));
    let deadline = 1000;
    return () => {
      deadline++;
      for (const timer of all) timer.arm(deadline);
    };
  },
  armed(): () => void {
    const all = timersOf(new TimerWheel(scheduler));
    return () => {
      for (const timer of all) timer.arm(1000);
      for (const timer of all) timer.cancel();
    };
  },
};

function timersOf(wheel: TimerWheel) {
  return Array.from({ length: BATCH }, () => wheel.timer(() => {}));
}

/** Two TCP hosts back to back: bytes written on one are read on the other. */
export function tcpTransfer(segments: number): () => void {
  const [a, b] = [new TcpHost(paths, {}, env), new TcpHost(paths, {}, env)] as const;
  const queue: [TcpHost, TxPacket][] = [];
  a.output.emit = (packet) => queue.push([b, packet]);
  b.output.emit = (packet) => queue.push([a, packet]);
  const listener = b.listen(anyEndpoint(4, 9));
  let received: TcpConnection | undefined;
  const quiet: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
  const sender = a.connect({ address: US, port: 9 }, quiet, { localAddress: PEER });
  const pump = () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) deliver(...next);
  };
  pump();
  received = listener.accept();
  const block = new Uint8Array(1448);
  return () => {
    for (let i = 0; i < segments; i++) {
      sender.write(block);
      pump();
      while (received?.read() !== undefined);
    }
  };
}

function deliver(to: TcpHost, frame: Frame): void {
  const packet = new Ipv4Packet(frame, frame.start);
  frame.network = frame.start;
  frame.start += packet.headerLength;
  frame.fate = 0;
  to.receive(packet);
  frame.release();
}
