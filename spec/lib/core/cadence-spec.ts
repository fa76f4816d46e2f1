import { expect } from 'chai';
import { Cadence } from '../../../lib/core/cadence.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

describe('Cadence', () => {
  const run = (count: number, interval: number, during: (number: number, cadence: Cadence) => void = () => {}) => {
    const scheduler = new SimulationScheduler();
    const { timers } = environment({ scheduler });
    const at: number[] = [];
    const cadence: Cadence = new Cadence(timers, { count, interval }, (number) => {
      expect(number).to.equal(at.push(timers.now()));
      during(number, cadence);
    });
    expect(at).to.deep.equal([]);
    return { scheduler, at, cadence };
  };

  it('begins at once, from a timer, and ends after so many times', () => {
    const { scheduler, at, cadence } = run(3, 10);
    scheduler.run();
    expect(at).to.deep.equal([0, 10, 20]);
    expect(cadence.isOver).to.equal(true);
    expect(scheduler.pending).to.equal(0);
  });

  it('goes on until it is stopped, within a call too', () => {
    const { scheduler, at } = run(Number.POSITIVE_INFINITY, 5, (number, cadence) => {
      if (number === 4) cadence.stop();
    });
    scheduler.run();
    expect(at).to.deep.equal([0, 5, 10, 15]);
    expect(scheduler.pending).to.equal(0);
  });

  it('does not drift, and makes nothing up', () => {
    let now = 0;
    let due = Number.POSITIVE_INFINITY;
    let fire = (): void => undefined;
    const timer = {
      deadline: 0,
      armed: false,
      arm: (deadline: number) => void (due = deadline),
      cancel: () => undefined,
    };
    const timers = {
      now: () => now,
      timer: (callback: (owner: never) => void) => {
        fire = callback as () => void;
        return timer;
      },
      asOne: (event: () => void) => event(),
      atEnd: () => false,
    };
    const dues: number[] = [];
    void new Cadence(timers, { count: 9, interval: 10 }, () => void dues.push(due));
    for (const late of [3, 12, 47, 47]) {
      now = late;
      fire();
    }
    expect(dues).to.deep.equal([10, 20, 47, 57]);
  });
});
