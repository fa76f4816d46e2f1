import { expect } from 'chai';
import * as e from '../../../../lib/ergot/index.js';
import { type PhoneDevice, PhoneNet, who } from './phone-net.js';

/** Where a device's first address lies in a scope above it. */
function lies({ profile }: PhoneDevice, bits: number): string {
  return profile.locate(new e.PhoneAddress(0, profile.bits), bits)?.toString() ?? '-';
}

/** Two countries under one apex, and a ship C with D and E on board, in the harbour of the first. */
function harbours() {
  const net = new PhoneNet();
  const apex = net.device('A', { bits: 24 });
  const [one, two] = [net.device('P', { bits: 16 }), net.device('Q', { bits: 20 })];
  const [ship, d, leaf] = [
    net.device('C', { bits: 9, packed: true }),
    net.device('D', { bits: 8 }),
    net.device('E', { bits: 6 }),
  ];
  net.cable(apex, one);
  net.cable(apex, two);
  net.cable(ship, d);
  net.scheduler.runFor(10);
  net.cable(ship, leaf);
  const moored = net.cable(one, ship);
  net.scheduler.runFor(100);
  return { net, apex, one, two, ship, d, leaf, moored };
}

describe('a subtree of phone-number addresses that moves', () => {
  it('keeps its local addresses, and has new ones everywhere else (row 60)', () => {
    const { net, two, ship, d, leaf, moored } = harbours();
    expect([lies(leaf, 9), lies(leaf, 16), lies(leaf, 24)]).to.deep.equal(['180^9', '0380^16', '010380^24']);
    moored.unplug();
    net.scheduler.runFor(100);
    expect([lies(leaf, 9), lies(leaf, 16), lies(leaf, 24)]).to.deep.equal(['180^9', '-', '-']);
    net.cable(two, ship);
    net.scheduler.runFor(100);
    expect([lies(leaf, 9), lies(leaf, 16), lies(leaf, 20), lies(leaf, 24)]).to.deep.equal([
      '180^9',
      '-',
      '00380^20',
      '100380^24',
    ]);
    expect(lies(d, 24)).to.equal('100280^24');
    expect(net.ask(leaf, '081^9')).to.match(/^D 18.\^9 from 081\^9$/);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('keeps its running conversations: those inside without a gap, those with others from the next message on', () => {
    const { net, apex, two, ship, d, leaf, moored } = harbours();
    const counts = { inside: 0, outside: 0, failed: 0 };
    const sources = new Set<string>();
    const count = e.endpoint('test/count', e.u32, e.u32);
    d.node.serve(count, { port: 9 }).subscribe((request) => request.answer(request.value));
    apex.node.serve(count, { port: 9 }).subscribe((request) => {
      sources.add(request.source.toString());
      request.answer(request.value);
    });
    const talk = (to: string, which: 'inside' | 'outside') =>
      leaf.node.stack.request(count, e.PhoneAddress.parse(to), 1, (answer) => {
        if (answer instanceof e.ErgotError) counts.failed++;
        else counts[which]++;
      });
    const say = (times: number) => {
      for (let i = 0; i < times; i++) {
        talk('089^9', 'inside');
        talk('000009^24', 'outside');
        net.scheduler.runFor(10);
      }
      return { ...counts };
    };
    expect(say(10)).to.deep.equal({ inside: 10, outside: 10, failed: 0 });
    moored.unplug();
    expect(say(10)).to.deep.equal({ inside: 20, outside: 10, failed: 10 });
    net.cable(two, ship);
    net.scheduler.runFor(100);
    expect(say(10)).to.deep.equal({ inside: 30, outside: 20, failed: 10 });
    expect([...sources].map((source) => source.slice(0, 3))).to.deep.equal(['010', '100']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('is not found at its former place, which nobody else gets before the lease and the tombstone are over', () => {
    const { net, apex, one, two, ship, moored } = harbours();
    expect(net.ask(apex, '010201^24').slice(0, 2)).to.equal('C ');
    moored.unplug();
    net.cable(two, ship);
    net.scheduler.runFor(100);
    expect(net.ask(apex, '010201^24')).to.equal('IseNoRouteToDest');
    expect(net.ask(apex, '100201^24').slice(0, 2)).to.equal('C ');
    const next = net.device('N', { bits: 9 });
    net.cable(one, next);
    net.scheduler.runFor(1000);
    expect(lies(next, 24)).to.equal('010400^24');
    net.scheduler.runFor(200_000);
    const later = net.device('M', { bits: 9 });
    net.cable(one, later);
    net.scheduler.runFor(1000);
    expect(lies(later, 24)).to.equal('010200^24');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('loses what was on its way to its former place, and its sender is told', () => {
    const { net, apex, two, ship, leaf, moored } = harbours();
    const answers: string[] = [];
    apex.node.stack.request(who, e.PhoneAddress.parse('010381^24'), 0, (answer) =>
      answers.push(answer instanceof e.ErgotError ? answer.code : answer.value),
    );
    moored.unplug();
    net.cable(two, ship);
    net.scheduler.runFor(2000);
    expect(answers).to.deep.equal(['ERR_ERGOT_PROTOCOL']);
    expect(net.ask(leaf, '000001^24').slice(0, 2)).to.equal('A ');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('goes on by a second parent where the first fails', () => {
    const { net, apex, two, ship, leaf, moored } = harbours();
    net.cable(two, ship);
    net.scheduler.runFor(100);
    expect(net.ask(apex, '100381^24').slice(0, 2)).to.equal('E ');
    expect(net.ask(leaf, '000001^24')).to.match(/^A 01/);
    moored.cut();
    ship.profile.setWorking(moored.lower, false);
    expect(net.ask(leaf, '000001^24')).to.match(/^A 10/);
    moored.heal();
    ship.profile.setWorking(moored.lower, true);
    expect(net.ask(leaf, '000001^24')).to.match(/^A 01/);
    expect(net.end()).to.deep.equal([0, 0]);
  });
});

describe('a prefix that is published', () => {
  it('goes down to the leaves, whatever translations there are', () => {
    const net = new PhoneNet();
    const apex = net.device('A', { bits: 16, packed: true, sockets: 5 });
    const filler = net.device('F', { bits: 4 });
    net.cable(apex, filler);
    net.scheduler.runFor(10);
    const middle = net.device('M', { bits: 8 });
    const leaf = net.device('L', { bits: 4, sockets: 3 });
    net.cable(apex, middle, 'child', { lower: { translation: e.wrap } });
    net.cable(middle, leaf);
    net.scheduler.runFor(100);
    expect([lies(middle, 16), lies(leaf, 8), lies(leaf, 16)]).to.deep.equal(['0100^16', '80^8', '0080^16']);
    for (const port of [1, 7]) {
      const there = leaf.profile.locate(new e.PhoneAddress(port, 4), 16);
      expect(there?.value).to.equal(0x80 + port);
    }
    expect(net.ask(apex, '0081^16').slice(0, 2)).to.equal('L ');
    expect(net.ask(apex, '0101^16').slice(0, 2)).to.equal('M ');
    expect(net.ask(leaf, '0001^16')).to.match(/^A 008.\^16/);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('ends where a mapping is somebody else’s secret, and addresses still work', () => {
    const net = new PhoneNet();
    const [apex, middle, leaf] = [
      net.device('A', { bits: 16 }),
      net.device('M', { bits: 8 }),
      net.device('L', { bits: 4, sockets: 3 }),
    ];
    const mirror = (n: number, length: number): number => 2 ** length - 1 - n;
    net.cable(apex, middle, 'child', { lower: { translation: e.customTranslation({ up: mirror, down: mirror }) } });
    net.cable(middle, leaf);
    net.scheduler.runFor(100);
    expect([lies(middle, 16), lies(leaf, 8), lies(leaf, 16)]).to.deep.equal(['01FF^16', '80^8', '-']);
    expect(net.ask(apex, '017E^16')).to.match(/^L 0.*\^16 from 017E\^16$/);
    expect(net.ask(leaf, '0001^16')).to.match(/^A 017.\^16/);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('is nothing where it is none that a parent could have', () => {
    const { net, ship, leaf } = harbours();
    const tell = (levels: e.PrefixLevel[]) => {
      const [link] = ship.profile.links
        .filter((status) => status.link.name.startsWith('C-E'))
        .map((status) => status.link);
      if (link === undefined) throw new Error('no link');
      ship.node.stack.publish(e.publishPrefix, e.atLink(link, 0, e.PhoneCast.All), { levels });
      net.scheduler.runFor(10);
      return lies(leaf, 16);
    };
    const range = { local: 0, address: 0x200, len: 9 };
    expect(tell([{ bits: 16, kind: 0, ranges: [range] }])).to.equal('0380^16');
    expect(tell([{ bits: 16, kind: 9, ranges: [range] }])).to.equal('-');
    expect(tell([{ bits: 9, kind: 0, ranges: [range] }])).to.equal('-');
    expect(tell([{ bits: 33, kind: 0, ranges: [range] }])).to.equal('-');
    expect(tell([{ bits: 16, kind: 0, ranges: [] }])).to.equal('-');
    expect(tell([{ bits: 16, kind: 0, ranges: [range, range] }])).to.equal('-');
    expect(tell([{ bits: 16, kind: 0, ranges: [{ ...range, len: 17 }] }])).to.equal('-');
    expect(tell([{ bits: 16, kind: 0, ranges: [{ ...range, address: 0xffff }] }])).to.equal('-');
    const pieces = Array.from({ length: 257 }, (_, i) => ({ local: 2 * i, address: 0x200 + 2 * i, len: 1 }));
    expect(tell([{ bits: 16, kind: 0, ranges: pieces.slice(1) }])).to.equal('0380^16');
    expect(tell([{ bits: 16, kind: 0, ranges: pieces }])).to.equal('-');
    const many = Array.from({ length: 32 }, (_, i) => ({ bits: 10 + i, kind: 0, ranges: [range] }));
    expect(tell(many)).to.equal('-');
    expect(net.ask(leaf, '001^9').slice(0, 2)).to.equal('C ');
    expect(net.end()).to.deep.equal([0, 0]);
  });
});
