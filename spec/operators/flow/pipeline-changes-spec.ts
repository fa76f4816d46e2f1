import { expect } from 'chai';
import * as fc from 'fast-check';
import { delay, ignoreElements, map, Observable, take } from 'rxjs';
import { type Frame } from '../../../lib/core/frame.js';
import { layer } from '../../../operators/flow/layer.js';
import { pipeline } from '../../../operators/flow/pipeline.js';
import { responder } from '../../../operators/flow/responder.js';
import { retain } from '../../../operators/flow/retain.js';
import { letterOf, letters, marbles } from './marbles.js';
import { adds, Bed, logs, type Operator, passes } from './pipeline-bed.js';

describe('a pipeline that is changed at run time', () => {
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
