import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { stub } from 'sinon';
import { parallel, type ParallelOptions, type WorkerError } from '../../drivers/parallel.js';
import type { DevicelessData } from './deviceless-worker.js';

/** Why workers without a device did not start, how many of them began to, and how to open their gate. */
async function failing(data: Omit<DevicelessData, 'shared'>, options: Partial<ParallelOptions> = {}) {
  const shared = new SharedArrayBuffer(8);
  const numbers = new Int32Array(shared);
  const error = await parallel({
    queues: 2,
    device: { kind: 'tap' },
    worker: new URL('./deviceless-worker.ts', import.meta.url),
    data: { ...data, shared },
    ...options,
  }).then(
    () => expect.fail('it started'),
    (reason: unknown) => reason as WorkerError,
  );
  const open = (): void => {
    Atomics.store(numbers, 0, 1);
    Atomics.notify(numbers, 0);
  };
  return { error, started: numbers[1], open };
}

const ENDED = { name: 'WorkerError', code: 'ERR_WORKER_FAILED', worker: 1 } as const;

describe('parallel(), where a worker ends while another one starts', () => {
  it('says which one ended', async () => {
    const { error, started } = await failing({ ends: 1, others: 'start' });
    expect(error).to.include(ENDED);
    expect(started).to.be.at.most(1);
  });

  it('says so, too, where the other one does not end as it is told', async () => {
    const { setTimeout: after } = globalThis;
    // Nobody wants to wait for as long as it has patience.
    const timeouts = stub(globalThis, 'setTimeout').callsFake((run, ms) => after(run, ms === 5000 ? 10 : ms));
    const { error, open } = await failing({ ends: 1, others: 'block' }).finally(() => timeouts.restore());
    open();
    expect(error).to.include(ENDED);
  });

  it('does not have the other one start any more', async () => {
    const { error, started } = await failing({ ends: 1, others: 'load' });
    expect(error).to.include(ENDED);
    expect(started).to.equal(0);
  });
});

describe('parallel(), flags of Node', () => {
  const run = promisify(execFile);

  it('has workers in a process with flags that no worker takes', async () => {
    const program = fileURLToPath(new URL('./parallel-program.ts', import.meta.url));
    const flags = ['--max-old-space-size=512', '--expose-gc', '--stack-size=900', '--title=flags', '--import=tsx'];
    const { stdout } = await run(process.execPath, [...flags, program]);
    expect(stdout).to.equal('ERR_INVALID_STATE\n');
  });

  it('gives workers those that they are to have, or says that they take none of them', async () => {
    const refused = await failing({}, { execArgv: ['--expose-gc'] });
    expect(refused.error).to.include({ code: 'ERR_WORKER_INVALID_EXEC_ARGV' });
    const taken = await failing({}, { execArgv: ['--no-warnings'] });
    expect(taken.error).to.include({ code: 'ERR_INVALID_STATE', worker: 0 });
  });
});
