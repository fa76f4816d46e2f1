import { expect } from 'chai';
import * as fc from 'fast-check';
import * as e from '../../../lib/ergot/index.js';
import { hex } from './bytes.js';

const wellKnown = (name: string) => `ergot/.well-known/${name}`;
const token = e.u8Array(8);

/** FNV-1a of 64 bits as its definition has it. */
function naive(bytes: Uint8Array): string {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(hash);
  return out.toString('hex');
}

describe('Key', () => {
  const vectors: readonly (readonly [string, e.Schema<unknown>, string])[] = [
    [wellKnown('ping'), e.u32, '595266702593fff0'],
    [wellKnown('seed-router/request'), e.unit, '6499cc48472da50c'],
    [wellKnown('seed-router/refresh'), e.struct({ refresh_net: e.u16, refresh_token: token }), '8c3172d112e7b0a8'],
    [wellKnown('seed-router/release'), e.struct({ release_net: e.u16, refresh_token: token }), '5c9116556bd35e88'],
    [wellKnown('address/claim'), e.struct({ candidate_node_id: e.u8, nonce: e.u64 }), '11a4b63c596a5b01'],
    [wellKnown('address/refresh'), e.struct({ node_id: e.u8, refresh_token: token }), 'a412a1cbb78905ab'],
    [wellKnown('device-info/interrogation'), e.unit, 'a685c3ee1289ad03'],
    [
      wellKnown('device-info'),
      e.struct({ name: e.option(e.string), description: e.option(e.string), unique_id: e.u64 }),
      'cfe2d9d327414dd1',
    ],
    [wellKnown('path-mtu'), e.struct({ path_mtu: e.u16 }), '64f413cdbbb40850'],
    ['topic/yeet', e.u64, '7f01be78e371dc69'],
  ];
  for (const [path, schema, key] of vectors) {
    it(`of ${path} is ${key}`, () => {
      expect(e.topic(path, schema).key.toString()).to.equal(key);
      expect(e.endpoint(path, schema, e.unit).requestKey.toString()).to.equal(key);
      expect(e.endpoint(path, e.unit, schema).responseKey.toString()).to.equal(key);
    });
  }

  it('is FNV-1a over the path and the description of the type', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.uint8Array(), (path, signature) => {
        const key = e.Key.of(path, signature);
        expect(key.toString()).to.equal(naive(Buffer.concat([Buffer.from(path), signature])));
        expect(hex(key.bytes())).to.equal(key.toString());
        expect(key.equals(e.Key.of(path, signature))).to.equal(true);
        expect(key.equals(e.Key.of(`${path}x`, signature))).to.equal(false);
      }),
    );
  });

  it('hashes names with FNV-1a of 32 bits, never to 0', () => {
    expect(e.nameHash('') >>> 0).to.equal(0x811c_9dc5);
    expect(e.nameHash('a') >>> 0).to.equal(0xe40c_292c);
    expect(e.nameHash('foobar') >>> 0).to.equal(0xbf9c_f968);
  });
});

describe('descriptions of types', () => {
  const signatures: readonly (readonly [string, e.Schema<unknown>, string])[] = [
    ['bool', e.bool, '11'],
    ['i8', e.i8, 'c5'],
    ['u8', e.u8, '3d'],
    ['i16', e.i16, '1d'],
    ['i32', e.i32, '0d'],
    ['i64', e.i64, '0b'],
    ['i128', e.i128, '02'],
    ['u16', e.u16, '83'],
    ['u32', e.u32, 'd3'],
    ['u64', e.u64, '13'],
    ['u128', e.u128, '8b'],
    ['usize', e.usize, '6b'],
    ['isize', e.isize, 'ad'],
    ['f32', e.f32, 'ef'],
    ['f64', e.f64, '71'],
    ['char', e.char, 'c1'],
    ['string', e.string, '25'],
    ['bytes', e.bytes, '65'],
    ['option', e.option(e.u8), '6d3d'],
    ['unit', e.unit, '47'],
    ['unit structure', e.unitStruct, 'bf'],
    ['newtype', e.newtype(e.u8), '9d3d'],
    ['sequence', e.seq(e.bool), '0311'],
    ['sequence of u8', e.u8Seq, '033d'],
    ['tuple', e.tuple(e.u8, e.bool), 'a73d11'],
    ['array, a tuple', e.array(e.u8, 3), 'a73d3d3d'],
    ['array of u8', e.u8Array(3), 'a73d3d3d'],
    ['tuple structure', e.tupleStruct(e.u8, e.bool), '053d11'],
    ['map', e.map(e.u8, e.bool), '4f3d11'],
    ['structure', e.struct({ ab: e.u8, c: e.bool }), '7f61623d6311'],
    [
      'enum',
      e.enumeration({
        A: e.unitVariant,
        B: e.newtypeVariant(e.u8),
        C: e.tupleVariant(e.u8, e.bool),
        D: e.structVariant({ x: e.u8 }),
      }),
      'e941b542df3d43c73d114467783d',
    ],
    ['result', e.result(e.u8, e.unit), 'e94f6bdf3d457272df47'],
  ];
  for (const [name, schema, signature] of signatures) {
    it(`say what a ${name} is`, () => expect(hex(schema.signature)).to.equal(signature));
  }
});
