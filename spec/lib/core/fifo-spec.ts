import { expect } from 'chai';
import * as fc from 'fast-check';
import { Fifo } from '../../../lib/core/fifo.js';

describe('Fifo', () => {
  it('does what an array does, however it grows and wraps', () => {
    const step = fc.oneof(fc.nat(99), fc.constant('shift' as const), fc.record({ insert: fc.nat(99) }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const fifo = new Fifo<number>();
        const array: number[] = [];
        for (const one of steps) {
          if (one === 'shift') expect(fifo.shift()).to.equal(array.shift());
          else if (typeof one === 'number') {
            fifo.push(one);
            array.push(one);
          } else {
            fifo.insert(one.insert, (other) => other > one.insert);
            let at = array.length;
            while (at > 0 && (array[at - 1] ?? 0) > one.insert) at--;
            array.splice(at, 0, one.insert);
          }
          expect(fifo.length).to.equal(array.length);
          expect(fifo.first).to.equal(array[0]);
          expect(array.map((_, i) => fifo.at(i))).to.deep.equal(array);
        }
      }),
    );
    expect(() => new Fifo<number>().at(0))
      .to.throw()
      .with.property('code', 'ERR_INVALID_STATE');
  });
});
