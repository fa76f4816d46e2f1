import { expect } from 'chai';
import * as fc from 'fast-check';
import { SeededRandom } from '../../../../lib/core/random.js';
import { Account, Pacer } from '../../../../lib/l7/iperf3/account.js';
import {
  answerHello,
  counterOf,
  emitHello,
  isHelloAnswer,
  OutgoingDatagram,
  sentAt,
} from '../../../../lib/l7/iperf3/datagram.js';
import { IperfError } from '../../../../lib/l7/iperf3/failure.js';
import { cookieText, emitMessage, makeCookie, parseMessage } from '../../../../lib/l7/iperf3/messages.js';
import { DEFAULT_PARAMETERS, emitParameters, parseParameters } from '../../../../lib/l7/iperf3/parameters.js';
import { emitResults, parseResults } from '../../../../lib/l7/iperf3/results.js';
import { bytesText, rateText } from '../../../../lib/l7/iperf3/units.js';

const viaJson = (value: object) => parseMessage(emitMessage(value).subarray(4)) ?? {};

describe('iperf3, what goes over the wire', () => {
  it('cookies: 36 letters and digits of base 32, all different', () => {
    const random = new SeededRandom(7);
    const cookies = Array.from({ length: 100 }, () => cookieText(makeCookie(random)));
    for (const cookie of cookies) expect(cookie).to.match(/^[a-z2-7]{36}$/);
    expect(new Set(cookies).size).to.equal(100);
  });

  it('messages: bytes that are none never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const message = parseMessage(bytes);
        expect(message === undefined || typeof message === 'object').to.equal(true);
      }),
    );
  });

  it('parameters: what is sent is what is read', () => {
    const whole = (least: number, most: number) => fc.integer({ min: least, max: most });
    const parameters = fc.record({
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
      time: whole(0, 86_400),
      omit: whole(0, 600),
      bytes: fc.maxSafeNat(),
      blocks: fc.maxSafeNat(),
      parallel: whole(1, 128),
      reverse: fc.boolean(),
      length: whole(16, 65_507),
      bitrate: fc.maxSafeNat(),
      burst: whole(0, 1000),
      pacingRate: fc.maxSafeNat(),
      window: whole(0, 1 << 29),
      segmentSize: fc.oneof(fc.constant(0), whole(88, 9216)),
      noDelay: fc.boolean(),
      trafficClass: whole(0, 255),
      counters64: fc.boolean(),
      dontFragment: fc.boolean(),
      serverOutput: fc.boolean(),
      title: fc.option(fc.string({ maxLength: 20 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(parameters, (some) => {
        const one = { ...DEFAULT_PARAMETERS, ...some };
        expect(parseParameters(viaJson(emitParameters(one, 'test')))).to.deep.equal(one);
      }),
    );
  });

  it('parameters and results: any JSON is read, or refused with a reason', () => {
    const names = ['tcp', 'udp', 'time', 'len', 'parallel', 'streams', 'MSS', 'cpu_util_total', 'id', 'bytes'];
    const members = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
    fc.assert(
      fc.property(members, (some) => {
        for (const read of [parseParameters, parseResults]) {
          try {
            read(some);
          } catch (error) {
            expect(error).to.be.instanceOf(IperfError);
            expect((error as IperfError).reason).to.be.a('number');
          }
        }
      }),
    );
  });

  it('results: what the program says, also where -1 lost its sign', () => {
    const stream = { id: 3, bytes: 10, retransmits: 2 ** 64, jitter: 0.002, errors: 1, packets: 5 };
    const read = parseResults(viaJson({ cpu_util_total: 3, streams: [{ ...stream, start_time: 0.5, end_time: 2 }] }));
    expect(read.streams).to.deep.equal([
      {
        id: 3,
        count: { bytes: 10, packets: 5, lost: 1, outOfOrder: 0 },
        omitted: undefined,
        jitter: 2,
        retransmits: undefined,
        seconds: 1.5,
      },
    ]);
    expect(parseResults(viaJson(emitResults(read))).streams[0]).to.deep.equal(read.streams[0]);
  });

  it('datagrams: time and number come back, with 32 bits and with 64', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(2 ** 31 - 1), fc.nat(999_999), fc.boolean(), (number, s, us, counters64) => {
        const datagram = new OutgoingDatagram(100, counters64);
        datagram.stamp(s * 1000 + us / 1000, number);
        expect(counterOf(datagram.bytes, counters64)).to.equal(counters64 ? number : number % 2 ** 32);
        expect(sentAt(datagram.bytes)).to.be.closeTo(s * 1000 + us / 1000, 0.0011);
      }),
    );
  });

  it('magic numbers: old and new ones, of machines of both kinds', () => {
    expect(Buffer.from(emitHello()).toString()).to.equal('9876');
    for (const hello of ['9876', '6789', '\x15\xcd\x5b\x07', '\x07\x5b\xcd\x15'])
      expect(isHelloAnswer(answerHello(Buffer.from(hello, 'latin1')) ?? new Uint8Array())).to.equal(true);
    for (const other of ['', '987', '98765', '9877']) expect(answerHello(Buffer.from(other))).to.equal(undefined);
  });

  it('accounts: losses, late ones, and how evenly they come', () => {
    const account = new Account();
    for (const [number, at] of [
      [1, 100],
      [2, 110],
      [5, 124],
      [4, 130],
    ] as const)
      account.arrived(10, number, number * 10, at);
    expect(account.look()).to.deep.equal({ bytes: 40, packets: 5, lost: 1, outOfOrder: 1 });
    // RFC 3550 6.4.1, transits of 90, 90, 74, 90.
    expect(account.jitter).to.equal(16 / 16 + (16 - 1) / 16);
    expect(new Pacer(8000, 1000).due(500)).to.equal(1500);
    expect(new Pacer(0, 1000).due(1e9)).to.equal(1000);
  });

  it('amounts have three digits', () => {
    const bytes = [0, 999, 1023, 1024, 1_260_000, 10 << 20, 1.1 * 2 ** 30];
    expect(bytes.map(bytesText)).to.deep.equal([
      '0.00 Bytes',
      ' 999 Bytes',
      '1.00 KBytes',
      '1.00 KBytes',
      '1.20 MBytes',
      '10.0 MBytes',
      '1.10 GBytes',
    ]);
    expect(rateText(9_412_000_000)).to.equal('9.41 Gbits/sec');
    expect(rateText(99_960_000)).to.equal(' 100 Mbits/sec');
    expect(rateText(9_412_000_000, 'm')).to.equal('9412 Mbits/sec');
    expect(rateText(8 << 20, 'M')).to.equal('1.00 MBytes/sec');
  });
});
