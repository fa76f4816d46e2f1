import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  parsePcapFilter,
  PcapFilter,
  PcapFilterError,
  printPcapFilter,
} from '../../../../lib/filter/pcap-filter/index.js';
import { anyFilter, anyFrame, anyIpPacket } from './arbitrary.js';
import { naive } from './naive.js';

function verdict(filter: PcapFilter, bytes: Uint8Array, length: number, linkType: 'ethernet' | 'ip'): boolean {
  // Not at the start of the memory, and with bytes behind it that are not the packet's.
  const memory = new Uint8Array(bytes.length + 40).fill(0xdb);
  memory.set(bytes, 7);
  return filter.matches(new DataView(memory.buffer), 7, 7 + bytes.length, linkType, length);
}

describe('pcap filters, whatever they say', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(anyFilter, (node) => {
        const text = printPcapFilter(node);
        expect(parsePcapFilter(text)).to.deep.equal(node);
        expect(printPcapFilter(parsePcapFilter(text))).to.equal(text);
      }),
      { numRuns: 1000 },
    );
  });

  for (const [linkType, anyPacket] of [
    ['ethernet', anyFrame],
    ['ip', anyIpPacket],
  ] as const) {
    it(`decide about ${linkType} packets as a naive reader does`, () => {
      let matched = 0;
      fc.assert(
        fc.property(anyFilter, fc.array(anyPacket, { minLength: 5, maxLength: 20 }), (node, packets) => {
          const filter = new PcapFilter(printPcapFilter(node));
          for (const packet of packets) {
            const expected = naive(node, packet, linkType);
            if (expected) matched++;
            expect(verdict(filter, packet.bytes, packet.length, linkType)).to.equal(expected);
          }
        }),
        { numRuns: 2000 },
      );
      expect(matched).to.be.above(1000);
    });
  }

  it('refuse any text that is none with an error that says where', () => {
    const words = fc.constantFrom(
      'tcp',
      'port',
      '80',
      'host',
      '10.0.0.1',
      '::1',
      'and',
      'or',
      'not',
      '(',
      ')',
      '[',
      ']',
      ':',
      '=',
      '&',
      '-',
      'net',
      '/',
      'vlan',
      'src',
      'dst',
      'len',
      'ether',
      '02:00:00:00:00:01',
      'proto',
      '\\tcp',
      '1-5',
      'portrange',
      'tcp-syn',
      '!',
      'foo',
      '0x1g',
      '08',
    );
    const texts = fc.oneof(
      fc.array(words, { maxLength: 12 }).map((all) => all.join(' ')),
      fc.string(),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const filter = new PcapFilter(text);
          expect(new PcapFilter(filter.toString()).node).to.deep.equal(filter.node);
        } catch (error) {
          if (!(error instanceof PcapFilterError)) throw error;
          expect(error.code).to.equal('ERR_BAD_FILTER');
          expect(error.column).to.be.within(1, text.length + 1);
        }
      }),
      { numRuns: 5000 },
    );
  });
});
