import { execFileSync } from 'node:child_process';
import { expect } from 'chai';

// A number that is no small integer takes 16: less than one for every second segment.
const MOST = 8;

/** Bytes of heap that each of the segments cost that were received, read by view and acknowledged, whether they were collected at once or not. */
function allocated(payload: number): number {
  const bench = new URL('../../../../bench/tcp-receive.ts', import.meta.url).href;
  const script = `
    import { Session } from 'node:inspector/promises';
    const { Receiving } = await import('${bench}');
    const sink = () => {};
    const receiving = new Receiving(${payload}, true, (c) => { while (c.consume(sink) > 0); });
    const COUNT = 100_000;
    for (let i = 0; i < COUNT; i++) receiving.next();
    const session = new Session();
    session.connect();
    const every = { includeObjectsCollectedByMinorGC: true, includeObjectsCollectedByMajorGC: true };
    await session.post('HeapProfiler.startSampling', { samplingInterval: 4096, ...every });
    for (let i = 0; i < COUNT; i++) receiving.next();
    const { profile } = await session.post('HeapProfiler.stopSampling');
    const sum = (node) => node.children.reduce((bytes, child) => bytes + sum(child), node.selfSize);
    console.log(sum(profile.head) / COUNT);`;
  const flags = ['--import=tsx', '--input-type=module', '-e', script];
  return Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
}

describe('receiving a segment of TCP in order', () => {
  for (const payload of [64, 1448]) {
    it(`makes no garbage, its acknowledgment included (${payload} bytes)`, () => {
      expect(allocated(payload)).to.be.below(MOST);
    }).timeout(60_000);
  }
});
