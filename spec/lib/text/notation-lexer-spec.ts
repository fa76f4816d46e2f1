import { expect } from 'chai';
import { PacketNotation } from '../../../lib/text/notation.js';
import { NotationError, tokenize } from '../../../lib/text/notation-lexer.js';

const kinds = (text: string): string[] =>
  tokenize(text).map(({ kind, text: source }) => `${kind} ${source.trim()}`.trim());

describe('the lexer', () => {
  it('takes for punctuation what is opened and never closed', () => {
    expect(kinds('a /* b */ /* c')).to.deep.equal(['word a', 'punctuation /', 'punctuation *', 'word c', 'end']);
    expect(kinds('%{ a }% %{ b')).to.deep.equal(['code a', 'punctuation %', 'punctuation {', 'word b', 'end']);
    expect(kinds('%{ a /* }% */')).to.deep.equal(['code a /*', 'punctuation *', 'punctuation /', 'end']);
    expect(kinds('"a" "b\n"c"')).to.deep.equal(['string a', 'punctuation "', 'word b', 'string c', 'end']);
    expect(kinds('"\\"\\" "\n"\\"x"').slice(-2)).to.deep.equal(['string \\"x', 'end']);
    expect(kinds('`a` `b')).to.deep.equal(['command a', 'punctuation `', 'word b', 'end']);
  });

  it('finds IPv6 addresses among ranges and times', () => {
    expect(kinds('1:1001 fe80::1 :: 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 ::ffff:10.0.0.1')).to.deep.equal([
      'integer 1',
      'punctuation :',
      'integer 1001',
      'ipv6 fe80::1',
      'ipv6 ::',
      'ipv6 1:2:3:4:5:6:7:8',
      'ipv6 1:2:3:4:5:6:7::',
      'ipv6 ::2:3:4:5:6:7:8',
      'ipv6 ::ffff:10.0.0.1',
      'end',
    ]);
  });

  for (const part of ['/* ', '%{ ', '1:', '"\\', '\\"', '" ', '`', 'a /* b */ /*', '0x1g ', '--a', '::1:']) {
    it(`takes no longer for each token where there are many: ${JSON.stringify(part)}`, () => {
      const text = part.repeat(400_000 / part.length);
      const before = performance.now();
      tokenize(text);
      expect(performance.now() - before).to.be.below(4000);
    });
  }

  it('does not exhaust the stack where quotes nest', () => {
    const notation = new PacketNotation();
    const nested = (depth: number) => `< ${'icmp unreachable port ['.repeat(depth)}udp 1 > 2 (0)${']'.repeat(depth)}`;
    expect(() => notation.parse(nested(100_000))).to.throw(NotationError, /nested too deep/);
    expect(notation.parse(nested(8))).to.have.nested.property('quote.quote.quote.kind', 'icmp');
  });
});
