import type { OperatorFunction } from 'rxjs';
import { MacAddress, isGroupMac } from '../../lib/core/address.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { Cast, type RxFrame } from '../../lib/core/frame.js';
import { ETHERNET_FIRST_TYPE, ETHERNET_HEADER, EthernetFrame } from '../../lib/wire/ethernet.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/** The MAC addresses of multicast groups that are let through; read for each frame, so it may change at run time. */
export interface GroupFilter {
  has(mac: number): boolean;
}

/** Options of {@link ethernet}. */
export interface EthernetOptions {
  /** Our MAC address. */
  readonly mac: MacAddress | string;
  /** Let everything through. Default false. */
  readonly promiscuous?: boolean;
  /** Multicast groups, by MAC address, or `all`. Default none. */
  readonly multicast?: GroupFilter | 'all';
}

const BROADCAST = MacAddress.BROADCAST.value;
const NO_GROUPS: GroupFilter = new Set();
const ALL_GROUPS: GroupFilter = { has: () => true };

/**
 * Reads Ethernet frames and lets through those for this interface: to its MAC address, to all, to joined groups.
 *
 *     in   --f--g--h--|
 *     out  --F-----H--|     g was for another MAC address
 *
 * The frame's range becomes the payload; of 802.3 frames the padding is cut, and a SNAP header is taken off (RFC 1042).
 * `frame.link`, `frame.wholeEnd` and `frame.linkCast` are set.
 *
 * **Drops** `EthernetTruncated`, `EthernetBadSource`, `EthernetNotForUs`. **State and timers** none.
 *
 * @example
 * ```ts
 * const link$ = demux(tap.frames$.pipe(ethernet({ mac: tap.mac })), (frame) => frame.etherType);
 * ```
 */
export function ethernet(
  options: EthernetOptions,
  env: Env = defaultEnvironment(),
): OperatorFunction<RxFrame, EthernetFrame> {
  const { drops } = env;
  const mac = MacAddress.of(options.mac).value;
  const promiscuous = options.promiscuous ?? false;
  const groups = options.multicast === 'all' ? ALL_GROUPS : (options.multicast ?? NO_GROUPS);
  return layer(() => (frame) => {
    const wrong = EthernetFrame.check(frame, frame.start);
    if (wrong !== undefined) return drops.report(wrong, frame, 'ethernet');
    const ethernetFrame = EthernetFrame.of(frame, frame.start);
    const { destination } = ethernetFrame;
    if (destination === mac) {
      frame.linkCast = Cast.Unicast;
    } else if (isGroupMac(destination)) {
      frame.linkCast = destination === BROADCAST ? Cast.Broadcast : Cast.Multicast;
      if (destination !== BROADCAST && !promiscuous && !groups.has(destination)) {
        return drops.report(DropReason.EthernetNotForUs, frame, 'ethernet');
      }
    } else if (!promiscuous) {
      return drops.report(DropReason.EthernetNotForUs, frame, 'ethernet');
    }
    narrow(ethernetFrame);
    return ethernetFrame;
  });
}

function narrow(ethernetFrame: EthernetFrame): void {
  const { frame, offset, typeOrLength } = ethernetFrame;
  frame.link = offset;
  frame.wholeEnd = frame.end;
  if (typeOrLength >= ETHERNET_FIRST_TYPE) frame.start = offset + ETHERNET_HEADER;
  else {
    frame.start = offset + ethernetFrame.headerLength;
    frame.end = offset + ETHERNET_HEADER + typeOrLength;
  }
}
