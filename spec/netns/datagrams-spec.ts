/** Datagrams that leave together, as super-segments where the kernel takes such: each arrives whole, alone and unchanged, wherever it goes. */

import { expect } from 'chai';
import { anyEndpoint } from '../../lib/l4/udp.js';
import { DUAL, LIVE, LiveHost, type LiveOptions, THEIRS, THEIRS6 } from './live-host.js';
import { describeNetns, type Namespace } from './namespace.js';

/** Asks at a port, and prints what comes: lengths, and whether each datagram holds nothing but its number. */
const ASK = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.settimeout(5)
s.sendto(b'go', (sys.argv[1], 5000))
for i in range(int(sys.argv[2])):
  d = s.recv(65535)
  print(len(d), int(d == bytes([d[0]]) * len(d)), d[0])`;

const NODAD = { 4: [], 6: ['nodad'] } as const;
const PORT = 5000;
const MTU_DATAGRAM = 1400;

/** What is sent: runs of several lengths, one cut short by a shorter one, single ones, and more of a run than go in one super-segment. */
const LENGTHS: readonly number[] = [
  ...Array.from({ length: 100 }, () => 64),
  ...Array.from({ length: 10 }, () => MTU_DATAGRAM),
  200,
  1,
  ...Array.from({ length: 5 }, () => 100),
  30,
  1000,
  999,
  1001,
];

describeNetns('datagrams that leave together', (netns) => {
  /** A host that answers each question with all of {@link LENGTHS}, each datagram full of its number. */
  const answering = (options: LiveOptions = {}) => {
    const live = new LiveHost(netns.namespace, { ...DUAL, ...options, services: [] });
    const socket = live.me.udp.bind(anyEndpoint(6, PORT), {
      message: ({ source }) => {
        for (const [i, length] of LENGTHS.entries()) socket.send(new Uint8Array(length).fill(i), source);
      },
      error: () => undefined,
    });
    return live;
  };
  const wanted = LENGTHS.map((length, i) => `${length} 1 ${i}`);

  for (const { version, ours } of [LIVE[4], LIVE[6]]) {
    for (const [title, driver, medium] of [
      ['offloads, io_uring', {}, 'ethernet'],
      ['offloads, plain calls', { io: 'calls' }, 'ethernet'],
      ['offloads, a TUN', {}, 'ip'],
      ['no offload', { offload: false }, 'ethernet'],
    ] as const) {
      it(`arrive one by one over IPv${version}: ${title}`, async () => {
        const live = answering({ driver, medium });
        const { stdout } = await netns.namespace.run('python3', ['-c', ASK, ours, String(LENGTHS.length)]);
        expect(stdout.trim().split('\n')).to.deep.equal(wanted);
        await live.close();
      });
    }
  }

  for (const { version, ours } of [LIVE[4], LIVE[6]]) {
    it(`arrive one by one over IPv${version} where the application sent more at once than the kernel takes as one`, async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, services: [] });
      const socket = live.me.udp.bind(anyEndpoint(6, PORT), {
        message: ({ source }) => {
          for (let i = 0; i < 2; i++) socket.send(new Uint8Array(200 * 64).fill(i), source, 64);
        },
        error: () => undefined,
      });
      const { stdout } = await netns.namespace.run('python3', ['-c', ASK, ours, '400']);
      const all = Array.from({ length: 400 }, (_, i) => `64 1 ${Math.floor(i / 200)}`);
      expect(stdout.trim().split('\n')).to.deep.equal(all);
      await live.close();
    });
  }

  /** Another host behind a device of the kernel's side that takes nothing apart and completes no checksum: whatever leaves by it is a packet. */
  const behind = async () => {
    const { namespace } = netns;
    const other = netns.make('other');
    namespace.ip('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', other.name);
    namespace.ip('link', 'set', 'near', 'up');
    other.ip('link', 'set', 'far', 'up');
    await namespace.sh('ethtool -K near tx off gso off tso off');
    return other;
  };
  /** Asks from there, once the neighbours know each other: while the next hop is being asked for, few wait. */
  const asked = async (other: Namespace, to: string) => {
    await other.run('ping', ['-c', '1', to]);
    const { stdout } = await other.run('python3', ['-c', ASK, to, String(LENGTHS.length)]);
    return stdout.trim().split('\n');
  };

  for (const [version, from, to] of [
    [4, '10.79.0.2/24', LIVE[4].ours],
    [6, 'fd79::2/64', LIVE[6].ours],
  ] as const) {
    it(`are packets of their own, with right checksums, where the kernel takes them further over IPv${version}`, async () => {
      const { namespace } = netns;
      const live = answering({ gateway: [THEIRS, THEIRS6] });
      const other = await behind();
      namespace.ip('addr', 'add', version === 4 ? '10.79.0.1/24' : 'fd79::1/64', 'dev', 'near', ...NODAD[version]);
      other.ip('addr', 'add', from, 'dev', 'far', ...NODAD[version]);
      other.ip('route', 'add', 'default', 'via', version === 4 ? '10.79.0.1' : 'fd79::1');
      namespace.sysctl('net.ipv4.ip_forward', 1);
      namespace.sysctl('net.ipv6.conf.all.forwarding', 1);
      expect(await asked(other, to)).to.deep.equal(wanted);
      await live.close();
    });
  }

  for (const [version, from, to] of [
    [4, '10.77.0.9/24', LIVE[4].ours],
    [6, 'fd77::9/64', LIVE[6].ours],
  ] as const) {
    it(`are so behind a bridge of the kernel, over IPv${version}`, async () => {
      const { namespace } = netns;
      const live = answering({ peer: [] });
      const other = await behind();
      namespace.ip('link', 'add', 'br0', 'type', 'bridge');
      for (const port of ['tap0', 'near']) namespace.ip('link', 'set', port, 'master', 'br0');
      namespace.ip('link', 'set', 'br0', 'up');
      other.ip('addr', 'add', from, 'dev', 'far', ...NODAD[version]);
      expect(await asked(other, to)).to.deep.equal(wanted);
      await live.close();
    });
  }
});
