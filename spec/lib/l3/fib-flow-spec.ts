import { expect } from 'chai';
import { Frame } from '../../../lib/core/frame.js';
import { FlowHash } from '../../../lib/l3/fib-flow.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { PacketFields } from '../../../lib/wire/packet-fields.js';

type Version = 4 | 6;

/** By version: the type of a message that says that a destination is unreachable, and where the payload of one begins. */
const ERROR = { 4: 3, 6: 1 };
const PAYLOAD = { 4: 28, 6: 48 };
const ECHO = { 4: 'icmp echo_request id 7 seq 1 (80)', 6: 'icmpv6 echo_request id 7 seq 1 (80)' };
/** By version: hashes under the seed 1 of what is sent from port 1 to port 2. */
const FINGERPRINTS = { 4: -2_082_236_386, 6: -677_621_977 };

function bytesOf(version: Version, text: string): Uint8Array {
  return new PacketNotation({ version, linkType: 'ip' }).build(text).bytes().slice();
}

function hashOf(bytes: Uint8Array, hash = new FlowHash(1)): number {
  const frame = Frame.from(bytes);
  const fields = new PacketFields();
  expect(fields.read(frame, frame.start)).to.equal(true);
  return hash.of(fields, frame);
}

/** The same packet the other way. */
function reversed(version: Version, bytes: Uint8Array): Uint8Array {
  const [addresses, length, ports] = version === 4 ? [12, 4, 20] : [8, 16, 40];
  const out = bytes.slice();
  out.set(bytes.subarray(addresses, addresses + length), addresses + length);
  out.set(bytes.subarray(addresses + length, addresses + 2 * length), addresses);
  out.set(bytes.subarray(ports, ports + 2), ports + 2);
  out.set(bytes.subarray(ports + 2, ports + 4), ports);
  return out;
}

for (const version of [4, 6] as const) {
  describe(`FlowHash of IPv${version}`, () => {
    const udp = bytesOf(version, 'udp 1 > 2 (40)');

    it('is that of the flow, both ways, whatever its packets bring', () => {
      const long = bytesOf(version, 'udp 1 > 2 (900)');
      expect(hashOf(long)).to.equal(hashOf(udp));
      expect(hashOf(reversed(version, udp))).to.equal(hashOf(udp));
    });

    it('is another one for other ports, protocols and seeds', () => {
      const others = ['udp 1 > 3 (40)', 'udp 3 > 2 (40)', 'udp 2 > 1 (40)'].map((text) =>
        hashOf(bytesOf(version, text)),
      );
      expect(others).not.to.include(hashOf(udp));
      expect(new Set(others).size).to.equal(3);
      expect(hashOf(udp, new FlowHash(2))).not.to.equal(hashOf(udp));
    });

    it('spreads flows that differ in a port over any number of ways', () => {
      const counts = new Map<number, number>();
      for (let port = 1; port <= 1024; port++) {
        const way = (hashOf(bytesOf(version, `udp ${port} > 53 (0)`)) >>> 0) % 8;
        counts.set(way, (counts.get(way) ?? 0) + 1);
      }
      for (let way = 0; way < 8; way++) expect(counts.get(way)).to.be.within(90, 170);
    });

    it('of an error is that of the packet it quotes', () => {
      const error = bytesOf(version, ECHO[version]);
      const echo = hashOf(error);
      error[PAYLOAD[version] - 8] = ERROR[version];
      error.set(udp.subarray(0, 60), PAYLOAD[version]);
      expect(hashOf(error)).to.equal(hashOf(udp));
      error.set(reversed(version, udp).subarray(0, 60), PAYLOAD[version]);
      expect(hashOf(error)).to.equal(hashOf(udp));
      error.fill(0, PAYLOAD[version]);
      expect(hashOf(error)).not.to.equal(hashOf(udp));
      expect(hashOf(error)).to.equal(echo);
    });

    it('is the same in every process', () => {
      expect(hashOf(udp)).to.equal(FINGERPRINTS[version]);
    });
  });
}

describe('FlowHash', () => {
  it('is the same for all fragments of a packet', () => {
    const first = bytesOf(4, 'udp 5 > 7 (100)');
    const second = first.slice();
    new DataView(first.buffer).setUint16(6, 0x2000);
    new DataView(second.buffer).setUint16(6, 0x0002);
    second.fill(0xff, 20);
    expect(hashOf(first)).to.equal(hashOf(second));
  });
});
