import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import { forBothVersions } from '../../../both-versions.js';
import { type Block, block, full, Lossy, MSS, RTT, upTo } from './lossy.js';

const SEQUENTIAL = { rack: false, tlp: false } as const;

forBothVersions('SACK-based recovery (RFC 6675)', ({ version }) => {
  for (const [what, blocks, lost] of [
    ['two segments are not enough', [block(2, 4)], []],
    ['more bytes than fit into two segments', [block(2, 5)], [1, 1001]],
    ['three blocks', [block(1, 2), block(3, 4), block(5, 6)], [1]],
    ['two blocks', [block(1, 2), block(3, 4)], []],
    ['a hole with two above it is none yet', [block(1, 3), block(4, 6)], [1]],
  ] as const) {
    it(`a segment is lost by what arrived above it: ${what} (6675-1, GT-76)`, () => {
      const lossy = new Lossy(version, SEQUENTIAL);
      lossy.write(10);
      for (let i = 1; i <= blocks.length; i++) lossy.ack(1, blocks.slice(0, i).toReversed());
      expect(lossy.which('lost')).to.deep.equal(lost);
      lossy.end();
    });
  }

  it('what was known to be lost far behind hides no loss', () => {
    for (const behind of [1, 2 ** 31, 3 * 2 ** 30]) {
      const lossy = new Lossy(version, SEQUENTIAL);
      const { known } = lossy.c.recovery;
      lossy.write(10);
      known.hasLostEdge = true;
      known.lostEdge = (lossy.c.snd.una - behind) | 0;
      lossy.ack(1, [block(2, 5)]);
      expect(lossy.which('lost'), `${behind} bytes`).to.deep.equal([1, 1001]);
      lossy.end();
    }
  });

  it('small segments count by blocks, and by duplicates for the first (6675-1, GT-76)', () => {
    const lossy = new Lossy(version, SEQUENTIAL);
    lossy.c.setNoDelay(true);
    for (let i = 0; i < 10; i++) lossy.write(1, 100);
    lossy.ack(1, [[201, 301]]);
    lossy.ack(1, [
      [401, 501],
      [201, 301],
    ]);
    expect(lossy.which('lost')).to.deep.equal([]);
    const again = lossy.ack(1, [
      [601, 701],
      [401, 501],
      [201, 301],
    ]);
    expect(again, 'the other holes have fewer above them').to.deep.equal(['1:201(200)']);
    expect(lossy.which('lost')).to.deep.equal([1]);
    lossy.end();
  });

  it('sends what is lost, then what is new, then what may be lost, then the end again; never beyond the window (6675-2)', () => {
    const lossy = new Lossy(version, { ...SEQUENTIAL, prr: false });
    expect(lossy.write(10)).to.deep.equal(full(0, 10));
    // The first is lost; of the others the seventh is late, as far as is known, and the last two.
    expect(lossy.ack(1, [block(1, 6)]), 'a window of five, four in flight').to.deep.equal(full(0, 1));
    expect(lossy.c.sent.pipe).to.equal(5 * MSS);
    lossy.c.write(new Uint8Array(MSS));
    expect(lossy.ranges(), 'cwnd - pipe is less than a segment').to.deep.equal([]);
    expect(lossy.ack(1, [block(7, 8), block(1, 6)]), 'rule 2').to.deep.equal(full(10, 11));
    expect(lossy.ack(1, [block(7, 9), block(1, 6)]), 'rule 3').to.deep.equal(full(6, 7));
    expect(lossy.ack(1, [block(7, 10), block(1, 6)]), 'rule 4').to.deep.equal(full(10, 11));
    expect(lossy.ack(1, [block(7, 11), block(1, 6)]), 'once').to.deep.equal([]);
    lossy.end();
  });

  it('sends the end of a flight on suspicion once, not also what follows it (6675-2)', () => {
    const lossy = new Lossy(version, SEQUENTIAL);
    lossy.write(10);
    lossy.wait(RTT);
    expect(lossy.ack(1, [block(1, 9)])).to.deep.equal([...full(0, 1), ...full(9, 10)]);
    expect(lossy.write(1)).to.deep.equal(full(10, 11));
    expect(lossy.ack(1, [block(1, 9)])).to.deep.equal([]);
    lossy.end();
  });

  it('recovers once for a flight, and not again for what was sent before (6675-3, GT-77)', () => {
    const lossy = new Lossy(version, SEQUENTIAL);
    lossy.write(10);
    lossy.ack(1, [block(1, 4)]);
    const { ssthresh } = lossy.c.congestion;
    lossy.ack(1, [block(5, 10), block(1, 4)]);
    expect(lossy.which('lost')).to.deep.equal([1, upTo(4)]);
    lossy.ack(upTo(4), [block(5, 10)]);
    expect(lossy.c.recovery.state).to.equal('recovery');
    expect([lossy.c.congestion.ssthresh, lossy.dut.host.counters.fastRetransmits]).to.deep.equal([ssthresh, 1]);
    lossy.ack(upTo(10));
    expect(lossy.c.recovery.state).to.equal('open');
    expect(lossy.c.congestion.cwnd).to.equal(ssthresh);
    lossy.end();
  });

  it('the head is sent again as soon as it is lost, however few duplicates there were (GT-77)', () => {
    const lossy = new Lossy(version, SEQUENTIAL);
    lossy.write(10);
    expect(lossy.ack(1, [block(1, 9)])).to.include(full(0, 1)[0]);
    lossy.end();
  });

  for (const rack of [true, false]) {
    it(`a timeout forgets what was selectively acknowledged: all of it may be sent again, ${rack ? 'with' : 'without'} RACK (2018-2, 6675-3)`, () => {
      const lossy = new Lossy(version, { rack, tlp: false, frto: false });
      lossy.write(4);
      lossy.ack(1, [block(2, 4)]);
      expect(lossy.which('sacked')).to.deep.equal([upTo(2), upTo(3)]);
      expect(lossy.wait(500)).to.include(full(0, 1)[0]);
      expect(lossy.which('sacked')).to.deep.equal([]);
      lossy.ack(upTo(1));
      const again = [...lossy.ranges(), ...lossy.ack(upTo(2)), ...lossy.ack(upTo(3))];
      expect(again.at(-1)).to.equal(full(3, 4)[0]);
      lossy.ack(upTo(4));
      expect(lossy.c.unacknowledgedBytes).to.equal(0);
      lossy.end();
    });
  }

  it('what was forgotten counts as delivered once only (2018-2)', () => {
    const lossy = new Lossy(version, { tlp: false, frto: false });
    lossy.write(4);
    lossy.ack(1, [block(2, 4)]);
    lossy.wait(500);
    lossy.ack(upTo(1), [block(2, 4)]);
    expect(lossy.dut.host.delivery.bytes).to.equal(MSS);
    lossy.ack(upTo(4));
    expect(lossy.dut.host.delivery.bytes).to.equal(MSS);
    lossy.end();
  });

  it('a peer that took back what it had is sent it again, soon (2018-2)', () => {
    const lossy = new Lossy(version, { tlp: false });
    lossy.write(10);
    lossy.wait(50);
    lossy.ack(1, [block(1, 3)]);
    lossy.ack(upTo(1));
    expect(lossy.which('sacked'), 'kept until acknowledged').to.deep.equal([upTo(1), upTo(2)]);
    expect(lossy.times(60)[0]?.[1]).to.equal(full(1, 2)[0]);
    expect(lossy.which('sacked')).to.deep.equal([]);
    lossy.end();
  });

  it('never sends again what was selectively acknowledged (2018-1)', () => {
    const lossy = new Lossy(version);
    lossy.write(10);
    lossy.wait(100);
    const again = lossy.ack(1, [block(1, 3), block(5, 10)]);
    again.push(...lossy.ack(upTo(3), [block(5, 10)]), ...lossy.ack(upTo(4), [block(5, 10)]));
    expect(again.sort()).to.deep.equal([...full(0, 1), ...full(3, 5)]);
    lossy.end();
  });

  it('looks at no block of what was never sent, is in order, is empty or is reversed', () => {
    const lossy = new Lossy(version);
    lossy.write(4);
    for (const bad of [
      [4001, 9001],
      [1, 1001],
      [2001, 2001],
      [3001, 2001],
      [5001, 6001],
      [-1e9, 4001],
    ] as const) {
      lossy.ack(1, [block(2, 3), bad]);
    }
    expect(lossy.which('sacked')).to.deep.equal([upTo(2)]);
    lossy.ack(1, [block(3, 4), [1501, 2501], [2501, 3001]]);
    expect(lossy.which('sacked'), 'parts of segments are nothing').to.deep.equal([upTo(2), upTo(3)]);
    lossy.end();
  });

  it('survives thousands of blocks that jump about a large flight', () => {
    const lossy = new Lossy(version, { initialWindow: 2000, sendBuffer: 1 << 21, windowScaling: false });
    lossy.c.snd.wnd = lossy.c.snd.maxWnd = 1 << 21;
    lossy.c.write(new Uint8Array(2000 * MSS));
    lossy.ranges();
    for (let i = 0; i < 600; i++) {
      const at = (i * 617) % 1990;
      lossy.ack(
        1,
        [block(at + 1, at + 2), block(1 + (at % 7), 2 + (at % 7)), block(1990 - (at % 100), 1991 - (at % 100))],
        {
          win: 65535,
        },
      );
    }
    expect(lossy.c.sent.sackedCount).to.be.greaterThan(600);
    lossy.end();
  });

  it('agrees with a plain set of what some block covered', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = new SeededRandom(seed);
        const count = 60;
        const lossy = new Lossy(version, { ...SEQUENTIAL, initialWindow: 400 });
        lossy.c.write(new Uint8Array(count * MSS));
        const known = new Set<number>();
        let una = 0;
        for (let step = 0; step < 40 && una < count; step++) {
          if (random.below(4) === 0) una = nextHole(known, Math.min(count, una + random.below(4)));
          const blocks = Array.from({ length: 1 + random.below(3) }, (): Block => {
            const left = upTo(una) + 1 + random.below((count - una) * MSS);
            return [left, left + random.below(12) * 500];
          });
          lossy.ack(upTo(una), blocks);
          for (const [left, right] of blocks.slice(reportsDuplicate(blocks) ? 1 : 0))
            cover(known, left, right, una, count);
          // A peer that had the first would have acknowledged it.
          if (known.has(una)) break;
          const expected = [...known].filter((i) => i >= una).sort((a, b) => a - b);
          expect(lossy.which('sacked')).to.deep.equal(expected.map(upTo));
          expect(lossy.c.sent).to.include({ sackedCount: expected.length, sackedBytes: expected.length * MSS });
        }
        lossy.end();
      }),
      { numRuns: 40 },
    );
  });
});

function cover(known: Set<number>, left: number, right: number, una: number, count: number): void {
  if (right <= left || right > upTo(count)) return;
  for (let i = una; i < count; i++) if (left <= upTo(i) && upTo(i + 1) <= right) known.add(i);
}

function nextHole(known: Set<number>, from: number): number {
  let at = from;
  while (known.has(at)) at++;
  return at;
}

/** RFC 2883 4: the first block lies within the second. */
function reportsDuplicate([first, second]: readonly Block[]): boolean {
  return (
    first !== undefined && second !== undefined && first[0] < first[1] && first[0] >= second[0] && first[1] <= second[1]
  );
}
