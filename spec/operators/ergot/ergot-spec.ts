import { expect } from 'chai';
import { link } from '../../../drivers/link.js';
import { FramePool } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot } from '../../../operators/ergot/ergot.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { FlatProfile } from '../../lib/ergot/flat-profile.js';

const ping = e.endpoint('ergot/.well-known/ping', e.u32, e.u32);

function pair() {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const {
    ends: [left, right],
  } = link({ medium: 'ergot' }, env);
  const a = ergot(new FlatProfile(1), {}, env);
  const b = ergot(new FlatProfile(2), {}, env);
  a.plug(left);
  b.plug(right);
  return { scheduler, env, a, b };
}

describe('ergot()', () => {
  it('asks and answers over a link', () => {
    const { scheduler, env, a, b } = pair();
    a.serve(ping).subscribe((request) => request.answer(request.value + 1));
    const heard: unknown[] = [];
    b.request(ping, e.parseNetAddress('1.1:1'), 41).subscribe(({ value }) => heard.push(value));
    b.request(ping, e.parseNetAddress('1.1:0'), 42).subscribe({
      next: ({ value }) => heard.push(value),
      complete: () => heard.push('done'),
    });
    scheduler.run();
    expect(heard).to.deep.equal([42, 43, 'done']);
    a.dispose();
    b.dispose();
    expect([env.pool.outstanding, scheduler.pending]).to.deep.equal([0, 0]);
  });
});
