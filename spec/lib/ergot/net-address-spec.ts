import { expect } from 'chai';
import * as fc from 'fast-check';
import { UsageError } from '../../../lib/core/errors.js';
import * as e from '../../../lib/ergot/index.js';
import { hex } from './bytes.js';

describe('net addresses', () => {
  const vectors: readonly (readonly [string, string])[] = [
    ['0.0:1', '01'],
    ['0.0:128', '8001'],
    ['0.1:0', '8002'],
    ['0.63:254', 'fe7f'],
    ['1.2:5', '858404'],
    ['4095.1:1', '8182fc7f'],
    ['4096.1:1', '8182808001'],
    ['65534.254:254', 'fefdfbff0f'],
  ];
  for (const [text, wire] of vectors) {
    it(`has ${text} on the wire as ${wire}`, () => {
      const address = e.parseNetAddress(text);
      expect(e.netAddressText(address)).to.equal(text);
      expect(hex(e.encode(e.u32, address >>> 0))).to.equal(wire);
    });
  }

  it('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.nat(65_535), fc.nat(255), fc.nat(255), (network, node, port) => {
        const address = e.netAddress(network, node, port);
        expect(address | 0).to.equal(address);
        expect(e.parseNetAddress(e.netAddressText(address))).to.equal(address);
        expect([e.networkOf(address), e.nodeOf(address), e.portOf(address)]).to.deep.equal([network, node, port]);
        expect(e.netAddressText(e.withNetwork(address, 7))).to.equal(`7.${node}:${port}`);
        expect(e.netAddressText(e.withPort(address, 9))).to.equal(`${network}.${node}:9`);
        expect(e.isAnyOrAll(address)).to.equal(port === 0 || port === 255);
        expect(e.isAssignable(address)).to.equal(network % 65_535 !== 0 && node % 255 !== 0);
      }),
    );
  });

  it('refuses what is none', () => {
    for (const text of ['', '1', '1.2', '1.2:', '65536.1:1', '1.256:1', '1.1:256', '-1.1:1', '1.1:1 ', '1.1.1:1']) {
      expect(() => e.parseNetAddress(text), text)
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_ADDRESS');
    }
    expect(() => e.netAddress(0.5, 1, 1))
      .to.throw(UsageError)
      .with.property('code', 'ERR_INVALID_ADDRESS');
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          e.parseNetAddress(text);
        } catch (error) {
          expect(error).to.be.instanceOf(UsageError);
        }
      }),
    );
  });
});
