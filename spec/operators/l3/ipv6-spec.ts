import { expect } from 'chai';
import { map, type Subscription } from 'rxjs';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { Cast } from '../../../lib/core/frame.js';
import { Ipv6Addresses } from '../../../lib/l3/addresses6.js';
import { Cidr } from '../../../lib/core/address.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { solicitedNode } from '../../../lib/wire/ipv6.js';
import { ipv6, type Ipv6Options } from '../../../operators/l3/ipv6.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { pattern } from './packets.js';
import { chained, ip6, ip6Packet, PEER6, US6 } from './packets6.js';

/** What was let through of one packet. */
interface Got {
  readonly protocol: number;
  readonly cast: Cast;
  readonly payload: Uint8Array;
  readonly isFragment: boolean;
}

// Extension headers without their first byte, which says what follows.
const NOTHING = [0, 1, 4, 0, 0, 0, 0] as const;
const ROUTE_DONE = [0, 4, 0, 0, 0, 0, 0] as const;
const NO_ROUTE = Array.from({ length: 16 }, () => 0);
const ATOMIC = [0, 0, 0, 0, 0, 0, 9] as const;

describe('ipv6', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let other: FakeDevice;
  let addresses: Ipv6Addresses;
  let got: Got[];
  let problems: string[];
  let running: Subscription;

  function run(options: Partial<Ipv6Options> = {}): void {
    running = device.frames$
      .pipe(
        map((frame) => ({ frame, etherType: EtherType.Ipv6 })),
        ipv6(
          {
            addresses,
            problem: (packet, { action, code, pointer }) =>
              problems.push(`${action} ${code} ${pointer} of ${packet.sourceAddress.toString()}`),
            ...options,
          },
          env,
        ),
      )
      .subscribe(({ protocol, frame, isFragment }) => {
        expect(frame.network).to.be.below(frame.start);
        env.drops.deliver(frame);
        got.push({ protocol, cast: frame.ipCast, payload: Uint8Array.from(frame.bytes()), isFragment });
      });
  }
  /** The name of what became of a packet. */
  function fate(bytes: Uint8Array): string {
    const reason = device.receive(bytes);
    return reason < 0 ? 'taken' : dropReasonName(reason as DropReason);
  }
  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    other = fakeDevice(env, { name: 'fake1' });
    addresses = new Ipv6Addresses();
    addresses.add(device, new Cidr<6>(US6.ip, 64));
    addresses.add(device, new Cidr<6>(US6.linkLocal, 64));
    got = [];
    problems = [];
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });
  const data = pattern(40);

  it('lets packets for us through, narrowed to the payload, without padding', () => {
    run();
    expect(fate(Uint8Array.from([...ip6Packet({}, data), 0xdd, 0xdd]))).to.equal('taken');
    expect(got).to.deep.equal([{ protocol: 253, cast: Cast.Unicast, payload: data, isFragment: false }]);
  });

  it('4291-1: listens to all nodes and to the solicited-node group of each address, and to what was joined', () => {
    run();
    for (const to of ['ff02::1', solicitedNode(US6.ip).toString(), solicitedNode(US6.linkLocal).toString()]) {
      expect(fate(ip6Packet({ destination: ip6(to) }, data)), to).to.equal('taken');
      expect(got.at(-1)?.cast).to.equal(Cast.Multicast);
    }
    const group = ip6('ff02::1234');
    expect(fate(ip6Packet({ destination: group }, data))).to.equal('ipv6-not-for-us');
    addresses.join(group);
    expect(fate(ip6Packet({ destination: group }, data))).to.equal('taken');
    addresses.leave(group);
    expect(fate(ip6Packet({ destination: group }, data))).to.equal('ipv6-not-for-us');
  });

  it('refuses packets for others, before their extension headers are looked at', () => {
    run();
    const unknown = [0, 0xde, 4, 0, 0, 0, 0];
    const packet = chained([[HOP_BY_HOP, unknown]], 253, data, { destination: ip6('fd00::99') });
    expect(fate(packet)).to.equal('ipv6-not-for-us');
    expect(problems).to.deep.equal([]);
  });

  it('4007: accepts a link-local address from the link that has it only', () => {
    run();
    const elsewhere = ip6('fe80::1234');
    addresses.add(other, new Cidr<6>(elsewhere, 64));
    expect(fate(ip6Packet({ destination: US6.linkLocal }, data))).to.equal('taken');
    expect(fate(ip6Packet({ destination: elsewhere }, data))).to.equal('ipv6-not-for-us');
    // The same on both links.
    addresses.add(device, new Cidr<6>(elsewhere, 64));
    expect(fate(ip6Packet({ destination: elsewhere }, data))).to.equal('taken');
    // A global address is the host's, from wherever the packet comes.
    addresses.add(other, new Cidr<6>(ip6('fd00:1::1'), 64));
    expect(fate(ip6Packet({ destination: ip6('fd00:1::1') }, data))).to.equal('taken');
  });

  it('4862-1: takes nothing at a tentative address', () => {
    run();
    addresses.update(device, US6.ip, { tentative: true });
    expect(fate(ip6Packet({}, data))).to.equal('ipv6-not-for-us');
    addresses.update(device, US6.ip, { tentative: false });
    expect(fate(ip6Packet({}, data))).to.equal('taken');
  });

  it('GP-61: refuses sources that no packet has', () => {
    run();
    for (const source of ['ff02::1', '::1', 'fd00::1', 'fe80::ff:fe00:1']) {
      expect(fate(ip6Packet({ source: ip6(source) }, data)), source).to.equal('ipv6-bad-source');
    }
    // Who has no address yet may speak to groups only.
    expect(fate(ip6Packet({ source: ip6('::') }, data))).to.equal('ipv6-bad-source');
    expect(fate(ip6Packet({ source: ip6('::'), destination: ip6('ff02::1') }, data))).to.equal('taken');
  });

  it('takes what we sent to ourselves, if it is told that it is looped back', () => {
    run({ loopback: true });
    expect(fate(ip6Packet({ source: US6.ip, destination: US6.ip }, data))).to.equal('taken');
    expect(fate(ip6Packet({ source: ip6('::1'), destination: ip6('::1') }, data))).to.equal('taken');
    running.unsubscribe();
    run();
    expect(fate(ip6Packet({ source: PEER6.ip, destination: ip6('::1') }, data))).to.equal('ipv6-not-for-us');
  });

  it('8200-1: walks the extension headers, whatever their order and number up to eight', () => {
    run();
    const { Routing, DestinationOptions, Fragment } = IpProtocol;
    const headers = [
      [HOP_BY_HOP, NOTHING],
      [DestinationOptions, NOTHING],
      [Routing, ROUTE_DONE],
      [Fragment, ATOMIC],
      [DestinationOptions, NOTHING],
    ] as const;
    expect(fate(chained(headers, 253, data))).to.equal('taken');
    const many = (count: number) => Array.from({ length: count }, () => [DestinationOptions, NOTHING] as const);
    expect(fate(chained(many(8), 253, data))).to.equal('taken');
    for (const { protocol, payload, isFragment } of got) {
      expect([protocol, payload, isFragment]).to.deep.equal([253, data, false]);
    }
    expect(fate(chained(many(9), 253, data))).to.equal('ipv6-bad-extension');
    expect(fate(chained(many(33), 253, data))).to.equal('ipv6-bad-extension');
  });

  it('8200-1: hop-by-hop options anywhere but first are an unknown next header', () => {
    run();
    const headers = [
      [IpProtocol.DestinationOptions, NOTHING],
      [HOP_BY_HOP, NOTHING],
    ] as const;
    expect(fate(chained(headers, 253, data))).to.equal('ipv6-bad-extension');
    expect(problems).to.deep.equal(['parameter-problem-unless-multicast 1 40 of fd00::2']);
  });

  for (const [name, kind] of [
    ['hop-by-hop', HOP_BY_HOP],
    ['destination', IpProtocol.DestinationOptions],
  ] as const) {
    it(`GP-17, 8200-2: treats unknown ${name} options as their high bits say`, () => {
      run();
      const option = (type: number) => chained([[kind, [0, type, 4, 0, 0, 0, 0]]], 253, data);
      expect(fate(option(0x1e))).to.equal('taken');
      expect(fate(option(0x5e))).to.equal('ipv6-unknown-option');
      expect(fate(option(0x9e))).to.equal('ipv6-unknown-option');
      expect(fate(option(0xde))).to.equal('ipv6-unknown-option');
      expect(problems).to.deep.equal([
        'discard 2 42 of fd00::2',
        'parameter-problem 2 42 of fd00::2',
        'parameter-problem-unless-multicast 2 42 of fd00::2',
      ]);
    });
  }

  it('8200-3, 5095: a routing header with segments left is a parameter problem, of type 0 as well', () => {
    run();
    for (const type of [0, 2, 3, 4, 200]) {
      const header = [2, type, 1, 0, 0, 0, 0, ...NO_ROUTE];
      expect(fate(chained([[IpProtocol.Routing, header]], 253, data))).to.equal('ipv6-source-routed');
      expect(problems.splice(0)).to.deep.equal(['parameter-problem-unless-multicast 0 42 of fd00::2']);
    }
  });

  it('truncated at every byte, it is dropped, never thrown', () => {
    run();
    const headers = [
      [HOP_BY_HOP, NOTHING],
      [IpProtocol.Routing, ROUTE_DONE],
      [IpProtocol.Fragment, ATOMIC],
    ] as const;
    const whole = chained(headers, 253, data);
    for (let length = 0; length < whole.length; length++) {
      expect(fate(whole.subarray(0, length)), `${length}`).to.equal('ipv6-truncated');
      if (length < 40) continue;
      // The header tells the truth about it, so the headers behind it end early.
      const honest = Uint8Array.from(whole.subarray(0, length));
      new DataView(honest.buffer).setUint16(4, length - 40);
      const early = length < 64;
      // Nothing behind hop-by-hop options is what a jumbogram has.
      const expected = length === 40 ? 'ipv6-bad-header' : early ? 'ipv6-bad-extension' : 'taken';
      expect(fate(honest), `honest ${length}`).to.equal(expected);
    }
    expect(problems.filter((problem) => !problem.startsWith('discard'))).to.deep.equal([]);
  });

  it('refuses another version', () => {
    run();
    const packet = ip6Packet({}, data);
    for (let version = 0; version < 16; version++) {
      packet[0] = version << 4;
      expect(fate(packet)).to.equal(version === 6 ? 'taken' : 'ipv6-bad-header');
    }
  });
});
