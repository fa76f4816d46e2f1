import { expect } from 'chai';
import { DropReason } from '../../../../lib/core/drops.js';
import * as e from '../../../../lib/ergot/index.js';
import { news, type PhoneDevice, PhoneNet, who } from './phone-net.js';

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

describe('multicast addresses', () => {
  const group = e.groupOf(e.PhoneAddress.parse('3F0^10'));
  const groups = Array.from({ length: 4 }, (_, i) => e.groupOf(new e.PhoneAddress(0x3f0 + i, 10)));

  function network(sockets = 7) {
    const net = new PhoneNet();
    const a = net.device('A', { bits: 10, groups: [{ first: 0x3f0, len: 4 }] });
    const [b, c, d] = [
      net.device('B', { bits: 7 }),
      net.device('C', { bits: 8, sockets, groups: [{ first: 0xf0, len: 4 }] }),
      net.device('D', { bits: 5 }),
    ];
    const f = net.device('F', { bits: 5 });
    net.cable(a, b);
    const ac = net.cable(a, c);
    net.cable(c, d);
    const cf = net.cable(c, f);
    net.scheduler.runFor(100);
    const all = [a, b, c, d, f];
    const said: string[] = [];
    const subscribe = (device: PhoneDevice, to: e.PhoneAddress): string => {
      let answer = 'nothing';
      device.profile.subscribe(to, (what) => (answer = what.kind === 'Ok' ? 'Ok' : what.value.kind));
      net.scheduler.runFor(10);
      return answer;
    };
    const say = (from: PhoneDevice, to: e.PhoneAddress): string => {
      for (const device of all) device.heard.length = 0;
      from.node.publish(news, to, 'x');
      net.scheduler.runFor(10);
      return all.map(({ name, heard }) => name.repeat(heard.length)).join('');
    };
    return { net, a, b, c, d, f, ac, cf, said, subscribe, say };
  }

  it('lead to those who subscribed, from wherever (row 62)', () => {
    const { net, a, b, c, d, f, subscribe, say } = network();
    expect(say(b, group)).to.equal('B');
    expect([subscribe(d, group), subscribe(f, group), subscribe(b, group)]).to.deep.equal(['Ok', 'Ok', 'Ok']);
    expect([say(a, group), say(b, group), say(c, group), say(d, group)]).to.deep.equal(['ABDF', 'BDF', 'BCDF', 'BDF']);
    d.profile.unsubscribe(group);
    net.scheduler.runFor(10);
    expect(say(b, group)).to.equal('BF');
    f.profile.unsubscribe(group);
    net.scheduler.runFor(10);
    expect(say(c, group)).to.equal('BC');
    expect(a.profile.table.isSubscribed(0x3f0, 10, a.profile.numberOf(a.profile.links[1]?.link as never))).to.equal(
      false,
    );
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('may be of a nearer scope, and stay in it', () => {
    const { net, b, c, d, f, subscribe, say } = network();
    const near = e.groupOf(e.PhoneAddress.parse('F1^8'));
    expect([subscribe(d, near), subscribe(c, near), subscribe(f, near)]).to.deep.equal(['Ok', 'Ok', 'Ok']);
    expect([say(f, near), say(c, near), say(b, near)]).to.deep.equal(['CDF', 'CDF', 'B']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are refused where they are none', () => {
    const { net, a, d, subscribe } = network();
    const at = (text: string) => e.PhoneAddress.parse(text);
    expect(subscribe(d, at('3EF^10'))).to.equal('ParentRefused');
    expect(subscribe(a, at('3EF^10'))).to.equal('NotMulticast');
    expect(subscribe(a, at('000^10'))).to.equal('NotMulticast');
    expect(subscribe(d, at('EF^8'))).to.equal('ParentRefused');
    expect(subscribe(a, at('01^12'))).to.equal('ParentUnavailable');
    expect(subscribe(d, at('01^12'))).to.equal('ParentUnavailable');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are wanted no more by who is gone, and asked for anew after a link healed or a subtree moved', () => {
    const { net, a, b, c, d, ac, cf, f, subscribe, say } = network();
    expect([subscribe(d, group), subscribe(f, group)]).to.deep.equal(['Ok', 'Ok']);
    cf.unplug();
    expect(say(b, group)).to.equal('BD');
    ac.unplug();
    expect(say(b, group)).to.equal('B');
    net.cable(a, c);
    net.scheduler.runFor(100);
    expect(say(b, group)).to.equal('BD');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are all asked for anew, however few sockets there are to ask with', () => {
    const { net, a, b, c, d, ac, subscribe, say } = network(3);
    for (const each of groups) expect(subscribe(d, each)).to.equal('Ok');
    ac.unplug();
    net.cable(a, c);
    net.scheduler.runFor(100);
    expect(groups.map((each) => say(b, each))).to.deep.equal(['BD', 'BD', 'BD', 'BD']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for until the parent answers', () => {
    const { net, a, b, c, d, ac, subscribe, say } = network();
    for (const each of groups) expect(subscribe(d, each)).to.equal('Ok');
    ac.unplug();
    const slow = net.cable(a, c, 'child', { impair: { delay: 5 } });
    while (c.profile.uplinkOf(slow.lower) === undefined) net.scheduler.runFor(1);
    slow.cut();
    net.scheduler.runFor(1000);
    slow.heal();
    expect(say(b, group)).to.equal('B');
    d.profile.unsubscribe(groups[1] as e.PhoneAddress);
    net.scheduler.runFor(5000);
    b.heard.length = d.heard.length = 0;
    for (const each of groups) b.node.publish(news, each, 'x');
    net.scheduler.runFor(100);
    expect([b.heard.length, d.heard.length]).to.deep.equal([4, 3]);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for until all above have got a parent', () => {
    const net = new PhoneNet();
    const far = e.groupOf(e.PhoneAddress.parse('FF0^12'));
    const a = net.device('A', { bits: 12, groups: [{ first: 0xff0, len: 4 }] });
    const b = net.device('B', { bits: 10 });
    const c = net.device('C', { bits: 9 });
    const d = net.device('D', { bits: 8 });
    const leaf = net.device('E', { bits: 5 });
    const cables = [net.cable(a, b), net.cable(b, c), net.cable(c, d)];
    net.cable(d, leaf);
    net.scheduler.runFor(100);
    leaf.profile.subscribe(far);
    net.scheduler.runFor(100);
    for (const cable of cables) cable.unplug();
    // The lowest first: each is told by the one above that there is nobody to ask yet.
    for (const [upper, lower] of [
      [c, d],
      [b, c],
      [a, b],
    ] as const) {
      net.cable(upper, lower);
      net.scheduler.runFor(5000);
    }
    a.node.publish(news, far, 'x');
    net.scheduler.runFor(10);
    expect(leaf.heard).to.deep.equal(['x']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are asked for no more at a link that is gone, or when the device ends', () => {
    const timersLeft = (wanted: boolean) => {
      const { net, a, c, d, ac, subscribe } = network();
      if (wanted) expect(subscribe(d, group)).to.equal('Ok');
      else net.scheduler.runFor(10);
      const lost = () => {
        const cable = net.cable(a, c, 'child', { impair: { delay: 5 } });
        while (c.profile.uplinkOf(cable.lower) === undefined) net.scheduler.runFor(1);
        cable.cut();
        net.scheduler.runFor(3500);
        return cable;
      };
      ac.unplug();
      lost().unplug();
      const { pending } = net.scheduler;
      lost();
      expect(net.end()).to.deep.equal([0, 0]);
      return pending;
    };
    expect(timersLeft(true)).to.equal(timersLeft(false));
  });

  it('take only some sockets of a device that asks for others', () => {
    const { net, c, d, ac } = network(5);
    ac.cut();
    for (let i = 1; i < 30; i++) d.profile.subscribe(e.groupOf(new e.PhoneAddress(0x300 + i, 10)));
    net.scheduler.runFor(10);
    expect(net.ask(c, '001^8').slice(0, 2)).to.equal('C ');
    net.scheduler.runFor(5000);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are wanted by nobody who took it back, or went, before the answer came', () => {
    const net = new PhoneNet();
    const a = net.device('A', { bits: 10, groups: [{ first: 0x3f0, len: 4 }] });
    const [c, d] = [net.device('C', { bits: 8 }), net.device('D', { bits: 5 })];
    net.cable(a, c, 'child', { impair: { delay: 5 } });
    const cd = net.cable(c, d, 'child', { impair: { delay: 5 } });
    net.scheduler.runFor(1000);
    const wanted = () =>
      [a, c, d].map(({ profile: { table } }) =>
        [e.OWN_SOCKETS, 0, 1].some((link) => table.isSubscribed(group.value, 10, link)),
      );
    const said: string[] = [];
    const subscribe = () => d.profile.subscribe(group, ({ kind }) => said.push(kind));
    subscribe();
    d.profile.unsubscribe(group);
    net.scheduler.runFor(100);
    expect([said, wanted()]).to.deep.equal([['Err'], [false, false, false]]);
    subscribe();
    d.profile.unsubscribe(group);
    subscribe();
    net.scheduler.runFor(100);
    expect([said, wanted()]).to.deep.equal([
      ['Err', 'Err', 'Ok'],
      [true, true, true],
    ]);
    d.profile.unsubscribe(group);
    net.scheduler.runFor(100);
    subscribe();
    net.scheduler.runFor(7);
    cd.unplug();
    net.scheduler.runFor(5000);
    expect([said, wanted()]).to.deep.equal([
      ['Err', 'Err', 'Ok', 'Err'],
      [false, false, false],
    ]);
    expect(net.env.drops.count(DropReason.CallbackThrew)).to.equal(0);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('are given to a child on request', () => {
    const { net, a, b, c, subscribe, say } = network();
    const [link] = b.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    let address = -1;
    b.node.stack.request(
      e.allocAddresses,
      e.atLink(link),
      { nonce: 5, allocs: [{ len: 1, flags: e.AllocFlag.AllowMulticast }] },
      (answer) => {
        if (!(answer instanceof e.ErgotError) && answer.value.kind === 'Ok')
          address = answer.value.value.allocs[0]?.address ?? -1;
      },
    );
    net.scheduler.runFor(10);
    const given = e.groupOf(new e.PhoneAddress(address + 1, 10));
    expect([subscribe(c, given), subscribe(b, given)]).to.deep.equal(['Ok', 'Ok']);
    expect(say(a, given)).to.equal('ABC');
    expect(net.end()).to.deep.equal([0, 0]);
  });
});
