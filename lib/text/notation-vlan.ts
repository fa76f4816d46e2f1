/**
 * VLAN tags in the packet notation, outermost first: `vlan 5`, `vlan 5 p 7 dei`, `vlan 5 vlan 9`. The innermost one is a customer's tag (EtherType
 * 0x8100), those around it are a service's (0x88a8); `ctag` and `stag` name the other kind.
 */

import type { Frame } from '../core/frame.js';
import { EtherType } from '../wire/ethernet.js';
import { pushVlanTag, type VlanTag } from '../wire/vlan.js';
import type { TokenCursor } from './notation-lexer.js';
import type { VlanTagSpec } from './packet-spec.js';

/** Pushes the tags of a packet. @throws UsageError `ERR_INVALID_OPTION` for VID 4095, which is reserved, `ERR_NO_HEADROOM` */
export function pushTags(frame: Frame, tags: readonly VlanTagSpec[]): void {
  for (let i = tags.length - 1; i >= 0; i--) {
    const tag = tags[i];
    if (tag !== undefined) pushVlanTag(frame, tag, tag.protocol ?? usualProtocol(i, tags.length));
  }
}

/** What the tags of a frame say, without what goes without saying. */
export function readTags(tags: readonly VlanTag[]): VlanTagSpec[] {
  return tags.map(({ frame, offset, vid, priority, dropEligible }, i) => {
    // A tag's protocol identifier is what stands in front of it, also behind a SNAP header.
    const protocol = frame.slab.view.getUint16(offset - 2);
    return {
      vid,
      ...(priority === 0 ? {} : { priority }),
      ...(dropEligible ? { dropEligible } : {}),
      ...(protocol === usualProtocol(i, tags.length) ? {} : { protocol }),
    };
  });
}

/** The words of all tags. */
export function formatTags(tags: readonly VlanTagSpec[]): string[] {
  return tags.map(({ vid, priority = 0, dropEligible, protocol }, i) => {
    const words = [`vlan ${vid}`];
    if (priority !== 0) words.push(`p ${priority}`);
    if (dropEligible === true) words.push('dei');
    const usual = usualProtocol(i, tags.length);
    if ((protocol ?? usual) !== usual) words.push(protocol === EtherType.QinQ ? 'stag' : 'ctag');
    return words.join(' ');
  });
}

/** Parses what follows `vlan`. @throws NotationError */
export function parseTag(cursor: TokenCursor): VlanTagSpec {
  const tag: { -readonly [K in keyof VlanTagSpec]: VlanTagSpec[K] } = { vid: cursor.number('a VLAN identifier', 4095) };
  if (cursor.accept('p')) tag.priority = cursor.number('a priority', 7);
  if (cursor.accept('dei')) tag.dropEligible = true;
  if (cursor.accept('ctag')) tag.protocol = EtherType.Vlan;
  else if (cursor.accept('stag')) tag.protocol = EtherType.QinQ;
  return tag;
}

function usualProtocol(index: number, count: number): number {
  return index === count - 1 ? EtherType.Vlan : EtherType.QinQ;
}
