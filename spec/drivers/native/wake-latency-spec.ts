import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
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

  it('asks once while there is traffic, and for nothing once there is none', async () => {
    const clock = new SimulationScheduler();
    const latency = new WakeLatency(7, clock, file);
    await clock.advance(100);
    expect(asked()).to.deep.equal([]);
    for (let i = 0; i < 5; i++) {
      latency.extend();
      await clock.advance(9);
    }
    expect(asked()).to.deep.equal([7]);
    await clock.advance(11);
    expect(asked()).to.deep.equal([7, ANY]);
    await clock.advance(1000);
    latency.extend();
    expect(asked()).to.deep.equal([7, ANY, 7]);
    latency.close();
    await clock.advance(1000);
    // The kernel forgets what was asked for with the descriptor.
    expect(asked()).to.deep.equal([7, ANY, 7]);
  });

  it('says so at once where it cannot ask', () => {
    const clock = new SimulationScheduler();
    expect(() => new WakeLatency(0, clock, join(directory, 'missing')))
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
