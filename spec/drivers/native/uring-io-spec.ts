import { expect } from 'chai';
import { constants } from 'node:os';
import { Uring, UringOp } from '../../../drivers/native/uring.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Frame } from '../../../lib/core/frame.js';
import { ADDRESS, StandInLibc } from './stand-in-libc.js';
import { make, zero } from './tun-device-rig.js';

const { EAGAIN, EBUSY, EINVAL, EINTR, EOPNOTSUPP } = constants.errno;

describe('TunDevice, with io_uring', () => {
  /** A device whose next batch of reads goes together. */
  const warm = (vnetHeader = false) => {
    const made = make({ io: 'uring', coalesce: false }, vnetHeader, true);
    const { c, env } = made;
    zero(env.pool);
    c.reads.splice(0, 1, 60, 60, 60, 60, 60, -EAGAIN);
    c.wake();
    c.requested.length = 0;
    return made;
  };
  const file = (c: StandInLibc) => [...new Set(c.requested.map((one) => `${one.isFixed} ${one.file}`))];

  it('has the ring know the file, and forget it before the ring is freed', async () => {
    const { c, device, send } = make({ io: 'uring' }, false, true);
    expect(c.ringCalls).to.deep.equal(['register']);
    await send(101, 102, 103, 104);
    expect(file(c)).to.deep.equal(['true 0']);
    await device.close();
    expect(c.ringCalls).to.deep.equal(['register', 'unregister', 'unmap', 'unmap', 'close']);
  });

  it('leaves nothing of a ring behind that cannot be mapped', () => {
    for (const [unmappable, calls] of [
      [1, ['close']],
      [2, ['unmap', 'close']],
    ] as const) {
      const c = new StandInLibc();
      c.uring = true;
      c.unmappable = unmappable;
      expect(() => new Uring(c.libc, 3, 64))
        .to.throw()
        .with.property('code', 'ENOBUFS');
      expect(c.ringCalls).to.deep.equal(calls);
    }
  });

  it('names the file in each request where the ring cannot know it', async () => {
    const c = new StandInLibc();
    c.registers = -EINVAL;
    const { env, device, fd, send } = make({ io: 'uring' }, false, true, c);
    await send(100, 100, 100, 100, 100);
    expect(c.written).to.deep.equal([100, 100, 100, 100, 100]);
    expect(file(c)).to.deep.equal([`false ${fd}`]);
    await device.close();
    expect(c.ringCalls).to.deep.equal(['register', 'unmap', 'unmap', 'close']);
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const [title, errno] of [
    ['cannot know whether it would have to wait (Linux before 6.4)', EOPNOTSUPP],
    ['does not know such requests (Linux before 5.6)', EINVAL],
  ] as const) {
    it(`does without a ring that ${title}, unless it is asked for`, async () => {
      const c = new StandInLibc();
      c.refuses = errno;
      const { env, device, send } = make({ io: 'auto', coalesce: false }, false, true, c);
      const lengths: number[] = [];
      device.frames$.subscribe({ next: ({ length }) => lengths.push(length), error: () => lengths.push(-1) });
      for (let i = 0; i < 2; i++) {
        c.reads.splice(0, 1, 101, 102, 103, 104, 105, -EAGAIN);
        c.wake();
      }
      await send(201, 202, 203, 204, 205);
      expect(lengths).to.deep.equal([101, 102, 103, 104, 105, 101, 102, 103, 104, 105]);
      expect(c.written).to.deep.equal([201, 202, 203, 204, 205]);
      expect(env.drops.total).to.equal(0);
      await device.close();
      expect(env.pool.outstanding).to.equal(0);

      c.ringCalls.length = 0;
      expect(() => make({ io: 'uring' }, false, true, c))
        .to.throw(/Linux 6.4/)
        .with.property('code', 'ENOTSUP');
      expect(c.ringCalls).to.deep.equal(['register', 'unregister', 'unmap', 'unmap', 'close']);
    });
  }

  it('reads each frame to where it lies, though slots change', async () => {
    const { c, env, device } = warm();
    const kept: Frame[] = [];
    const places: number[] = [];
    device.frames$.subscribe((frame) => {
      places.push(ADDRESS + frame.start);
      if (places.length % 3 !== 0) kept.push(frame.retain());
    });
    for (let i = 0; i < 5; i++) {
      c.reads.splice(0, 1, 60, 60, 60, 60, 60, 60, 60, -EAGAIN);
      c.wake();
      if (i === 2) for (const frame of kept.splice(0)) frame.release();
    }
    const reads = c.requested.filter(({ op }) => op === UringOp.Read);
    // Those that found nothing came after those that did, in the same call.
    const landed = reads.map(({ address }) => address);
    for (const place of places) expect(landed).to.include(place);
    expect(new Set(places).size).to.be.greaterThan(7);
    expect(reads.every(({ length }) => length > 1514)).to.equal(true);
    expect(places).to.have.length(35);
    await device.close();
    for (const frame of kept) frame.release();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('knows each result by its place, in whatever order they come', async () => {
    const { c, env, device, send } = warm();
    c.reversed = true;
    const lengths: number[] = [];
    device.frames$.subscribe((frame) => lengths.push(frame.length));
    c.reads.splice(0, 1, 101, 102, -EINTR, 103, 104, -EAGAIN);
    c.wake();
    expect(lengths).to.deep.equal([101, 102, 103, 104]);
    c.writes.push(1, -EAGAIN, 1, 1, -EAGAIN);
    await send(201, 202, 203, 204, 205);
    expect(c.written).to.deep.equal([201, 203, 204]);
    c.writes.splice(0);
    c.wake();
    expect(c.written).to.deep.equal([201, 203, 204, 202, 205]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('delivers nothing more of a batch in whose middle it is closed, and leaves no frame behind', async () => {
    for (const vnetHeader of [false, true]) {
      const { c, env, device, send } = warm(vnetHeader);
      let frames = 0;
      device.frames$.subscribe(() => {
        void send(300);
        if (++frames === 2) void device.close();
        void send(301);
      });
      c.reads.splice(0, 1, 101, 102, 103, 104, 105, -EAGAIN);
      c.wake();
      expect(frames).to.equal(2);
      expect(c.ringCalls.slice(-2)).to.deep.equal(['unmap', 'close']);
      expect(c.written).to.have.length(3);
      expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
      await Promise.resolve();
      expect(env.pool.outstanding).to.equal(0);
    }
  });

  it('goes on with plain calls where the ring fails half way, and neither loses nor repeats a frame', async () => {
    const { c, env, device, send } = make({ io: 'uring', coalesce: false }, false, true);
    c.submits.push(3, -EBUSY);
    const lengths = [101, 102, 103, 104, 105, 106, 107, 108, 109];
    await send(...lengths);
    expect(c.written).to.deep.equal([101, 102, 103]);
    expect(c.events).to.deep.equal({ readable: true, writable: true });
    const { enters } = c;
    c.wake();
    expect(c.written).to.deep.equal(lengths);
    expect(c.enters).to.equal(enters);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('takes what was read before the ring failed', async () => {
    const { c, env, device } = warm();
    const lengths: number[] = [];
    device.frames$.subscribe((frame) => lengths.push(frame.length));
    c.submits.push(1, 2, -EBUSY);
    c.reads.splice(0, 1, 101, 102, 103, 104, -EAGAIN);
    c.wake();
    c.wake();
    expect(lengths).to.deep.equal([101, 102, 103, 104]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });
});
