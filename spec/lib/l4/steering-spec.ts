import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import type { DeviceShare } from '../../../lib/core/device.js';
import { Frame } from '../../../lib/core/frame.js';
import { ownsFlow, ownsNumber } from '../../../lib/l4/share.js';
import { EVERYONE, FRAGMENT, HERE, Steering } from '../../../lib/l4/steering.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { TCP_AND_UDP, type Flow, frameOf } from './flow-frames.js';

const OF = 5;
const share = (index: number): DeviceShare => ({ index, of: OF, secret: 0x9d2c_5680 });
const SHARES = Array.from({ length: OF }, (_, index) => share(index));

/** Where a packet in the notation goes. */
function destination(text: string, options: { readonly ours: string; readonly theirs: string }): number {
  const notation = new PacketNotation({ local: options.ours, remote: options.theirs, linkType: 'ip' });
  const packet = notation.build(text);
  return new Steering(share(0), 'ip').destination(packet);
}

const V4 = { ours: '10.0.0.1', theirs: '10.0.0.2' };
const V6 = { ours: 'fd00::1', theirs: 'fd00::2' };

function remoteOf({ version, source }: Flow): Ipv4Address | Ipv6Address {
  const view = new DataView(Uint8Array.from(source).buffer);
  const word = (at: number) => view.getUint32(at);
  return version === 4 ? new Ipv4Address(word(0)) : new Ipv6Address(word(0), word(4), word(8), word(12));
}

describe('steering', () => {
  it('gives a flow to the one worker that takes it for its own', () => {
    fc.assert(
      fc.property(TCP_AND_UDP, (flow) => {
        const owner = new Steering(share(0), 'ethernet').destination(Frame.from(frameOf(flow)));
        const remote = remoteOf(flow);
        const owners = SHARES.filter((each) => ownsFlow(each, flow.localPort, remote, flow.remotePort));
        expect(owners.map(({ index }) => index)).to.deep.equal([owner]);
      }),
    );
  });

  it('reads frames with and without a link header alike, whatever tags they have', () => {
    fc.assert(
      fc.property(TCP_AND_UDP, (flow) => {
        const frame = frameOf(flow);
        const tagged = Uint8Array.from([...frame.slice(0, 12), 0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, ...frame.slice(12)]);
        const ethernet = new Steering(share(0), 'ethernet');
        const owner = ethernet.destination(Frame.from(frame));
        expect(new Steering(share(0), 'ip').destination(Frame.from(frame.slice(14)))).to.equal(owner);
        expect(ethernet.destination(Frame.from(tagged))).to.equal(owner);
      }),
    );
  });

  it('deals out the dynamic ports, and spreads clients of the others evenly', () => {
    const counts = new Map<number, number>();
    for (let port = 1; port <= 5000; port++) {
      const flow: Flow = {
        version: 4,
        protocol: 6,
        source: [10, 0, 0, 9],
        localPort: 80,
        remotePort: port,
        options: 0,
      };
      const owner = new Steering(share(0), 'ethernet').destination(Frame.from(frameOf(flow)));
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
      const own = SHARES.filter((each) => ownsFlow(each, 60_000, new Ipv4Address(port), 80));
      expect(own.map(({ index }) => index)).to.deep.equal([60_000 % OF]);
    }
    expect([...counts.keys()]).to.have.members([0, 1, 2, 3, 4]);
    for (const count of counts.values()) expect(count).to.be.within(850, 1150);
  });

  it('knows no bounds that a frame does not have: any prefix of any frame, and any bytes, go somewhere', () => {
    const somewhere = (bytes: Uint8Array): void => {
      for (const medium of ['ethernet', 'ip'] as const) {
        const worker = new Steering(share(0), medium).destination(Frame.from(bytes));
        expect(worker).to.be.within(FRAGMENT, OF - 1);
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), somewhere));
    fc.assert(
      fc.property(TCP_AND_UDP, fc.nat({ max: 100 }), (flow, length) => somewhere(frameOf(flow).slice(0, length))),
    );
  });

  it('tells what is for all from what is for whoever got it', () => {
    expect(destination('< icmp echo_request id 7 seq 1 (56)', V4)).to.equal(HERE);
    expect(destination('< icmp echo_reply id 7 seq 1 (56)', V4)).to.equal(7 % OF);
    expect(destination('< icmpv6 echo_request id 7 seq 1 (56)', V6)).to.equal(HERE);
    expect(destination('< icmpv6 echo_reply id 9 seq 1 (56)', V6)).to.equal(9 % OF);
    expect(destination('< icmpv6 neighbor_solicitation target fd00::1 lladdr 02:00:00:00:00:02', V6)).to.equal(HERE);
    expect(destination('< icmpv6 neighbor_advertisement target fd00::2 flags S', V6)).to.equal(EVERYONE);
    expect(destination('< udp 67 > 68 (300)', V4)).to.equal(0);
    expect(destination('< udp 53 > 60001 (30)', { ...V4, ours: '239.1.2.3' })).to.equal(EVERYONE);
    expect(destination('< udp 53 > 60001 (2000) frag 0:1480+ ipid 9', V4)).to.equal(FRAGMENT);
    expect(destination('< udp 53 > 60001 (2000) frag 0:1400+ ipid 9', V6)).to.equal(FRAGMENT);
  });

  it('gives errors to the owner of the flow that they quote', () => {
    expect(destination('< icmp unreachable port [udp 60003 > 53 (12)]', V4)).to.equal(60_003 % OF);
    expect(destination('< icmpv6 unreachable port [udp 60004 > 53 (12)]', V6)).to.equal(60_004 % OF);
    for (const port of [7, 80, 443]) {
      const owner = SHARES.find((each) => ownsFlow(each, port, Ipv4Address.parse('10.0.0.2'), 1234))?.index;
      expect(destination(`< icmp unreachable port [udp ${port} > 1234 (12)]`, V4)).to.equal(owner);
      expect(destination(`< udp 1234 > ${port} (12)`, V4)).to.equal(owner);
    }
  });
});

describe('shares of numbers', () => {
  it('are all, where the device is not shared', () => {
    expect(ownsNumber(undefined, 5)).to.equal(true);
    expect(ownsFlow(undefined, 5, Ipv4Address.ANY, 6)).to.equal(true);
  });

  it('do not overlap, and leave none out', () => {
    for (let number = 0; number < 100; number++) {
      expect(SHARES.filter((each) => ownsNumber(each, number))).to.have.length(1);
    }
  });
});
