import { expect } from 'chai';
import { Renewals } from '../../../../lib/ergot/phone/renewals.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';

describe('Renewals', () => {
  function make() {
    const scheduler = new SimulationScheduler();
    const { timers } = environment({ scheduler });
    const waiting = new Map<number, (said: boolean) => void>();
    const renewals = new Renewals<number>(timers, (wanted, done) => {
      waiting.set(wanted, done);
      return () => waiting.delete(wanted);
    });
    /** Answers all; says in which order they were asked. */
    const answer = (): number[] => {
      const asked: number[] = [];
      for (const [wanted, done] of waiting) {
        waiting.delete(wanted);
        asked.push(wanted);
        done(true);
      }
      return asked;
    };
    return { scheduler, renewals, waiting, answer };
  }

  it('ask few at a time, and all', () => {
    const { renewals, waiting, answer } = make();
    renewals.add([1, 2, 3, 4, 5, 6]);
    expect([...waiting.keys()]).to.deep.equal([1, 2, 3, 4]);
    expect(answer()).to.deep.equal([1, 2, 3, 4, 5, 6]);
  });

  it('ask again what is asked already, where it is added', () => {
    const { renewals, waiting, answer } = make();
    renewals.add([1, 2]);
    renewals.add([1]);
    expect([...waiting.keys()]).to.deep.equal([2, 1]);
    expect(answer()).to.deep.equal([2, 1]);
  });

  it('ask all again at once, what is new before what was not answered', () => {
    const { scheduler, renewals, waiting, answer } = make();
    renewals.add([1, 2, 3, 4, 5]);
    for (const done of waiting.values()) done(false);
    waiting.clear();
    renewals.again([6, 2]);
    expect(answer()).to.deep.equal([6, 2, 5, 1, 3, 4]);
    expect(scheduler.pending).to.equal(0);
  });

  it('keep of what a parent never answers as much as it has room for, the latest', () => {
    const { renewals, answer } = make();
    const some = (from: number): number[] => Array.from({ length: 1000 }, (_, i) => from + i);
    for (let round = 0; round < 10; round++) renewals.again(some(1000 * round));
    renewals.again([]);
    const asked = answer();
    expect(asked).to.have.lengthOf(1024);
    expect(asked).to.include.members(some(9000));
  });

  it('ask nothing more where they stop', () => {
    const { scheduler, renewals, waiting } = make();
    renewals.add([1, 2, 3, 4, 5]);
    waiting.get(1)?.(false);
    renewals.stop();
    scheduler.runFor(10_000);
    expect([...waiting.keys()]).to.deep.equal([1]);
    expect(scheduler.pending).to.equal(0);
  });
});
