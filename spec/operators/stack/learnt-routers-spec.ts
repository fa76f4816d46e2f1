/** What a host that goes by routers which advertise themselves makes of what these, and others on the link, say later. */

import { expect } from 'chai';
import type { Ipv6Address } from '../../../lib/core/address.js';
import { RouterAdvertisement, type RouterAdvertisementFields } from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { host } from '../../../operators/stack/host.js';
import { fakeDevice, virtualEnv } from '../../lib/l2/fake-device.js';
import { mac } from '../l3/packets.js';
import { advertisement, ether6, ip6, ndpPacket } from '../l3/packets6.js';
import { SLAAC } from './autoconf-hosts.js';

const ALL_NODES = ip6('ff02::1');
const FAR = ip6('2001:db8:9::9');
const ONE = { ip: ip6('fe80::1'), mac: mac('02:00:00:00:01:01') };
const TWO = { ip: ip6('fe80::2'), mac: mac('02:00:00:00:01:02') };
const OTHER_MAC = mac('02:00:00:00:01:09');

type Router = typeof ONE;

/** A host that has one address of its own, on a link on which somebody says what he likes. */
function listener() {
  const env = virtualEnv();
  const device = fakeDevice(env);
  const me = host({ device, addresses: ['fd00::1/64'], ...SLAAC }, env);
  const running = device.frames$.pipe(me).subscribe(device.sink);
  const { routes6 } = me.tables;
  return {
    advertise(
      { ip, mac: from }: Router,
      fields: Partial<RouterAdvertisementFields> = {},
      more: NdpOption[] = [],
    ): void {
      const options = [{ kind: 'source-link-address', mac: from } as const, ...more];
      const packet = ndpPacket((frame) => RouterAdvertisement.emit(frame, { lifetime: 1_800, ...fields }, options), {
        source: ip,
        destination: ALL_NODES,
      });
      device.receive(ether6(packet, undefined, from));
    },
    /** Says for `target` that it is a host. */
    isHost({ ip }: Router, from: number, override: boolean): void {
      const options = from < 0 ? [] : [{ kind: 'target-link-address', mac: from } as const];
      const flags = { router: false, solicited: false, override };
      device.receive(ether6(advertisement(ip, flags, { source: ip, destination: ALL_NODES }, options)));
    },
    neighbours: me.neighbours(device),
    redirect: ({ ip }: Router, to: Ipv6Address) => me.tables.redirect6(device, ip, FAR, to),
    /** By which router packets to far away go. */
    gateway: () => routes6.lookup(FAR.a, FAR.b, FAR.c, FAR.d)?.gateway?.toString(),
    end(): void {
      running.unsubscribe();
      expect(env.scheduler.pending).to.equal(0);
      expect(env.pool.outstanding).to.equal(0);
    },
  };
}

describe('a host that goes by routers', () => {
  let lan: ReturnType<typeof listener>;
  beforeEach(() => (lan = listener()));
  afterEach(() => lan.end());

  for (const isRedirected of [false, true]) {
    const gone = isRedirected ? TWO : ONE;
    const which = isRedirected ? 'the one that it was redirected to' : 'its only one';

    describe(`and is told that ${which} is a host (RFC 4861 7.2.5)`, () => {
      beforeEach(() => {
        lan.advertise(ONE);
        lan.advertise(TWO, { lifetime: 0 });
        if (isRedirected) expect(lan.redirect(ONE, TWO.ip)).to.equal(true);
      });

      it('keeps it where the word may not change what is known', () => {
        lan.isHost(gone, OTHER_MAC, false);
        expect(lan.gateway()).to.equal(gone.ip.toString());
        expect(lan.neighbours?.get(gone.ip)).to.include({ mac: gone.mac, isRouter: true });
      });

      it('keeps it where nobody asked for it, or the word is nonsense', () => {
        lan.isHost(gone, mac('01:00:5e:00:00:01'), true);
        lan.neighbours?.flush();
        lan.isHost(gone, gone.mac, true);
        expect(lan.gateway()).to.equal(gone.ip.toString());
      });

      it('keeps it where the user has said where it is, and the word comes from elsewhere', () => {
        lan.neighbours?.setStatic(gone.ip, gone.mac);
        lan.isHost(gone, OTHER_MAC, true);
        expect(lan.gateway()).to.equal(gone.ip.toString());
      });

      for (const [who, from] of [
        ['it says so itself', gone.mac],
        ['its successor at the address says so', OTHER_MAC],
        ['it says so, but not where it is', -1],
      ] as const) {
        it(`leaves it where ${who}`, () => {
          lan.isHost(gone, from, true);
          expect(lan.gateway()).to.equal(isRedirected ? ONE.ip.toString() : undefined);
        });
      }
    });
  }

  describe('and was redirected to one of them (RFC 4861 6.3.5)', () => {
    const route = { kind: 'route', prefix: ip6('2001:db8:8::'), length: 48, preference: 0 } as const;
    const goesBy = (router: Router) => expect(lan.gateway()).to.equal(router.ip.toString());

    it('goes by it still when that changes its preference', () => {
      lan.advertise(ONE, { preference: 1 });
      lan.advertise(TWO, { preference: -1 });
      expect(lan.redirect(ONE, TWO.ip)).to.equal(true);
      for (const preference of [0, -1] as const) {
        lan.advertise(TWO, { preference });
        goesBy(TWO);
      }
    });

    it('goes by it still when that takes another route back, and was no default router', () => {
      lan.advertise(ONE);
      lan.advertise(TWO, { lifetime: 0 }, [{ ...route, lifetime: 60 }]);
      expect(lan.redirect(ONE, TWO.ip)).to.equal(true);
      lan.advertise(TWO, { lifetime: 0 }, [{ ...route, lifetime: 0 }]);
      goesBy(TWO);
    });

    it('goes by the first again when the other is no default router any more, whatever else it leads to', () => {
      lan.advertise(ONE, { preference: 1 });
      lan.advertise(TWO, {}, [{ ...route, lifetime: 60 }]);
      expect(lan.redirect(ONE, TWO.ip)).to.equal(true);
      lan.advertise(TWO, { lifetime: 0 });
      goesBy(ONE);
    });
  });
});
