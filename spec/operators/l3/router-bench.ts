/**
 * A router between two devices of memory, `left` (10.1.0.1/24, fd01::1/64) and `right` (10.2.0.1/24, fd02::1/64), and packets in the notation: `a` (10.1.0.2, fd01::2)
 * is on the left, `b` (10.2.0.2, fd02::2) on the right, and their link addresses are known.
 */

import { expect } from 'chai';
import { merge, type Subscription } from 'rxjs';
import { type IpVersion, MacAddress, parseIp } from '../../../lib/core/address.js';
import { dropReasonName, type DropReason } from '../../../lib/core/drops.js';
import { DELIVERED, Frame, UNDER_WAY } from '../../../lib/core/frame.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import {
  router,
  type Router,
  type RouterInterface,
  type RouterOptions,
  type RouterRoute,
} from '../../../operators/stack/router.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';

/** What of a {@link RouterBench} differs. */
export interface BenchOptions extends Omit<RouterOptions, 'interfaces' | 'routes'> {
  readonly left?: Omit<RouterInterface, 'device' | 'addresses'>;
  readonly right?: Omit<RouterInterface, 'device' | 'addresses'>;
  /** MTUs. */
  readonly mtu?: { readonly left?: number; readonly right?: number };
  readonly routes?: readonly (Omit<RouterRoute, 'device'> & { readonly side?: 'left' | 'right' })[];
}

/** Addresses by version. */
export const ENDS: Readonly<
  Record<IpVersion, { readonly a: string; readonly b: string; readonly left: string; readonly right: string }>
> = {
  4: { a: '10.1.0.2', b: '10.2.0.2', left: '10.1.0.1', right: '10.2.0.1' },
  6: { a: 'fd01::2', b: 'fd02::2', left: 'fd01::1', right: 'fd02::1' },
};
const MACS = { a: '02:00:00:00:00:02', b: '02:00:00:00:00:12' };

/** See the module. */
export class RouterBench {
  readonly env: VirtualEnv = virtualEnv();
  readonly left: FakeDevice;
  readonly right: FakeDevice;
  readonly me: Router;
  private readonly notations: Readonly<Record<'left' | 'right', PacketNotation>>;
  private readonly running: Subscription;

  constructor(version: IpVersion, options: BenchOptions | ((env: VirtualEnv) => BenchOptions) = {}) {
    const { env } = this;
    const { left, right, mtu = {}, routes = [], ...rest } = typeof options === 'function' ? options(env) : options;
    this.left = fakeDevice(env, { name: 'left', mac: '02:00:00:00:00:01', mtu: mtu.left ?? 1500 });
    this.right = fakeDevice(env, { name: 'right', mac: '02:00:00:00:00:11', mtu: mtu.right ?? 1500 });
    const six = (address: string, device: FakeDevice) => (device.mtu < 1280 ? [] : [address]);
    this.me = router(
      {
        ...rest,
        multicast: { silent: true },
        interfaces: [
          { ...left, device: this.left, addresses: ['10.1.0.1/24', ...six('fd01::1/64', this.left)] },
          { ...right, device: this.right, addresses: ['10.2.0.1/24', ...six('fd02::1/64', this.right)] },
        ],
        routes: routes.map(({ side, ...route }) => (side === undefined ? route : { ...route, device: this[side] })),
      },
      env,
    );
    const notation = (local: string, remote: string, macs: { local: string; remote: string }) =>
      new PacketNotation({ local, remote, macs });
    const { a, b, left: us, right: our } = ENDS[version];
    this.notations = {
      left: notation(us, a, { local: this.left.mac.toString(), remote: MACS.a }),
      right: notation(our, b, { local: this.right.mac.toString(), remote: MACS.b }),
    };
    this.running = merge(this.left.frames$, this.right.frames$)
      .pipe(this.me)
      .subscribe((frame) => (frame.device === this.left ? this.left : this.right).sink.next(frame));
    for (const one of [4, 6] as const) {
      this.knows(this.left, ENDS[one].a, MACS.a);
      this.knows(this.right, ENDS[one].b, MACS.b);
    }
  }

  /** Makes the link address of a neighbour known. */
  knows(device: FakeDevice, address: string, mac: string): void {
    this.me.neighbours(device)?.setStatic(parseIp(address), MacAddress.parse(mac).value);
  }

  /** Has a packet come in; returns its fate, a drop reason's name or `taken`. */
  receive(side: 'left' | 'right', line: string, change: (frame: Frame) => void = () => {}): string {
    const frame = this.notations[side].build(line, '<');
    change(frame);
    return this.receiveBytes(side, Uint8Array.from(frame.bytes()));
  }

  /** The IP packet of a line, without a link header. */
  packetBytes(side: 'left' | 'right', line: string): Uint8Array {
    return Uint8Array.from(this.notations[side].build(line, '>').bytes().subarray(14));
  }

  receiveBytes(side: 'left' | 'right', bytes: Uint8Array): string {
    const fate = this[side].receive(bytes);
    return fate === DELIVERED || fate === UNDER_WAY ? 'taken' : dropReasonName(fate as DropReason);
  }

  /** Asserts that just these packets went out by a device since the last time; returns their frames. */
  expectSent(side: 'left' | 'right', ...lines: readonly string[]): readonly Frame[] {
    const frames = this[side].sent.splice(0).map((bytes) => Frame.from(bytes));
    const found = frames.map((frame, at) => {
      const line = lines[at];
      if (line === undefined) return this.notations[side].format(frame, '>');
      const { equal, expected, actual } = this.notations[side].compare(line, frame, '>');
      return equal ? line : `${actual} instead of ${expected}`;
    });
    expect(found).to.deep.equal(lines);
    return frames;
  }

  /** Ends it, and holds that nothing is left. */
  close(): void {
    this.running.unsubscribe();
    expect(this.env.scheduler.pending, 'timers').to.equal(0);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
  }
}
