import { expect } from 'chai';
import { filter, map, merge, share, Subject, type Subscription } from 'rxjs';
import { type DropReason, DropReason as Reason, dropReasonName } from '../../../lib/core/drops.js';
import { Cast, type TxPacket } from '../../../lib/core/frame.js';
import { IcmpErrors } from '../../../lib/l3/icmp-errors.js';
import type { IcmpErrorKind } from '../../../lib/l3/icmp-report.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { type Icmpv6Message, Icmpv6Type } from '../../../lib/wire/icmpv6.js';
import { HOP_BY_HOP, IpProtocol } from '../../../lib/wire/ip.js';
import { solicitedNode } from '../../../lib/wire/ipv6.js';
import { icmpv6 } from '../../../operators/l3/icmpv6.js';
import { ipv6 } from '../../../operators/l3/ipv6.js';
import { protocolUnreachable } from '../../../operators/l3/unreachable.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { pattern } from './packets.js';
import {
  advertisement,
  chained,
  echo6,
  fragment6,
  icmp6Packet,
  ip6,
  ip6Packet,
  messageIn,
  ndpPacket,
  PEER6,
  solicitation,
  udp6Packet,
  US6,
} from './packets6.js';
import { NdpRedirect } from '../../../lib/wire/ndp.js';

const ALL_NODES = ip6('ff02::1');

describe('icmpv6', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let tables: IpTables;
  let reports: IcmpReports;
  let heard: string[];
  let running: Subscription;
  let errors: IcmpErrors;
  let linkCast: Cast;
  /** What is asked to be reported about every packet; nothing by default. */
  let complaint: IcmpErrorKind | undefined;
  let detail: number;
  let handedOver: string[];

  function run(options: { echoGroups?: boolean; mine?: number; handlers?: boolean } = {}): void {
    running?.unsubscribe();
    const { mine, handlers = false, ...rest } = options;
    const complaints = new Subject<TxPacket>();
    const tell = (error: TxPacket | undefined): void => {
      if (error !== undefined) complaints.next(error);
    };
    const net$ = device.frames$.pipe(
      map((frame) => {
        frame.linkCast = linkCast;
        return { frame, etherType: EtherType.Ipv6 };
      }),
      ipv6({ addresses: tables.addresses6, problem: (packet, problem) => tell(errors.problem(packet, problem)) }, env),
      filter((packet) => {
        if (complaint === undefined) return true;
        tell(errors.about(packet, complaint, detail));
        env.drops.report(Reason.IpUnknownProtocol, packet.frame);
        return false;
      }),
      share(),
    );
    const take = (name: string) => (packet: { frame: { start: number } }) => {
      handedOver.push(name);
      env.drops.deliver(packet.frame as never);
    };
    const discovery = { neighbourDiscovery: take('ndp'), listenerDiscovery: take('mld') };
    const echoReplies = (message: Icmpv6Message) => message.identifier === mine;
    const isOurs = (protocol: number) => protocol === IpProtocol.Icmpv6;
    running = merge(
      complaints,
      net$.pipe(
        filter(({ protocol }) => isOurs(protocol)),
        icmpv6({ tables, reports, echoReplies, ...(handlers ? discovery : {}), ...rest }, env),
      ),
      net$.pipe(
        filter(({ protocol }) => !isOurs(protocol)),
        protocolUnreachable(errors, env),
      ),
    ).subscribe(device.sink as never);
  }
  function receive(bytes: Uint8Array): string {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  }
  /** The only packet that was sent. */
  function answer(): ReturnType<typeof messageIn> {
    expect(device.sent).to.have.length(1);
    return messageIn(device.sent.splice(0)[0] ?? new Uint8Array());
  }
  /** What the only packet that was sent says: type, code, rest, source, destination. */
  function error(): unknown[] {
    const { packet, message } = answer();
    const { type, code, rest } = message;
    return [type, code, rest, packet.sourceAddress.toString(), packet.destinationAddress.toString()];
  }
  const ours = () => udp6Packet({ source: US6.ip, destination: PEER6.ip });
  const reportOf = (type: number, code: number, rest = 0, quote = ours()) => icmp6Packet(type, code, rest, quote);

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    tables = new IpTables(env);
    tables.addAddress(device, 'fd00::1/64');
    tables.addAddress(device, 'fe80::ff:fe00:1/64');
    tables.addRoute({ destination: 'default', gateway: 'fe80::1', device });
    reports = new IcmpReports();
    heard = [];
    reports.on(IpProtocol.Udp, ({ kind, code, destination, mtu, frame, transport }) => {
      const ports = `${frame.slab.view.getUint16(transport)}>${frame.slab.view.getUint16(transport + 2)}`;
      heard.push(`${kind} ${code} ${destination.toString()} ${ports} ${mtu}`);
    });
    errors = new IcmpErrors({ tables }, env);
    complaint = undefined;
    detail = 0;
    linkCast = Cast.Unicast;
    handedOver = [];
    run();
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
  });

  describe('echo', () => {
    it('4443-2: is answered from the address that was asked, with its data, whatever their length', () => {
      for (const length of [0, 1, 55, 1452, 8_000, 65_527]) {
        expect(receive(echo6(pattern(length), { hopLimit: 3, trafficClass: 0xb9 }))).to.equal('taken');
        const { packet, message } = answer();
        expect(packet.sourceAddress.equals(US6.ip) && packet.destinationAddress.equals(PEER6.ip)).to.equal(true);
        expect([packet.hopLimit, packet.trafficClass]).to.deep.equal([64, 0xb8]);
        expect([message.type, message.code, message.rest]).to.deep.equal([129, 0, 0x0007_0001]);
        expect(message.frame.slab.bytes.slice(message.payload)).to.deep.equal(pattern(length));
      }
    });

    it('is answered rightly where the sum is all ones or all zeros', () => {
      for (let word = 0; word < 0x10000; word += 1) {
        const data = Uint8Array.of(word >>> 8, word & 0xff);
        if (word > 40 && word < 0xffd0 && word % 97 !== 0) continue;
        expect(receive(echo6(data))).to.equal('taken');
        expect(answer().message.type).to.equal(Icmpv6Type.EchoReply);
      }
    });

    it('is answered without the extension headers of the request', () => {
      const nothing = [0, 1, 4, 0, 0, 0, 0] as const;
      const more = Array.from({ length: 7 }, () => [IpProtocol.DestinationOptions, nothing] as const);
      for (let count = 0; count < more.length; count++) {
        const headers = [[HOP_BY_HOP, nothing] as const, ...more.slice(0, count)];
        receive(chained(headers, IpProtocol.Icmpv6, echo6().subarray(40)));
        const { packet } = answer();
        expect(packet.headerLength).to.equal(40);
        expect(packet.sourceAddress.equals(US6.ip) && packet.destinationAddress.equals(PEER6.ip)).to.equal(true);
      }
    });

    it("to a group is answered from an address of the sender's scope, unless that is not wanted", () => {
      for (const [source, own] of [
        [PEER6.ip, US6.ip],
        [PEER6.linkLocal, US6.linkLocal],
      ] as const) {
        for (const destination of [ALL_NODES, solicitedNode(US6.ip)]) {
          expect(receive(echo6(pattern(9), { source, destination }))).to.equal('taken');
          expect(answer().packet.sourceAddress.toString()).to.equal(own.toString());
        }
      }
      run({ echoGroups: false });
      expect(receive(echo6(pattern(9), { destination: ALL_NODES }))).to.equal('icmpv6-unsolicited');
      expect(receive(echo6(pattern(9), { source: ip6('::'), destination: ALL_NODES }))).to.equal('icmpv6-unsolicited');
      expect(device.sent).to.deep.equal([]);
    });

    it('replies are for who asked', () => {
      const reply = icmp6Packet(Icmpv6Type.EchoReply, 0, 0x0007_0001, pattern(8));
      expect(receive(reply)).to.equal('icmpv6-unsolicited');
      run({ mine: 7 });
      expect(receive(reply)).to.equal('taken');
    });
  });

  it('with a bad checksum, or too short, it is dropped', () => {
    const bad = echo6();
    bad[60] = (bad[60] ?? 0) ^ 1;
    expect(receive(bad)).to.equal('icmpv6-bad-checksum');
    for (let length = 0; length < 8; length++) {
      const short = ip6Packet({ protocol: IpProtocol.Icmpv6 }, echo6().subarray(40, 40 + length));
      expect(receive(short)).to.equal('icmpv6-truncated');
    }
  });

  it('4443-1: unknown informational messages are dropped in silence', () => {
    for (const type of [139, 140, 200, 201, 255]) {
      expect(receive(icmp6Packet(type, 0, 0, pattern(8)))).to.equal('icmpv6-unknown-type');
    }
    expect(device.sent).to.deep.equal([]);
  });

  it('hands neighbour and listener discovery over, or drops it', () => {
    const query = icmp6Packet(Icmpv6Type.ListenerQuery, 0, 0, pattern(16), { hopLimit: 1 });
    expect(receive(solicitation())).to.equal('ndp-not-for-us');
    expect(receive(query)).to.equal('group-ignored');
    run({ handlers: true });
    expect([solicitation(), advertisement(), query].map(receive)).to.deep.equal(['taken', 'taken', 'taken']);
    expect(handedOver).to.deep.equal(['ndp', 'ndp', 'mld']);
  });

  describe('received errors', () => {
    it('GP-23: go to the transport whose packet they quote, with the errors that Linux gives', () => {
      const meanings: [number, number, string][] = [
        [1, 0, 'net-unreachable ENETUNREACH'],
        [1, 1, 'prohibited EACCES'],
        [1, 2, 'host-unreachable EHOSTUNREACH'],
        [1, 3, 'host-unreachable EHOSTUNREACH'],
        [1, 4, 'port-unreachable ECONNREFUSED'],
        [1, 5, 'prohibited EACCES'],
        [1, 6, 'prohibited EACCES'],
        [3, 0, 'time-exceeded EHOSTUNREACH'],
        [3, 1, 'reassembly-timeout EHOSTUNREACH'],
        [4, 0, 'parameter-problem EINVAL'],
        [4, 1, 'protocol-unreachable ENOPROTOOPT'],
        // 4443-1: of types that nobody knows yet.
        [100, 0, 'unknown-error EPROTO'],
        [127, 9, 'unknown-error EPROTO'],
      ];
      for (const [type, code, meaning] of meanings) {
        expect(receive(reportOf(type, code))).to.equal('taken');
        expect(heard.splice(0)).to.deep.equal([`${meaning} fd00::2 1000>2000 0`]);
      }
    });

    it('4443-3, 8201: too big makes the path narrower, never below 1280, and never wider', () => {
      const big = udp6Packet({ source: US6.ip, destination: PEER6.ip }, pattern(1400)).subarray(0, 600);
      const report = (mtu: number) => {
        expect(receive(reportOf(2, 0, mtu, big))).to.equal('taken');
        return tables.path(PEER6.ip)?.mtu;
      };
      expect(tables.path(PEER6.ip)?.mtu).to.equal(1500);
      expect(report(1400)).to.equal(1400);
      expect(heard).to.deep.equal(['packet-too-big EMSGSIZE fd00::2 1000>2000 1400']);
      expect(report(1450)).to.equal(1400);
      expect(report(1000)).to.equal(1280);
      expect(report(1400)).to.equal(1280);
      expect(tables.path(ip6('fd00::3'))?.mtu).to.equal(1500);
    });

    it('5927: what routers say of a protocol that nobody handles, or that does not know the packet, changes no path', () => {
      const quote = (protocol: number) =>
        ip6Packet({ source: US6.ip, destination: PEER6.ip, protocol }, pattern(1400)).subarray(0, 600);
      reports.on(IpProtocol.Tcp, () => false);
      for (const protocol of [47, IpProtocol.Tcp]) {
        expect(receive(reportOf(2, 0, 1300, quote(protocol)))).to.equal('taken');
        expect(tables.path(PEER6.ip)?.mtu).to.equal(1500);
      }
      reports.on(47, () => {});
      receive(reportOf(2, 0, 1300, quote(47)));
      expect(tables.path(PEER6.ip)?.mtu).to.equal(1300);
    });

    it('are dropped if what they quote cannot be used', () => {
      const foreign = udp6Packet({ source: ip6('fd00::9'), destination: PEER6.ip });
      const later = fragment6(
        pattern(100),
        IpProtocol.Udp,
        { from: 64, to: 80 },
        { source: US6.ip, destination: PEER6.ip },
      );
      for (const quote of [foreign, later, ours().subarray(0, 47), ours().subarray(0, 39), new Uint8Array(0)]) {
        expect(receive(reportOf(1, 4, 0, quote))).to.equal('icmpv6-bad-quote');
      }
      const first = fragment6(
        ours().subarray(40),
        IpProtocol.Udp,
        { from: 0, to: 24 },
        { source: US6.ip, destination: PEER6.ip },
      );
      expect(receive(reportOf(1, 4, 0, first))).to.equal('taken');
      expect(heard).to.deep.equal(['port-unreachable ECONNREFUSED fd00::2 1000>2000 0']);
    });
  });

  describe('errors that we send', () => {
    it('4443-1: quote as much as fits into 1280 bytes', () => {
      complaint = 'port-unreachable';
      for (const length of [0, 20, 1184, 1185, 1400]) {
        const packet = udp6Packet({}, pattern(length));
        receive(packet);
        const [sent = new Uint8Array()] = device.sent;
        expect(sent.length).to.equal(Math.min(1280, packet.length + 48));
        const { message } = answer();
        expect(message.frame.slab.bytes.slice(message.payload)).to.deep.equal(packet.subarray(0, 1232));
      }
    });

    it('say what is asked for', () => {
      const kinds: [IcmpErrorKind, number, number, number][] = [
        ['net-unreachable', 1, 0, 0],
        ['prohibited', 1, 1, 0],
        ['host-unreachable', 1, 3, 0],
        ['port-unreachable', 1, 4, 0],
        ['source-route-failed', 1, 6, 0],
        ['packet-too-big', 2, 0, 1280],
        ['time-exceeded', 3, 0, 0],
        ['reassembly-timeout', 3, 1, 0],
        ['parameter-problem', 4, 0, 40],
        ['protocol-unreachable', 4, 1, 6],
      ];
      for (const [kind, type, code, rest] of kinds) {
        [complaint, detail] = [kind, rest];
        receive(udp6Packet());
        expect(error()).to.deep.equal([type, code, rest, 'fd00::1', 'fd00::2']);
      }
    });

    it('GP-08: an unknown next header is pointed to', () => {
      expect(receive(ip6Packet({ protocol: 254 }, pattern(20)))).to.equal('ip-unknown-protocol');
      expect(error()).to.deep.equal([4, 1, 6, 'fd00::1', 'fd00::2']);
      const behind = chained([[IpProtocol.DestinationOptions, [0, 1, 4, 0, 0, 0, 0]]], 254, pattern(20));
      receive(behind);
      expect(error().slice(0, 3)).to.deep.equal([4, 1, 40]);
      // What is said to be nothing is no problem.
      receive(ip6Packet({ protocol: IpProtocol.NoNext }, pattern(20)));
      expect(device.sent).to.deep.equal([]);
    });

    it('4443-1: not about packets to groups, but too big and unknown options (GP-17)', () => {
      const toGroup = udp6Packet({ destination: ALL_NODES });
      for (const kind of ['port-unreachable', 'time-exceeded', 'parameter-problem', 'protocol-unreachable'] as const) {
        complaint = kind;
        receive(toGroup);
      }
      linkCast = Cast.Multicast;
      receive(udp6Packet());
      expect(device.sent).to.deep.equal([]);
      complaint = 'packet-too-big';
      receive(toGroup);
      expect(error()).to.deep.equal([2, 0, 0, 'fd00::1', 'fd00::2']);
      complaint = undefined;
      const option = (type: number, destination = ALL_NODES) =>
        chained([[IpProtocol.DestinationOptions, [0, type, 4, 0, 0, 0, 0]]], 253, pattern(8), { destination });
      receive(option(0x9e));
      expect(error()).to.deep.equal([4, 2, 42, 'fd00::1', 'fd00::2']);
      receive(option(0xde));
      receive(option(0x5e));
      expect(device.sent).to.deep.equal([]);
      linkCast = Cast.Unicast;
      receive(option(0xde, US6.ip));
      expect(error()).to.deep.equal([4, 2, 42, 'fd00::1', 'fd00::2']);
    });

    it('4443-1: not about errors or redirects, not to no one; about other messages', () => {
      complaint = 'port-unreachable';
      for (const type of [1, 2, 3, 4, 100, 127]) receive(icmp6Packet(type, 0, 0, ours()));
      receive(ndpPacket((frame) => NdpRedirect.emit(frame, PEER6.linkLocal, PEER6.ip), { source: PEER6.linkLocal }));
      linkCast = Cast.Multicast;
      receive(udp6Packet({ source: ip6('::'), destination: ALL_NODES }));
      linkCast = Cast.Unicast;
      expect(device.sent).to.deep.equal([]);
      receive(icmp6Packet(200, 0, 0, pattern(8)));
      expect(error().slice(0, 2)).to.deep.equal([1, 4]);
      // An error behind extension headers is one.
      const hidden = icmp6Packet(1, 0, 0, ours()).subarray(40);
      receive(chained([[IpProtocol.DestinationOptions, [0, 1, 4, 0, 0, 0, 0]]], IpProtocol.Icmpv6, hidden));
      expect(device.sent).to.deep.equal([]);
    });

    it('4443-1: are limited, by a token bucket', () => {
      complaint = 'port-unreachable';
      for (let i = 0; i < 200; i++) receive(udp6Packet());
      expect(device.sent.length).to.equal(50);
      expect(errors.limited).to.equal(150);
      env.scheduler.runFor(10);
      for (let i = 0; i < 200; i++) receive(udp6Packet());
      expect(device.sent.length).to.equal(60);
    });
  });
});
