/** Which processors the kernel receives on: that the setting takes, that packets go there, and that their bytes stay right. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { expect } from 'chai';
import { withSysfs } from '../../drivers/native/sysfs.js';
import { inNamespace, openTap } from '../../drivers/tap.js';
import { watchTraffic } from '../../drivers/native/watch-traffic.js';
import type { TunOptions } from '../../drivers/tun.js';
import { environment } from '../../operators/time/environment.js';
import { LiveHost, OURS } from './live-host.js';
import { until } from '../until.js';
import { describeNetns } from './namespace.js';
import { digestOf, transfers } from './transfers.js';

const LENGTH = 10 * 1024 * 1024;
/** The column of /proc/net/softnet_stat: how often another processor was told of packets. */
const RECEIVED_RPS = 9;

/** How often each processor was told by another one that there are packets for it. */
function told(): readonly number[] {
  const lines = readFileSync('/proc/net/softnet_stat', 'latin1').trim().split('\n');
  return lines.map((line) => Number.parseInt(line.split(' ')[RECEIVED_RPS] ?? '', 16));
}

/** Processors as the kernel has them in the namespace of a test, of each queue. */
const ALL = (2 ** cpus().length - 1).toString(16);

describeNetns('receive packet steering', (netns) => {
  const setting = (name = 'tap0', queue = 0, file = 'rps_cpus') =>
    inNamespace(netns.namespace.name, () =>
      withSysfs((path) => readFileSync(`${path}/class/net/${name}/queues/rx-${queue}/${file}`, 'latin1')),
    )
      .trim()
      .replace(/^[0,]+(?=.)/, '');

  const open = (options: TunOptions) => netns.namespace.openTap({ name: 'tap0', ...options }, environment());

  it('is off, and as it is told, and stays as it is where nothing is told', async () => {
    await open({ persist: true }).close();
    expect(setting()).to.equal('0');
    await open({ receiveProcessors: [0] }).close();
    expect(setting()).to.equal('1');
    await open({}).close();
    expect(setting()).to.equal('1');
    await open({ receiveProcessors: 'all' }).close();
    expect(setting()).to.equal(ALL);
    await open({ receiveProcessors: 'readers' }).close();
    expect(setting()).to.equal('0');
    expect(setting('tap0', 0, 'rps_flow_cnt')).to.equal('4096');
    await open({ receiveProcessors: [] }).close();
    expect([setting(), setting('tap0', 0, 'rps_flow_cnt')]).to.deep.equal(['0', '0']);
    await open({ receiveProcessors: [0] }).close();
    await open({ receiveProcessors: 'none' }).close();
    expect(setting()).to.equal('0');
    await open({ persist: false }).close();
  });

  it('is of a TUN, too, and of every queue', async () => {
    const tun = netns.namespace.openTun({ name: 'tun0', receiveProcessors: [0] }, environment());
    expect(setting('tun0')).to.equal('1');
    await tun.close();
    const [one, two] = [open({ multiQueue: true }), open({ multiQueue: true, receiveProcessors: [0] })];
    expect([setting('tap0', 0), setting('tap0', 1)]).to.deep.equal(['1', '1']);
    await one.close();
    await two.close();
  });

  for (const driver of [{}, { offload: false }, { offload: false, io: 'calls' }] as const) {
    it(`takes packets elsewhere, and every byte is right: ${JSON.stringify(driver)}`, async function () {
      if (cpus().length < 2) this.skip();
      const before = told();
      const live = new LiveHost(netns.namespace, { driver: { ...driver, receiveProcessors: 'all' } });
      const { fetch, upload } = transfers(netns.namespace);
      const digest = await digestOf(LENGTH);
      // Which processor a flow goes to is drawn, and so is the one that we run on: of so many some are others.
      for (let i = 0; i < 4; i++) {
        expect(await fetch(LENGTH)).to.equal(digest);
        expect(await upload(LENGTH)).to.equal(digest);
      }
      const after = told();
      expect(after.some((times, at) => times > (before[at] ?? 0))).to.equal(true);
      await live.quiet({ timeWait: true });
      await live.close();
    });
  }

  describe('adaptive', () => {
    /** What was set while `during` ran, without repetitions. */
    async function watching(during: Promise<unknown>): Promise<readonly string[]> {
      const seen = [setting()];
      const look = setInterval(() => {
        const now = setting();
        if (now !== seen.at(-1)) seen.push(now);
      }, 5);
      await during.finally(() => clearInterval(look));
      return seen;
    }

    // Left out, it is so, too.
    for (const driver of [{ io: 'uring' }, { io: 'calls', receiveProcessors: 'adaptive' }] as const) {
      it(`takes bulk elsewhere, and nothing else, and every byte is right: ${JSON.stringify(driver)}`, async function () {
        if (cpus().length < 2) this.skip();
        const live = new LiveHost(netns.namespace, { driver: { offload: false, ...driver } });
        const { fetch, upload } = transfers(netns.namespace);
        const digest = await digestOf(LENGTH);
        expect(await watching(netns.namespace.run('ping', ['-q', '-c', '50', '-i', '0.005', OURS]))).to.deep.equal([
          '0',
        ]);
        for (const transfer of [fetch, upload]) {
          const set = await watching(transfer(LENGTH).then((got) => expect(got).to.equal(digest)));
          expect(set[0]).to.equal('0');
          expect(set.length, set.join(' ')).to.be.greaterThan(1);
          // Never all: one is spared.
          expect(set).not.to.contain(ALL);
          await until(() => setting() === '0');
        }
        await live.quiet({ timeWait: true });
        await live.close();
      });
    }

    it('is not what it is of one queue of several', () => {
      const { timers } = environment();
      const opened = { name: 'lo', fd: -1, offloads: { vnetHeader: false, udpSegmentation: false }, isOwn: true };
      const watched = (options: TunOptions) =>
        inNamespace(netns.namespace.name, () => {
          const watch = watchTraffic(opened, options, timers);
          watch?.close();
          return watch !== undefined;
        });
      expect([watched({}), watched({ multiQueue: true })]).to.deep.equal([true, false]);
    });

    it('is not what it is of interfaces that stay or were there, nor where it is told otherwise, unless asked for', async function () {
      if (cpus().length < 2) this.skip();
      const { fetch } = transfers(netns.namespace);
      const digest = await digestOf(LENGTH);
      for (const driver of [{ persist: true }, {}, { persist: false }, { receiveProcessors: 'none' }] as const) {
        const live = new LiveHost(netns.namespace, { driver: { offload: false, ...driver } });
        const set = await watching(fetch(LENGTH).then((got) => expect(got).to.equal(digest)));
        expect(set, JSON.stringify(driver)).to.deep.equal(['0']);
        await live.quiet({ timeWait: true });
        await live.close();
      }
      expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
    });

    it('leaves it at none, and does nothing where there are offloads', async function () {
      if (cpus().length < 2) this.skip();
      const driver = { offload: false, receiveProcessors: 'adaptive', persist: true } as const;
      const live = new LiveHost(netns.namespace, { driver });
      netns.namespace.start('curl', ['-s', '-o', '/dev/null', `http://${OURS}/bytes/${1000 * LENGTH}`]);
      await until(() => setting() !== '0');
      await live.close({ complaints: true });
      expect(setting()).to.equal('0');
      const { fetch } = transfers(netns.namespace);
      const other = new LiveHost(netns.namespace, { driver: { receiveProcessors: 'adaptive', persist: false } });
      const digest = await digestOf(LENGTH);
      expect(await watching(fetch(LENGTH).then((got) => expect(got).to.equal(digest)))).to.deep.equal(['0']);
      await other.close();
    });
  });

  it('of processors that are not there: EINVAL, and nothing is left behind', () => {
    expect(() => open({ receiveProcessors: [0, 8000] }))
      .to.throw()
      .with.property('code', 'EINVAL');
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
  });

  it('without permission: EPERM, in words, where it is asked for; else it goes without', () => {
    // CAP_NET_ADMIN alone, which is all that a TAP needs.
    const script = `
      import { openTap } from './drivers/tap.ts';
      import { environment } from './operators/time/environment.ts';
      const env = environment();
      try { openTap({ receiveProcessors: 'all' }, env); } catch (error) { console.log(error.code, error.message); }
      try { openTap({ offload: false, receiveProcessors: 'adaptive' }, env); } catch (error) { console.log(error.code, error.message); }
      await openTap({ offload: false }, env).close();
      console.log('and is closed');`;
    const { name } = netns.namespace;
    const args = ['netns', 'exec', name, 'capsh', '--drop=cap_sys_admin', '--'];
    const output = execFileSync(
      'ip',
      [...args, '-c', `"${process.execPath}" --import=tsx --input-type=module -e "$0"`, script],
      {
        encoding: 'utf8',
      },
    );
    expect(output).to.match(/^EPERM cannot .*sysfs.*\nEPERM cannot .*sysfs.*\nand is closed\n$/);
  });

  it('is that of the namespace that the thread is in', () => {
    const there = inNamespace(netns.namespace.name, () => {
      const tap = openTap({ name: 'only-here' }, environment());
      const seen = withSysfs((path) => readFileSync(`${path}/class/net/only-here/ifindex`, 'latin1'));
      void tap.close();
      return seen;
    });
    expect(Number(there)).to.be.greaterThan(0);
    expect(() => withSysfs((path) => readFileSync(`${path}/class/net/only-here/ifindex`))).to.throw();
  });
});
