/** `rx-netstack dump --tap` against a real kernel. */

import { once } from 'node:events';
import { expect } from 'chai';
import { describeNetns } from './namespace.js';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;

describeNetns('rx-netstack dump --tap', (netns) => {
  it('prints what the kernel sends, and ends after --count packets or when it is told to', async function () {
    this.timeout(20_000);
    const { namespace } = netns;
    namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
    for (const [options, signal] of [
      [['--count', '1'], undefined],
      [[], 'SIGINT'],
    ] as const) {
      const args = ['--import=tsx', MAIN, 'dump', '--tap', 'd0', '--json', ...options];
      const child = namespace.start(process.execPath, args);
      let printed = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text));
      if (child.stderr === null || child.stdout === null) throw new Error('no pipes');
      const [listening] = (await once(child.stderr, 'data')) as [Buffer];
      expect(listening.toString()).to.equal('listening on d0\n');
      namespace.ip('address', 'add', '10.9.0.1/24', 'dev', 'd0');
      const closed = once(child, 'close') as Promise<[number]>;
      const ping = namespace.run('ping', ['-c', '1', '-W', '1', '10.9.0.2']);
      if (signal !== undefined) {
        await once(child.stdout, 'data');
        child.kill(signal);
      }
      const [code] = await closed;
      expect(code).to.equal(0);
      const packet = JSON.parse(printed.split('\n')[0] ?? '') as Record<string, unknown>;
      expect(packet).to.deep.include({ n: 1, layers: ['eth', 'arp'], src: '10.9.0.1', dst: '10.9.0.2', length: 42 });
      expect(Math.abs(Date.parse(String(packet['time'])) - Date.now())).to.be.below(60_000);
      await ping;
    }
  });
});
