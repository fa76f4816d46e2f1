import { expect } from 'chai';
import { tableOf } from '../../../cli/router/views.js';

describe('rows as a table', () => {
  it('has columns as wide as what is in them: numbers to the right, words to the left', () => {
    expect(
      tableOf([
        { name: 'lan', packets: 12_345 },
        { name: 'dsl-line', packets: 7 },
      ]),
    ).to.equal('name      packets\nlan        12,345\ndsl-line        7\n');
    expect(tableOf([])).to.equal('none\n');
  });

  it('has as many rows as there are sessions in a full table', () => {
    const rows = Array.from({ length: 262_144 }, (_, flow) => ({ flow }));
    const lines = tableOf(rows).split('\n');
    expect(lines).to.have.lengthOf(262_146);
    expect(lines.slice(0, 2)).to.deep.equal(['   flow', '      0']);
  });
});
