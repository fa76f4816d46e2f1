import { expect } from 'chai';
import * as fc from 'fast-check';
import { Frame } from '../../../lib/core/frame.js';
import { ERGOT_ETHER_TYPE, pushErgotShim } from '../../../lib/ergot/index.js';
import { describe as describePacket } from '../../../lib/text/describe.js';
import { pretty } from '../../../lib/text/pretty.js';
import { EthernetFrame } from '../../../lib/wire/ethernet.js';
import { unhex } from '../ergot/bytes.js';

const PING = '8104800200010f595266702593fff0002a';
const LINE = 'ergot 0.2:1 > 0.1:0: request ergot/.well-known/ping (42), seq 0, ttl 15, length 1';

/** A frame of ergot in one of Ethernet, padded as short ones are. */
function overEthernet(text: string, padding = 60): Uint8Array {
  const frame = Frame.from(unhex(text));
  pushErgotShim(frame);
  EthernetFrame.emit(frame, 0x02_00_00_00_00_02, 0x02_00_00_00_00_01, ERGOT_ETHER_TYPE);
  const bytes = new Uint8Array(Math.max(padding, frame.length));
  bytes.set(frame.bytes());
  return bytes;
}

describe('text of packets with ergot in them', () => {
  it('is that of the frame on a link of ergot', () => {
    expect(pretty(Frame.from(unhex(PING)), { linkType: 'ergot' })).to.equal(LINE);
    expect(pretty(Frame.from(unhex('85')), { linkType: 'ergot' })).to.equal('ergot, length 1 [ergot-truncated]');
    expect(describePacket(Frame.from(unhex('85')), { linkType: 'ergot' })).to.deep.equal({
      layers: ['ergot'],
      ergot: { length: 1, malformed: 'ergot-truncated' },
      malformed: 'ergot-truncated',
    });
  });

  it('is that of the frame behind an Ethernet header, without padding', () => {
    const frame = Frame.from(overEthernet(PING));
    expect(pretty(frame)).to.equal(LINE);
    const { layers, ergot, malformed, linkSrc } = describePacket(frame);
    expect({ layers, malformed, linkSrc }).to.deep.equal({
      layers: ['eth', 'ergot'],
      malformed: undefined,
      linkSrc: '02:00:00:00:00:01',
    });
    expect(ergot).to.deep.equal({
      source: '0.2:1',
      destination: '0.1:0',
      kind: 'request',
      sequence: 0,
      ttl: 15,
      key: '595266702593fff0',
      path: 'ergot/.well-known/ping',
      value: '42',
      length: 1,
    });
  });

  it('says of a frame that is longer than what carries it that it is cut, of one that a capture cut nothing', () => {
    const bytes = overEthernet(PING, 0);
    expect(pretty(Frame.from(bytes.subarray(0, -1)))).to.equal(
      'ergot 0.2:1 > 0.1:0: request ergot/.well-known/ping, seq 0, ttl 15, length 0' +
        ' [ergot-bad-message: ERR_POSTCARD_END at byte 0] [ergot-truncated]',
    );
    expect(pretty(Frame.from(bytes.subarray(0, -1)), { wireLength: bytes.length })).to.equal(
      'ergot 0.2:1 > 0.1:0: request key 595266702593fff0, seq 0, ttl 15, length 1',
    );
  });

  it('takes other experiments under the same EtherType for what they are', () => {
    const bytes = overEthernet(PING);
    bytes[14] = 0;
    expect(pretty(Frame.from(bytes))).to.equal('02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x88b5, length 46');
    expect(describePacket(Frame.from(bytes.subarray(0, 16))).layers).to.deep.equal(['eth']);
  });

  it('reads what it is told of: other addresses, other topics', () => {
    const text = pretty(Frame.from(unhex('060a038a01070110')), { linkType: 'ergot', ergot: { format: 'phone' } });
    expect(text).to.equal('ergot 03^6 > 08A^10: request, seq 7, ttl 16, length 0');
  });

  it('is one line for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(60), (tail, wireLength) => {
        const start = overEthernet('', 0);
        for (const head of [start, start.subarray(0, 16), start.subarray(0, 14)]) {
          const frame = Frame.from(Uint8Array.from([...head, ...tail]));
          expect(pretty(frame, { wireLength })).to.match(/^[^\n]+$/);
          expect(JSON.stringify(describePacket(frame, { wireLength }))).to.be.a('string');
        }
      }),
    );
  });
});
