import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DOCUMENTS, filled, tables } from '../../bench/documents.js';

describe('the tables of benchmarks in documents', () => {
  for (const path of DOCUMENTS) {
    it(`in ${path} are those of the checked-in results (npm run bench -- documents)`, () => {
      const text = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
      expect(text).to.match(/<!-- bench /);
      expect(filled(text, tables())).to.equal(text);
    });
  }

  it('are written between their marks, and nothing else is', () => {
    const text = 'a\n<!-- bench one -->\nold\n<!-- /bench -->\nb\n<!-- bench two -->\n<!-- /bench -->\nc';
    const all = new Map([
      ['one', '1'],
      ['two', '2'],
    ]);
    const once = filled(text, all);
    expect(once).to.equal(
      'a\n<!-- bench one -->\n\n1\n\n<!-- /bench -->\nb\n<!-- bench two -->\n\n2\n\n<!-- /bench -->\nc',
    );
    expect(filled(once, all)).to.equal(once);
  });

  it('must be there', () => {
    expect(() => filled('<!-- bench three -->\n<!-- /bench -->', new Map())).to.throw('there is no table three');
  });
});
