/**
 * What is asked of the machine's processors while there is traffic, as the kernel has it. That is the whole machine's: this runs in one process with all others that
 * ask for it (`bench-peers-spec`, `host-command-spec`), one after the other (`spec/run.ts`: names up to m).
 */

import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { expect } from 'chai';
import { LiveHost } from './live-host.js';
import { until } from '../until.js';
import { describeNetns } from './namespace.js';

/** The least that anybody asks for, in microseconds; `undefined` where it cannot be known. */
function latency(): number | undefined {
  const value = new Int32Array(1);
  try {
    const fd = openSync('/dev/cpu_dma_latency', 'r');
    readSync(fd, value);
    closeSync(fd);
    return value[0];
  } catch {
    return undefined;
  }
}

describeNetns('wake-up latency', (netns) => {
  it('is asked for while there is traffic, and not after it', async function () {
    const before = latency();
    if (before === undefined || before <= 1000) {
      console.warn('SKIPPED: the kernel has no wake-up latency to ask for, or somebody asks for a short one');
      this.skip();
    }
    const live = new LiveHost(netns.namespace, { driver: { wakeLatency: 1000 } });
    // Neighbours, and all that the kernel has to say where an interface comes up.
    const pinging = netns.namespace.run('ping', ['-q', '-c', '25', '-i', '0.02', '10.77.0.2']);
    await until(() => latency() === 1000);
    expect((await pinging).stdout).to.contain(' 0% packet loss');
    await until(() => latency() === before);
    netns.namespace.start('ping', ['-q', '-i', '0.005', '10.77.0.2']);
    await until(() => latency() === 1000);
    await live.close();
    expect(latency()).to.equal(before);
  });

  it('without permission: EACCES, in words, and the interface is free again', function () {
    if (latency() === undefined) this.skip();
    const script = `
      import { openTap } from './drivers/tap.ts';
      import { environment } from './operators/time/environment.ts';
      try { openTap({ name: 'tap0', wakeLatency: 0 }, environment()); } catch (error) { console.log(error.code, error.message); }
      console.log((await openTap({ name: 'tap0' }, environment()).close()) === undefined);`;
    // Of a mount without devices nobody may open one, root neither.
    const device = '/dev/cpu_dma_latency';
    const shut = `mount --bind ${device} ${device} && mount -o remount,bind,nodev ${device}`;
    const node = `"${process.execPath}" --import=tsx --input-type=module -e "$0"`;
    const args = [
      'netns',
      'exec',
      netns.namespace.name,
      'unshare',
      '--mount',
      'sh',
      '-c',
      `${shut} && ${node}`,
      script,
    ];
    const output = execFileSync('ip', args, { encoding: 'utf8' });
    expect(output).to.match(/^EACCES cannot ask for processors .*\ntrue\n$/);
  });
});
