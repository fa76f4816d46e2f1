import { expect } from 'chai';
import { from, map } from 'rxjs';
import type { Device } from '../../../lib/core/device.js';
import { asRx, type Frame, NOT_PARSED } from '../../../lib/core/frame.js';
import { PcapFilter } from '../../../lib/filter/pcap-filter/index.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { pcapFilter } from '../../../operators/filter/pcap-filter.js';
import { where } from '../../../operators/flow/where.js';
import { environment } from '../../../operators/time/environment.js';

/** Frames that no layer has read yet. */
function fresh(line: string, linkType: 'ethernet' | 'ip' = 'ethernet'): Frame {
  const frame = new PacketNotation({ linkType }).build(line);
  frame.link = frame.network = NOT_PARSED;
  frame.wholeEnd = frame.end;
  return frame;
}

const SYN = '< 40000 > 80 S 0:0(0) win 65535';

for (const [version, line, view] of [
  [4, SYN, Ipv4Packet],
  [6, `${SYN} from fd00::1 to fd00::2`, Ipv6Packet],
] as const) {
  describe(`pcapFilter of IPv${version}`, () => {
    it('judges frames that no layer has read', () => {
      expect(pcapFilter('tcp dst port 80')(fresh(line))).to.equal(true);
      expect(pcapFilter('tcp dst port 81')(fresh(line))).to.equal(false);
    });

    it('judges by the device of a frame whether it starts at an IP header', () => {
      const frame = fresh(line, 'ip');
      expect(pcapFilter('dst port 80')(frame)).to.equal(false);
      frame.device = { medium: 'ip' } as Device;
      expect(pcapFilter('dst port 80')(frame)).to.equal(true);
      expect(pcapFilter('ether host 02:00:00:00:00:02')(frame)).to.equal(false);
    });

    it('judges of a view the whole packet, whatever was narrowed', () => {
      const frame = fresh(line);
      const ether = new EthernetFrame(frame, frame.start);
      frame.link = frame.start;
      frame.network = frame.start += 14;
      const packet = new view(frame, frame.network);
      frame.start = frame.end - 1;
      frame.end--;
      for (const one of [ether, packet]) {
        expect(pcapFilter('ether src 02:00:00:00:00:02 and dst port 80')(one)).to.equal(true);
      }
      frame.link = NOT_PARSED;
      expect(pcapFilter('dst port 80')(packet)).to.equal(true);
      expect(pcapFilter('ether src 02:00:00:00:00:02')(packet)).to.equal(false);
      frame.start = frame.network;
      expect(pcapFilter('dst port 80')(frame), 'a bare frame at its IP header').to.equal(true);
    });
  });
}

describe('pcapFilter', () => {
  it('takes a compiled filter, too, and refuses a wrong text at once', () => {
    expect(pcapFilter(new PcapFilter('tcp'))(fresh(SYN))).to.equal(true);
    expect(() => pcapFilter('tcp or'))
      .to.throw('column 7')
      .with.property('code', 'ERR_BAD_FILTER');
  });

  it('is a condition of `where`', () => {
    const env = environment({ seed: 1 });
    const out: Frame[] = [];
    const frames = [SYN, '< udp 53 > 1024 (12)', '< icmp echo_request id 7 seq 1 (56)'].map((line) => fresh(line));
    from(frames)
      .pipe(map(asRx), where(pcapFilter('not udp port 53'), undefined, env))
      .subscribe((frame) => out.push(frame));
    expect(out).to.deep.equal([frames[0], frames[2]]);
    expect(env.drops.toJSON()).to.deep.equal({ filtered: 1 });
  });
});
