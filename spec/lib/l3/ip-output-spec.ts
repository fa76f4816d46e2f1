import { expect } from 'chai';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { ipHeaderLength, pseudoHeaderSum, pushIpHeader } from '../../../lib/l3/ip-output.js';
import { type IpFlow, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { frameWith, hexBytes } from '../wire/frames.js';

const COMMON = { protocol: IpProtocol.Udp, hopLimit: 17, trafficClass: 0xb9 } as const;
const FLOWS: readonly IpFlow[] = [
  {
    version: 4,
    source: Ipv4Address.parse('10.0.0.2'),
    destination: Ipv4Address.parse('10.0.0.1'),
    dontFragment: true,
    ...COMMON,
  },
  {
    version: 6,
    source: Ipv6Address.parse('fe80::2'),
    destination: Ipv6Address.parse('2001:db8::1'),
    dontFragment: true,
    ...COMMON,
  },
];

for (const flow of FLOWS) {
  describe(`output to IP version ${flow.version}`, () => {
    it('pushes the header that the flow asks for', () => {
      const frame = frameWith(hexBytes('0102030405'));
      pushIpHeader(frame, flow, 0x1234);
      const type = flow.version === 4 ? Ipv4Packet : Ipv6Packet;
      expect(type.check(frame, frame.start)).to.equal(undefined);
      const packet = new type(frame, frame.start);
      expect(packet).to.include({ version: flow.version, ...COMMON });
      expect(packet.totalLength).to.equal(ipHeaderLength(flow.version) + 5);
      expect(packet.sourceAddress.equals(flow.source)).to.equal(true);
      expect(packet.destinationAddress.equals(flow.destination)).to.equal(true);
      expect(frame.network).to.equal(frame.start);
      if (packet.version === 4) expect(packet).to.include({ identification: 0x1234, dontFragment: true });
    });

    it('sums the pseudo-header as the packet does', () => {
      const frame = frameWith(hexBytes('0102030405'));
      pushIpHeader(frame, flow, 0);
      const type = flow.version === 4 ? Ipv4Packet : Ipv6Packet;
      const packet = new type(frame, frame.start);
      for (const length of [0, 8, 1500, 65535]) {
        expect(pseudoHeaderSum(flow, length)).to.equal(packet.pseudoHeaderSum(IpProtocol.Udp, length));
      }
    });
  });
}
