import { expect } from 'chai';
import * as e from '../../../../lib/ergot/index.js';
import {
  allocAddresses,
  err,
  ok,
  publishPrefix,
  refreshAddresses,
  releaseAddresses,
  subscribeMulticast,
  unsubscribeMulticast,
} from '../../../../lib/ergot/phone/messages.js';
import { hex, unhex } from '../bytes.js';

describe('messages between devices with phone-number addresses', () => {
  const keys = [
    ['alloc', allocAddresses.requestKey],
    ['alloc, answer', allocAddresses.responseKey],
    ['refresh', refreshAddresses.requestKey],
    ['release', releaseAddresses.requestKey],
    ['subscribe', subscribeMulticast.requestKey],
    ['unsubscribe', unsubscribeMulticast.requestKey],
    ['prefix', publishPrefix.key],
  ] as const;
  it('have keys of their own', () => {
    expect(Object.fromEntries(keys.map(([name, key]) => [name, key.toString()]))).to.deep.equal({
      alloc: 'd8580cff23eb2c96',
      'alloc, answer': '286f64d5971ff844',
      refresh: '58928c0e4b94066f',
      release: 'ae018c842e4c8848',
      subscribe: '9f07b56046cc12df',
      unsubscribe: 'b22161baef849736',
      prefix: '953dc312e0558123',
    });
  });

  function golden<T>(what: string, schema: e.Schema<T>, value: T, wire: string): void {
    it(`write and read ${what} (row 63)`, () => {
      expect(hex(e.encode(schema, value))).to.equal(wire);
      expect(e.decode(schema, unhex(wire))).to.deep.equal({ ok: true, value });
    });
  }

  const { AllowMulticast, AllowUnaligned } = e.AllocFlag;
  const request = {
    nonce: 0x80,
    allocs: [
      { len: 8, flags: AllowUnaligned },
      { len: 1, flags: AllowMulticast },
    ],
  };
  golden('a request for two ranges', allocAddresses.request, request, '80010208020101');
  golden(
    'what it is given',
    allocAddresses.response,
    ok({
      bits: 10,
      expires_seconds: 30,
      allocs: [
        { address: 0x080, len: 8 },
        { address: 0x3fe, len: 1 },
      ],
    }),
    '000a1e02800108fe0701',
  );
  const refusals = [
    'InvalidLength',
    'InvalidFlags',
    'TooMany',
    'NoSpace',
    'ParentRefused',
    'ParentUnavailable',
    'Busy',
    'NotAChild',
  ] as const;
  refusals.forEach((kind, number) => golden(`the refusal ${kind}`, allocAddresses.response, err(kind), `010${number}`));
  golden('a refresh', refreshAddresses.request, { addresses: [0x080, 0x3fe] }, '028001fe07');
  golden('a lease', refreshAddresses.response, ok({ expires_seconds: 120, min_refresh_seconds: 62 }), '00783e');
  golden('that a lease is unknown', refreshAddresses.response, err('Unknown'), '0100');
  golden('that it is too soon', refreshAddresses.response, err('TooSoon'), '0101');
  golden('a release of all', releaseAddresses.request, { addresses: [] }, '00');
  golden('a release', releaseAddresses.response, { kind: 'Ok' }, '00');
  golden('a subscription', subscribeMulticast.request, { bits: 10, address: 0x3fe }, '0afe07');
  golden('that it is none', subscribeMulticast.response, err('NotMulticast'), '0100');
  golden(
    'a prefix of two levels',
    publishPrefix.message,
    {
      levels: [
        { bits: 10, kind: 0, ranges: [{ local: 0, address: 0x180, len: 9 }] },
        { bits: 32, kind: 1, ranges: [{ local: 0, address: 0xfffffc00, len: 10 }] },
      ],
    },
    '020a0001008003092001010080f8ffff0f0a',
  );

  it('call what an allocator refuses what it calls it', () => {
    for (const [name, number] of Object.entries(e.AllocError)) expect(refusals[number]).to.equal(name);
  });
});
