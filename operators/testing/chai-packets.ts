/** Packet assertions for chai, which is an optional peer: nothing of it is imported. */

import type { Frame } from '../../lib/core/frame.js';
import { hexdump } from '../../lib/text/hexdump.js';
import { PacketNotation } from '../../lib/text/notation.js';
import type { PacketSpec } from '../../lib/text/packet-spec.js';
import { pretty } from '../../lib/text/pretty.js';

declare global {
  namespace Chai {
    interface Assertion {
      /**
       * The frame says what the line says. A line without direction goes out (`>`).
       *
       * @param notation whose addresses go without saying; default those of packetdrill
       */
      packet(line: string | PacketSpec, notation?: PacketNotation): Assertion;
    }
  }
}

/** What of chai the plug-in needs. */
interface ChaiLike {
  readonly Assertion: {
    addMethod(name: string, method: (this: object, ...args: [string | PacketSpec, PacketNotation?]) => void): void;
  };
}

interface AssertionLike {
  readonly _obj: Frame;
  assert(ok: boolean, message: string, negated: string, expected: unknown, actual: unknown, showDiff: boolean): void;
}

/**
 * A chai plug-in.
 *
 * @example
 * ```ts
 * chai.use(chaiPackets);
 * expect(frame).to.be.packet('> . 1:1(0) ack 1');
 * ```
 */
export function chaiPackets(chai: ChaiLike): void {
  chai.Assertion.addMethod('packet', function packet(line, notation = new PacketNotation()) {
    const assertion = this as AssertionLike;
    const frame = assertion._obj;
    const { equal, expected, actual } = notation.compare(line, frame);
    const whole = `${pretty(frame, { linkType: notation.context.mediumOf(frame) })}\n${hexdump(frame.bytes(), '\t')}`;
    assertion.assert(
      equal,
      `expected packet ${expected}\n          but got ${actual}\n${whole}`,
      `expected a packet other than ${expected}\n${whole}`,
      expected,
      actual,
      false,
    );
  });
}
