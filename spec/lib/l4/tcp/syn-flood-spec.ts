import { expect } from 'chai';
import { App, Pair, pattern, VERSIONS, viewOf } from './pair.js';
import { bytesInUse, segmentOf } from '../../../../bench/memory.js';
import { TcpFlag } from '../../../../lib/wire/tcp.js';

const SYNS = 100_000;
const BURST = 1000;

for (const version of VERSIONS) {
  describe(`a flood of ${SYNS} SYNs over IPv${version} (RFC 4987)`, () => {
    it('costs a bounded amount of memory, and a client connects and transfers meanwhile', () => {
      const width = version === 4 ? 4 : 16;
      const at = version === 4 ? 16 : 24;
      const client = Buffer.alloc(width);
      const forClient = (bytes: Uint8Array) => client.equals(bytes.subarray(at, at + width));
      // What goes to those who never asked is lost.
      const pair = new Pair({ version, carry: (bytes, from) => (from === 1 && !forClient(bytes) ? [] : [5]) });
      const { env, scheduler, hosts, ends } = pair;
      ends[0].write(new DataView(client.buffer, client.byteOffset), 0);
      const data = pattern(100_000);
      const [here, there] = [new App(data), new App(data)];
      let most = 0;
      const flood = (burst: number) => {
        for (let i = burst * BURST; i < (burst + 1) * BURST; i++) {
          const frame = segmentOf(env, ends[1], i, { flags: TcpFlag.Syn, sequence: i });
          const packet = viewOf(frame);
          if (packet !== undefined) hosts[1].receive(packet);
          frame.release();
        }
        most = Math.max(most, hosts[1].size);
      };
      const before = bytesInUse();
      for (let burst = 0; burst < SYNS / BURST; burst++) scheduler.schedule(() => flood(burst), 100 * burst);
      const server = { address: ends[1], port: 80 };
      const listener = hosts[1].listen(server);
      listener.acceptable = () => {
        const connection = listener.accept();
        if (connection !== undefined) there.attach(connection).start();
      };
      scheduler.runFor(5000);
      expect(hosts[1].size).to.equal(1024);
      here.connection = hosts[0].connect(server, here);
      scheduler.runFor(6000);
      const grown = bytesInUse() - before;
      expect([Buffer.compare(here.data, data), Buffer.compare(there.data, data)]).to.deep.equal([0, 0]);
      expect(most).to.be.within(1024, 1026);
      expect(hosts[1].counters.cookiesSent).to.be.greaterThan(SYNS / 2);
      expect(grown).to.be.lessThan(8_000_000);
      hosts[0].dispose();
      hosts[1].dispose();
      scheduler.runFor(10);
      pair.expectClean();
    }).timeout(60_000);
  });
}
