import { expect } from 'chai';
import * as fc from 'fast-check';
import { endsConnection } from '../../../lib/wire/ends-connection.js';
import { TcpFlag } from '../../../lib/wire/tcp.js';
import { truncations } from './frames.js';
import { BULK, descriptions, superSegment } from './super-segments.js';

const NOTHING = new Uint8Array(0);
/** Ethernet, IPv6, TCP, time stamps. */
const LONGEST = 14 + 40 + 20 + 12;

describe('endsConnection', () => {
  for (const version of [4, 6] as const) {
    const segment = (flags: number, payload = NOTHING) => superSegment({ ...BULK, version, flags, payload });
    const { Fin, Ack, Syn, Rst, Psh } = TcpFlag;

    it(`knows FIN, with and without acknowledgment, and nothing else: IPv${version}`, () => {
      for (const flags of [Fin, Fin | Ack, Fin | Ack | Psh]) {
        expect(endsConnection(segment(flags), 'ethernet')).to.equal(true);
        expect(
          endsConnection(superSegment({ ...BULK, version, flags, payload: NOTHING, tags: undefined }), 'ip'),
        ).to.equal(true);
      }
      for (const flags of [0, Ack, Syn, Syn | Ack, Rst, Ack | Psh])
        expect(endsConnection(segment(flags), 'ethernet')).to.equal(false);
    });

    it(`leaves what brings data, which has an answer of its own: IPv${version}`, () => {
      expect(endsConnection(segment(Fin | Ack, new Uint8Array(100)), 'ethernet')).to.equal(false);
    });

    it(`takes a part of one for none: IPv${version}`, () => {
      const whole = segment(Fin | Ack).bytes();
      for (const part of truncations(whole)) {
        if (part.length < whole.length) expect(endsConnection(part, 'ethernet')).to.equal(false);
      }
    });
  }

  it('reads any packet, whatever stands in front of its segment', () => {
    fc.assert(
      fc.property(descriptions, fc.boolean(), (description, isBare) => {
        const of = isBare ? { ...description, payload: NOTHING } : description;
        const frame = superSegment(of);
        const expected = !of.udp && (of.flags & TcpFlag.Fin) !== 0 && frame.length <= LONGEST;
        expect(endsConnection(frame, of.tags === undefined ? 'ip' : 'ethernet')).to.equal(expected);
      }),
    );
  });
});
