/** Hosts on a segment, and the ends of virtual networks that they carry. */

import { expect } from 'chai';
import type { Subscription } from 'rxjs';
import { link, type LinkEnd } from '../../drivers/link.js';
import { type VxlanDevice, vxlanDevice, type VxlanDeviceOptions } from '../../drivers/vxlan.js';
import type { IpVersion } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { Frame } from '../../lib/core/frame.js';
import { describe as describePacket } from '../../lib/text/describe.js';
import { host, type Host } from '../../operators/stack/host.js';
import type { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { txOf, virtualBench } from './virtual-rigs.js';

/** The addresses of the hosts, by their numbers. */
export const addressOf =
  (version: IpVersion) =>
  (n: number): string =>
    version === 4 ? `192.0.2.${n}` : `2001:db8::${n}`;

/** Four hosts, .1 to .4. */
export class VxlanSegment {
  readonly env: Env;
  readonly scheduler: SimulationScheduler;
  readonly wire: readonly LinkEnd[];
  readonly hosts: readonly Host[];
  readonly running: readonly Subscription[];
  /** Each frame that any of the hosts sent, as described. */
  readonly outer: ReturnType<typeof describePacket>[] = [];
  readonly outerFrames: Frame[] = [];
  private readonly version: IpVersion;

  constructor(version: IpVersion) {
    const { env, scheduler } = virtualBench();
    this.version = version;
    this.env = env;
    this.scheduler = scheduler;
    this.wire = link({ ends: 4 }, env).ends;
    const bits = version === 4 ? 24 : 64;
    this.hosts = this.wire.map((device, i) =>
      host({ device, addresses: [`${addressOf(version)(i + 1)}/${bits}`] }, env),
    );
    this.running = this.hosts.map((me, i) =>
      (this.wire[i] ?? expect.fail()).frames$.pipe(me).subscribe((frame) => {
        const copy = Frame.from(frame.bytes());
        copy.checksum = frame.checksum;
        this.outerFrames.push(copy);
        this.outer.push(describePacket(copy));
        this.wire[i]?.sink.next(frame);
      }),
    );
    scheduler.runFor(5000);
  }

  /** An end that host `at` carries. */
  make(at: number, options: Partial<VxlanDeviceOptions> = {}): VxlanDevice {
    const underlay = this.hosts[at - 1] ?? expect.fail();
    const local = addressOf(this.version)(at);
    return vxlanDevice({ vni: 42, underlay, local, mac: `02:00:00:00:00:0${at}`, ...options }, this.env);
  }

  send(device: Device, bytes: Uint8Array): void {
    device.sink.next(txOf(bytes, this.env));
    this.scheduler.runFor(100);
  }

  /** Holds that nothing is left. */
  close(): void {
    for (const one of this.running) one.unsubscribe();
    expect(this.env.pool.outstanding).to.equal(0);
    expect(this.scheduler.pending).to.equal(0);
  }
}
