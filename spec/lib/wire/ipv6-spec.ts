import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv6Address } from '../../../lib/core/address.js';
import { DropReason } from '../../../lib/core/drops.js';
import { sum16 } from '../../../lib/wire/checksum.js';
import {
  groupMac,
  type Ipv6Fields,
  Ipv6Packet,
  ipv6PseudoHeaderSum,
  isLinkLocalAt,
  isMulticastAt,
  isUnspecifiedAt,
  readIpv6,
  solicitedNode,
} from '../../../lib/wire/ipv6.js';
import { frameOf, frameWith, hexBytes, hexOf, readAll, truncations } from './frames.js';
import { address, anyAddress } from './packets6.js';

const PACKET =
  '6b8abcde000d11ff fe80000000000000020102fffe030405 ff020000000000000000000000010002 04000035000da3ca68656c6c6f'.replaceAll(
    ' ',
    '',
  );

function checkOf(bytes: Uint8Array | string): DropReason | undefined {
  const frame = frameOf(bytes);
  return Ipv6Packet.check(frame, frame.start);
}

describe('Ipv6Packet', () => {
  it('reads a header', () => {
    const frame = frameOf(PACKET);
    expect(Ipv6Packet.check(frame, frame.start)).to.equal(undefined);
    const packet = new Ipv6Packet(frame, frame.start);
    expect(packet).to.include({
      version: 6,
      trafficClass: 0xb8,
      flowLabel: 0xabcde,
      payloadLength: 13,
      totalLength: 53,
      headerLength: 40,
      nextHeader: 17,
      protocol: 17,
      hopLimit: 255,
      addressLength: 16,
      isToGroup: true,
      isFragment: false,
    });
    expect(packet.sourceAddress.toString()).to.equal('fe80::201:2ff:fe03:405');
    expect(packet.destinationAddress.toString()).to.equal('ff02::1:2');
    const { view } = frame.slab;
    expect(readIpv6(view, packet.sourceOffset).equals(packet.sourceAddress)).to.equal(true);
    expect(readIpv6(view, packet.destinationOffset).equals(packet.destinationAddress)).to.equal(true);
  });

  it('writes a header byte for byte', () => {
    const frame = frameWith(hexBytes(PACKET).subarray(40));
    Ipv6Packet.emit(frame, {
      source: address('fe80::201:2ff:fe03:405'),
      destination: address('ff02::1:2'),
      protocol: 17,
      hopLimit: 255,
      trafficClass: 0xb8,
      flowLabel: 0xabcde,
    });
    expect(hexOf(frame)).to.equal(PACKET);
    expect(frame.network).to.equal(frame.start);
  });

  it('is truncated at every byte boundary, and accepts padding', () => {
    for (const frame of truncations(hexBytes(PACKET))) {
      expect(Ipv6Packet.check(frame, frame.start), `${frame.length} bytes`).to.equal(DropReason.Ipv6Truncated);
    }
    expect(checkOf(`${PACKET}000000`)).to.equal(undefined);
  });

  it('refuses other versions and jumbograms (RFC 2675)', () => {
    expect(checkOf(`4${PACKET.slice(1)}`)).to.equal(DropReason.Ipv6BadHeader);
    expect(checkOf(PACKET.replace('000d11ff', '000000ff'))).to.equal(DropReason.Ipv6BadHeader);
    expect(checkOf(PACKET.replace('000d11ff', '00003bff'))).to.equal(undefined);
  });

  it('refuses to emit more than 65,535 bytes of payload', () => {
    const fields = { source: Ipv6Address.LOOPBACK, destination: Ipv6Address.LOOPBACK, protocol: 17 };
    expect(() => Ipv6Packet.emit(frameWith(new Uint8Array(65536)), fields))
      .to.throw()
      .with.property('code', 'ERR_FRAME_TOO_LARGE');
    const frame = frameWith(new Uint8Array(65535));
    Ipv6Packet.emit(frame, fields);
    expect(Ipv6Packet.check(frame, frame.start)).to.equal(undefined);
  });

  it('reads back what it emits', () => {
    const fields = fc.record({
      source: anyAddress,
      destination: anyAddress,
      protocol: fc.integer({ min: 1, max: 255 }),
      hopLimit: fc.nat(255),
      trafficClass: fc.nat(255),
      flowLabel: fc.nat(0xfffff),
    });
    fc.assert(
      fc.property(fields, fc.uint8Array({ maxLength: 50 }), (values, payload) => {
        const frame = frameWith(payload);
        Ipv6Packet.emit(frame, values satisfies Ipv6Fields);
        expect(Ipv6Packet.check(frame, frame.start)).to.equal(undefined);
        const packet = new Ipv6Packet(frame, frame.start);
        const { source, destination, ...same } = values;
        expect(packet).to.include({ ...same, payloadLength: payload.length });
        expect(packet.sourceAddress).to.deep.equal(source);
        expect(packet.destinationAddress).to.deep.equal(destination);
        expect(frame.bytes().subarray(40)).to.deep.equal(payload);
      }),
    );
  });

  it('sums the pseudo-header as if it stood in memory (RFC 8200 8.1)', () => {
    fc.assert(
      fc.property(anyAddress, anyAddress, fc.nat(255), fc.nat(0xffff_ffff), (source, destination, protocol, length) => {
        const pseudo = new DataView(new ArrayBuffer(40));
        source.write(pseudo, 0);
        destination.write(pseudo, 16);
        pseudo.setUint32(32, length);
        pseudo.setUint32(36, protocol);
        const sum = sum16(pseudo, 0, 40);
        expect(ipv6PseudoHeaderSum(source, destination, protocol, length)).to.equal(sum);
        const frame = frameWith(new Uint8Array(0));
        Ipv6Packet.emit(frame, { source, destination, protocol: 59 });
        expect(new Ipv6Packet(frame, frame.start).pseudoHeaderSum(protocol, length)).to.equal(sum);
      }),
    );
  });

  it('never throws, on any bytes', () => {
    const header = fc
      .tuple(fc.uint8Array({ minLength: 40, maxLength: 70 }), fc.nat(40))
      .map(([bytes, length]) => (bytes.set([0x60, 0, 0, 0, 0, length]), bytes));
    fc.assert(
      fc.property(fc.oneof(header, fc.uint8Array({ maxLength: 70 })), (bytes) => {
        const frame = frameOf(bytes);
        if (Ipv6Packet.check(frame, frame.start) === undefined) readAll(new Ipv6Packet(frame, frame.start));
      }),
    );
  });
});

describe('IPv6 addresses in memory', () => {
  it('are told apart', () => {
    const view = new DataView(new ArrayBuffer(16));
    for (const [text, verdicts] of [
      ['::', [true, false, false]],
      ['::1', [false, false, false]],
      ['fe80::1', [false, false, true]],
      ['febf::1', [false, false, true]],
      ['fec0::1', [false, false, false]],
      ['ff02::1', [false, true, false]],
      ['2001:db8::', [false, false, false]],
    ] as const) {
      address(text).write(view, 0);
      expect([isUnspecifiedAt(view, 0), isMulticastAt(view, 0), isLinkLocalAt(view, 0)], text).to.deep.equal(verdicts);
    }
  });

  it('have solicited-node groups (RFC 4291 2.7.1, 4291-1) and group MACs (RFC 2464 7)', () => {
    const group = solicitedNode(address('4037::1:800:200e:8c6c'));
    expect(group.toString()).to.equal('ff02::1:ff0e:8c6c');
    expect(groupMac(group).toString(16)).to.equal('3333ff0e8c6c');
    expect(groupMac(address('ff02::ffff:ffff')).toString(16)).to.equal('3333ffffffff');
  });
});
