/** The table of a NAT64 beside a naive one: maps of texts, looked through from end to end. */

import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { Frame, FramePool } from '../../../../lib/core/frame.js';
import { Nat64Machine } from '../../../../lib/l4/nat64/nat64.js';
import { Nat64Prefix } from '../../../../lib/l4/nat64/prefix.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import { type PlainEnds, plainIp, type PlainPacket, plainSegment } from '../../wire/plain-packets.js';
import { isSound } from './rig.js';

const LIFETIME = 300_000;
const PORTS = [2000, 2011] as const;
const POOL = Ipv4Address.parse('9.9.9.9');
const prefix = new Nat64Prefix();
const host = (number: number) => new Ipv6Address(0x2001_0db8, 0, 0, number + 1);
const remote = (number: number) => new Ipv4Address(0x0101_0101 + number);

interface Step {
  readonly kind: 'out' | 'in' | 'wait';
  readonly host: number;
  readonly port: number;
  readonly remote: number;
  readonly remotePort: number;
  readonly time: number;
}

const steps: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('out' as const, 'out' as const, 'in' as const, 'in' as const, 'wait' as const),
  host: fc.nat(3),
  port: fc.integer({ min: 1998, max: 2003 }),
  remote: fc.nat(3),
  remotePort: fc.constantFrom(0, 53, 80),
  time: fc.nat(200_000),
});

/** One session of the naive table. */
interface Session {
  readonly inside: string;
  readonly outside: number;
  readonly remote: number;
  readonly remotePort: number;
  until: number;
}

/** The naive table: RFC 6146 3.5.1, word for word. */
class Naive {
  sessions: Session[] = [];

  at(now: number): void {
    this.sessions = this.sessions.filter(({ until }) => until > now);
  }

  mapped(inside: string): number | undefined {
    return this.sessions.find((one) => one.inside === inside)?.outside;
  }

  get used(): ReadonlySet<number> {
    return new Set(this.sessions.map(({ outside }) => outside));
  }

  use(inside: string, outside: number, { remote, remotePort }: Step, now: number): void {
    const isIt = (one: Session) => one.inside === inside && one.remote === remote && one.remotePort === remotePort;
    const found = this.sessions.find(isIt);
    if (found !== undefined) found.until = now + LIFETIME;
    else this.sessions.push({ inside, outside, remote, remotePort, until: now + LIFETIME });
  }

  /** Whom a packet from that remote address to that port is for. */
  inside(outside: number, from: number): string | undefined {
    return this.sessions.find((one) => one.outside === outside && one.remote === from)?.inside;
  }
}

function packet(ends: PlainEnds): Uint8Array {
  const plain: PlainPacket = { protocol: 'udp', body: new Uint8Array(3), checksum: 'full', options: 0 };
  return plainIp(plain, ends, plainSegment(plain, ends));
}

describe('the table of a NAT64', () => {
  for (const filtering of ['address-dependent', 'endpoint-independent'] as const) {
    it(`maps and lets in as a naive one does (${filtering})`, () => {
      fc.assert(
        fc.property(fc.array(steps, { maxLength: 60 }), (all) => {
          const scheduler = new SimulationScheduler();
          const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
          const machine = new Nat64Machine({ pool: [POOL], ports: PORTS, filtering, capacity: 500 }, env);
          const naive = new Naive();
          const through = (bytes: Uint8Array): DataView | undefined => {
            let out: Uint8Array | undefined;
            const frame = Frame.from(bytes);
            machine.translate(frame, frame.start, (one) => (out = Uint8Array.from(one.bytes())));
            if (out !== undefined) expect(isSound(out)).to.equal(true);
            return out && new DataView(out.buffer);
          };
          for (const step of all) {
            const now = scheduler.now();
            naive.at(now);
            if (step.kind === 'wait') {
              scheduler.runFor(step.time + 0.5);
            } else if (step.kind === 'out') {
              const inside = `${step.host} ${step.port}`;
              const ends = { source: host(step.host), destination: prefix.embed(remote(step.remote)) };
              const out = through(packet({ ...ends, sourcePort: step.port, destinationPort: step.remotePort }));
              const known = naive.mapped(inside);
              if (out === undefined) {
                expect(known).to.equal(undefined);
                expect(naive.used.size).to.equal(PORTS[1] - PORTS[0] + 1);
                continue;
              }
              const outside = out.getUint16(20);
              expect(outside).to.be.within(...PORTS);
              if (known === undefined) expect(naive.used.has(outside)).to.equal(false);
              else expect(outside).to.equal(known);
              naive.use(inside, outside, step, now);
            } else {
              const outside = 2000 + (step.port & 7);
              const ends = { source: remote(step.remote), destination: POOL };
              const out = through(packet({ ...ends, sourcePort: step.remotePort, destinationPort: outside }));
              const anybody = naive.sessions.find((one) => one.outside === outside)?.inside;
              const inside = filtering === 'address-dependent' ? naive.inside(outside, step.remote) : anybody;
              expect(out === undefined).to.equal(inside === undefined);
              if (out === undefined || inside === undefined) continue;
              expect(`${out.getUint32(36) - 1} ${out.getUint16(42)}`).to.equal(inside);
              naive.use(inside, outside, step, now);
            }
          }
          naive.at(scheduler.now());
          expect(machine.list()).to.have.length(naive.used.size);
          expect(machine.list().reduce((sum, { sessions }) => sum + sessions, 0)).to.equal(naive.sessions.length);
          machine.dispose();
          expect(scheduler.pending).to.equal(0);
          expect(env.pool.outstanding).to.equal(0);
        }),
        { numRuns: 200 },
      );
    });
  }

  it('never throws, whatever the bytes', () => {
    const env = environment({ scheduler: new SimulationScheduler(), seed: 1, pool: new FramePool({ poison: true }) });
    const machine = new Nat64Machine({ pool: [POOL], capacity: 50 }, env);
    machine.reply = (reply) => reply.release();
    const noise = fc.tuple(
      fc.boolean(),
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(1, 6, 17, 44, 58, 60),
      fc.nat(79),
      fc.nat(255),
    );
    fc.assert(
      fc.property(noise, ([is4, body, protocol, at, value]) => {
        const ends = is4
          ? { source: remote(1), destination: POOL, sourcePort: 53, destinationPort: 2000 }
          : { source: host(1), destination: prefix.embed(remote(1)), sourcePort: 2000, destinationPort: 53 };
        const bytes = plainIp({ protocol: 'udp', body, checksum: 'full', options: 0 }, ends, body);
        bytes[is4 ? 9 : 6] = protocol;
        if (at < bytes.length) bytes[at] = value;
        const frame = Frame.from(bytes);
        machine.translate(frame, frame.start, (one) => expect((one.bytes()[0] ?? 0) >>> 4).to.be.oneOf([4, 6]));
      }),
      { numRuns: 3000 },
    );
    machine.dispose();
    expect(env.pool.outstanding).to.equal(0);
  });
});
