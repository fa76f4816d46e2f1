import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason } from '../../../lib/core/drops.js';
import { Icmpv4Message, Icmpv4Quote, Icmpv4Type, Icmpv4Unreachable, isIcmpv4Error } from '../../../lib/wire/icmpv4.js';
import { emptyFrame, frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';

const ECHO = '0800f1f3000700010001020304';
const UNREACHABLE = '030354f0000000004500002100000000401166ca0a0000020a00000104000035000da3ca';
const TIMESTAMP = '0e00663400070009000003e8000007d080000003';

function messageOf(bytes: string | Uint8Array): Icmpv4Message {
  const frame = frameOf(bytes);
  return new Icmpv4Message(frame, frame.start);
}

describe('Icmpv4Message', () => {
  it('reads and writes an echo with an odd number of bytes', () => {
    const message = messageOf(ECHO);
    expect(Icmpv4Message.check(message.frame, message.offset)).to.equal(undefined);
    expect(message).to.include({ type: Icmpv4Type.EchoRequest, code: 0, identifier: 7, sequence: 1 });
    expect(message.payload).to.equal(message.offset + 8);
    const frame = frameWith(hexBytes('0001020304'));
    Icmpv4Message.emit(frame, Icmpv4Type.EchoRequest, 0, 0x0007_0001);
    expect(hexOf(frame)).to.equal(ECHO);
  });

  it('reads and writes timestamps', () => {
    const message = messageOf(TIMESTAMP);
    expect(Icmpv4Message.check(message.frame, message.offset)).to.equal(undefined);
    const times = { originate: 1000, receive: 2000, transmit: 0x8000_0003 };
    expect(message).to.include({ type: Icmpv4Type.TimestampReply, identifier: 7, sequence: 9, ...times });
    const frame = emptyFrame();
    Icmpv4Message.emitTimestamp(frame, Icmpv4Type.TimestampReply, 7, 9, times);
    expect(hexOf(frame)).to.equal(TIMESTAMP);
  });

  it('shows the packet that an error quotes', () => {
    const { quoted } = messageOf(UNREACHABLE);
    expect(quoted?.packet).to.include({ source: 0x0a000002, destination: 0x0a000001, protocol: 17, totalLength: 33 });
    expect(quoted?.ports).to.deep.equal({ source: 1024, destination: 53 });
    const frame = frameWith(hexBytes(UNREACHABLE).subarray(8));
    Icmpv4Message.emit(frame, Icmpv4Type.DestinationUnreachable, Icmpv4Unreachable.Port, 0);
    expect(hexOf(frame)).to.equal(UNREACHABLE);
  });

  it('shows no quote shorter than RFC 792 demands, of another version, or in a message that is no error', () => {
    const bytes = hexBytes(UNREACHABLE);
    for (let length = 8; length < bytes.length; length++) {
      expect(messageOf(bytes.slice(0, length)).quoted, `${length} bytes`).to.equal(undefined);
    }
    expect(messageOf(UNREACHABLE.replace('4500', '6500')).quoted).to.equal(undefined);
    expect(messageOf(UNREACHABLE.replace('4500', '4400')).quoted).to.equal(undefined);
    expect(messageOf(UNREACHABLE.replace('0303', '0803')).quoted).to.equal(undefined);
  });

  it('quotes a packet that is itself shorter than 8 bytes of payload whole', () => {
    const short = messageOf('0300000000000000 45000016000000004006000000000000 00000000 abcd');
    expect(short.quoted?.transport).to.equal(short.frame.end - 2);
    expect(short.quoted?.ports).to.equal(undefined);
  });

  it('finds no ports in a later fragment', () => {
    expect(messageOf(UNREACHABLE.replace('0000000040', '0000000140')).quoted?.ports).to.equal(undefined);
  });

  it('ends the quote where RFC 4884 extensions begin', () => {
    const bytes = new Uint8Array(8 + 128 + 12);
    bytes.set(hexBytes(UNREACHABLE));
    bytes[5] = 32;
    const extended = messageOf(bytes);
    expect(extended.quoted?.end).to.equal(extended.offset + 8 + 128);
    // A length below 128 bytes is no RFC 4884 length: the field was unused before.
    bytes[5] = 31;
    expect(messageOf(bytes).quoteEnd).to.equal(extended.frame.end);
  });

  it('is truncated below what its type needs', () => {
    for (const frame of truncations(hexBytes(ECHO).subarray(0, 8))) {
      expect(Icmpv4Message.check(frame, frame.start)).to.equal(DropReason.Icmpv4Truncated);
    }
    for (const frame of truncations(hexBytes(TIMESTAMP))) {
      expect(Icmpv4Message.check(frame, frame.start)).to.equal(DropReason.Icmpv4Truncated);
    }
  });

  it('has a bad checksum when any bit of it flips', () => {
    const bytes = hexBytes(ECHO);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        const frame = frameOf(flipped);
        expect(Icmpv4Message.check(frame, frame.start)).to.be.oneOf([
          DropReason.Icmpv4BadChecksum,
          DropReason.Icmpv4Truncated,
        ]);
      }),
    );
  });

  it('counts the five error types', () => {
    expect(Object.values(Icmpv4Type).filter(isIcmpv4Error)).to.have.members([3, 4, 5, 11, 12]);
  });

  it('never throws, on any bytes', () => {
    const type = fc.constantFrom(...Object.values(Icmpv4Type), 99);
    fc.assert(
      fc.property(type, fc.nat(15), fc.nat(0xffff_ffff), fc.uint8Array({ maxLength: 64 }), (kind, code, rest, data) => {
        const frame = frameWith(data);
        Icmpv4Message.emit(frame, kind, code, rest);
        const message = new Icmpv4Message(frame, frame.start);
        expect(message).to.include({ type: kind, code, rest });
        if (Icmpv4Message.check(frame, frame.start) !== undefined) return;
        const timestamps = kind === Icmpv4Type.TimestampRequest || kind === Icmpv4Type.TimestampReply;
        if (timestamps || frame.length >= 20) readAll(message);
        const quote = Icmpv4Quote.at(frame, frame.start, frame.end);
        if (quote !== undefined) readAll(quote);
      }),
    );
  });
});
