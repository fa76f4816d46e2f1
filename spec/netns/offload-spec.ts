/** What leaving work to the kernel must not change: every byte is right, with offloads and without, by every way of reading and writing. */

import { expect } from 'chai';
import type { TunOptions } from '../../drivers/tun.js';
import { GsoType } from '../../lib/core/frame.js';
import { DUAL, LIVE, LiveHost, OURS } from './live-host.js';
import { describeNetns } from './namespace.js';
import { digestOf, transfers } from './transfers.js';

const LENGTH = 100 * 1024 * 1024;

type Driver = Pick<TunOptions, 'offload' | 'coalesce' | 'io' | 'busyPoll'>;

const WAYS: readonly (readonly [title: string, driver: Driver])[] = [
  ['offload, io_uring', { io: 'uring' }],
  ['offload, plain calls, busy polling', { io: 'calls', busyPoll: 50 }],
  ['no offload, io_uring', { offload: false, io: 'uring' }],
  ['no offload, plain calls, nothing merged', { offload: false, coalesce: false, io: 'calls' }],
];

describeNetns('offload, a host of ours', (netns) => {
  for (const [title, driver] of WAYS) {
    for (const { version, at } of [LIVE[4], LIVE[6]]) {
      it(`${title}: 100 MiB each way over IPv${version}`, async () => {
        const live = new LiveHost(netns.namespace, { ...DUAL, driver });
        const { fetch, upload } = transfers(netns.namespace, 50_000, at);
        const digest = await digestOf(LENGTH);
        expect(await fetch(LENGTH)).to.equal(digest);
        expect(await upload(LENGTH)).to.equal(digest);
        await live.close();
      }).timeout(120_000);
    }
  }

  it('of a TUN: 10 MiB each way', async () => {
    const live = new LiveHost(netns.namespace, { medium: 'ip' });
    const { fetch, upload } = transfers(netns.namespace);
    const digest = await digestOf(LENGTH / 10);
    expect(await fetch(LENGTH / 10)).to.equal(digest);
    expect(await upload(LENGTH / 10)).to.equal(digest);
    await live.close();
  });
});

describeNetns('offload, the driver', (netns) => {
  /** Length of the longest frame, and whether any was a super-segment, of what a host of ours discards. */
  const longest = async (driver: Driver & Pick<TunOptions, 'persist'>) => {
    const { namespace } = netns;
    const live = new LiveHost(namespace, { driver, services: ['discard'] });
    let [length, segmented] = [0, false];
    live.device.frames$.subscribe((frame) => {
      length = Math.max(length, frame.length);
      segmented ||= frame.gsoType !== GsoType.None;
    });
    const { code } = await namespace.sh(`head -c 1000000 /dev/zero | socat -u - TCP:${OURS}:9`);
    expect(code).to.equal(0);
    await live.quiet({ timeWait: true });
    await live.close();
    return { length, segmented };
  };

  it('hands over super-segments of the kernel whole', async () => {
    const { length, segmented } = await longest({});
    expect(segmented).to.equal(true);
    expect(length).to.be.greaterThan(3000);
  });

  it('merges segments that were read in a row, where the kernel hands over no super-segments', async () => {
    const { length, segmented } = await longest({ offload: false });
    expect(segmented).to.equal(true);
    expect(length).to.be.greaterThan(2000);
  });

  it('hands over frames as they are on the wire, where asked, though the interface was opened otherwise before', async () => {
    await longest({ persist: true });
    const { length, segmented } = await longest({ offload: false, coalesce: false, persist: false });
    expect(segmented).to.equal(false);
    expect(length).to.equal(1514);
  });

  it('hands over datagrams one by one that the kernel would leave in one super-segment', async () => {
    const live = new LiveHost(netns.namespace, { services: ['echo'] });
    // SOL_UDP, UDP_SEGMENT (linux/udp.h).
    const script = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 100)
s.connect(('${OURS}', 7))
s.settimeout(3)
s.send(b''.join(bytes([65 + i]) * 100 for i in range(5)) + b'last')
print(' '.join(f'{len(d)}{chr(d[0])}' for d in (s.recv(2000) for i in range(6))))`;
    const { stdout } = await netns.namespace.run('python3', ['-c', script]);
    expect(stdout.trim()).to.equal('100A 100B 100C 100D 100E 4l');
    await live.close();
  });
});
