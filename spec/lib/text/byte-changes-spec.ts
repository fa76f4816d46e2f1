import { expect } from 'chai';
import * as fc from 'fast-check';
import type { Device } from '../../../lib/core/device.js';
import { Frame, NOT_PARSED } from '../../../lib/core/frame.js';
import { type ByteChange, byteChanges, type PacketSnapshot, snapshotOf } from '../../../lib/text/byte-changes.js';

/** Makes the changes, one after the other. */
function changed(before: Uint8Array, changes: readonly ByteChange[]): number[] {
  const out: number[] = [];
  let at = 0;
  for (const { offset, before: cut, after } of changes) {
    out.push(...before.slice(at, offset), ...after);
    expect(Array.from(before.slice(offset, offset + cut.length))).to.deep.equal([...cut]);
    at = offset + cut.length;
  }
  return [...out, ...before.slice(at)];
}

const snapshot: fc.Arbitrary<PacketSnapshot> = fc
  .tuple(fc.integer({ min: 80, max: 120 }), fc.uint8Array({ maxLength: 40, max: 2 }))
  .map(([at, bytes]) => ({ at, bytes, linkType: 'ip' }));

describe('byteChanges', () => {
  it('are what makes one packet of the other', () => {
    fc.assert(
      fc.property(snapshot, snapshot, (before, after) => {
        expect(changed(before.bytes, byteChanges(before, after))).to.deep.equal([...after.bytes]);
      }),
      { numRuns: 2000 },
    );
  });

  it('are none of what stays', () => {
    fc.assert(
      fc.property(snapshot, (same) => {
        expect(byteChanges(same, { ...same })).to.deep.equal([]);
      }),
    );
  });

  const bytes = (...list: number[]) => Uint8Array.from(list);
  const at = (place: number, ...list: number[]): PacketSnapshot => ({
    at: place,
    bytes: bytes(...list),
    linkType: 'ip',
  });

  it('tell what was written over, put in front or behind, and cut off', () => {
    expect(byteChanges(at(5, 1, 2, 3, 4), at(5, 1, 9, 8, 4))).to.deep.equal([
      { offset: 1, before: bytes(2, 3), after: bytes(9, 8) },
    ]);
    expect(byteChanges(at(5, 1, 2), at(3, 7, 8, 1, 2))).to.deep.equal([
      { offset: 0, before: bytes(), after: bytes(7, 8) },
    ]);
    expect(byteChanges(at(5, 1, 2, 3), at(6, 2, 3, 4))).to.deep.equal([
      { offset: 0, before: bytes(1), after: bytes() },
      { offset: 3, before: bytes(), after: bytes(4) },
    ]);
    expect(byteChanges(at(5, 1, 2, 3, 4), at(5, 9, 2, 9))).to.deep.equal([
      { offset: 0, before: bytes(1), after: bytes(9) },
      { offset: 2, before: bytes(3), after: bytes(9) },
      { offset: 3, before: bytes(4), after: bytes() },
    ]);
  });

  it('are between copies: what is done to the frame later does not matter', () => {
    const frame = Frame.from(bytes(1, 2, 3, 4));
    const before = snapshotOf(frame, false);
    frame.slab.bytes[frame.start + 1] = 9;
    frame.start += 1;
    expect(byteChanges(before, snapshotOf(frame, false))).to.deep.equal([
      { offset: 0, before: bytes(1), after: bytes() },
      { offset: 1, before: bytes(2), after: bytes(9) },
    ]);
  });

  it('are of the whole packet that a view is of, and of the range of a bare frame', () => {
    const frame = Frame.from(new Uint8Array(60));
    frame.link = frame.start;
    frame.network = frame.start += 14;
    frame.end -= 6;
    expect(snapshotOf(frame, true)).to.deep.include({ at: frame.link, linkType: 'ethernet' });
    expect(snapshotOf(frame, true).bytes.length).to.equal(60);
    expect(snapshotOf(frame, false)).to.deep.include({ at: frame.start, linkType: 'ip' });
    expect(snapshotOf(frame, false).bytes.length).to.equal(40);
    frame.link = frame.network = NOT_PARSED;
    expect(snapshotOf(frame, true).linkType).to.equal('ethernet');
    frame.device = { medium: 'ip' } as Device;
    expect(snapshotOf(frame, true).linkType).to.equal('ip');
  });
});
