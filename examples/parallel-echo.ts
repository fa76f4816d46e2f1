/**
 * A TCP echo host on two threads that share a TAP interface; needs root, or CAP_NET_ADMIN in a network namespace of its own:
 * sudo unshare --net node --import=tsx examples/parallel-echo.ts, and then, in there: nc 10.77.0.2 7
 */
import { parallel } from '../drivers/parallel.js';

const [name = 'tap0'] = process.argv.slice(2);
const workers = await parallel({
  queues: 2,
  device: { kind: 'tap', name, peer: ['10.77.0.1/24'] },
  worker: new URL('./echo-worker.ts', import.meta.url),
});
console.log(`echoing on 10.77.0.2 port 7, by ${workers.queues} workers on ${workers.name}`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    const { tcp } = await workers.stats();
    console.log('accepted:', typeof tcp === 'object' ? tcp['accepted'] : 0);
    await workers.close();
  });
}
