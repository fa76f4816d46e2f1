import { expect } from 'chai';
import { DropReason } from '../../../../lib/core/drops.js';
import * as e from '../../../../lib/ergot/index.js';
import { news, type PhoneDevice, PhoneNet } from './phone-net.js';

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

  it('are refused where no device above has their scope: what is sent there never says it', () => {
    const net = new PhoneNet();
    const a = net.device('A', { bits: 16, groups: [{ first: 0xff0, len: 4 }] });
    const m = net.device('M', { bits: 10, groups: [{ first: 0xf0, len: 4 }] });
    const [k, other] = [net.device('K', { bits: 6 }), net.device('L', { bits: 6 })];
    net.cable(a, m);
    net.cable(m, k);
    net.cable(a, other);
    net.scheduler.runFor(100);
    const said: string[] = [];
    const subscribe = (text: string) => {
      const address = e.PhoneAddress.parse(text);
      k.profile.subscribe(address, (answer) => said.push(answer.kind === 'Ok' ? 'Ok' : answer.value.kind));
      net.scheduler.runFor(100);
      other.node.publish(news, e.groupOf(address), text);
      m.node.publish(news, e.groupOf(address), text);
      net.scheduler.runFor(100);
      return said.splice(0).concat(k.heard.splice(0)).join(' ');
    };
    expect(subscribe('FF1^12')).to.equal('ParentRefused');
    expect(subscribe('F1^8')).to.equal('ParentRefused');
    expect(subscribe('0FF1^16')).to.equal('Ok 0FF1^16 0FF1^16');
    expect(subscribe('0F1^10')).to.equal('Ok 0F1^10');
    const [link] = k.profile.links.map((status) => status.link);
    if (link === undefined) throw new Error('no link');
    k.node.stack.request(e.unsubscribeMulticast, e.atLink(link), { bits: 8, address: 0xf1 }, (answer) =>
      said.push(answer instanceof e.ErgotError || answer.value.kind === 'Ok' ? 'Ok' : answer.value.value.kind),
    );
    net.scheduler.runFor(100);
    expect([said, m.profile.table.isSubscribed(0xf1, 10, 1)]).to.deep.equal([['NotMulticast'], true]);
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

  for (const fails of ['is unplugged', 'does not work'] as const) {
    it(`are asked for by a second parent where the first ${fails}, and by one of them alone`, () => {
      const net = new PhoneNet();
      const a = net.device('A', { bits: 24, groups: [{ first: 0xfffff0, len: 4 }] });
      const [one, two] = [net.device('P', { bits: 16 }), net.device('Q', { bits: 20 })];
      const [ship, leaf] = [net.device('C', { bits: 9 }), net.device('E', { bits: 6 })];
      net.cable(a, one);
      net.cable(a, two);
      const first = net.cable(one, ship);
      net.cable(two, ship);
      net.cable(ship, leaf);
      net.scheduler.runFor(5000);
      const far = e.groupOf(e.PhoneAddress.parse('FFFFF1^24'));
      leaf.profile.subscribe(far);
      const told = () => {
        leaf.heard.length = 0;
        net.scheduler.runFor(10_000);
        a.node.publish(news, far, 'x');
        net.scheduler.runFor(100);
        const asked = [one, two].map(({ profile: { table } }) => table.isSubscribed(far.value, 24, 1));
        return [leaf.heard.length, ...asked];
      };
      expect(told()).to.deep.equal([1, true, false]);
      if (fails === 'is unplugged') first.unplug();
      else ship.profile.setWorking(first.lower, false);
      expect(told()).to.deep.equal([1, false, true]);
      if (fails === 'is unplugged') net.cable(one, ship);
      else ship.profile.setWorking(first.lower, true);
      expect(told()).to.deep.equal([1, true, false]);
      leaf.profile.unsubscribe(far);
      expect(told()).to.deep.equal([0, false, false]);
      expect(net.end()).to.deep.equal([0, 0]);
    });
  }

  it('are asked for by a second parent where the first fails before it answers', () => {
    const net = new PhoneNet();
    const a = net.device('A', { bits: 24, groups: [{ first: 0xfffff0, len: 4 }] });
    const [one, two, ship] = [
      net.device('P', { bits: 16 }),
      net.device('Q', { bits: 20 }),
      net.device('C', { bits: 9 }),
    ];
    net.cable(a, one);
    net.cable(a, two);
    const first = net.cable(one, ship, 'child', { impair: { delay: 50 } });
    net.cable(two, ship);
    net.scheduler.runFor(5000);
    const far = e.groupOf(e.PhoneAddress.parse('FFFFF1^24'));
    const said: string[] = [];
    ship.profile.subscribe(far, ({ kind }) => said.push(kind));
    net.scheduler.runFor(60);
    ship.profile.setWorking(first.lower, false);
    net.scheduler.runFor(5000);
    a.node.publish(news, far, 'x');
    net.scheduler.runFor(100);
    const asked = [one, two].map(({ profile: { table } }) => table.isSubscribed(far.value, 24, 1));
    expect([said, ship.heard, asked]).to.deep.equal([['Ok'], ['x'], [false, true]]);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  describe('are wanted no more at a parent that could not be told before it led up again', () => {
    const far = e.groupOf(e.PhoneAddress.parse('FFFFF1^24'));

    /** A device with one parent, or two of which the first leads up while it works. */
    function below(parents: 1 | 2, delay = 0) {
      const net = new PhoneNet();
      const a = net.device('A', { bits: 24, groups: [{ first: 0xfffff0, len: 4 }] });
      const all = [net.device('P', { bits: 16 }), net.device('Q', { bits: 20 })].slice(0, parents);
      const ship = net.device('C', { bits: 9 });
      for (const one of all) net.cable(a, one);
      const [first = expect.fail()] = all.map((one) => net.cable(one, ship, 'child', { impair: { delay } }));
      net.scheduler.runFor(5000);
      const asked = () => all.map(({ profile: { table } }) => table.isSubscribed(far.value, 24, 1));
      const work = (works: boolean) => {
        if (works) first.heal();
        else first.cut();
        ship.profile.setWorking(first.lower, works);
      };
      return { net, ship, first, asked, work };
    }

    for (const parents of [1, 2] as const) {
      const others = parents === 1 ? [] : [false];

      it(`where ${parents === 1 ? 'nothing' : 'another'} led up meanwhile`, () => {
        const { net, ship, asked, work } = below(parents);
        ship.profile.subscribe(far);
        net.scheduler.runFor(1000);
        expect(asked()).to.deep.equal([true, ...others]);
        work(false);
        net.scheduler.runFor(1000);
        ship.profile.unsubscribe(far);
        net.scheduler.runFor(100);
        work(true);
        net.scheduler.runFor(20_000);
        expect(asked()).to.deep.equal([false, ...others]);
        expect(net.end()).to.deep.equal([0, 0]);
      });
    }

    it('unless they are wanted again by then', () => {
      const { net, ship, asked, work } = below(2);
      ship.profile.subscribe(far);
      net.scheduler.runFor(1000);
      work(false);
      net.scheduler.runFor(1000);
      ship.profile.unsubscribe(far);
      net.scheduler.runFor(1000);
      ship.profile.subscribe(far);
      net.scheduler.runFor(1000);
      expect(asked()).to.deep.equal([true, true]);
      work(true);
      net.scheduler.runFor(20_000);
      expect(asked()).to.deep.equal([true, false]);
      expect(net.end()).to.deep.equal([0, 0]);
    });

    it('where it answered only after another led up', () => {
      const { net, ship, first, asked, work } = below(2, 50);
      ship.profile.subscribe(far);
      net.scheduler.runFor(60);
      ship.profile.setWorking(first.lower, false);
      net.scheduler.runFor(50);
      expect(asked()).to.deep.equal([true, false]);
      work(false);
      net.scheduler.runFor(1000);
      ship.profile.unsubscribe(far);
      work(true);
      net.scheduler.runFor(20_000);
      expect(asked()).to.deep.equal([false, false]);
      expect(net.end()).to.deep.equal([0, 0]);
    });

    it('where it led up all the time, and did not hear', () => {
      const { net, ship, first, asked } = below(1);
      ship.profile.subscribe(far);
      net.scheduler.runFor(1000);
      first.cut();
      ship.profile.unsubscribe(far);
      net.scheduler.runFor(5000);
      first.heal();
      expect(asked()).to.deep.equal([true]);
      net.scheduler.runFor(20_000);
      expect(asked()).to.deep.equal([false]);
      expect(net.end()).to.deep.equal([0, 0]);
    });
  });

  it('are taken back all, however few sockets there are to tell the parent with', () => {
    const { net, a, f, ac, cf, subscribe } = network(3);
    for (const each of groups) expect(subscribe(f, each)).to.equal('Ok');
    const number = a.profile.numberOf(ac.upper);
    const asked = () => groups.map(({ value }) => a.profile.table.isSubscribed(value, 10, number));
    expect(asked()).to.deep.equal([true, true, true, true]);
    cf.unplug();
    net.scheduler.runFor(5000);
    expect(asked()).to.deep.equal([false, false, false, false]);
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

  it('are answered for once, where the device ends before its parent answers, or has ended', () => {
    const net = new PhoneNet();
    const [a, b] = [net.device('A', { bits: 10, groups: [{ first: 0x3f0, len: 4 }] }), net.device('B', { bits: 8 })];
    net.cable(a, b, 'child', { impair: { delay: 5 } });
    net.scheduler.runFor(1000);
    const said: string[] = [];
    const subscribe = () => b.profile.subscribe(group, ({ value }) => said.push(value?.kind ?? 'Ok'));
    subscribe();
    b.node.dispose();
    subscribe();
    b.profile.unsubscribe(group);
    net.scheduler.runFor(5000);
    expect(said).to.deep.equal(['ParentUnavailable', 'ParentUnavailable']);
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
