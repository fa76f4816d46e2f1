import { expect } from 'chai';
import { knowsVnetHeader, settleOffloads } from '../../../drivers/native/offload.js';
import { StandInLibc } from './stand-in-libc.js';

const TUNGETFEATURES = 0x8004_54cf;
const TUNGETIFF = 0x8004_54d2;
const IFF_VNET_HDR = 0x4000;
// linux/if_tun.h: CSUM 1, TSO4 2, TSO6 4, TSO_ECN 8, USO4 0x20, USO6 0x40.
const TSO = 7;
const ECN = 8;
const USO = 0x60;

function kernel(flags: number, takes: (set: number) => boolean): StandInLibc {
  const c = new StandInLibc();
  c.takes = takes;
  c.answers = (request, argument) => {
    if (request === TUNGETFEATURES) new DataView(argument.buffer).setUint32(0, flags, true);
    if (request === TUNGETIFF) new DataView(argument.buffer).setUint16(16, flags, true);
    return 0;
  };
  return c;
}

describe('offloads of a TAP', () => {
  it('are all that the kernel knows, and of UDP on the way out', () => {
    const c = kernel(IFF_VNET_HDR, () => true);
    expect(knowsVnetHeader(c.libc, 3)).to.equal(true);
    expect(settleOffloads(c.libc, 3)).to.deep.equal({ vnetHeader: true, udpSegmentation: true });
    expect(c.offloads.at(-1)).to.equal(TSO | ECN);
  });

  it('are fewer where it knows fewer', () => {
    for (const [known, last] of [
      [TSO | ECN, TSO | ECN],
      [TSO, TSO],
      [1, 1],
      [0, 0],
    ] as const) {
      const c = kernel(IFF_VNET_HDR, (set) => (set & ~known) === 0);
      expect(settleOffloads(c.libc, 3)).to.deep.equal({ vnetHeader: true, udpSegmentation: false });
      expect(c.offloads.at(-1)).to.equal(last);
      expect(c.offloads).to.include(TSO | USO);
    }
  });

  it('are none without virtio-net header, and those that the interface had are taken back', () => {
    const c = kernel(0, () => true);
    expect(knowsVnetHeader(c.libc, 3)).to.equal(false);
    expect(settleOffloads(c.libc, 3)).to.deep.equal({ vnetHeader: false, udpSegmentation: false });
    expect(c.offloads).to.deep.equal([0]);
  });
});
