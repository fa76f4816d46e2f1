import { expect } from 'chai';
import * as fc from 'fast-check';
import { MacAddress } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { EthernetFrame, EtherType, readMac, writeMac } from '../../../lib/wire/ethernet.js';
import { emptyFrame, frameOf, hexBytes, hexOf, readAll, truncations } from './frames.js';

const IPV4 = '0200000000aa 0200000000bb 0800 4500';
const SNAP = '0200000000aa 0200000000bb 000a aaaa03000000 0806 0102 0000';
const STP = '0180c2000000 0200000000bb 0003 424203 00000000';

describe('EthernetFrame', () => {
  it('reads addresses and type', () => {
    const view = new EthernetFrame(frameOf(IPV4), frameOf(IPV4).start);
    expect(new MacAddress(view.destination).toString()).to.equal('02:00:00:00:00:aa');
    expect(new MacAddress(view.source).toString()).to.equal('02:00:00:00:00:bb');
    expect([view.etherType, view.headerLength, view.isSnap]).to.deep.equal([EtherType.Ipv4, 14, false]);
  });

  it('reads the type behind a SNAP header, and leaves padding behind the stated length', () => {
    const frame = frameOf(SNAP);
    const view = new EthernetFrame(frame, frame.start);
    expect(EthernetFrame.check(frame, frame.start)).to.equal(undefined);
    expect([view.etherType, view.headerLength]).to.deep.equal([EtherType.Arp, 22]);
    expect(view.payloadEnd).to.equal(frame.end - 2);
  });

  it('gives an 802.3 frame of another protocol no type', () => {
    const frame = frameOf(STP);
    const view = new EthernetFrame(frame, frame.start);
    expect([view.etherType, view.typeOrLength, view.payloadEnd]).to.deep.equal([0, 3, frame.start + 17]);
  });

  it('is truncated below 14 bytes, and below the length that an 802.3 header states', () => {
    for (const frame of truncations(hexBytes(IPV4).subarray(0, 14))) {
      expect(EthernetFrame.check(frame, frame.start)).to.equal(DropReason.EthernetTruncated);
    }
    for (const frame of truncations(hexBytes(STP).subarray(0, 17))) {
      expect(EthernetFrame.check(frame, frame.start)).to.equal(DropReason.EthernetTruncated);
    }
  });

  it('accepts no multicast and no zero source', () => {
    for (const source of ['0300000000bb', 'ffffffffffff', '000000000000']) {
      const frame = frameOf(`0200000000aa ${source} 0800`);
      expect(EthernetFrame.check(frame, frame.start)).to.equal(DropReason.EthernetBadSource);
    }
  });

  it('reads back what it emits', () => {
    const mac = fc.maxSafeNat().map((n) => n % 0x1_0000_0000_0000);
    fc.assert(
      fc.property(mac, mac, fc.integer({ min: 0x600, max: 0xffff }), (destination, source, type) => {
        const frame = emptyFrame();
        EthernetFrame.emit(frame, destination, source, type);
        const view = new EthernetFrame(frame, frame.start);
        expect([view.destination, view.source, view.etherType]).to.deep.equal([destination, source, type]);
        expect([frame.length, frame.link]).to.deep.equal([14, frame.start]);
      }),
    );
  });

  it('writes MAC addresses byte for byte', () => {
    const frame = emptyFrame();
    EthernetFrame.emit(frame, 0xffff_ffff_ffff, 0x0200_0000_0001, EtherType.Arp);
    expect(hexOf(frame)).to.equal('ffffffffffff0200000000010806');
    writeMac(frame.slab.view, frame.start, 0x8000_0000_0000);
    expect(readMac(frame.slab.view, frame.start)).to.equal(0x8000_0000_0000);
  });

  it('never throws, on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const frame = frameOf(bytes);
        if (EthernetFrame.check(frame, frame.start) === undefined) readAll(new EthernetFrame(frame, frame.start));
      }),
    );
  });
});
