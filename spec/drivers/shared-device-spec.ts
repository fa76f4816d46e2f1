import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { expect } from 'chai';
import { link } from '../../drivers/link.js';
import { addCounters } from '../../drivers/parallel/counters.js';
import { onTheWayBetween } from '../../drivers/parallel/exchange.js';
import { SharedDevice } from '../../drivers/parallel/shared-device.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, type Frame, FramePool } from '../../lib/core/frame.js';
import { PacketNotation } from '../../lib/text/notation.js';
import { IpProtocol } from '../../lib/wire/ip.js';
import { IPV6_HEADER } from '../../lib/wire/ipv6.js';
import { FACTS, forBothVersions, type VersionFacts } from '../both-versions.js';
import { environment } from '../../operators/time/environment.js';

/** Two workers, in one thread: each with a queue, its wire, and what came out of its device. */
class Rig {
  readonly env: Env = environment({ pool: new FramePool({ poison: true }) });
  readonly devices: readonly SharedDevice[];
  readonly came: readonly string[][] = [[], []];
  private readonly wires: readonly Device[];
  private readonly notation: PacketNotation;

  constructor({ a, b }: Pick<VersionFacts, 'a' | 'b'> = FACTS[4]) {
    this.notation = new PacketNotation({ local: a.toString(), remote: b.toString(), linkType: 'ip' });
    const { port1, port2 } = new MessageChannel();
    const onTheWay = onTheWayBetween(2);
    const links = [0, 1].map(() => link({ medium: 'ip', mtu: 65_535, defer: queueMicrotask }, this.env));
    this.wires = links.map(({ ends }) => ends[1]);
    this.devices = links.map(({ ends }, index) => {
      const ports = index === 0 ? [undefined, port1] : [port2, undefined];
      return new SharedDevice(ends[0], { index, of: 2, secret: 7 }, { index, ports, onTheWay }, this.env);
    });
    this.devices.forEach((device, index) => {
      device.frames$.subscribe((frame) => {
        expect(frame.device).to.equal(device);
        this.came[index]?.push(this.notation.format(frame, '<'));
        this.env.drops.deliver(frame);
      });
    });
  }

  /** A packet; with padding where the text ends with `...`. */
  build(text: string): Frame {
    const built = this.notation.build(text.replace('...', ''));
    const frame = this.env.pool.alloc(built.length);
    frame.slab.bytes.set(built.bytes(), frame.put(built.length));
    if (text.endsWith('...')) frame.pad(built.length + 16);
    return frame;
  }

  /** Lets packets come in at the queue of a worker, and waits until all is quiet. */
  async receive(index: number, ...packets: readonly (string | Frame)[]): Promise<void> {
    for (const packet of packets) {
      this.wires[index]?.sink.next(asTx(typeof packet === 'string' ? this.build(packet) : packet));
    }
    for (let i = 0; i < 5; i++) await turn();
  }

  async close(): Promise<void> {
    for (const device of [...this.devices, ...this.wires]) await device.close();
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
  }
}

const FIRST = '< udp 53 > 60001 (2960) frag 0:1480+ ipid 9';
const LAST = '< udp 53 > 60001 (2960) frag 1480:2960 ipid 9';

describe('a device that workers share', () => {
  let rig: Rig;
  beforeEach(() => (rig = new Rig()));
  afterEach(() => rig.close());

  it('keeps what is for its own worker, and passes on what is for another', async () => {
    await rig.receive(0, '< udp 53 > 60000 (12)', '< udp 53 > 60001 (13)');
    await rig.receive(1, '< udp 53 > 60000 (14)', '< udp 53 > 60001 (15)');
    const lengths = rig.came.map((lines) => lines.map((line) => /\((\d+)\)/.exec(line)?.[1]));
    expect(lengths).to.deep.equal([
      ['12', '14'],
      ['13', '15'],
    ]);
    expect(rig.devices.map(({ stats }) => stats)).to.deep.equal([
      { received: 2, passedOn: 1, taken: 1 },
      { received: 2, passedOn: 1, taken: 1 },
    ]);
  });

  it('brings the fragments of a packet to one worker, in whichever order and at whichever queues they come', async () => {
    await rig.receive(1, LAST);
    expect(rig.came).to.deep.equal([[], []]);
    await rig.receive(0, FIRST);
    expect(rig.came[0]).to.deep.equal([]);
    expect(rig.came[1]).to.have.length(2);
    await rig.receive(0, FIRST);
    await rig.receive(1, LAST);
    expect(rig.came[1]).to.have.length(4);
  });

  it('gives back the fragments that wait for ever for a first one', async () => {
    await rig.receive(0, LAST);
    expect(rig.env.pool.outstanding).to.equal(1);
    await rig.close();
    expect(rig.env.drops.toJSON()).to.deep.equal({ disposed: 1 });
  });

  it('drops what another worker has no time for', async () => {
    const text = '< udp 53 > 60001 (60000)';
    // All within one turn: nobody takes them.
    await rig.receive(0, ...Array.from({ length: 100 }, () => text));
    const dropped = rig.env.drops.toJSON()['worker-queue-full'] ?? 0;
    expect(dropped).to.be.within(20, 50);
    expect(rig.came[1]).to.have.length(100 - dropped);
    // Now it has.
    await rig.receive(0, text);
    expect(rig.came[1]).to.have.length(101 - dropped);
  });
});

forBothVersions('fragments for a device that workers share', (facts) => {
  const A = '< udp 53 > 60001 (3400) frag 0:1480+ ipid 9';
  const B = '< udp 53 > 60001 (3400) frag 1480:2960+ ipid 9';
  const C = '< udp 53 > 60001 (3400) frag 2960:3400 ipid 9';
  let rig: Rig;
  beforeEach(() => (rig = new Rig(facts)));
  afterEach(async () => {
    await rig.close();
    // Of no packet that was complete anything waited for more.
    expect(rig.env.drops.toJSON()).to.deep.equal({});
  });

  it('come to one worker though some come twice, before the others do', async () => {
    await rig.receive(0, A, A, C, B);
    await rig.receive(0, C, C, B, A);
    expect(rig.came.map(({ length }) => length)).to.deep.equal([0, 8]);
  });

  it('come to one worker though they have padding', async () => {
    const parts = ['0:1480+', '1496:1504', '1480:1488+', '1488:1496+'];
    await rig.receive(0, ...parts.map((part) => `< udp 53 > 60001 (1504) frag ${part} ipid 9...`));
    expect(rig.came.map(({ length }) => length)).to.deep.equal([0, 4]);
  });

  it('RFC 8200 4.5: come to one worker, though those of IPv6 name different next headers', async () => {
    const second = rig.build(B);
    if (facts.version === 6) second.slab.view.setUint8(second.start + IPV6_HEADER, IpProtocol.DestinationOptions);
    await rig.receive(0, A, second, C);
    expect(rig.came.map(({ length }) => length)).to.deep.equal([0, 3]);
  });

  it('come to one worker, however small they are', async () => {
    const all = Array.from({ length: 300 }, (_, i) => `frag ${8 * i}:${8 * i + 8}${i < 299 ? '+' : ''}`);
    await rig.receive(0, ...all.map((part) => `< udp 53 > 60001 (2400) ${part} ipid 9`));
    expect(rig.came.map(({ length }) => length)).to.deep.equal([0, 300]);
  });
});

describe('counters of workers', () => {
  it('are added up where they stand at the same place', () => {
    const sum = addCounters({ a: 1, b: { c: 2, d: 3 } }, { a: 10, b: { c: 20, e: 30 }, f: { g: 4 } });
    expect(sum).to.deep.equal({ a: 11, b: { c: 22, d: 3, e: 30 }, f: { g: 4 } });
  });
});
