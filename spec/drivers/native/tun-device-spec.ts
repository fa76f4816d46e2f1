import { expect } from 'chai';
import { constants } from 'node:os';
import { UringOp } from '../../../drivers/native/uring.js';
import { DropReason } from '../../../lib/core/drops.js';
import { arena } from '../../../lib/core/arena.js';
import { asTx, type Frame } from '../../../lib/core/frame.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { VIRTIO_NET_HEADER } from '../../../lib/wire/virtio-net.js';
import { untilRoomInArena } from '../../lib/core/arena-room.js';
import { BULK, superSegment } from '../../lib/wire/super-segments.js';
import { ADDRESS, StandInLibc } from './stand-in-libc.js';
import { make, zero } from './tun-device-rig.js';

const { EAGAIN, EINTR, EIO, ENOBUFS, ENOMEM, EPERM } = constants.errno;
const EBADFD = 77;
/** What the slots of a device with virtio-net headers take of the arena, and more. */
const ROOM = 16 << 20;

describe('TunDevice, what waits for the end of a batch', () => {
  for (const [title, uring] of [
    ['calls', false],
    ['io_uring', true],
  ] as const) {
    it(`${title}: happens when all of it has been delivered, and before what it leads to is written`, async () => {
      const { c, env, device, send } = make({ io: title === 'calls' ? 'calls' : 'uring' }, false, uring);
      let received = 0;
      let asked = false;
      const seen: number[] = [];
      device.frames$.subscribe(() => {
        received++;
        if (asked) return;
        asked = env.timers.atEnd(() => {
          asked = false;
          seen.push(received);
          void send(100 + received);
          expect(c.written).to.have.length(seen.length - 1);
        });
      });
      c.reads.splice(0, c.reads.length, 64, 64, 64, -EAGAIN);
      c.wake();
      // The first by itself, since those before it came one by one. None waits for a microtask.
      expect(seen).to.deep.equal([1, 3]);
      expect(c.written).to.deep.equal([101, 103]);
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    });
  }
});

describe('TunDevice, when frames come one by one', () => {
  const segment = (flags: number) => superSegment({ ...BULK, flags, payload: new Uint8Array(0) }).bytes();
  for (const uring of [false, true]) {
    const kind = uring ? 'io_uring' : 'calls';

    /** How many frames had been written when each one landed: of a first one and another, where each is answered by one. */
    const whenLanded = async (first: Uint8Array, ...others: number[]) => {
      await untilRoomInArena(ROOM);
      const { c, env, device, send } = make({ io: uring ? 'uring' : 'calls' }, true, uring);
      const bytes = arena?.slab.bytes ?? expect.fail('no arena');
      let frames = 0;
      device.frames$.subscribe(() => void send(200 + ++frames));
      const written: number[] = [];
      c.lands = (address, length) => {
        if (length < 0) return;
        const at = address - ADDRESS;
        bytes.fill(0, at, at + length);
        if (length === first.length + VIRTIO_NET_HEADER) bytes.set(first, at + VIRTIO_NET_HEADER);
        written.push(c.written.length);
      };
      c.reads.splice(0, c.reads.length, first.length + VIRTIO_NET_HEADER, ...others, -EAGAIN);
      c.wake();
      // What is left has its turn later.
      expect(c.written).to.have.length(Math.min(1 + others.length, 128));
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
      return written;
    };

    it(`answers the first before it looks for another: ${kind}`, async () => {
      expect(await whenLanded(segment(TcpFlag.Ack), 300, 301)).to.deep.equal([0, 1, 1]);
    });

    it(`looks for what comes with the end of a connection before it answers: ${kind}`, async () => {
      expect(await whenLanded(segment(TcpFlag.Ack | TcpFlag.Fin), 300, 301)).to.deep.equal([0, 0, 2]);
      expect(await whenLanded(segment(TcpFlag.Ack | TcpFlag.Fin))).to.deep.equal([0]);
    });

    it(`answers after 64 ends, whatever comes: ${kind}`, async () => {
      const end = segment(TcpFlag.Ack | TcpFlag.Fin);
      const written = await whenLanded(end, ...Array.from({ length: 200 }, () => end.length + VIRTIO_NET_HEADER));
      expect(written.slice(0, 64).every((count) => count === 0)).to.equal(true);
      expect(written[64]).to.equal(64);
      expect(written).to.have.length(128);
    });
  }
});

describe('TunDevice, when the kernel takes no frame', () => {
  for (const [title, uring] of [
    ['calls', false],
    ['io_uring', true],
  ] as const) {
    for (const errno of [EAGAIN, ENOBUFS, ENOMEM]) {
      it(`${title}: keeps frames on error ${errno}, and sends them in order once it can write`, async () => {
        const { c, env, device, send } = make({ io: title === 'calls' ? 'calls' : 'uring' }, false, uring);
        c.writes.push(1, 1, -errno);
        await send(101, 102, 103, 104, 105);
        expect(c.written).to.deep.equal([101, 102]);
        expect(c.events).to.deep.equal({ readable: true, writable: true });
        await send(106);
        expect(c.written).to.have.length(2);
        c.writes.splice(0);
        c.wake();
        expect(c.written).to.deep.equal([101, 102, 103, 104, 105, 106]);
        expect(c.events).to.deep.equal({ readable: true });
        expect(env.drops.total).to.equal(0);
        await device.close();
        expect(env.pool.outstanding).to.equal(0);
      });
    }
  }

  it('drops what does not fit into its queue, counted, and what is left when it is closed', async () => {
    const { c, env, device, send } = make({ sendQueue: 3 });
    c.writes.push(-EAGAIN);
    await send(101);
    await send(102, 103, 104, 105);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 2 });
    await device.close();
    expect(c.written).to.deep.equal([]);
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(3);
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const uring of [false, true]) {
    it(`${uring ? 'with io_uring: ' : ''}has room in its queue while the interface takes all, however small it is`, async () => {
      const { c, env, device, send } = make({ sendQueue: 3, io: uring ? 'uring' : 'calls' }, false, uring);
      await send(101, 102, 103, 104, 105, 106, 107);
      expect(c.written).to.deep.equal([101, 102, 103, 104, 105, 106, 107]);
      // Of five the interface takes one: three of the others may wait for it.
      c.writes.push(1, -EAGAIN);
      await send(201, 202, 203, 204, 205);
      expect(env.drops.toJSON()).to.deep.equal({ 'device-queue-full': 1 });
      c.writes.splice(0);
      c.wake();
      expect(c.written.slice(7)).to.deep.equal([201, 202, 203, 204]);
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  it('with io_uring: puts those that others overtook behind them, in their order', async () => {
    const { c, env, device, send } = make({ io: 'uring' }, false, true);
    c.writes.push(1, -EAGAIN, 1, -EAGAIN, 1, 1);
    await send(101, 102, 103, 104, 105, 106);
    expect(c.written).to.deep.equal([101, 103, 105, 106]);
    c.writes.splice(0);
    c.wake();
    expect(c.written).to.deep.equal([101, 103, 105, 106, 102, 104]);
    expect(c.enters).to.equal(1);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('tries again where a signal came between', async () => {
    const { c, device, send } = make();
    c.writes.push(-EINTR, 1);
    await send(101);
    expect(c.written).to.deep.equal([101]);
    await device.close();
  });

  it('goes on with the next frame where it is one that the kernel refuses', async () => {
    for (const uring of [false, true]) {
      const { c, env, device, send } = make({ io: uring ? 'uring' : 'calls' }, false, uring);
      c.writes.push(-EIO, 1);
      await send(101, 102, 103, 104, 105);
      expect(c.written).to.deep.equal([102, 103, 104, 105]);
      expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    }
  });

  it('fails where the interface is gone, or anything else is wrong', async () => {
    for (const [errno, code] of [
      [EBADFD, 'ENODEV'],
      [EPERM, 'EPERM'],
    ] as const) {
      const { c, env, device, send } = make();
      const failed = new Promise<{ code: string }>((resolve) => device.frames$.subscribe({ error: resolve }));
      c.writes.push(-errno);
      await send(101, 102);
      expect((await failed).code).to.equal(code);
      expect(env.drops.count(DropReason.DeviceDown)).to.equal(2);
      expect(env.pool.outstanding).to.equal(0);
    }
  });

  for (const uring of [false, true]) {
    const kind = uring ? 'io_uring' : 'calls';

    it(`fails in the middle of a super-segment: drops all of it, and tells when its sender has returned: ${kind}`, async () => {
      const { c, env, device } = make({ io: uring ? 'uring' : 'calls' }, false, uring);
      const codes: string[] = [];
      device.frames$.subscribe({ error: ({ code }: { code: string }) => codes.push(code) });
      c.writes.push(-EPERM);
      device.sink.next(asTx(superSegment({ ...BULK, gsoSize: 100, payload: new Uint8Array(10_000) }, env.pool)));
      expect(codes).to.deep.equal([]);
      await Promise.resolve();
      expect(codes).to.deep.equal(['EPERM']);
      expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 100 });
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  it('tells what failed, too, when that shows as it is closed', async () => {
    const { c, env, device, send } = make();
    const failed = new Promise<{ code: string }>((resolve) => device.frames$.subscribe({ error: resolve }));
    c.writes.push(-EPERM);
    void send(101);
    await device.close();
    expect((await failed).code).to.equal('EPERM');
    expect(env.pool.outstanding).to.equal(0);
  });
});

describe('TunDevice, when it reads', () => {
  it('fails where reading does, and reads on after a signal', async () => {
    const { c, env, device } = make();
    const failed = new Promise<{ code: string }>((resolve) => device.frames$.subscribe({ error: resolve }));
    let frames = 0;
    device.frames$.subscribe({ next: () => void frames++, error: () => undefined });
    c.reads.splice(0, 1, -EINTR, 100, -EPERM);
    c.wake();
    expect((await failed).code).to.equal('EPERM');
    expect(frames).to.equal(1);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops a frame whose virtio-net header is cut short', async () => {
    const { c, env, device } = make({}, true);
    c.reads.splice(0, 1, 11, -EAGAIN);
    c.wake();
    expect(env.drops.toJSON()).to.deep.equal({ 'ethernet-truncated': 1 });
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('leaves others their turn, however much there is', async () => {
    const { c, device } = make({ coalesce: false });
    let frames = 0;
    device.frames$.subscribe(() => void frames++);
    c.reads.splice(0, 1, 100);
    c.wake();
    expect(frames).to.be.within(1, 65);
    await device.close();
  });
});

describe('TunDevice, how it reads and writes', () => {
  it('does without io_uring where there is none, unless it is asked for', async () => {
    const { c, device, send } = make({ io: 'auto' });
    await send(101, 102, 103, 104, 105);
    expect(c.written).to.have.length(5);
    await device.close();
    expect(() => make({ io: 'uring' }))
      .to.throw()
      .with.property('code', 'ENOSYS');
  });

  it('with io_uring: has each frame as it was read, though others are written before it has been looked at', async () => {
    const { c, env, device, send } = make({ io: 'uring', coalesce: false }, false, true);
    const lengths: number[] = [];
    device.frames$.subscribe((frame) => {
      lengths.push(frame.length);
      for (let i = 0; i < 70; i++) void send(300);
    });
    // The second batch is read together, since the first was of several.
    c.reads.splice(0, 1, 101, 102, 103, 104, 105, -EAGAIN);
    c.wake();
    const { enters } = c;
    c.reads.splice(0, 1, 106, 107, 108, 109, -EAGAIN);
    c.wake();
    expect(c.enters).to.be.greaterThan(enters + 4);
    expect(lengths).to.deep.equal([101, 102, 103, 104, 105, 106, 107, 108, 109]);
    expect(c.written).to.have.length(70 * 9);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  for (const io of ['calls', 'uring'] as const) {
    it(`${io}: with virtio-net headers, copies what is small from where it landed, and passes on what is long where it lies`, async () => {
      await untilRoomInArena(ROOM);
      const { c, env, device } = make({ io, mtu: 60_000 }, true, io === 'uring');
      const bytes = arena?.slab.bytes ?? expect.fail('no arena');
      const landed: number[] = [];
      let number = 0;
      c.lands = (address, length) => {
        if (length < 0) return;
        const at = address - ADDRESS;
        bytes.fill(0, at, at + VIRTIO_NET_HEADER);
        bytes.fill(++number, at + VIRTIO_NET_HEADER, at + length);
        landed.push(at + VIRTIO_NET_HEADER);
      };
      const kept: Frame[] = [];
      device.frames$.subscribe((frame) => kept.push(frame.retain()));
      const lengths = [60, 1888, 1889, 50_014, 60, 14, 1888, 4_000, 61, 62, 63, 64];
      for (let i = 0; i < 3; i++) {
        c.reads.splice(0, 1, ...lengths.map((length) => length + VIRTIO_NET_HEADER), -EAGAIN);
        c.wake();
      }
      expect(c.enters > 0).to.equal(io === 'uring');
      expect(kept.map((frame) => frame.length)).to.deep.equal([...lengths, ...lengths, ...lengths]);
      for (const [i, frame] of kept.entries()) {
        expect(frame.bytes().every((byte) => byte === i + 1)).to.equal(true);
        expect(frame.start === landed[i]).to.equal(frame.length > 1888);
        expect(frame.limit - frame.base > 2048).to.equal(frame.length > 1888);
      }
      // Nobody keeps a big slot for what may come.
      expect(env.pool.outstanding).to.equal(kept.length);
      for (const frame of kept) frame.release();
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    });
  }

  it('with io_uring and virtio-net headers: reads small frames to the same places again', async () => {
    await untilRoomInArena(ROOM);
    const { c, env, device } = make({ io: 'uring' }, true, true);
    zero(env.pool);
    for (let i = 0; i < 5; i++) {
      c.reads.splice(0, 1, 72, 72, 72, 72, 72, 72, -EAGAIN);
      c.wake();
    }
    const reads = c.requested.filter(({ op }) => op === UringOp.Read);
    expect(reads.every(({ length }) => length === 65_570)).to.equal(true);
    // The first time nobody knows how many there will be.
    expect(new Set(reads.map(({ address }) => address)).size).to.be.within(7, 14);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('uses io_uring for many frames, and plain calls for few', async () => {
    const { c, device, send } = make({ io: 'auto' }, false, true);
    await send(101, 102);
    expect(c.enters).to.equal(0);
    await send(101, 102, 103, 104, 105);
    expect(c.enters).to.equal(1);
    expect(c.written).to.have.length(7);
    await device.close();
  });
});

describe('TunDevice, what becomes of the interface', () => {
  it('has it stay or go as asked, once nothing can fail any more', async () => {
    for (const [persist, told] of [
      [undefined, []],
      [true, [1]],
      [false, [0]],
    ] as const) {
      const { c, device } = make(persist === undefined ? {} : { persist });
      expect(c.persistence).to.deep.equal(told);
      await device.close();
    }
    const c = new StandInLibc();
    expect(() => make({ io: 'uring', persist: true }, false, false, c)).to.throw();
    expect(c.persistence).to.deep.equal([]);
  });

  it('is closed where that cannot be', () => {
    const c = new StandInLibc();
    c.persists = false;
    expect(() => make({ io: 'uring', persist: true }, false, true, c))
      .to.throw()
      .with.property('code', 'EINVAL');
    expect(c.ringCalls.at(-1)).to.equal('close');
    expect(c.events).to.deep.equal({});
  });
});

describe('TunDevice, busy polling', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('looks on after traffic without being woken, and not for longer than it was told', async () => {
    const { c, device, send } = make({ busyPoll: 20_000, coalesce: false });
    const begun = performance.now();
    let frames = 0;
    device.frames$.subscribe(() => void frames++);
    await send(101);
    await turn();
    c.reads.splice(0, 1, 100, -EAGAIN);
    await turn();
    expect(frames).to.equal(1);
    // Timers have their turn meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 1));
    while (performance.now() < begun + 60) await turn();
    c.reads.splice(0, 1, 100, -EAGAIN);
    for (let i = 0; i < 10; i++) await turn();
    expect(frames).to.equal(1);
    c.wake();
    expect(frames).to.equal(2);
    await device.close();
  });

  it('does not look where it was not told to, nor once it is closed', async () => {
    const idle = make();
    await idle.send(101);
    idle.c.reads.splice(0, 1, 100);
    await turn();
    expect(idle.env.drops.total).to.equal(0);
    await idle.device.close();
    const busy = make({ busyPoll: 1_000_000 });
    await busy.send(101);
    await busy.device.close();
    busy.c.reads.splice(0, 1, 100);
    await turn();
    await turn();
    expect(busy.env.drops.total).to.equal(0);
  });
});
