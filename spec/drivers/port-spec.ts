import { expect } from 'chai';
import * as fc from 'fast-check';
import { of } from 'rxjs';
import { link } from '../../drivers/link.js';
import { misfit, Outlet } from '../../drivers/port.js';
import { type Device, type DeviceFeatures, NO_FEATURES } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asRx, asTx, ChecksumState, type Frame, FramePool, GsoType } from '../../lib/core/frame.js';
import { networkOffset } from '../../lib/wire/network-offset.js';
import { segment } from '../../lib/wire/segmentation.js';
import { bridge } from '../../operators/l2/bridge.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { hexOf } from '../lib/wire/frames.js';
import { BULK, descriptions, parse, superSegment } from '../lib/wire/super-segments.js';

const ALL: DeviceFeatures = { checksum: true, segmentation: true, udpSegmentation: true };

function bench(): { env: Env; scheduler: SimulationScheduler } {
  const scheduler = new SimulationScheduler();
  return { scheduler, env: environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) }) };
}

/** What an outlet of a device with these abilities hands on of one frame. */
function handed(frame: Frame, env: Env, able?: DeviceFeatures, mtu = 1500, medium: Device['medium'] = 'ethernet') {
  const [device] = link({ mtu, medium }, env).ends;
  const out: Frame[] = [];
  new Outlet(device, env, (sent) => out.push(sent), able).next(asTx(frame));
  return out;
}

describe('Outlet', () => {
  it('hands on an ordinary frame as it is', () => {
    const { env } = bench();
    const frame = env.pool.alloc(60);
    frame.put(60);
    expect(handed(frame, env)).to.deep.equal([frame]);
  });

  it('cuts super-segments for a device that does not', () => {
    const { env } = bench();
    const out = handed(superSegment(BULK, env.pool), env);
    expect(out.map((frame) => parse(frame, 'ethernet').payload.length)).to.deep.equal([1448, 1448, 1104]);
    for (const frame of out) frame.release();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('leaves to a device what it is able to do, of TCP and UDP each', () => {
    const { env } = bench();
    const bulk = superSegment(BULK, env.pool);
    expect(handed(bulk, env, ALL)).to.deep.equal([bulk]);
    const datagrams = superSegment({ ...BULK, udp: true }, env.pool);
    expect(handed(datagrams, env, ALL)).to.deep.equal([datagrams]);
    expect(handed(datagrams, env, { ...ALL, udpSegmentation: false })).to.have.lengthOf(3);
    expect(handed(bulk, env, { ...NO_FEATURES, checksum: true })).to.have.lengthOf(3);
  });

  it('cuts a super-segment with a complete checksum, which a device would spoil', () => {
    const { env } = bench();
    const bulk = superSegment(BULK, env.pool);
    bulk.checksum = ChecksumState.Valid;
    expect(handed(bulk, env, ALL)).to.have.lengthOf(3);
  });

  it('completes checksums in place, but not in a frame that somebody else holds', () => {
    const { env } = bench();
    const one = (): Frame => Object.assign(superSegment(BULK, env.pool), { gsoType: GsoType.None, gsoSize: 0 });
    const own = one();
    expect(handed(own, env, NO_FEATURES, 9000)).to.deep.equal([own]);
    parse(own, 'ethernet');
    const held = one().retain();
    const before = hexOf(held);
    const [copy] = handed(held, env, NO_FEATURES, 9000);
    expect(hexOf(held)).to.equal(before);
    expect(hexOf(copy as Frame)).to.equal(hexOf(own));
    const left = one();
    const partial = hexOf(left);
    expect(handed(left, env, { ...NO_FEATURES, checksum: true }, 9000)).to.deep.equal([left]);
    expect(hexOf(left)).to.equal(partial);
    for (const frame of [own, held, copy as Frame, left]) frame.release();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('refuses what does not fit, whole or cut', () => {
    const { env } = bench();
    // 20 bytes of IP, 20 of TCP, 12 of options: 1448 make 1500.
    expect(handed(superSegment(BULK, env.pool), env, NO_FEATURES, 1499)).to.deep.equal([]);
    expect(handed(superSegment(BULK, env.pool), env, ALL, 1499)).to.deep.equal([]);
    expect(handed(superSegment({ ...BULK, gsoSize: 0 }, env.pool), env, ALL)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-too-big': 2, 'super-segment-bad': 1 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('hands on frames of which each fits, or none', () => {
    fc.assert(
      fc.property(descriptions, fc.integer({ min: 68, max: 600 }), (of, mtu) => {
        const { env } = bench();
        const medium = of.tags === undefined ? 'ip' : 'ethernet';
        const out = handed(superSegment(of, env.pool), env, NO_FEATURES, mtu, medium);
        for (const frame of out) {
          expect(misfit(frame, medium, mtu)).to.equal(undefined);
          parse(frame, medium);
          frame.release();
        }
        expect(out.length === 0).to.equal(env.drops.total === 1);
        expect(env.pool.outstanding).to.equal(0);
      }),
    );
  });
});

describe('a link that is given super-segments', () => {
  it('delivers the packets that they stand for, as a wire would', () => {
    const { env, scheduler } = bench();
    const [a, b] = link({}, env).ends;
    const frame = superSegment(BULK, env.pool);
    const wanted: string[] = [];
    segment(frame, networkOffset(frame, 'ethernet'), new FramePool(), (piece) => wanted.push(hexOf(piece)));
    const seen: string[] = [];
    b.frames$.subscribe((received) => {
      expect(received).to.include({ checksum: ChecksumState.None, gsoType: GsoType.None, gsoSize: 0 });
      seen.push(hexOf(received));
    });
    a.sink.next(asTx(frame));
    scheduler.run();
    expect(seen).to.deep.equal(wanted);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('is given them by a bridge, too, on as many ports as it floods', () => {
    const { env, scheduler } = bench();
    const wires = [link({}, env), link({}, env), link({}, env)];
    const ports = wires.map(({ ends }) => ends[0]);
    const seen = wires.map(({ ends }) => {
      const lengths: number[] = [];
      ends[1].frames$.subscribe((frame) => lengths.push(parse(frame, 'ethernet').payload.length));
      return lengths;
    });
    const frame = asRx(superSegment(BULK, env.pool));
    frame.device = ports[0];
    of(frame)
      .pipe(bridge(ports, {}, env))
      .subscribe((out) => out.device?.sink.next(out));
    frame.release();
    scheduler.run();
    expect(seen).to.deep.equal([[], [1448, 1448, 1104], [1448, 1448, 1104]]);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('loses single packets of them', () => {
    const { env, scheduler } = bench();
    const [a, b] = link({ impair: { loss: 0.5 } }, env).ends;
    let seen = 0;
    b.frames$.subscribe(() => seen++);
    for (let i = 0; i < 20; i++) a.sink.next(asTx(superSegment(BULK, env.pool)));
    scheduler.run();
    expect(seen).to.be.within(15, 45);
    expect(seen % 3).not.to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
  });
});
