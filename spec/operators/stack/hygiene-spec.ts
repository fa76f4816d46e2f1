import { expect } from 'chai';
import { Subject } from 'rxjs';
import { readCapture } from '../../../lib/capture/index.js';
import { asRx, asTx, FramePool, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { SeededRandom } from '../../../lib/core/random.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import type { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { TcpSegment } from '../../../lib/wire/tcp.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { network } from '../../../operators/testing/index.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FACTS, forBothVersions, type VersionFacts } from '../../both-versions.js';
import { Peer } from './peer.js';

const POISON = 0xdb;
const MARK = 0xa5;

/** Bytes without the poison, so that any of it in what was delivered is stale memory. */
function clean(length: number, random: SeededRandom): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(0x80));
}

/**
 * Two hosts that exchange everything that a host can, with lost frames in between. Returns what the applications received, kept until
 * everything was over, and what each side sent on the wire.
 */
function busyNetwork(poison: boolean, { version, a: left, b: right, c: absent, any, cidr }: VersionFacts = FACTS[4]) {
  const net = network({
    seed: 11,
    poison,
    hosts: { a: cidr(left), b: cidr(right) },
    links: {
      lan: {
        capture: true,
        mtu: version === 4 ? 1000 : 1280,
        impair: { delay: 3, jitter: 2, loss: 0.05, duplicate: 0.05, reorder: 0.1 },
      },
    },
  });
  const { a, b } = net.hosts;
  const random = new SeededRandom(5);
  const messages: UdpMessage[] = [];
  const sent: Uint8Array[] = [];
  b.udp.bind({ address: any, port: 9 }, { message: (message) => void messages.push(message), error() {} });
  const socket = a.udp.bind({ address: any, port: 0 }, { message() {}, error() {} });
  for (const length of [0, 1, 2, 17, 18, 19, 500, 973, 3000, 20_000, 1, 0]) {
    for (let times = 0; times < 4; times++) {
      sent.push(clean(length, random));
      socket.send(sent.at(-1) ?? new Uint8Array(0), { address: right, port: 9 });
      socket.send(clean(length, random), { address: right, port: 10 });
      net.runFor(50);
    }
  }
  const [up, down] = [clean(70_000, random), clean(50_000, random)];
  const [here, there] = [
    new Peer({ data: up, piece: 3000 }, a.env, random.fork()),
    new Peer({ data: down, piece: 700, pause: 20, sip: 5000 }, b.env, random.fork()),
  ];
  const listener = b.tcp.listen({ address: any, port: 80 }, { receiveBuffer: 9000 });
  listener.acceptable = () => {
    there.connection = listener.accept();
    if (there.connection !== undefined) there.connection.handler = there;
    there.connected();
  };
  here.connection = a.tcp.connect({ address: right, port: 80 }, here);
  a.tcp.connect(
    { address: right, port: 81 },
    { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} },
  );
  net.run();
  // Nobody answers: the queries for it are short frames, from buffers that have held everything.
  socket.send(clean(500, random), { address: absent, port: 9 });
  net.run();
  net.assertIdle();
  const records = [...readCapture(net.links.lan.pcapng())].filter(({ direction }) => direction === 'outbound');
  const trace = net.traceHash();
  net.dispose();
  net.assertIdle();
  return { messages, sent, up, down, here, there, trace, frames: records.map(({ data }) => data) };
}

/** What follows the packet that an Ethernet frame carries. */
function paddingOf(frame: Uint8Array): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const isIp = view.getUint16(12) === 0x800;
  return frame.subarray(14 + (isIp ? view.getUint16(16) : 28));
}

forBothVersions('a poisoned pool', (facts) => {
  it('never shows in what applications were given, however long they keep it', () => {
    const { messages, sent, up, down, here, there } = busyNetwork(true, facts);
    expect(messages.length).to.be.greaterThan(30);
    for (const { data } of messages) {
      expect(data.includes(POISON)).to.equal(false);
      expect(sent.some((bytes) => Buffer.compare(bytes, data) === 0)).to.equal(true);
    }
    expect(Buffer.compare(there.bytes, up)).to.equal(0);
    expect(Buffer.compare(here.bytes, down)).to.equal(0);
  });

  it('changes no byte of what is sent: nothing that leaves was there before', () => {
    const [poisoned, plain] = [busyNetwork(true, facts), busyNetwork(false, facts)];
    expect(poisoned.frames.length).to.be.greaterThan(300);
    expect(plain.trace).to.equal(poisoned.trace);
  });
});

describe('a poisoned pool', () => {
  it('shows in views that outlive their frame', () => {
    const notation = new PacketNotation();
    const env = environment({ scheduler: new SimulationScheduler(), pool: new FramePool({ poison: true }) });
    const frames = new Subject<RxFrame>();
    const kept: { packet: Ipv4Packet; segment: TcpSegment; source: number; port: number }[] = [];
    const addresses = { accepts: () => 0 as const, refusesSource: () => false };
    frames.pipe(ethernet({ mac: '02:00:00:00:00:01' }, env), ipv4({ addresses }, env)).subscribe((packet) => {
      const segment = new TcpSegment(packet.frame, packet.frame.start);
      kept.push({ packet, segment, source: packet.source, port: segment.destinationPort });
    });
    const frame = notation.build('< S 0:0(0) win 65535 <mss 1460>', '<', env.pool);
    frames.next(asRx(frame));
    frame.release();
    const [view] = kept;
    expect([view?.source, view?.port]).to.not.include(0xdbdb_dbdb).and.not.include(0xdbdb);
    expect([view?.packet.source, view?.segment.destinationPort]).to.deep.equal([0xdbdb_dbdb, 0xdbdb]);
  });
});

describe('padding', () => {
  it('of what a host sends is zero, after whatever it sent before', () => {
    const { frames } = busyNetwork(false);
    const padded = frames.map(paddingOf).filter(({ length }) => length > 0);
    expect(padded.length).to.be.greaterThan(3);
    for (const padding of padded) expect(padding.some((byte) => byte !== 0)).to.equal(false);
  });

  it('of a frame that is answered in place does not come back', () => {
    const notation = new PacketNotation({ local: '10.0.0.2', remote: '10.0.0.9' });
    const outside = new Subject<TxFrame>();
    const answers: Uint8Array[] = [];
    const net = network({
      hosts: { b: '10.0.0.2/24' },
      nodes: {
        x: () => (frames$) => {
          frames$.subscribe((frame) => void answers.push(frame.bytes().slice()));
          return outside;
        },
      },
      links: { lan: { macs: { b: '02:00:00:00:00:01', x: '02:00:00:00:00:02' } } },
    });
    const { pool } = net.hosts.b.env;
    const send = (line: string): void => {
      const frame = notation.build(line, '<', pool);
      const length = frame.length;
      if (length < 100) frame.slab.bytes.fill(MARK, frame.put(100 - length), frame.end);
      outside.next(asTx(frame));
      net.runFor(1);
    };
    send('arp who-has 10.0.0.2 tell 10.0.0.9');
    send('icmp echo_request id 7 seq 1 (1)');
    send('S 0:0(0) win 65535');
    send('udp 53 > 1024 (3)');
    expect(answers.length).to.equal(4);
    for (const bytes of answers) {
      expect(bytes.includes(MARK), Buffer.from(bytes).toString('hex')).to.equal(false);
    }
    net.dispose();
    net.assertIdle();
  });
});
