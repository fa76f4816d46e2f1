import { expect } from 'chai';
import { type Adaptive, type Traffic, TrafficWatch } from '../../../drivers/native/traffic.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

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
