import { expect } from 'chai';
import { UsageError } from '../../../../lib/core/errors.js';
import * as e from '../../../../lib/ergot/index.js';
import { type PhoneDevice, PhoneNet, who } from './phone-net.js';

/** Where a device lies in the scopes above it: `300^10 0300^16`. */
function lies({ profile }: PhoneDevice, ...scopes: number[]): string {
  const first = new e.PhoneAddress(0, profile.bits);
  return scopes.map((bits) => profile.locate(first, bits)?.toString() ?? '-').join(' ');
}

/** The network of proposal 0145; every device asks for its addresses. */
function proposal(seed = 1) {
  const net = new PhoneNet(seed);
  const [a, b, c] = [
    net.device('A', { bits: 10, packed: true }),
    net.device('B', { bits: 8 }),
    net.device('C', { bits: 9, packed: true }),
  ];
  const [d, e6, f] = [net.device('D', { bits: 8 }), net.device('E', { bits: 6 }), net.device('F', { bits: 7 })];
  net.cable(a, b);
  net.scheduler.runFor(10);
  const ac = net.cable(a, c);
  net.scheduler.runFor(10);
  net.cable(a, f);
  net.cable(c, d);
  net.scheduler.runFor(10);
  const ce = net.cable(c, e6);
  net.scheduler.runFor(10);
  return { net, a, b, c, d, e: e6, f, ac, ce };
}

describe('addresses that devices ask for', () => {
  it('are those of proposal 0145, and lead there at once', () => {
    const { net, a, b, c, d, e: leaf, f } = proposal();
    expect([b, c, d, leaf, f].map((device) => lies(device, 10))).to.deep.equal([
      '080^10',
      '180^10',
      '200^10',
      '300^10',
      '380^10',
    ]);
    expect([lies(d, 9), lies(leaf, 9), lies(a, 10), lies(a, 11)]).to.deep.equal(['080^9', '180^9', '000^10', '-']);
    expect(net.ask(b, '301^10')).to.match(/^E 08.\^10 from 301\^10$/);
    expect(net.ask(leaf, '381^10')).to.match(/^F 30.\^10 from 381\^10$/);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are given out only by who has the sockets to serve them, and is refused else', () => {
    for (const [sockets, taken, isEnough] of [
      [2, 0, false],
      [3, 2, true],
      [3, 3, false],
    ] as const) {
      const net = new PhoneNet();
      const parent = net.device('P', { bits: 8, sockets });
      const mine = Array.from({ length: taken - 1 }, () => parent.node.stack.serve(who, () => {}));
      const open = () => [...parent.node.stack.sockets()].length;
      const before = open();
      const child = net.device('C', { bits: 6 });
      const cable = () => net.cable(parent, child);
      if (isEnough) cable();
      else expect(cable).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
      expect(parent.node.profile.links).to.have.lengthOf(isEnough ? 1 : 0);
      expect(open() - before).to.equal(isEnough ? 5 : 0);
      // Where sockets are closed, there is room.
      for (const socket of mine) socket.close();
      if (sockets === 3 && !isEnough) cable();
      net.scheduler.runFor(10);
      expect(lies(child, 8)).to.equal(sockets === 3 ? '40^8' : '-');
      expect(net.end()).to.deep.equal([0, 0]);
    }
  });

  it('are kept for an hour by those who are there', () => {
    const { net, b, c, d, e: leaf, f } = proposal();
    const before = [b, c, d, leaf, f].map((device) => lies(device, 10));
    for (let minute = 0; minute < 60; minute++) {
      net.scheduler.runFor(60_000);
      expect([b, c, d, leaf, f].map((device) => lies(device, 10))).to.deep.equal(before);
    }
    expect(net.ask(b, '301^10')).to.match(/^E /);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('come back after the lease and the tombstone of a child that vanished, and not before', () => {
    const { net, a, c, ce } = proposal();
    const free = c.profile.pool.free;
    ce.unplug();
    // Extended at once to 120 s, and again when 62 s are left: 62 to 120 s are left whenever it vanishes.
    net.scheduler.runFor(61_000);
    expect(c.profile.pool.free).to.equal(free);
    net.scheduler.runFor(59_000 - 30);
    expect(c.profile.pool.at(0x180)?.len).to.equal(6);
    expect(net.ask(a, '301^10', 10)).to.equal('IseNoRouteToDest');
    net.scheduler.runFor(29_900);
    expect(c.profile.pool.free).to.equal(free);
    net.scheduler.runFor(200);
    expect(c.profile.pool.free).to.equal(free + 64);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('stay the same where a link fails for less than the lease, and are asked for anew after', () => {
    const { net, b, e: leaf, ce } = proposal();
    ce.cut();
    net.scheduler.runFor(50_000);
    ce.heal();
    net.scheduler.runFor(20_000);
    expect(lies(leaf, 10)).to.equal('300^10');
    expect(net.ask(b, '301^10')).to.match(/^E /);
    ce.cut();
    net.scheduler.runFor(160_000);
    expect([lies(leaf, 10), net.ask(leaf, '001^10')]).to.deep.equal(['-', 'IseNoRouteToDest']);
    ce.heal();
    net.scheduler.runFor(20_000);
    expect(lies(leaf, 10)).to.equal('300^10');
    expect(net.ask(b, '301^10')).to.match(/^E /);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('go with a child to another link of the same parent, which knows it by its number', () => {
    const { net, a, b, c, e: leaf, ce } = proposal();
    ce.unplug();
    net.scheduler.runFor(100);
    net.cable(c, leaf);
    net.scheduler.runFor(100);
    expect(lies(leaf, 10)).to.equal('300^10');
    expect([net.ask(b, '301^10').slice(0, 2), net.ask(leaf, '001^10').slice(0, 2)]).to.deep.equal(['E ', 'A ']);
    expect(a.profile.pool.allocations).to.equal(4);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are given once, however many requests and answers are lost', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const net = new PhoneNet(seed);
      const parent = net.device('A', { bits: 10, packed: true });
      const children = [9, 8, 7].map((bits) => net.device(`K${bits}`, { bits }));
      for (const child of children)
        net.cable(parent, child, 'child', { impair: { loss: 0.3, delay: 5, duplicate: 0.2 } });
      net.scheduler.runFor(240_000);
      expect(children.filter((child) => lies(child, 10) === '-')).to.deep.equal([]);
      expect([parent.profile.pool.free, parent.profile.pool.allocations]).to.deep.equal([0, 4]);
      expect(net.end()).to.deep.equal([0, 0]);
    }
  });

  it('are refused where there are none, and given when somebody left', () => {
    const net = new PhoneNet();
    const parent = net.device('A', { bits: 8 });
    const [first, second] = [net.device('K1', { bits: 7 }), net.device('K2', { bits: 7 })];
    const cable = net.cable(parent, first);
    net.scheduler.runFor(10);
    net.cable(parent, second);
    net.scheduler.runFor(60_000);
    expect([lies(first, 8), lies(second, 8)]).to.deep.equal(['80^8', '-']);
    cable.unplug();
    net.scheduler.runFor(180_000);
    expect([lies(first, 8), lies(second, 8)]).to.deep.equal(['-', '80^8']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('grow from the parent through three levels, all or none', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 24 });
    const small = (len: number) => ({ sockets: 4, pool: [{ first: 0, len }] });
    const middle = net.device('M', { bits: 20, ...small(6) });
    const low = net.device('L', { bits: 16, ...small(5) });
    net.cable(apex, middle);
    net.cable(middle, low);
    net.scheduler.runFor(100);
    const leaves = Array.from({ length: 12 }, (_, i) => net.device(`K${i}`, { bits: 4 + (i % 6) }));
    for (const leaf of leaves) net.cable(low, leaf);
    // What was given first is over by then, unless it was extended.
    net.scheduler.runFor(45_000);
    const places = leaves.map((leaf) => lies(leaf, 24));
    for (const from of leaves) {
      const address = from.profile.locate(new e.PhoneAddress(1, from.profile.bits), 24);
      expect(address, from.name).not.to.equal(undefined);
      for (const asker of [apex, leaves[0], leaves[11]]) {
        if (asker !== undefined && address !== undefined)
          expect(net.ask(asker, address, 20).split(' ')[0]).to.equal(from.name);
      }
    }
    net.scheduler.runFor(600_000);
    expect(leaves.map((leaf) => lies(leaf, 24))).to.deep.equal(places);
    expect(middle.profile.pool.size).to.be.within(2 ** 11, 2 ** 14);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are given all or none, and once for each number of a request, many at a time', () => {
    const net = new PhoneNet();
    const parent = net.device('A', { bits: 10 });
    const child = net.device('K', { bits: 4 });
    net.cable(parent, child);
    net.scheduler.runFor(10);
    const [link] = child.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    const said: string[] = [];
    const ask = (nonce: number, ...lens: number[]) => {
      const request = { nonce, allocs: lens.map((len) => ({ len, flags: 0 })) };
      child.node.stack.request(e.allocAddresses, e.atLink(link), request, (answer) => {
        if (answer instanceof e.ErgotError) said.push(answer.message);
        else if (answer.value.kind === 'Err') said.push(answer.value.value.kind);
        else said.push(answer.value.value.allocs.map(({ address, len }) => `${address}^${len}`).join(' '));
      });
    };
    const { free } = parent.profile.pool;
    ask(1, 9, 8, 8);
    ask(2);
    ask(3, 0);
    ask(4, 33);
    net.scheduler.runFor(10);
    expect(said.splice(0)).to.deep.equal(['NoSpace', 'InvalidLength', 'InvalidLength', 'InvalidLength']);
    expect(parent.profile.pool.free).to.equal(free);
    ask(5, 8, 7);
    ask(5, 8, 7);
    ask(6, 8);
    ask(7, 9);
    net.scheduler.runFor(10);
    expect(said).to.deep.equal(['256^8 512^7', '256^8 512^7', '768^8', 'NoSpace']);
    expect(parent.profile.pool.free).to.equal(free - 256 - 128 - 256);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('grow out of what an apex has left of its own scope', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 10, pool: [{ first: 0, len: 7 }] });
    const child = net.device('K', { bits: 8 });
    net.cable(apex, child);
    net.scheduler.runFor(100);
    expect([lies(child, 10), apex.profile.pool.size]).to.deep.equal(['100^10', 128 + 256]);
    expect(net.ask(apex, '101^10').slice(0, 2)).to.equal('K ');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for in one request, however often a device grew that had no parent, and kept', () => {
    const net = new PhoneNet();
    const middle = net.device('M', { bits: 20, sockets: 4, pool: [{ first: 0, len: 6 }] });
    const leaves = Array.from({ length: 80 }, (_, i) => net.device(`K${i}`, { bits: 4 + (i % 3) }));
    for (const leaf of leaves) net.cable(middle, leaf);
    net.scheduler.runFor(1000);
    const apex = net.device('A', { bits: 24 });
    net.cable(apex, middle);
    net.scheduler.runFor(1000);
    for (let minute = 0; minute < 2; minute++) {
      for (const leaf of leaves) {
        const address = leaf.profile.locate(new e.PhoneAddress(1, leaf.profile.bits), 24);
        expect(address, leaf.name).not.to.equal(undefined);
        if (address !== undefined) expect(net.ask(apex, address, 20).split(' ')[0]).to.equal(leaf.name);
      }
      net.scheduler.runFor(300_000);
    }
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('do not grow into more pieces than one request may ask for', () => {
    const net = new PhoneNet();
    const scattered = Array.from({ length: 63 }, (_, i) => ({ first: 16 + 8 * i, len: 2 }));
    const middle = net.device('M', { bits: 12, sockets: 4, pool: [{ first: 0, len: 4 }, ...scattered] });
    const [small, large] = [net.device('K', { bits: 4 }), net.device('L', { bits: 2 })];
    net.cable(middle, small);
    net.cable(middle, large);
    const apex = net.device('A', { bits: 24 });
    net.cable(apex, middle);
    net.scheduler.runFor(10_000);
    expect([lies(small, 12), lies(large, 12), lies(middle, 24)]).to.deep.equal(['-', '010^12', '000080^24']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are refused at once where the parent that was asked for more has gone, and given by the next', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 16 });
    const middle = net.device('M', { bits: 12, sockets: 4, pool: [{ first: 0, len: 7 }] });
    const child = net.device('K', { bits: 6 });
    const up = net.cable(apex, middle);
    net.cable(middle, child);
    net.scheduler.runFor(100);
    const said: string[] = [];
    const ask = (nonce: number, times = 1) => {
      const [link] = child.profile.links.map((status) => status.link);
      if (link === undefined) throw new Error('no link');
      for (let i = 0; i < times; i++) {
        const request = { nonce, allocs: [{ len: 8, flags: 0 }] };
        child.node.stack.request(e.allocAddresses, e.atLink(link), request, (answer) => {
          if (answer instanceof e.ErgotError) said.push(answer.code);
          else said.push(answer.value.kind === 'Ok' ? 'Ok' : answer.value.value.kind);
        });
      }
    };
    up.cut();
    ask(1, 11);
    net.scheduler.runFor(100);
    expect(said.splice(0)).to.deep.equal(['Busy', 'Busy', 'Busy']);
    up.unplug();
    net.scheduler.runFor(100);
    expect(new Set(said.splice(0))).to.deep.equal(new Set(['ParentUnavailable']));
    net.cable(apex, middle);
    net.scheduler.runFor(100);
    ask(2);
    net.scheduler.runFor(100);
    expect(said).to.deep.equal(['Ok']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for of a parent, too, that comes while another one is asked for more', () => {
    const net = new PhoneNet();
    const [slow, quick] = [net.device('A', { bits: 24 }), net.device('B', { bits: 20 })];
    const middle = net.device('M', { bits: 12, sockets: 4, pool: [{ first: 0, len: 7 }] });
    const child = net.device('K', { bits: 8 });
    net.cable(slow, middle, 'child', { impair: { delay: 500 } });
    net.scheduler.runFor(5000);
    net.cable(middle, child);
    net.scheduler.runFor(100);
    net.cable(quick, middle);
    net.scheduler.runFor(5000);
    expect(lies(child, 12)).to.equal('100^12');
    const places = middle.profile.links.map(({ link }) => middle.profile.uplinkOf(link)?.up(0x100));
    expect(places).to.deep.equal([0x100, undefined, 0x100]);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for anew, all of them, where they were lost while more were asked for', () => {
    const net = new PhoneNet();
    const odd = net.device('A', { bits: 16 });
    const middle = net.device('M', { bits: 12, sockets: 4, pool: [{ first: 0, len: 7 }] });
    const child = net.device('K', { bits: 6 });
    let [asked, refreshes] = [0, 0];
    let late = (): void => {};
    odd.node.stack.serve(e.releaseAddresses, (_, answer) => answer({ kind: 'Ok' }));
    odd.node.stack.serve(e.refreshAddresses, (_, answer) => {
      if (++refreshes === 2) answer({ kind: 'Err', value: { kind: 'Unknown' } });
      else answer({ kind: 'Ok', value: { expires_seconds: 120, min_refresh_seconds: 62 } });
    });
    odd.node.stack.serve(e.allocAddresses, ({ value }, answer) => {
      const give = (address: number) => {
        const allocs = value.allocs.map(({ len }, i) => ({ address: address + i * 4096, len }));
        answer({ kind: 'Ok', value: { bits: 16, expires_seconds: 30, allocs } });
      };
      if (++asked === 2) late = () => give(0x8000);
      else give(0x1000);
    });
    net.cable(odd, middle, 'child', { upper: { kind: 'parent', blocks: [] } });
    net.cable(middle, child);
    net.scheduler.runUntil(57_500);
    expect([lies(middle, 16), refreshes, asked]).to.deep.equal(['1000^16', 1, 1]);
    const said: string[] = [];
    const [link] = child.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    child.node.stack.request(e.allocAddresses, e.atLink(link), { nonce: 1, allocs: [{ len: 8, flags: 0 }] }, (answer) =>
      said.push(
        answer instanceof e.ErgotError ? answer.code : answer.value.kind === 'Ok' ? 'Ok' : answer.value.value.kind,
      ),
    );
    net.scheduler.runUntil(58_500);
    expect([lies(middle, 16), refreshes, asked, ...said]).to.deep.equal(['-', 2, 2, 'ParentUnavailable']);
    late();
    net.scheduler.runUntil(600_000);
    expect([lies(middle, 16), asked]).to.deep.equal(['1000^16', 3]);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  for (const extended of [true, false]) {
    it(`are not asked for all the time where leases are for no time and ${extended ? '' : 'not '}extended`, () => {
      const net = new PhoneNet();
      const [odd, child] = [net.device('A', { bits: 10 }), net.device('K', { bits: 8 })];
      let asked = 0;
      odd.node.stack.serve(e.releaseAddresses, (_, answer) => answer({ kind: 'Ok' }));
      odd.node.stack.serve(e.allocAddresses, (_, answer) => {
        asked++;
        const allocs = [{ address: 0x100, len: 8 }];
        answer({ kind: 'Ok', value: { bits: 10, expires_seconds: 0, allocs } });
      });
      odd.node.stack.serve(e.refreshAddresses, (_, answer) => {
        asked++;
        if (extended) answer({ kind: 'Ok', value: { expires_seconds: 0, min_refresh_seconds: 0 } });
        else answer({ kind: 'Err', value: { kind: 'Unknown' } });
      });
      // Such a link serves no children of its own accord.
      net.cable(odd, child, 'child', { upper: { kind: 'parent', blocks: [] }, impair: { delay: 5 } });
      net.scheduler.runFor(20_000);
      expect(asked).to.be.within(5, 45);
      expect(net.end()).to.deep.equal([0, 0]);
    });
  }

  it('are not grown out of what the pool has anyway, though only a part of it needs a place', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 10, ask: [{ first: 0, len: 8 }] });
    const child = net.device('K', { bits: 4 });
    net.cable(apex, child);
    net.scheduler.runFor(100);
    const [link] = child.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    const said: string[] = [];
    for (const len of [9, 9]) {
      const request = { nonce: said.length + 1, allocs: [{ len, flags: 0 }] };
      child.node.stack.request(e.allocAddresses, e.atLink(link), request, (answer) => {
        if (!(answer instanceof e.ErgotError)) said.push(answer.value.kind === 'Ok' ? 'Ok' : answer.value.value.kind);
      });
      net.scheduler.runFor(100);
    }
    expect(said).to.deep.equal(['Ok', 'NoSpace']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are for children only, each for its own', () => {
    const { net, a, b, d } = proposal();
    const said: string[] = [];
    const ask = (from: PhoneDevice, to: e.PhoneAddress) =>
      from.node.stack.request(e.allocAddresses, to, { nonce: 1, allocs: [{ len: 1, flags: 0 }] }, (answer) =>
        said.push(
          answer instanceof e.ErgotError
            ? answer.message
            : answer.value.kind === 'Err'
              ? answer.value.value.kind
              : 'Ok',
        ),
      );
    ask(b, e.PhoneAddress.parse('000^10'));
    ask(d, e.PhoneAddress.parse('000^10'));
    net.scheduler.runFor(10);
    expect(said).to.deep.equal(['NotAChild', 'NotAChild']);
    const [link] = b.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    b.node.stack.request(e.refreshAddresses, e.atLink(link), { addresses: [0x180] }, (answer) =>
      said.push(answer instanceof e.ErgotError ? answer.message : JSON.stringify(answer.value)),
    );
    b.node.stack.request(e.refreshAddresses, e.atLink(link), { addresses: [0x080] }, (answer) =>
      said.push(answer instanceof e.ErgotError ? answer.message : JSON.stringify(answer.value)),
    );
    net.scheduler.runFor(10);
    expect(said.slice(2)).to.deep.equal([
      '{"kind":"Err","value":{"kind":"Unknown"}}',
      '{"kind":"Err","value":{"kind":"TooSoon"}}',
    ]);
    expect(a.profile.pool.allocations).to.equal(4);
    expect(net.end()).to.deep.equal([0, 0]);
  });
});
