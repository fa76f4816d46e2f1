/**
 * IPv6 beside IPv4: the same work by whole hosts in memory, without any device, so that the figures are the stack's alone. The rounds of
 * both versions interleave.
 */

import { Subject } from 'rxjs';
import { anyAddress, type IpVersion, parseIp } from '../lib/core/address.js';
import { asRx, type Frame, type RxFrame, type TxFrame } from '../lib/core/frame.js';
import type { TcpConnection, TcpHandler } from '../lib/l4/tcp/api.js';
import { PacketNotation } from '../lib/text/notation.js';
import { host } from '../operators/stack/host.js';
import { network } from '../operators/testing/index.js';
import { environment } from '../operators/time/environment.js';
import { type Row, row } from './report.js';
import { silentDevice } from './silent-device.js';

const SECTION = 'IPv6 beside IPv4, in memory';
const OWN = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
const PEER = { 4: '10.0.0.2', 6: 'fd00::2' } as const;
const PEER_MAC = 0x0200_0000_0002;
const MEGABYTES = 16;
const PACKETS = 20_000;
/** The best of so many is a round's: what else the machine does only ever adds. */
const TRIES = 3;

const QUIET: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };

/** What the two ends of a TCP transfer cost, in ns for 1,448 bytes: written, sent in frames, acknowledged, read. */
function transfer(version: IpVersion): number {
  const hosts = { a: ['10.0.0.1/24', 'fd00::1/64'], b: ['10.0.0.2/24', 'fd00::2/64'] };
  const links = { lan: { impair: { delay: 0.1 } } };
  const net = network({ poison: false, hosts, links, maxEvents: 100_000_000 });
  const { a, b } = net.hosts;
  const total = MEGABYTES << 20;
  const block = new Uint8Array(65_536);
  const listener = b.tcp.listen({ address: anyAddress(version), port: 80 }, { receiveBuffer: 1 << 20 });
  listener.acceptable = () => {
    const connection = listener.accept();
    if (connection !== undefined) connection.handler = { ...QUIET, readable: () => drain(connection) };
  };
  let sent = 0;
  const write = () => {
    while (sent < total) {
      const taken = connection.write(block);
      sent += taken;
      if (taken < block.length) return;
    }
    connection.end();
  };
  const remote = { address: parseIp(PEER[version]), port: 80 };
  const connection = a.tcp.connect(remote, { ...QUIET, connected: write, writable: write });
  const begun = process.cpuUsage();
  net.run();
  const { user, system } = process.cpuUsage(begun);
  net.dispose();
  return ((user + system) * 1000 * 1448) / total;
}

function drain(connection: TcpConnection): void {
  while (connection.read(65_536) !== undefined);
  if (connection.readEnded) connection.end();
}

/** A host that answers frames; returns how to feed it with many of one, and the frame that `line` says. */
function answerer(version: IpVersion, line: string): () => number {
  const env = environment();
  const device = silentDevice();
  const me = host({ device, addresses: [`${OWN[version]}/${version === 4 ? 24 : 64}`] }, env);
  const input = new Subject<RxFrame>();
  input.pipe(me).subscribe((frame: TxFrame) => frame.release());
  me.neighbours(device)?.setStatic(parseIp(PEER[version]), PEER_MAC);
  const socket = me.udp.bind(
    { address: anyAddress(version), port: 9 },
    { message: ({ data, source }) => socket.send(data, source), error() {} },
  );
  const notation = new PacketNotation({ local: OWN[version], remote: PEER[version] });
  const bytes = notation.build(line, '<').bytes().slice();
  return () => {
    const begun = process.cpuUsage();
    for (let i = 0; i < PACKETS; i++) {
      const frame: Frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      frame.wholeEnd = frame.end;
      frame.device = device;
      input.next(asRx(frame));
      frame.release();
    }
    const { user, system } = process.cpuUsage(begun);
    return ((user + system) * 1000) / PACKETS;
  };
}

/** Measures. */
export function versionsBenchmark(rounds: number): Row[] {
  const work = (title: string, make: (version: IpVersion) => () => number) => {
    return { title, works: { 4: make(4), 6: make(6) }, values: { 4: [] as number[], 6: [] as number[] } };
  };
  const ping = { 4: '< icmp echo_request id 7 seq 1 (56)', 6: '< icmpv6 echo_request id 7 seq 1 (56)' };
  const all = [
    work('TCP, 1,448 bytes, both hosts', (version) => () => transfer(version)),
    work('UDP echo, 64 bytes', (version) => answerer(version, '< udp 53 > 9 (64)')),
    work('ping, 56 bytes', (version) => answerer(version, ping[version])),
  ];
  // The first round compiles.
  for (let round = 0; round <= rounds; round++) {
    for (const { works, values } of all) {
      for (const version of [4, 6] as const) {
        const value = Math.min(...Array.from({ length: TRIES }, works[version]));
        if (round > 0) values[version].push(value);
      }
    }
  }
  return all.flatMap(({ title, values }) => {
    const four = row(SECTION, `${title}: IPv4`, 'ns', values[4]);
    return [four, row(SECTION, `${title}: IPv6`, 'ns', values[6], { ...four, name: 'IPv4' })];
  });
}
