import { expect } from 'chai';
import { from, lastValueFrom, toArray } from 'rxjs';
import { link } from '../../../drivers/link.js';
import { LinkType, linkTypeOf, mediumOf } from '../../../lib/capture/capture.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import { asRx, FramePool, type RxFrame } from '../../../lib/core/frame.js';
import { pingEndpoint } from '../../../lib/ergot/index.js';
import { ergot } from '../../../operators/ergot/ergot.js';
import { pcapFilter } from '../../../operators/filter/pcap-filter.js';
import { capture } from '../../../operators/observe/capture.js';
import { LinkCapture } from '../../../operators/testing/network-trace.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { Gathered } from '../../lib/capture/capture-bytes.js';
import { FlatProfile } from '../../lib/ergot/flat-profile.js';
import { hex, unhex } from '../../lib/ergot/bytes.js';

function recordsOf(bytes: Uint8Array) {
  const reader = new CaptureReader();
  reader.push(bytes);
  const records = [];
  for (let record = reader.next(); record !== undefined; record = reader.next()) records.push(record);
  return records;
}

describe('captures of ergot', () => {
  it('hold frames of links under a link type of their own, both ways', () => {
    const scheduler = new SimulationScheduler();
    const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
    const { ends } = link({ medium: 'ergot' }, env);
    const file = new Gathered();
    const client = ergot(new FlatProfile(1), { links: [ends[0]] }, env);
    ends[0].frames$
      .pipe(capture(file, { name: 'in' }, env), client, capture(file, { name: 'out' }, env))
      .subscribe(ends[0].sink);
    const server = ergot(new FlatProfile(2), {}, env);
    server.plug(ends[1]);
    server.serve(pingEndpoint).subscribe((request) => request.answer(request.value));
    client.request(pingEndpoint, 0x1_0200, 42).subscribe();
    scheduler.run();
    const records = recordsOf(file.bytes);
    expect(records.map(({ linkType, data }) => [linkType, hex(data)])).to.deep.equal([
      [147, '81820480840400010f595266702593fff0002a'],
      [147, '81840481820400020f2a'],
    ]);
    client.dispose();
    server.dispose();
    scheduler.run();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('are those of media: each has a link type, and each link type its medium', () => {
    for (const medium of ['ethernet', 'ip', 'ergot'] as const) expect(mediumOf(linkTypeOf(medium))).to.equal(medium);
    expect(linkTypeOf('ergot')).to.equal(LinkType.Ergot);
  });

  it('are made of simulated links, too', () => {
    const made = new LinkCapture('ergot');
    const frame = environment().pool.alloc(1);
    frame.put(1);
    made.at('a')('outbound', frame, 0);
    expect(recordsOf(made.toPcapng()).map(({ linkType }) => linkType)).to.deep.equal([147]);
  });

  it('leave expressions about IP and Ethernet out of it', async () => {
    const env = environment({ scheduler: new SimulationScheduler() });
    const { ends } = link({ medium: 'ergot' }, env);
    const frame = asRx(env.pool.alloc(4));
    frame.slab.bytes.set(unhex('85840483'), frame.put(4));
    frame.device = ends[0];
    for (const [filter, wanted] of [
      ['', true],
      ['not arp', false],
      ['len >= 0', false],
    ] as const) {
      const passed$ = from<RxFrame[]>([frame]).pipe(toArray());
      expect((await lastValueFrom(passed$)).map(pcapFilter(filter)), filter).to.deep.equal([wanted]);
    }
  });
});
