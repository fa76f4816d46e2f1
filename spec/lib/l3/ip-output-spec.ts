import { expect } from 'chai';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { IpOutput, ipHeaderLength, pseudoHeaderSum, pushIpHeader } from '../../../lib/l3/ip-output.js';
import { type IpFlow, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { virtualEnv } from '../l2/fake-device.js';
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

describe('IpOutput', () => {
  it('6864: gives each IPv4 datagram an identification that none of the 65,535 before it had', () => {
    const output = new IpOutput(virtualEnv());
    const seen: number[] = [];
    output.emit = (packet) => void seen.push(new Ipv4Packet(packet, packet.start).identification);
    for (let i = 0; i < 0x1_0000; i++) {
      const frame = frameWith(hexBytes('01'));
      for (const flow of FLOWS) if (flow.version === 4) output.send(frame, { ...flow, dontFragment: false });
    }
    expect(new Set(seen).size).to.equal(0x1_0000);
  });

  it('begins with an identification that nobody can guess', () => {
    const firsts = [1, 2, 3, 4].map((seed) => {
      let first = -1;
      const output = new IpOutput(virtualEnv(seed));
      output.emit = (packet) => void (first = new Ipv4Packet(packet, packet.start).identification);
      for (const flow of FLOWS) if (flow.version === 4) output.send(frameWith(hexBytes('01')), flow);
      return first;
    });
    expect(new Set(firsts).size).to.equal(4);
  });

  describe('holding what is sent', () => {
    const [flow] = FLOWS;
    if (flow === undefined) throw new Error('no flow');

    function holding() {
      const env = virtualEnv();
      const output = new IpOutput(env);
      const lengths: number[] = [];
      output.emit = (packet) => {
        lengths.push(packet.length - 20);
        packet.release();
      };
      const send = (...sizes: number[]) => {
        for (const size of sizes) output.send(frameWith(new Uint8Array(size)), flow as IpFlow);
      };
      return { env, output, lengths, send };
    }

    it('emits short packets when it lets go, in order', () => {
      const { output, lengths, send } = holding();
      output.hold();
      send(1, 2, 3);
      expect(lengths).to.deep.equal([]);
      output.letGo();
      expect(lengths).to.deep.equal([1, 2, 3]);
      send(4);
      output.letGo();
      expect(lengths).to.deep.equal([1, 2, 3, 4]);
    });

    it('emits a long packet at once, behind those that came before', () => {
      const { output, lengths, send } = holding();
      output.hold();
      send(1, 2, 1200, 3, 1300, 1400);
      expect(lengths).to.deep.equal([1, 2, 1200, 3, 1300, 1400]);
      send(4);
      output.letGo();
      expect(lengths.slice(6)).to.deep.equal([4]);
    });

    it('does not hold more than a few', () => {
      const { output, lengths, send } = holding();
      const sizes = Array.from({ length: 200 }, (_, i) => i + 1);
      output.hold();
      send(...sizes);
      expect(lengths).to.have.length.within(100, 199);
      output.letGo();
      expect(lengths).to.deep.equal(sizes);
    });

    it('emits the others where the way out throws for one, and those that come of it behind them', () => {
      const { output, lengths, send } = holding();
      output.hold();
      send(1, 2, 3, 4);
      const { emit } = output;
      output.emit = (packet) => {
        const { length } = packet;
        emit?.(packet);
        if (length === 21) {
          output.hold();
          send(5);
          output.letGo();
        }
        if (length === 23) throw new Error('mine');
      };
      expect(() => output.letGo()).to.throw('mine');
      expect(lengths).to.deep.equal([1, 2, 3, 4, 5]);
      send(6);
      expect(lengths.at(-1)).to.equal(6);
    });

    it('drops what nobody takes any more', () => {
      const { env, output, send } = holding();
      output.hold();
      send(1, 2);
      output.emit = undefined;
      output.letGo();
      expect(env.drops.count(DropReason.DeviceDown)).to.equal(2);
    });
  });
});
