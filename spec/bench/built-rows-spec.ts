/** Benchmarks that need no wire run what is built, in processes of their own, which end with the one that started them. */

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { builtRows } from '../../bench/built-rows.js';
import type { Report } from '../../bench/report.js';
import { INLINING } from '../../cli/inlining.js';
import { until } from '../until.js';

/** What makes a script out of every program. */
const running = (script: string) => ({ stack: () => ({ command: process.execPath, args: ['-e', script] }) });

/** Hundredths of a second of processor time after which a program has read all of its modules. */
const LOADED = 200;
const MAIN = ['--import=tsx', 'bench/main.ts'];

describe('a benchmark that needs no wire', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-built-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Directories of benchmarks. The loader of the sources has one there, too. */
  const leavings = () => readdirSync(directory).filter((name) => name.startsWith('rxns-bench-'));

  it('is told its name and rounds, may collect garbage, and gives what it prints', async () => {
    const script = 'process.stdout.write(JSON.stringify([typeof gc, ...process.argv.slice(1)]))';
    expect(await builtRows('micro', 3, running(script))).to.deep.equal(['function', 'micro', '3']);
  });

  for (const [what, script, end] of [
    ['ends with a code', 'process.exitCode = 3', '3'],
    ['is killed', 'process.kill(process.pid, "SIGKILL")', 'SIGKILL'],
  ] as const) {
    it(`fails where its process ${what}`, async () => {
      const failed = await builtRows('memory', 1, running(script)).catch((error: unknown) => error);
      expect(failed).to.be.an('error').with.property('message', `the benchmark memory failed with ${end}`);
    });
  }

  it('makes its rows', function () {
    this.timeout(60_000);
    const json = join(directory, 'rows.json');
    const options = { encoding: 'utf8', env: { ...process.env, TMPDIR: directory } } as const;
    const printed = execFileSync(process.execPath, [...MAIN, 'pipeline', '--rounds', '1', '--json', json], options);
    const { rounds, rows } = JSON.parse(readFileSync(json, 'utf8')) as Report;
    expect(rounds).to.equal(1);
    expect(rows).to.have.length(14);
    for (const { name, value } of rows) {
      expect(printed).to.include(name.replaceAll('|', '\\|'));
      expect(value, name).to.be.above(0);
    }
    expect(leavings()).to.deep.equal([]);
  });

  /** The benchmark `micro` in a process group of its own, until a signal has ended it; its code. */
  const interrupted = async (end: (pid: number) => Promise<void>) => {
    const options = { detached: true, env: { ...process.env, TMPDIR: directory }, stdio: 'ignore' } as const;
    const bench = spawn(process.execPath, [...MAIN, 'micro', '--rounds', '20'], options);
    const ended = new Promise<number | null>((resolve) => void bench.once('exit', resolve));
    const pid = bench.pid ?? expect.fail('there is no process');
    try {
      await end(pid);
      return await ended;
    } finally {
      bench.kill('SIGKILL');
    }
  };

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`runs what is built, and that ${signal} ends leaves nothing behind`, async function () {
      this.timeout(60_000);
      let measuring: Running | undefined;
      const end = async (pid: number) => {
        const find = () => programsOf(pid).find(({ args, ticks }) => args[3]?.endsWith('rows.js') && ticks > LOADED);
        await until(() => (measuring = find()) !== undefined, 30_000);
        process.kill(pid, signal);
      };
      expect(await interrupted(end)).to.equal(code);
      const { pid, args } = measuring ?? expect.fail('it has ended');
      await until(() => !existsSync(`/proc/${pid}`));
      expect(leavings()).to.deep.equal([]);
      expect(args.slice(1, 3)).to.deep.equal(['--expose-gc', INLINING]);
      expect(args[3]).to.match(new RegExp(`^${directory}/rxns-bench-.+/bench/rows\\.js$`));
    });
  }

  it('that Ctrl-C ends while it is compiled leaves nothing behind', async function () {
    this.timeout(60_000);
    const end = async (pid: number) => {
      await until(() => programsOf(pid).some(({ args, ticks }) => args.includes('--outDir') && ticks > 0), 30_000);
      process.kill(-pid, 'SIGINT');
    };
    expect(await interrupted(end)).to.equal(130);
    expect(leavings()).to.deep.equal([]);
  });
});

/** A process, its command line, and its processor time in hundredths of a second. */
interface Running {
  readonly pid: number;
  readonly args: readonly string[];
  readonly ticks: number;
}

/** The processes that one has started. */
function programsOf(parent: number | undefined): readonly Running[] {
  const read = (path: string) => readFileSync(`/proc/${path}`, 'latin1');
  try {
    const pids = read(`${parent}/task/${parent}/children`).trim().split(' ');
    return pids.map((pid) => {
      // proc(5): the name, in parentheses, is the second field; user time is the 14th.
      const [, fields = ''] = read(`${pid}/stat`).split(') ');
      return { pid: Number(pid), args: read(`${pid}/cmdline`).split('\0'), ticks: Number(fields.split(' ')[11]) };
    });
  } catch {
    // One of them has just ended.
    return [];
  }
}
