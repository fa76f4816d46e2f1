/** Network functions as stages: each says what becomes of each packet. */

import { expect } from 'chai';
import { Subject } from 'rxjs';
import { FramePool } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { walkExtensions } from '../../../lib/wire/ipv6-extensions.js';
import { conntrack } from '../../../operators/filter/conntrack.js';
import { firewall } from '../../../operators/filter/firewall.js';
import { rateLimit } from '../../../operators/filter/rate-limit.js';
import { pipeline } from '../../../operators/flow/pipeline.js';
import type { PacketTrace } from '../../../operators/flow/pipeline-trace.js';
import { nat } from '../../../operators/l3/nat.js';
import { defragment } from '../../../operators/l3/defragment.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';

type Packet = Ipv4Packet | Ipv6Packet;

for (const [version, inside, outside, translated] of [
  [4, '10.0.0.2', '192.0.2.1', '198.51.100.1'],
  [6, 'fd00::2', '2001:db8:1::1', '2001:db8:2::1'],
] as const) {
  describe(`network functions of IPv${version} in a pipeline`, () => {
    it('give each packet one verdict, and are traced', () => {
      const env = environment({ scheduler: new SimulationScheduler(), seed: 1, pool: new FramePool({ poison: true }) });
      const tracking = conntrack({}, env);
      const translator = nat(
        [{ kind: 'source', from: `${inside}/${version === 4 ? 24 : 64}`, to: translated }],
        {},
        env,
      );
      const functions = pipeline<Packet>(
        [
          ['defragment', defragment({}, env)],
          ['conntrack', tracking],
          ['firewall', firewall('tcp dport 80 accept\nudp dport 53 accept\ndrop', {}, env)],
          ['limit', rateLimit({ rate: 100, per: 'second', burst: 3 }, env)],
          ['nat', translator.postrouting],
          ['confirm', tracking.confirm],
        ],
        env,
      );
      const traces: PacketTrace[] = [];
      functions.trace$(`net ${version === 4 ? '10.0.0.0/8' : 'fd00::/8'}`).subscribe((trace) => traces.push(trace));
      const in$ = new Subject<Packet>();
      let out = 0;
      const subscription = in$.pipe(functions).subscribe(() => out++);
      const notation = new PacketNotation({ linkType: 'ip' });
      const lines = [
        '1024 > 80 S 0:0(0) win 9',
        '1024 > 81 S 0:0(0) win 9',
        'udp 1024 > 53 (24) frag 0:16+ ipid 7',
        'udp 1024 > 53 (24) frag 16:32 ipid 7',
        '1025 > 80 S 0:0(0) win 9',
        '1026 > 80 S 0:0(0) win 9',
      ];
      for (const line of lines) {
        const frame = notation.build(`< ${line} from ${inside} to ${outside}`, '<', env.pool);
        frame.network = frame.start;
        frame.wholeEnd = frame.end;
        const packet = version === 4 ? new Ipv4Packet(frame, frame.start) : new Ipv6Packet(frame, frame.start);
        if (packet.version === 6) walkExtensions(packet);
        in$.next(packet);
        frame.release();
      }
      const { firewall: wall, limit, defragment: whole, nat: translation, confirm } = functions.counters();
      expect(Object.values(functions.counters()).map(({ none }) => none)).to.deep.equal([0, 0, 0, 0, 0, 0]);
      expect(whole).to.deep.include({ in: 6, passed: 4, taken: 2, out: 5 });
      expect(wall).to.deep.include({ in: 5, passed: 4, dropped: 1 });
      expect(limit).to.deep.include({ in: 4, passed: 3, dropped: 1 });
      expect(translation).to.deep.include({ in: 3, passed: 3 });
      expect(confirm).to.deep.include({ in: 3, out: 3 });
      expect(out).to.equal(3);
      expect(env.drops.toJSON()).to.deep.equal({ filtered: 1, 'rate-limited': 1 });
      const [syn, refused] = traces;
      expect(syn?.steps.find(({ stage }) => stage === 'conntrack')?.notes).to.include('flow state untracked -> new');
      expect(syn?.steps.find(({ stage }) => stage === 'nat')?.text).to.include(`from ${translated} to ${outside}`);
      expect(refused).to.deep.include({ verdict: 'dropped', reason: 'filtered' });
      expect(traces.map(({ verdict }) => verdict)).to.deep.equal([
        'passed',
        'dropped',
        'taken',
        'passed',
        'taken',
        'passed',
        'dropped',
      ]);
      subscription.unsubscribe();
      tracking.dispose();
      expect(env.pool.outstanding).to.equal(0);
    });
  });
}
