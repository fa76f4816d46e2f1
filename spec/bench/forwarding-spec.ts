/** What a router takes further it takes in the buffer that it came in, and makes nothing for it. */

import { expect } from 'chai';
import { BATCH } from '../../bench/micro/pipeline.js';
import { forwarding, type ForwardingOptions } from '../../bench/micro/forwarding.js';
import { layer } from '../../operators/flow/layer.js';
import type { RoutedPacket } from '../../operators/stack/router.js';
import { allocated } from './heap.js';

const pass = layer<RoutedPacket, RoutedPacket>(() => (packet) => packet);

for (const version of [4, 6] as const) {
  describe(`a router, IPv${version}`, () => {
    const cases: readonly (readonly [name: string, options: ForwardingOptions])[] = [
      ['to one destination', { version, flows: 1, length: 50 }],
      ['to 1,000', { version, flows: 1000, length: 50 }],
      [
        'through hooks',
        { version, flows: 10, length: 1500, hooks: () => ({ prerouting: pass, forward: pass, postrouting: pass }) },
      ],
    ];
    for (const [name, options] of cases) {
      it(`makes no object for what it takes further, ${name}`, () => {
        // Not even a number in memory, which is 16 bytes.
        expect(allocated(forwarding(options), BATCH)).to.be.below(12);
      });
    }
  });
}
