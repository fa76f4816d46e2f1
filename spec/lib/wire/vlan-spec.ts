import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { popVlanTag, pushVlanTag, VlanTag } from '../../../lib/wire/vlan.js';
import { frameOf, hexBytes, hexOf, readAll, truncations } from './frames.js';

const PLAIN = '0200000000aa 0200000000bb 0800 4500';
const TAGGED = '0200000000aa 0200000000bb 8100 b00a 0800 4500';
const compact = (hex: string): string => hex.replaceAll(' ', '');

describe('VlanTag', () => {
  it('reads priority, drop eligibility, identifier and type', () => {
    const frame = frameOf(TAGGED);
    const tag = new VlanTag(frame, frame.start + 14);
    expect([tag.priority, tag.dropEligible, tag.vid, tag.etherType]).to.deep.equal([5, true, 10, EtherType.Ipv4]);
    expect(tag.payload).to.equal(frame.start + 18);
  });

  it('tags in place', () => {
    const frame = frameOf(PLAIN);
    pushVlanTag(frame, { vid: 10, priority: 5, dropEligible: true });
    expect(hexOf(frame)).to.equal(compact(TAGGED));
    expect(frame.link).to.equal(frame.start);
  });

  it('pops what it pushed, two tags deep, outer first', () => {
    const frame = frameOf(PLAIN);
    pushVlanTag(frame, { vid: 7 });
    pushVlanTag(frame, { vid: 100 }, EtherType.QinQ);
    expect(new EthernetFrame(frame, frame.start).etherType).to.equal(EtherType.QinQ);
    expect(new VlanTag(frame, frame.start + 14).vid).to.equal(100);
    expect(new VlanTag(frame, frame.start + 14).etherType).to.equal(EtherType.Vlan);
    expect(popVlanTag(frame)).to.equal(true);
    expect(new VlanTag(frame, frame.start + 14).vid).to.equal(7);
    expect(popVlanTag(frame)).to.equal(true);
    expect(hexOf(frame)).to.equal(compact(PLAIN));
    expect(frame.link).to.equal(frame.start);
    expect(popVlanTag(frame)).to.equal(false);
    expect(hexOf(frame)).to.equal(compact(PLAIN));
  });

  it('refuses the reserved identifier, coming in and going out', () => {
    const frame = frameOf('0200000000aa 0200000000bb 8100 0fff 0800');
    expect(VlanTag.check(frame, frame.start + 14)).to.equal(DropReason.VlanUnknown);
    for (const tag of [{ vid: 4095 }, { vid: -1 }, { vid: 1, priority: 8 }]) {
      expect(() => pushVlanTag(frameOf(PLAIN), tag))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
  });

  it('is truncated at every byte boundary', () => {
    for (const frame of truncations(hexBytes(TAGGED).subarray(14, 18))) {
      expect(VlanTag.check(frame, frame.start)).to.equal(DropReason.VlanTruncated);
    }
    for (const frame of truncations(hexBytes(TAGGED).subarray(0, 18))) expect(popVlanTag(frame)).to.equal(false);
  });

  it('reads back any tag, on any bytes', () => {
    fc.assert(
      fc.property(
        fc.nat(4094),
        fc.nat(7),
        fc.boolean(),
        fc.uint8Array({ minLength: 14, maxLength: 80 }),
        (vid, priority, dropEligible, bytes) => {
          const frame = frameOf(bytes);
          pushVlanTag(frame, { vid, priority, dropEligible });
          const tag = new VlanTag(frame, frame.start + 14);
          expect([tag.vid, tag.priority, tag.dropEligible]).to.deep.equal([vid, priority, dropEligible]);
          readAll(tag);
          popVlanTag(frame);
          expect(frame.bytes()).to.deep.equal(bytes);
        },
      ),
    );
  });
});
