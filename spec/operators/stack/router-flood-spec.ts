import { expect } from 'chai';
import { Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { DELIVERED } from '../../../lib/core/frame.js';
import { SeededRandom } from '../../../lib/core/random.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { RouterAdvertisement } from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { host } from '../../../operators/stack/host.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';

const ALL_NODES = Ipv6Address.parse('ff02::1');
const ALL_NODES_MAC = 0x3333_0000_0001;

/** An advertisement of anything, from anybody. */
function anyAdvertisement(random: SeededRandom, env: Env): Uint8Array {
  const lifetime = () => [0, 1, 60, 7_200, 86_400, 0xffff_ffff][random.below(6)] ?? 0;
  const address = () => new Ipv6Address(random.below(4) === 0 ? random.uint32() : 0x2001_0db8, random.below(64), 0, 0);
  const preference = () => (random.below(3) - 1) as -1 | 0 | 1;
  const makers: readonly (() => NdpOption)[] = [
    () => ({
      kind: 'prefix',
      prefix: address(),
      length: random.below(3) === 0 ? random.below(129) : 64,
      onLink: random.below(2) === 0,
      autonomous: random.below(3) > 0,
      routerAddress: false,
      validLifetime: lifetime(),
      preferredLifetime: lifetime(),
    }),
    () => ({
      kind: 'route',
      prefix: address(),
      length: random.below(129),
      preference: preference(),
      lifetime: lifetime(),
    }),
    () => ({ kind: 'rdnss', lifetime: lifetime(), servers: [address(), address()] }),
    () => ({ kind: 'dnssl', lifetime: lifetime(), domains: [`d${random.below(100)}.example`] }),
    () => ({ kind: 'mtu', mtu: random.below(3) === 0 ? random.uint32() : 1_280 + random.below(300) }),
    () => ({ kind: 'source-link-address', mac: random.below(256) }),
    () => ({ kind: 'unknown', type: random.below(256), data: new Uint8Array(6) }),
  ];
  const options = Array.from({ length: random.below(5) }, () => makers[random.below(makers.length)]?.() ?? []).flat();
  const fields = {
    hopLimit: random.below(256),
    lifetime: random.below(2) * random.below(9_000),
    preference: preference(),
    reachableTime: random.below(2) * random.uint32(),
    retransmitTimer: random.below(2) * random.below(2_000),
  };
  const source = new Ipv6Address(0xfe80_0000, 0, 0, 1 + random.below(200));
  const frame = env.pool.alloc(1_500);
  RouterAdvertisement.emit(frame, fields, options);
  pushIcmpv6Headers(frame, { source, destination: ALL_NODES, hopLimit: 255 });
  EthernetFrame.emit(frame, ALL_NODES_MAC, 0x0200_0000_0099, EtherType.Ipv6);
  const bytes = Uint8Array.from(frame.bytes());
  frame.release();
  return bytes;
}

describe('a host among hostile routers', () => {
  for (let seed = 1; seed <= 3; seed++) {
    it(`keeps what it learns within bounds, and leaves nothing behind (seed ${seed})`, () => {
      const env = virtualEnv(seed);
      const random = new SeededRandom(seed);
      const device = fakeDevice(env);
      const me = host({ device, slaac: true }, env);
      const subscription = device.frames$.pipe(me).subscribe(device.sink);
      let most = { addresses: 0, routes: 0 };
      for (let i = 0; i < 2_000; i++) {
        const bytes = anyAdvertisement(random, env);
        if (random.below(10) === 0) bytes[14 + 40 + random.below(bytes.length - 54)] = random.below(256);
        const fate = device.receive(bytes);
        expect(fate, `frame ${i}`).to.be.oneOf([DELIVERED, DropReason.Icmpv6BadChecksum, DropReason.NdpBadOption]);
        if (random.below(10) === 0) env.scheduler.runFor(random.below(20_000));
        const { addresses6, routes6 } = me.tables;
        most = {
          addresses: Math.max(most.addresses, addresses6.list().length),
          routes: Math.max(most.routes, routes6.size),
        };
        const mtu = me.autoconf.interface6(device)?.discovery?.parameters.mtu ?? 0;
        expect(mtu).to.be.within(1_280, 1_500);
      }
      // Of 16 prefixes a stable address, and temporary ones that follow each other.
      expect(most.addresses).to.be.within(17, 80);
      expect(most.routes).to.be.within(100, 128);
      expect(me.autoconf.dnsServers.length).to.be.at.most(8);
      expect(me.autoconf.searchDomains.length).to.be.at.most(8);
      expect(env.drops.count(DropReason.CallbackThrew)).to.equal(0);
      subscription.unsubscribe();
      expect(me.tables.addresses6.list()).to.deep.equal([]);
      expect(me.tables.routes6.list()).to.deep.equal([]);
      expect(env.scheduler.pending, 'timers left').to.equal(0);
      expect(env.pool.outstanding, 'frames left').to.equal(0);
    });
  }
});
