import { expect } from 'chai';
import { filter, map, merge, share, Subject, type Subscription } from 'rxjs';
import { Ipv4Address } from '../../../lib/core/address.js';
import { type DropReason, DropReason as Reason, dropReasonName } from '../../../lib/core/drops.js';
import { Cast, Frame, type TxPacket } from '../../../lib/core/frame.js';
import { IcmpErrors } from '../../../lib/l3/icmp-errors.js';
import type { IcmpErrorKind } from '../../../lib/l3/icmp-report.js';
import { IcmpReports } from '../../../lib/l3/icmp-reports.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType } from '../../../lib/wire/ethernet.js';
import { Icmpv4Message, Icmpv4Type } from '../../../lib/wire/icmpv4.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet, refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { icmp } from '../../../operators/l3/icmp.js';
import { ipv4 } from '../../../operators/l3/ipv4.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';
import { echoRequest, icmpMessage, ip, ipPacket, pattern, PEER, udpPacket, US } from './packets.js';

describe('icmp', () => {
  let env: VirtualEnv;
  let device: FakeDevice;
  let tables: IpTables;
  let reports: IcmpReports;
  let heard: string[];
  let running: Subscription;
  let linkCast: Cast;
  let errors: IcmpErrors;
  /** What is asked to be reported about packets that are not ICMP; nothing by default. */
  let complaint: IcmpErrorKind | undefined;
  let detail: number;

  function run(options: { echoBroadcasts?: boolean; redirects?: boolean; mine?: number } = {}): void {
    running?.unsubscribe();
    const { mine, ...rest } = options;
    const complaints = new Subject<TxPacket>();
    const net$ = device.frames$.pipe(
      map((frame) => {
        frame.linkCast = linkCast;
        return { frame, etherType: EtherType.Ipv4 };
      }),
      ipv4({ addresses: tables.addresses }, env),
      filter((packet) => {
        if (complaint === undefined) return true;
        const error = errors.about(packet, complaint, detail);
        env.drops.report(Reason.IpUnknownProtocol, packet.frame);
        if (error !== undefined) complaints.next(error);
        return false;
      }),
      share(),
    );
    const echoReplies = (message: Icmpv4Message) => message.identifier === mine;
    running = merge(complaints, net$.pipe(icmp({ tables, reports, echoReplies, ...rest }, env))).subscribe(
      device.sink as never,
    );
  }
  function receive(bytes: Uint8Array): string {
    const fate = device.receive(bytes);
    return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
  }
  const icmpPacket = (message: Uint8Array, fields = {}) => ipPacket({ protocol: IpProtocol.Icmp, ...fields }, message);
  const ours = () => udpPacket({ source: US.ip, destination: PEER.ip });
  const reportOf = (type: number, code: number, rest = 0, quote = ours()) =>
    icmpPacket(icmpMessage(type, code, rest, quote));
  /** The only packet that was sent. */
  function answer(): { packet: Ipv4Packet; message: Icmpv4Message } {
    expect(device.sent).to.have.length(1);
    const frame = Frame.from(device.sent[0] ?? new Uint8Array());
    expect(Ipv4Packet.check(frame, frame.start)).to.equal(undefined);
    const packet = new Ipv4Packet(frame, frame.start);
    frame.start += packet.headerLength;
    expect(Icmpv4Message.check(frame, frame.start)).to.equal(undefined);
    return { packet, message: new Icmpv4Message(frame, frame.start) };
  }

  beforeEach(() => {
    env = virtualEnv();
    device = fakeDevice(env, { medium: 'ip' });
    tables = new IpTables(env);
    tables.addAddress(device, '10.0.0.1/24');
    tables.addRoute({ destination: 'default', gateway: '10.0.0.254', device });
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
    run();
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
  });

  describe('echo', () => {
    it('1122-C4: is answered from the address that was asked, with its data, whatever their length', () => {
      for (const length of [0, 1, 55, 1472, 8_000, 65_507]) {
        device.sent.length = 0;
        expect(receive(icmpPacket(echoRequest(pattern(length)), { tos: 0xb9, ttl: 3 }))).to.equal('taken');
        const { packet, message } = answer();
        expect([packet.source, packet.destination, packet.hopLimit]).to.deep.equal([US.ip, PEER.ip, 64]);
        expect(packet.trafficClass).to.equal(0xb8);
        expect([message.type, message.code, message.rest]).to.deep.equal([0, 0, 0x0007_0001]);
        expect(message.frame.slab.bytes.slice(message.payload)).to.deep.equal(pattern(length));
      }
    });
    it('is answered rightly where the answer is nothing but zeros, whose checksum is not 0', () => {
      expect(receive(icmpPacket(icmpMessage(Icmpv4Type.EchoRequest, 0, 0, new Uint8Array(56))))).to.equal('taken');
      expect(answer().message.type).to.equal(Icmpv4Type.EchoReply);
    });

    it('is answered without the options that the request carried', () => {
      receive(icmpPacket(echoRequest(), { options: [{ type: 7, data: Uint8Array.of(4, 0, 0, 0, 0) }] }));
      expect(answer().packet.headerLength).to.equal(20);
    });
    it('is answered in another frame if somebody else looks at it', () => {
      const seen: Uint8Array[] = [];
      running.unsubscribe();
      const other = device.frames$.subscribe((frame) => (frame.shared = true));
      run();
      other.add(
        device.frames$.subscribe(({ slab, network, end }) =>
          seen.push(Uint8Array.from(slab.bytes.slice(network, end))),
        ),
      );
      const request = icmpPacket(echoRequest());
      receive(request);
      other.unsubscribe();
      answer();
      expect(seen).to.deep.equal([request]);
    });
    it('to a broadcast or multicast address is not answered, unless wanted: then from our own', () => {
      for (const destination of [ip('10.0.0.255'), 0xffff_ffff, ip('224.0.0.1')]) {
        expect(receive(icmpPacket(echoRequest(), { destination }))).to.equal('icmpv4-broadcast');
      }
      expect(device.sent).to.deep.equal([]);
      run({ echoBroadcasts: true });
      receive(icmpPacket(echoRequest(), { destination: ip('10.0.0.255') }));
      expect(answer().packet.source).to.equal(US.ip);
    });
    it('replies go to who waits for them', () => {
      run({ mine: 7 });
      const reply = (rest: number) => receive(icmpPacket(icmpMessage(Icmpv4Type.EchoReply, 0, rest, pattern(8))));
      expect(reply(0x0007_0001)).to.equal('taken');
      expect(reply(0x0008_0001)).to.equal('icmpv4-unsolicited');
    });
    it('1122-C1: is checked', () => {
      const bytes = icmpPacket(echoRequest());
      bytes[30] = 0x55;
      expect(receive(bytes)).to.equal('icmpv4-bad-checksum');
      for (let length = 0; length < 8; length++) {
        expect(receive(icmpPacket(echoRequest().slice(0, length)))).to.equal('icmpv4-truncated');
      }
    });
  });

  describe('received errors', () => {
    const unreachable: readonly string[] = [
      'net-unreachable ENETUNREACH',
      'host-unreachable EHOSTUNREACH',
      'protocol-unreachable ENOPROTOOPT',
      'port-unreachable ECONNREFUSED',
      'packet-too-big EMSGSIZE',
      'source-route-failed EOPNOTSUPP',
      'net-unreachable ENETUNREACH',
      'host-unreachable EHOSTDOWN',
      'host-unreachable ENONET',
      'prohibited ENETUNREACH',
      'prohibited EHOSTUNREACH',
      'net-unreachable ENETUNREACH',
      'host-unreachable EHOSTUNREACH',
      'prohibited EHOSTUNREACH',
      'prohibited EHOSTUNREACH',
      'prohibited EHOSTUNREACH',
    ];
    unreachable.forEach((expected, code) => {
      it(`GP-23: unreachable code ${code} is ${expected}`, () => {
        expect(receive(reportOf(3, code))).to.equal('taken');
        expect(heard).to.have.length(1);
        expect(heard[0]).to.satisfy((line: string) => line.startsWith(`${expected} 10.0.0.2 1000>2000`));
      });
    });
    it('1122-C6: time exceeded and parameter problem are told too', () => {
      receive(reportOf(11, 0));
      receive(reportOf(11, 1));
      receive(reportOf(12, 0));
      expect(heard.map((line) => line.split(' ')[0])).to.deep.equal([
        'time-exceeded',
        'reassembly-timeout',
        'parameter-problem',
      ]);
    });
    it('are refused if the quoted packet is not ours, is cut, or is a later fragment', () => {
      const quotes = [
        udpPacket({ source: ip('10.0.0.7'), destination: PEER.ip }),
        ours().slice(0, 27),
        udpPacket({ source: US.ip, destination: PEER.ip, fragmentOffset: 8 }),
        new Uint8Array(0),
      ];
      for (const quote of quotes) expect(receive(reportOf(3, 3, 0, quote))).to.equal('icmpv4-bad-quote');
      expect(heard).to.deep.equal([]);
    });
    it('1191: fragmentation needed shrinks the path MTU for ten minutes', () => {
      const destination = new Ipv4Address(PEER.ip);
      const large = udpPacket({ source: US.ip, destination: PEER.ip, dontFragment: true }, pattern(1_400));
      receive(reportOf(3, 4, 1_300, large.slice(0, 28)));
      expect(heard).to.deep.equal(['packet-too-big EMSGSIZE 10.0.0.2 1000>2000 1300']);
      expect(tables.path(destination)?.mtu).to.equal(1_300);
      receive(reportOf(3, 4, 1_400, large.slice(0, 28)));
      expect(tables.path(destination)?.mtu).to.equal(1_300);
      env.scheduler.runFor(600_000);
      expect(tables.path(destination)?.mtu).to.equal(1_500);
    });
    it('1191: a router that does not say its MTU, or an absurd one', () => {
      const large = udpPacket({ source: US.ip, destination: PEER.ip }, pattern(1_400));
      receive(reportOf(3, 4, 0, large.slice(0, 28)));
      expect(tables.path(new Ipv4Address(PEER.ip))?.mtu).to.equal(1_006);
      receive(reportOf(3, 4, 68, large.slice(0, 28)));
      expect(tables.path(new Ipv4Address(PEER.ip))?.mtu).to.equal(552);
    });
    it('5927: what routers say of a protocol that nobody handles, or that does not know the packet, changes no path', () => {
      const quote = (protocol: number) =>
        ipPacket({ source: US.ip, destination: PEER.ip, protocol, dontFragment: true }, pattern(1_400)).slice(0, 28);
      reports.on(IpProtocol.Tcp, () => false);
      for (const protocol of [47, IpProtocol.Tcp]) {
        expect(receive(reportOf(3, 4, 1_300, quote(protocol)))).to.equal('taken');
        expect(tables.path(new Ipv4Address(PEER.ip))?.mtu).to.equal(1_500);
      }
      reports.on(47, () => {});
      receive(reportOf(3, 4, 1_300, quote(47)));
      expect(tables.path(new Ipv4Address(PEER.ip))?.mtu).to.equal(1_300);
    });
    it('6633, 1122-C1: source quench is ignored, unknown types are discarded', () => {
      expect(receive(reportOf(4, 0))).to.equal('icmpv4-ignored');
      expect(receive(reportOf(3, 16))).to.equal('icmpv4-unknown-type');
      expect(receive(icmpPacket(icmpMessage(13, 0, 0, pattern(12))))).to.equal('icmpv4-unknown-type');
      expect(receive(icmpPacket(icmpMessage(99, 0, 0, pattern(12))))).to.equal('icmpv4-unknown-type');
    });
  });

  describe('redirects', () => {
    const far = ip('192.0.2.1');
    const redirect = (from: string, to: string) =>
      icmpPacket(icmpMessage(5, 1, ip(to), udpPacket({ source: US.ip, destination: far })), { source: ip(from) });
    const gateway = () => tables.route(far)?.gateway?.toString();

    it('are ignored by default', () => {
      expect(receive(redirect('10.0.0.254', '10.0.0.253'))).to.equal('icmpv4-ignored');
    });
    it('1122-I9: are heeded from our router, to another one on the link', () => {
      run({ redirects: true });
      expect(receive(redirect('10.0.0.7', '10.0.0.253'))).to.equal('icmpv4-ignored');
      expect(receive(redirect('10.0.0.254', '172.16.0.1'))).to.equal('icmpv4-ignored');
      expect(receive(redirect('10.0.0.254', '10.0.0.1'))).to.equal('icmpv4-ignored');
      expect(gateway()).to.equal('10.0.0.254');
      expect(receive(redirect('10.0.0.254', '10.0.0.253'))).to.equal('taken');
      expect(gateway()).to.equal('10.0.0.253');
      expect(receive(redirect('10.0.0.253', '10.0.0.252'))).to.equal('taken');
      expect(gateway()).to.equal('10.0.0.252');
      expect(tables.route(far + 1)?.gateway?.toString()).to.equal('10.0.0.254');
    });
  });

  describe('redirects without end', () => {
    it('1122-I9: do not override what the user says of one host, and are at most 64', () => {
      run({ redirects: true });
      const redirect = (destination: number) =>
        receive(
          icmpPacket(icmpMessage(5, 1, ip('10.0.0.253'), udpPacket({ source: US.ip, destination })), {
            source: ip('10.0.0.254'),
          }),
        );
      const far = ip('192.0.2.0');
      tables.addRoute({ destination: '192.0.2.0/32', gateway: '10.0.0.254', device });
      expect(redirect(far)).to.equal('icmpv4-ignored');
      for (let n = 1; n <= 100; n++) expect(redirect(far + n)).to.equal('taken');
      const gateways = Array.from({ length: 101 }, (_, n) => tables.route(far + n)?.gateway?.toString());
      expect(gateways.filter((gateway) => gateway === '10.0.0.253')).to.have.length(64);
      expect([gateways[36], gateways[37]]).to.deep.equal(['10.0.0.254', '10.0.0.253']);
    });
  });

  describe('errors that we send', () => {
    beforeEach(() => {
      complaint = 'port-unreachable';
    });
    it('1122-C2: quote the packet, up to 576 bytes in all, with precedence 6', () => {
      for (const length of [0, 100, 1_400]) {
        device.sent.length = 0;
        const about = udpPacket({ options: [{ type: 148, data: Uint8Array.of(0, 0) }] }, pattern(length));
        receive(Uint8Array.from([...about, 0, 0, 0]));
        const { packet, message } = answer();
        expect([packet.source, packet.destination, packet.trafficClass]).to.deep.equal([US.ip, PEER.ip, 0xc0]);
        expect(packet.totalLength).to.equal(Math.min(576, about.length + 28));
        expect(message.frame.slab.bytes.slice(message.payload)).to.deep.equal(about.slice(0, 548));
      }
    });
    const kinds: readonly (readonly [IcmpErrorKind, number, number, number, number])[] = [
      ['net-unreachable', 3, 0, 0, 0],
      ['host-unreachable', 3, 1, 0, 0],
      ['protocol-unreachable', 3, 2, 0, 0],
      ['port-unreachable', 3, 3, 0, 0],
      ['packet-too-big', 3, 4, 1_280, 1_280],
      ['source-route-failed', 3, 5, 0, 0],
      ['prohibited', 3, 13, 0, 0],
      ['time-exceeded', 11, 0, 0, 0],
      ['reassembly-timeout', 11, 1, 0, 0],
      ['parameter-problem', 12, 0, 20, 20 * 2 ** 24],
    ];
    for (const [kind, type, code, value, rest] of kinds) {
      it(`${kind} is type ${type}, code ${code}`, () => {
        complaint = kind;
        detail = value;
        receive(udpPacket());
        const { message } = answer();
        expect([message.type, message.code, message.rest]).to.deep.equal([type, code, rest]);
      });
    }
    const never: readonly (readonly [string, () => Uint8Array])[] = [
      ['unreachable', () => reportOf(3, 3)],
      ['source quench', () => reportOf(4, 0)],
      ['redirect', () => reportOf(5, 1)],
      ['time exceeded', () => reportOf(11, 0)],
      ['parameter problem', () => reportOf(12, 0)],
      ['an ICMP message without a type', () => icmpPacket(new Uint8Array(0))],
      ['a packet to a broadcast address', () => udpPacket({ destination: 0xffff_ffff })],
      ['a packet to our network', () => udpPacket({ destination: ip('10.0.0.255') })],
      ['a packet to a group', () => udpPacket({ destination: ip('224.0.0.1') })],
      ['a later fragment', () => udpPacket({ fragmentOffset: 8 })],
      ['a packet of nobody', () => udpPacket({ source: 0, destination: 0xffff_ffff })],
    ];
    for (const [name, about] of never) {
      it(`1122-C3: never about ${name}`, () => {
        receive(about());
        expect(device.sent).to.deep.equal([]);
      });
    }
    it('1122-C3: never about a packet in a link broadcast', () => {
      linkCast = Cast.Broadcast;
      receive(udpPacket({ destination: 0xffff_ffff }));
      expect(device.sent).to.deep.equal([]);
    });
    it('but about an echo request and a first fragment', () => {
      receive(icmpPacket(echoRequest()));
      receive(udpPacket({ moreFragments: true }));
      expect(device.sent).to.have.length(2);
    });
    it('1812-7: are limited to a burst of 50 and 1,000 a second', () => {
      for (let i = 0; i < 200; i++) receive(udpPacket());
      expect(device.sent).to.have.length(50);
      for (let i = 0; i < 1_000; i++) {
        env.scheduler.runFor(1);
        receive(udpPacket());
        receive(udpPacket());
      }
      expect(device.sent).to.have.length(1_050);
      expect(errors.limited).to.equal(150 + 1_000);
    });
  });

  it('throws at nothing', () => {
    for (let seed = 0; seed < 300; seed++) {
      const bytes = icmpPacket(pattern(seed % 64, seed));
      bytes[8] = seed;
      refreshIpv4Checksum(new DataView(bytes.buffer), 0);
      expect(receive(bytes)).to.be.a('string');
    }
  });
});
