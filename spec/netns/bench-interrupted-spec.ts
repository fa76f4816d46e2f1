/** A benchmark that is interrupted leaves no namespace behind, no process in one, and no directory. */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { until } from '../until.js';
import { describeNetns } from './namespace.js';

/** Where iproute2 has the names of namespaces. */
const NAMES = '/run/netns';

/** Responders that run in a namespace. */
function respondersIn(name: string): readonly number[] {
  try {
    const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8', stdio: 'pipe' });
    return pids
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 0 && readFileSync(`/proc/${pid}/comm`, 'latin1') === 'responder\n');
  } catch {
    // The namespace is being made, or a process has just ended.
    return [];
  }
}

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
      const responders = () => namespaces().flatMap((name) => respondersIn(name));
      try {
        await until(() => responders().length > 0, 30_000);
        const running = responders();
        bench.kill(signal);
        expect(await ended).to.equal(code);
        expect(namespaces()).to.deep.equal([]);
        await until(() => !running.some((pid) => existsSync(`/proc/${pid}`)));
        expect(readdirSync(directory).filter((name) => name.startsWith('rxns-bench-'))).to.deep.equal([]);
      } finally {
        bench.kill('SIGKILL');
        rmSync(directory, { recursive: true });
      }
    });
  }
});
