import { expect } from 'chai';
import * as fc from 'fast-check';
import { Ipv4Address, Ipv6Address } from '../../../lib/core/address.js';
import { UsageError } from '../../../lib/core/errors.js';
import {
  type DnsData,
  type DnsMessage,
  dnsQuery,
  type DnsRecord,
  DnsType,
  emitDns,
  parseDns,
} from '../../../lib/wire/dns.js';
import { nameLabels, readName, sameName } from '../../../lib/wire/dns-name.js';

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));
const record = (name: string, type: number, data: DnsData, ttl = 300): DnsRecord => ({
  name,
  type,
  class: 1,
  ttl,
  data,
});

/** What `parseDns` makes of bytes: a message, or the code of the error. */
function outcome(data: Uint8Array): DnsMessage | string {
  try {
    return parseDns(data);
  } catch (error) {
    if (error instanceof UsageError) return error.code;
    throw error;
  }
}

describe('DNS messages', () => {
  it('reads a response as a server sent it', () => {
    // dig's question for www.example.com, answered by a CNAME and an address whose names point back.
    const hex =
      'beef8180000100020000000103777777076578616d706c6503636f6d0000010001' +
      'c00c000500010000012c000603776562c010' +
      'c02d000100010000003c0004c0000201' +
      '00002904d0000000000000';
    const message = parseDns(Uint8Array.from(Buffer.from(hex, 'hex')));
    expect(message).to.deep.include({ id: 0xbeef, response: true, recursionAvailable: true, rcode: 0 });
    expect(message.questions).to.deep.equal([{ name: 'www.example.com', type: 1, class: 1 }]);
    expect(message.answers).to.deep.equal([
      record('www.example.com', DnsType.CNAME, { kind: 'name', name: 'web.example.com' }),
      record('web.example.com', DnsType.A, { kind: 'address', address: Ipv4Address.parse('192.0.2.1') }, 60),
    ]);
    expect(message.additionals).to.deep.equal([]);
    expect(message.edns).to.deep.equal({ udpSize: 1232, version: 0, dnssecOk: false, options: [] });
  });

  it('gives back every kind of record that it wrote', () => {
    const message: DnsMessage = dnsQuery(
      7,
      { name: 'example.com', type: DnsType.ANY, class: 1 },
      {
        response: true,
        authoritative: true,
        rcode: 0x123,
        answers: [
          record('a.example.com', DnsType.A, { kind: 'address', address: Ipv4Address.parse('192.0.2.7') }),
          record('a.example.com', DnsType.AAAA, { kind: 'address', address: Ipv6Address.parse('2001:db8::7') }),
          record('7.2.0.192.in-addr.arpa', DnsType.PTR, { kind: 'name', name: 'a.example.com' }),
          record('example.com', DnsType.NS, { kind: 'name', name: 'ns.example.com' }),
          record('example.com', DnsType.MX, { kind: 'mx', preference: 10, exchange: 'mail.example.com' }),
          record('example.com', DnsType.TXT, { kind: 'txt', strings: [bytes('one'), bytes('')] }),
          record('_x._tcp.example.com', DnsType.SRV, {
            kind: 'srv',
            priority: 1,
            weight: 2,
            port: 3,
            target: 'a.example.com',
          }),
          record('example.com', 65280, { kind: 'unknown', bytes: bytes('\x01\x02') }),
        ],
        authorities: [
          record('example.com', DnsType.SOA, {
            kind: 'soa',
            primary: 'ns.example.com',
            mailbox: 'root.example.com',
            serial: 4_000_000_000,
            refresh: 1,
            retry: 2,
            expire: 3,
            minimum: 4,
          }),
        ],
        edns: { udpSize: 4096, version: 0, dnssecOk: true, options: [{ code: 10, data: bytes('cookie12') }] },
      },
    );
    const written = emitDns(message);
    expect(parseDns(written)).to.deep.equal(message);
    expect(Buffer.from(written).toString('latin1').split('\x07example').length - 1, 'SRV targets stand alone').to.equal(
      2,
    );
  });

  it('1035-1: refuses pointers that lead in a circle, forward or to themselves', () => {
    const header = Buffer.from('000080000000000100000000', 'hex');
    for (const name of ['c00c', '01614000', 'c00e0000', '0161c00c', 'c0ff', 'c0', '80', '3f61']) {
      const data = Buffer.concat([header, Buffer.from(name, 'hex'), Buffer.from('0001000100000000', 'hex')]);
      expect(outcome(data), name).to.equal('ERR_BAD_MESSAGE');
    }
  });

  it('refuses names of more than 255 bytes, also when pointers put them together', () => {
    const label = `${'x'.repeat(63)}.`;
    expect(nameLabels(`${label.repeat(3)}${'y'.repeat(61)}`)).to.have.length(4);
    expect(() => nameLabels(`${label.repeat(3)}${'y'.repeat(62)}`)).to.throw(UsageError);
    const long = Buffer.concat([Buffer.from([63]), Buffer.alloc(63, 0x78)]);
    const chained = Buffer.concat([long, long, long, Buffer.from([0]), long, Buffer.from([0xc0, 0])]);
    expect(() => readName(chained, 193)).to.throw(UsageError, 'too long');
  });

  it('says which record was cut, unless the message says that it is truncated', () => {
    const answers = [1, 2, 3].map((n) => record('a.test', DnsType.A, { kind: 'address', address: new Ipv4Address(n) }));
    const whole = emitDns(dnsQuery(1, { name: 'a.test', type: 1, class: 1 }, { response: true, answers }));
    for (let length = 0; length < whole.length; length++) {
      expect(outcome(whole.slice(0, length)), `${length} bytes`).to.equal('ERR_BAD_MESSAGE');
    }
    const truncated = emitDns(
      dnsQuery(1, { name: 'a.test', type: 1, class: 1 }, { response: true, truncated: true, answers }),
    );
    expect(parseDns(truncated.slice(0, -5)).answers).to.have.length(2);
  });

  it('compares names without regard to case, and keeps the case they have', () => {
    expect(sameName('WWW.Example.com.', 'www.example.COM')).to.equal(true);
    expect(sameName('a\\.', 'a')).to.equal(false);
    const { questions } = parseDns(emitDns(dnsQuery(1, { name: 'MiXed.Test', type: 1 })));
    expect(questions[0]?.name).to.equal('MiXed.Test');
  });

  it('gives every name on the wire one text, which gives it back', () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(label, { maxLength: 8 }), (labels) => {
        const wire = Buffer.concat([
          ...labels.map((one) => Buffer.concat([Buffer.from([one.length]), one])),
          Buffer.of(0),
        ]);
        const { name, next } = readName(wire, 0);
        expect(next).to.equal(wire.length);
        expect(nameLabels(name).map((one) => [...one])).to.deep.equal(labels.map((one) => [...one]));
      }),
      { numRuns: 200 },
    );
  });

  it('reads any bytes as a message or as ERR_BAD_MESSAGE, and what it read it can write', () => {
    const seed = emitDns(
      dnsQuery(
        1,
        { name: 'a.b.c', type: 255, class: 1 },
        {
          answers: [
            record('b.c', DnsType.MX, { kind: 'mx', preference: 1, exchange: 'a.b.c' }),
            record('c', DnsType.TXT, { kind: 'txt', strings: [bytes('hello')] }),
          ],
          edns: { udpSize: 512, version: 0, dnssecOk: false, options: [] },
        },
      ),
    );
    const mutated = fc
      .array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const copy = seed.slice();
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
    let read = 0;
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), mutated), (data) => {
        const message = outcome(data);
        if (typeof message === 'string') {
          expect(message).to.equal('ERR_BAD_MESSAGE');
          return;
        }
        read++;
        expect(parseDns(emitDns(message))).to.deep.equal(message);
      }),
      { numRuns: 2000 },
    );
    expect(read, 'messages among them').to.be.greaterThan(100);
  });
});
