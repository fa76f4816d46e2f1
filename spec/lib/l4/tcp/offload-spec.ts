/** Segments that the device is to cut and to complete: what goes out is what would have gone out one by one. */

import { expect } from 'chai';
import type { IpVersion } from '../../../../lib/core/address.js';
import { ChecksumState, GsoType, type TxPacket } from '../../../../lib/core/frame.js';
import type { TcpOptions } from '../../../../lib/l4/tcp/options.js';
import { updateChecksum } from '../../../../lib/wire/checksum.js';
import { TcpFlag } from '../../../../lib/wire/tcp.js';
import { forBothVersions } from '../../../both-versions.js';
import { forSeeds } from '../../../operators/stack/transfer.js';
import { App, join, Pair, pattern, type Carry } from './pair.js';
import { survive } from './survive.js';

const SEEDS = 400;
const BATCH = 50;
// Large bursts; no pace, by which rounding may put a segment on either side of its time; and no option that is repeated for so many packets,
// since those of a super-segment all have it.
const BURSTS: TcpOptions = { initialWindow: 100, pacing: false, ecnOption: 'full' };
const FLAGS = 12;
const CHECKSUM = 16;

/** Offset of the TCP header in an IP packet. */
function transport(bytes: Uint8Array): number {
  return (bytes[0] ?? 0) >>> 4 === 4 ? 4 * ((bytes[0] ?? 0) & 15) : 40;
}

/** What enters the pipe, packet by packet; PSH is taken off, which a super-segment says for the last of its segments only. */
function trace(seed: number, version: IpVersion, offload: boolean): { lines: string[]; pair: Pair } {
  const lines: string[] = [];
  const seen = (bytes: Uint8Array, from: 0 | 1, now: number): void => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const at = transport(bytes);
    const flags = view.getUint16(at + FLAGS);
    const bare = flags & ~TcpFlag.Psh;
    view.setUint16(at + FLAGS, bare);
    view.setUint16(at + CHECKSUM, updateChecksum(view.getUint16(at + CHECKSUM), flags, bare));
    lines.push(`${now} from ${from}: ${Buffer.from(bytes.subarray(at)).toString('base64')}`);
  };
  return { lines, pair: survive(seed, version, { offload, seen, tcp: BURSTS }) };
}

forBothVersions('TCP with offloads', ({ version }) => {
  /** A transfer of `size` bytes between hosts whose devices cut; returns what was given to the first one's. */
  function transfer(size: number, carry: Carry = () => [5], tcp: TcpOptions = {}) {
    const pair = new Pair({ version, offload: true, carry, tcp: [tcp, {}] });
    const packets: { length: number; gsoSize: number; gsoType: number; checksum: number; flags: number }[] = [];
    const { output } = pair.hosts[0];
    const { emit } = output;
    output.emit = (packet: TxPacket) => {
      const { gsoSize, gsoType, checksum } = packet;
      const at = transport(packet.bytes());
      const flags = packet.slab.view.getUint16(packet.start + at + FLAGS) & 0x1ff;
      packets.push({ length: packet.length, gsoSize, gsoType, checksum, flags });
      emit?.(packet);
    };
    const [client, server] = [new App(pattern(size)), new App()];
    join(pair, client, server, { server: { receiveBuffer: 1 << 22 }, client: { sendBuffer: 1 << 22 } });
    pair.scheduler.run();
    expect(Buffer.compare(server.data, pattern(size))).to.equal(0);
    pair.expectClean();
    return { pair, packets, supers: packets.filter(({ gsoSize }) => gsoSize > 0) };
  }

  it('fills IP packets with full segments', () => {
    const { supers } = transfer(2_000_000, undefined, { initialWindow: 100 });
    const [largest] = supers.map(({ length }) => length).sort((a, b) => b - a);
    const headers = (version === 4 ? 20 : 40) + 32;
    const full = 1500 - headers;
    expect(largest).to.equal(headers + Math.floor((65_535 - 40 - headers + 12) / full) * full);
    for (const { gsoSize, gsoType } of supers) {
      expect(gsoSize).to.equal(full);
      expect(gsoType).to.equal(version === 4 ? GsoType.TcpV4 : GsoType.TcpV6);
    }
  });

  it('leaves all checksums to the device but those of refusals', () => {
    const { packets } = transfer(100_000);
    for (const { checksum } of packets) expect(checksum).to.equal(ChecksumState.Partial);
  });

  it('sends the end of the stream, and its FIN, with the full segments before it', () => {
    // What the initial window has room for.
    const { packets, supers } = transfer(10_000);
    expect(supers).to.have.length(1);
    const [one] = supers;
    expect((one?.flags ?? 0) & (TcpFlag.Psh | TcpFlag.Fin)).to.equal(TcpFlag.Psh);
    // SYN, ACK, data, FIN, the ACK of the peer's FIN.
    expect(packets).to.have.length.lessThan(7);
  });

  it('counts what is on the wire', () => {
    const { pair, packets, supers } = transfer(300_000);
    const alone = packets.length - supers.length;
    expect(pair.hosts[0].counters.segmentsOut).to.equal(alone + pair.cutSegments);
    expect(pair.hosts[0].counters.retransmits).to.equal(0);
  });

  it('sends single segments again, and single new ones until all is repaired', () => {
    let count = 0;
    // The twentieth segment of the first host's is lost, and each hundredth.
    const carry: Carry = (_bytes, from) => (from === 0 && (++count === 20 || count % 100 === 0) ? [] : [5]);
    const { pair } = transfer(2_000_000, carry);
    const { counters } = pair.hosts[0];
    expect(counters.retransmits).to.be.within(10, 40);
    expect(counters.timeouts).to.equal(0);
    expect(pair.cutSegments).to.be.greaterThan(500);
  });

  it('makes no super-segment of what is not larger than one', () => {
    const { supers } = transfer(1000);
    expect(supers).to.have.length(0);
  });

  for (let first = 1; first <= SEEDS; first += BATCH) {
    const last = first + BATCH - 1;
    it(`makes no difference on the wire: seeds ${first} to ${last}`, () => {
      const met = { superSegments: 0, cutSegments: 0 };
      forSeeds(first, last, (seed) => {
        const one = trace(seed, version, false);
        const other = trace(seed, version, true);
        met.superSegments += other.pair.superSegments;
        met.cutSegments += other.pair.cutSegments;
        expect(other.lines).to.deep.equal(one.lines);
      });
      expect(met.superSegments).to.be.greaterThan(10);
      expect(met.cutSegments).to.be.greaterThan(2 * met.superSegments);
    }).timeout(90_000);
  }
});
