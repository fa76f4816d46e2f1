import { expect } from 'chai';
import * as fc from 'fast-check';
import { Frame } from '../../../lib/core/frame.js';
import * as e from '../../../lib/ergot/index.js';
import { hex, unhex } from './bytes.js';

function textOf(bytes: string | Uint8Array, options: e.ErgotTextOptions = {}): string {
  return e.ergotText(Frame.from(typeof bytes === 'string' ? unhex(bytes) : bytes), options);
}

/** A frame of ergot 0.12 in bytes. */
function frame(fill: Partial<e.FrameHeader>, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  const out = Frame.from(body);
  Object.assign(new e.FrameHeader(), { source: e.netAddress(1, 2, 5), ttl: 15, ...fill }).push(out);
  return out.bytes();
}

function topicFrame<T>({ key, message }: e.Topic<T>, value: T, more: Partial<e.FrameHeader> = {}): Uint8Array {
  const fill = { destination: e.netAddress(0, 0, 255), kind: 3, keyLow: key.low, keyHigh: key.high, ...more };
  return frame(fill, e.encode(message, value));
}

describe('ergotText', () => {
  const lines: readonly (readonly [string, Uint8Array | string, string])[] = [
    ['a request to a port', '85840483820407010f2a', '1.2:5 > 1.1:3: request, seq 7, ttl 15, length 1'],
    [
      'a request to any port',
      '8104800200010f595266702593fff0002a',
      '0.2:1 > 0.1:0: request ergot/.well-known/ping (42), seq 0, ttl 15, length 1',
    ],
    [
      'a protocol error',
      '83820481840400ff0f0cb009',
      '1.1:3 > 1.2:1: error IsePacketTooBig 1200, seq 0, ttl 15, length 3',
    ],
    [
      'a question',
      topicFrame(e.deviceInfoInterrogationTopic, undefined, { sequence: 3 }),
      '1.2:5 > 0.0:255: topic ergot/.well-known/device-info/interrogation, seq 3, ttl 15, length 0',
    ],
    [
      'device information',
      topicFrame(e.deviceInfoTopic, { name: 'lamp', description: undefined, unique_id: 300n }),
      '1.2:5 > 0.0:255: topic ergot/.well-known/device-info ({name: "lamp", unique_id: 300}), seq 0, ttl 15, length 9',
    ],
    [
      'a line of a log',
      topicFrame(e.logTopic, { level: { kind: 'Warn' }, inner: 'a\n\u009b31m"' }),
      '1.2:5 > 0.0:255: topic ergot/.well-known/fmt ({level: Warn, inner: "a\\n\\u009b31m\\""}), seq 0, ttl 15, length 10',
    ],
    [
      'a socket query',
      topicFrame(e.socketQueryTopic, {
        key: unhex('595266702593fff0'),
        nash_req: { kind: 'Specific', value: { hash: 7 } },
        frame_kind: 1,
        broadcast: false,
      }),
      '1.2:5 > 0.0:255: topic ergot/.well-known/socket/query ' +
        '({key: 595266702593fff0, nash_req: Specific({hash: 7}), frame_kind: 1, broadcast: false}), seq 0, ttl 15, length 12',
    ],
    [
      'a key and a name that nobody knows',
      topicFrame(e.topic('topic/yeet', e.u64), 1n, { name: e.nameHash('a') }),
      '1.2:5 > 0.0:255: topic key 7f01be78e371dc69, name e40c292c, seq 0, ttl 15, length 1',
    ],
    [
      'a kind without a name',
      frame({ kind: 17 }),
      '1.2:5 > 0.0:0: kind 17 key 0000000000000000, seq 0, ttl 15, length 0',
    ],
  ];
  for (const [what, bytes, line] of lines) {
    it(`tells of ${what}`, () => expect(textOf(bytes)).to.equal(`ergot ${line}`));
  }

  it('knows the endpoints and topics that it is told of', () => {
    const yeet = e.topic('topic/yeet', e.u64);
    const sum = e.endpoint('app/sum', e.seq(e.u8), e.u32);
    const options = { known: [yeet, sum] };
    expect(textOf(topicFrame(yeet, 5n), options)).to.contain('topic topic/yeet (5), seq');
    const { low, high } = sum.requestKey;
    const request = { destination: e.netAddress(1, 1, 0), kind: 1, keyLow: low, keyHigh: high };
    expect(textOf(frame(request, Uint8Array.of(2, 3, 4)), options)).to.contain('request app/sum ([3, 4]), seq');
    // The same key as a topic is another matter.
    expect(textOf(frame({ ...request, kind: 3 }, Uint8Array.of(0)), options)).to.contain('topic key');
  });

  it('says of each malformed frame why (row 70)', () => {
    expect(textOf('')).to.equal('ergot, length 0 [ergot-truncated]');
    expect(textOf('858404838204')).to.equal('ergot, length 6 [ergot-truncated]');
    expect(textOf('ffffffff7f8382040701')).to.equal('ergot, length 10 [ergot-bad-header]');
    expect(textOf('83820481840400ff0f13')).to.match(/: error, seq 0, ttl 15, length 1 \[ergot-bad-error\]$/);
    expect(textOf('8104800200010f595266702593fff00080')).to.match(
      /ping, seq 0, ttl 15, length 1 \[ergot-bad-message: ERR_POSTCARD_END at byte 1\]$/,
    );
    expect(textOf('8104800200010f595266702593fff0000101')).to.match(
      /length 2 \[ergot-bad-message: ERR_POSTCARD_TRAILING at byte 1\]$/,
    );
  });

  it('does not hold against a frame what a capture cut off', () => {
    const bytes = unhex('8104800200010f595266702593fff0002a');
    expect(textOf(bytes.subarray(0, 12), { wireLength: 17 })).to.equal('ergot, length 17');
    expect(textOf(bytes.subarray(0, 16), { wireLength: 17 })).to.equal(
      'ergot 0.2:1 > 0.1:0: request key 595266702593fff0, seq 0, ttl 15, length 1',
    );
    expect(textOf('ffffffff7f8382040701', { wireLength: 20 })).to.equal('ergot, length 20 [ergot-bad-header]');
  });

  it('keeps long values short', () => {
    const line = textOf(topicFrame(e.logTopic, { level: { kind: 'Info' }, inner: 'x'.repeat(5000) }));
    expect(line).to.match(/x…\), seq 0, ttl 15, length 5003$/);
    expect(line.length).to.be.below(320);
  });

  it('tells of frames between phone numbers', () => {
    const phone = (fill: Partial<e.PhoneHeader>, body = new Uint8Array(0)): string => {
      const out = Frame.from(body);
      Object.assign(new e.PhoneHeader(), { source: 3, sourceBits: 6, ttl: 15, kind: 1, ...fill }).push(out);
      return textOf(out.bytes(), { format: 'phone' });
    };
    expect(phone({ bits: 10, destination: 0x8a })).to.equal('ergot 03^6 > 08A^10: request, seq 0, ttl 15, length 0');
    const { low: keyLow, high: keyHigh } = e.pingEndpoint.requestKey;
    const to = { bits: 9, destination: 0x180, keyLow, keyHigh };
    expect(phone({ ...to, cast: e.PhoneCast.Any }, Uint8Array.of(42))).to.equal(
      'ergot 03^6 > 180^9?: request ergot/.well-known/ping (42), seq 0, ttl 15, length 1',
    );
    expect(phone({ ...to, cast: e.PhoneCast.All })).to.contain('> 180^9*: request');
    expect(phone({ ...to, cast: e.PhoneCast.Group })).to.contain('> 180^9+: request');
    expect(phone({ sourceBits: 0, bits: 0, cast: e.PhoneCast.Any, keyLow })).to.contain('ergot 3@link > 0@link?:');
    expect(textOf('28', { format: 'phone' })).to.equal('ergot, length 1 [ergot-truncated]');
    expect(textOf('280400000000010f', { format: 'phone' })).to.equal('ergot, length 8 [ergot-bad-header]');
  });

  it('is one line for any bytes, and changes none', () => {
    const start = fc.constantFrom('', '8104800200010f595266702593fff000', '83820481840400ff0f', '85840483820407010f');
    fc.assert(
      fc.property(
        start,
        fc.uint8Array({ maxLength: 60 }),
        fc.constantFrom<e.ErgotFormat>('net', 'phone'),
        fc.option(fc.nat(80)),
        (before, after, format, wireLength) => {
          const bytes = Uint8Array.from([...unhex(before), ...after]);
          const whole = Frame.from(bytes);
          const line = e.ergotText(whole, { format, ...(wireLength === null ? {} : { wireLength }) });
          // eslint-disable-next-line no-control-regex -- none of these must be in it
          expect(line).to.match(/^ergot[^\u0000-\u001f\u007f-\u009f]*$/);
          expect(hex(whole.bytes())).to.equal(hex(bytes));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
