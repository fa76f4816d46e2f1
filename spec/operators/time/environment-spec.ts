import { expect } from 'chai';
import { VirtualTimeScheduler } from 'rxjs';
import { Drops } from '../../../lib/core/drops.js';
import { FramePool } from '../../../lib/core/frame.js';
import { SeededRandom, SystemRandom } from '../../../lib/core/random.js';
import { defaultEnvironment, environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { TimerWheel } from '../../../operators/time/timer-wheel.js';
import { timersOf } from '../../../operators/time/timers-of.js';

describe('environment', () => {
  it('is the wall clock and real chance by default, and everything in it is its own', () => {
    const one = environment();
    const other = environment();
    expect(one.random).to.be.instanceOf(SystemRandom);
    expect(one.timers).to.equal(one.scheduler);
    expect(one.timers.now()).to.be.closeTo(Date.now(), 1000);
    for (const key of ['scheduler', 'random', 'drops', 'pool'] as const) expect(one[key]).to.not.equal(other[key]);
  });

  it('takes what it is given', () => {
    const given = {
      scheduler: new SimulationScheduler(),
      random: new SeededRandom(7),
      drops: new Drops(),
      pool: new FramePool(),
    };
    const env = environment(given);
    expect(env).to.include(given);
    expect(env.timers).to.equal(given.scheduler);
  });

  it('draws the same numbers from the same seed', () => {
    const draw = (seed: number) => environment({ seed }).random.uint32();
    expect(draw(5)).to.equal(draw(5));
    expect(draw(5)).to.not.equal(draw(6));
    expect(() => environment({ seed: 5, random: new SeededRandom(5) }))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
  });

  it('is shared when it is the default one', () => {
    expect(defaultEnvironment()).to.equal(defaultEnvironment());
  });
});

describe('timersOf', () => {
  it('is the scheduler itself where that has timers, else the one wheel on it', () => {
    const simulation = new SimulationScheduler();
    expect(timersOf(simulation)).to.equal(simulation);
    const virtual = new VirtualTimeScheduler();
    const wheel = timersOf(virtual);
    expect(wheel).to.be.instanceOf(TimerWheel);
    expect(timersOf(virtual)).to.equal(wheel);
  });
});
