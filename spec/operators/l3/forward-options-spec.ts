import { expect } from 'chai';
import { Frame } from '../../../lib/core/frame.js';
import { ETHERNET_HEADER, EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { type Ipv4Option, Ipv4OptionType, Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { bytesOf } from '../../lib/l2/fake-device.js';
import { ip, pattern, udpPacket } from './packets.js';
import { type BenchOptions, RouterBench } from './router-bench.js';

const A = ip('10.1.0.2');
const B = ip('10.2.0.2');
const US = ip('10.2.0.1');

/** An option of the header, its bytes those that follow type and length. */
const option = (type: number, ...data: readonly number[]): Ipv4Option => ({ type, data: Uint8Array.from(data) });
const words = (...values: readonly number[]): number[] =>
  values.flatMap((value) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);

describe('forward, and the options of IPv4', () => {
  let bench: RouterBench;
  const make = (options?: BenchOptions): void => {
    bench = new RouterBench(4, options);
  };
  afterEach(() => bench.close());

  /** Takes a packet with these options through; returns what came out, its checksum verified, and its options. */
  function options(...given: readonly Ipv4Option[]): number[][] {
    const packet = udpPacket({ source: A, destination: B, options: given }, pattern(20));
    const framed = bytesOf((frame) => {
      frame.slab.bytes.set(packet, frame.push(packet.length));
      EthernetFrame.emit(frame, 0x0200_0000_0001, 0x0200_0000_0002, EtherType.Ipv4);
    });
    expect(bench.receiveBytes('left', framed)).to.equal('taken');
    const [sent] = bench.right.sent.splice(0);
    const frame = Frame.from(sent ?? new Uint8Array(0));
    const at = frame.start + ETHERNET_HEADER;
    expect(Ipv4Packet.check(frame, at)).to.equal(undefined);
    return new Ipv4Packet(frame, at).options().map(({ type, data }) => [type, ...data]);
  }

  it('records our address where the packet leaves, while there is room (1812-11)', () => {
    make();
    const { RecordRoute } = Ipv4OptionType;
    expect(options(option(RecordRoute, 4, ...words(0, 0)))).to.deep.equal([[RecordRoute, 8, ...words(US, 0)]]);
    expect(options(option(RecordRoute, 8, ...words(A, 0)))).to.deep.equal([[RecordRoute, 12, ...words(A, US)]]);
    expect(options(option(RecordRoute, 12, ...words(A, A)))).to.deep.equal([[RecordRoute, 12, ...words(A, A)]]);
    // Less room than an address takes, and a pointer into the option's own head, are left as they are.
    expect(options(option(RecordRoute, 8, 1, 2, 3, 4, 5, 6))).to.deep.equal([[RecordRoute, 8, 1, 2, 3, 4, 5, 6]]);
    expect(options(option(RecordRoute, 3, ...words(0)))).to.deep.equal([[RecordRoute, 3, ...words(0)]]);
  });

  it('stamps the time of day, with our address where that is asked for (1812-11)', () => {
    make();
    bench.env.scheduler.runFor(86_400_000 + 4711);
    const { Timestamp } = Ipv4OptionType;
    expect(options(option(Timestamp, 5, 0, ...words(0)))).to.deep.equal([[Timestamp, 9, 0, ...words(4711)]]);
    expect(options(option(Timestamp, 5, 1, ...words(0, 0)))).to.deep.equal([[Timestamp, 13, 1, ...words(US, 4711)]]);
    expect(options(option(Timestamp, 5, 3, ...words(US, 0)))).to.deep.equal([[Timestamp, 13, 3, ...words(US, 4711)]]);
    expect(options(option(Timestamp, 5, 3, ...words(B, 0)))).to.deep.equal([[Timestamp, 5, 3, ...words(B, 0)]]);
    // Who has no room counts himself.
    expect(options(option(Timestamp, 9, 0x20, ...words(7)))).to.deep.equal([[Timestamp, 9, 0x30, ...words(7)]]);
    expect(options(option(Timestamp, 5, 1, ...words(0)))).to.deep.equal([[Timestamp, 5, 0x11, ...words(0)]]);
  });

  it('discards a packet whose stations cannot be counted any more', () => {
    make();
    const packet = udpPacket({ source: A, destination: B, options: [option(68, 9, 0xf0, ...words(7))] }, pattern(20));
    const framed = bytesOf((frame) => {
      frame.slab.bytes.set(packet, frame.push(packet.length));
      EthernetFrame.emit(frame, 0x0200_0000_0001, 0x0200_0000_0002, EtherType.Ipv4);
    });
    expect(bench.receiveBytes('left', framed)).to.equal('ipv4-bad-options');
    bench.expectSent('right');
  });

  for (const [name, type] of [
    ['loose', Ipv4OptionType.LooseSourceRoute],
    ['strict', Ipv4OptionType.StrictSourceRoute],
  ] as const) {
    it(`takes no ${name} source route further, but one that has reached its end (1812-11, 7126)`, () => {
      make();
      const given = option(type, 8, ...words(A, US));
      const packet = udpPacket({ source: A, destination: B, options: [given] }, pattern(20));
      const framed = bytesOf((frame) => {
        frame.slab.bytes.set(packet, frame.push(packet.length));
        EthernetFrame.emit(frame, 0x0200_0000_0001, 0x0200_0000_0002, EtherType.Ipv4);
      });
      expect(bench.receiveBytes('left', framed)).to.equal('ipv4-source-routed');
      bench.expectSent('left', '> icmp unreachable source_route_failed from 10.1.0.1 to 10.1.0.2');
      expect(options(option(type, 12, ...words(A, US)))).to.deep.equal([[type, 12, ...words(A, US)]]);
    });
  }

  it('repeats in fragments only those that are to be', () => {
    make({ mtu: { right: 600 } });
    const { RouterAlert, RecordRoute } = Ipv4OptionType;
    const given = [option(RecordRoute, 4, ...words(0)), option(RouterAlert, 0, 0)];
    const packet = udpPacket({ source: A, destination: B, options: given }, pattern(1000));
    const framed = bytesOf((frame) => {
      frame.slab.bytes.set(packet, frame.push(packet.length));
      EthernetFrame.emit(frame, 0x0200_0000_0001, 0x0200_0000_0002, EtherType.Ipv4);
    });
    bench.receiveBytes('left', framed);
    const types = bench.right.sent.splice(0).map((bytes) => {
      const frame = Frame.from(bytes);
      return new Ipv4Packet(frame, frame.start + ETHERNET_HEADER).options().map(({ type }) => type);
    });
    expect(types).to.deep.equal([[RecordRoute, RouterAlert], [RouterAlert]]);
  });

  it('shows who wants to see packets that ask routers to look, and takes them further', () => {
    const seen: number[] = [];
    make({ alerted: ({ protocol }) => void seen.push(protocol) });
    expect(options(option(Ipv4OptionType.RouterAlert, 0, 0))).to.deep.equal([[Ipv4OptionType.RouterAlert, 0, 0]]);
    options(option(Ipv4OptionType.RecordRoute, 8, ...words(0)));
    expect(seen).to.deep.equal([IpProtocol.Udp]);
  });
});

describe('forward, and the hop-by-hop options of IPv6', () => {
  const line = 'udp 53 > 1024 (12) from fd01::2 to fd02::2';
  let bench: RouterBench;
  afterEach(() => bench.close());

  it('takes options further that it need not know', () => {
    bench = new RouterBench(6);
    bench.receive('left', `${line} hopopts 0x1e020000`);
    bench.expectSent('right', `> ${line} hopopts 0x1e020000`);
  });

  it('does with unknown options as their types ask (7126)', () => {
    bench = new RouterBench(6);
    expect(bench.receive('left', `${line} hopopts 0x5e020000`)).to.equal('ipv6-unknown-option');
    bench.expectSent('left');
    for (const type of ['9e', 'de']) {
      expect(bench.receive('left', `${line} hopopts 0x${type}020000`)).to.equal('ipv6-unknown-option');
      bench.expectSent('left', '> icmpv6 parameter_problem option pointer 42 from fd01::1 to fd01::2');
    }
    bench.expectSent('right');
  });

  it('leaves what is for the destination alone', () => {
    bench = new RouterBench(6);
    bench.receive('left', `${line} dstopts 0x9e020000`);
    bench.expectSent('right', `> ${line} dstopts 0x9e020000`);
  });

  it('shows who wants to see packets that ask routers to look, and takes them further', () => {
    const seen: number[] = [];
    bench = new RouterBench(6, { alerted: (packet) => void seen.push(packet.version === 6 ? packet.routerAlert : -2) });
    bench.receive('left', `${line} hopopts 0x05020000`);
    bench.expectSent('right', `> ${line} hopopts 0x05020000`);
    expect(seen).to.deep.equal([0]);
  });
});
