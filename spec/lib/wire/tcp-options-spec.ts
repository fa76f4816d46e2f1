import { expect } from 'chai';
import * as fc from 'fast-check';
import { TcpOptions } from '../../../lib/wire/tcp-options.js';
import { hexBytes } from './frames.js';

function read(bytes: string | Uint8Array, keepUnknown = true): { options: TcpOptions; whole: boolean } {
  const data = typeof bytes === 'string' ? hexBytes(bytes) : bytes;
  const options = new TcpOptions();
  return { whole: options.read(new DataView(data.buffer, data.byteOffset), 0, data.length, keepUnknown), options };
}

function written(options: TcpOptions): string {
  const bytes = new Uint8Array(options.length).fill(0xdb);
  options.write(new DataView(bytes.buffer), 0);
  return Buffer.from(bytes).toString('hex');
}

describe('TcpOptions', () => {
  it('reads the options of a SYN', () => {
    const { options, whole } = read('020405b4 0402080a 00000001 80000000 01030307');
    expect(whole).to.equal(true);
    expect(options).to.include({ mss: 1460, sackPermitted: true, hasTimestamps: true, windowScale: 7, sackCount: 0 });
    expect(options).to.include({ timestampValue: 1, timestampEcho: 0x8000_0000 });
  });

  it('reads SACK blocks, four at most', () => {
    const { options } = read(`0522 ${'00000001 ffffffff'.repeat(4)}`);
    expect(options.sackCount).to.equal(4);
    expect([...options.sackBlocks]).to.deep.equal([1, 0xffff_ffff, 1, 0xffff_ffff, 1, 0xffff_ffff, 1, 0xffff_ffff]);
    expect(read(`052a ${'00000001 ffffffff'.repeat(5)}`).options.sackCount).to.equal(4);
  });

  it('stops at the end option and steps over NOPs (MUST-4)', () => {
    const { options, whole } = read('01 01 020405b4 00 030307');
    expect([whole, options.mss, options.windowScale]).to.deep.equal([true, 1460, -1]);
  });

  it('keeps what came before an option with an impossible length (MUST-7)', () => {
    for (const bad of ['0300', '0301', '03', '0304 07', '080a 0000']) {
      const { options, whole } = read(`020405b4 ${bad}`);
      expect([whole, options.mss, options.windowScale, options.hasTimestamps], bad).to.deep.equal([
        false,
        1460,
        -1,
        false,
      ]);
    }
  });

  it('skips known options of the wrong length (MUST-6)', () => {
    const { options, whole } = read('0203ff 0304ffff 0403ff 0804ffff 0507ffffffffff 020405b4');
    expect(whole).to.equal(true);
    expect(options).to.include({
      mss: 1460,
      windowScale: -1,
      sackPermitted: false,
      hasTimestamps: false,
      sackCount: 0,
    });
  });

  it('keeps unknown options where asked to', () => {
    expect(read('fd04f989').options.unknown).to.deep.equal([{ kind: 253, data: hexBytes('f989') }]);
    expect(read('fd04f989', false).options.unknown).to.deep.equal([]);
  });

  it('forgets the segment before', () => {
    const options = read('020405b4 0402080a 00000001 80000000 01030307 fd02').options;
    options.read(new DataView(new ArrayBuffer(4)), 0, 4);
    expect(options).to.deep.include({
      mss: 0,
      sackPermitted: false,
      hasTimestamps: false,
      windowScale: -1,
      unknown: [],
    });
  });

  it('writes them aligned as Linux does, and pads with zeros (MUST-69)', () => {
    const options = new TcpOptions();
    expect(written(options)).to.equal('');
    options.sackPermitted = true;
    expect(written(options)).to.equal('01010402');
    options.mss = 1460;
    options.windowScale = 7;
    expect(written(options)).to.equal('020405b40101040201030307');
    options.clear();
    options.hasTimestamps = true;
    options.timestampValue = 0xffff_ffff;
    options.sackCount = 1;
    options.sackBlocks.set([1, 0x8000_0000]);
    expect(written(options)).to.equal('0101080affffffff000000000101050a0000000180000000');
    options.clear();
    options.unknown = [{ kind: 253, data: hexBytes('f9') }];
    expect(written(options)).to.equal('fd03f900');
  });

  it('reads back what it writes (MUST-68)', () => {
    const values = fc.record({
      mss: fc.nat(0xffff),
      windowScale: fc.integer({ min: -1, max: 255 }),
      sackPermitted: fc.boolean(),
      times: fc.option(fc.tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff))),
      sack: fc.array(fc.nat(0xffff_ffff), { maxLength: 8 }).filter((edges) => edges.length % 2 === 0),
      unknown: fc.array(fc.record({ kind: fc.integer({ min: 30, max: 255 }), data: fc.uint8Array({ maxLength: 6 }) }), {
        maxLength: 3,
      }),
    });
    fc.assert(
      fc.property(values, ({ mss, windowScale, sackPermitted, times, sack, unknown }) => {
        const options = new TcpOptions();
        Object.assign(options, { mss, windowScale, sackPermitted, sackCount: sack.length / 2, unknown });
        options.sackBlocks.set(sack);
        if (times !== null) {
          options.hasTimestamps = true;
          [options.timestampValue, options.timestampEcho] = times;
        }
        expect(options.length % 4).to.equal(0);
        const again = read(hexBytes(written(options)));
        expect(again.whole).to.equal(true);
        expect(again.options).to.deep.equal(options);
      }),
    );
  });

  it('never throws and never reads beyond the end, on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void read(bytes)));
  });
});
