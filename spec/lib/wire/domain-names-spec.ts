import { expect } from 'chai';
import * as fc from 'fast-check';
import { readDomainNames, writeDomainNames } from '../../../lib/wire/domain-names.js';
import { hexBytes } from './frames.js';

const read = (bytes: Uint8Array): string[] | undefined =>
  readDomainNames(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);

describe('domain names', () => {
  it('are read and written as DNS has them', () => {
    const bytes = hexBytes('076578616d706c6503636f6d00 016100');
    expect(read(bytes)).to.deep.equal(['example.com', 'a']);
    expect(writeDomainNames(['example.com', 'a.'])).to.deep.equal(bytes);
    expect(read(new Uint8Array(0))).to.deep.equal([]);
  });

  it('end before zeros', () => {
    expect(read(hexBytes('016100 000000'))).to.deep.equal(['a']);
  });

  it('escape what is no letter', () => {
    expect(read(hexBytes('03612e5c00'))).to.deep.equal(['a\\046\\092']);
    expect(writeDomainNames(['a\\046\\092'])).to.deep.equal(hexBytes('03612e5c00'));
  });

  it('are refused where cut, compressed or too long', () => {
    for (const bad of ['0161', '0261', '07', 'c00c00', '40' + '61'.repeat(64) + '00', `${'0161'.repeat(128)}00`]) {
      expect(read(hexBytes(bad)), bad.slice(0, 20)).to.equal(undefined);
    }
    for (const bad of ['', 'a..b', 'x'.repeat(64), Array.from({ length: 128 }, () => 'x').join('.'), 'ŵ', '\\999']) {
      expect(() => writeDomainNames([bad]), bad.slice(0, 20))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(read(writeDomainNames([Array.from({ length: 127 }, () => 'x').join('.')]))).to.have.length(1);
  });

  it('are read back, whatever their bytes', () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.array(label, { minLength: 1, maxLength: 5 }), { maxLength: 4 }), (names) => {
        const bytes = Uint8Array.from(names.flatMap((labels) => [...labels.flatMap((one) => [one.length, ...one]), 0]));
        const text = read(bytes);
        expect(text).to.have.length(names.length);
        expect(writeDomainNames(text ?? [])).to.deep.equal(bytes);
      }),
    );
  });

  it('never throw, on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void read(bytes)));
  });
});
