import { expect } from 'chai';
import { Ecn } from '../../../lib/wire/ip.js';
import { sum16 } from '../../../lib/wire/checksum.js';
import { decapsulatedEcn, decapsulateEcn, innerTrafficClass } from '../../../lib/wire/tunnel-ecn.js';
import { frameOf, hexOf } from './frames.js';

const { NotEct, Ect0, Ect1, Ce } = Ecn;

/** An IPv4 header with this TOS byte, its checksum right. */
function v4(tos: number): ReturnType<typeof frameOf> {
  const frame = frameOf('4500001400004000401100000a0000010a000002');
  const { view } = frame.slab;
  view.setUint8(frame.start + 1, tos);
  view.setUint16(frame.start + 10, ~sum16(view, frame.start, frame.end) & 0xffff);
  return frame;
}

function v6(trafficClass: number): ReturnType<typeof frameOf> {
  const frame = frameOf(`60012345${'00'.repeat(36)}`);
  frame.slab.view.setUint16(frame.start, 0x6000 | (trafficClass << 4) | 1);
  return frame;
}

describe('ECN through tunnels', () => {
  it('RFC 6040 4: becomes what figure 4 says', () => {
    const figure = [
      [NotEct, [NotEct, NotEct, NotEct, -1]],
      [Ect0, [Ect0, Ect0, Ect1, Ce]],
      [Ect1, [Ect1, Ect1, Ect1, Ce]],
      [Ce, [Ce, Ce, Ce, Ce]],
    ] as const;
    for (const [inner, results] of figure) {
      [NotEct, Ect0, Ect1, Ce].forEach((outer, column) => {
        expect(decapsulatedEcn(inner, outer), `inner ${inner}, outer ${outer}`).to.equal(results[column]);
      });
    }
  });

  it('is written into headers of both versions, and nothing else is changed', () => {
    for (const make of [v4, v6]) {
      for (let inner = 0; inner < 256; inner++) {
        for (let outer = 0; outer < 4; outer++) {
          const frame = make(inner);
          const result = decapsulatedEcn(inner & 3, outer);
          const before = hexOf(frame);
          expect(decapsulateEcn(frame, frame.start, outer)).to.equal(result >= 0);
          expect(hexOf(frame)).to.equal(result < 0 ? before : hexOf(make((inner & 0xfc) | result)));
          if (result >= 0) expect(innerTrafficClass(frame, frame.start)).to.equal((inner & 0xfc) | result);
        }
      }
    }
  });

  it('leaves alone what is no IP packet', () => {
    const frame = frameOf('0001080006040001');
    expect(decapsulateEcn(frame, -1, Ce)).to.equal(true);
    expect(decapsulateEcn(frame, frame.start, Ce)).to.equal(true);
    expect(innerTrafficClass(frame, -1)).to.equal(0);
    expect(innerTrafficClass(frame, frame.start)).to.equal(0);
    expect(innerTrafficClass(frameOf('00'.repeat(20)), frame.start)).to.equal(0);
  });
});
