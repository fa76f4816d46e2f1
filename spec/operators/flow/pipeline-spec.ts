import { expect } from 'chai';
import * as fc from 'fast-check';
import { filter, type Subscription, tap } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { type Frame } from '../../../lib/core/frame.js';
import { layer } from '../../../operators/flow/layer.js';
import { pipeline } from '../../../operators/flow/pipeline.js';
import { responder } from '../../../operators/flow/responder.js';
import { where } from '../../../operators/flow/where.js';
import { frameWith, letterOf, passesOn } from './marbles.js';
import { adds, Bed, logs, type Operator, passes } from './pipeline-bed.js';

describe('pipeline', () => {
  passesOn((env) => pipeline([], env));
  passesOn((env) =>
    pipeline(
      [
        ['a', passes()],
        ['b', passes()],
      ],
      env,
    ),
  );

  it('hands each packet from stage to stage, in their order, and forth', () => {
    const bed = new Bed();
    const list: string[] = [];
    bed
      .run(
        pipeline(
          [
            ['1', logs(list, '1')],
            ['2', logs(list, '2')],
            ['3', logs(list, '3')],
          ],
          bed.env,
        ),
      )
      .send('ab');
    expect(list).to.deep.equal(['a1', 'a2', 'a3', 'b1', 'b2', 'b3']);
    expect(bed.out).to.deep.equal(['a', 'b']);
  });

  it('has 999 stages, and a stack that is no deeper for it', () => {
    const bed = new Bed();
    const stages = pipeline<Frame>([], bed.env);
    const depths: number[] = [];
    const limit = Error.stackTraceLimit;
    for (let i = 0; i < 999; i++) {
      stages.add(
        `${i}`,
        i === 0 || i === 998
          ? layer(() => (frame) => {
              Error.stackTraceLimit = 10_000;
              depths.push(new Error('depth').stack?.split('\n').length ?? 0);
              Error.stackTraceLimit = limit;
              frame.mark++;
              return frame;
            })
          : adds(1),
      );
    }
    bed.run(stages).send('ab');
    expect(bed.marks).to.deep.equal([999, 999]);
    expect(stages.names.length).to.equal(999);
    expect(depths[0]).to.be.above(0);
    expect(depths[1]).to.equal(depths[0]);
    expect(stages.counters()['500']).to.deep.include({ in: 2, passed: 2, out: 2 });
    bed.in$.complete();
    expect(bed.out).to.deep.equal(['a', 'b', '|']);
  });

  it('may be a stage, at any depth', () => {
    const bed = new Bed();
    let nested = pipeline<Frame>([['one', adds(1)]], bed.env);
    for (let i = 0; i < 50; i++)
      nested = pipeline(
        [
          ['one', adds(1)],
          ['inner', nested],
          ['two', adds(1)],
        ],
        bed.env,
      );
    bed.run(nested).send('a');
    expect(bed.marks).to.deep.equal([101]);
    expect(nested.counters()['inner/inner/two']).to.deep.include({ in: 1, out: 1 });
  });

  describe('verdicts', () => {
    const spare = (): Operator => responder((emit) => ({ next: (frame) => emit(frame) }));

    const verdicts: Readonly<Record<string, (env: Env) => Operator>> = {
      passed: passes,
      dropped: (env) => where(() => false, DropReason.RateLimited, env),
      taken: (env) =>
        layer<Frame, Frame>(() => (frame) => {
          env.drops.deliver(frame);
          return undefined;
        }),
      none: () => filter(() => false),
      held: () =>
        responder(() => {
          const kept: Frame[] = [];
          return {
            next: (frame) => kept.push(frame.retain()),
            teardown: () => kept.forEach((frame) => frame.release()),
          };
        }),
    };
    for (const [verdict, operator] of Object.entries(verdicts)) {
      it(`are counted: ${verdict}`, () => {
        const bed = new Bed();
        const stages = pipeline<Frame>(
          [
            ['first', spare()],
            ['stage', operator(bed.env)],
            ['last', passes()],
          ],
          bed.env,
        );
        bed.run(stages).send('ab');
        const zero = { in: 2, passed: 0, dropped: 0, taken: 0, held: 0, none: 0, out: 0 };
        const out = verdict === 'passed' ? 2 : 0;
        expect(stages.counters()['stage']).to.deep.equal({ ...zero, [verdict]: 2, out });
        expect(stages.counters()['last']?.in).to.equal(out);
        expect(bed.out.length).to.equal(out);
        bed.in$.complete();
        expect(bed.env.pool.outstanding).to.equal(0);
      });
    }

    it('are asked for: a packet that vanishes without a word is an error of its stage', () => {
      const bed = new Bed();
      const seen: string[] = [];
      bed.env.drops.observe(({ reason, operator }) => seen.push(`${operator} ${reason === DropReason.NoVerdict}`));
      bed.run(pipeline<Frame>([['quiet', filter(() => false)]], bed.env)).send('a');
      expect(seen).to.deep.equal(['quiet true']);
      expect(bed.env.drops.toJSON()).to.deep.equal({ 'no-verdict': 1 });
    });

    it('blame no stage where the pipeline is left in the middle of a packet', () => {
      for (const [when, leaving] of [
        ['before', (leave: () => void): Operator => tap(leave)],
        ['behind', (leave: () => void): Operator => passesAndThen(leave)],
      ] as const) {
        const bed = new Bed();
        const seen: string[] = [];
        bed.env.drops.observe(({ operator }) => seen.push(operator));
        const running: Subscription[] = [];
        const stages = pipeline<Frame>(
          [
            ['a', leaving(() => running[0]?.unsubscribe())],
            ['b', passes()],
          ],
          bed.env,
        );
        running.push(bed.in$.pipe(stages).subscribe());
        bed.send('a');
        expect(seen).to.deep.equal([when === 'before' ? 'a' : 'b']);
        expect(bed.env.drops.toJSON()).to.deep.equal({ disposed: 1 });
        expect(stages.counters()[when === 'before' ? 'a' : 'b']).to.deep.include({ dropped: 1, none: 0 });
      }
    });

    it('are one for each packet: what was dropped goes no further, though it is passed on', () => {
      const bed = new Bed();
      const torn: Operator = layer(() => (frame) => {
        bed.env.drops.report(DropReason.Filtered, frame, 'torn');
        return frame;
      });
      const stages = pipeline<Frame>(
        [
          ['torn', torn],
          ['last', passes()],
        ],
        bed.env,
      );
      bed.run(stages).send('a');
      expect(bed.out).to.deep.equal([]);
      expect(stages.counters()['torn']).to.deep.include({ dropped: 1, passed: 0, out: 0 });
      expect(bed.env.drops.toJSON()).to.deep.equal({ filtered: 1 });
    });

    it('of a packet that was told the end of before are not told again', () => {
      const bed = new Bed();
      const stages = pipeline<Frame>(
        [['stage', where((frame) => letterOf(frame) === 'a', undefined, bed.env)]],
        bed.env,
      );
      bed.run(stages);
      for (const letter of 'ab') {
        const frame = frameWith(bed.env, letter);
        bed.env.drops.deliver(frame);
        bed.in$.next(frame);
        frame.release();
      }
      expect(bed.out).to.deep.equal(['a']);
      expect(stages.counters()['stage']).to.deep.include({ passed: 1, dropped: 1, none: 0 });
    });

    it('of a packet that another takes the place of is: taken', () => {
      const bed = new Bed();
      const doubles: Operator = responder((emit) => ({
        next: () => {
          for (const letter of 'xy') {
            const other = frameWith(bed.env, letter);
            emit(other);
            other.release();
          }
        },
      }));
      const stages = pipeline<Frame>(
        [
          ['doubles', doubles],
          ['last', adds(3)],
        ],
        bed.env,
      );
      bed.run(stages).send('a');
      expect(bed.out).to.deep.equal(['x', 'y']);
      expect(bed.marks).to.deep.equal([3, 3]);
      expect(stages.counters()['doubles']).to.deep.include({ in: 1, taken: 1, out: 2 });
    });

    it('keep the order of what a stage emits, the same packet twice among it', () => {
      const bed = new Bed();
      const stage: Operator = responder((emit) => ({
        next: (frame) => {
          emit(frame);
          const other = frameWith(bed.env, 'x');
          emit(other);
          other.release();
          emit(frame);
          emit(frame);
        },
      }));
      const stages = pipeline<Frame>(
        [
          ['stage', stage],
          ['last', passes()],
        ],
        bed.env,
      );
      bed.run(stages).send('a');
      expect(bed.out).to.deep.equal(['a', 'x', 'a', 'a']);
      expect(stages.counters()['last']?.in).to.equal(4);
      expect(stages.counters()['stage']).to.deep.include({ in: 1, passed: 1, out: 4 });
    });

    it('add up, whatever the stages do', () => {
      const kinds = Object.keys(verdicts);
      fc.assert(
        fc.property(
          fc.array(fc.array(fc.constantFrom(...kinds), { minLength: 20, maxLength: 20 }), { maxLength: 6 }),
          (plans) => {
            const bed = new Bed();
            let sent = 0;
            const kept: Frame[] = [];
            const planned = (plan: readonly string[]): Operator =>
              layer(() => (frame) => {
                const { drops } = bed.env;
                switch (plan[letterOf(frame).charCodeAt(0) % plan.length]) {
                  case 'dropped':
                    return drops.report(DropReason.Filtered, frame);
                  case 'taken':
                    drops.deliver(frame);
                    return undefined;
                  case 'held':
                    kept.push(frame.retain());
                    return undefined;
                  case 'none':
                    return undefined;
                  default:
                    return frame;
                }
              });
            const stages = pipeline<Frame>(
              plans.map((plan, i) => [`${i}`, planned(plan)]),
              bed.env,
            );
            bed.run(stages);
            for (; sent < 20; sent++) bed.send(String.fromCharCode(65 + sent));
            const { drops } = bed.env;
            expect(bed.out.length + drops.total + drops.delivered + kept.length).to.equal(20);
            let before = 20;
            for (const { in: came, passed, dropped, taken, held, none, out } of Object.values(stages.counters())) {
              expect(came).to.equal(before);
              expect(passed + dropped + taken + held + none).to.equal(came);
              before = out;
            }
            expect(before).to.equal(bed.out.length);
          },
        ),
        { numRuns: 200 },
      );
    });
  });
});

/** Passes each packet on, and calls a function when that is done. */
function passesAndThen(call: () => void): Operator {
  return responder((emit) => ({
    next(frame) {
      emit(frame);
      call();
    },
  }));
}
