import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { CrowdedHost } from '../../../../bench/memory.js';
import { VERSIONS } from './pair.js';

const COUNT = 5_000;

/** Bytes a connection, in a process of its own: what other tests left behind, and had compiled, distorts it. */
function measured(version: number, used: boolean): number {
  const bench = new URL('../../../../bench/memory.ts', import.meta.url).href;
  const script = `const { bytesPerConnection } = await import('${bench}');
    console.log(bytesPerConnection(${version}, ${4 * COUNT}, ${used}));`;
  const flags = ['--import=tsx', '--expose-gc', '--input-type=module', '-e', script];
  return Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
}

for (const version of VERSIONS) {
  describe(`many idle TCP connections over IPv${version}`, () => {
    it('take less than 2 KiB each, used or not, table, timers and a fine clock included', () => {
      expect(measured(version, false), 'never used').to.be.within(500, 2047);
      expect(measured(version, true), 'used').to.be.within(500, 2047);
    }).timeout(60_000);

    it('arm no timer each, and where they keep alive, one of the clock for all (MUST-26)', () => {
      const quiet = new CrowdedHost(version);
      quiet.establish(0, COUNT);
      expect([quiet.host.size, quiet.scheduler.pending]).to.deep.equal([COUNT, 0]);
      const watched = new CrowdedHost(version, true);
      watched.establish(0, COUNT);
      expect([watched.host.size, watched.scheduler.pending]).to.deep.equal([COUNT, 1]);
      watched.host.dispose();
      expect([watched.host.size, watched.scheduler.pending]).to.deep.equal([0, 0]);
    }).timeout(60_000);

    it('find their segments, each its own, also after half of them have gone', () => {
      const crowd = new CrowdedHost(version);
      crowd.establish(0, COUNT, true);
      crowd.accepted.forEach((connection, i) => {
        if (i % 2 === 0) connection.abort();
      });
      expect(crowd.host.size).to.equal(COUNT / 2);
      const { segmentsIn } = crowd.host.counters;
      crowd.establish(COUNT, COUNT + 100, true);
      expect(crowd.host.counters.segmentsIn - segmentsIn).to.equal(400);
      expect(crowd.host.counters.resetsSent).to.equal(COUNT / 2);
      const rest = [...crowd.host.connections()].map(({ remote }) => `${remote.address.toString()}:${remote.port}`);
      expect(new Set(rest).size).to.equal(COUNT / 2 + 100);
    }).timeout(60_000);
  });
}
