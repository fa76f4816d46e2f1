import { expect } from 'chai';
import { Ipv4Address, Ipv6Address } from '../../../../lib/core/address.js';
import { UsageError } from '../../../../lib/core/errors.js';
import { Frame, FramePool } from '../../../../lib/core/frame.js';
import { Nat64Machine, type Nat64Options } from '../../../../lib/l4/nat64/nat64.js';
import { Nat64Prefix } from '../../../../lib/l4/nat64/prefix.js';
import { StatefulMapper } from '../../../../lib/l4/nat64/stateful.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import {
  type PlainEnds,
  plainIp,
  type PlainPacket,
  type PlainProtocol,
  plainSegment,
} from '../../wire/plain-packets.js';
import { hex, isSound } from './rig.js';

const MINUTE = 60_000;
const prefix = new Nat64Prefix();
const HOST = Ipv6Address.parse('2001:db8::5');
const OTHER = Ipv6Address.parse('2001:db8::6');
const SERVER = Ipv4Address.parse('198.18.0.1');
/** A global address, which the well-known prefix may stand for. */
const GLOBAL = Ipv4Address.parse('1.1.1.1');
const POOL = '9.9.9.9';

/** A translator in virtual time. */
class World {
  readonly scheduler = new SimulationScheduler();
  readonly env = environment({ scheduler: this.scheduler, seed: 3, pool: new FramePool({ poison: true }) });
  readonly machine: Nat64Machine;
  readonly replies: Uint8Array[] = [];

  constructor(options: Partial<Nat64Options> = {}) {
    this.machine = new Nat64Machine({ pool: [POOL], decrementHopLimit: false, ...options }, this.env);
    this.machine.reply = (packet) => {
      this.replies.push(Uint8Array.from(packet.bytes()));
      packet.release();
    };
  }

  /** What becomes of a packet. */
  all(bytes: Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    const frame = Frame.from(bytes);
    const took = this.machine.translate(frame, frame.start, (one: Frame) => out.push(Uint8Array.from(one.bytes())));
    expect(took).to.equal(true);
    return out;
  }

  one(bytes: Uint8Array): Uint8Array {
    const [only] = this.all(bytes);
    if (only === undefined) throw new Error(`dropped: ${JSON.stringify(this.env.drops)}`);
    expect(isSound(only)).to.equal(true);
    return only;
  }

  dropped(bytes: Uint8Array): string {
    const before = this.env.drops.toJSON();
    expect(this.all(bytes)).to.deep.equal([]);
    return Object.entries(this.env.drops.toJSON()).find(([name, count]) => count !== before[name])?.[0] ?? '';
  }

  /** Ends it; nothing may be left. */
  end(): void {
    this.machine.dispose();
    expect(this.scheduler.pending).to.equal(0);
    expect(this.env.pool.outstanding).to.equal(0);
  }
}

function packet(
  protocol: PlainProtocol,
  ends: PlainEnds,
  flags = 0x10,
  body: Uint8Array = new Uint8Array(8),
): Uint8Array {
  const plain: PlainPacket = { protocol, body, checksum: 'full', options: 0 };
  const segment = plainSegment(plain, ends);
  if (protocol === 'tcp' && flags !== 0x10) {
    segment[13] = flags;
    const sum = ((segment[16] ?? 0) << 8) | (segment[17] ?? 0);
    const fixed = sum - (flags - 0x10);
    segment[16] = ((fixed + 0x1_0000) >>> 8) & 0xff;
    segment[17] = fixed & 0xff;
  }
  return plainIp(plain, ends, segment);
}

const out = (host: Ipv6Address, port: number, to: Ipv4Address = GLOBAL, toPort = 53): PlainEnds => ({
  source: host,
  destination: prefix.embed(to),
  sourcePort: port,
  destinationPort: toPort,
});
const back = (port: number, from: Ipv4Address = GLOBAL, fromPort = 53): PlainEnds => ({
  source: from,
  destination: Ipv4Address.parse(POOL),
  sourcePort: fromPort,
  destinationPort: port,
});
const portOf = (bytes: Uint8Array, offset = 20) => new DataView(bytes.buffer).getUint16(offset);
const [SYN, FIN, RST, ACK] = [0x02, 0x11, 0x04, 0x10];

describe('stateful NAT64', () => {
  for (const protocol of ['udp', 'tcp', 'icmp'] as const) {
    it(`takes ${protocol} to IPv4 and its answer back`, () => {
      const world = new World();
      const request = world.one(packet(protocol, out(HOST, 4000), SYN));
      const port = portOf(request, protocol === 'icmp' ? 24 : 20);
      const expected = packet(
        protocol,
        { ...back(0), source: Ipv4Address.parse(POOL), destination: GLOBAL, sourcePort: port, destinationPort: 53 },
        SYN,
      );
      expect(hex(request.subarray(12))).to.equal(hex(expected.subarray(12)));
      const reply = packet(protocol, { ...back(port), sourcePort: protocol === 'icmp' ? port : 53 }, 0x12);
      if (protocol === 'icmp') {
        reply[20] = 0;
        reply[22] = ((reply[22] ?? 0) + 8) & 0xff;
      }
      const answer = world.one(reply);
      expect(hex(answer.subarray(8, 24))).to.equal(hex(packet('udp', out(HOST, 1)).subarray(24, 40)));
      expect(portOf(answer, protocol === 'icmp' ? 44 : 42)).to.equal(4000);
      world.end();
    });
  }

  it('keeps the port where it is free, and parity and range where not', () => {
    const world = new World();
    expect(portOf(world.one(packet('udp', out(HOST, 4001))))).to.equal(4001);
    for (const [port, host] of [
      [4001, 7],
      [4001, 8],
      [99, 9],
      [99, 10],
    ] as const) {
      const mapped = portOf(world.one(packet('udp', out(new Ipv6Address(HOST.a, 0, 0, host), port))));
      expect(mapped & 1).to.equal(1);
      expect(mapped < 1024).to.equal(port < 1024);
    }
    world.end();
  });

  it('maps a port to the same one, whoever is talked to', () => {
    const world = new World();
    const first = portOf(world.one(packet('udp', out(HOST, 4000))));
    expect(portOf(world.one(packet('udp', out(HOST, 4000, Ipv4Address.parse('8.8.8.8'), 99))))).to.equal(first);
    expect(world.machine.list()).to.have.length(1);
    expect(world.machine.list()[0]).to.deep.include({ protocol: 'udp', sessions: 2 });
    world.end();
  });

  it('lets in who was talked to, from any port, and nobody else, who is told', () => {
    const world = new World();
    world.one(packet('udp', out(HOST, 4000)));
    expect(portOf(world.one(packet('udp', back(4000, GLOBAL, 9999))), 42)).to.equal(4000);
    expect(world.dropped(packet('udp', back(4000, Ipv4Address.parse('8.8.8.8'))))).to.equal('nat-no-mapping');
    expect([...(world.replies[0] ?? new Uint8Array()).subarray(20, 22)]).to.deep.equal([3, 1]);
    expect(world.dropped(packet('udp', back(4001)))).to.equal('nat-no-mapping');
    expect(world.replies).to.have.length(2);
    world.end();
  });

  it('lets anybody in who is to be let in', () => {
    const world = new World({ filtering: 'endpoint-independent' });
    world.one(packet('udp', out(HOST, 4000)));
    expect(world.all(packet('udp', back(4000, Ipv4Address.parse('8.8.8.8'))))).to.have.length(1);
    world.end();
  });

  it('ends sessions of UDP after five minutes, or as it is told, but not before two', () => {
    const world = new World();
    world.one(packet('udp', out(HOST, 4000)));
    world.scheduler.runFor(5 * MINUTE - 1);
    world.one(packet('udp', back(4000)));
    world.scheduler.runFor(5 * MINUTE - 1);
    expect(world.machine.list()).to.have.length(1);
    world.scheduler.runFor(2);
    expect(world.machine.list()).to.deep.equal([]);
    world.end();
    expect(() => new World({ timeouts: { udp: 2 * MINUTE - 1 } }))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('ends queries of ICMP after a minute', () => {
    const world = new World();
    world.one(packet('icmp', out(HOST, 4000)));
    world.scheduler.runFor(MINUTE - 1);
    expect(world.machine.list()).to.have.length(1);
    world.scheduler.runFor(2);
    expect(world.machine.list()).to.deep.equal([]);
    world.end();
  });

  describe('connections of TCP', () => {
    const opened = (): World => {
      const world = new World();
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), SYN));
      world.one(packet('tcp', back(4000, GLOBAL, 80), SYN | ACK));
      return world;
    };
    const lasts = (world: World, time: number): void => {
      world.scheduler.runFor(time - 1);
      expect(world.machine.list()).to.have.length(1);
      world.scheduler.runFor(2);
      expect(world.machine.list()).to.deep.equal([]);
      world.end();
    };

    it('that were not answered end after four minutes', () => {
      const world = new World();
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), SYN));
      lasts(world, 4 * MINUTE);
    });

    it('that are open are probed after two hours and four minutes, and end four minutes later', () => {
      const world = opened();
      world.scheduler.runFor(124 * MINUTE + 1);
      const [probe = new Uint8Array()] = world.replies;
      expect(isSound(probe)).to.equal(true);
      expect([probe.length, probe[40 + 13], portOf(probe, 40), portOf(probe, 42)]).to.deep.equal([60, 0x10, 80, 4000]);
      lasts(world, 4 * MINUTE - 1);
    });

    it('go on if the probe is answered', () => {
      const world = opened();
      world.scheduler.runFor(124 * MINUTE + 1);
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), ACK));
      world.scheduler.runFor(5 * MINUTE);
      lasts(world, 123 * MINUTE);
    });

    it('that both sides have finished end after four minutes', () => {
      const world = opened();
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), FIN));
      world.scheduler.runFor(10 * MINUTE);
      world.one(packet('tcp', back(4000, GLOBAL, 80), FIN));
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), ACK));
      lasts(world, 4 * MINUTE);
    });

    it('that were reset end after four minutes, unless they go on', () => {
      const world = opened();
      world.one(packet('tcp', back(4000, GLOBAL, 80), RST));
      world.scheduler.runFor(3 * MINUTE);
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), ACK));
      world.scheduler.runFor(10 * MINUTE);
      expect(world.machine.list()).to.have.length(1);
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), RST));
      lasts(world, 4 * MINUTE);
    });

    it('do not begin in their middle', () => {
      const world = new World();
      expect(world.dropped(packet('tcp', out(HOST, 4000, GLOBAL, 80), ACK))).to.equal('nat-no-mapping');
      expect(world.dropped(packet('tcp', back(4000, GLOBAL, 80), ACK))).to.equal('nat-no-mapping');
      expect(world.replies).to.deep.equal([]);
      world.end();
    });

    it('that IPv4 opens unasked are refused after six seconds', () => {
      const world = new World();
      expect(world.dropped(packet('tcp', back(4000, GLOBAL, 80), SYN))).to.equal('nat-no-mapping');
      world.scheduler.runFor(5999);
      expect(world.replies).to.deep.equal([]);
      world.scheduler.runFor(2);
      expect([...(world.replies[0] ?? new Uint8Array()).subarray(20, 22)]).to.deep.equal([3, 3]);
      world.end();
    });

    it('may be opened from both sides at once: no refusal then', () => {
      const world = new World();
      expect(world.dropped(packet('tcp', back(4000, GLOBAL, 80), SYN))).to.equal('nat-no-mapping');
      world.scheduler.runFor(3000);
      world.one(packet('tcp', out(HOST, 4000, GLOBAL, 80), SYN));
      world.one(packet('tcp', back(4000, GLOBAL, 80), SYN));
      world.scheduler.runFor(10_000);
      expect(world.replies).to.deep.equal([]);
      world.end();
    });

    it('come in to a forwarded port', () => {
      const to = { address: HOST, port: 8080 };
      const world = new World({ forwards: [{ protocol: 'tcp', port: 80, to }] });
      const syn = world.one(packet('tcp', back(80, GLOBAL, 5555), SYN));
      expect([portOf(syn, 40), portOf(syn, 42)]).to.deep.equal([5555, 8080]);
      const answer = world.one(packet('tcp', out(HOST, 8080, GLOBAL, 5555), SYN | ACK));
      expect([portOf(answer, 20), portOf(answer, 22)]).to.deep.equal([80, 5555]);
      world.scheduler.runFor(300 * MINUTE);
      expect(world.machine.list()).to.have.length(1);
      world.end();
    });
  });

  it('has as many mappings as there are ports, tells who gets none, and has room again when one ends', () => {
    const world = new World({ ports: [2000, 2009] });
    for (let port = 1; port <= 10; port++) world.one(packet('udp', out(HOST, 5000 + port)));
    expect(world.dropped(packet('udp', out(HOST, 6000)))).to.equal('nat-no-port');
    expect([...(world.replies[0] ?? new Uint8Array()).subarray(40, 42)]).to.deep.equal([1, 3]);
    expect(world.all(packet('tcp', out(HOST, 6000), SYN))).to.have.length(1);
    world.scheduler.runFor(6 * MINUTE);
    world.one(packet('udp', out(HOST, 6000)));
    world.end();
  });

  it('gives up a connection that never opened for a new session, and otherwise refuses it', () => {
    const world = new World({ capacity: 2, filtering: 'endpoint-independent' });
    world.one(packet('tcp', out(HOST, 1111), SYN));
    world.one(packet('udp', out(HOST, 2222)));
    world.one(packet('udp', out(HOST, 3333)));
    expect(world.machine.list().map(({ protocol }) => protocol)).to.deep.equal(['udp', 'udp']);
    expect(world.dropped(packet('udp', out(HOST, 4444)))).to.equal('conntrack-full');
    expect(world.machine.list()).to.have.length(2);
    world.end();
  });

  it('gives up what came to a forwarded port of UDP and was not answered for what is new, and never what was', () => {
    const forwards = [{ protocol: 'udp', port: 53, to: { address: HOST, port: 53 } }] as const;
    const world = new World({ capacity: 4, forwards });
    const ask = (port: number) => world.one(packet('udp', back(53, GLOBAL, port)));
    ask(1000);
    world.one(packet('udp', out(HOST, 53, GLOBAL, 1000)));
    for (let port = 1; port <= 10; port++) ask(port);
    for (let port = 4000; port < 4003; port++) world.one(packet('udp', out(OTHER, port)));
    ask(1000);
    expect(world.dropped(packet('udp', out(OTHER, 4003)))).to.equal('conntrack-full');
    world.scheduler.runFor(4 * MINUTE);
    ask(1000);
    world.scheduler.runFor(4 * MINUTE);
    expect(world.machine.list().map(({ sessions }) => sessions)).to.deep.equal([2]);
    world.end();
  });

  it('has no more sessions than it is to have, and lets in the answers to all of them', () => {
    const world = new World({ capacity: 4 });
    const others = [Ipv4Address.parse('8.8.8.8'), Ipv4Address.parse('8.8.4.4')];
    const remotes = [1, 2, 3, 4, 5, 6].map((port) => [GLOBAL, port] as const);
    for (const full of [remotes, [[others[0], 7] as const, [others[1], 8] as const]].flat()) {
      const [remote = GLOBAL, port] = full;
      if (world.all(packet('udp', out(HOST, 4000, remote, port))).length > 0) {
        expect(world.all(packet('udp', back(4000, remote, port)))).to.have.length(1);
      }
    }
    expect(world.machine.list()[0]?.sessions).to.equal(4);
    expect(world.env.drops.toJSON()).to.deep.equal({ 'conntrack-full': 4 });
    world.scheduler.runFor(6 * MINUTE);
    for (const remote of [GLOBAL, ...others]) {
      world.one(packet('udp', out(HOST, 4000, remote)));
      world.one(packet('udp', back(4000, remote)));
    }
    world.end();
  });

  it('brings hosts behind it together (hairpinning)', () => {
    const world = new World();
    expect(world.dropped(packet('udp', out(OTHER, 7000, Ipv4Address.parse(POOL), 6000)))).to.equal('nat-no-mapping');
    world.one(packet('udp', out(HOST, 6000, Ipv4Address.parse(POOL), 7000)));
    const turned = world.one(packet('udp', out(OTHER, 7000, Ipv4Address.parse(POOL), 6000)));
    expect(hex(turned.subarray(0, 40))).to.equal(
      hex(
        packet('udp', {
          source: prefix.embed(Ipv4Address.parse(POOL)),
          destination: HOST,
          sourcePort: 7000,
          destinationPort: 6000,
        }).subarray(0, 40),
      ),
    );
    expect([portOf(turned, 40), portOf(turned, 42)]).to.deep.equal([7000, 6000]);
    world.end();
  });

  it('translates later fragments as the first one, in either direction', () => {
    const world = new World();
    const plain: PlainPacket = { protocol: 'udp', body: new Uint8Array(40), checksum: 'full', options: 0 };
    const ends = out(HOST, 4000);
    const segment = plainSegment(plain, ends);
    const late = plainIp(plain, ends, segment.subarray(24), 3);
    world.all(plainIp(plain, ends, segment.subarray(0, 24), 0x2000));
    const [piece = new Uint8Array()] = world.all(late);
    expect([...piece.subarray(12, 20)]).to.deep.equal([9, 9, 9, 9, 1, 1, 1, 1]);
    expect(hex(piece.subarray(20))).to.equal(hex(segment.subarray(24)));
    const reply = plainSegment(plain, back(4000));
    world.all(plainIp(plain, back(4000), reply.subarray(0, 24), 0x2000));
    expect(world.all(plainIp(plain, back(4000), reply.subarray(24), 3))).to.have.length(1);
    world.end();
  });

  it('keeps fragments that come before the first one, but not for long, and not many', () => {
    const world = new World();
    const plain: PlainPacket = { protocol: 'udp', body: new Uint8Array(40), checksum: 'full', options: 0 };
    const ends = out(HOST, 4000);
    const segment = plainSegment(plain, ends);
    const first = plainIp(plain, ends, segment.subarray(0, 16), 0x2000);
    const [middle, last] = [
      plainIp(plain, ends, segment.subarray(16, 32), 0x2002),
      plainIp(plain, ends, segment.subarray(32), 4),
    ];
    expect([...world.all(Uint8Array.from(last)), ...world.all(Uint8Array.from(middle))]).to.deep.equal([]);
    world.scheduler.runFor(1999);
    const offsets = world.all(first).map((bytes) => new DataView(bytes.buffer).getUint16(6));
    expect(offsets).to.deep.equal([0x2000, 4, 0x2002]);
    expect(world.env.pool.outstanding).to.equal(0);
    const stray = plainIp(plain, out(OTHER, 4000), segment.subarray(32), 4);
    for (let i = 0; i < 64; i++) expect(world.all(Uint8Array.from(stray))).to.deep.equal([]);
    expect(world.dropped(Uint8Array.from(stray))).to.equal('fragment-memory');
    world.scheduler.runFor(2001);
    expect(world.env.drops.toJSON()['fragment-timeout']).to.equal(64);
    world.end();
  });

  it('translates ICMP errors by the mapping of the packet that they quote', () => {
    const world = new World();
    const request = world.one(packet('udp', out(HOST, 4000)));
    const plain: PlainPacket = { protocol: 'icmp-error', body: request, checksum: 'full', options: 0 };
    const ends = back(0, Ipv4Address.parse('8.8.4.4'));
    const error = world.one(plainIp(plain, ends, plainSegment(plain, ends)));
    expect(error[40]).to.equal(3);
    const quoted = error.subarray(48);
    expect(hex(quoted.subarray(8))).to.equal(hex(packet('udp', out(HOST, 4000)).subarray(8)));
    const stranger: PlainPacket = {
      ...plain,
      body: packet('udp', {
        ...back(0),
        source: Ipv4Address.parse(POOL),
        destination: GLOBAL,
        sourcePort: 1,
        destinationPort: 2,
      }),
    };
    expect(world.dropped(plainIp(stranger, ends, plainSegment(stranger, ends)))).to.equal('nat-bad-quote');

    const answer = world.one(packet('udp', back(4000)));
    const refused: PlainPacket = { ...plain, body: answer };
    const ends6 = out(OTHER, 0);
    const told = world.one(plainIp(refused, ends6, plainSegment(refused, ends6)));
    expect([...told.subarray(12, 20)]).to.deep.equal([9, 9, 9, 9, 1, 1, 1, 1]);
    expect(hex(told.subarray(28 + 12))).to.equal(hex(packet('udp', back(4000)).subarray(12)));
    world.end();
  });

  it('gives an error no fragment header because the packet before was cut', () => {
    const world = new World();
    const request = world.one(packet('udp', out(HOST, 4000)));
    expect(world.all(packet('udp', back(4000), 0x10, new Uint8Array(1400)))).to.have.length(2);
    const plain: PlainPacket = { protocol: 'icmp-error', body: request, checksum: 'full', options: 0 };
    const ends = back(0, Ipv4Address.parse('8.8.4.4'));
    expect(world.one(plainIp(plain, ends, plainSegment(plain, ends)))[6]).to.equal(58);
    world.end();
  });

  it('refuses private addresses behind the well-known prefix, unless they are allowed, and sources behind the prefix', () => {
    const world = new World();
    expect(world.dropped(packet('udp', out(HOST, 4000, SERVER)))).to.equal('translate-impossible');
    expect(world.dropped(packet('udp', out(prefix.embed(GLOBAL), 4000)))).to.equal('translate-impossible');
    world.end();
    const open = new World({ allowPrivate: true });
    expect(open.all(packet('udp', out(HOST, 4000, SERVER)))).to.have.length(1);
    open.end();
  });

  it('translates nothing but TCP, UDP and ICMP', () => {
    const world = new World();
    expect(world.dropped(packet('dccp', out(HOST, 4000)))).to.equal('nat-unsupported');
    world.end();
  });

  it('refuses options that cannot work', () => {
    const env = environment({ seed: 1 });
    const to = { address: HOST, port: 80 };
    for (const wrong of [
      { pool: [] },
      { pool: ['fd00::1'] },
      { pool: ['9.9.9.9', '9.9.9.9'] },
      { pool: ['10.0.0.0/8'] },
      { ports: [0, 10] as const },
      { ports: [10, 9] as const },
      { capacity: 0 },
      { prefix: '10.0.0.0/8' },
      { forwards: [{ protocol: 'tcp' as const, port: 0, to }] },
      {
        forwards: [
          { protocol: 'tcp' as const, port: 1, to },
          { protocol: 'tcp' as const, port: 1, to },
        ],
      },
      { forwards: [{ protocol: 'tcp' as const, port: 1, to, address: '8.8.8.8' }] },
    ]) {
      expect(() => new StatefulMapper({ pool: [POOL], ...wrong }, env), JSON.stringify(wrong)).to.throw(UsageError);
    }
  });
});
