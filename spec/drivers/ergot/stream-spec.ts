import { expect } from 'chai';
import { array, assert, asyncProperty, integer, uint8Array } from 'fast-check';
import { Duplex } from 'node:stream';
import { ergotOverStream } from '../../../drivers/ergot/stream.js';
import { DropReason } from '../../../lib/core/drops.js';
import { asTx } from '../../../lib/core/frame.js';
import { cobsEncode, cobsLength } from '../../../lib/ergot/cobs.js';
import { virtualBench } from '../virtual-rigs.js';
import { hex, unhex } from '../../lib/ergot/bytes.js';
import { closed, ergotFrame, hear, pause, pipe, say, wallEnv } from './rigs.js';

/** A stream that keeps what it is given, and says it is done when it is told. */
class Tap extends Duplex {
  readonly written: Uint8Array[] = [];
  private readonly waiting: (() => void)[] = [];
  blocked = false;

  override _read(): void {
    // Chunks are pushed by the tests.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    if (this.blocked) this.waiting.push(done);
    else done();
  }

  release(): void {
    this.blocked = false;
    for (const done of this.waiting.splice(0)) done();
  }
}

/** A stream that gives back what it is given, while it is given it. */
class Echo extends Duplex {
  override _read(): void {
    // Chunks are pushed as they are written.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.push(chunk);
    done();
  }
}

function stuffed(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(cobsLength(bytes.length));
  return out.subarray(0, cobsEncode(bytes, 0, bytes.length, out, 0));
}

describe('ergot over a stream of bytes', () => {
  it('stuffs frames as ergot does (row 65), all of a moment in one chunk', async () => {
    const env = wallEnv();
    const stream = new Tap();
    const device = ergotOverStream(stream, {}, env);
    for (const text of ['85840483820407010f2a', '8104800200010f595266702593fff0002a']) {
      const frame = env.pool.alloc(32);
      const bytes = unhex(text);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      device.sink.next(asTx(frame));
    }
    expect(stream.written).to.have.lengthOf(0);
    await pause(0);
    expect(stream.written.map(hex)).to.deep.equal(['0b85840483820407010f2a0005810480020b010f595266702593fff0022a00']);
    expect(env.pool.outstanding).to.equal(0);
    await device.close();
  });

  it('finds the same frames however the stream is cut', async () => {
    await assert(
      asyncProperty(
        array(uint8Array({ minLength: 6, maxLength: 40 }), { minLength: 1, maxLength: 8 }),
        array(integer({ min: 0, max: 400 }), { maxLength: 12 }),
        async (frames, cuts) => {
          const env = wallEnv();
          const stream = new Tap();
          const device = ergotOverStream(stream, {}, env);
          const got: string[] = [];
          device.frames$.subscribe((frame) => void got.push(hex(frame.bytes())));
          const bytes = Buffer.concat(frames.map(stuffed));
          const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
          for (let i = 1; i < at.length; i++) stream.push(bytes.subarray(at[i - 1], at[i]));
          await pause(0);
          expect(got).to.deep.equal(frames.map(hex));
          await device.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('takes any garbage, counts it, and finds the frame behind it', async () => {
    await assert(
      asyncProperty(array(uint8Array({ maxLength: 300 }), { maxLength: 20 }), async (garbage) => {
        const env = wallEnv();
        const stream = new Tap();
        const device = ergotOverStream(stream, { mtu: 100 }, env);
        const heard = hear(device);
        for (const chunk of garbage) stream.push(chunk);
        const frame = ergotFrame(env, Uint8Array.of(0xab));
        stream.push(Uint8Array.of(0, ...stuffed(frame.bytes())));
        frame.release();
        await pause(0);
        expect(heard.bytes.at(-1)).to.equal(0xab);
        const { drops } = env;
        const ends = Buffer.concat(garbage).filter((byte) => byte === 0).length + 1;
        const counted = drops.count(DropReason.ErgotBadStuffing) + drops.count(DropReason.ErgotTooLarge);
        expect(counted + heard.bytes.length - 1).to.be.at.most(ends);
        expect(drops.total).to.equal(counted);
        expect(env.pool.outstanding).to.equal(0);
        await device.close();
      }),
      { numRuns: 60 },
    );
  });

  it('holds no more than a frame of what never ends', async () => {
    const env = wallEnv();
    const stream = new Tap();
    const device = ergotOverStream(stream, { mtu: 68 }, env);
    const heard = hear(device);
    const before = process.memoryUsage().arrayBuffers;
    const chunk = new Uint8Array(65_536).fill(1);
    for (let i = 0; i < 256; i++) {
      stream.push(chunk);
      await new Promise(setImmediate);
    }
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(4_000_000);
    expect(env.drops.total).to.equal(0);
    stream.push(Uint8Array.of(0));
    say(device, env, 1);
    await pause(0);
    expect(env.drops.count(DropReason.ErgotTooLarge)).to.equal(1);
    expect(heard.bytes).to.deep.equal([]);
    await device.close();
  });

  it('drops what the stream does not take in time, counts it, and goes on when it does', async () => {
    const env = wallEnv();
    const stream = new Tap({ writableHighWaterMark: 10 });
    stream.blocked = true;
    const device = ergotOverStream(stream, { mtu: 68, sendQueue: 100 }, env);
    say(device, env, 0);
    await pause(0);
    for (let i = 1; i <= 10; i++) say(device, env, i);
    const dropped = env.drops.count(DropReason.DeviceQueueFull);
    // A frame of ten bytes takes twelve, and the first one is the stream's already.
    expect(dropped).to.equal(10 - Math.floor(100 / 12));
    expect(env.pool.outstanding).to.equal(0);
    stream.release();
    await pause(0);
    expect(Buffer.concat(stream.written).filter((byte) => byte === 0).length).to.equal(11 - dropped);
    await device.close();
  });

  it('sends what it was given before it was closed', async () => {
    const [env, farEnv] = [wallEnv(), wallEnv()];
    const [near, far] = pipe();
    const device = ergotOverStream(near, {}, env);
    const heard = hear(ergotOverStream(far, {}, farEnv));
    say(device, env, 7);
    void device.close();
    await closed(near);
    await pause(5);
    expect(heard).to.deep.equal({ bytes: [7], ended: 'complete' });
    expect(env.drops.total).to.equal(0);
  });

  it('hears nothing while it is closed, even of a stream that answers within the call', async () => {
    const env = wallEnv();
    const device = ergotOverStream(new Echo(), {}, env);
    const heard = hear(device);
    say(device, env, 6);
    await pause(0);
    say(device, env, 7);
    await device.close();
    await pause(0);
    expect(heard).to.deep.equal({ bytes: [6], ended: 'complete' });
  });

  it('waits a second for a stream that does not take it', async () => {
    const { env, scheduler } = virtualBench();
    const stream = new Tap();
    stream.blocked = true;
    const device = ergotOverStream(stream, {}, env);
    say(device, env, 7);
    await device.close();
    await pause(0);
    scheduler.runFor(999);
    expect(stream.destroyed).to.equal(false);
    scheduler.runFor(1);
    expect(stream.destroyed).to.equal(true);
    expect(scheduler.pending).to.equal(0);
  });

  it('ends as the stream does: in order, or with its error', async () => {
    const env = wallEnv();
    const ended = new Tap();
    const ordered = hear(ergotOverStream(ended, {}, env));
    const failed = new Tap();
    const failing = hear(ergotOverStream(failed, {}, env));
    ended.push(null);
    failed.destroy(Object.assign(new Error('no carrier'), { code: 'EIO' }));
    await pause(0);
    expect([ordered.ended, failing.ended]).to.deep.equal(['complete', 'EIO']);
    expect(ended.destroyed).to.equal(true);
  });

  it('counts what waited for a stream that failed', async () => {
    const env = wallEnv();
    const stream = new Tap({ writableHighWaterMark: 1 });
    stream.blocked = true;
    const device = ergotOverStream(stream, {}, env);
    const heard = hear(device);
    say(device, env, 0);
    await pause(0);
    for (let i = 0; i < 3; i++) say(device, env, i);
    stream.destroy(new Error('no carrier'));
    await pause(0);
    expect(heard.ended).to.equal('error');
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(3);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('takes no MTU that no link has', () => {
    expect(() => ergotOverStream(new Tap(), { mtu: 67 }, wallEnv())).to.throw('an MTU is a whole number from 68');
  });

  it('takes no queue that is none', () => {
    const make = () => ergotOverStream(new Tap(), { sendQueue: Number.NaN }, wallEnv());
    expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
  });
});
