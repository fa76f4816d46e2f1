/**
 * Row 3 of the acceptance of a living host: the transfers of row 2 stay right on a bad wire, and end in bounded time.
 *
 * The bound of each is stated, and several times what it takes on an idle machine. Spoiled frames are recorded before they are
 * spoiled, and the kernel's complaints about them are to be expected.
 */

import { expect } from 'chai';
import type { IpVersion } from '../../lib/core/address.js';
import type { TcpOptions } from '../../lib/l4/tcp/options.js';
import type { Impairments } from '../../operators/flow/impair.js';
import { LIVE, LiveHost } from './live-host.js';
import { describeNetns } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, transfers } from './transfers.js';

const KIB = 1024;

interface Wire extends Impairments {
  /** Bytes of each transfer; two go each way at once. */
  readonly size: number;
  /** Milliseconds within which all must be done. */
  readonly bound: number;
  /** TCP of the host. Default: the defaults. */
  readonly tcp?: TcpOptions;
  /** Counters of the host that show that the wire was as bad as that. */
  readonly shown: readonly string[];
}

/** The wire on which the benchmark compares us with the kernel, for each congestion control, and what is off by default on. */
const COMPARED: Impairments = { loss: 0.01, delay: 10, reorder: 0.02, reorderDelay: 4 };
const CONTROLS = (['cubic', 'newreno', 'bbr'] as const).map((congestion): [string, Wire] => [
  `1 % loss, 20 ms and reordering with ${congestion}`,
  {
    ...COMPARED,
    tcp: { congestion, ecn: 'accurate', pacing: true, mtuProbing: 'always', windowValidation: true },
    shown: ['link-loss', 'retransmits', 'fastRetransmits', 'outOfOrder'],
    size: 1024 * KIB,
    bound: 20_000,
  },
]);

const WIRES: Readonly<Record<string, Wire>> = {
  '1 % loss': { loss: 0.01, shown: ['link-loss', 'retransmits', 'outOfOrder'], size: 4096 * KIB, bound: 15_000 },
  '5 % loss': { loss: 0.05, shown: ['link-loss', 'retransmits', 'fastRetransmits'], size: 256 * KIB, bound: 20_000 },
  'bursts of loss': {
    burstLoss: { fail: 0.002, recover: 0.3 },
    shown: ['link-loss', 'retransmits'],
    size: 1024 * KIB,
    bound: 20_000,
  },
  '10 % reordered': { reorder: 0.1, reorderDelay: 3, shown: ['outOfOrder'], size: 4096 * KIB, bound: 15_000 },
  '10 % duplicated': { duplicate: 0.1, shown: ['tcp-out-of-window'], size: 4096 * KIB, bound: 15_000 },
  '1 % corrupted': {
    corrupt: 0.01,
    corruptBits: 1,
    shown: ['tcp-bad-checksum', 'ipv4-bad-checksum'],
    size: 4096 * KIB,
    bound: 15_000,
  },
  '20 ms of delay with jitter': { delay: 20, jitter: 5, shown: [], size: 4096 * KIB, bound: 15_000 },
  'everything at once': {
    loss: 0.01,
    duplicate: 0.02,
    reorder: 0.05,
    reorderDelay: 4,
    corrupt: 0.005,
    delay: 3,
    jitter: 1,
    shown: ['link-loss', 'outOfOrder', 'tcp-bad-checksum', 'retransmits'],
    size: 1024 * KIB,
    bound: 20_000,
  },
  ...Object.fromEntries(CONTROLS),
};

/** All of them over IPv4; over IPv6, what is different for it: that no header checksum protects the addresses. */
function wires(version: IpVersion): readonly (readonly [string, Wire])[] {
  const all = Object.entries(WIRES);
  if (version === 4) return all;
  const some = all.filter(([title]) => ['5 % loss', '1 % corrupted', 'everything at once'].includes(title));
  return some.map(([title, wire]) => [
    title,
    { ...wire, shown: wire.shown.filter((name) => !name.startsWith('ipv4')) },
  ]);
}

for (const { version, ours, at, options } of Object.values(LIVE)) {
  describeNetns(`a living host, row 3: HTTP with curl over a bad wire and IPv${version}`, (netns) => {
    const recording = new Recording();

    for (const [title, { size, bound, shown, tcp = {}, ...impairments }] of wires(version)) {
      it(`${title}: ${size / KIB} KiB, twice each way, within ${bound / 1000} s`, async function () {
        this.timeout(bound + 20_000);
        const { namespace } = netns;
        // Whoever asks for it gets it.
        namespace.sysctl('net.ipv4.tcp_ecn', 1);
        const live = new LiveHost(namespace, { ...options, tcp, recording, impairments: { ...impairments, seed: 7 } });
        // ARP has no checksum: a spoiled answer would send frames elsewhere for a while, which is not what this is about.
        namespace.ip('neigh', 'replace', ours, 'lladdr', live.device.mac.toString(), 'dev', 'tap0');
        await namespace.run('ping', ['-q', '-c', '1', '-W', '1', ours]);
        const { fetch, upload } = transfers(namespace, bound, at);
        const sizes = [size, size + 1];
        const done = await Promise.all([...sizes.map(fetch), ...sizes.map(upload)]);
        expect(done).to.deep.equal(await Promise.all([...sizes, ...sizes].map((size) => digestOf(size))));
        const { drops, tcp: counters } = live.me.stats();
        for (const name of shown) expect(drops[name] ?? counters[name] ?? 0, name).to.be.above(0);
        await live.close({ complaints: true });
      });
    }

    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ tcp: 2000 });
    });
  });
}
