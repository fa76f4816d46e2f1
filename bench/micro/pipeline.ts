/** Frames through a pipeline of public operators, and through the same work as plain function calls. */

import { type Observable, Observable as Source, type Subscriber } from 'rxjs';
import { type IpAddress, type IpVersion, MacAddress, parseIp } from '../../lib/core/address.js';
import { asRx, Cast, type RxFrame } from '../../lib/core/frame.js';
import { type IpPaths, pseudoHeaderSum, pushIpHeader } from '../../lib/l3/ip-output.js';
import type { Connection } from '../../lib/l4/tcp/connection.js';
import { ConnectionTable } from '../../lib/l4/tcp/demux.js';
import { anyEndpoint, UdpHost } from '../../lib/l4/udp.js';
import { ETHERNET_HEADER, EtherType, EthernetFrame } from '../../lib/wire/ethernet.js';
import { type IpFlow, type IpPacket, IpProtocol } from '../../lib/wire/ip.js';
import { Ipv4Packet } from '../../lib/wire/ipv4.js';
import { UDP_HEADER, UdpDatagram } from '../../lib/wire/udp.js';
import { demux } from '../../operators/flow/demux.js';
import { layer } from '../../operators/flow/layer.js';
import { ethernet } from '../../operators/l2/ethernet.js';
import { ipv4 } from '../../operators/l3/ipv4.js';
import { ipv6 } from '../../operators/l3/ipv6.js';
import { reassemble } from '../../operators/l3/reassemble.js';
import { udp } from '../../operators/l4/udp.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';

/** Frames, or other things, of one run. */
export const BATCH = 1000;
const US = { 4: parseIp('10.0.0.1'), 6: parseIp('fd00::1') } as const;
const PEER = { 4: parseIp('10.0.0.2'), 6: parseIp('fd00::2') } as const;
const MAC = MacAddress.parse('02:00:00:00:00:01');
const PEER_MAC = MacAddress.parse('02:00:00:00:00:02');
const PAYLOAD = 64;

const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });

const paths: IpPaths = {
  path: (_, source) => ({ source: source ?? US[4], mtu: 1500 }),
  isLocal: () => true,
  isBroadcast: () => false,
};

/** A frame to us, whose ports are at the start of its payload. */
function frameOf(version: IpVersion, protocol: number, sourcePort: number, destinationPort: number): RxFrame {
  const frame = env.pool.alloc(PAYLOAD);
  frame.put(PAYLOAD);
  const ends = { source: PEER[version], destination: US[version] };
  const flow = { version, ...ends, protocol, hopLimit: 64, trafficClass: 0, dontFragment: true } as IpFlow;
  UdpDatagram.emit(frame, sourcePort, destinationPort, pseudoHeaderSum(flow, PAYLOAD + UDP_HEADER));
  pushIpHeader(frame, flow, 0);
  EthernetFrame.emit(frame, MAC.value, PEER_MAC.value, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
  return asRx(frame);
}

/** Shows received frames again and again, each as if it came from the pool anew. */
export function replay(frames: readonly RxFrame[], next: (frame: RxFrame) => void): () => void {
  const ranges = frames.map(({ start, end }) => ({ start, end }));
  return () => {
    for (let i = 0; i < BATCH; i++) {
      const frame = frames[i % frames.length];
      const range = ranges[i % frames.length];
      if (frame === undefined || range === undefined) return;
      frame.reset();
      frame.start = range.start;
      frame.end = range.end;
      next(frame);
    }
  };
}

/** A source that calls its one subscriber, as a device does. */
export function source(): { readonly frames$: Observable<RxFrame>; readonly next: (frame: RxFrame) => void } {
  let to: Subscriber<RxFrame> | undefined;
  const frames$ = new Source<RxFrame>((subscriber) => {
    to = subscriber;
  });
  return { frames$, next: (frame) => to?.next(frame) };
}

function udpHost(): UdpHost {
  const host = new UdpHost(paths, env);
  host.bind(anyEndpoint(4, 7), { message: () => {}, error: () => {} });
  return host;
}

const addresses4 = {
  accepts: (to: number) => (to === US[4].word(3) ? Cast.Unicast : undefined),
  refusesSource: () => false,
};
const addresses6 = {
  accepts: (...words: readonly unknown[]) => (words[3] === US[6].word(3) ? Cast.Unicast : undefined),
  has: () => false,
};

/** The pipeline of a UDP datagram. */
export function pipelined(): () => void {
  const { frames$, next } = source();
  const link$ = demux(frames$.pipe(ethernet({ mac: MAC }, env)), (frame) => frame.etherType, {}, env);
  const ip$ = link$.on(EtherType.Ipv4).pipe(ipv4({ addresses: addresses4 }, env));
  demux(ip$, (packet) => packet.protocol, {}, env)
    .on(IpProtocol.Udp)
    .pipe(udp(udpHost()))
    .subscribe();
  return replay([frameOf(4, IpProtocol.Udp, 5000, 7)], next);
}

/** The same work as plain function calls. */
export function plain(): () => void {
  const host = udpHost();
  const us = US[4].word(3);
  return replay([frameOf(4, IpProtocol.Udp, 5000, 7)], (frame) => {
    if (EthernetFrame.check(frame, frame.start) !== undefined) return;
    const link = EthernetFrame.of(frame, frame.start);
    if (link.destination !== MAC.value || link.etherType !== EtherType.Ipv4) return;
    frame.start += ETHERNET_HEADER;
    if (Ipv4Packet.check(frame, frame.start) !== undefined) return;
    const packet = Ipv4Packet.of(frame, frame.start);
    if (packet.destination !== us || packet.protocol !== IpProtocol.Udp) return;
    frame.end = frame.start + packet.totalLength;
    frame.start += packet.headerLength;
    host.receive(packet);
  });
}

/** As many connections of a port of ours to one peer. */
function table(version: IpVersion, connections: number): ConnectionTable {
  const all = new ConnectionTable(env.random);
  const end = (address: IpAddress, port: number) => ({ address, port });
  for (let i = 0; i < connections; i++) {
    const ends = { local: end(US[version], 80 + (i >>> 15)), remote: end(PEER[version], 1024 + (i & 0x7fff)) };
    all.insert(ends as unknown as Connection);
  }
  return all;
}

/** Ethernet, IP, reassembly, and the connection that a segment belongs to; `flows` of a thousand in turn. */
export function tcpDemux(version: IpVersion, flows: number): () => void {
  const { frames$, next } = source();
  const connections = table(version, 1000);
  const link$ = demux(frames$.pipe(ethernet({ mac: MAC }, env)), (frame) => frame.etherType, {}, env);
  const ip$: Observable<IpPacket> =
    version === 4
      ? link$.on(EtherType.Ipv4).pipe(ipv4({ addresses: addresses4 }, env), reassemble({}, env))
      : link$.on(EtherType.Ipv6).pipe(ipv6({ addresses: addresses6 }, env), reassemble({}, env));
  let found = 0;
  const find = layer<IpPacket, IpPacket>(() => (packet) => {
    const ports = packet.frame.slab.view.getUint32(packet.frame.start);
    if (connections.find(packet, ports & 0xffff, ports >>> 16) !== undefined) found++;
    return undefined;
  });
  demux(ip$, (packet) => packet.protocol, {}, env)
    .on(IpProtocol.Tcp)
    .pipe(find)
    .subscribe();
  const frames = Array.from({ length: flows }, (_, i) => frameOf(version, IpProtocol.Tcp, 1024 + i, 80));
  const run = replay(frames, next);
  return () => {
    found = 0;
    run();
    if (found !== BATCH) throw new Error(`${found} of ${BATCH} segments found their connection`);
  };
}

/** The lookup alone: segments of all `connections` in turn. */
export function lookup(connections: number): () => void {
  const all = table(4, connections);
  const frame = frameOf(4, IpProtocol.Tcp, 1024, 80);
  const packet = new Ipv4Packet(frame, frame.start + ETHERNET_HEADER);
  let i = 0;
  return () => {
    for (let n = 0; n < BATCH; n++) {
      // Far apart, so that no two are in one line of the cache.
      i = (i + 7919) % connections;
      if (all.find(packet, 80 + (i >>> 15), 1024 + (i & 0x7fff)) === undefined) throw new Error('not found');
    }
  };
}
