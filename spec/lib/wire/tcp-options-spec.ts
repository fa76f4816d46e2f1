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

  it('reads Fast Open by its number and as an experiment, with and without a cookie (RFC 7413 4.1.1)', () => {
    const cases = [
      ['2202', 0, false],
      ['220a 0102030405060708', 8, false],
      ['fe04f989', 0, true],
      ['fe08f989 01020304', 4, true],
      ['2204 0102', -1, false],
      ['2207 0102030405', -1, false],
      ['2214 000102030405060708090a0b0c0d0e0f1011', -1, false],
      ['fe04f98a', -1, false],
      ['fe03f9', -1, false],
    ] as const;
    for (const [bytes, length, experimental] of cases) {
      const { options, whole } = read(bytes);
      expect([whole, options.fastOpenLength, options.fastOpenExperimental], bytes).to.deep.equal([
        true,
        length,
        experimental,
      ]);
      if (length > 0) expect([...options.fastOpenCookie.subarray(0, 3)]).to.deep.equal([1, 2, 3]);
    }
  });

  it('writes Fast Open behind all others and fills up with NOPs, as Linux does', () => {
    const options = new TcpOptions();
    options.windowScale = 7;
    options.fastOpenLength = 0;
    expect(written(options)).to.equal('0103030722020101');
    options.fastOpenLength = 8;
    options.fastOpenCookie.set([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(written(options)).to.equal('01030307220a01020304050607080101');
    options.fastOpenExperimental = true;
    expect(written(options)).to.equal('01030307fe0cf9890102030405060708');
  });

  it('reads the option of accurate ECN with any number of fields, and takes the rest for padding (RFC 9768 3.2.3)', () => {
    const cases = [
      ['ac02', 172, []],
      ['ae05 000001', 174, [1]],
      ['ac08 ffffff 000002', 172, [0xff_ffff, 2]],
      ['ac0b 000001 000002 800000', 172, [1, 2, 0x80_0000]],
      ['ae07 000001 0101', 174, [1]],
      ['ae10 000001 000002 000003 0102030405', 174, [1, 2, 3]],
    ] as const;
    for (const [bytes, kind, fields] of cases) {
      const { options, whole } = read(bytes);
      const { accurateEcn } = options;
      expect([whole, accurateEcn.kind, [...accurateEcn.fields.subarray(0, accurateEcn.count)]], bytes).to.deep.equal([
        true,
        kind,
        fields,
      ]);
    }
  });

  it('writes the option of accurate ECN behind the timestamps, with NOPs, as Linux does', () => {
    const options = new TcpOptions();
    options.mss = 1460;
    options.sackPermitted = true;
    options.windowScale = 7;
    options.accurateEcn.kind = 174;
    options.accurateEcn.count = 3;
    options.accurateEcn.fields.set([1, 0x01_0203, 0xff_ffff]);
    expect(written(options)).to.equal('020405b4ae0b000001010203ffffff010101040201030307');
    options.hasTimestamps = true;
    expect(written(options)).to.equal('020405b40402080a0000000000000000ae0b000001010203ffffff0101030307');
    options.clear();
    options.accurateEcn.kind = 172;
    options.accurateEcn.count = 1;
    expect(written(options)).to.equal('ac05000001010101');
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
      cookie: fc.option(fc.array(fc.nat(0xffff), { minLength: 2, maxLength: 3 })),
      experimental: fc.boolean(),
      accurate: fc.option(fc.tuple(fc.boolean(), fc.array(fc.nat(0xff_ffff), { maxLength: 3 }))),
      unknown: fc.array(fc.record({ kind: fc.integer({ min: 60, max: 171 }), data: fc.uint8Array({ maxLength: 6 }) }), {
        maxLength: 3,
      }),
    });
    fc.assert(
      fc.property(
        values,
        ({ mss, windowScale, sackPermitted, times, sack, cookie, experimental, accurate, unknown }) => {
          const options = new TcpOptions();
          Object.assign(options, { mss, windowScale, sackPermitted, sackCount: sack.length / 2, unknown });
          options.sackBlocks.set(sack);
          if (times !== null) {
            options.hasTimestamps = true;
            [options.timestampValue, options.timestampEcho] = times;
          }
          if (cookie !== null) {
            options.fastOpenLength = 2 * cookie.length;
            options.fastOpenExperimental = experimental;
            options.fastOpenCookie.set(new Uint8Array(Uint16Array.from(cookie).buffer));
          }
          if (accurate !== null) {
            options.accurateEcn.kind = accurate[0] ? 172 : 174;
            options.accurateEcn.count = accurate[1].length;
            options.accurateEcn.fields.set(accurate[1]);
          }
          expect(options.length % 4).to.equal(0);
          const again = read(hexBytes(written(options)));
          expect(again.whole).to.equal(true);
          expect(again.options).to.deep.equal(options);
        },
      ),
    );
  });

  it('never throws and never reads beyond the end, on any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void read(bytes)));
  });
});
