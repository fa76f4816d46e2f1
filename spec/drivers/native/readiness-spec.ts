import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Koffi from 'koffi';
import { bindPoll, type Poll, type PollHandle } from '../../../drivers/native/readiness.js';

const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
const until = async (isSo: () => boolean) => {
  while (!isSo()) await turn();
};

/** A process whose libuv is its own secret. */
const SECRETIVE = {
  func: () => {
    throw new Error('no such symbol');
  },
} as unknown as Koffi.LibraryHandle;

const WAYS: readonly (readonly [name: string, bind: () => Poll])[] = [
  ['by libuv', () => bindPoll(koffi, koffi.load(null))],
  ['where libuv cannot be called', () => bindPoll(koffi, SECRETIVE)],
];

for (const [name, bind] of WAYS) {
  describe(`bindPoll, ${name}`, () => {
    let directory = '';
    let fd = -1;
    let handle: PollHandle | undefined;
    let poll: Poll;

    before(function () {
      if (process.platform !== 'linux') this.skip();
      poll = bind();
    });

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'rxns-readiness-'));
      const path = join(directory, 'pipe');
      execFileSync('mkfifo', [path]);
      fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    });

    afterEach(() => {
      handle?.close();
      handle = undefined;
      closeSync(fd);
      rmSync(directory, { recursive: true });
    });

    const drain = () => readSync(fd, new Uint8Array(100));

    it('calls back as long as there is something to read, and not without', async () => {
      let calls = 0;
      handle = poll(fd, { readable: true }, () => {
        if (++calls === 3) drain();
      });
      await turn();
      expect(calls).to.equal(0);
      writeSync(fd, 'x');
      await until(() => calls === 3);
      await turn();
      await turn();
      expect(calls).to.equal(3);
    });

    it('watches for something else, for somebody else, once it is told so', async () => {
      let first = 0;
      let second = 0;
      handle = poll(fd, { readable: true }, () => void first++);
      handle.start({ readable: true, writable: true }, () => void second++);
      await until(() => second > 0);
      handle.start({ readable: true }, () => void second++);
      await turn();
      const before = second;
      await turn();
      await turn();
      expect(second).to.equal(before);
      writeSync(fd, 'x');
      await until(() => second > before);
      expect(first).to.equal(0);
    });

    it('does not call back once it is stopped', async () => {
      let calls = 0;
      handle = poll(fd, { readable: true }, () => void calls++);
      writeSync(fd, 'x');
      await until(() => calls > 0);
      handle.stop();
      const before = calls;
      await turn();
      await turn();
      expect(calls).to.equal(before);
    });

    it('can be closed by the one that it calls', async () => {
      let calls = 0;
      const mine = poll(fd, { readable: true }, () => {
        calls++;
        mine.close();
      });
      writeSync(fd, 'x');
      await until(() => calls > 0);
      await turn();
      await turn();
      expect(calls).to.equal(1);
    });

    it('lets what was promised happen after each call', async () => {
      const seen: string[] = [];
      handle = poll(fd, { readable: true }, () => {
        if (seen.length === 4) return;
        seen.push('call');
        void Promise.resolve().then(() => seen.push('promise'));
      });
      writeSync(fd, 'x');
      await until(() => seen.length === 4);
      expect(seen).to.deep.equal(['call', 'promise', 'call', 'promise']);
    });

    it('tells two watches apart', async () => {
      const path = join(directory, 'other');
      execFileSync('mkfifo', [path]);
      const other = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      const seen = new Set<string>();
      handle = poll(fd, { readable: true }, () => seen.add('first'));
      const second = poll(other, { readable: true }, () => seen.add('second'));
      writeSync(other, 'x');
      await until(() => seen.size > 0);
      await turn();
      expect([...seen]).to.deep.equal(['second']);
      second.close();
      closeSync(other);
    });
  });
}

describe('bindPoll, in a process of its own', () => {
  const MODULE = new URL('../../../drivers/native/readiness.ts', import.meta.url).href;
  const run = (within: string): number => {
    const program = `
      import { openSync } from 'node:fs';
      import { createRequire } from 'node:module';
      import { bindPoll } from '${MODULE}';
      const koffi = createRequire('${MODULE}')('koffi');
      const watch = bindPoll(koffi, koffi.load(null))(1, { writable: true }, () => { ${within} });
    `;
    const args = ['--import=tsx', '--input-type=module', '-e', program];
    try {
      execFileSync(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      return 0;
    } catch (error) {
      return (error as { status: number }).status;
    }
  };

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  it('may end the process', () => {
    expect(run('process.exit(7)')).to.equal(7);
  });

  it('keeps the process alive until it is closed or of no account', () => {
    expect(run('watch.close()')).to.equal(0);
    expect(run('watch.stop(); watch.unref(); process.exitCode = 5')).to.equal(5);
  });
});
