import type { OperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { EtherType, type LinkPacket } from '../../lib/wire/ethernet.js';
import { isVlanType, pushVlanTag, type VlanFields, VlanTag } from '../../lib/wire/vlan.js';
import { layer } from '../flow/layer.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Takes 802.1Q tags off and lets through the frames of one VLAN, or of one inside another (QinQ).
 *
 *     in   --a--b--c--|     a: tagged 7, b: tagged 8, c: not tagged
 *     out  --A--------|     vlan([7])
 *
 * The frame's range becomes what follows the tags, and `etherType` its type. Give the outer identifier first: `vlan([100, 7])`.
 * What is addressed to whom was decided by `ethernet`, in front of this.
 *
 * **Drops** `VlanTruncated`, `VlanUnknown`. **State and timers** none.
 *
 * @example
 * ```ts
 * const vlan7$ = link$.pipe(vlan([7]), demux((packet) => packet.etherType));
 * ```
 */
export function vlan(
  ids: readonly number[],
  env: Env = defaultEnvironment(),
): OperatorFunction<LinkPacket, LinkPacket> {
  const { drops } = env;
  return layer(() => (packet) => {
    const { frame } = packet;
    let inner = packet;
    for (const id of ids) {
      if (!isVlanType(inner.etherType)) return drops.report(DropReason.VlanUnknown, frame, 'vlan');
      const wrong = VlanTag.check(frame, frame.start);
      if (wrong !== undefined) return drops.report(wrong, frame, 'vlan');
      const tag = new VlanTag(frame, frame.start);
      if (tag.vid !== id) return drops.report(DropReason.VlanUnknown, frame, 'vlan');
      frame.start = tag.payload;
      inner = tag;
    }
    return inner;
  });
}

/**
 * Tags outgoing Ethernet frames: the inner tag last, as `vlan` reads them. With two tags the outer one is a service tag (802.1ad).
 *
 *     in   --a--|
 *     out  --A--|
 *
 * **Drops** nothing. **State and timers** none.
 */
export function tagVlan(tags: readonly VlanFields[]): OperatorFunction<TxFrame, TxFrame> {
  const innermost = tags.length - 1;
  return layer(() => (frame) => {
    for (let i = innermost; i >= 0; i--) {
      const tag = tags[i];
      if (tag !== undefined) pushVlanTag(frame, tag, i === innermost ? EtherType.Vlan : EtherType.QinQ);
    }
    return frame;
  });
}
