import { expect } from 'chai';
import type { Device } from '../../../lib/core/device.js';
import { bytes, type ErgotError, endpoint, PhoneAddress, protocolErrorName, u32 } from '../../../lib/ergot/index.js';
import { type PhoneLinkOptions, phoneProfile } from '../../../lib/ergot/phone/index.js';
import { type WatchedNode, WatchedNetwork } from './watched-network.js';

type Node = WatchedNode<PhoneAddress>;

const length = endpoint('test/length', bytes, u32);
/** Hops that a frame may make; the first carries one less (ergot 0.12). */
const TTL = 16;

/** Devices in a row, each the child of the one before: `first`^`bits`, each a bit smaller than its parent. */
function row(count: number, mtus: readonly number[] = []) {
  const net = new WatchedNetwork<PhoneAddress>(1);
  const nodes: Node[] = [];
  for (let i = 0; i < count; i++) {
    const bits = 3 + count - i;
    const link = ({ name }: Device): PhoneLinkOptions =>
      name === `n${i}-n${i + 1}`
        ? { kind: 'child', blocks: [{ first: 8, len: bits - 1 }] }
        : { kind: 'parent', bits: bits + 1, blocks: [{ first: 8, len: bits }] };
    const node = net.add(`n${i}`, phoneProfile({ bits, sockets: 3, link }));
    node.node.serve(length, { port: 1 }).subscribe((request) => request.answer(request.value.length));
    nodes.push(node);
    const before = nodes[i - 1];
    if (before !== undefined) net.connect(before, node, { mtu: mtus[i - 1] ?? 1_024, impair: { delay: 1 } });
  }
  /** The address of a socket of device `i`, in the scope of the first. */
  const address = (i: number) => new PhoneAddress(8 * i + 1, 3 + count);
  return { net, nodes, address };
}

/** What comes of asking how long so many bytes are. */
function ask(net: WatchedNetwork<PhoneAddress>, from: Node | undefined, to: PhoneAddress, size: number): string {
  let heard = 'nothing';
  from?.node.request(length, to, new Uint8Array(size), { timeout: 100 }).subscribe({
    next: ({ value }) => (heard = `${value}`),
    error: ({ code, protocolError, mtu }: ErgotError) =>
      (heard = protocolError === undefined ? code : `${protocolErrorName(protocolError)} ${mtu}`),
  });
  net.run(110);
  return heard;
}

describe('frames between devices with phone-number addresses', () => {
  it(`make ${TTL} hops and no more, and who sent them is told`, () => {
    const { net, nodes, address } = row(TTL + 3);
    const answers = [1, TTL - 1, TTL, TTL + 1, TTL + 2].map((to) => ask(net, nodes[0], address(to), 2));
    expect(answers).to.deep.equal(['2', '2', '2', 'IseTtlExpired 0', 'IseTtlExpired 0']);
    expect(nodes[TTL]?.env.drops.toJSON()).to.deep.equal({ 'ergot-ttl-expired': 2 });
    expect(ask(net, nodes[TTL], address(0), 2)).to.equal('2');
    expect(ask(net, nodes[TTL + 1], address(0), 2)).to.equal('IseTtlExpired 0');
    net.end();
  });

  it('are as large as all links on their way carry, and who sent larger ones is told how large', () => {
    const mtus = [200, 90, 120];
    const { net, nodes, address } = row(4, mtus);
    const headers = 40;
    for (const to of [1, 2, 3]) {
      const narrow = Math.min(...mtus.slice(0, to));
      const first = mtus.find((mtu) => mtu < 300 && mtu === narrow) ?? 0;
      expect(ask(net, nodes[0], address(to), narrow - headers)).to.equal(`${narrow - headers}`);
      expect(ask(net, nodes[0], address(to), narrow)).to.equal(`IsePacketTooBig ${first}`);
    }
    expect(ask(net, nodes[3], new PhoneAddress(9, 7), 130)).to.equal('IsePacketTooBig 120');
    expect(ask(net, nodes[3], new PhoneAddress(9, 7), 100)).to.equal('IsePacketTooBig 90');
    const dropped = nodes.map(({ env }) => env.drops.toJSON()['ergot-too-large'] ?? 0);
    expect(dropped).to.deep.equal([1, 2, 1, 1]);
    net.end();
  });

  it('do not circulate among siblings who each think that the other is nearer', () => {
    const net = new WatchedNetwork<PhoneAddress>(1);
    // Each of two routers of a layer of ^8 has 2^6 addresses; what begins at C0 each believes to be at the other.
    const nodes = [0, 1].map((id) => {
      const blocks = [
        { first: (1 - id) * 64, len: 6 },
        { first: 0xc0, len: 6 },
      ];
      const options = { bits: 8, sockets: { first: id * 64, len: 3 }, pool: [{ first: id * 64, len: 6 }] };
      return net.add(`r${id}`, phoneProfile({ ...options, link: () => ({ kind: 'sibling', blocks }) }));
    });
    const [a, b] = nodes;
    if (a === undefined || b === undefined) throw new Error('no routers');
    b.node.serve(length, { port: 1 }).subscribe((request) => request.answer(request.value.length));
    net.connect(a, b, { impair: { delay: 1 } });
    expect(ask(net, a, new PhoneAddress(64 + 1, 8), 3)).to.equal('3');
    const before = net.received;
    expect(ask(net, a, new PhoneAddress(0xc1, 8), 3)).to.equal('IseRoutingLoop 0');
    expect(net.received - before).to.be.at.most(4);
    net.end();
  });

  it('that lead nowhere, or to nobody, are refused and not lost', () => {
    const { net, nodes, address } = row(2);
    expect(ask(net, nodes[1], new PhoneAddress(7, 30), 1)).to.equal('IseNoRouteToDest 0');
    expect(ask(net, nodes[0], new PhoneAddress(0x1f, 5), 1)).to.equal('IseNoRouteToDest 0');
    expect(ask(net, nodes[0], new PhoneAddress(address(1).value + 2, 5), 1)).to.equal('NsseNoRoute 0');
    net.end();
  });
});
