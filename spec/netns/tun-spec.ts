import { expect } from 'chai';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { describeNetns } from './namespace.js';
import { pong } from './pong.js';

describeNetns('tun', (netns) => {
  it('carries bare IP packets, of either version, without padding', async () => {
    const env = environment({ pool: new FramePool({ poison: true }) });
    const tun = netns.namespace.openTun({ name: 'tun0', mtu: 1400, peer: ['10.77.0.1/24', 'fd00::1/64'] }, env);
    expect(tun.medium).to.equal('ip');
    expect(tun.mac.value).to.equal(0);
    const versions = new Set<number>();
    tun.frames$.subscribe((frame) => versions.add(frame.slab.view.getUint8(frame.start) >>> 4));
    tun.frames$.subscribe(pong(tun));
    const ping = await netns.namespace.run('ping', [
      '-q',
      '-c',
      '10',
      // So long ping waits for the last answer, too: it cannot measure empty packets.
      '-i',
      '0.1',
      '-W',
      '1',
      '-s',
      '0',
      '10.77.0.2',
    ]);
    expect(ping.stdout).to.match(/10 received, 0% packet loss/);
    await netns.namespace.run('ping', ['-6', '-c', '1', '-W', '0.1', 'fd00::2']);
    expect([4, 6].every((version) => versions.has(version))).to.equal(true);
    await tun.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops what is no IP packet or too big, and lives on', async () => {
    const env = environment({ pool: new FramePool({ poison: true }) });
    const tun = netns.namespace.openTun({ name: 'tun0', mtu: 1400 }, env);
    for (const length of [0, 20, 1401]) {
      const frame = env.pool.alloc(length);
      frame.put(length);
      frame.slab.bytes.fill(length === 20 ? 0x35 : 0x45, frame.start, frame.end);
      tun.sink.next(asTx(frame));
    }
    await tun.close();
    expect(env.drops.toJSON()).to.deep.equal({ 'ip-unknown-version': 2, 'device-too-big': 1 });
    expect(env.pool.outstanding).to.equal(0);
  });
});
