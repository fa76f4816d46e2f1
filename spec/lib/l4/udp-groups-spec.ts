import { expect } from 'chai';
import { merge, type Subscription } from 'rxjs';
import { anyAddress, type IpAddress, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import { type DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { Frame } from '../../../lib/core/frame.js';
import { ipv4GroupMac } from '../../../lib/l2/ethernet-link.js';
import { pseudoHeaderSum, pushIpHeader } from '../../../lib/l3/ip-output.js';
import { EVERYTHING, NOTHING, sourceFilter } from '../../../lib/l3/source-filter.js';
import type { UdpMessage, UdpSocket } from '../../../lib/l4/udp-api.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { type IpFlow, IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { groupMac, Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { UDP_HEADER, UdpDatagram } from '../../../lib/wire/udp.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { bytesOf, type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../l2/fake-device.js';

const PORT = 7000;

const FAMILIES = [
  {
    version: 4 as const,
    group: '239.1.1.1',
    other: '239.2.2.2',
    ours: ['10.0.0.1', '10.1.0.1'],
    length: 24,
    sources: ['10.0.0.5', '10.0.0.6'],
    wrong: 'ff15::77:1',
  },
  {
    version: 6 as const,
    group: 'ff15::77:1',
    other: 'ff15::77:2',
    ours: ['fd00::1', 'fd01::1'],
    length: 64,
    sources: ['fd00::5', 'fd00::6'],
    wrong: '239.1.1.1',
  },
];

for (const family of FAMILIES) {
  const { version } = family;

  describe(`UDP groups over IPv${version}`, () => {
    const group = parseIp(family.group);
    const other = parseIp(family.other);
    const [s1, s2] = family.sources.map((text) => parseIp(text)) as [IpAddress, IpAddress];
    let env: VirtualEnv;
    let left: FakeDevice;
    let right: FakeDevice;
    let me: Host;
    let running: Subscription;

    beforeEach(() => {
      env = virtualEnv();
      left = fakeDevice(env, { name: 'left', mac: '02:00:00:00:00:01' });
      right = fakeDevice(env, { name: 'right', mac: '02:00:00:00:00:02' });
      const interfaces = [left, right].map((device, n) => ({
        device,
        addresses: [`${family.ours[n]}/${family.length}`],
      }));
      me = host({ interfaces, multicast: { silent: true } }, env);
      running = merge(left.frames$, right.frames$)
        .pipe(me)
        .subscribe((frame) => (frame.device ?? left).sink.next(frame));
    });
    afterEach(() => {
      running.unsubscribe();
      expect(env.pool.outstanding, 'frames').to.equal(0);
      expect(env.scheduler.pending, 'timers').to.equal(0);
      expect(me.tables.groupMacs.has(macOf(group)), 'the group was left').to.equal(false);
    });

    const macOf = (address: IpAddress) => (address.version === 4 ? ipv4GroupMac(address.value) : groupMac(address));

    /** A socket, and the texts that it received. */
    function open(address: IpAddress = anyAddress(version)): { socket: UdpSocket; heard: string[] } {
      const heard: string[] = [];
      const message = ({ data }: UdpMessage) => void heard.push(Buffer.from(data).toString());
      const socket = me.udp.bind({ address, port: PORT }, { message, error() {} }, { reuseAddress: true });
      return { socket, heard };
    }

    /** Brings a datagram of another host's to a group; returns what became of it. */
    function bring(device: FakeDevice, text: string, from = s1, to = group): string {
      const bytes = bytesOf((frame) => {
        frame.start = frame.end = 60_000;
        const data = Buffer.from(text);
        frame.slab.bytes.set(data, frame.put(data.length));
        const flow = {
          version,
          source: from,
          destination: to,
          protocol: IpProtocol.Udp,
          hopLimit: 1,
          trafficClass: 0,
          dontFragment: false,
        } as IpFlow;
        UdpDatagram.emit(frame, 999, PORT, pseudoHeaderSum(flow, UDP_HEADER + data.length));
        pushIpHeader(frame, flow, 1);
        EthernetFrame.emit(frame, macOf(to), 0x02_0000_0000_09, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
      });
      const fate = device.receive(bytes);
      return fate < 0 ? 'taken' : dropReasonName(fate as DropReason);
    }

    /** What was sent by a device: source, hops and text. */
    function sentBy(device: FakeDevice): string[] {
      return device.sent.splice(0).map((bytes) => {
        const frame = Frame.from(bytes);
        frame.start += 14;
        const packet = version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
        const header = version === 4 ? 20 : 40;
        const data = bytes.subarray(14 + header + UDP_HEADER);
        return `${packet.sourceAddress.toString()} ${packet.hopLimit} ${Buffer.from(data).toString()}`;
      });
    }

    const codeOf = (call: () => void): string => {
      try {
        call();
        return 'done';
      } catch (error) {
        return (error as { code: string }).code;
      }
    };

    it('GP-64: delivers to members only, to each of them, by the interface that they joined on', () => {
      const [one, two, both, none] = [open(), open(), open(), open()];
      one.socket.groups.join(group, { interface: left });
      two.socket.groups.join(group, { interface: right });
      both.socket.groups.join(group, { interface: left });
      both.socket.groups.join(group, { interface: right });
      none.socket.groups.join(other, { interface: left });
      expect(bring(left, 'l')).to.equal('taken');
      expect(bring(right, 'r')).to.equal('taken');
      expect([one, two, both, none].map(({ heard }) => heard.join(''))).to.deep.equal(['l', 'r', 'lr', '']);
      for (const { socket } of [one, two, both, none]) socket.close();
      expect(bring(left, 'l')).to.equal('ethernet-not-for-us');
    });

    it('a group of which no socket at the port is a member is not for it, whoever else is', () => {
      const { socket, heard } = open();
      me.multicast.join(left, group);
      expect(bring(left, 'x')).to.equal('udp-no-socket');
      expect(heard).to.deep.equal([]);
      me.multicast.leave(left, group);
      socket.close();
    });

    it('3678: any-source and source-specific memberships, and blocked sources', () => {
      const { socket, heard } = open();
      const { groups } = socket;
      const at = { interface: left };
      const bringBoth = () => {
        bring(left, '1', s1);
        bring(left, '2', s2);
        return heard.splice(0).join('');
      };
      groups.join(group, at);
      expect(bringBoth()).to.equal('12');
      groups.block(group, s1, at);
      expect(bringBoth()).to.equal('2');
      groups.unblock(group, s1, at);
      expect(bringBoth()).to.equal('12');
      groups.leave(group, at);
      expect(bringBoth()).to.equal('');
      groups.join(group, { ...at, source: s1 });
      expect(bringBoth()).to.equal('1');
      groups.join(group, { ...at, source: s2 });
      groups.leave(group, { ...at, source: s1 });
      expect(bringBoth()).to.equal('2');
      groups.setFilter(group, sourceFilter('exclude', [s2]), at);
      expect(bringBoth()).to.equal('1');
      expect(groups.filter(group, at)?.mode).to.equal('exclude');
      groups.setFilter(group, EVERYTHING, at);
      expect(bringBoth()).to.equal('12');
      groups.setFilter(group, NOTHING, at);
      expect(groups.filter(group, at)).to.equal(undefined);
      expect(me.multicast.isMember(left, group)).to.equal(false);
      socket.close();
    });

    it('3678: a source-specific membership ends with its last source, or all at once', () => {
      const { socket } = open();
      const { groups } = socket;
      groups.join(group, { interface: left, source: s1 });
      groups.leave(group, { interface: left, source: s1 });
      expect(me.multicast.isMember(left, group)).to.equal(false);
      groups.join(group, { interface: left, source: s1 });
      groups.join(group, { interface: left, source: s2 });
      groups.leave(group, { interface: left });
      expect(me.multicast.isMember(left, group)).to.equal(false);
      socket.close();
    });

    it('3678: refuses what does not go together', () => {
      const { socket } = open();
      const { groups } = socket;
      const at = { interface: left };
      const wrong = parseIp(family.wrong);
      const cases: [string, () => void][] = [
        ['EADDRNOTAVAIL', () => groups.leave(group, at)],
        ['EINVAL', () => groups.leave(group, { ...at, source: s1 })],
        ['EINVAL', () => groups.block(group, s1, at)],
        ['EINVAL', () => groups.unblock(group, s1, at)],
        ['EINVAL', () => groups.join(s1, at)],
        ['EINVAL', () => groups.join(wrong, at)],
        ['EINVAL', () => groups.join(group, { ...at, source: other })],
        ['EINVAL', () => groups.join(group, { ...at, source: anyAddress(version) })],
        ['ENODEV', () => groups.join(group, { interface: fakeDevice(env) })],
        ['ENODEV', () => groups.join(group, { interface: s1 })],
        ['done', () => groups.join(group, at)],
        ['EADDRINUSE', () => groups.join(group, at)],
        ['EINVAL', () => groups.join(group, { ...at, source: s1 })],
        ['EADDRNOTAVAIL', () => groups.unblock(group, s1, at)],
        ['done', () => groups.block(group, s1, at)],
        ['EADDRNOTAVAIL', () => groups.block(group, s1, at)],
        ['done', () => groups.join(other, { ...at, source: s1 })],
        ['EADDRNOTAVAIL', () => groups.join(other, { ...at, source: s1 })],
        ['EADDRNOTAVAIL', () => groups.leave(other, { ...at, source: s2 })],
        ['EADDRINUSE', () => groups.join(other, at)],
        ['EINVAL', () => groups.block(other, s2, at)],
      ];
      cases.forEach(([code, call], index) => expect(codeOf(call), `case ${index}`).to.equal(code));
      const many = Array.from({ length: 129 }, (_, n) => parseIp(version === 4 ? `10.9.0.${n}` : `fd09::${n}`));
      expect(codeOf(() => groups.setFilter(group, sourceFilter('include', many), at))).to.equal('ENOBUFS');
      groups.setFilter(group, sourceFilter('include', many.slice(1)), at);
      expect(codeOf(() => groups.join(group, { ...at, source: s1 }))).to.equal('ENOBUFS');
      socket.close();
      expect(
        codeOf(() => groups.join(group, at)),
        'closed',
      ).to.equal('ENODEV');
    });

    it('names interfaces by device, address or zone, and asks the routes otherwise', () => {
      const { socket } = open();
      const address = parseIp(family.ours[1] ?? '');
      socket.groups.join(group, { interface: address });
      expect(me.multicast.isMember(right, group)).to.equal(true);
      socket.groups.leave(group, { interface: right });
      socket.groups.join(group, { interface: anyAddress(version) });
      expect(me.multicast.isMember(left, group), 'the first').to.equal(true);
      socket.groups.leave(group);
      if (group.version === 6) {
        socket.groups.join(group, { interface: new Ipv6Address(0, 0, 0, 0, 'right') });
        expect(me.multicast.isMember(right, group)).to.equal(true);
        const zoned = new Ipv6Address(group.a, group.b, group.c, group.d, 'right');
        expect(codeOf(() => socket.groups.join(zoned))).to.equal('EADDRINUSE');
        socket.groups.leave(zoned);
        expect(me.multicast.isMember(right, group)).to.equal(false);
      }
      socket.close();
    });

    it('sends by the interface chosen, with one hop unless told otherwise', () => {
      const { socket } = open();
      const to = { address: group, port: PORT };
      const [ours, alsoOurs] = family.ours as [string, string];
      socket.send(Buffer.from('a'), to);
      socket.groups.sendBy(right);
      socket.groups.hopLimit = 9;
      socket.send(Buffer.from('b'), to);
      socket.groups.sendBy(parseIp(ours));
      socket.send(Buffer.from('c'), to);
      socket.groups.sendBy(undefined);
      socket.send(Buffer.from('d'), to);
      expect(sentBy(left)).to.deep.equal([`${ours} 1 a`, `${ours} 9 c`, `${ours} 9 d`]);
      expect(sentBy(right)).to.deep.equal([`${alsoOurs} 9 b`]);
      expect(codeOf(() => socket.groups.sendBy(s1))).to.equal('EADDRNOTAVAIL');
      expect(codeOf(() => socket.groups.sendBy(parseIp(family.wrong)))).to.equal('EINVAL');
      const bound = open(parseIp(alsoOurs));
      bound.socket.send(Buffer.from('e'), to);
      expect(sentBy(right), 'by the interface of its address').to.deep.equal([`${alsoOurs} 1 e`]);
      if (group.version === 6) {
        const zoned = new Ipv6Address(group.a, group.b, group.c, group.d, 'right');
        socket.send(Buffer.from('f'), { address: zoned, port: PORT });
        expect(sentBy(right)).to.deep.equal([`${alsoOurs} 9 f`]);
      }
      socket.close();
      bound.socket.close();
    });

    it('members on the same host hear it, on the interface that it leaves by, unless the sender does not want that', () => {
      const [one, two, sender] = [open(), open(), open()];
      one.socket.groups.join(group, { interface: left });
      two.socket.groups.join(group, { interface: right });
      const send = (text: string) => {
        sender.socket.send(Buffer.from(text), { address: group, port: PORT });
        expect(one.heard.join('') + two.heard.join(''), 'not within the call').not.to.contain(text);
        env.scheduler.runFor(1);
      };
      send('a');
      sender.socket.groups.sendBy(right);
      send('b');
      sender.socket.groups.loopback = false;
      send('c');
      sender.socket.groups.loopback = true;
      sender.socket.groups.hopLimit = 0;
      send('d');
      expect([one.heard.join(''), two.heard.join(''), sender.heard.join('')]).to.deep.equal(['a', 'bd', '']);
      expect(sentBy(left)).to.have.length(1);
      expect(sentBy(right), 'what has no hops stays').to.have.length(2);
      for (const { socket } of [one, two, sender]) socket.close();
    });

    it('a socket may be bound to a group: it hears that alone, and sends from an address of ours', () => {
      const { socket, heard } = open(group);
      socket.groups.join(group, { interface: left });
      socket.groups.join(other, { interface: left });
      bring(left, 'a', s1, group);
      bring(left, 'b', s1, other);
      expect(heard).to.deep.equal(['a']);
      socket.groups.loopback = false;
      socket.send(Buffer.from('c'), { address: group, port: PORT });
      expect(sentBy(left)).to.deep.equal([`${family.ours[0]} 1 c`]);
      socket.close();
    });

    it('a connected socket hears its peer alone: what that sends to the group that it is bound to', () => {
      const [toGroup, toAny] = [open(group), open()];
      for (const { socket } of [toGroup, toAny]) {
        socket.groups.join(group, { interface: left });
        socket.connect({ address: s1, port: 999 });
      }
      bring(left, 'a', s1);
      bring(left, 'b', s2);
      expect(toGroup.heard).to.deep.equal(['a']);
      // One that was bound to all addresses has that now which it talks to its peer with.
      expect(toAny.heard).to.deep.equal([]);
      toGroup.socket.close();
      toAny.socket.close();
    });

    it('GP-61: a datagram from a group is dropped', () => {
      const { socket, heard } = open();
      socket.groups.join(group, { interface: left });
      expect(bring(left, 'x', other)).to.match(/^ipv[46]-bad-source$/);
      expect(heard).to.deep.equal([]);
      socket.close();
    });
  });
}
