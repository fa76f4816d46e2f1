/** What a frame costs in the pipeline and in plain function calls, and what its parts cost. Nanoseconds, without any device. */

import { Subject } from 'rxjs';
import { Ipv4Address, MacAddress } from '../lib/core/address.js';
import { asRx, Cast, type Frame, type RxFrame, type TxPacket } from '../lib/core/frame.js';
import { TcpHost } from '../lib/l4/tcp/tcp-host.js';
import type { TcpConnection, TcpHandler } from '../lib/l4/tcp/api.js';
import { anyEndpoint, UdpHost } from '../lib/l4/udp.js';
import type { IpPaths } from '../lib/l3/ip-output.js';
import { ETHERNET_HEADER, EtherType, EthernetFrame } from '../lib/wire/ethernet.js';
import { sum16 } from '../lib/wire/checksum.js';
import { IpProtocol } from '../lib/wire/ip.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../lib/wire/ipv4.js';
import { UDP_HEADER, UdpDatagram } from '../lib/wire/udp.js';
import { demux } from '../operators/flow/demux.js';
import { ethernet } from '../operators/l2/ethernet.js';
import { ipv4 } from '../operators/l3/ipv4.js';
import { udp } from '../operators/l4/udp.js';
import { environment } from '../operators/time/environment.js';
import { SimulationScheduler } from '../operators/time/simulation-scheduler.js';
import { type Row, row } from './report.js';

const SECTION = 'Cost per frame';
const US = Ipv4Address.parse('10.0.0.1');
const PEER = Ipv4Address.parse('10.0.0.2');
const MAC = MacAddress.parse('02:00:00:00:00:01');
const PEER_MAC = MacAddress.parse('02:00:00:00:00:02');
const PAYLOAD = 64;

const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });

const paths: IpPaths = {
  path: (_, source) => ({ source: source ?? US, mtu: 1500 }),
  isLocal: () => true,
  isBroadcast: () => false,
};

/** Runs `work`, which does `batch` things, for a while; returns nanoseconds per thing. */
function time(batch: number, work: () => void): number {
  const until = process.hrtime.bigint() + 150_000_000n;
  let best = Number.POSITIVE_INFINITY;
  do {
    const begun = process.hrtime.bigint();
    work();
    best = Math.min(best, Number(process.hrtime.bigint() - begun) / batch);
  } while (process.hrtime.bigint() < until);
  return best;
}

function datagram(): RxFrame {
  const frame = env.pool.alloc(PAYLOAD);
  frame.put(PAYLOAD);
  const length = PAYLOAD + UDP_HEADER;
  UdpDatagram.emit(frame, 5000, 7, ipv4PseudoHeaderSum(PEER.value, US.value, IpProtocol.Udp, length));
  Ipv4Packet.emit(frame, { source: PEER.value, destination: US.value, protocol: IpProtocol.Udp });
  EthernetFrame.emit(frame, MAC.value, PEER_MAC.value, EtherType.Ipv4);
  return asRx(frame);
}

/** Shows the same received frame again: the range that the layers narrowed is put back. */
function replay(count: number, frame: RxFrame, next: (frame: RxFrame) => void): () => void {
  const { start, end } = frame;
  return () => {
    for (let i = 0; i < count; i++) {
      frame.start = start;
      frame.end = end;
      frame.fate = 0;
      next(frame);
    }
  };
}

function udpHost(): UdpHost {
  const host = new UdpHost(paths, env);
  host.bind(anyEndpoint(4, 7), { message: () => {}, error: () => {} });
  return host;
}

/** The pipeline of a UDP datagram, of public operators. */
function pipelined(): () => void {
  const frames$ = new Subject<RxFrame>();
  const addresses = {
    accepts: (to: number) => (to === US.value ? Cast.Unicast : undefined),
    refusesSource: () => false,
  };
  const link$ = demux(frames$.pipe(ethernet({ mac: MAC }, env)), (frame) => frame.etherType, {}, env);
  const ip$ = link$.on(EtherType.Ipv4).pipe(ipv4({ addresses }, env));
  demux(ip$, (packet) => packet.protocol, {}, env)
    .on(IpProtocol.Udp)
    .pipe(udp(udpHost()))
    .subscribe();
  return replay(1000, datagram(), (frame) => frames$.next(frame));
}

/** The same work as plain function calls. */
function plain(): () => void {
  const host = udpHost();
  return replay(1000, datagram(), (frame) => {
    if (EthernetFrame.check(frame, frame.start) !== undefined) return;
    const link = new EthernetFrame(frame, frame.start);
    if (link.destination !== MAC.value || link.etherType !== EtherType.Ipv4) return;
    frame.start += ETHERNET_HEADER;
    if (Ipv4Packet.check(frame, frame.start) !== undefined) return;
    const packet = new Ipv4Packet(frame, frame.start);
    if (packet.destination !== US.value || packet.protocol !== IpProtocol.Udp) return;
    frame.end = frame.start + packet.totalLength;
    frame.start += packet.headerLength;
    host.receive(packet);
  });
}

function checksum(size: number): () => void {
  const { view } = env.pool.alloc(size).slab;
  return () => {
    for (let i = 0; i < 1000; i++) sum16(view, 0, size);
  };
}

function timers(): () => void {
  const all = Array.from({ length: 1000 }, () => env.timers.timer(() => {}));
  let deadline = 1000;
  return () => {
    deadline++;
    for (const timer of all) timer.arm(deadline);
  };
}

/** Two TCP hosts back to back: bytes written on one are read on the other. */
function tcpTransfer(segments: number): () => void {
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

/** Measures everything, `rounds` times, interleaved. */
export function microBenchmark(rounds: number): Row[] {
  const works: readonly (readonly [string, number, () => void])[] = [
    ['Ethernet, IPv4, UDP to a socket: plain function calls', 1000, plain()],
    ['Ethernet, IPv4, UDP to a socket: the operators', 1000, pipelined()],
    ['checksum of 64 bytes', 1000, checksum(64)],
    ['checksum of 1,500 bytes', 1000, checksum(1500)],
    ['timer moved later', 1000, timers()],
    ['TCP, 1,448 bytes written, sent, received, acknowledged, read', 100, tcpTransfer(100)],
  ];
  const values = works.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, [, batch, work]] of works.entries()) values[i]?.push(time(batch, work));
  }
  const rows = works.map(([name], i) => row(SECTION, name, 'ns', values[i] ?? []));
  const [first, second] = rows;
  if (first === undefined || second === undefined) return rows;
  const compared = row(SECTION, second.name, 'ns', values[1] ?? [], { ...first, name: 'plain calls' });
  return [first, compared, ...rows.slice(2)];
}
