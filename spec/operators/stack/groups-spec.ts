/** Hosts of one link, in groups: they hear each other, and answer a querier, all of them or one for all. */

import { expect } from 'chai';
import { Subject } from 'rxjs';
import { anyAddress, type IpAddress, Ipv6Address, parseIp } from '../../../lib/core/address.js';
import { asTx, type Frame, type TxFrame } from '../../../lib/core/frame.js';
import { ipv4GroupMac } from '../../../lib/l2/ethernet-link.js';
import type { UdpMessage, UdpSocket } from '../../../lib/l4/udp-api.js';
import { EtherType, EthernetFrame } from '../../../lib/wire/ethernet.js';
import { pushIcmpv6Headers } from '../../../lib/wire/icmpv6.js';
import { IGMP_ROUTER_ALERT, IgmpQuery } from '../../../lib/wire/igmp.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { groupMac } from '../../../lib/wire/ipv6.js';
import { MldQuery } from '../../../lib/wire/mld.js';
import { network } from '../../../operators/testing/network.js';

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const;
const PORT = 5353;

for (const version of [4, 6] as const) {
  describe(`a link of hosts in a group, IPv${version}`, () => {
    const group = parseIp(version === 4 ? '239.1.1.1' : 'ff15::77:1');
    const mac = group.version === 4 ? ipv4GroupMac(group.value) : groupMac(group);

    function lan(seed: number) {
      const querier = new Subject<TxFrame>();
      // Reports of the group that went to the group itself, as those of old versions do, and all others of routing interest.
      const reports = { old: 0, new: 0 };
      const address = (n: number) => (version === 4 ? `10.0.0.${n}/24` : [`fe80::${n}/64`, `fd00::${n}/64`]);
      const [a, b, c, d, e] = [1, 2, 3, 4, 5].map(address) as [string, string, string, string, string];
      const count = (frame: Frame) => {
        const { destination } = new EthernetFrame(frame, frame.start);
        if (destination === mac) reports.old++;
        if (destination === (version === 4 ? ipv4GroupMac(0xe000_0016) : 0x3333_0000_0016)) reports.new++;
      };
      const net = network({
        seed,
        hosts: { a, b, c, d, e },
        nodes: {
          router: () => (frames$) => {
            frames$.subscribe(count);
            return querier;
          },
        },
        links: { lan: { impair: { delay: 2, jitter: 1 } } },
      });
      const heard: Record<string, string[]> = {};
      const sockets: Record<string, UdpSocket> = {};
      for (const name of NAMES) {
        const texts: string[] = [];
        heard[name] = texts;
        const message = ({ data }: UdpMessage) => void texts.push(Buffer.from(data).toString());
        sockets[name] = net.hosts[name].udp.bind({ address: anyAddress(version), port: PORT }, { message, error() {} });
      }
      const ask = (old: boolean) => {
        const frame = net.hosts.a.env.pool.alloc(200);
        const fields = { maximumResponse: 5000 };
        emitQuery(frame, version, old, fields);
        querier.next(asTx(frame));
        net.runFor(20_000);
        const { old: before, new: after } = reports;
        reports.old = reports.new = 0;
        return { old: before, new: after };
      };
      const finish = () => {
        net.dispose();
        net.assertIdle();
      };
      const each = (call: (socket: UdpSocket) => void) => NAMES.forEach((name) => sockets[name] && call(sockets[name]));
      return { net, sockets, heard, each, ask, reports, finish };
    }

    it('all members hear what one of them says, also itself; who has left does not', () => {
      const { net, sockets, heard, each, finish } = lan(1);
      const { a, e } = sockets;
      each((socket) => socket.groups.join(group));
      e?.groups.leave(group);
      a?.send(Buffer.from('hello'), { address: group, port: PORT });
      net.runFor(100);
      expect(heard).to.deep.equal({ a: ['hello'], b: ['hello'], c: ['hello'], d: ['hello'], e: [] });
      finish();
    });

    it('3376-1, 3810/9777: a querier of the newest version hears all members', () => {
      const { net, each, ask, reports, finish } = lan(2);
      each((socket) => socket.groups.join(group));
      net.runFor(5_000);
      expect(reports.new, 'unasked, twice each').to.be.at.least(10);
      reports.new = 0;
      expect(ask(false)).to.deep.equal({ old: 0, new: 5 });
      finish();
    });

    it('2710: an older one hears of each group, from as good as one member (RFC 2236 3, RFC 2710 4)', () => {
      const { net, each, ask, reports, finish } = lan(3);
      each((socket) => socket.groups.join(group));
      net.runFor(5_000);
      reports.old = reports.new = 0;
      const asked = [1, 2, 3, 4].map(() => ask(true).old);
      // Two members whose delays end within the time of one way both report.
      for (const count of asked) expect(count).to.be.within(1, 2);
      expect(asked.reduce((sum, count) => sum + count)).to.be.lessThan(8);
      finish();
    });
  });
}

function emitQuery(frame: Frame, version: 4 | 6, old: boolean, fields: { maximumResponse: number }): void {
  const router = 0x02_0000_0000_99;
  if (version === 4) {
    IgmpQuery.emit(frame, old ? 2 : 3, fields);
    Ipv4Packet.emit(frame, {
      source: 0,
      destination: 0xe000_0001,
      protocol: IpProtocol.Igmp,
      ttl: 1,
      options: [IGMP_ROUTER_ALERT],
    });
    EthernetFrame.emit(frame, ipv4GroupMac(0xe000_0001), router, EtherType.Ipv4);
    return;
  }
  const [source, destination] = ['fe80::99', 'ff02::1'].map((text) => parseIp(text)) as [IpAddress, IpAddress];
  if (!(source instanceof Ipv6Address && destination instanceof Ipv6Address)) throw new TypeError('not IPv6');
  MldQuery.emit(frame, old ? 1 : 2, fields);
  pushIcmpv6Headers(frame, { source, destination, hopLimit: 1 }, true);
  EthernetFrame.emit(frame, groupMac(destination), router, EtherType.Ipv6);
}
