import { expect } from 'chai';
import { Ipv4Address } from '../../../../lib/core/address.js';
import { ExternalAddress, type ForwardTarget } from '../../../../lib/l4/nat/externals.js';
import { NatProtocol } from '../../../../lib/l4/nat/protocols.js';

const { Tcp } = NatProtocol;
const target = (shift = 0): ForwardTarget => ({ address: Ipv4Address.parse('10.0.0.80'), shift });

describe('ExternalAddress', () => {
  let external: ExternalAddress;

  beforeEach(() => {
    external = new ExternalAddress(Ipv4Address.parse('198.51.100.1'), 1);
  });

  it('forwards those of several ports that are neither in use nor forwarded elsewhere', () => {
    external.free(Tcp).take(80);
    expect(external.forward(Tcp, 82, 82, target(1))).to.equal(true);
    expect(external.forward(Tcp, 80, 83, target())).to.equal(false);
    expect([80, 81, 82, 83, 84].map((port) => external.target(Tcp, port)?.shift)).to.deep.equal([
      undefined,
      0,
      1,
      0,
      undefined,
    ]);
    expect([81, 82, 83].some((port) => external.free(Tcp).isFree(port))).to.equal(false);
  });

  it('forwards a port later that was in use, and knows each target once', () => {
    external.free(Tcp).take(80);
    external.forward(Tcp, 80, 81, target());
    const first = external.target(Tcp, 81);
    for (let i = 0; i < 3; i++) expect(external.forward(Tcp, 80, 81, target())).to.equal(false);
    external.free(Tcp).give(80);
    expect(external.forward(Tcp, 80, 81, target())).to.equal(true);
    expect(external.target(Tcp, 80)).to.equal(first);
  });
});
