import { expect } from 'chai';
import { type MonoTypeOperatorFunction, Subject } from 'rxjs';
import { parseIp } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { asTxPacket, type TxPacket } from '../../../lib/core/frame.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet, refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { layer } from '../../../operators/flow/layer.js';
import type { RoutedPacket, RouterHooks } from '../../../operators/stack/router.js';
import { forBothVersions } from '../../both-versions.js';
import { ether6, fragment6, ip6, solicitation } from '../l3/packets6.js';
import { type BenchOptions, ENDS, RouterBench } from '../l3/router-bench.js';

forBothVersions('the hooks of a router', ({ version }) => {
  const { a, b, left, right } = ENDS[version];
  const icmp = version === 4 ? 'icmp' : 'icmpv6';
  const transit = `udp 53 > 1024 (12) from ${a} to ${b}`;
  const request = `${icmp} echo_request id 7 seq 1 (8) from ${a} to ${left}`;
  const reply = `> ${icmp} echo_reply id 7 seq 1 (8) from ${left} to ${a}`;
  let bench: RouterBench;
  let seen: string[];
  const make = (options: BenchOptions = {}): void => {
    bench = new RouterBench(version, options);
  };
  /** Writes down what passes a hook: that it is whole, and where it is to go. */
  const watch = (name: string): MonoTypeOperatorFunction<RoutedPacket> =>
    layer(() => (packet) => {
      const { frame } = packet;
      const isWhole = frame.start === frame.network && packet.version === version;
      seen.push(`${name}${isWhole ? '' : ' in part'} ${frame.device?.name ?? '-'} ${frame.output?.name ?? '-'}`);
      return packet;
    });
  const all = (): RouterHooks => ({
    prerouting: watch('prerouting'),
    input: watch('input'),
    forward: watch('forward'),
    output: [watch('output')],
    postrouting: watch('postrouting'),
  });
  beforeEach(() => {
    seen = [];
  });
  afterEach(() => bench.close());

  it('see what is taken further, and where it goes', () => {
    make({ hooks: all() });
    bench.receive('left', transit);
    bench.expectSent('right', `> ${transit}`);
    expect(seen).to.deep.equal(['prerouting left -', 'forward left right', 'postrouting left right']);
  });

  it('see what is for the router, and what it answers', () => {
    make({ hooks: all() });
    bench.receive('left', request);
    bench.expectSent('left', reply);
    expect(seen).to.deep.equal(['prerouting left -', 'input left -', 'output left -', 'postrouting left left']);
  });

  it('see the errors that the router sends', () => {
    make({ hooks: all() });
    bench.receive('left', `${transit} ttl 1`);
    expect(bench.left.sent.splice(0)).to.have.length(1);
    expect(seen).to.deep.equal(['prerouting left -', 'output - -', 'postrouting - left']);
  });

  it('see, in prerouting too, what the router says of a packet that has passed them all', () => {
    make({ hooks: all() });
    bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${version === 4 ? '10.2.0.9' : 'fd02::9'}`);
    bench.env.scheduler.runFor(3_500);
    expect(bench.left.sent.splice(0)).to.have.length(1);
    const way = ['prerouting left -', 'forward left right', 'postrouting left right'];
    expect(seen).to.deep.equal([...way, 'prerouting - -', 'output - -', 'postrouting - left']);
  });

  for (const hook of ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const) {
    it(`may drop in ${hook}`, () => {
      const refuse: MonoTypeOperatorFunction<RoutedPacket> = layer(
        () =>
          ({ frame }): RoutedPacket | undefined =>
            bench.env.drops.report(DropReason.Filtered, frame, hook),
      );
      make({ hooks: { [hook]: refuse } });
      bench.receive('left', hook === 'input' || hook === 'output' ? request : transit);
      bench.expectSent('left');
      bench.expectSent('right');
      expect(bench.env.drops.count(DropReason.Filtered)).to.equal(1);
    });
  }

  it('may change in prerouting where a packet goes, and in postrouting where it is from', () => {
    const rewrite = (offset: number, text: string): MonoTypeOperatorFunction<RoutedPacket> =>
      layer(() => (packet) => {
        const { view } = packet.frame.slab;
        parseIp(text).write(view, packet.offset + offset);
        if (packet instanceof Ipv4Packet) refreshIpv4Checksum(view, packet.offset);
        return packet;
      });
    make({
      hooks: {
        prerouting: rewrite(version === 4 ? 16 : 24, b),
        postrouting: rewrite(version === 4 ? 12 : 8, right),
      },
    });
    const unknown = version === 4 ? '192.0.2.1' : '2001:db8::1';
    bench.receive('left', `udp 53 > 1024 (12) from ${a} to ${unknown}`);
    bench.expectSent('right', `> udp 53 > 1024 (12) from ${right} to ${b} bad-checksum`);
  });

  it('have operators that send by themselves', () => {
    const replies$ = new Subject<TxPacket>();
    make({ hooks: all(), replies: [replies$] });
    bench.receive('left', request);
    bench.expectSent('left', reply);
    seen.length = 0;
    const frame = bench.env.pool.alloc(8);
    frame.put(8);
    const bytes = bench.packetBytes('left', `> udp 53 > 1024 (12) from ${left} to ${a}`);
    frame.end = frame.start;
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    replies$.next(asTxPacket(frame));
    bench.expectSent('left', `> udp 53 > 1024 (12) from ${left} to ${a}`);
    expect(seen).to.deep.equal(['output - -', 'postrouting - left']);
  });
});

describe('a router with hooks', () => {
  it('RFC 6980 5: ignores neighbour discovery that came in fragments, though they are put together in front of the hooks', () => {
    const bench = new RouterBench(6, {
      hooks: { prerouting: layer<RoutedPacket, RoutedPacket>(() => (packet) => packet) },
    });
    const us = ip6(ENDS[6].left);
    const peer = ip6('fd01::77');
    const message = solicitation(us, { source: peer, destination: us }).slice(40);
    const ends = { source: peer, destination: us, hopLimit: 255 };
    for (const [from, to] of [
      [0, 16],
      [16, message.length],
    ] as const) {
      bench.receiveBytes('left', ether6(fragment6(message, IpProtocol.Icmpv6, { from, to }, ends)));
    }
    expect(bench.env.drops.toJSON()).to.deep.equal({ 'ndp-fragmented': 1 });
    expect(bench.me.neighbours(bench.left)?.get(peer)).to.equal(undefined);
    bench.expectSent('left');
    bench.close();
  });
});
