import { expect } from 'chai';
import { Frame, FramePool } from '../../../lib/core/frame.js';
import { EthernetFrame } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';

interface Viewed {
  readonly frame: Frame;
  readonly offset: number;
}

const kinds: Readonly<Record<string, (frame: Frame, offset: number) => Viewed>> = {
  EthernetFrame: (frame, offset) => EthernetFrame.of(frame, offset),
  Ipv4Packet: (frame, offset) => Ipv4Packet.of(frame, offset),
  Ipv6Packet: (frame, offset) => Ipv6Packet.of(frame, offset),
};

for (const [name, of] of Object.entries(kinds)) {
  describe(`the view of a frame: ${name}`, () => {
    const pool = new FramePool();

    it('is used again by the next packet in the slot', () => {
      const frame = pool.alloc(100);
      const view = of(frame, frame.start);
      frame.release();
      const next = pool.alloc(100);
      expect(next).to.equal(frame);
      const again = of(next, next.start + 14);
      expect(again).to.equal(view);
      expect(again.offset).to.equal(next.start + 14);
      next.release();
    });

    it('is one of its own for each header of a tunnel', () => {
      const frame = pool.alloc(200);
      const outer = of(frame, frame.start);
      const inner = of(frame, frame.start + 40);
      expect(inner).not.to.equal(outer);
      expect([outer.offset, inner.offset]).to.deep.equal([frame.start, frame.start + 40]);
      expect([outer.frame, inner.frame]).to.deep.equal([frame, frame]);
      frame.release();
      // The inner one never becomes the slot's.
      const next = pool.alloc(200);
      expect(of(next, next.start)).to.equal(outer);
      expect(inner.offset).to.equal(frame.start + 40);
      next.release();
    });

    it('stays as it is while the frame is retained', () => {
      const frame = pool.alloc(100);
      const view = of(frame, frame.start);
      const offset = frame.start;
      frame.retain();
      frame.release();
      const others = [pool.alloc(100), pool.alloc(100)];
      for (const other of others) expect(of(other, other.start)).not.to.equal(view);
      expect(view.offset).to.equal(offset);
      expect(view.frame).to.equal(frame);
      for (const other of [...others, frame]) other.release();
    });
  });
}

describe('the view of an IPv6 packet', () => {
  it('forgets what extension headers said of the packet before', () => {
    const frame = Frame.from(new Uint8Array(48));
    frame.slab.view.setUint8(frame.start + 6, 17);
    const view = Ipv6Packet.of(frame, frame.start);
    Object.assign(view, { protocol: 6, headerLength: 48, protocolField: 40, fragmentHeader: 40, fragmented: true });
    Object.assign(view, { routerAlert: 0 });
    frame.views = 0;
    expect(Ipv6Packet.of(frame, frame.start)).to.equal(view);
    expect(view).to.deep.equal(new Ipv6Packet(frame, frame.start));
    expect(view.protocol).to.equal(17);
  });
});
