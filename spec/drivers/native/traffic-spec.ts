import { constants } from 'node:os';
import { expect } from 'chai';
import { type Adaptive, type Traffic, TrafficWatch } from '../../../drivers/native/traffic.js';
import { TunDevice } from '../../../drivers/native/tun-device.js';
import { MacAddress } from '../../../lib/core/address.js';
import { asTx, FramePool } from '../../../lib/core/frame.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { StandInLibc } from './stand-in-libc.js';

const { EAGAIN, EIO, ENOBUFS } = constants.errno;

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

/** Remembers what it was shown, and when. */
class Witness implements Adaptive {
  readonly looks: (Traffic & { readonly at: number })[] = [];
  closed = 0;
  private readonly clock: SimulationScheduler;

  constructor(clock: SimulationScheduler) {
    this.clock = clock;
  }

  look(traffic: Traffic): void {
    this.looks.push({ at: this.clock.now(), ...traffic });
  }

  close(): void {
    this.closed++;
  }
}

describe('TrafficWatch', () => {
  const make = () => {
    const clock = new SimulationScheduler();
    const witnesses = [new Witness(clock), new Witness(clock)] as const;
    return { clock, witnesses, watch: new TrafficWatch(witnesses, clock), start: clock.now() };
  };

  it('shows every 10 ms what came and went, once more when nothing did, and waits for nothing then', async () => {
    const { clock, witnesses, watch, start } = make();
    await clock.advance(100);
    watch.received(3, 300);
    watch.received(1, 60);
    watch.sent(2, 3000);
    await clock.advance(15);
    watch.sent(1, 60);
    await clock.advance(100);
    const expected = [
      { at: start + 110, turns: 2, received: 4, sent: 2, bytes: 3360 },
      { at: start + 120, turns: 0, received: 0, sent: 1, bytes: 60 },
      { at: start + 130, turns: 0, received: 0, sent: 0, bytes: 0 },
    ];
    for (const { looks } of witnesses) expect(looks).to.deep.equal(expected);
    expect(clock.pending).to.equal(0);
    watch.received(1, 60);
    await clock.advance(10);
    expect(witnesses[0].looks[3]).to.deep.equal({ at: start + 225, turns: 1, received: 1, sent: 0, bytes: 60 });
  });

  it('closes all that look, which look no more', async () => {
    const { clock, witnesses, watch } = make();
    watch.received(1, 60);
    watch.close();
    // A batch was under way.
    watch.received(1, 60);
    watch.sent(1, 60);
    expect(clock.pending).to.equal(0);
    await clock.advance(100);
    for (const { looks, closed } of witnesses) expect([looks, closed]).to.deep.equal([[], 1]);
  });
});

for (const io of ['calls', 'uring'] as const) {
  describe(`the traffic of a TunDevice (${io})`, () => {
    const make = () => {
      const c = new StandInLibc();
      c.uring = io === 'uring';
      c.reads.push(-EAGAIN);
      const clock = new SimulationScheduler();
      const env = environment({ scheduler: clock, pool: new FramePool({ poison: true }) });
      const settings = {
        fd: StandInLibc.descriptor(),
        name: 'tap0',
        medium: 'ethernet',
        mac: MacAddress.parse('02:00:00:00:00:01'),
        offloads: { vnetHeader: false, udpSegmentation: false },
        isOwn: false,
      } as const;
      const witness = new Witness(clock);
      const device = new TunDevice(settings, { io }, env, c.libc, () => new TrafficWatch([witness], env.timers));
      const send = (...lengths: number[]) => {
        for (const length of lengths) {
          const frame = env.pool.alloc(length);
          frame.slab.bytes.fill(0, frame.put(length), frame.end);
          device.sink.next(asTx(frame));
        }
        return Promise.resolve();
      };
      /** What was sent since this was asked last. */
      const seen = async () => {
        await clock.advance(30);
        const looks = witness.looks.splice(0);
        return { sent: sum(looks.map(({ sent }) => sent)), bytes: sum(looks.map(({ bytes }) => bytes)) };
      };
      return { c, env, device, send, seen };
    };

    for (const [title, writes, first] of [
      ['that a full device left (EAGAIN)', [1, 1, -EAGAIN], [101, 102]],
      ['that a full device left (ENOBUFS)', [1, -ENOBUFS], [101]],
      // With calls none is tried behind one that was left.
      ['that others overtook', [1, -EAGAIN, 1, -EAGAIN], io === 'calls' ? [101] : [101, 103]],
    ] as const) {
      it(`has each frame ${title} once, when it is taken`, async () => {
        const { c, env, device, send, seen } = make();
        c.writes.push(...writes);
        await send(101, 102, 103, 104, 105);
        expect(c.written).to.deep.equal(first);
        expect(await seen()).to.deep.equal({ sent: first.length, bytes: sum(first) });
        c.writes.splice(0, 4, -EAGAIN);
        await send(106);
        for (let i = 0; i < 3; i++) c.wake();
        expect(await seen()).to.deep.equal({ sent: 0, bytes: 0 });
        c.writes.splice(0);
        c.wake();
        expect(c.written).to.have.members([101, 102, 103, 104, 105, 106]);
        expect(await seen()).to.deep.equal({ sent: 6 - first.length, bytes: 621 - sum(first) });
        await device.close();
        expect(env.pool.outstanding).to.equal(0);
      });
    }

    it('has no frame that the kernel refuses', async () => {
      const { c, env, device, send, seen } = make();
      c.writes.push(1, -EIO, 1);
      await send(101, 102, 103, 104, 105);
      expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
      expect(await seen()).to.deep.equal({ sent: 4, bytes: 413 });
      await device.close();
      expect(env.pool.outstanding).to.equal(0);
    });
  });
}
