/**
 * A router on the way between two hosts whose link beyond takes smaller packets: says so in ICMP, or not; may change its mind, and may lie.
 * It joins two links without link layer, and leaves hop limits alone.
 */

import { asTx, type Frame, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { fragmentIpv4 } from '../../../lib/l3/fragment.js';
import { IcmpErrors } from '../../../lib/l3/icmp-errors.js';
import type { IpPaths } from '../../../lib/l3/ip-output.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { responder } from '../../../operators/flow/responder.js';
import type { NetworkNode } from '../../../operators/testing/index.js';

const ROUTER = { 4: Ipv4Address.parse('192.0.2.254'), 6: Ipv6Address.parse('2001:db8::254') };
const PATHS: IpPaths = {
  path: ({ version }) => ({ source: ROUTER[version], mtu: 1500 }),
  isLocal: () => false,
  isBroadcast: () => false,
};

/** See the module. Settings may change at any time. */
export class Bottleneck {
  /** Largest packet, in bytes. */
  mtu: number;
  /** Says nothing of packets that it drops. */
  silent: boolean;
  /** Forwards everything, and claims of large packets that they are too big for this; of segments that were never sent. */
  lie = 0;
  /** Packets that were too big. */
  dropped = 0;
  private errors: IcmpErrors | undefined;

  constructor(mtu: number, silent: boolean) {
    this.mtu = mtu;
    this.silent = silent;
  }

  readonly node: NetworkNode = (devices, env) => {
    const [left, right] = Object.values(devices);
    this.errors = new IcmpErrors({ tables: PATHS }, env);
    return responder<RxFrame, TxFrame>((emit) => ({
      next: (frame) => {
        const back = frame.device;
        this.take(frame, env, (packet) => {
          packet.device = back === left ? right : left;
          emit(asTx(packet));
        });
        const error = this.complaint(frame, env);
        env.drops.deliver(frame);
        if (error === undefined) return;
        error.device = back;
        emit(asTx(error));
      },
    }));
  };

  /** Forwards the packet, in pieces where that is allowed. */
  private take(frame: Frame, env: Env, emit: (packet: Frame) => void): void {
    if (frame.length <= this.mtu) emit(env.pool.copy(frame));
    else if (isIpv4(frame) && !new Ipv4Packet(frame, frame.start).dontFragment) {
      fragmentIpv4(frame, this.mtu, env.pool, emit);
    } else {
      this.dropped++;
      if (this.silent) env.drops.report(DropReason.IpTooBig, frame, 'bottleneck');
    }
  }

  private complaint(frame: Frame, env: Env): Frame | undefined {
    const { lie, mtu, silent } = this;
    const limit = lie === 0 ? mtu : lie;
    if (frame.length <= limit || (silent && lie === 0)) return undefined;
    const quoted = env.pool.copy(frame);
    const packet = isIpv4(quoted) ? new Ipv4Packet(quoted, quoted.start) : new Ipv6Packet(quoted, quoted.start);
    const sequence = quoted.start + (packet.version === 4 ? 20 : 40) + 4;
    const { view } = quoted.slab;
    if (lie !== 0) view.setUint32(sequence, (view.getUint32(sequence) + 0x1000_0000) >>> 0);
    const mayComplain = packet.version === 6 || new Ipv4Packet(quoted, quoted.start).dontFragment;
    const error = mayComplain ? this.errors?.about(packet, 'packet-too-big', limit) : undefined;
    quoted.release();
    return error;
  }
}

function isIpv4({ slab, start }: Frame): boolean {
  return slab.view.getUint8(start) >>> 4 === 4;
}
