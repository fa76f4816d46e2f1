/** Row 2 of the acceptance of a living host, over both versions of IP: curl fetches and uploads, and every byte is the right one. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DUAL, LiveHost, OURS, OURS6 } from './live-host.js';
import { describeNetns } from './namespace.js';
import { Recording } from './recording.js';
import { digestOf, opensslBytes, transfers } from './transfers.js';

const MIB = 1 << 20;

for (const [name, target] of [
  ['IPv4', OURS],
  ['IPv6', `[${OURS6}]`],
] as const) {
  describeNetns(`a living host, row 2: HTTP with curl, ${name}`, (netns) => {
    const recording = new Recording();

    it('serves 1 MiB with the right sha256', async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const { fetch } = transfers(netns.namespace, 10_000, target);
      expect(await fetch(MIB)).to.equal(await digestOf(MIB));
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('serves 100 MiB with the right sha256', async function () {
      this.timeout(60_000);
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const { fetch } = transfers(netns.namespace, 60_000, target);
      expect(await fetch(100 * MIB)).to.equal(await digestOf(100 * MIB));
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('serves 64 fetches at once, each with its own bytes', async function () {
      this.timeout(60_000);
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const directory = mkdtempSync(join(tmpdir(), 'rxns-'));
      try {
        const url = `http://${target}/bytes/[200001-200064]`;
        const args = ['-sS', '--fail', '--parallel', '--parallel-immediate', '--parallel-max', '64', url];
        const curl = await netns.namespace.run('curl', [...args, '-o', join(directory, '#1')], { timeout: 30_000 });
        expect(curl.code, curl.stderr).to.equal(0);
        expect(live.me.stats().tcp['accepted'], 'connections').to.equal(64);
        const script = `cd ${directory} && for n in $(seq 200001 200064); do ${opensslBytes('$n')} | cmp -s - $n || echo $n; done`;
        const compared = await netns.namespace.sh(script, { timeout: 30_000 });
        expect(compared, 'wrong ones').to.deep.equal({ code: 0, stdout: '', stderr: '' });
      } finally {
        rmSync(directory, { recursive: true });
      }
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('digests an upload of 50 MiB', async function () {
      this.timeout(60_000);
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const { upload } = transfers(netns.namespace, 60_000, target);
      expect(await upload(50 * MIB)).to.equal(await digestOf(50 * MIB));
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('uploads and downloads at once, both right', async function () {
      this.timeout(60_000);
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const { fetch, upload } = transfers(netns.namespace, 60_000, target);
      const up = [3, 4, 5, 6].map((n) => n * MIB + n);
      const down = [7, 8, 9, 10].map((n) => n * MIB - n);
      const done = await Promise.all([...up.map((n) => upload(n)), ...down.map((n) => fetch(n))]);
      expect(done).to.deep.equal(await Promise.all([...up, ...down].map((n) => digestOf(n))));
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('serves 500 small requests over one connection', async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const format = '%{http_code} %{size_download}\\n';
      const args = ['-sS', '-w', format, '-o', '/dev/null', `http://${target}/bytes/[1-500]`];
      const { stdout, stderr } = await netns.namespace.run('curl', args);
      const expected = Array.from({ length: 500 }, (_, i) => `200 ${i + 1}`);
      expect(stdout.trim().split('\n'), stderr).to.deep.equal(expected);
      expect(live.me.stats().tcp['accepted'], 'connections').to.equal(1);
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('answers HTTP/1.0, HEAD, what is not there, and /stats', async () => {
      const live = new LiveHost(netns.namespace, { ...DUAL, recording });
      const curl = async (...args: string[]) => (await netns.namespace.run('curl', ['-sS', ...args])).stdout;
      expect(await curl('--http1.0', `http://${target}/`)).to.contain('<h1>It works</h1>');
      expect(await curl('-I', `http://${target}/bytes/12345`)).to.match(
        /^HTTP\/1.1 200 OK\r\n[^]*content-length: 12345\r\n/,
      );
      expect(await curl('-o', '/dev/null', '-w', '%{http_code}', `http://${target}/nothing`)).to.equal('404');
      const stats = JSON.parse(await curl(`http://${target}/stats`)) as { connections: object };
      expect(stats.connections).to.deep.include({ ESTABLISHED: 1 });
      await live.quiet({ timeWait: true });
      await live.close();
    });

    it('row 5: tshark finds nothing wrong with what we sent', async function () {
      this.timeout(60_000);
      await recording.expectSound({ tcp: 3000 });
    });
  });
}
