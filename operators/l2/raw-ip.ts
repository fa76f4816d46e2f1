import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { type Frame, FrameView, NOT_PARSED, type RxFrame } from '../../lib/core/frame.js';
import { EtherType, type LinkPacket } from '../../lib/wire/ethernet.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Reads the frames of a device without link headers, such as a TUN: the version says which IP it is.
 *
 *     in   --f--g--|
 *     out  --4-----|     g was neither IPv4 nor IPv6
 *
 * **Drops** `IpUnknownVersion`. **State and timers** none.
 *
 * @example
 * ```ts
 * const link$ = tun.frames$.pipe(rawIp(), demux((packet) => packet.etherType));
 * ```
 */
export function rawIp(env: Env = defaultEnvironment()): OperatorFunction<RxFrame, LinkPacket> {
  return layer(() => (frame) => {
    const version = frame.length > 0 ? frame.slab.view.getUint8(frame.start) >>> 4 : 0;
    if (version !== 4 && version !== 6) return env.drops.report(DropReason.IpUnknownVersion, frame, 'rawIp');
    frame.link = NOT_PARSED;
    frame.wholeEnd = frame.end;
    return BarePacket.of(frame, version === 4 ? EtherType.Ipv4 : EtherType.Ipv6);
  });
}

/** An IP packet without a link header; see `EthernetFrame.of` of how it is used again. */
class BarePacket implements LinkPacket {
  readonly frame: Frame;
  etherType: number;

  private constructor(frame: Frame, etherType: number) {
    this.frame = frame;
    this.etherType = etherType;
  }

  static of(frame: Frame, etherType: number): BarePacket {
    if ((frame.views & FrameView.Link) !== 0) return new BarePacket(frame, etherType);
    frame.views |= FrameView.Link;
    const kept = frame.linkView;
    if (kept instanceof BarePacket) {
      kept.etherType = etherType;
      return kept;
    }
    const made = new BarePacket(frame, etherType);
    frame.linkView = made;
    return made;
  }
}
