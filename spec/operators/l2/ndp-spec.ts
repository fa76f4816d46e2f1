/** Neighbour discovery on a link, put together as a host does it; the state machine itself is tested in `neighbour-spec`. */

import { expect } from 'chai';
import { merge, type Subscription } from 'rxjs';
import type { Ipv6Address } from '../../../lib/core/address.js';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { asTxPacket, DELIVERED, Frame, UNDER_WAY } from '../../../lib/core/frame.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import type { NeighbourEvent } from '../../../lib/l2/neighbour-entry.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { Icmpv6Type } from '../../../lib/wire/icmpv6.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { groupMac, solicitedNode } from '../../../lib/wire/ipv6.js';
import {
  NdpRedirect,
  NeighbourAdvertisement,
  NeighbourSolicitation,
  RouterAdvertisement,
  RouterSolicitation,
} from '../../../lib/wire/ndp.js';
import type { NdpOption } from '../../../lib/wire/ndp-options.js';
import { demux } from '../../../operators/flow/demux.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { icmpv6 } from '../../../operators/l3/icmpv6.js';
import { ipv6 } from '../../../operators/l3/ipv6.js';
import { reassemble } from '../../../operators/l3/reassemble.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { mac } from '../l3/packets.js';
import {
  advertisement,
  chained,
  changedMessage as changed,
  ether6,
  fragment6,
  ip6,
  messageIn,
  ndpPacket,
  PEER6,
  solicitation,
  udp6Packet,
  US6,
} from '../l3/packets6.js';

const OTHER_MAC = mac('02:00:00:00:00:09');
const ALL_NODES = ip6('ff02::1');
const ROUTER = { ip: ip6('fe80::99'), mac: mac('02:00:00:00:00:99') };
const link = (kind: 'source' | 'target', address: number): NdpOption => ({
  kind: `${kind}-link-address`,
  mac: address,
});

describe('ndp', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let tables: IpTables;
  let ours: EthernetLink;
  let events: NeighbourEvent[];
  let running: Subscription;

  /** Delivers a packet; its fate by name. */
  function receive(packet: Uint8Array, to?: number, from?: number): string {
    const fate = device.receive(ether6(packet, to, from));
    return fate === DELIVERED ? 'delivered' : fate === UNDER_WAY ? 'nothing' : dropReasonName(fate as DropReason);
  }
  /** What was sent since the last call, as text. */
  function sent(): string[] {
    return device.sent.splice(0).map((bytes) => {
      const { destination } = new EthernetFrame(Frame.from(bytes), 160);
      const to = destination === PEER6.mac ? 'peer' : destination.toString(16);
      const { packet, message } = messageIn(bytes.subarray(14));
      const { frame } = packet;
      const ends = `${packet.sourceAddress.toString()} > ${packet.destinationAddress.toString()} (${to})`;
      if (message.type === Icmpv6Type.NeighbourSolicitation) {
        const view = new NeighbourSolicitation(frame, frame.start);
        expect(packet.hopLimit).to.equal(255);
        expect(view.sourceLinkAddress).to.equal(US6.mac);
        return `${ends}: who has ${view.target.toString()}`;
      }
      if (message.type !== Icmpv6Type.NeighbourAdvertisement) return `${ends}: type ${message.type}`;
      const view = new NeighbourAdvertisement(frame, frame.start);
      expect(packet.hopLimit).to.equal(255);
      expect(view.targetLinkAddress).to.equal(US6.mac);
      const flags = `${view.router ? 'R' : ''}${view.solicited ? 'S' : ''}${view.override ? 'O' : ''}`;
      return `${ends}: ${view.target.toString()} is here ${flags}`;
    });
  }
  const known = (address: Ipv6Address = PEER6.ip) => ours.neighbours.get(address);
  /** What is known of a neighbour: state, MAC address, R if it is a router. */
  function entry(address: Ipv6Address = PEER6.ip): string | undefined {
    const info = known(address);
    return info && `${info.state} ${info.mac?.toString(16)}${info.isRouter ? ' R' : ''}`;
  }
  const M = PEER6.mac.toString(16);
  const OTHER = OTHER_MAC.toString(16);
  /** Sends a packet of ours to an address. */
  function send(to: Ipv6Address, source: Ipv6Address = US6.ip): void {
    const frame = env.pool.alloc(1500);
    const packet = udp6Packet({ source, destination: to });
    frame.slab.bytes.set(packet, frame.put(packet.length));
    ours.send(asTxPacket(frame), to.a, to.b, to.c, to.d);
  }

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env);
    tables = new IpTables(env);
    tables.addAddress(device, 'fd00::1/64');
    tables.addAddress(device, 'fe80::ff:fe00:1/64');
    ours = new EthernetLink(
      { device, addresses: tables.arpAddresses(device), addresses6: tables.ndpAddresses(device) },
      env,
    );
    events = [];
    ours.neighbours.observe((event) => events.push(event));
    const link$ = demux(
      device.frames$.pipe(ethernet({ mac: device.mac, multicast: tables.groupMacs }, env)),
      (frame) => frame.etherType,
    );
    const whole$ = link$.on(EtherType.Ipv6).pipe(ipv6({ addresses: tables.addresses6 }, env), reassemble({}, env));
    const net$ = demux(whole$, ({ protocol }) => protocol);
    const reports = new IcmpReports();
    const neighbourDiscovery = (packet: Parameters<typeof ours.ndp.receive>[0]) => ours.ndp.receive(packet);
    running = merge(net$.on(IpProtocol.Icmpv6).pipe(icmpv6({ tables, reports, neighbourDiscovery }, env)))
      .pipe(routeAndResolve({ tables, links: [ours] }, env))
      .subscribe(device.sink);
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  describe('4861-2: resolution', () => {
    it('asks the solicited-node group three times, a second apart, and sends what waited once it is answered', () => {
      send(PEER6.ip);
      const question = `fd00::1 > ff02::1:ff00:2 (3333ff000002): who has fd00::2`;
      expect(sent()).to.deep.equal([question]);
      env.scheduler.runFor(2_000);
      expect(sent()).to.deep.equal([question, question]);
      expect(receive(advertisement())).to.equal('delivered');
      expect(entry()).to.equal(`reachable ${M}`);
      expect(device.sent.splice(0).map((bytes) => bytes.slice(14))).to.deep.equal([
        udp6Packet({ source: US6.ip, destination: PEER6.ip }),
      ]);
    });
    it('asks from an address of the scope of the one that is asked for', () => {
      send(PEER6.linkLocal, US6.linkLocal);
      expect(sent()).to.deep.equal(['fe80::ff:fe00:1 > ff02::1:ff00:2 (3333ff000002): who has fe80::ff:fe00:2']);
    });
    it('asks from where the packet that waits comes from, if that is an address of the link', () => {
      tables.addAddress(device, 'fd00::abc/64');
      send(PEER6.ip, ip6('fd00::abc'));
      env.scheduler.runFor(1_000);
      const question = 'fd00::abc > ff02::1:ff00:2 (3333ff000002): who has fd00::2';
      expect(sent()).to.deep.equal([question, question]);
      send(ip6('fd00::3'), ip6('fd99::1'));
      expect(sent()).to.deep.equal(['fd00::1 > ff02::1:ff00:3 (3333ff000003): who has fd00::3']);
    });
    it('gives up after the third second, and begins anew with the next packet', () => {
      send(PEER6.ip);
      env.scheduler.runFor(3_000);
      expect(entry()).to.equal(undefined);
      expect(env.drops.toJSON()).to.deep.equal({ 'neighbour-unreachable': 1 });
      sent();
      send(PEER6.ip);
      expect(sent()).to.have.length(1);
    });
    it('an advertisement creates no entry, and without a link address resolves nothing', () => {
      expect(receive(advertisement())).to.equal('ndp-unsolicited');
      expect(entry()).to.equal(undefined);
      send(PEER6.ip);
      expect(receive(advertisement(PEER6.ip, {}, {}, []))).to.equal('ndp-unsolicited');
      expect(known()?.state).to.equal('incomplete');
    });
  });

  describe('4861-4: advertisements, by flags, of a neighbour that is', () => {
    const bring = {
      incomplete: () => send(PEER6.ip),
      reachable() {
        send(PEER6.ip);
        receive(advertisement());
      },
      // Not by a solicitation, whose answer is a packet to it.
      stale() {
        const { a, b, c, d } = PEER6.ip;
        ours.neighbours.heard(a, b, c, d, PEER6.mac, true);
      },
    };
    const say = (given: keyof typeof bring, flags: string, address: number | undefined): string | undefined => {
      ours.neighbours.remove(PEER6.ip);
      bring[given]();
      const options = address === undefined ? [] : [link('target', address)];
      const has = (flag: string) => flags.includes(flag);
      const all = { solicited: has('S'), override: has('O'), router: has('R') };
      receive(advertisement(PEER6.ip, all, {}, options));
      device.sent.length = 0;
      return entry();
    };
    // RFC 4861 7.2.5 and the table of appendix C.
    const rows: readonly (readonly [keyof typeof bring, string, number | undefined, string])[] = [
      ['incomplete', 'SO', PEER6.mac, `reachable ${M}`],
      ['incomplete', 'S', PEER6.mac, `reachable ${M}`],
      ['incomplete', 'SR', PEER6.mac, `reachable ${M} R`],
      // It waits for nothing but to be used: the packet that waited was sent.
      ['incomplete', 'O', PEER6.mac, `delay ${M}`],
      ['incomplete', '', PEER6.mac, `delay ${M}`],
      ['reachable', 'SO', PEER6.mac, `reachable ${M}`],
      ['reachable', 'S', OTHER_MAC, `stale ${M}`],
      ['reachable', '', OTHER_MAC, `stale ${M}`],
      ['reachable', 'R', OTHER_MAC, `stale ${M}`],
      ['reachable', 'SO', OTHER_MAC, `reachable ${OTHER}`],
      ['reachable', 'O', OTHER_MAC, `stale ${OTHER}`],
      ['reachable', 'O', PEER6.mac, `reachable ${M}`],
      ['reachable', '', PEER6.mac, `reachable ${M}`],
      ['reachable', 'SOR', undefined, `reachable ${M} R`],
      ['stale', 'S', PEER6.mac, `reachable ${M}`],
      ['stale', 'SO', undefined, `reachable ${M}`],
      ['stale', 'S', OTHER_MAC, `stale ${M}`],
      ['stale', '', PEER6.mac, `stale ${M}`],
      ['stale', 'SO', OTHER_MAC, `reachable ${OTHER}`],
      ['stale', 'O', OTHER_MAC, `stale ${OTHER}`],
      ['stale', 'OR', OTHER_MAC, `stale ${OTHER} R`],
    ];
    for (const [given, flags, address, expected] of rows) {
      const what = address === undefined ? 'no' : address === PEER6.mac ? 'the same' : 'another';
      it(`${given}: ${flags === '' ? 'none' : flags}, ${what} MAC address`, () => {
        expect(say(given, flags, address)).to.equal(expected);
      });
    }

    it('a router that is none any more is told', () => {
      receive(solicitation());
      receive(advertisement(PEER6.ip, { router: true }));
      receive(advertisement(PEER6.ip, { router: true }));
      receive(advertisement(PEER6.ip, { router: false }));
      const told = events.map(({ isRouter }) => isRouter);
      expect(told.filter((is, at) => is !== told[at - 1])).to.deep.equal([false, true, false]);
    });

    it('of an address of ours changes nothing, and neither does one with an impossible MAC address', () => {
      expect(receive(advertisement(US6.ip))).to.equal('ndp-unsolicited');
      bring.reachable();
      for (const address of [0, US6.mac, groupMac(ALL_NODES), 0xffff_ffff_ffff]) {
        const said = advertisement(PEER6.ip, {}, {}, [link('target', address)]);
        expect(receive(said)).to.equal('ndp-unsolicited');
      }
      expect(entry()).to.equal(`reachable ${M}`);
    });
  });

  describe('solicitations', () => {
    it('for an address of ours are answered to who asks, and teach where it is', () => {
      expect(receive(solicitation())).to.equal('delivered');
      expect(sent()).to.deep.equal(['fd00::1 > fd00::2 (peer): fd00::1 is here SO']);
      expect(known()?.mac).to.equal(PEER6.mac);
      // Asked only us: a probe.
      expect(receive(solicitation(US6.ip, { destination: US6.ip }))).to.equal('delivered');
      expect(sent()).to.deep.equal(['fd00::1 > fd00::2 (peer): fd00::1 is here SO']);
      expect(receive(solicitation(US6.linkLocal, { source: PEER6.linkLocal }))).to.equal('delivered');
      expect(sent()).to.deep.equal(['fe80::ff:fe00:1 > fe80::ff:fe00:2 (peer): fe80::ff:fe00:1 is here SO']);
    });
    it('from nobody, who verifies the address, are answered to all, unsolicited', () => {
      expect(receive(solicitation(US6.ip, { source: ip6('::') }, []))).to.equal('delivered');
      expect(sent()).to.deep.equal(['fd00::1 > ff02::1 (333300000001): fd00::1 is here O']);
      expect(ours.neighbours.size).to.equal(0);
    });
    it('say that we are a router, if we are', () => {
      ours.ndp.isRouter = true;
      receive(solicitation());
      expect(sent()).to.deep.equal(['fd00::1 > fd00::2 (peer): fd00::1 is here RSO']);
    });
    it('for others, and 4862-1: for tentative addresses, are not answered', () => {
      expect(receive(solicitation(ip6('fd00::1:0:0:1')))).to.equal('ndp-not-for-us');
      tables.addresses6.update(device, US6.ip, { tentative: true });
      expect(receive(solicitation())).to.equal('ndp-not-for-us');
      expect([sent(), ours.neighbours.size]).to.deep.equal([[], 0]);
    });
    it('with another MAC address make what was known stale; of a router it stays one', () => {
      send(PEER6.ip);
      receive(advertisement(PEER6.ip, { router: true }));
      receive(solicitation(US6.ip, {}, [link('source', OTHER_MAC)]));
      expect(known()).to.include({ mac: OTHER_MAC, isRouter: true });
    });
    it('7.2.8: for published addresses are answered as a proxy, which does not displace the owner', () => {
      const guest = ip6('fd00::77');
      ours.ndp.publish(guest);
      expect(receive(solicitation(guest))).to.equal('delivered');
      expect(sent()).to.deep.equal(['fd00::1 > fd00::2 (peer): fd00::77 is here S']);
      ours.ndp.unpublish(guest);
      expect(receive(solicitation(guest))).to.equal('ethernet-not-for-us');
    });
  });

  describe('4861-3: unreachability', () => {
    it('a neighbour is probed alone after 5 seconds of use, three times, and then everybody is asked, ever more seldom (RFC 7048)', () => {
      receive(solicitation());
      sent();
      send(PEER6.ip);
      device.sent.length = 0;
      env.scheduler.runFor(4_999);
      expect(sent()).to.deep.equal([]);
      const probe = 'fd00::1 > fd00::2 (peer): who has fd00::2';
      env.scheduler.runFor(2_001);
      expect(sent()).to.deep.equal([probe, probe, probe]);
      env.scheduler.runFor(1_000);
      expect(entry()).to.equal(`unreachable ${M}`);
      const all = 'fd00::1 > ff02::1:ff00:2 (3333ff000002): who has fd00::2';
      const pauses: number[] = [];
      for (let i = 0; i < 4; i++) {
        const begun = env.timers.now();
        for (;;) {
          send(PEER6.ip);
          const said = device.sent.splice(0).filter((bytes) => bytes[20] === IpProtocol.Icmpv6);
          if (said.length > 0) {
            device.sent.push(...said);
            break;
          }
          env.scheduler.runFor(500);
        }
        pauses.push(env.timers.now() - begun);
        expect(sent()).to.deep.equal([all]);
      }
      expect(pauses).to.deep.equal([0, 3_000, 9_000, 27_000]);
      receive(advertisement());
      expect(entry()).to.equal(`reachable ${M}`);
    });
    it('progress of an upper layer makes it needless', () => {
      receive(solicitation());
      send(PEER6.ip);
      const { a, b, c, d } = PEER6.ip;
      ours.confirm(a, b, c, d);
      expect(entry()).to.equal(`reachable ${M}`);
      device.sent.length = 0;
      env.scheduler.runFor(50_000);
      expect([sent(), entry()]).to.deep.equal([[], `stale ${M}`]);
    });
  });

  describe('4861-1, 6980: validation', () => {
    const router = { source: ROUTER.ip, destination: ALL_NODES };
    const messages: readonly (readonly [string, (ends: object) => Uint8Array])[] = [
      ['solicitation', (ends) => solicitation(US6.ip, ends)],
      ['advertisement', (ends) => advertisement(PEER6.ip, { solicited: false }, ends)],
      [
        'router advertisement',
        (ends) => ndpPacket((frame) => RouterAdvertisement.emit(frame, {}), { ...router, ...ends }),
      ],
      ['router solicitation', (ends) => ndpPacket((frame) => RouterSolicitation.emit(frame), ends)],
      [
        'redirect',
        (ends) => ndpPacket((frame) => NdpRedirect.emit(frame, ROUTER.ip, PEER6.ip), { source: ROUTER.ip, ...ends }),
      ],
    ];
    const size = {
      solicitation: 24,
      advertisement: 24,
      'router advertisement': 16,
      'router solicitation': 8,
      redirect: 40,
    };
    for (const [name, make] of messages) {
      it(`${name}: hop limit, code, length, options, fragments, checksum`, () => {
        for (const hopLimit of [0, 1, 64, 254]) expect(receive(make({ hopLimit }))).to.equal('ndp-bad-hop-limit');
        expect(receive(changed(make({}), (view) => view.setUint8(41, 1)))).to.equal('ndp-bad-code');
        for (const offset of [0, 3]) {
          expect(receive(changed(make({}), (view) => view.setUint8(42 + offset, 0xa5), false))).to.be.oneOf([
            'icmpv6-bad-checksum',
            // The byte that was changed is a reserved one here.
            'ndp-not-for-us',
          ]);
        }
        const least = size[name as keyof typeof size];
        for (let length = 0; length < least; length++) {
          const short = changed(make({}).slice(0, 40 + length), () => {});
          expect(receive(short), `${length} bytes`).to.equal(length < 8 ? 'icmpv6-truncated' : 'ndp-truncated');
        }
        for (const option of [
          [1, 0, 0, 0, 0, 0, 0, 0],
          [200, 2, 0, 0, 0, 0, 0, 0],
          [200, 1, 0, 0],
        ]) {
          const bad = changed(Uint8Array.from([...make({}).slice(0, 40 + least), ...option]), () => {});
          expect(receive(bad)).to.equal('ndp-bad-option');
        }
        const whole = make({});
        const { sourceAddress: source, destinationAddress: destination } = messageIn(whole).packet;
        const fields = { source, destination, hopLimit: 255 };
        const message = whole.slice(40);
        const atomic = fragment6(message, IpProtocol.Icmpv6, { from: 0, to: message.length, more: false }, fields);
        expect(receive(atomic)).to.equal('ndp-fragmented');
      });
    }
    it('solicitation: no group as target; from nobody only to the group, and without saying where nobody lives', () => {
      expect(receive(solicitation(ALL_NODES, { destination: US6.ip }))).to.equal('ndp-bad-target');
      expect(receive(solicitation(US6.ip, { source: ip6('::'), destination: ALL_NODES }, []))).to.equal(
        'ndp-bad-destination',
      );
      expect(receive(solicitation(US6.ip, { source: ip6('::') }))).to.equal('ndp-bad-option');
    });
    it('advertisement: no group as target; to all only unsolicited', () => {
      expect(receive(advertisement(ALL_NODES))).to.equal('ndp-bad-target');
      expect(receive(advertisement(PEER6.ip, { solicited: true }, { destination: ALL_NODES }))).to.equal(
        'ndp-bad-destination',
      );
    });
    it('router advertisement: from a link-local address', () => {
      const make = (source: Ipv6Address) =>
        ndpPacket((frame) => RouterAdvertisement.emit(frame, {}, [link('source', ROUTER.mac)]), {
          source,
          destination: ALL_NODES,
        });
      expect(receive(make(PEER6.ip))).to.equal('ndp-bad-source');
      expect(receive(make(ROUTER.ip))).to.equal('delivered');
      expect(entry(ROUTER.ip)).to.equal(`stale ${ROUTER.mac.toString(16)} R`);
    });
    it('other extension headers do no harm', () => {
      const message = solicitation().slice(40);
      const fields = { destination: solicitedNode(US6.ip), hopLimit: 255 };
      const nothing = [0, 1, 4, 0, 0, 0, 0] as const;
      expect(receive(chained([[IpProtocol.DestinationOptions, nothing]], IpProtocol.Icmpv6, message, fields))).to.equal(
        'delivered',
      );
    });
    it('observers are shown sound messages only, and may take them', () => {
      const seen: string[] = [];
      const stop = ours.ndp.observe(({ message, from }) => {
        seen.push(`${message.constructor.name} from ${from.toString(16)}`);
        return message instanceof NeighbourSolicitation;
      });
      receive(solicitation(US6.ip, { hopLimit: 254 }));
      expect(receive(solicitation())).to.equal('delivered');
      expect(receive(advertisement())).to.equal('ndp-unsolicited');
      expect(seen).to.deep.equal([`NeighbourSolicitation from ${M}`, `NeighbourAdvertisement from ${M}`]);
      expect(sent()).to.deep.equal([]);
      stop();
      receive(solicitation());
      expect(seen).to.have.length(2);
      expect(sent()).to.have.length(1);
    });
  });

  describe('4861-6: redirects', () => {
    const FAR = ip6('2001:db8::1');
    const BETTER = ip6('fe80::42');
    const redirect = (target: Ipv6Address, destination = FAR, source = ROUTER.ip, options: readonly NdpOption[] = []) =>
      ndpPacket((frame) => NdpRedirect.emit(frame, target, destination, options), { source });
    const hop = (to = FAR) => {
      const route = tables.route6(to.a, to.b, to.c, to.d);
      return `${route?.gateway?.toString() ?? 'direct'}/${route?.destination.length}`;
    };
    beforeEach(() => tables.addRoute({ destination: 'default', gateway: ROUTER.ip, device }));

    it('to another router, from the router of now, are heeded', () => {
      expect(hop()).to.equal('fe80::99/0');
      expect(receive(redirect(BETTER, FAR, ROUTER.ip, [link('target', OTHER_MAC)]))).to.equal('delivered');
      expect(hop()).to.equal('fe80::42/128');
      expect(hop(ip6('2001:db8::2'))).to.equal('fe80::99/0');
      expect(entry(BETTER)).to.equal(`stale ${OTHER} R`);
      // The one of now is another.
      expect(receive(redirect(ip6('fe80::43')))).to.equal('ndp-unsolicited');
      expect(receive(redirect(ip6('fe80::43'), FAR, BETTER))).to.equal('delivered');
      expect(hop()).to.equal('fe80::43/128');
    });
    it('to the destination itself say that it is on the link', () => {
      expect(receive(redirect(FAR, FAR, ROUTER.ip, [link('target', OTHER_MAC)]))).to.equal('delivered');
      expect(hop()).to.equal('direct/128');
      expect(entry(FAR)).to.equal(`stale ${OTHER}`);
    });
    it('are refused from others, for groups, to addresses that are no next hop, about ourselves and neighbours', () => {
      expect(receive(redirect(BETTER, FAR, PEER6.ip))).to.equal('ndp-bad-source');
      expect(receive(redirect(BETTER, FAR, PEER6.linkLocal))).to.equal('ndp-unsolicited');
      expect(receive(redirect(BETTER, ALL_NODES))).to.equal('ndp-bad-destination');
      expect(receive(redirect(PEER6.ip))).to.equal('ndp-bad-target');
      for (const destination of [US6.ip, PEER6.ip, PEER6.linkLocal]) {
        expect(receive(redirect(BETTER, destination))).to.equal('ndp-unsolicited');
      }
      expect(receive(redirect(US6.linkLocal))).to.equal('ndp-unsolicited');
      expect(hop()).to.equal('fe80::99/0');
    });
    it('do not override what the user says of one host, and are at most 64', () => {
      tables.addRoute({ destination: `${FAR.toString()}/128`, gateway: ROUTER.ip, device });
      expect(receive(redirect(BETTER))).to.equal('ndp-unsolicited');
      for (let n = 2; n < 102; n++) receive(redirect(BETTER, ip6(`2001:db8::${n.toString(16)}`)));
      expect(tables.routes6.list().filter(({ gateway }) => gateway?.equals(BETTER))).to.have.length(64);
      expect(hop(ip6('2001:db8::65'))).to.equal('fe80::42/128');
      expect(hop(ip6('2001:db8::2'))).to.equal('fe80::99/0');
    });
    it('RFC 4861 8.2: change no route of a router', () => {
      ours.ndp.isRouter = true;
      expect(receive(redirect(BETTER, FAR, ROUTER.ip, [link('target', OTHER_MAC)]))).to.equal('ndp-unsolicited');
      expect([hop(), entry(BETTER)]).to.deep.equal(['fe80::99/0', undefined]);
    });
    it('are undone when the router that they lead to does not answer', () => {
      receive(redirect(BETTER, FAR, ROUTER.ip));
      send(BETTER, US6.linkLocal);
      env.scheduler.runFor(3_000);
      expect(hop()).to.equal('fe80::99/0');
    });
  });
});
