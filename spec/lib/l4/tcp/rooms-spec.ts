import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address, type IpAddress } from '../../../../lib/core/address.js';
import { Frame, FramePool } from '../../../../lib/core/frame.js';
import { SeededRandom } from '../../../../lib/core/random.js';
import type { TcpState } from '../../../../lib/l4/tcp/api.js';
import type { Connection } from '../../../../lib/l4/tcp/connection.js';
import { ConnectionTable } from '../../../../lib/l4/tcp/demux.js';
import { SipHash } from '../../../../lib/core/hash.js';
import { tcpConfig, windowScaleFor } from '../../../../lib/l4/tcp/options.js';
import { Reassembly } from '../../../../lib/l4/tcp/reassembly.js';
import { ReceiveQueue } from '../../../../lib/l4/tcp/receive-queue.js';
import { RttEstimator } from '../../../../lib/l4/tcp/rto.js';
import { Recycler } from '../../../../lib/l4/tcp/recycler.js';
import { copyBlocks, SendQueue } from '../../../../lib/l4/tcp/send-queue.js';
import { Delivery } from '../../../../lib/l4/tcp/delivery.js';
import { SentQueue } from '../../../../lib/l4/tcp/sent-queue.js';
import { SentSegmentPool } from '../../../../lib/l4/tcp/sent-segment.js';
import { after, before, latest } from '../../../../lib/l4/tcp/seq.js';
import { type TcpEvent, transition } from '../../../../lib/l4/tcp/state.js';
import type { IpPacket } from '../../../../lib/wire/ip.js';
import { TcpOptions } from '../../../../lib/wire/tcp-options.js';
import { pattern } from './pair.js';

describe('TCP sequence numbers', () => {
  it('compare modulo 2^32', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 0x7fff_ffff }), (a, n) => {
        const b = (a + n) | 0;
        return before(a, b) && after(b, a) && !before(b, a) && !after(a, b) && latest(a, b) === b && latest(b, a) === b;
      }),
    );
  });
});

describe('SipHash-2-4', () => {
  // The reference vectors of its authors: key 00..0f, message 00, 01, ...
  const key = Uint32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c);
  const message = Uint32Array.of(0x03020100, 0x07060504);
  for (const inScript of [false, true]) {
    for (const [words, high, low] of [
      [0, 0x726fdb47, 0xdd0e0e31],
      [1, 0xcf2794e0, 0x277187b7],
      [2, 0x93f5f579, 0x9a932462],
    ] as const) {
      it(`agrees with the reference for ${words * 4} bytes, ${inScript ? 'in script' : 'in the arena'}`, () => {
        const hash = new SipHash(key, inScript);
        expect(hash.high(message, words).toString(16)).to.equal(high.toString(16));
        expect(hash.low(message, words).toString(16)).to.equal(low.toString(16));
      });
    }
  }

  it('is the same in script and in the arena, whatever the key and however long the message', () => {
    const words = (length: fc.ArrayConstraints) => fc.array(fc.nat(0xffff_ffff), length);
    const four = { minLength: 4, maxLength: 4 };
    fc.assert(
      fc.property(words(four), words({ maxLength: 70 }), (secret, text) => {
        const own = Uint32Array.from(secret);
        const [fast, slow] = [new SipHash(own), new SipHash(own, true)];
        const said = Uint32Array.from(text);
        expect(fast.low(said, text.length)).to.equal(slow.low(said, text.length));
        expect(fast.rest).to.equal(slow.rest);
      }),
    );
  });
});

describe('TCP state table (figure 5 of RFC 9293)', () => {
  const rows: readonly [TcpState, TcpEvent, TcpState][] = [
    ['CLOSED', 'active-open', 'SYN-SENT'],
    ['CLOSED', 'passive-open', 'LISTEN'],
    ['LISTEN', 'syn', 'SYN-RECEIVED'],
    ['SYN-SENT', 'syn', 'SYN-RECEIVED'],
    ['SYN-SENT', 'syn-ack', 'ESTABLISHED'],
    ['SYN-RECEIVED', 'ack-of-syn', 'ESTABLISHED'],
    ['ESTABLISHED', 'close', 'FIN-WAIT-1'],
    ['ESTABLISHED', 'fin', 'CLOSE-WAIT'],
    ['FIN-WAIT-1', 'ack-of-fin', 'FIN-WAIT-2'],
    ['FIN-WAIT-1', 'fin', 'CLOSING'],
    ['FIN-WAIT-2', 'fin', 'TIME-WAIT'],
    ['CLOSING', 'ack-of-fin', 'TIME-WAIT'],
    ['CLOSE-WAIT', 'close', 'LAST-ACK'],
    ['LAST-ACK', 'ack-of-fin', 'CLOSED'],
    ['TIME-WAIT', 'timeout', 'CLOSED'],
    ['LISTEN', 'close', 'CLOSED'],
  ];
  const states = [...new Set(rows.flatMap(([from, , to]) => [from, to]))];
  const events = [...new Set(rows.map(([, event]) => event))];

  it('has these transitions, RST from anywhere, and no other', () => {
    for (const state of states) {
      expect(transition(state, 'abort')).to.equal('CLOSED');
      for (const event of events) {
        const row = rows.find(([from, what]) => from === state && what === event);
        expect(transition(state, event), `${state}, ${event}`).to.equal(row?.[2] ?? state);
      }
    }
  });
});

describe('TCP send queue', () => {
  it('gives any part of what was written and not consumed', () => {
    const pool = new FramePool({ poison: true });
    const operations = fc.array(
      fc.oneof(
        fc.record({ push: fc.integer({ min: 0, max: 60 }) }),
        fc.record({ copy: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1000, max: 3000 })) }),
        fc.record({ consume: fc.float({ min: 0, max: 1, noNaN: true }) }),
      ),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(operations, fc.integer(), (steps, seed) => {
        const random = new SeededRandom(seed);
        const queue = new SendQueue(copyBlocks());
        let model: number[] = [];
        // Behind which bytes an end is pushed.
        let pushes: boolean[] = [];
        const wrote = (bytes: Uint8Array, pushed: boolean) => {
          model.push(...bytes);
          bytes.forEach((_, i) => pushes.push(pushed && i === bytes.length - 1));
        };
        for (const step of steps) {
          const pushed = random.below(2) === 0;
          if (random.below(8) === 0) {
            queue.unpush();
            if (pushes.length > 0) pushes[pushes.length - 1] = false;
          }
          if ('push' in step) {
            const bytes = pattern(step.push, random.uint32());
            const from = random.below(bytes.length + 1);
            queue.push(bytes, from, bytes.length, pushed);
            wrote(bytes.subarray(from), pushed);
          } else if ('copy' in step) {
            const bytes = pattern(step.copy + 2, random.uint32());
            queue.pushCopy(bytes, 1, bytes.length - 1, pushed, pool);
            wrote(bytes.subarray(1, -1), pushed);
            bytes.fill(0);
          } else {
            const count = Math.floor(step.consume * model.length);
            queue.consume(count);
            model = model.slice(count);
            pushes = pushes.slice(count);
          }
          const from = random.below(model.length + 1);
          const count = random.below(model.length - from + 1);
          const target = new Uint8Array(count + 2);
          expect(queue.copy(from, count, target, 1)).to.equal(pushes.slice(from, from + count).includes(true));
          expect([...target]).to.deep.equal([0, ...model.slice(from, from + count), 0]);
          expect(queue.length).to.equal(model.length);
          if (model.length === 0) expect(pool.outstanding).to.equal(0);
        }
        queue.clear();
        expect(pool.outstanding).to.equal(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe('TCP send queue of large copies', () => {
  it('gives what was written, from blocks that are used again', () => {
    const random = new SeededRandom(7);
    let made = 0;
    const blocks = new Recycler(() => {
      made++;
      return new Uint8Array(65_536);
    });
    const pool = new FramePool();
    const queues = [new SendQueue(blocks), new SendQueue(blocks)];
    const models = queues.map(() => ({ bytes: Buffer.alloc(0), ends: [] as number[] }));
    for (let i = 0; i < 400; i++) {
      const at = random.below(2);
      const [queue, model] = [queues[at], models[at]];
      if (queue === undefined || model === undefined) break;
      const bytes = Buffer.alloc(2000 + random.below(200_000), `${i} `);
      while (model.bytes.length + bytes.length > 400_000) {
        const count = random.below(queue.length + 1);
        queue.consume(count);
        model.bytes = model.bytes.subarray(count);
        model.ends = model.ends.map((end) => end - count).filter((end) => end > 0);
      }
      queue.pushCopy(bytes, 1, bytes.length, true, pool);
      model.bytes = Buffer.concat([model.bytes, bytes.subarray(1)]);
      model.ends.push(model.bytes.length);
      bytes.fill(0);
      const from = random.below(model.bytes.length);
      const count = random.below(model.bytes.length - from + 1);
      const target = Buffer.alloc(count);
      const isPushed = model.ends.some((end) => end > from && end <= from + count);
      expect(queue.copy(from, count, target, 0)).to.equal(isPushed);
      expect(target.equals(model.bytes.subarray(from, from + count))).to.equal(true);
      expect(queue.length).to.equal(model.bytes.length);
    }
    for (const queue of queues) queue.clear();
    // Each holds more than half a block's worth, but where the front is used up; all that were made have come back.
    expect(made).to.be.below(30);
    const back = new Set(Array.from({ length: made }, () => blocks.take()));
    expect([back.size, made]).to.deep.equal([made, made]);
    expect(pool.outstanding).to.equal(0);
  });
});

describe('TCP send queue of very many pieces', () => {
  it('goes on where they are used up at the front', () => {
    const queue = new SendQueue(copyBlocks());
    const count = 300_000;
    const bytes = pattern(count);
    for (let i = 0; i < count; i++) queue.push(bytes, i, i + 1, false);
    const target = new Uint8Array(1000);
    for (let at = 0; at < count; at += 1000) {
      queue.copy(0, 1000, target, 0);
      expect(Buffer.compare(target, bytes.subarray(at, at + 1000))).to.equal(0);
      queue.consume(1000);
    }
    expect(queue.length).to.equal(0);
  });
});

describe('TCP reassembly', () => {
  it('gives the bytes in order whatever the order, overlap and repetition of their arrival', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (seed, base) => {
        const random = new SeededRandom(seed);
        const data = pattern(400, seed);
        const room = new Reassembly(100_000);
        const queue = new ReceiveQueue();
        let next = base;
        const end = (base + data.length) | 0;
        const options = new TcpOptions();
        const held = new Set<number>();
        for (let i = 0; next !== end; i++) {
          const from = i > 500 ? (next - base) | 0 : random.below(data.length);
          const to = Math.min(data.length, from + 1 + random.below(30));
          const seq = (base + from) | 0;
          if (after(seq, next)) room.insert(seq, data, from, to);
          else if (after((base + to) | 0, next)) {
            queue.append(data, (next - base) | 0, to);
            next = room.drain((base + to) | 0, queue);
          }
          for (let at = from; at < to; at++) held.add(at);
          // Every block of the SACK option is data that were received, above what is acknowledged.
          options.clear();
          room.blocks(options, 4);
          for (let b = 0; b < options.sackCount; b++) {
            const left = ((options.sackBlocks[2 * b] ?? 0) - base) | 0;
            const right = ((options.sackBlocks[2 * b + 1] ?? 0) - base) | 0;
            expect(left).to.be.lessThan(right);
            for (let at = left; at < right; at++)
              if (!held.has(at)) expect.fail(`block with byte ${at}, never received`);
          }
        }
        const read: number[] = [];
        for (let chunk = queue.read(1 + random.below(50)); chunk; chunk = queue.read(1 + random.below(50))) {
          read.push(...chunk);
        }
        expect(read).to.deep.equal([...data]);
        expect([room.length, room.empty, queue.length]).to.deep.equal([0, true, 0]);
      }),
      { numRuns: 60 },
    );
  });

  it('has a bound on its pieces', () => {
    const room = new Reassembly(1000);
    let held = 0;
    for (let i = 0; i < 5000; i += 2) if (room.insert(i, new Uint8Array(1), 0, 1)) held++;
    expect(held).to.equal(64);
    expect(room.length).to.equal(64);
  });
});

describe('TCP retransmission queue', () => {
  it('keeps the pipe equal to what is neither acknowledged nor lost, and what was sent again', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const queue = new SentQueue(new SentSegmentPool());
        let una = random.uint32() | 0;
        let next = una;
        for (let i = 0; i < 200; i++) {
          const action = random.below(5);
          if (action <= 1) {
            const end = (next + 1 + random.below(1000)) | 0;
            queue.push(next, end, false, i);
            next = end;
          } else if (action === 2) {
            una = (una + random.below(((next - una) | 0) + 1)) | 0;
            queue.acknowledge(una, new Delivery());
          } else if (action === 3) {
            if (random.below(4) === 0) queue.markAllLost();
            else if (queue.head !== undefined) queue.markLost(queue.head);
          } else {
            const lost = queue.firstLost();
            if (lost !== undefined && lost.span > 10) queue.split(lost, 5);
            else if (lost?.next?.due === true) queue.merge(lost);
            if (lost !== undefined) queue.resent(lost, i);
          }
          let pipe = 0;
          let at = una;
          for (let segment = queue.head; segment !== undefined; segment = segment.next) {
            expect(segment.seq).to.equal(at);
            at = segment.end;
            if (!segment.lost) pipe += segment.span;
            if (segment.retransmitted) pipe += segment.span;
          }
          expect(at).to.equal(next);
          expect(queue.pipe).to.equal(pipe);
        }
      }),
      { numRuns: 60 },
    );
  });
});

const START = { una: 1, nxt: 1 };

describe('TCP retransmission timeout', () => {
  it('follows RFC 6298 (6298-1, 6298-2, 6298-3, SM-20)', () => {
    const rtt = new RttEstimator(tcpConfig({ minRto: 1 }));
    expect(rtt.rto).to.equal(1000);
    rtt.sample(100, 1, START);
    expect([rtt.srtt, rtt.rttvar, rtt.rto]).to.deep.equal([100, 50, 300]);
    rtt.sample(200, 1, START);
    // RTTVAR first, with the old SRTT.
    expect([rtt.srtt, rtt.rttvar, rtt.rto]).to.deep.equal([112.5, 62.5, 362.5]);
    rtt.backOff();
    rtt.backOff();
    expect(rtt.rto).to.equal(1450);
    for (let i = 0; i < 100; i++) rtt.backOff();
    expect(rtt.rto).to.equal(120_000);
    rtt.sample(100, 1, START);
    expect(rtt.rto).to.be.lessThan(400);
    expect(new RttEstimator(tcpConfig({})).rto).to.equal(1000);
  });

  it('may cover the largest deviation of late, which falls slowly (6298-2)', () => {
    const rtt = new RttEstimator(tcpConfig({ peakVariation: true }));
    rtt.sample(200, 5, { una: 1, nxt: 1 });
    expect([rtt.srtt, rtt.rttvar, rtt.rto]).to.deep.equal([200, 100, 600]);
    // The same again in two more round trips: first the beginning is forgotten, then a quarter of what is too much.
    rtt.sample(200, 5, { una: 1001, nxt: 2001 });
    expect([rtt.rttvar, rtt.rto]).to.deep.equal([75, 600]);
    rtt.sample(200, 5, { una: 3001, nxt: 4001 });
    expect([rtt.rttvar, rtt.rto]).to.deep.equal([56.25, 556.25]);
    // A faster path is no sign of variation; a slower one is, at once.
    rtt.sample(100, 5, { una: 3001, nxt: 4001 });
    expect([rtt.srtt, rtt.rto]).to.deep.equal([187.5, 543.75]);
    rtt.sample(587.5, 5, { una: 3001, nxt: 4001 });
    expect(rtt.rto - rtt.srtt).to.be.greaterThan(500);
  });
});

describe('TCP window scale', () => {
  it('covers the buffer', () => {
    expect([1, 65_535, 65_536, 1 << 20, 1 << 30].map(windowScaleFor)).to.deep.equal([0, 0, 1, 5, 14]);
  });
});

describe('TCP connection table', () => {
  const address = (n: number): IpAddress =>
    n % 3 === 0 ? new Ipv6Address(1, n, 3, n) : new Ipv4Address(0x0a00_0000 + n);

  function packetTo(local: IpAddress, remote: IpAddress): IpPacket {
    const frame = Frame.from(new Uint8Array(32));
    // Side by side, as in the headers.
    const length = remote.write(frame.slab.view, frame.start);
    local.write(frame.slab.view, frame.start + length);
    const offsets = { sourceOffset: frame.start, destinationOffset: frame.start + length };
    return { version: local.version, frame, ...offsets } as unknown as IpPacket;
  }

  it('finds what is in it and nothing else, for both versions, while it grows and shrinks', () => {
    const random = new SeededRandom(9);
    const table = new ConnectionTable(random);
    const model = new Map<string, Connection>();
    for (let i = 0; i < 6000; i++) {
      const n = random.below(40);
      const local = { address: address(n), port: 1 + random.below(3) };
      const remote = { address: address(n + 3 * random.below(12)), port: 1 + random.below(5) };
      const name = [local.address.toString(), local.port, remote.address.toString(), remote.port].join(' ');
      const there = model.get(name);
      const packet = packetTo(local.address, remote.address);
      expect(table.find(packet, local.port, remote.port)).to.equal(there);
      // The same again is found without a search.
      expect(table.find(packet, local.port, remote.port)).to.equal(there);
      expect(table.get(local.address, local.port, remote.address, remote.port)).to.equal(there);
      const growing = Math.floor(i / 1500) % 2 === 0;
      if (there === undefined && (growing || random.below(4) === 0)) {
        const connection = { local, remote } as unknown as Connection;
        table.insert(connection);
        model.set(name, connection);
      } else if (there !== undefined && (!growing || random.below(4) === 0)) {
        table.remove(there);
        model.delete(name);
      }
      expect(table.size).to.equal(model.size);
    }
    const left = new Set(model.values());
    for (const connection of table) expect(left.delete(connection)).to.equal(true);
    expect(left.size).to.equal(0);
  });

  it('finds those that are left when most of many have gone', () => {
    const table = new ConnectionTable(new SeededRandom(11));
    const all = Array.from({ length: 12_000 }, (_, i) => {
      const local = { address: address(i & 1), port: 1 + (i % 7) };
      const remote = { address: address(i & 1), port: 1 + i };
      return { local, remote } as unknown as Connection;
    });
    const find = ({ local, remote }: Connection) => table.get(local.address, local.port, remote.address, remote.port);
    for (const connection of all) table.insert(connection);
    for (const [i, connection] of all.entries()) if (i % 100 > 1) table.remove(connection);
    expect(table.size).to.equal(240);
    for (const [i, connection] of all.entries())
      expect(find(connection)).to.equal(i % 100 > 1 ? undefined : connection);
    for (const [i, connection] of all.entries()) if (i % 100 > 1) table.insert(connection);
    for (const connection of all) expect(find(connection)).to.equal(connection);
  });
});
