/** The host under test: a whole host on a point-to-point link, in virtual time, with the script at the other end. */

import { Subject } from 'rxjs';
import { ipOf, MacAddress, type IpVersion } from '../../../lib/core/address.js';
import { type Device, NO_FEATURES } from '../../../lib/core/device.js';
import type { Env } from '../../../lib/core/env.js';
import { asRx, FramePool, type RxFrame } from '../../../lib/core/frame.js';
import type { TcpOptions } from '../../../lib/l4/tcp/options.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import type { PacketSpec } from '../../../lib/text/packet-spec.js';
import { host, type Host } from '../../stack/host.js';
import { environment } from '../../time/environment.js';
import { SimulationScheduler } from '../../time/simulation-scheduler.js';
import { Recording } from '../recording.js';
import { type LivePacket, readLivePacket } from './live-packet.js';

/** Who the two sides are. */
export interface Ends {
  readonly version: IpVersion;
  readonly local: string;
  readonly remote: string;
  /** Bits of the prefix of our network. */
  readonly bits: number;
}

/** How the host is set up. */
export interface WorldOptions {
  readonly ends: Ends;
  readonly mtu: number;
  readonly tcp: TcpOptions;
  readonly hopLimit: number;
}

/** What the clock shows when a script begins, in ms: not 0, which is a time that bugs like. */
export const START = 1_000_000;

/** Of all runs: most have a few packets, and memory for many of them would cost more than the run. */
const POOL = new FramePool({ poison: true });

/** A running host. */
export class World {
  readonly scheduler: SimulationScheduler = new SimulationScheduler({ start: START, maxEvents: 1_000_000 });
  readonly env: Env;
  readonly host: Host;
  readonly ends: Ends;
  readonly recording: Recording;
  /** Segments that left and that nobody has asked for yet. */
  readonly sent: LivePacket[] = [];
  private readonly frames = new Subject<RxFrame>();
  private readonly notation: PacketNotation;
  private readonly device: Device;

  constructor({ ends, mtu, tcp, hopLimit }: WorldOptions) {
    const { version, local, remote, bits } = ends;
    this.ends = ends;
    this.env = environment({ scheduler: this.scheduler, seed: 1, pool: POOL });
    this.notation = new PacketNotation({ version, local, remote, linkType: 'ip' });
    this.recording = new Recording(this.notation.context);
    this.device = this.makeDevice(mtu);
    this.host = host(
      {
        device: this.device,
        addresses: [`${local}/${bits}`],
        routes: [{ destination: version === 4 ? '0.0.0.0/0' : '::/0', device: this.device }],
        hopLimit,
        tcp,
      },
      this.env,
    );
    const [from, to] = [ipOf(local), ipOf(remote)];
    this.frames.pipe(this.host).subscribe((frame) => {
      const time = this.scheduler.now();
      this.recording.add(frame, 'outbound', time);
      const packet = readLivePacket(frame.bytes().slice(), time, from, to);
      if (packet !== undefined) this.sent.push(packet);
      frame.release();
    });
  }

  /** Milliseconds since the script began. */
  get now(): number {
    return this.since(this.scheduler.now());
  }

  /** A time of the clock in milliseconds since the script began, to the nanosecond: what fractions lose at that size of numbers is no time. */
  since(time: number): number {
    return Math.round((time - START) * 1e6) / 1e6;
  }

  /** Lets everything happen that happens up to this many milliseconds after the script began. */
  runUntil(time: number): void {
    this.scheduler.runUntil(START + time);
  }

  /** When the next thing happens, in milliseconds after the script began. */
  get next(): number {
    return this.since(this.scheduler.next);
  }

  /** A packet comes in. */
  inject(packet: PacketSpec): void {
    const frame = this.notation.build(packet, '<', this.env.pool);
    frame.device = this.device;
    frame.time = this.scheduler.now();
    this.recording.add(frame, 'inbound', frame.time);
    this.frames.next(asRx(frame));
    frame.release();
  }

  /** Ends the host. */
  close(): void {
    this.frames.complete();
  }

  private makeDevice(mtu: number): Device {
    const close = (): Promise<void> => Promise.resolve();
    return {
      name: 'tun0',
      mac: MacAddress.ZERO,
      mtu,
      medium: 'ip',
      features: NO_FEATURES,
      frames$: this.frames,
      sink: { next: (frame) => frame.release(), error: () => undefined, complete: () => undefined },
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}
