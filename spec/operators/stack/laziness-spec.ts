import { expect } from 'chai';
import { Subject } from 'rxjs';
import { restore, spy } from 'sinon';
import { asRx, Frame, FramePool, type RxFrame, type Slab } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { ArpPacket } from '../../../lib/wire/arp.js';
import { EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { TcpSegment } from '../../../lib/wire/tcp.js';
import { TcpOptions } from '../../../lib/wire/tcp-options.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { host } from '../../../operators/stack/host.js';
import { testDevice } from '../../../operators/testing/test-device.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { forBothVersions } from '../../both-versions.js';

const ETHERNET = 14;

/** Addresses of the host, and of another one of its network; the length of the headers up to TCP; what finds neighbours. */
const HOSTS = {
  4: {
    own: '192.168.0.1/16',
    router: '192.168.0.9',
    foreign: '192.168.0.77',
    headers: ETHERNET + 20,
    ask: 'arp who-has 192.168.0.1 tell 192.168.0.9',
    asked: { ethernet: 1, arp: 1 },
  },
  6: {
    own: 'fd3d:a0b:17d6::1/64',
    router: 'fd3d:a0b:17d6::9',
    foreign: 'fd3d:a0b:17d6::77',
    headers: ETHERNET + 40,
    ask: 'icmpv6 neighbor_solicitation target fd3d:a0b:17d6::1 lladdr 02:00:00:00:00:02',
    asked: { ethernet: 1, ipv6: 1 },
  },
} as const;

/** Notes the furthest byte that was read through the view of a slab; bytes that are not read through a view cannot be read at all. */
class WatchedView extends DataView<ArrayBuffer> {
  furthest = 0;
  private note(at: number, length: number): void {
    this.furthest = Math.max(this.furthest, at + length);
  }
  override getUint8(at: number): number {
    this.note(at, 1);
    return super.getUint8(at);
  }
  override getUint16(at: number, little?: boolean): number {
    this.note(at, 2);
    return super.getUint16(at, little);
  }
  override getUint32(at: number, little?: boolean): number {
    this.note(at, 4);
    return super.getUint32(at, little);
  }
  override getInt32(at: number, little?: boolean): number {
    this.note(at, 4);
    return super.getInt32(at, little);
  }
}

/** How often a header of each kind was parsed: each parse begins with the check of its length and version. */
function parses() {
  const spies = {
    ethernet: spy(EthernetFrame, 'check'),
    arp: spy(ArpPacket, 'check'),
    ipv4: spy(Ipv4Packet, 'check'),
    ipv6: spy(Ipv6Packet, 'check'),
    tcp: spy(TcpSegment, 'check'),
    tcpOptions: spy(TcpOptions.prototype, 'read'),
    udp: spy(UdpDatagram, 'check'),
  };
  return (): Record<string, number> =>
    Object.fromEntries(
      Object.entries(spies)
        .map(([name, { callCount }]) => [name, callCount] as const)
        .filter(([, n]) => n > 0),
    );
}

forBothVersions('laziness', ({ version, any }) => {
  const { own, router, foreign, headers, ask, asked } = HOSTS[version];
  const ip = `ipv${version}`;
  const notation = new PacketNotation({ version });
  const counts = { parses: {} as Record<string, number>, furthest: 0, drops: {} as Record<string, number> };

  afterEach(() => restore());

  /** What a host reads of one packet; `watched`: only through the view, so that nothing can be read unnoticed. */
  function receive(line: string, watched = true): typeof counts {
    const pool = new FramePool({ poison: true });
    const env = environment({ scheduler: new SimulationScheduler(), seed: 1, pool });
    const device = testDevice(notation.context);
    const me = host({ device, addresses: [own], gateway: router }, env);
    me.tcp.listen({ address: any, port: 8080 });
    const frames = new Subject<RxFrame>();
    const subscription = frames.pipe(me).subscribe((frame) => frame.release());
    const bytes = notation.build(line, '<').bytes().slice();
    const view = new WatchedView(bytes.buffer);
    const slab: Slab = {
      view,
      get bytes(): Uint8Array {
        if (watched) throw new Error('the bytes were read without the view');
        return bytes;
      },
    };
    const frame = new Frame(slab, 0, bytes.length);
    frame.end = frame.wholeEnd = bytes.length;
    const count = parses();
    frames.next(asRx(frame));
    const seen = { parses: count(), furthest: view.furthest, drops: env.drops.toJSON() };
    restore();
    subscription.unsubscribe();
    return seen;
  }

  it('parses no IP of a frame for a foreign MAC address, and reads nothing behind the Ethernet header', () => {
    const seen = receive('< S 0:0(0) win 65535 <mss 1460> mac-to 02:00:00:00:00:99');
    expect(seen).to.deep.equal({ parses: { ethernet: 1 }, furthest: ETHERNET, drops: { 'ethernet-not-for-us': 1 } });
  });

  it('parses no TCP of a packet for a foreign address, and reads nothing behind the IP header', () => {
    const seen = receive(`< S 0:0(0) win 65535 <mss 1460> to ${foreign}`);
    const drops = { [`${ip}-not-for-us`]: 1 };
    expect(seen).to.deep.equal({ parses: { ethernet: 1, [ip]: 1 }, furthest: headers, drops });
  });

  if (version === 4)
    it('parses no TCP behind a bad IP checksum, and reads nothing behind that header', () => {
      const seen = receive('< S 0:0(0) win 65535 <mss 1460> bad-ip-checksum');
      expect(seen).to.deep.equal({
        parses: { ethernet: 1, ipv4: 1 },
        furthest: headers,
        drops: { 'ipv4-bad-checksum': 1 },
      });
    });

  it('parses no options behind a bad TCP checksum', () => {
    const seen = receive('< S 0:0(0) win 65535 <mss 1460> bad-checksum');
    expect(seen.parses).to.deep.equal({ ethernet: 1, [ip]: 1, tcp: 1 });
    expect(seen.drops).to.deep.equal({ 'tcp-bad-checksum': 1 });
  });

  it('parses the headers of its own kind only, where the packet is for us', () => {
    expect(receive('< S 0:0(0) win 65535 <mss 1460>', false).parses).to.deep.equal({
      ethernet: 1,
      [ip]: 1,
      tcp: 1,
      tcpOptions: 1,
    });
    expect(receive('< udp 53 > 1024 (12)', false).parses)
      .to.include({ ethernet: 1, udp: 1 })
      .and.not.have.any.keys('tcp', 'arp');
    expect(receive(`< ${ask}`, false).parses).to.deep.equal(asked);
  });
});
