import { expect } from 'chai';
import * as fc from 'fast-check';
import { Arena, arena, type ArenaPiece } from '../../../lib/core/arena.js';
import { copyBytes } from '../../../lib/core/copy.js';
import { Frame, FramePool } from '../../../lib/core/frame.js';
import { Slab } from '../../../lib/core/slab.js';
import { collectGarbage, frameInArena, giveBack, roomInArena } from './arena-room.js';

const functions = { sum: () => 0, copy: () => 0, sipHash() {} };

/** An arena of ordinary memory. */
const small = (length: number): Arena => new Arena({ buffer: new ArrayBuffer(length) }, functions);

describe('arena', () => {
  const roomMade: ArenaPiece[] = [];

  it('is there: this engine has WebAssembly with vectors', () => {
    expect(arena).to.be.instanceOf(Arena);
  });

  it('hands out pieces that do not overlap, until there are no more', () => {
    const one = small(1000);
    expect([one.take(400), one.take(400), one.take(400), one.take(200), one.take(1)]).to.deep.equal([
      0, 400, -1, 800, -1,
    ]);
  });

  it('hands out again what was given back, joined to what is free around it', () => {
    const one = small(1000);
    expect([one.take(300), one.take(300), one.take(400)]).to.deep.equal([0, 300, 600]);
    one.give(300, 300);
    expect(one.take(400)).to.equal(-1);
    expect(one.take(200)).to.equal(300);
    one.give(0, 300);
    one.give(300, 200);
    one.give(600, 400);
    expect(one.take(1000)).to.equal(0);
  });

  it('never hands out the same memory twice, and loses none, in any order', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 300 })), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (all) => {
        const one = small(1000);
        const taken: ArenaPiece[] = [];
        for (const [gives, length] of all) {
          const back = gives ? taken.splice(length % (taken.length || 1), 1)[0] : undefined;
          if (back !== undefined) one.give(back.at, back.length);
          const at = gives ? -1 : one.take(length);
          if (at < 0) continue;
          expect(at + length).to.be.at.most(1000);
          for (const other of taken) expect(at >= other.at + other.length || at + length <= other.at).to.equal(true);
          taken.push({ at, length });
        }
        for (const { at, length } of taken) one.give(at, length);
        expect(one.take(1000)).to.equal(0);
      }),
    );
  });

  it('takes the pieces of an owner back once it was collected', async () => {
    const one = small(1000);
    const pieces: ArenaPiece[] = [];
    let owner: object | undefined = {};
    one.own(owner, pieces);
    pieces.push({ at: one.take(1000), length: 1000 });
    await collectGarbage();
    expect(one.take(1000)).to.equal(-1);
    expect(owner).to.be.an('object');
    owner = undefined;
    let again = -1;
    for (let i = 0; i < 20 && again < 0; i++) {
      await collectGarbage();
      again = one.take(1000);
    }
    expect(again).to.equal(0);
  });

  it('is where the frames of pools lie, each in a place of its own', async () => {
    // Slabs of 64 frames, of 8 jumbo frames, and of 2 super-segments.
    const lengths = [0x2_0000, 0x2_0000, 0x2_1000, 0x2_1000];
    for (const length of [...lengths, ...lengths]) roomMade.push({ at: await roomInArena(length), length });
    for (const { at, length } of roomMade) arena?.give(at, length);
    const frames = [new FramePool(), new FramePool()].flatMap((pool) =>
      [10, 10, 3000, 60_000, 60_000, 60_000].map((size) => pool.alloc(size)),
    );
    const places = frames.map(({ base, limit }) => ({ base, limit })).sort((a, b) => a.base - b.base);
    for (const frame of frames) expect(frame.slab).to.equal(arena?.slab);
    places.forEach(({ base }, i) => expect(base).to.be.at.least(places[i - 1]?.limit ?? 0));
  });

  it('is not where a frame of its own memory lies', () => {
    expect(Frame.from(new Uint8Array(5)).slab).not.to.equal(arena?.slab);
  });
});

describe('copyBytes', () => {
  const bytes = Uint8Array.from({ length: 9000 }, (_, i) => i % 251);
  const slabOf = (): Slab => new Slab(20_000);
  let first: Frame;
  let second: Frame;

  before(async () => {
    first = await frameInArena(10_000);
    second = await frameInArena(10_000);
  });
  after(() => [first, second].forEach(giveBack));

  for (const length of [0, 1, 15, 16, 17, 64, 100, 1448, 5000, 9000]) {
    it(`copies ${length} bytes, and nothing else, whatever the memory`, () => {
      const inArena = [first, second] as const;
      const same = slabOf();
      const places = [
        inArena,
        [
          { slab: slabOf(), base: 0 },
          { slab: slabOf(), base: 0 },
        ],
        [
          { slab: same, base: 0 },
          { slab: same, base: 10_000 },
        ],
        [inArena[0], { slab: slabOf(), base: 0 }],
      ] as const;
      for (const [from, to] of places) {
        from.slab.bytes.set(bytes, from.base + 3);
        to.slab.bytes.fill(0xee, to.base, to.base + 9100);
        copyBytes(from.slab, from.base + 3, to.slab, to.base + 50, length);
        const expected = new Uint8Array(9100).fill(0xee);
        expected.set(bytes.subarray(0, length), 50);
        expect(Buffer.compare(to.slab.bytes.subarray(to.base, to.base + 9100), expected)).to.equal(0);
      }
    });
  }
});
