import { expect } from 'chai';
import * as fc from 'fast-check';
import * as e from '../../../../lib/ergot/index.js';
import { hex, unhex } from '../bytes.js';

/** The key of a path and a type whose description is written out, byte by byte. */
function keyOf(path: string, ...signature: readonly (string | number)[]): string {
  const bytes = signature.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part)));
  return e.Key.of(path, Buffer.concat(bytes)).toString();
}

describe('well-known endpoints and topics', () => {
  it('have the keys of ergot 0.12 (row 68)', () => {
    expect(e.pingEndpoint.requestKey.toString()).to.equal('595266702593fff0');
    expect(e.pingEndpoint.responseKey.toString()).to.equal('595266702593fff0');
    expect(e.deviceInfoInterrogationTopic.key.toString()).to.equal('a685c3ee1289ad03');
    expect(e.deviceInfoTopic.key.toString()).to.equal('cfe2d9d327414dd1');
    expect(e.pathMtuEndpoint.requestKey.toString()).to.equal('64f413cdbbb40850');
  });

  it('of which no vector is known have the keys of their types', () => {
    const hash = [0x7f, 'hash', 0xd3];
    const requirement = ['nash_req', 0xe9, 'None', 0xb5, 'Any', 0xb5, 'Specific', 0xdf, ...hash];
    const key = ['key', 0xa7, ...Array.from({ length: 8 }, () => 0x3d)];
    expect(e.socketQueryTopic.key.toString()).to.equal(
      keyOf('ergot/.well-known/socket/query', 0x7f, ...key, ...requirement, 'frame_kind', 0x3d, 'broadcast', 0x11),
    );
    expect(e.socketQueryResponseTopic.key.toString()).to.equal(
      keyOf('ergot/.well-known/socket/query/response', 0x7f, 'name', 0x6d, ...hash, 'port', 0x3d),
    );
    const levels = ['Error', 'Warn', 'Info', 'Debug', 'Trace'].flatMap((level) => [level, 0xb5]);
    expect(e.logTopic.key.toString()).to.equal(
      keyOf('ergot/.well-known/fmt', 0x7f, 'level', 0xe9, ...levels, 'inner', 0x25),
    );
    expect(e.defmtTopic.key.toString()).to.equal(keyOf('ergot/.well-known/defmt', 0x7f, 'frame', 0x03, 0x3d));
  });

  it('are on the wire as postcard has them', () => {
    const device = { name: 'lamp', description: undefined, unique_id: 300n };
    expect(hex(e.encode(e.deviceInfoTopic.message, device))).to.equal('01046c616d7000ac02');
    const query = {
      key: unhex('595266702593fff0'),
      nash_req: { kind: 'Specific', value: { hash: 0x811c_9dc5 } },
      frame_kind: 1,
      broadcast: false,
    } as const;
    expect(hex(e.encode(e.socketQueryTopic.message, query))).to.equal('595266702593fff002c5bbf288080100');
    expect(hex(e.encode(e.logTopic.message, { level: { kind: 'Debug' }, inner: 'hi' }))).to.equal('03026869');
  });

  it('have names and descriptions of devices no longer than devices hold, in bytes', () => {
    const { message } = e.deviceInfoTopic;
    const device = { name: undefined, description: undefined, unique_id: 1n };
    expect(e.encode(message, { ...device, name: 'é'.repeat(8) }).length).to.equal(20);
    for (const tooLong of [{ name: 'x'.repeat(17) }, { name: 'é'.repeat(9) }, { description: 'x'.repeat(33) }]) {
      expect(() => e.encode(message, { ...device, ...tooLong }))
        .to.throw()
        .with.property('code', 'ERR_BAD_MESSAGE');
    }
    const long = e.struct({ name: e.option(e.string), description: e.option(e.string), unique_id: e.u64 });
    const bytes = e.encode(long, { ...device, name: 'x'.repeat(17) });
    expect(e.decode(message, bytes)).to.have.nested.property('error.code', 'ERR_POSTCARD_RANGE');
  });
});

describe('schemas with bounds', () => {
  it('read and write the strings that fit, and refuse all others', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.nat(24), (text, most) => {
        const schema = e.boundedString(most);
        const whole = e.encode(e.string, text);
        const decoded = e.decode(schema, whole);
        if (Buffer.byteLength(text) <= most) {
          expect(hex(e.encode(schema, text))).to.equal(hex(whole));
          expect(decoded).to.deep.equal({ ok: true, value: text });
        } else {
          expect(() => e.encode(schema, text))
            .to.throw()
            .with.property('code', 'ERR_BAD_MESSAGE');
          expect(decoded).to.have.nested.property('error.code', 'ERR_POSTCARD_RANGE');
        }
      }),
    );
  });

  it('count the bytes of a string, however long the varint of its length is', () => {
    expect(e.decode(e.boundedString(2), unhex('82006869'))).to.deep.equal({ ok: true, value: 'hi' });
  });

  it('have no 0 where none may be', () => {
    expect(() => e.encode(e.nonZeroU32, 0))
      .to.throw()
      .with.property('code', 'ERR_BAD_MESSAGE');
    expect(e.decode(e.nonZeroU32, Uint8Array.of(0))).to.have.nested.property('error.code', 'ERR_POSTCARD_RANGE');
    expect(e.decode(e.nonZeroU32, Uint8Array.of(7))).to.deep.equal({ ok: true, value: 7 });
  });
});

describe('WELL_KNOWN_SOCKETS', () => {
  it('have each path and kind once, all of them well known, and keys that differ', () => {
    const paths = e.WELL_KNOWN_SOCKETS.map(({ path }) => path);
    for (const path of paths) expect(path.startsWith(e.WELL_KNOWN), path).to.equal(true);
    const keys = e.WELL_KNOWN_SOCKETS.map((one) => ('key' in one ? one.key : one.requestKey).toString());
    expect(new Set(paths).size).to.equal(paths.length);
    expect(new Set(keys).size).to.equal(keys.length);
    expect(keys).to.include.members(['6499cc48472da50c', '8c3172d112e7b0a8', '5c9116556bd35e88', '11a4b63c596a5b01']);
  });
});
