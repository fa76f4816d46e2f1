import { expect } from 'chai';
import * as fc from 'fast-check';
import { delay, filter, ignoreElements, map, type MonoTypeOperatorFunction, Observable, Subject, take } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { type Frame, FramePool } from '../../../lib/core/frame.js';
import { layer } from '../../../operators/flow/layer.js';
import { type Pipeline, pipeline } from '../../../operators/flow/pipeline.js';
import { responder } from '../../../operators/flow/responder.js';
import { retain } from '../../../operators/flow/retain.js';
import { where } from '../../../operators/flow/where.js';
import { environment } from '../../../operators/time/environment.js';
import { frameWith, letterOf, letters, marbles, passesOn } from './marbles.js';

type Operator = MonoTypeOperatorFunction<Frame>;

/** Adds to the mark; each subscription counts for itself. */
function adds(n: number): Operator {
  return layer(() => (frame) => {
    frame.mark += n;
    return frame;
  });
}

function passes(): Operator {
  return layer(() => (frame) => frame);
}

/** Writes its name into a list for each packet. */
function logs(list: string[], name: string): Operator {
  return layer(() => (frame) => {
    list.push(`${letterOf(frame)}${name}`);
    return frame;
  });
}

/** A pipeline between a source and a list of what came out. */
class Bed {
  readonly env: Env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
  readonly in$ = new Subject<Frame>();
  readonly out: string[] = [];
  /** The marks of those that came out. */
  readonly marks: number[] = [];

  run(stages: Pipeline<Frame>): this {
    this.in$.pipe(stages).subscribe({
      next: (frame) => {
        this.out.push(letterOf(frame));
        this.marks.push(frame.mark);
      },
      error: (error: Error) => this.out.push(`#${error.message}`),
      complete: () => this.out.push('|'),
    });
    return this;
  }

  /** Sends packets as a driver does: each is released behind its `next`. */
  send(text: string): this {
    for (const letter of text) {
      const frame = frameWith(this.env, letter);
      this.in$.next(frame);
      frame.release();
    }
    return this;
  }
}

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

  describe('changed at run time', () => {
    it('knows its stages by their names', () => {
      const stages = pipeline<Frame>([
        ['a', passes()],
        ['c', passes()],
      ]);
      stages.insertBefore('c', 'b', passes());
      stages.insertAfter('c', 'e', passes());
      stages.insertBefore('a', '0', passes());
      stages.add('f', passes());
      stages.insertAfter('c', 'd', passes());
      expect(stages.names).to.deep.equal(['0', 'a', 'b', 'c', 'd', 'e', 'f']);
      stages.remove('0');
      stages.remove('f');
      stages.replace('a', passes());
      expect(stages.names).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
    });

    it('refuses names that are there, or are not, and what is none, at once and unchanged', () => {
      const stages = pipeline<Frame>([['a', passes()]]);
      const duplicate = 'ERR_DUPLICATE_STAGE';
      const unknown = 'ERR_UNKNOWN_STAGE';
      const wrong = 'ERR_INVALID_OPTION';
      const refused: readonly (readonly [() => unknown, string])[] = [
        [
          () =>
            pipeline<Frame>([
              ['a', passes()],
              ['a', passes()],
            ]),
          duplicate,
        ],
        [() => stages.add('a', passes()), duplicate],
        [() => stages.insertBefore('a', 'a', passes()), duplicate],
        [() => stages.insertAfter('b', 'c', passes()), unknown],
        [() => stages.insertBefore('b', 'c', passes()), unknown],
        [() => stages.remove('b'), unknown],
        [() => stages.replace('b', passes()), unknown],
        [() => stages.add('', passes()), wrong],
        [() => stages.add('a/b', passes()), wrong],
        [() => stages.add('b', 5 as unknown as Operator), wrong],
        [() => stages.replace('a', undefined as unknown as Operator), wrong],
        [() => stages.trace$('tcp or'), 'ERR_BAD_FILTER'],
      ];
      for (const [call, code] of refused) expect(call).to.throw().with.property('code', code);
      expect(stages.names).to.deep.equal(['a']);
    });

    it('loses no packet, and sends each along the stages that there are, as a list does', () => {
      const change = fc.record({
        kind: fc.constantFrom('add', 'before', 'after', 'remove', 'replace', 'send', 'send'),
        which: fc.nat({ max: 30 }),
      });
      fc.assert(
        fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
          const bed = new Bed();
          const stages = pipeline<Frame>([], bed.env);
          bed.run(stages);
          const model: { readonly name: string; id: string }[] = [];
          let list: string[] = [];
          let next = 0;
          for (const { kind, which } of changes) {
            const id = `${next++}`;
            const at = model.length === 0 ? 0 : which % model.length;
            const other = model[at];
            if (kind === 'send') {
              list = [];
              bed.send('p');
              expect(list).to.deep.equal(model.map((stage) => `p${stage.id}`));
              expect(bed.out.splice(0)).to.deep.equal(['p']);
            } else if (kind === 'add' || other === undefined) {
              stages.add(
                id,
                layer(() => (frame) => (list.push(`p${id}`), frame)),
              );
              model.push({ name: id, id });
            } else if (kind === 'remove') {
              stages.remove(other.name);
              model.splice(at, 1);
            } else {
              const operator: Operator = layer(() => (frame) => (list.push(`p${id}`), frame));
              if (kind === 'replace') {
                stages.replace(other.name, operator);
                other.id = id;
              } else if (kind === 'before') {
                stages.insertBefore(other.name, id, operator);
                model.splice(at, 0, { name: id, id });
              } else {
                stages.insertAfter(other.name, id, operator);
                model.splice(at + 1, 0, { name: id, id });
              }
            }
          }
          expect(stages.names).to.deep.equal(model.map(({ name }) => name));
          bed.in$.complete();
          expect(bed.out).to.deep.equal(['|']);
        }),
        { numRuns: 300 },
      );
    });

    it('keeps the state of the stages that are not touched', () => {
      const bed = new Bed();
      const counting: Operator = layer(() => {
        let n = 0;
        return (frame) => {
          frame.mark += 10 * ++n;
          return frame;
        };
      });
      const stages = pipeline<Frame>(
        [
          ['a', adds(1)],
          ['counting', counting],
          ['b', adds(1)],
        ],
        bed.env,
      );
      bed.run(stages).send('a');
      stages.remove('a');
      stages.replace('b', adds(2));
      bed.send('a');
      stages.insertBefore('counting', 'a', adds(5));
      bed.send('a');
      stages.replace('counting', counting);
      bed.send('a');
      expect(bed.marks).to.deep.equal([12, 22, 37, 17]);
      expect(stages.counters()['counting']?.in, 'of the new one').to.equal(1);
    });

    it('is changed from within: a stage removes itself, those around it, and adds others', () => {
      const bed = new Bed();
      const list: string[] = [];
      const stages = pipeline<Frame>(
        [
          ['before', logs(list, '1')],
          ['self', passes()],
          ['after', logs(list, '3')],
          ['last', logs(list, '4')],
        ],
        bed.env,
      );
      stages.replace(
        'self',
        layer(() => (frame) => {
          stages.remove('before');
          stages.remove('after');
          stages.insertAfter('self', 'new', logs(list, 'n'));
          stages.remove('self');
          return frame;
        }),
      );
      bed.run(stages).send('ab');
      expect(list).to.deep.equal(['a1', 'an', 'a4', 'bn', 'b4']);
      expect(bed.out).to.deep.equal(['a', 'b']);
    });

    it('lets a removed stage go what it still holds, behind the place where it was', () => {
      marbles(({ env, rx, scheduler, expectObservable }) => {
        const late = () => retain<Frame>(delay(3, scheduler), env);
        const stages = pipeline<Frame>(
          [
            ['first', adds(1)],
            ['late', late()],
            ['behind', adds(1)],
            ['last', passes()],
          ],
          env,
        );
        scheduler.schedule(() => stages.remove('late'), 3);
        scheduler.schedule(() => stages.remove('behind'), 4);
        const out$ = rx('ab---c-|').pipe(
          stages,
          map((frame) => `${letterOf(frame)}${frame.mark}`),
        );
        expectObservable(out$).toBe('---abc-|', { a: 'a2', b: 'b1', c: 'c1' });
      });
    });

    it('lets a replaced stage go what it still holds, past the new one', () => {
      marbles(({ env, rx, scheduler, expectObservable }) => {
        const stages = pipeline<Frame>([['stage', retain<Frame>(delay(3, scheduler), env)]], env);
        scheduler.schedule(() => stages.replace('stage', adds(7)), 2);
        const out$ = rx('ab---c|').pipe(
          stages,
          map((frame) => `${letterOf(frame)}${frame.mark}`),
        );
        expectObservable(out$).toBe('---abc|', { a: 'a0', b: 'b0', c: 'c7' });
      });
    });

    it('ends behind the last packet that any stage holds', () => {
      marbles(({ env, rx, scheduler, expectObservable }) => {
        const stages = pipeline<Frame>(
          [
            ['a', retain<Frame>(delay(2, scheduler), env)],
            ['b', retain<Frame>(delay(3, scheduler), env)],
          ],
          env,
        );
        expectObservable(rx('ab|').pipe(stages, letters())).toBe('-----a(b|)');
      });
    });

    it('ends when a stage ends, and fails when one fails', () => {
      const bed = new Bed();
      const stages = pipeline<Frame>(
        [
          ['a', passes()],
          ['two', take(2)],
          ['b', passes()],
        ],
        bed.env,
      );
      bed.run(stages).send('abc');
      expect(bed.out).to.deep.equal(['a', 'b', '|']);
      expect(bed.in$.observed).to.equal(false);
      const failing = new Bed();
      const broken: Operator = map(() => {
        throw new Error('mine');
      });
      failing.run(pipeline<Frame>([['broken', broken]], failing.env)).send('a');
      expect(failing.out).to.deep.equal(['#mine']);
      expect(failing.in$.observed).to.equal(false);
    });

    it('goes on where a removed stage was the one that ended', () => {
      const bed = new Bed();
      const stages = pipeline<Frame>([['a', passes()]], bed.env);
      bed.run(stages);
      stages.insertAfter('a', 'b', ignoreElements());
      stages.remove('b');
      bed.send('a');
      expect(bed.out).to.deep.equal(['a']);
    });

    it('leaves nothing when it is left, and all stages with it', () => {
      const bed = new Bed();
      let left = 0;
      const stage: Operator = responder((emit) => ({ next: (frame) => emit(frame), teardown: () => left++ }));
      const endless: Operator = (source) =>
        new Observable((subscriber) => {
          source.subscribe({ next: (frame) => subscriber.next(frame) });
          return () => left++;
        });
      const stages = pipeline<Frame>(
        [
          ['a', stage],
          ['b', endless],
          ['removed', endless],
        ],
        bed.env,
      );
      const subscription = bed.in$.pipe(stages).subscribe();
      stages.remove('removed');
      expect(left).to.equal(0);
      subscription.unsubscribe();
      expect(left).to.equal(3);
      expect(bed.in$.observed).to.equal(false);
    });

    it('has a state for each subscription, and one account', () => {
      const [one, other] = [new Bed(), new Bed()];
      const counting: Operator = layer(() => {
        let n = 0;
        return (frame) => {
          frame.mark = ++n;
          return frame;
        };
      });
      const stages = pipeline<Frame>([['counting', counting]]);
      one.run(stages).send('ab');
      other.run(stages).send('a');
      stages.add('more', adds(10));
      one.send('a');
      other.send('a');
      expect([one.marks, other.marks]).to.deep.equal([
        [1, 2, 13],
        [1, 12],
      ]);
      expect(stages.counters()['counting']?.in).to.equal(5);
    });

    it('does not end before the packet that is on its way has passed', () => {
      const bed = new Bed();
      const stages = pipeline<Frame>(
        [
          ['a', layer(() => (frame) => (bed.in$.complete(), frame))],
          ['b', passes()],
        ],
        bed.env,
      );
      bed.run(stages).send('a');
      expect(bed.out).to.deep.equal(['a', '|']);
    });

    it('counts what comes to a stage that listens no longer', () => {
      const bed = new Bed();
      const deaf: Operator = (source) =>
        new Observable((subscriber) => {
          source.pipe(take(1)).subscribe((frame) => subscriber.next(frame));
        });
      const stages = pipeline<Frame>(
        [
          ['deaf', deaf],
          ['empty', passes()],
        ],
        bed.env,
      );
      bed.run(stages).send('ab');
      expect(bed.out).to.deep.equal(['a']);
      expect(stages.counters()['deaf']).to.deep.include({ passed: 1, none: 1 });
    });
  });
});
