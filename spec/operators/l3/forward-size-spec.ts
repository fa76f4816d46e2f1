import { expect } from 'chai';
import * as fc from 'fast-check';
import { map, type Observable } from 'rxjs';
import { ChecksumState, Frame } from '../../../lib/core/frame.js';
import { clampMss } from '../../../lib/l3/clamp-mss.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { forBothVersions } from '../../both-versions.js';
import { pattern } from './packets.js';
import { chain, ether6, fragment6, ip6 } from './packets6.js';
import { type BenchOptions, ENDS, RouterBench } from './router-bench.js';

describe('forward, and packets that are too big', () => {
  let bench: RouterBench;
  afterEach(() => bench.close());

  it('cuts those of IPv4 that may be cut', () => {
    bench = new RouterBench(4, { mtu: { right: 600 } });
    const line = 'udp 53 > 1024 (1000) from 10.1.0.2 to 10.2.0.2';
    bench.receive('left', `${line} ipid 7 ttl 9`);
    bench.expectSent('right', `> ${line} ipid 7 ttl 8 frag 0:576+`, `> ${line} ipid 7 ttl 8 frag 576:1008`);
  });

  it('tells the sender of what it has cut that nobody is there, once', () => {
    bench = new RouterBench(4, { mtu: { right: 600 } });
    bench.receive('left', 'udp 53 > 1024 (2000) from 10.1.0.2 to 10.2.0.9 ipid 7');
    bench.env.scheduler.runFor(3500);
    bench.right.sent.length = 0;
    bench.expectSent('left', '> icmp unreachable host from 10.1.0.1 to 10.1.0.2');
  });

  it('cuts fragments again', () => {
    bench = new RouterBench(4, { mtu: { right: 600 } });
    const line = 'udp 53 > 1024 (2000) from 10.1.0.2 to 10.2.0.2 ipid 7';
    bench.receive('left', `${line} frag 800:1600+`);
    bench.expectSent('right', `> ${line} frag 800:1376+`, `> ${line} frag 1376:1600+`);
  });

  it('RFC 791 3.1: cuts no fragment that ends beyond what a packet can hold: its pieces would be taken for the first ones', () => {
    bench = new RouterBench(4, { mtu: { right: 600 } });
    const line = 'udp 53 > 1024 (65508) from 10.1.0.2 to 10.2.0.2 ipid 7';
    const most = 65_535 - 20;
    expect(bench.receive('left', `${line} frag 64512:${most}`)).to.equal('taken');
    bench.expectSent('right', `> ${line} frag 64512:65088+`, `> ${line} frag 65088:${most}`);
    expect(bench.receive('left', `${line} frag 64512:${most + 1}`)).to.equal('fragment-bad');
    bench.expectSent('right');
    bench.expectSent('left');
  });

  it('takes fragments further as they are, without hooks', () => {
    bench = new RouterBench(6);
    const line = 'udp 53 > 1024 (3000) from fd01::2 to fd02::2 ipid 7';
    bench.receive('left', `${line} frag 1448:2896+`);
    bench.expectSent('right', `> ${line} frag 1448:2896+`);
  });
});

forBothVersions('forward, with fragments put together for the hooks', ({ version }) => {
  const { a, b, left } = ENDS[version];
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  let bench: RouterBench;
  let seen: number[];
  const make = (options: BenchOptions = {}): void => {
    seen = [];
    bench = new RouterBench(version, {
      ...options,
      hooks: { forward: (packets$) => packets$.pipe(tapLength()) },
    });
  };
  const tapLength =
    () =>
    <P extends { readonly frame: Frame }>(packets$: Observable<P>) =>
      packets$.pipe(
        map((packet) => {
          seen.push(packet.frame.length);
          return packet;
        }),
      );
  afterEach(() => bench.close());

  const line = `udp 53 > 1024 (3000) from ${a} to ${b} ipid 7`;
  const headers = version === 4 ? 20 : 40;

  it('shows them the whole, and sends pieces that are no larger than they were', () => {
    make();
    bench.receive('left', `${line} frag 0:1200+`);
    bench.receive('left', `${line} frag 2400:3008`);
    bench.expectSent('right');
    bench.receive('left', `${line} frag 1200:2400+`);
    expect(seen).to.deep.equal([headers + 3008]);
    const lengths = bench.right.sent.splice(0).map(({ length }) => length - 14);
    const size = headers + (version === 4 ? 0 : 8) + 1200;
    expect(lengths).to.deep.equal([size, size, size - 1200 + 608]);
  });

  it('cuts them smaller where the next link asks for it, and it is allowed', () => {
    make({ mtu: { right: version === 4 ? 620 : 1280 } });
    for (const part of ['0:1448+', '1448:2896+', '2896:3008']) bench.receive('left', `${line} frag ${part}`);
    if (version === 4) {
      expect(bench.right.sent.splice(0).every(({ length }) => length - 14 <= 620)).to.equal(true);
    } else {
      // Nobody but the source cuts those of IPv6.
      bench.expectSent('right');
      bench.expectSent('left', `> ${icmp} packet_too_big mtu 1280 from ${left} to ${a}`);
    }
  });

  it('tells that nobody is there, once for all pieces', () => {
    make();
    const far = line.replace(b, version === 4 ? '10.2.0.9' : 'fd02::9');
    for (const part of ['0:1200+', '1200:2400+', '2400:3008']) bench.receive('left', `${far} frag ${part}`);
    bench.env.scheduler.runFor(3500);
    bench.right.sent.length = 0;
    bench.expectSent('left', `> ${icmp} unreachable ${version === 4 ? 'host' : 'address'} from ${left} to ${a}`);
  });

  it('tells that a piece has not come in time', () => {
    make();
    bench.receive('left', `${line} frag 0:1200+`);
    bench.env.scheduler.runFor(60_000);
    bench.expectSent('left', `> ${icmp} time_exceeded reassembly from ${left} to ${a}`);
  });
});

describe('forward, with fragments put together for the hooks', () => {
  const source = ip6(ENDS[6].a);
  const destination = ip6(ENDS[6].b);
  const data = pattern(2_000);
  // The other one leaves where it belongs, in front of it (4.5): each fragment repeats its eight bytes.
  const headers: readonly (readonly [name: string, protocol: number, rest: readonly number[], repeated: number])[] = [
    ['an unknown option', IpProtocol.DestinationOptions, [0, 0xc9, 4, 0, 0, 0, 0], 0],
    ['a route with stations to come', IpProtocol.Routing, [0, 253, 1, 0, 0, 0, 0], 8],
  ];
  for (const [name, protocol, rest, repeated] of headers) {
    it(`RFC 8200 4: leaves to the destination what is behind the fragment header: ${name}`, () => {
      const bench = new RouterBench(6, { hooks: { forward: (packets$) => packets$ } });
      const inner = chain([[protocol, rest]], 253, data);
      for (const [from, to] of [
        [0, 1200],
        [1200, inner.bytes.length],
      ] as const) {
        const piece = fragment6(inner.bytes, inner.protocol, { from, to }, { source, destination });
        expect(bench.receiveBytes('left', ether6(piece))).to.equal('taken');
      }
      const payloads = bench.right.sent.splice(0).map((bytes) => bytes.subarray(14 + 40 + repeated + 8));
      expect(Buffer.concat(payloads)).to.deep.equal(Buffer.from(inner.bytes.subarray(repeated)));
      bench.expectSent('left');
      expect(bench.env.drops.total).to.equal(0);
      bench.close();
    });
  }
});

forBothVersions('forward, with clampMss', ({ version }) => {
  const { a, b } = ENDS[version];
  const headers = version === 4 ? 40 : 60;
  let bench: RouterBench;
  afterEach(() => bench?.close());

  const syn = (mss: number, flags = 'S') =>
    `40000 > 80 ${flags} 0:0(0)${flags === 'S.' ? ' ack 1' : ''} win 65535 <mss ${mss},nop,wscale 7> from ${a} to ${b}`;

  it('lowers the segment size of a SYN to what the next link carries', () => {
    bench = new RouterBench(version, { mtu: { right: 1400 }, left: { clampMss: true } });
    bench.receive('left', syn(1460));
    bench.expectSent('right', `> ${syn(1400 - headers)}`);
    bench.receive('left', syn(1460, 'S.'));
    bench.expectSent('right', `> ${syn(1400 - headers, 'S.')}`);
    bench.receive('left', syn(900));
    bench.expectSent('right', `> ${syn(900)}`);
  });

  it('lowers it to what the link carries that the packet came by', () => {
    bench = new RouterBench(version, { mtu: { left: 1400 }, right: { clampMss: true } });
    bench.receive('left', syn(1460));
    bench.expectSent('right', `> ${syn(1400 - headers)}`);
  });

  it('lowers it to what it is told', () => {
    bench = new RouterBench(version, { right: { clampMss: 1300 } });
    bench.receive('left', syn(1460));
    bench.expectSent('right', `> ${syn(1300 - headers)}`);
  });

  it('leaves it alone where it is not told to, and in other segments', () => {
    bench = new RouterBench(version, { mtu: { right: 1400 } });
    bench.receive('left', syn(1460));
    bench.expectSent('right', `> ${syn(1460)}`);
  });

  it('keeps the checksum right wherever the option stands, and a partial one as it is', () => {
    const notation = new PacketNotation({ version });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 100, max: 0xffff }), (nops, mss) => {
        const padding = ',eol'.repeat((4 - (nops % 4)) % 4);
        const before = `${'nop,'.repeat(nops)}mss ${mss}${padding}`;
        const frame = notation.build(`> S 0:0(0) win 1 <${before}>`);
        frame.network = frame.start + 14;
        const changed = clampMss(frame, 1400);
        expect(changed).to.equal(mss > 1400 - headers);
        const after = `${'nop,'.repeat(nops)}mss ${Math.min(mss, 1400 - headers)}${padding}`;
        const { equal, expected, actual } = notation.compare(`> S 0:0(0) win 1 <${after}>`, frame);
        expect(equal, `${actual} instead of ${expected}`).to.equal(true);
        frame.checksum = ChecksumState.Partial;
        const at = frame.network + headers - 4;
        const field = frame.slab.view.getUint16(at);
        clampMss(frame, 500);
        expect(frame.slab.view.getUint16(at)).to.equal(field);
      }),
    );
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 120 }), fc.integer({ min: 0, max: 2000 }), (bytes, mtu) => {
        bytes[0] = version === 4 ? 0x45 : 0x60;
        bytes[version === 4 ? 9 : 6] = 6;
        if (version === 4) [bytes[2], bytes[3]] = [0, bytes.length];
        else [bytes[4], bytes[5]] = [0, Math.max(0, bytes.length - 40)];
        const frame = Frame.from(bytes);
        frame.network = frame.start;
        clampMss(frame, mtu);
        if (version === 4) expect(new Ipv4Packet(frame, frame.start).totalLength).to.equal(bytes.length);
      }),
    );
  });
});
