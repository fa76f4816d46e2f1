import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import type { Counters, ToWorker } from '../../drivers/parallel/messages.js';
import { WorkerThread } from '../../drivers/parallel/worker-thread.js';
import { collectGarbage } from '../lib/core/arena-room.js';

/** A worker that answers in the next microtask, with a number of its own each time, or not at all. */
class StandInWorker extends EventEmitter {
  isSilent = false;
  private answers = 0;

  postMessage(message: ToWorker): void {
    if (message.kind !== 'stats' || this.isSilent) return;
    const { request } = message;
    const stats = { host: { answers: ++this.answers } };
    queueMicrotask(() => this.emit('message', { kind: 'stats', request, stats }));
  }
}

describe('counters of a worker', () => {
  function make(): { worker: StandInWorker; thread: WorkerThread } {
    const worker = new StandInWorker();
    return { worker, thread: new WorkerThread(worker as unknown as Worker, 0) };
  }

  it('are each the answer to its own request', async () => {
    const { thread } = make();
    const answers = await Promise.all([thread.stats(), thread.stats()]);
    expect(answers).to.deep.equal([{ host: { answers: 1 } }, { host: { answers: 2 } }]);
  });

  it('are not kept once whoever asked has them, however long the worker lives', async () => {
    const { thread } = make();
    const answers: WeakRef<Counters>[] = [];
    for (let i = 0; i < 100; i++) answers.push(new WeakRef(await thread.stats()));
    // What was made in this turn stays for as long as it.
    await turn();
    await collectGarbage();
    expect(answers.filter((answer) => answer.deref() !== undefined).length).to.be.below(5);
    expect(await thread.stats()).to.deep.equal({ host: { answers: 101 } });
  });

  it('are none once it has ended, whether they were asked for before or after', async () => {
    const { worker, thread } = make();
    worker.isSilent = true;
    const before = [thread.stats(), thread.stats()];
    worker.emit('exit', 0);
    expect(await Promise.all([...before, thread.stats()])).to.deep.equal([{}, {}, {}]);
  });
});
