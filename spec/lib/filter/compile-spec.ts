import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Frame } from '../../../lib/core/frame.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { compileRules } from '../../../lib/filter/compile.js';
import type { RuleSet } from '../../../lib/filter/model.js';
import { Outcome, type Program } from '../../../lib/filter/program.js';
import { type GeneratedPacket, packets, PREDICATES, ruleSets } from './generators.js';
import { Interpreter, see, type Told } from './interpreter.js';

const VERDICTS = { [Outcome.Accept]: 'accept', [Outcome.Drop]: 'drop', [Outcome.Reject]: 'reject' } as const;

/** A program, and what its rules say about a packet, in the oracle's words. */
class Compiled {
  private readonly program: Program;
  private said: string[] = [];
  now = 0;

  constructor(set: RuleSet) {
    this.program = compileRules(set, {
      predicates: PREDICATES,
      random: new SeededRandom(1),
      context: {
        now: () => this.now,
        wallTime: () => this.now,
        log: ({ chain, number }, prefix) => this.said.push(`${chain} #${number} logs ${prefix}`),
      },
    });
    // Every count is told in its turn, too.
    const { program } = this;
    program.count = (rule) => {
      const info = program.infos[rule];
      this.said.push(`${info?.chain} #${info?.number} counts`);
    };
  }

  tell(frame: Frame): Told | undefined {
    this.said = [];
    if (!this.program.read(frame, frame.network)) return undefined;
    const verdict = VERDICTS[this.program.decide()];
    return { verdict, said: this.said };
  }
}

function compare(set: RuleSet, row: readonly GeneratedPacket[]): number {
  const compiled = new Compiled(set);
  const interpreter = new Interpreter(set, PREDICATES);
  let sound = 0;
  for (const packet of row) {
    compiled.now += packet.after;
    interpreter.now = compiled.now;
    const [ours, theirs] = [packet.frame(), packet.frame()];
    const seen = see(theirs, Math.floor(compiled.now / 1000));
    const expected = seen === undefined ? undefined : interpreter.tell(seen);
    expect(compiled.tell(ours), packet.text).to.deep.equal(expected);
    expect(ours.mark >>> 0).to.equal(theirs.mark >>> 0);
    if (expected !== undefined) sound++;
  }
  return sound;
}

describe('compiled rules', () => {
  it('say of each packet what a naive interpreter says, in the same order: 1,000 sets of rules', function () {
    this.timeout(120_000);
    let sound = 0;
    fc.assert(
      fc.property(ruleSets(12), fc.array(packets, { minLength: 1, maxLength: 20, size: 'max' }), (set, row) => {
        sound += compare(set, row);
      }),
      { numRuns: 1000 },
    );
    expect(sound).to.be.greaterThan(5000);
  });

  it('do so where there are many of them', function () {
    this.timeout(120_000);
    fc.assert(
      fc.property(ruleSets(300), fc.array(packets, { minLength: 30, maxLength: 40, size: 'max' }), (set, row) => {
        compare(set, row);
      }),
      { numRuns: 30 },
    );
  });
});
