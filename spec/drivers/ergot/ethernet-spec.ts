import { expect } from 'chai';
import { assert, property, uint8Array } from 'fast-check';
import { ergotOverEthernet, listenErgotEthernet } from '../../../drivers/ergot/ethernet.js';
import { link, type LinkEnd } from '../../../drivers/link.js';
import { vlanDevice } from '../../../drivers/vlan.js';
import { Ipv4Address } from '../../../lib/core/address.js';
import type { Device } from '../../../lib/core/device.js';
import { DropReason, dropReasonName } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { host } from '../../../operators/stack/host.js';
import type { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { hex, unhex } from '../../lib/ergot/bytes.js';
import { txOf, virtualBench } from '../virtual-rigs.js';
import { hear, say } from './rigs.js';

const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03'] as const;
const A = '020000000001';
const B = '020000000002';
const ALL = 'ffffffffffff';
/** What `say` sends with a byte of 7, in its shim. */
const SEVEN = 'e701000a85840483820400030f07';

interface Bench {
  readonly env: Env;
  readonly scheduler: SimulationScheduler;
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  readonly c: LinkEnd;
  /** What was on the segment. */
  readonly wire: string[];
}

/** A segment of three ends, and one that listens to all. */
function segment(): Bench {
  const { env, scheduler } = virtualBench();
  const { ends } = link({ ends: ['a', 'b', 'c', 'wire'], macs: [...MACS, '02:00:00:00:00:04'] }, env);
  const [a, b, c, last] = ends;
  const wire: string[] = [];
  last?.frames$.subscribe((frame) => void wire.push(hex(frame.bytes())));
  if (c === undefined) throw new Error('a segment has the ends that it was given');
  return { env, scheduler, a, b, c, wire };
}

function inject({ env, scheduler }: Bench, from: Device, bytes: string): void {
  from.sink.next(txOf(unhex(bytes), env));
  scheduler.runFor(1);
}

describe('ergot over Ethernet', () => {
  it('says everything to everybody until it hears somebody, and then to who was heard last', () => {
    const bench = segment();
    const { env, scheduler, a, b, wire } = bench;
    const near = ergotOverEthernet(a, {}, env);
    const far = ergotOverEthernet(b, {}, env);
    const [heardNear, heardFar] = [hear(near), hear(far)];
    say(near, env, 7);
    scheduler.runFor(1);
    say(far, env, 8);
    scheduler.runFor(1);
    say(near, env, 9);
    scheduler.runFor(1);
    expect(wire.map((frame) => frame.slice(0, 28))).to.deep.equal([`${ALL}${A}88b5`, `${A}${B}88b5`, `${B}${A}88b5`]);
    expect(wire[0]?.slice(28)).to.equal(SEVEN);
    expect([heardNear.bytes, heardFar.bytes]).to.deep.equal([[8], [7, 9]]);
    expect(near.mtu).to.equal(1496);
    expect(near.name).to.equal('a.ergot');
  });

  it('forgets who has been silent, so that another one can be in its place', () => {
    const { env, scheduler, a, b, c, wire } = segment();
    const near = ergotOverEthernet(a, { ageing: 1000 }, env);
    const first = ergotOverEthernet(b, {}, env);
    say(first, env, 1);
    scheduler.runFor(999);
    say(near, env, 2);
    scheduler.runFor(1);
    const second = hear(ergotOverEthernet(c, {}, env));
    say(near, env, 3);
    scheduler.runFor(1);
    expect(wire.slice(1).map((frame) => frame.slice(0, 12))).to.deep.equal([B, ALL]);
    expect(second.bytes).to.deep.equal([3]);
  });

  it('is a bus where it says so', () => {
    const { env, scheduler, a, b, c, wire } = segment();
    const ends = [a, b, c].map((device) => ergotOverEthernet(device, { peer: 'everybody' }, env));
    const heard = ends.map(hear);
    ends.forEach((end, i) => say(end, env, i));
    scheduler.runFor(1);
    expect(heard.map(({ bytes }) => bytes)).to.deep.equal([
      [1, 2],
      [0, 2],
      [0, 1],
    ]);
    expect(wire.every((frame) => frame.startsWith(ALL))).to.equal(true);
  });

  it('hears only whom it is to hear', () => {
    const bench = segment();
    const { env, a, b, c } = bench;
    const near = ergotOverEthernet(a, { peer: MACS[1] }, env);
    const heard = hear(near);
    inject(bench, b, `${A}${B}88b5${SEVEN}`);
    inject(bench, c, `${A}02000000000388b5${SEVEN}`);
    expect(heard.bytes).to.deep.equal([7]);
    expect(env.drops.count(DropReason.ErgotUnknownPeer)).to.equal(1);
  });

  for (const [what, frame, reason] of [
    ['is for another station', `020000000009${B}88b5${SEVEN}`, DropReason.EthernetNotForUs],
    ['is its own, come back', `${ALL}${A}88b5${SEVEN}`, DropReason.ErgotUnknownPeer],
    ['is from a group', `${A}03000000000288b5${SEVEN}`, DropReason.EthernetBadSource],
    ['is another experiment', `${A}${B}88b5aabb0001cc`, DropReason.EthernetUnknownType],
    ['has no shim', `${A}${B}88b5e7`, DropReason.ErgotTruncated],
    ['is cut off', `${A}${B}88b5${SEVEN.slice(0, -2)}`, DropReason.ErgotTruncated],
  ] as const) {
    it(`drops as ${dropReasonName(reason)} what ${what}`, () => {
      const bench = segment();
      const { env, a, b } = bench;
      const heard = hear(ergotOverEthernet(a, {}, env));
      inject(bench, b, frame);
      expect(heard.bytes).to.deep.equal([]);
      expect(env.drops.count(reason)).to.equal(1);
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  it('drops what is larger than its MTU', () => {
    const bench = segment();
    const { env, a, b } = bench;
    const heard = hear(ergotOverEthernet(a, { mtu: 68 }, env));
    inject(bench, b, `${A}${B}88b5e7010045${'01'.repeat(69)}`);
    expect(heard.bytes).to.deep.equal([]);
    expect(env.drops.count(DropReason.ErgotTooLarge)).to.equal(1);
  });

  it('is not troubled by what others say on the device, nor are they by it', () => {
    const { env, scheduler } = virtualBench();
    const { ends } = link({}, env);
    const hosts = ends.map((device, i) => {
      const me = host({ device, addresses: [`10.0.0.${i + 1}/24`] }, env);
      device.frames$.pipe(me).subscribe(device.sink);
      return me;
    });
    const heard = ends
      .map((device) => ergotOverEthernet(device, {}, env))
      .map((device) => ({ device, ...hear(device) }));
    let replies = 0;
    const handler = { message: () => void replies++, error: () => undefined };
    const at = (last: number) => ({ address: Ipv4Address.parse(`10.0.0.${last}`), port: 7 });
    const [asking, answering] = hosts.map(({ udp }, i) => udp.bind(at(i + 1), handler));
    for (const { device } of heard) say(device, env, 5);
    asking?.send(Uint8Array.of(1), at(2));
    scheduler.runFor(100);
    expect(heard.map(({ bytes }) => bytes)).to.deep.equal([[5], [5]]);
    expect(replies).to.equal(1);
    answering?.close();
  });

  it('goes over a VLAN as over a cable', () => {
    const { env, scheduler, a, b, wire } = segment();
    const [near, far] = [a, b].map((device) => ergotOverEthernet(vlanDevice(device, { vid: 5 }, env), {}, env));
    if (near === undefined || far === undefined) throw new Error('two devices make two links');
    const heard = hear(far);
    say(near, env, 7);
    scheduler.runFor(1);
    expect(heard.bytes).to.deep.equal([7]);
    expect(wire).to.deep.equal([`${ALL}${A}8100000588b5${SEVEN}`]);
  });

  it('ends as the device under it does, and leaves it open when it is closed itself', async () => {
    const { env, a } = segment();
    const closedFirst = ergotOverEthernet(a, { etherType: 0x88b6 }, env);
    const link = ergotOverEthernet(a, {}, env);
    const heard = hear(link);
    await closedFirst.close();
    expect(heard.ended).to.equal('open');
    await a.close();
    expect(heard.ended).to.equal('complete');
    expect(hear(ergotOverEthernet(a, {}, env)).ended).to.equal('complete');
  });

  it('takes no bytes amiss', () => {
    assert(
      property(uint8Array({ maxLength: 80 }), (bytes) => {
        const bench = segment();
        const { env, a, b } = bench;
        hear(ergotOverEthernet(a, {}, env));
        inject(bench, b, `${A}${B}88b5${hex(bytes)}`);
        expect(env.pool.outstanding).to.equal(0);
      }),
    );
  });

  for (const [what, make] of [
    ['a device of another medium', ({ env }: Bench) => ergotOverEthernet(link({ medium: 'ip' }, env).ends[0], {}, env)],
    ['a type that is a length', ({ env, a }: Bench) => ergotOverEthernet(a, { etherType: 0x5ff }, env)],
    ['an MTU that does not fit', ({ env, a }: Bench) => ergotOverEthernet(a, { mtu: 1497 }, env)],
    ['an MTU that no link has', ({ env, a }: Bench) => listenErgotEthernet(a, { mtu: 67 }, env)],
    ['no time to know a peer', ({ env, a }: Bench) => ergotOverEthernet(a, { ageing: 0 }, env)],
    ['no room for peers', ({ env, a }: Bench) => listenErgotEthernet(a, { mostPeers: 0 }, env)],
  ] as const) {
    it(`throws at once for ${what}`, () => {
      expect(() => make(segment()))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    });
  }
});

describe('listener of ergot over Ethernet', () => {
  function listen(
    bench: Bench,
    mostPeers = 8,
  ): { devices: Device[]; all: ReturnType<typeof hear>[]; ended: () => string } {
    const listener = listenErgotEthernet(bench.a, { mostPeers, idle: 1000 }, bench.env);
    const devices: Device[] = [];
    const all: ReturnType<typeof hear>[] = [];
    let ended = 'open';
    listener.devices$.subscribe({
      next: (device) => {
        devices.push(device);
        all.push(hear(device));
      },
      error: () => (ended = 'error'),
      complete: () => (ended = 'complete'),
    });
    return { devices, all, ended: () => ended };
  }

  it('makes a link for each station, from its first frame on', () => {
    const bench = segment();
    const { env, scheduler, b, c, wire } = bench;
    const { devices, all } = listen(bench);
    const others = [b, c].map((device) => ergotOverEthernet(device, {}, env));
    const heard = others.map(hear);
    others.forEach((other, i) => say(other, env, i));
    scheduler.runFor(1);
    expect(devices.map(({ name }) => name)).to.deep.equal([`a.ergot:${MACS[1]}`, `a.ergot:${MACS[2]}`]);
    expect(all.map(({ bytes }) => bytes)).to.deep.equal([[0], [1]]);
    devices.forEach((device, i) => say(device, env, 10 + i));
    scheduler.runFor(1);
    // The first words of each went to everybody.
    expect(heard.map(({ bytes }) => bytes)).to.deep.equal([
      [1, 10],
      [0, 11],
    ]);
    expect(wire.slice(2).map((frame) => frame.slice(0, 12))).to.deep.equal([B, '020000000003']);
  });

  it('makes none of what is no frame of ergot, nor where there is no room', () => {
    const bench = segment();
    const { env, b, c } = bench;
    const { devices } = listen(bench, 1);
    inject(bench, b, `${A}${B}88b5e7010002ffff`);
    expect(env.drops.count(DropReason.ErgotTruncated)).to.equal(1);
    inject(bench, b, `${A}${B}88b5${SEVEN}`);
    inject(bench, c, `${A}02000000000388b5${SEVEN}`);
    expect(devices).to.have.lengthOf(1);
    expect(env.drops.count(DropReason.ErgotUnknownPeer)).to.equal(1);
  });

  it('forgets who is silent for long, and knows it anew when it speaks', () => {
    const bench = segment();
    const { scheduler, b, c } = bench;
    const { devices, all } = listen(bench);
    const fromC = `${A}02000000000388b5${SEVEN}`;
    inject(bench, b, `${A}${B}88b5${SEVEN}`);
    scheduler.runFor(600);
    inject(bench, c, fromC);
    scheduler.runFor(600);
    expect(all.map(({ ended }) => ended)).to.deep.equal(['complete', 'open']);
    inject(bench, c, fromC);
    scheduler.runFor(900);
    expect(all[1]?.ended).to.equal('open');
    inject(bench, b, `${A}${B}88b5${SEVEN}`);
    expect(devices).to.have.lengthOf(3);
    scheduler.runFor(2000);
    expect(all.map(({ ended }) => ended)).to.deep.equal(['complete', 'complete', 'complete']);
    expect(scheduler.pending).to.equal(0);
  });

  it('ends with the device under it', async () => {
    const bench = segment();
    const { scheduler, a, b } = bench;
    const { all, ended } = listen(bench);
    inject(bench, b, `${A}${B}88b5${SEVEN}`);
    await a.close();
    expect([all[0]?.ended, ended()]).to.deep.equal(['complete', 'complete']);
    expect(scheduler.pending).to.equal(0);
  });
});
