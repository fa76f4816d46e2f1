import { expect } from 'chai';
import { readCapture } from '../../../lib/capture/index.js';
import { LinkType } from '../../../lib/capture/capture.js';
import { Frame } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../operators/testing/index.js';
import { Recording } from '../../../operators/testing/recording.js';

describe('the recording of a packet marble test', () => {
  const LINE = '> udp 53 > 1024 (100)';
  for (const version of [4, 6] as const) {
    it(`says what each packet of IPv${version} starts with`, () => {
      const bare = new PacketNotation({ version, linkType: 'ip' });
      const ethernet = new PacketNotation({ version });
      const recording = new Recording(ethernet.context);
      recording.add(bare.build(LINE), 'outbound', 1);
      recording.add(ethernet.build(LINE), 'outbound', 2);
      // This one's first bytes could be an IPv6 header.
      const copy = Frame.from(ethernet.build(`${LINE} mac-to 64:d1:54:00:00:10`).bytes());
      recording.add(copy, 'inbound', 3);
      const kinds = [...readCapture(recording.toPcapng())].map(({ linkType }) => linkType);
      expect(kinds).to.deep.equal([LinkType.RawIp, LinkType.Ethernet, LinkType.Ethernet]);
      const all = new Recording(bare.context);
      all.add(Frame.from(bare.build(LINE).bytes()), 'inbound', 1);
      expect([...readCapture(all.toPcapng())].map(({ linkType }) => linkType)).to.deep.equal([LinkType.RawIp]);
    });
  }
});
