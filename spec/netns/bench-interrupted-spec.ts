/** A benchmark that is interrupted leaves no namespace behind, no process in one, and no directory. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from './live-host.js';
import { describeNetns } from './namespace.js';

/** Where iproute2 has the names of namespaces. */
const NAMES = '/run/netns';

describeNetns('a benchmark', () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`that ${signal} ends leaves nothing behind`, async function () {
      this.timeout(60_000);
      const directory = mkdtempSync(join(tmpdir(), 'rx-interrupted-'));
      const own = [
        '--import=tsx',
        'bench/main.ts',
        'tap',
        '--only',
        'bare C responder, TAP, offloads',
        '--seconds',
        '0.2',
      ];
      const bench = spawn(process.execPath, own, { env: { ...process.env, TMPDIR: directory }, stdio: 'ignore' });
      const ended = new Promise<number | null>((resolve) => void bench.once('exit', resolve));
      const namespaces = () =>
        existsSync(NAMES) ? readdirSync(NAMES).filter((name) => name.startsWith(`rxns-${bench.pid}-`)) : [];
      try {
        await until(() => namespaces().length > 0, 30_000);
        bench.kill(signal);
        expect(await ended).to.equal(code);
        expect(namespaces()).to.deep.equal([]);
        expect(readdirSync(directory).filter((name) => name.startsWith('rxns-bench-'))).to.deep.equal([]);
      } finally {
        bench.kill('SIGKILL');
        rmSync(directory, { recursive: true });
      }
    });
  }
});
