import { expect } from 'chai';
import * as fc from 'fast-check';
import { DropReason, dropReasonName } from '../../../lib/core/drops.js';
import { UsageError } from '../../../lib/core/errors.js';
import { Frame } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { hex, unhex } from './bytes.js';

type Plain = Pick<
  e.FrameHeader,
  'source' | 'destination' | 'sequence' | 'kind' | 'ttl' | 'keyLow' | 'keyHigh' | 'name'
>;

const address = e.parseNetAddress;
const ping = e.endpoint('ergot/.well-known/ping', e.u32, e.u32).requestKey;

const header = (fields: Partial<Plain>): e.FrameHeader => Object.assign(new e.FrameHeader(), fields);

const plain = (from: e.FrameHeader): Plain => {
  const { source, destination, sequence, kind, ttl, keyLow, keyHigh, name } = from;
  return { source, destination, sequence, kind, ttl, keyLow, keyHigh, name };
};

function readHeader(bytes: Uint8Array): e.FrameHeader | DropReason {
  const out = new e.FrameHeader();
  return out.read(Frame.from(bytes)) ?? out;
}

const request = header({
  source: address('1.2:5'),
  destination: address('1.1:3'),
  sequence: 7,
  kind: e.FrameKind.Request,
  ttl: 15,
});
const anyPing = header({
  source: address('0.2:1'),
  destination: address('0.1:0'),
  sequence: 0,
  kind: e.FrameKind.Request,
  ttl: 15,
  keyLow: ping.low,
  keyHigh: ping.high,
});

describe('FrameHeader', () => {
  const vectors: readonly (readonly [string, e.FrameHeader, string, string])[] = [
    ['a request', request, '85840483820407010f2a', '2a'],
    ['a ping to any port', anyPing, '8104800200010f595266702593fff0002a', '2a'],
  ];
  for (const [what, fields, wire, body] of vectors) {
    it(`writes and reads ${what}`, () => {
      const frame = Frame.from(unhex(body));
      fields.push(frame);
      expect(hex(frame.bytes())).to.equal(wire);
      const again = new e.FrameHeader();
      expect(again.read(frame)).to.equal(undefined);
      expect(plain(again)).to.deep.equal(plain(fields));
      expect(hex(frame.slab.bytes.subarray(again.body, frame.end))).to.equal(body);
    });
  }

  it('takes 28 bytes at most', () => {
    const largest = header({
      source: -1,
      destination: -1,
      sequence: 65_535,
      kind: 7,
      ttl: 255,
      keyLow: -1,
      keyHigh: -1,
      name: -1,
    });
    const frame = Frame.from(new Uint8Array());
    largest.push(frame);
    expect([largest.size, frame.length, e.MAX_HEADER]).to.deep.equal([28, 28, 28]);
    expect(e.DEFAULT_TTL).to.equal(16);
  });

  const anyHeader = fc
    .record({
      source: fc.integer(),
      destination: fc.oneof(
        fc.integer(),
        fc.nat(65_535).map((high) => (high << 16) | 0x100 | (high & 1 ? 255 : 0)),
      ),
      sequence: fc.nat(65_535),
      kind: fc.oneof(fc.nat(255), fc.constant(3)),
      ttl: fc.nat(255),
      keyLow: fc.integer(),
      keyHigh: fc.integer(),
      name: fc.oneof(fc.integer(), fc.constant(0)),
    })
    .map(header)
    .filter((fields) => !(fields.keyed && fields.kind === e.FrameKind.Error));

  it('reads what it wrote, and finds every truncation', () => {
    fc.assert(
      fc.property(anyHeader, fc.uint8Array({ maxLength: 9 }), (fields, body) => {
        const frame = Frame.from(body);
        fields.push(frame);
        expect(frame.length).to.equal(fields.size + body.length);
        const again = new e.FrameHeader();
        expect(again.read(frame)).to.equal(undefined);
        const unkeyed = fields.keyed ? {} : { keyLow: 0, keyHigh: 0, name: 0 };
        expect(plain(again)).to.deep.equal({ ...plain(fields), ...unkeyed });
        expect(again.body).to.equal(frame.end - body.length);
        for (let cut = 0; cut < fields.size; cut++) {
          expect(readHeader(frame.bytes().slice(0, cut))).to.equal(DropReason.ErgotTruncated);
        }
      }),
    );
  });

  it('refuses numbers of too many bits, and errors to any or all sockets', () => {
    expect(readHeader(unhex('ffffffff100101010101'))).to.equal(DropReason.ErgotBadHeader);
    expect(readHeader(unhex('808080808000010101010101'))).to.equal(DropReason.ErgotBadHeader);
    expect(readHeader(unhex('0101ffff040101'))).to.equal(DropReason.ErgotBadHeader);
    for (const port of [e.PORT_ANY, e.PORT_ALL]) {
      const wrong = header({ source: 1, destination: e.netAddress(1, 1, port), kind: e.FrameKind.Error, ttl: 1 });
      const frame = Frame.from(unhex('05'));
      wrong.push(frame);
      expect(readHeader(frame.bytes())).to.equal(DropReason.ErgotBadHeader);
    }
  });

  it('says for any bytes whether they are a frame, and writes what it read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const read = readHeader(bytes);
        if (typeof read === 'number') return;
        const frame = Frame.from(bytes);
        read.replace(frame);
        const again = readHeader(frame.bytes());
        expect(typeof again === 'number' ? again : plain(again)).to.deep.equal(plain(read));
      }),
      { numRuns: 2000 },
    );
  });

  it('counts hops in the frame, and ends with the last', () => {
    const frame = Frame.from(unhex('2a'));
    const fields = header({ ...plain(request), ttl: 2 });
    fields.push(frame);
    expect([fields.hop(frame), fields.hop(frame), fields.hop(frame)]).to.deep.equal([
      undefined,
      undefined,
      DropReason.ErgotTtlExpired,
    ]);
    const again = new e.FrameHeader();
    again.read(frame);
    expect(again.ttl).to.equal(0);
    expect(hex(frame.bytes())).to.equal('8584048382040701002a');
  });

  it('gives a frame other addresses in place, longer ones too', () => {
    const frame = Frame.from(unhex('8104800201010f595266702593fff0002a'));
    const fields = new e.FrameHeader();
    fields.read(frame);
    fields.source = e.withNetwork(fields.source, 65_534);
    fields.destination = address('1.1:3');
    fields.replace(frame);
    const again = new e.FrameHeader();
    expect(again.read(frame)).to.equal(undefined);
    expect(e.netAddressText(again.source)).to.equal('65534.2:1');
    expect(e.netAddressText(again.destination)).to.equal('1.1:3');
    expect(hex(frame.bytes().slice(-1))).to.equal('2a');
    expect(frame.bytes()).to.have.length(fields.size + 1);
  });
});

describe('ProtocolErrorBody', () => {
  const tooBig = (mtu: number): e.ProtocolErrorBody =>
    Object.assign(new e.ProtocolErrorBody(), { error: e.ProtocolError.IsePacketTooBig, mtu });

  function readError(text: string): string | DropReason {
    const body = new e.ProtocolErrorBody();
    const frame = Frame.from(unhex(text));
    return body.read(frame, frame.start) ?? `${e.protocolErrorName(body.error)} ${body.mtu}`;
  }

  it('tells of a frame that was too large for an MTU', () => {
    const frame = Frame.from(new Uint8Array(3));
    frame.end = frame.start;
    tooBig(1200).put(frame);
    const fields = header({
      source: address('1.1:3'),
      destination: address('1.2:1'),
      kind: e.FrameKind.Error,
      ttl: 15,
    });
    fields.push(frame);
    expect(hex(frame.bytes())).to.equal('83820481840400ff0f0cb009');
    const body = new e.ProtocolErrorBody();
    expect(body.read(frame, fields.body)).to.equal(undefined);
    expect([body.error, body.mtu]).to.deep.equal([12, 1200]);
  });

  it('knows the nineteen errors by their numbers', () => {
    expect(Object.values(e.ProtocolError)).to.deep.equal(Array.from({ length: 19 }, (_, i) => i));
    for (const error of Object.values(e.ProtocolError)) {
      const body = Object.assign(new e.ProtocolErrorBody(), { error, mtu: error === 12 ? 300 : 0 });
      const frame = Frame.from(new Uint8Array(4));
      frame.end = frame.start;
      body.put(frame);
      const again = new e.ProtocolErrorBody();
      expect(again.read(frame, frame.start)).to.equal(undefined);
      expect([again.error, again.mtu]).to.deep.equal([body.error, body.mtu]);
    }
  });

  it('reads every MTU', () => {
    for (const mtu of [0, 127, 128, 16_383, 16_384, 65_535]) {
      const frame = Frame.from(new Uint8Array(4));
      frame.end = frame.start;
      tooBig(mtu).put(frame);
      expect(readError(hex(frame.bytes()))).to.equal(`IsePacketTooBig ${mtu}`);
    }
    const run = () => tooBig(65_536).put(Frame.from(new Uint8Array(4)));
    expect(run).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
  });

  it('refuses errors that there are not, and bytes after them', () => {
    expect(readError('0d')).to.equal('NsseNoRoute 0');
    for (const text of ['', '13', '0d00', '0c', '0cb0', '0cffff04', 'ffffffff0f', '0c0100']) {
      expect(readError(text), text).to.equal(DropReason.ErgotBadError);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
        expect(readError(hex(bytes))).to.satisfy(
          (read: unknown) => read === DropReason.ErgotBadError || typeof read === 'string',
        );
      }),
    );
  });
});

describe('protocolErrorReason', () => {
  it('says of each error what became of the frame', () => {
    const reasons = Object.values(e.ProtocolError).map((error) => dropReasonName(e.protocolErrorReason(error)));
    const named = new Map(Object.keys(e.ProtocolError).map((name, i) => [name, reasons[i]]));
    expect(named.get('SseNoSpace')).to.equal('ergot-queue-full');
    expect(named.get('IseNoRouteToDest')).to.equal('ergot-no-route');
    expect(named.get('IseTtlExpired')).to.equal('ergot-ttl-expired');
    expect(named.get('IseRoutingLoop')).to.equal('ergot-routing-loop');
    expect(named.get('IsePacketTooBig')).to.equal('ergot-too-large');
    expect(named.get('NsseAnyPortNotUnique')).to.equal('ergot-no-socket');
    for (const reason of reasons) expect(reason).to.match(/^ergot-/);
  });
});
