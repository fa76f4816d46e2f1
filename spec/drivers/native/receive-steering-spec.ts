import { expect } from 'chai';
import * as fc from 'fast-check';
import { checkProcessors, maskOf, processorsIn, processorsOf } from '../../../drivers/native/receive-steering.js';

describe('sets of processors', () => {
  it('are masks of hexadecimal digits, 32 processors a group, the highest first', () => {
    expect(maskOf([])).to.equal('00000000');
    expect(maskOf([0])).to.equal('00000001');
    expect(maskOf([0, 1, 31])).to.equal('80000003');
    expect(maskOf([32, 0, 1])).to.equal('00000001,00000003');
    expect(maskOf([64])).to.equal('00000001,00000000,00000000');
  });

  it('are read however wide the kernel writes them', () => {
    expect(processorsOf('0\n')).to.deep.equal([]);
    expect(processorsOf('3\n')).to.deep.equal([0, 1]);
    expect(processorsOf('00,80000001\n')).to.deep.equal([0, 31]);
    expect(processorsOf('1,00000000\n')).to.deep.equal([32]);
  });

  it('are the same when they are read back', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(1000)), (processors) => {
        expect(processorsOf(maskOf(processors))).to.deep.equal([...processors].sort((a, b) => a - b));
      }),
    );
  });

  it('are lists of ranges, too', () => {
    expect(processorsIn('0\n')).to.deep.equal([0]);
    expect(processorsIn('0-3,5,8-9\n')).to.deep.equal([0, 1, 2, 3, 5, 8, 9]);
  });

  it('are numbers that processors may have, or have a name', () => {
    for (const good of [undefined, 'none', 'all', 'readers', 'adaptive', [], [0], [8191]] as const)
      expect(() => checkProcessors(good)).not.to.throw();
    for (const wrong of ['some', [-1], [0.5], [8192], [Number.NaN], ['0'], 3] as unknown[]) {
      expect(() => checkProcessors(wrong as []))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
