/** Runs the scripts of this directory: each is a test, named by its first comment. */

import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { survivors } from '../../operators/testing/packetdrill/mutate.js';
import { definesFor, modesOf, packetdrill, profileOf } from '../../operators/testing/packetdrill/packetdrill.js';
import { parseScript } from '../../operators/testing/packetdrill/parser.js';
import { resultText } from '../../operators/testing/packetdrill/result.js';

const ROOT = import.meta.dirname;

/** The first comment of a script that is not about how to run it. */
function titleOf(text: string): string {
  const comments = text.split('\n').flatMap((line) => /^\/\/\s*(.*?)\s*$/.exec(line)?.[1] ?? []);
  return comments.find((comment) => !comment.startsWith('profile:')) ?? '';
}

const scripts = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.pkt'))
  .sort();

describe('the scripts', () => {
  for (const name of scripts) {
    const text = readFileSync(join(ROOT, name), 'utf8');
    it(`${name}: ${titleOf(text)}`, () => {
      expect(titleOf(text), 'a first comment that says what the script shows').to.not.equal('');
      const results = packetdrill(text, { name });
      expect(results.filter(({ ok }) => !ok).map(resultText)).to.deep.equal([]);
    });

    it(`${name}: no mutant passes`, () => {
      const [mode = 'ipv4'] = modesOf({
        name,
        options: parseScript(text, { name, defines: definesFor('ipv4') }).options,
      });
      const script = parseScript(text, { name, defines: definesFor(mode) });
      const left = survivors(script, { mode, profile: profileOf(text), strict: false });
      expect(left.map(({ change }) => change)).to.deep.equal([]);
    });
  }
});
