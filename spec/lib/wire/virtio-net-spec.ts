import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState, GsoType } from '../../../lib/core/frame.js';
import { VIRTIO_NET_GSO_ECN, VirtioNetFlag, VirtioNetHeader } from '../../../lib/wire/virtio-net.js';
import { emptyFrame, frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';

// A TCPv4 super-segment with a partial checksum: 66 bytes of headers, 1448 a segment, sums from 34, field 16 bytes on.
const GSO = '01 01 4200 a805 2200 1000 0100';

describe('VirtioNetHeader', () => {
  it('reads little-endian fields', () => {
    const frame = frameOf(GSO);
    expect(new VirtioNetHeader(frame, frame.start)).to.include({
      flags: VirtioNetFlag.NeedsChecksum,
      gsoType: GsoType.TcpV4,
      headerLength: 66,
      gsoSize: 1448,
      checksumStart: 34,
      checksumOffset: 16,
      buffers: 1,
    });
  });

  it('becomes metadata of the frame, and is written from them', () => {
    const frame = frameOf(Uint8Array.from([...hexBytes(GSO), ...new Uint8Array(100)]));
    const { start } = frame;
    frame.slab.bytes[start + 12 + 34 + 12] = 0x80;
    expect(VirtioNetHeader.strip(frame)).to.equal(undefined);
    expect(frame).to.include({
      start: start + 12,
      checksum: ChecksumState.Partial,
      gsoType: GsoType.TcpV4,
      gsoSize: 1448,
    });
    expect(frame).to.include({ checksumStart: start + 12 + 34, checksumField: start + 12 + 50 });
    VirtioNetHeader.emitFor(frame);
    expect(hexOf(frame).slice(0, 24)).to.equal('01014200a805220010000000');
  });

  it('says that a super-segment has CWR, and how long its headers are, of UDP as well', () => {
    const frame = frameWith(new Uint8Array(200));
    frame.checksum = ChecksumState.Partial;
    frame.checksumStart = frame.start + 20;
    frame.checksumField = frame.start + 36;
    frame.gsoType = GsoType.TcpV6;
    frame.gsoSize = 100;
    frame.slab.bytes.set([0x50, 0x90], frame.start + 32);
    VirtioNetHeader.emitFor(frame);
    expect(hexOf(frame).slice(0, 24)).to.equal('018428006400140010000000');
    frame.start += 12;
    frame.gsoType = GsoType.UdpL4;
    frame.checksumField = frame.start + 26;
    VirtioNetHeader.emitFor(frame);
    expect(hexOf(frame).slice(0, 24)).to.equal('01051c006400140006000000');
  });

  it('does not believe in segments of no size', () => {
    const frame = frameOf('00 01 4200 0000 0000 0000 0100');
    expect(VirtioNetHeader.strip(frame)).to.equal(undefined);
    expect(frame).to.include({ gsoType: GsoType.None, gsoSize: 0 });
  });

  it('is all zero in front of a plain frame', () => {
    const frame = frameWith(hexBytes('4500'));
    VirtioNetHeader.emitFor(frame);
    expect(hexOf(frame)).to.equal(`${'00'.repeat(12)}4500`);
  });

  it('tells of a verified checksum, and forgets the ECN bit and unknown kinds of segmentation', () => {
    const frame = frameOf(`02 81 0000 a805 0000 0000 0100`);
    expect(VirtioNetHeader.strip(frame)).to.equal(undefined);
    expect(frame).to.include({ checksum: ChecksumState.Valid, gsoType: GsoType.TcpV4 });
    const odd = frameOf(`00 ${(VIRTIO_NET_GSO_ECN | 9).toString(16)} 0000 a805 0000 0000 0100`);
    expect(VirtioNetHeader.strip(odd)).to.equal(undefined);
    expect(odd).to.include({ checksum: ChecksumState.None, gsoType: GsoType.None, gsoSize: 0 });
  });

  it('is truncated at every byte boundary, and where the checksum would lie outside', () => {
    for (const frame of truncations(hexBytes(GSO))) {
      expect(VirtioNetHeader.strip(frame)).to.equal(DropReason.EthernetTruncated);
    }
    for (const [length, verdict] of [
      [51, DropReason.EthernetTruncated],
      [52, undefined],
    ] as const) {
      const frame = frameOf(Uint8Array.from([...hexBytes(GSO), ...new Uint8Array(length)]));
      expect(VirtioNetHeader.strip(frame)).to.equal(verdict);
    }
  });

  it('reads back what it emits, on any values', () => {
    const word = fc.nat(0xffff);
    const fields = fc.record({
      flags: fc.nat(255),
      gsoType: fc.nat(255),
      headerLength: word,
      gsoSize: word,
      checksumStart: word,
      checksumOffset: word,
      buffers: word,
    });
    fc.assert(
      fc.property(fields, (values) => {
        const frame = emptyFrame();
        VirtioNetHeader.emit(frame, values);
        const header = new VirtioNetHeader(frame, frame.start);
        expect(header).to.include(values);
        readAll(header);
        VirtioNetHeader.strip(frame);
      }),
    );
  });
});
