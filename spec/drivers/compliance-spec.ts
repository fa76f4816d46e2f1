import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { tap } from 'rxjs';
import { compliance, type Rig } from '../../drivers/compliance.js';
import { link, type LinkOptions } from '../../drivers/link.js';
import { openPcapFile } from '../../drivers/pcap-file.js';
import { tuntap2 } from '../../drivers/tuntap2.js';
import { readCapture } from '../../lib/capture/index.js';
import type { Device } from '../../lib/core/device.js';
import { asTx, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { StandInTunTap2 } from './stand-in-tuntap2.js';
import { bridgeRig, vlanRig, vxlanRig } from './virtual-rigs.js';

function linkRig(options: LinkOptions): Rig {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const wire = link(options, env);
  const [device, far] = wire.ends;
  const sent: Uint8Array[] = [];
  far.frames$.subscribe((frame) => void sent.push(Uint8Array.from(frame.bytes())));
  return {
    device,
    env,
    inject(bytes) {
      const frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      far.sink.next(asTx(frame));
    },
    injectFrame: (frame) => far.sink.next(frame),
    sent: () => sent,
    settle: () => Promise.resolve(scheduler.runFor(1000)),
    pendingTimers: () => scheduler.pending,
    dispose: () => wire.close(),
  };
}

function standInRig(mac?: string): Rig {
  const env = environment({ scheduler: new SimulationScheduler(), seed: 1, pool: new FramePool({ poison: true }) });
  const standIn = new StandInTunTap2(mac);
  return {
    device: tuntap2(standIn, {}, env),
    env,
    inject: (bytes) => void standIn.push(bytes),
    sent: () => standIn.wire,
    settle: async () => {
      for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    fail: () => void standIn.destroy(new Error('unplugged')),
  };
}

/** A file takes frames only: what it replays is there before the device is, and is tested with the driver. */
function pcapFileRig(name: string): Rig {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const folder = mkdtempSync(join(tmpdir(), 'rx-netstack-'));
  const write = join(folder, name);
  const device = openPcapFile({ write, mtu: 1500, env });
  return {
    device,
    env,
    sent: () => [...readCapture(readFileSync(write))].map((record) => record.data),
    settle: () => Promise.resolve(scheduler.runFor(1000)),
    pendingTimers: () => scheduler.pending,
    dispose: () => rmSync(folder, { recursive: true }),
  };
}

compliance('link', () => linkRig({}), { describe, it });
compliance('link without link layer', () => linkRig({ medium: 'ip', mtu: 576 }), { describe, it });
compliance('link of ergot', () => linkRig({ medium: 'ergot', mtu: 1024 }), { describe, it });
compliance('link with delay and rate', () => linkRig({ impair: { delay: 10, jitter: 5, rate: 1e7 } }), {
  describe,
  it,
});
compliance('link, deferred to microtasks', () => linkRig({ defer: queueMicrotask }), { describe, it });
compliance('tuntap2, TAP', () => standInRig('02:00:00:00:00:01'), { describe, it });
compliance('tuntap2, TUN', () => standInRig(), { describe, it });
compliance('pcap-file, pcapng', () => pcapFileRig('out.pcapng'), { describe, it });
compliance('pcap-file, pcap', () => pcapFileRig('out.pcap'), { describe, it });
compliance('vlan', () => vlanRig({ vid: 7 }), { describe, it });
compliance('vlan in a vlan', () => vlanRig({ vid: 100, protocol: 0x88a8 }, { vid: 7, priority: 3 }), { describe, it });
compliance('bridge', bridgeRig, { describe, it });
compliance('vxlan over IPv4', () => vxlanRig(4), { describe, it });
compliance('vxlan over IPv6', () => vxlanRig(6), { describe, it });

describe('the compliance suite', () => {
  it('fails for what a subscriber of a test finds wrong', async () => {
    const tests = new Map<string, () => Promise<void>>();
    /** Its frames have had a fate before they are delivered. */
    const spoiled = (): Rig => {
      const rig = linkRig({});
      const frames$ = rig.device.frames$.pipe(tap((frame) => (frame.fate = 1)));
      return { ...rig, device: Object.assign(Object.create(rig.device) as Device, { frames$ }) };
    };
    compliance('spoiled', spoiled, {
      describe: (_, body) => body(),
      it: (title, test) => void tests.set(title, test),
    });
    const failed = await tests
      .get('serves several subscribers, each as if it were alone')?.()
      .catch((error) => error);
    expect(failed).to.have.property('code', 'ERR_ASSERTION');
  });
});
