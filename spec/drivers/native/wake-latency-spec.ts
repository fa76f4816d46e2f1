import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TrafficWatch } from '../../../drivers/native/traffic.js';
import { checkOptions } from '../../../drivers/native/tun-options.js';
import { WakeLatency } from '../../../drivers/native/wake-latency.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

const ANY = 2_000_000_000;

describe('WakeLatency', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-latency-'));
    file = join(directory, 'latency');
    writeFileSync(file, '');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** What was asked for, one after the other. */
  const asked = () => Array.from(new Int32Array(new Uint8Array(readFileSync(file)).buffer));

  const make = () => {
    const clock = new SimulationScheduler();
    return { clock, traffic: new TrafficWatch([new WakeLatency(7, file)], clock) };
  };

  it('asks once while packets come a few at a time, and for nothing once there are none', async () => {
    const { clock, traffic } = make();
    await clock.advance(100);
    expect(asked()).to.deep.equal([]);
    for (let i = 0; i < 50; i++) {
      traffic.received(1, 60);
      traffic.sent(1, 1000);
      await clock.advance(1);
    }
    expect(asked()).to.deep.equal([7]);
    await clock.advance(20);
    expect(asked()).to.deep.equal([7, ANY]);
    await clock.advance(1000);
    expect(asked()).to.deep.equal([7, ANY]);
    traffic.sent(1, 60);
    await clock.advance(10);
    expect(asked()).to.deep.equal([7, ANY, 7]);
    traffic.close();
    await clock.advance(1000);
    // The kernel forgets what was asked for with the descriptor.
    expect(asked()).to.deep.equal([7, ANY, 7]);
    expect(clock.pending).to.equal(0);
  });

  for (const [what, frames, received, sent] of [
    ['many packets come at once', 50, 3000, 3000],
    ['long ones come', 1, 65_000, 60],
    ['long ones are sent', 1, 60, 65_000],
  ] as const) {
    it(`asks for nothing where ${what}, any more neither, and again when it is over`, async () => {
      const { clock, traffic } = make();
      const busy = async () => {
        for (let i = 0; i < 50; i++) {
          traffic.received(frames, received);
          traffic.sent(1, sent);
          await clock.advance(1);
        }
      };
      await busy();
      expect(asked()).to.deep.equal([]);
      const quiet = async () => {
        for (let i = 0; i < 50; i++) {
          traffic.received(1, 60);
          await clock.advance(1);
        }
      };
      await quiet();
      expect(asked()).to.deep.equal([7]);
      await busy();
      expect(asked()).to.deep.equal([7, ANY]);
      await quiet();
      expect(asked()).to.deep.equal([7, ANY, 7]);
      traffic.close();
    });
  }

  it('says so at once where it cannot ask', () => {
    expect(() => new WakeLatency(0, join(directory, 'missing')))
      .to.throw(/wake up sooner/)
      .with.property('code', 'ENODEV');
  });

  it('takes microseconds from 0 to a second', () => {
    for (const wakeLatency of [0, 1, 1_000_000]) checkOptions({ wakeLatency });
    for (const wakeLatency of [-1, 0.5, 1_000_001, Number.NaN]) {
      expect(() => checkOptions({ wakeLatency }))
        .to.throw(/wakeLatency/)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
