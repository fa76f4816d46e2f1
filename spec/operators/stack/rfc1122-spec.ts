/** What RFC 1122 asks of a host as a whole: packets in, packets out, and nothing else known of it. */

import { expect } from 'chai';
import { Ipv4Address } from '../../../lib/core/address.js';
import type { TcpHandler } from '../../../lib/l4/tcp/api.js';
import { anyEndpoint } from '../../../lib/l4/udp.js';
import type { UdpMessage } from '../../../lib/l4/udp-api.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { refreshIpv4Checksum } from '../../../lib/wire/ipv4.js';
import { type Host, host } from '../../../operators/stack/host.js';
import { net } from '../../../operators/testing/index.js';
import { echoRequest, icmpMessage, ip, ipPacket } from '../l3/packets.js';

const ADDRESSES = { addresses: ['192.168.0.1/16'], gateway: '192.168.0.9' } as const;
const ENDS = { source: ip('192.0.2.1'), destination: ip('192.168.0.1') } as const;
const PEER = Ipv4Address.parse('192.0.2.1');

/** What a host makes of a packet within the call: its answer, or none, and the reason why it drops it, or none. */
function exchange(
  packet: string | Uint8Array,
  outcome: { readonly answer?: string; readonly drop?: string },
  prepare: (me: Host) => void = () => {},
): void {
  const { answer, drop } = outcome;
  net(
    ({ rx, expectTx, expectDrops, env, device }) => {
      const me = host({ device: device(), ...ADDRESSES }, env);
      prepare(me);
      const out$ = rx('-p-', { p: packet }).pipe(me);
      if (answer === undefined) expectTx(out$).toBe('---');
      else expectTx(out$).toBe('-a-', { a: answer });
      if (drop === undefined) expectDrops().toBe('---');
      else expectDrops().toBe('-d-', { d: drop });
    },
    { linkType: 'ip' },
  );
}

/** The bytes of a packet of the notation. */
function packetOf(line: string): Uint8Array {
  return Uint8Array.from(new PacketNotation({ linkType: 'ip' }).build(line).bytes());
}

/** The packet with these bytes, a multiple of four, as its options. */
function withOptions(packet: Uint8Array, options: readonly number[]): Uint8Array {
  const bytes = Uint8Array.from([...packet.subarray(0, 20), ...options, ...packet.subarray(20)]);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45 + options.length / 4);
  view.setUint16(2, bytes.length);
  refreshIpv4Checksum(view, 0);
  return bytes;
}

const SILENT: TcpHandler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
const UNKNOWN_OPTION = [0x5e, 4, 1, 2];
const ECHO = '< icmp echo_request id 7 seq 1 (8)';
const ECHO_REPLY = '> icmp echo_reply id 7 seq 1 (8)';

describe('a host, by RFC 1122', () => {
  describe('IP options', () => {
    it('1122-I5: ones that it does not know are skipped', () => {
      exchange(withOptions(packetOf(ECHO), UNKNOWN_OPTION), { answer: ECHO_REPLY });
      exchange(withOptions(packetOf(ECHO), [1, 1, 0x94, 4, 0, 0, 0, 0]), { answer: ECHO_REPLY });
    });
    it('1122-I5: so they are under a TCP segment (MUST-50)', () => {
      const syn = withOptions(packetOf('< S 0:0(0) win 65535 <mss 1460>'), UNKNOWN_OPTION);
      const listen = (me: Host) => void me.tcp.listen({ address: Ipv4Address.ANY, port: 8080 });
      net(
        ({ rx, expectTx, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          listen(me);
          expectTx(rx('-s-', { s: syn }).pipe(me)).toBe('-a-', { a: '> S. 0:0(0) ack 1 <...>' });
        },
        { linkType: 'ip' },
      );
    });
    it('1122-I5: a source route that is done is one of them; one that leads on is a way that fails', () => {
      const route = (pointer: number) => [0x83, 7, pointer, 10, 9, 9, 9, 1];
      exchange(withOptions(packetOf(ECHO), route(8)), { answer: ECHO_REPLY });
      const answer = '> icmp unreachable source_route_failed [icmp echo_request id 7 seq 1 (8 ...)]';
      exchange(withOptions(packetOf(ECHO), route(4)), { answer, drop: 'ipv4-source-routed' });
      const strict = [1, 0x89, 11, 8, 10, 9, 9, 9, 10, 9, 9, 8];
      exchange(withOptions(packetOf(ECHO), strict), { answer, drop: 'ipv4-source-routed' });
      const report = '< icmp unreachable port [udp 1024 > 53 (12)]';
      exchange(withOptions(packetOf(report), route(4)), { drop: 'ipv4-source-routed' });
      exchange(withOptions(packetOf(`${ECHO} to 192.168.255.255`), route(4)), { drop: 'ipv4-source-routed' });
    });
    it('1122-I5: bad ones harm nobody', () => {
      for (const options of [
        [0x5e, 0, 0, 0],
        [0x5e, 1, 0, 0],
        [0x5e, 5, 0, 0],
        [1, 1, 1, 0x5e],
        [0x83, 2, 0x5e, 0],
      ]) {
        exchange(withOptions(packetOf(ECHO), options), { drop: 'ipv4-bad-options' });
      }
    });
  });

  describe('reassembly', () => {
    const first = '< icmp echo_request id 7 seq 1 (2000) frag 0:1480+ ipid 9';
    const last = '< icmp echo_request id 7 seq 1 (2000) frag 1480:2008 ipid 9';

    it('1122-I6: of a whole, which is answered', () => {
      net(
        ({ rx, expectTx, env, device }) => {
          const me = host({ device: device({ mtu: 9_000 }), ...ADDRESSES }, env);
          expectTx(rx('-lf-', { f: first, l: last }).pipe(me)).toBe('--r-', {
            r: '> icmp echo_reply id 7 seq 1 (2000)',
          });
        },
        { linkType: 'ip' },
      );
    });
    it('1122-I6: after 30 s time exceeded, code 1, says that something is missing behind the first fragment', () => {
      net(
        ({ rx, expectTx, expectDrops, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          expectTx(rx('-f 30000ms -', { f: first }).pipe(me)).toBe('- 30000ms e', {
            e: '> icmp time_exceeded reassembly [icmp echo_request id 7 seq 1 (1472 ...)]',
          });
          expectDrops().toBe('- 30000ms d', { d: 'fragment-timeout' });
        },
        { linkType: 'ip' },
      );
    });
    it('1122-I6: nothing is said where the first fragment is what is missing', () => {
      net(
        ({ rx, expectTx, expectDrops, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          expectTx(rx('-l 30000ms -', { l: last }).pipe(me)).toBe('- 30000ms -');
          expectDrops().toBe('- 30000ms d', { d: 'fragment-timeout' });
        },
        { linkType: 'ip' },
      );
    });
  });

  describe('what nobody takes', () => {
    it('1122-C5: an unknown protocol is unreachable', () => {
      exchange('< ip 99 (8)', { answer: '> icmp unreachable protocol [ip 99 (8 ...)]', drop: 'ip-unknown-protocol' });
    });
    it('1122-C5: a port without a socket is unreachable', () => {
      const answer = '> icmp unreachable port [udp 53 > 1024 (12 ...)]';
      exchange('< udp 53 > 1024 (12)', { answer, drop: 'udp-no-socket' });
    });
    for (const to of ['255.255.255.255', '192.168.255.255', '224.0.0.1']) {
      it(`1122-C3: but nothing is said about what was sent to ${to}`, () => {
        exchange(`< udp 53 > 1024 (12) to ${to}`, { drop: 'udp-no-socket' });
        exchange(`< ip 99 (8) to ${to}`, { drop: 'ip-unknown-protocol' });
      });
    }
    it('1122-I2: what is for another host is neither answered nor passed on, nor is its sender redirected (1122-C7)', () => {
      for (const to of ['192.0.2.77', '192.168.0.2', '127.0.0.1', '192.168.0.0']) {
        exchange(`< udp 53 > 1024 (12) to ${to}`, { drop: 'ipv4-not-for-us' });
      }
    });
  });

  describe('ICMP', () => {
    const obsolete = {
      13: 'timestamp',
      15: 'information request',
      17: 'address mask request',
      10: 'router solicitation',
    };
    for (const [type, name] of Object.entries(obsolete)) {
      it(`1122-C7: ${name} is not answered`, () => {
        const bytes = ipPacket(
          { ...ENDS, protocol: IpProtocol.Icmp },
          icmpMessage(Number(type), 0, 7, new Uint8Array(12)),
        );
        exchange(bytes, { drop: 'icmpv4-unknown-type' });
      });
    }
    it('6633: a source quench changes nothing about a connection that it quotes (MUST-55)', () => {
      net(
        ({ rx, expectTx, expectDrops, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          const listener = me.tcp.listen({ address: Ipv4Address.ANY, port: 8080 });
          const in$ = rx('-s-aq-', {
            s: '< S 0:0(0) win 65535 <mss 1460>',
            a: '< . 1:1(0) ack 1 win 65535',
            q: '< icmp source_quench [tcp 1:1001(1000)]',
          });
          // All of the initial window, ten segments, leaves as it would have without.
          env.scheduler.schedule(() => listener.accept()?.write(new Uint8Array(20_000)), 5);
          expectTx(in$.pipe(me)).toBe('-s---(0123456789)-', {
            s: '> S. 0:0(0) ack 1 <...>',
            ...Object.fromEntries(
              Array.from({ length: 10 }, (_, i) => [
                String(i),
                `> . ${1 + i * 1460}:${1 + (i + 1) * 1460}(1460) ack 1`,
              ]),
            ),
          });
          expectDrops().toBe('----q-', { q: 'icmpv4-ignored' });
        },
        { linkType: 'ip' },
      );
    });
    it('1122-C4: an echo is answered with all its data, from the address that was asked', () => {
      const data = Uint8Array.from({ length: 9 }, (_, i) => i + 1);
      const bytes = ipPacket({ ...ENDS, protocol: IpProtocol.Icmp }, echoRequest(data));
      exchange(bytes, { answer: '> icmp echo_reply id 7 seq 1 (9 0x010203040506070809)' });
    });
  });

  describe('towards the application', () => {
    it('1122-U2: which learns both addresses of a datagram, its TTL and its traffic class', () => {
      const heard: UdpMessage[] = [];
      const bind = (me: Host) =>
        void me.udp.bind(anyEndpoint(4, 1024), { message: (message) => heard.push(message), error() {} });
      exchange('< udp 53 > 1024 (3 "abc") ttl 9 tos 0xb8', {}, bind);
      exchange('< udp 53 > 1024 (0) to 192.168.255.255', {}, bind);
      const told = heard.map(({ source, destination, hopLimit, trafficClass, data }) =>
        [source.address, source.port, destination.address, hopLimit, trafficClass, data.length].join(' '),
      );
      expect(told).to.deep.equal(['192.0.2.1 53 192.168.0.1 9 184 3', '192.0.2.1 53 192.168.255.255 64 0 0']);
    });
    it('1122-I4: which may set TTL and TOS; the default TTL is 64 (1122-U2)', () => {
      net(
        ({ rx, expectTx, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error() {} });
          const to = { address: PEER, port: 53 };
          env.scheduler.schedule(() => socket.send(new Uint8Array(1), to), 1);
          env.scheduler.schedule(() => {
            socket.hopLimit = 7;
            socket.trafficClass = 0xb8;
            socket.send(new Uint8Array(1), to);
          }, 2);
          expectTx(rx('----').pipe(me)).toBe('-ab-', {
            a: '> udp 1024 > 53 (1) ttl 64 tos 0',
            b: '> udp 1024 > 53 (1) ttl 7 tos 0xb8',
          });
        },
        { linkType: 'ip' },
      );
    });
    it('1122-I4: which sets them for a connection, too: they are those of all its segments (MUST-48, MUST-49, SHLD-22, SHLD-23)', () => {
      net(
        ({ rx, expectTx, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES }, env);
          const options = { localPort: 8080, hopLimit: 9, trafficClass: 0x20 };
          env.scheduler.schedule(() => {
            const connection = me.tcp.connect({ address: PEER, port: 40_000 }, SILENT, options);
            connection.write(new Uint8Array(3));
          }, 1);
          const answer = '< S. 0:0(0) ack 1 win 65535 <mss 1460>';
          expectTx(rx('- 1000ms --a 1s -', { a: answer }).pipe(me)).toBe('-s 999ms s-a', {
            s: '> S 0:0(0) <...> ttl 9 tos 0x20',
            a: '> P. 1:4(3) ack 1 ttl 9 tos 0x20',
          });
        },
        { linkType: 'ip', until: 1010 },
      );
    });
    it('1122-I4: the default TTL can be set for a host', () => {
      net(
        ({ rx, expectTx, env, device }) => {
          const me = host({ device: device(), ...ADDRESSES, hopLimit: 33 }, env);
          const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error() {} });
          env.scheduler.schedule(() => socket.send(new Uint8Array(1), { address: PEER, port: 53 }), 1);
          env.scheduler.schedule(
            () => void me.tcp.connect({ address: PEER, port: 40_000 }, SILENT, { localPort: 8080 }),
            2,
          );
          expectTx(rx('----').pipe(me)).toBe('-us-', { u: '> udp 1024 > 53 (1) ttl 33', s: '> S 0:0(0) <...> ttl 33' });
          for (const hopLimit of [0, 256, 2.5]) {
            expect(() => host({ device: device(), hopLimit }, env))
              .to.throw()
              .with.property('code', 'ERR_INVALID_OPTION');
          }
        },
        { linkType: 'ip' },
      );
    });
    it('1122-I4: but never TTL 0', () => {
      exchange('< udp 53 > 1024 (0)', {}, (me) => {
        const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error() {} }, { hopLimit: 0 });
        expect(() => socket.send(new Uint8Array(1), { address: PEER, port: 53 })).to.not.throw();
        for (const hopLimit of [0, 256, 1.5]) {
          const open = () => me.tcp.connect({ address: PEER, port: 7 }, SILENT, { hopLimit });
          expect(open).to.throw().with.property('code', 'EINVAL');
          const listen = () => me.tcp.listen(anyEndpoint(4, 7), { hopLimit });
          expect(listen).to.throw().with.property('code', 'EINVAL');
        }
      });
    });
    it('1122-U3: which hears of an ICMP error about what it sent (1122-C6)', () => {
      const errors: string[] = [];
      const connect = (me: Host) => {
        const socket = me.udp.bind(anyEndpoint(4, 1024), { message() {}, error: ({ code }) => errors.push(code) });
        socket.connect({ address: PEER, port: 53 });
      };
      exchange('< icmp unreachable port [udp 1024 > 53 (12)]', {}, connect);
      expect(errors[0]).to.equal('ECONNREFUSED');
    });
    it('1122-U4: which is shown no datagram from a group or a broadcast address', () => {
      const heard: UdpMessage[] = [];
      const bind = (me: Host) =>
        void me.udp.bind(anyEndpoint(4, 1024), { message: (message) => heard.push(message), error() {} });
      for (const from of ['224.0.0.1', '255.255.255.255', '192.168.255.255']) {
        exchange(`< udp 53 > 1024 (3) from ${from}`, { drop: 'ipv4-bad-source' }, bind);
      }
      expect(heard).to.deep.equal([]);
    });
  });

  describe('several interfaces', () => {
    it('1122-I8: a packet for any address of ours is taken from any interface', () => {
      net(
        ({ rx, expectTx, env, device }) => {
          const [one, other] = [device({ name: 'one' }), device({ name: 'other' })];
          const interfaces = [
            { device: one, addresses: ['192.168.0.1/16'] },
            { device: other, addresses: ['10.0.0.1/8'] },
          ];
          const me = host({ interfaces, gateway: '192.168.0.9' }, env);
          const in$ = rx('-e-', { e: `${ECHO} to 10.0.0.1` }, one);
          expectTx(in$.pipe(me)).toBe('-r-', { r: `${ECHO_REPLY} from 10.0.0.1` });
        },
        { linkType: 'ip' },
      );
    });
  });
});
