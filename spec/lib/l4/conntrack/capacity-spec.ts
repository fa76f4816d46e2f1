import { expect } from 'chai';
import { DropReason } from '../../../../lib/core/drops.js';
import type { Frame } from '../../../../lib/core/frame.js';
import { ipOffset } from '../../../../lib/wire/network-offset.js';
import { PacketFields } from '../../../../lib/wire/packet-fields.js';
import { FACTS, forBothVersions, type VersionFacts } from '../../../both-versions.js';
import { Tracked } from './tracked.js';

/** SYNs from ever other addresses and ports, in one frame. */
class Flood {
  private readonly frame: Frame;
  private readonly at: number;
  private readonly source: number;
  private sent = 0;

  constructor(tracked: Tracked, { version }: VersionFacts) {
    this.frame = tracked.notation.build('< S 0:0(0) win 1000');
    const fields = new PacketFields();
    fields.read(this.frame, ipOffset(this.frame));
    this.at = fields.transport;
    this.source = fields.network + (version === 4 ? 12 : 20);
  }

  next(): Frame {
    const { view } = this.frame.slab;
    this.sent++;
    view.setUint16(this.at, this.sent);
    view.setUint32(this.source, 0xc000_0000 + (this.sent >>> 16) * 7919);
    return this.frame;
  }
}

const HANDSHAKE = `
  new          < 1024 > 80 S 0:0(0) win 1000
  established  > 80 > 1024 S. 0:0(0) ack 1 win 1000
  established  < 1024 > 80 . 1:1(0) ack 1 win 1000`;

forBothVersions('The table of flows when it is full', (facts) => {
  const udp = (port: number): string => `< udp ${port} > 53 (4)`;
  const answer = (port: number): string => `> udp 53 > ${port} (4)`;

  function full(capacity: number, script: (port: number) => string[]): Tracked {
    const tracked = new Tracked(facts, { capacity });
    for (let port = 1; port <= capacity; port++) for (const line of script(port)) tracked.send(line);
    expect(tracked.tracker.table.size).to.equal(capacity);
    return tracked;
  }

  const dropped = (tracked: Tracked, text: string) => tracked.pass(tracked.notation.build(text));
  const ports = (tracked: Tracked): number[] =>
    [...tracked.tracker.table.flows()].map(({ original }) => original.sourcePort).sort((one, other) => one - other);

  it('keeps established flows, and refuses new ones', () => {
    const tracked = full(8, (port) => [udp(port), answer(port), udp(port)]);
    expect(dropped(tracked, udp(9))).to.equal(DropReason.ConntrackFull);
    expect(dropped(tracked, udp(1))).to.equal(undefined);
    expect(ports(tracked)).to.deep.equal([1, 2, 3, 4, 5, 6, 7, 8]);
    tracked.scheduler.runFor(1000);
    tracked.tracker.table.delete(tracked.flow);
    expect(dropped(tracked, udp(9))).to.equal(undefined);
  });

  it('gives up the oldest that nobody has answered, then the oldest that was', () => {
    const tracked = full(4, (port) => (port <= 2 ? [udp(port), answer(port)] : [udp(port)]));
    for (const [port, left] of [
      [5, [1, 2, 4, 5]],
      [6, [1, 2, 5, 6]],
    ] as const) {
      expect(dropped(tracked, udp(port))).to.equal(undefined);
      expect(ports(tracked)).to.deep.equal(left);
    }
    tracked.send(answer(5));
    tracked.send(udp(5));
    tracked.send(answer(6));
    tracked.send(udp(7));
    expect(ports(tracked)).to.deep.equal([2, 5, 6, 7]);
  });

  it('gives up what has expired before anything else', () => {
    const tracked = full(3, (port) => [udp(port), answer(port), udp(port)]);
    tracked.scheduler.runFor(119_000);
    for (const port of [1, 3]) tracked.send(udp(port));
    tracked.scheduler.runFor(1000);
    expect(dropped(tracked, udp(4))).to.equal(undefined);
    expect(ports(tracked)).to.deep.equal([1, 3, 4]);
  });

  it('is searched from end to end once a second, however little is found', () => {
    const tracked = full(4, (port) => [udp(port), answer(port), udp(port)]);
    const { table } = tracked.tracker;
    // They expire one after the other, a millisecond apart, between two sweeps.
    tracked.scheduler.runFor(105_000);
    for (const port of [1, 2, 3, 4]) {
      tracked.send(udp(port));
      tracked.scheduler.runFor(1);
    }
    tracked.scheduler.runFor(119_996);
    expect(dropped(tracked, udp(5))).to.equal(undefined);
    expect([table.size, table.evicted]).to.deep.equal([4, 0]);
    tracked.send(answer(5));
    tracked.send(udp(5));
    tracked.scheduler.runFor(1);
    expect(dropped(tracked, udp(6))).to.equal(DropReason.ConntrackFull);
    tracked.scheduler.runFor(999);
    expect(dropped(tracked, udp(6))).to.equal(undefined);
  });

  it('gives up connections that are over before answered ones', () => {
    const tracked = new Tracked(facts, { capacity: 2 }).run(`${HANDSHAKE}
      established  < 1024 > 80 R 1:1(0) win 0`);
    tracked.send(udp(1));
    tracked.send(answer(1));
    expect(dropped(tracked, udp(2))).to.equal(undefined);
    expect(ports(tracked)).to.deep.equal([1, 2]);
  });

  it('is not exhausted by a million SYNs: established connections live, new ones come about', () => {
    const tracked = new Tracked(facts, { capacity: 10_000, checksums: 'none' });
    tracked.run(HANDSHAKE);
    const flood = new Flood(tracked, facts);
    let refused = 0;
    const pour = (count: number) => {
      for (let i = 0; i < count; i++) if (tracked.pass(flood.next()) !== undefined) refused++;
    };
    pour(500_000);
    tracked.run('new < 1025 > 80 S 0:0(0) win 1000');
    pour(5000);
    tracked.run('established > 80 > 1025 S. 0:0(0) ack 1 win 1000');
    pour(5000);
    tracked.run(`
      established < 1025 > 80 . 1:1(0) ack 1 win 1000
      phase       established`);
    pour(490_000);
    tracked.run(`
      established < 1024 > 80 P. 1:101(100) ack 1 win 1000
      phase       established
      established < 1025 > 80 P. 1:101(100) ack 1 win 1000
      phase       established`);
    expect(refused).to.equal(0);
    expect(tracked.tracker.table.size).to.equal(10_000);
    expect(tracked.tracker.table.evicted).to.be.above(980_000);
    tracked.scheduler.runFor(311_000);
    expect(tracked.tracker.table.size).to.equal(0);
    tracked.scheduler.run();
    expect(tracked.scheduler.pending).to.equal(0);
  }).timeout(60_000);

  it('is not touched by SYNs that a rule drops', () => {
    const tracked = full(4, (port) => [udp(port)]);
    const flood = new Flood(tracked, facts);
    for (let i = 0; i < 10_000; i++) {
      tracked.tracker.track(flood.next());
      tracked.send(udp((i & 3) + 1));
    }
    expect(ports(tracked)).to.deep.equal([1, 2, 3, 4]);
  });

  it('takes no packet for that of a flow whose place another has taken', () => {
    const tracked = full(4, (port) => [udp(port)]);
    const { table } = tracked.tracker;
    const { flow } = tracked;
    for (let i = 0; i < 200; i++) tracked.send(udp(100 + i));
    expect([table.flow(flow), table.nat(flow), table.delete(flow)]).to.deep.equal([undefined, 0, false]);
    table.setNat(flow, 5);
    expect([...table.flows()].map(({ nat }) => nat)).to.deep.equal([0, 0, 0, 0]);
  });

  it('sweeps a bounded number of flows at a time', () => {
    const tracked = new Tracked(facts, { capacity: 20_000, checksums: 'none' });
    const flood = new Flood(tracked, facts);
    for (let i = 0; i < 20_000; i++) tracked.pass(flood.next());
    const { table } = tracked.tracker;
    const sizes: number[] = [];
    tracked.scheduler.runFor(119_999);
    while (table.size > 0) {
      tracked.scheduler.step();
      sizes.push(table.size);
    }
    expect(sizes.length).to.be.within(5, 10);
    expect(tracked.scheduler.now()).to.be.below(120_500);
  });
});

describe('The table of flows', () => {
  it('forgets nothing and expires nothing early where the clock passes 2^31 and 2^32', () => {
    for (const begin of [2 ** 31 - 60_000, 2 ** 32 - 60_000]) {
      const tracked = new Tracked(FACTS[4]);
      tracked.scheduler.runFor(begin);
      tracked.run(`
        new          < udp 1 > 53 (4)
        wait         119999
        established  > udp 53 > 1 (4)
        wait         119999
        established  < udp 1 > 53 (4)
        wait         120000
        new          < udp 1 > 53 (4)`);
      expect(tracked.last?.age).to.equal(0);
    }
  });

  it('takes a bounded amount of memory a flow', () => {
    const tracked = new Tracked(FACTS[4], { capacity: 1_000_000 });
    expect(tracked.tracker.table.bytes / 1_000_000).to.be.below(200);
  });
});
