import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { tuntap2 } from '../../drivers/tuntap2.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { StandInTunTap2 } from './stand-in-tuntap2.js';

describe('tuntap2, what waits for the stream', () => {
  let env: Env;
  let standIn: StandInTunTap2;
  let device: Device;
  beforeEach(() => {
    env = environment({ pool: new FramePool({ poison: true }) });
    standIn = new StandInTunTap2('02:00:00:00:00:01');
    device = tuntap2(standIn, { sendQueue: 3 }, env);
  });
  const send = (...numbers: readonly number[]): void => {
    for (const number of numbers) {
      const frame = env.pool.alloc(60);
      frame.slab.bytes.fill(number, frame.put(60), frame.end);
      device.sink.next(asTx(frame));
    }
  };
  const written = (): (number | undefined)[] => standIn.wire.map(([number]) => number);

  it('is all that it does not take: more than may wait is dropped, but not what it has room for', async () => {
    // It is full with the fifth.
    send(...Array.from({ length: 10 }, (_, i) => i));
    await Promise.resolve();
    expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 2 });
    send(10, 11);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 4 });
    for (let i = 0; i < 10; i++) await turn();
    expect(written()).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('is not without limit before the stream was asked what it takes', async () => {
    const most = 3 + 1024;
    send(...Array.from({ length: 5000 }, (_, i) => i & 255));
    expect(env.pool.outstanding).to.equal(most);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 5000 - most });
    await Promise.resolve();
    expect(env.pool.outstanding).to.equal(3);
    for (let i = 0; i < 10; i++) await turn();
    expect(written()).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });
});

describe('tuntap2, what becomes of the interface', () => {
  function make(standIn: StandInTunTap2) {
    const device: Device = tuntap2(standIn, {}, environment({ pool: new FramePool({ poison: true }) }));
    const codes: string[] = [];
    device.frames$.subscribe({ error: ({ code }: { code: string }) => codes.push(code) });
    return { device, codes };
  }

  it('is released when the device is closed, once', async () => {
    const standIn = new StandInTunTap2();
    const { device, codes } = make(standIn);
    await device.close();
    await device.close();
    expect(standIn.releases).to.equal(1);
    expect(codes).to.deep.equal([]);
  });

  for (const [what, error, code] of [
    ['fails', new Error('unplugged'), 'EIO'],
    ['is gone', undefined, 'ENODEV'],
  ] as const) {
    it(`is released when it ${what}, once`, async () => {
      const standIn = new StandInTunTap2();
      const { device, codes } = make(standIn);
      const closed = new Promise<void>((resolve) => void standIn.once('close', resolve));
      standIn.destroy(error);
      await closed;
      await device.close();
      expect(standIn.releases).to.equal(1);
      expect(codes).to.deep.equal([code]);
    });
  }

  it('tells what failed, though it cannot be released then', async () => {
    class Stuck extends StandInTunTap2 {
      override release(): void {
        this.releases++;
        throw new Error('it is released');
      }
    }
    const standIn = new Stuck();
    const { codes } = make(standIn);
    standIn.emit('error', new Error('unplugged'));
    expect(standIn.releases).to.equal(1);
    expect(codes).to.deep.equal(['EIO']);
  });
});
