import { expect } from 'chai';
import { Frame } from '../../../lib/core/frame.js';
import { sum16 } from '../../../lib/wire/checksum.js';
import { isEcnCapable, markCongestion } from '../../../lib/wire/mark-congestion.js';
import { PacketNotation } from '../../../lib/text/notation.js';

const MEDIA = ['ethernet', 'ip'] as const;

/** A UDP packet with this ECN field, in a frame of its own. */
function packet(version: 4 | 6, ecn: number, medium: 'ethernet' | 'ip', tags = 0): Frame {
  const notation = new PacketNotation({ linkType: 'ip', version });
  const ip = notation.build('> udp 1000 > 2000 (10)').bytes().slice();
  const view = new DataView(ip.buffer, ip.byteOffset, ip.length);
  if (version === 4) {
    view.setUint8(1, 0xb8 | ecn);
    view.setUint16(10, 0);
    view.setUint16(10, ~sum16(view, 0, 20) & 0xffff);
  } else view.setUint16(0, 0x6000 | (0xb8 << 4) | (ecn << 4) | 9);
  if (medium === 'ip') return Frame.from(ip);
  const type = version === 4 ? [8, 0] : [0x86, 0xdd];
  const vlan = Array.from({ length: tags }, () => [0x81, 0, 0, 7]).flat();
  return Frame.from(Uint8Array.from([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ...vlan, ...type, ...ip]));
}

describe('markCongestion', () => {
  for (const version of [4, 6] as const) {
    for (const medium of MEDIA) {
      it(`marks what is ECN-capable, and nothing else of the packet, in IPv${version} over ${medium}`, () => {
        for (const ecn of [0, 1, 2, 3]) {
          for (const tags of medium === 'ethernet' ? [0, 1, 2] : [0]) {
            const frame = packet(version, ecn, medium, tags);
            expect(isEcnCapable(frame, medium)).to.equal(ecn !== 0);
            if (ecn === 0) continue;
            markCongestion(frame, medium);
            expect([...frame.bytes()]).to.deep.equal([...packet(version, 3, medium, tags).bytes()]);
          }
        }
      });
    }
  }

  it('leaves alone what is no IP packet, or not all of one', () => {
    const arp = Frame.from(Uint8Array.from([...new Uint8Array(12), 8, 6, ...new Uint8Array(28).fill(0xff)]));
    expect(isEcnCapable(arp, 'ethernet')).to.equal(false);
    markCongestion(arp, 'ethernet');
    expect(
      arp
        .bytes()
        .subarray(14)
        .every((byte) => byte === 0xff),
    ).to.equal(true);
    for (const medium of MEDIA) {
      const whole = packet(4, 2, medium).bytes();
      const header = whole.length - 28 - 10;
      for (let length = 0; length < header + 20; length++) {
        expect(isEcnCapable(Frame.from(whole.slice(0, length)), medium), `${medium} ${length}`).to.equal(false);
      }
    }
    expect(isEcnCapable(Frame.from(new Uint8Array(40).fill(0xff)), 'ip')).to.equal(false);
  });
});
