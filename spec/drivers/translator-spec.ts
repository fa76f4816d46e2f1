import { expect } from 'chai';
import { asTx, Frame, FramePool, type RxFrame } from '../../lib/core/frame.js';
import { parseIp } from '../../lib/core/address.js';
import { UsageError } from '../../lib/core/errors.js';
import type { Env } from '../../lib/core/env.js';
import { nat64Device, type Nat64Device, siitDevice } from '../../drivers/translator.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { type PlainEnds, plainIp, type PlainPacket, plainSegment } from '../lib/wire/plain-packets.js';

const PACKET: PlainPacket = { protocol: 'udp', body: new Uint8Array(5), checksum: 'full', options: 0 };
const bytesOf = (source: string, destination: string): Uint8Array => {
  const ends: PlainEnds = {
    source: parseIp(source),
    destination: parseIp(destination),
    sourcePort: 4000,
    destinationPort: 53,
  };
  return plainIp(PACKET, ends, plainSegment(PACKET, ends));
};
const OUT = bytesOf('2001:db8::5', '64:ff9b::101:101');

interface World {
  readonly scheduler: SimulationScheduler;
  readonly env: Env;
  readonly device: Nat64Device;
  readonly send: (bytes: Uint8Array) => void;
}

function world(): World {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const device = nat64Device({ pool: ['9.9.9.9'] }, env);
  const send = (bytes: Uint8Array): void => {
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    device.sink.next(asTx(frame));
  };
  return { scheduler, env, device, send };
}

describe('nat64Device', () => {
  it('delivers what it is sent in the other version: never at once, in order, and with its hop limit', async () => {
    const { scheduler, env, device, send } = world();
    const got: string[] = [];
    device.frames$.subscribe((frame: RxFrame) => {
      expect(frame.device).to.equal(device);
      const view = frame.slab.view;
      got.push(
        `${view.getUint8(frame.start) >>> 4} ttl ${view.getUint8(frame.start + 8)} to ${view.getUint32(frame.start + 16).toString(16)}`,
      );
    });
    send(OUT);
    send(bytesOf('2001:db8::5', '64:ff9b::202:202'));
    expect(got).to.deep.equal([]);
    scheduler.runFor(0);
    expect(got).to.deep.equal(['4 ttl 64 to 1010101', '4 ttl 64 to 2020202']);
    expect(device.list()).to.have.length(1);
    await device.close();
    expect(scheduler.pending).to.equal(0);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('delivers by itself what it has to say', async () => {
    const { scheduler, env, device, send } = world();
    const got: number[] = [];
    device.frames$.subscribe((frame: RxFrame) => got.push(frame.bytes()[20] ?? 0));
    send(bytesOf('1.1.1.1', '9.9.9.9'));
    scheduler.runFor(0);
    expect(got).to.deep.equal([3]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('refuses what is not for it, and everything once it is closed', async () => {
    const { env, device, send } = world();
    send(bytesOf('2001:db8::5', '2001:db8::6'));
    expect(env.drops.toJSON()).to.deep.equal({ 'nat-no-mapping': 1 });
    let ended = false;
    device.frames$.subscribe({ complete: () => (ended = true) });
    send(OUT);
    await device.close();
    expect(ended).to.equal(true);
    send(OUT);
    expect(env.drops.toJSON()).to.deep.equal({ 'nat-no-mapping': 1, 'device-down': 2 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops what nobody listens to, and what is too much at once', async () => {
    const { scheduler, env, device, send } = world();
    for (let i = 0; i < 4100; i++) send(OUT);
    scheduler.runFor(0);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 4, 'device-unwatched': 4096 });
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('runs deliveries as it is told', () => {
    const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
    const later: (() => void)[] = [];
    const device = nat64Device({ name: 'six', pool: ['9.9.9.9'], defer: (run) => void later.push(run) }, env);
    let count = 0;
    device.frames$.subscribe(() => count++);
    device.sink.next(asTx(Frame.from(OUT)));
    device.sink.next(asTx(Frame.from(OUT)));
    expect(later).to.have.length(1);
    later[0]?.();
    expect([count, device.name]).to.deep.equal([2, 'six']);
  });

  it('refuses options at once', () => {
    const env = environment({ seed: 1 });
    expect(() => nat64Device({ pool: [] }, env)).to.throw(UsageError);
    expect(() => siitDevice({}, env)).to.throw(UsageError);
  });
});
