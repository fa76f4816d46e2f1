import { expect } from 'chai';
import { filter, firstValueFrom, map } from 'rxjs';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { describeNetns } from './namespace.js';

describeNetns('tap', (netns) => {
  it('gives frames of the kernel and takes frames for it', async () => {
    const env = environment({ pool: new FramePool({ poison: true }) });
    const tap = netns.namespace.openTap({ name: 'tap0', mac: '02:00:00:00:00:02', peer: ['10.77.0.1/24'] }, env);
    expect(tap.name).to.equal('tap0');
    // Answers ARP requests, by hand.
    const asked = firstValueFrom(
      tap.frames$.pipe(
        filter((frame) => frame.slab.view.getUint16(frame.start + 12) === 0x0806),
        map((frame) => {
          const { bytes } = frame.slab;
          const s = frame.start;
          const sender = Uint8Array.from(bytes.subarray(s + 22, s + 32));
          const target = Uint8Array.from(bytes.subarray(s + 38, s + 42));
          bytes.set(sender.subarray(0, 6), s);
          bytes.set([2, 0, 0, 0, 0, 2], s + 6);
          bytes[s + 21] = 2;
          bytes.set([2, 0, 0, 0, 0, 2, ...target], s + 22);
          bytes.set(sender, s + 32);
          frame.end = s + 42;
          tap.sink.next(asTx(frame.retain()));
          return [...target].join('.');
        }),
      ),
    );
    void netns.namespace.run('ping', ['-c', '1', '-W', '1', '10.77.0.2']);
    expect(await asked).to.equal('10.77.0.2');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(netns.namespace.ip('neigh', 'show')).to.contain('10.77.0.2 dev tap0 lladdr 02:00:00:00:00:02');
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });
});
