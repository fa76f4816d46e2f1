/** Transfers stay right whatever options of TCP the kernel agrees to, and whatever fits on the wire. */

import { expect } from 'chai';
import { LIVE, LiveHost, type LiveOptions } from './live-host.js';
import { describeNetns, type Namespace } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, transfers } from './transfers.js';

const SIZE = 1 << 20;
const SWITCHES = ['timestamps', 'sack', 'window_scaling'] as const;

for (const { version, ours, at, options } of Object.values(LIVE)) {
  describeNetns(`a living host and the options of TCP over IPv${version}`, (netns) => {
    const recording = new Recording();

    async function transfer(namespace: Namespace, more: LiveOptions): Promise<LiveHost> {
      const live = new LiveHost(namespace, { ...options, recording, ...more });
      const { fetch, upload } = transfers(namespace, 10_000, at);
      expect(await Promise.all([fetch(SIZE), upload(SIZE)])).to.deep.equal([
        await digestOf(SIZE),
        await digestOf(SIZE),
      ]);
      await live.quiet({ timeWait: true });
      return live;
    }

    for (let mask = 0; mask < 8; mask++) {
      const on = SWITCHES.filter((_, bit) => (mask >> bit) & 1);
      it(`the kernel offers ${on.length === 0 ? 'none' : on.join(', ')}`, async () => {
        for (const name of SWITCHES) netns.namespace.sysctl(`net.ipv4.tcp_${name}`, on.includes(name) ? 1 : 0);
        const live = await transfer(netns.namespace, {});
        await live.close();
      });
    }

    it('we offer none', async () => {
      const tcp = { timestamps: false, sack: false, windowScaling: false };
      await (await transfer(netns.namespace, { tcp })).close();
    });

    for (const mtu of version === 4 ? [576, 1280, 9000] : [1280, 9000]) {
      it(`an MTU of ${mtu}`, async () => {
        await (await transfer(netns.namespace, { mtu })).close();
      });
    }

    it('over TUN', async () => {
      await (await transfer(netns.namespace, { medium: 'ip', name: 'tun0' })).close();
    });

    it('a small segment size that the kernel announces', async () => {
      const { namespace } = netns;
      const live = new LiveHost(namespace, { ...options, recording });
      const host = `${ours}/${version === 4 ? 32 : 128}`;
      namespace.ip(...(version === 4 ? [] : ['-6']), 'route', 'replace', host, 'dev', 'tap0', 'advmss', '300');
      const { fetch } = transfers(namespace, 10_000, at);
      expect(await fetch(100_000)).to.equal(await digestOf(100_000));
      expect(live.me.stats().tcp['segmentsOut']).to.be.above(100_000 / 300);
      await live.close();
    });

    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ tcp: 5000 });
    });
  });
}
