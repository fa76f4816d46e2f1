import { expect } from 'chai';
import { DropReason } from '../../../../lib/core/drops.js';
import * as e from '../../../../lib/ergot/index.js';
import { news, type PhoneCable, type PhoneDevice, PhoneNet, who } from './phone-net.js';

type Name = 'A' | 'B' | 'C' | 'D' | 'E' | 'F';

/** The network of proposal 0145, its addresses hard-coded. */
function proposal(): {
  net: PhoneNet;
  at: Record<Name, PhoneDevice>;
  cables: Record<'AB' | 'AC' | 'AF' | 'CD' | 'CE', PhoneCable>;
} {
  const net = new PhoneNet();
  const at = {
    A: net.device('A', { bits: 10 }),
    B: net.device('B', { bits: 8 }),
    C: net.device('C', { bits: 9 }),
    D: net.device('D', { bits: 8 }),
    E: net.device('E', { bits: 6 }),
    F: net.device('F', { bits: 7 }),
  };
  const join = (upper: PhoneDevice, lower: PhoneDevice, first: number) => {
    const { bits } = upper.profile;
    const blocks = [{ first, len: lower.profile.bits }];
    return net.cable(upper, lower, 'child', { upper: { blocks }, lower: { blocks, bits } });
  };
  const cables = {
    AB: join(at.A, at.B, 0x080),
    AC: join(at.A, at.C, 0x180),
    AF: join(at.A, at.F, 0x380),
    CD: join(at.C, at.D, 0x080),
    CE: join(at.C, at.E, 0x180),
  };
  return { net, at, cables };
}

describe('the network of proposal 0145', () => {
  it('carries the conversation of E and B hop by hop, as the proposal says (row 60)', () => {
    const { net, at, cables } = proposal();
    for (const cable of Object.values(cables)) net.tap(cable);
    const taken: string[] = [];
    const number = e.endpoint('test/number', e.u8, e.u8);
    at.E.node.serve(number, { port: 2 }).subscribe();
    at.B.node.serve(number, { port: 0x0a }).subscribe((request) => {
      taken.push(request.source.toString());
      request.answer(request.value + 1);
    });
    at.E.node.stack.request(number, e.PhoneAddress.parse('08A^10'), 41, (answer) => {
      taken.push(answer instanceof e.ErgotError ? answer.message : `${answer.value} ${answer.source.toString()}`);
    });
    net.scheduler.runFor(10);
    expect(net.trace).to.deep.equal([
      'E>C 183^9 08A^10',
      'C>A 303^10 08A^10',
      'A>B 303^10 08A^10',
      'B>A 08A^10 303^10',
      'A>C 08A^10 303^10',
      'C>E 08A^10 183^9',
    ]);
    expect(taken).to.deep.equal(['303^10', '42 08A^10']);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('lets every device reach every other, by its nearest address and by long ones', () => {
    const { net, at } = proposal();
    const firsts: Record<Name, string> = {
      A: '001^10',
      B: '081^10',
      C: '181^10',
      D: '201^10',
      E: '301^10',
      F: '381^10',
    };
    for (const from of Object.values(at)) {
      for (const [name, address] of Object.entries(firsts)) {
        const said = net.ask(from, address);
        expect(said.split(' ')[0], `${from.name} asks ${name} at ${address}`).to.equal(name);
      }
    }
    expect(net.ask(at.D, '181^9')).to.match(/^E 08.\^9 from 181\^9$/);
    expect(net.ask(at.D, '001^9')).to.match(/^C 08.\^9 from 001\^9$/);
    expect(net.ask(at.C, '081^9')).to.match(/^D 00.\^9 from 081\^9$/);
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('finds any socket by its key at the device whose first address is said', () => {
    const { net, at } = proposal();
    expect(net.ask(at.B, e.anyOf(e.PhoneAddress.parse('300^10')))).to.match(/^E 08.\^10 from 301\^10$/);
    expect(net.ask(at.B, '000^10')).to.match(/^A 08.\^10 from 001\^10$/);
    expect(net.ask(at.B, '00^8')).to.match(/^B 0.\^8 from 01\^8$/);
    expect(net.ask(at.B, '300^10')).to.equal('NsseAnyPortMissingKey');
    expect(net.ask(at.B, e.anyOf(e.PhoneAddress.parse('30F^10')))).to.equal('NsseNoRoute');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('tells whoever sends what has no way why', () => {
    const { net, at } = proposal();
    expect(net.ask(at.B, '01F^8')).to.equal('NsseNoRoute');
    expect(net.ask(at.B, '31F^10')).to.equal('NsseNoRoute');
    expect(net.ask(at.B, '340^10')).to.equal('IseNoRouteToDest');
    expect(net.ask(at.B, '081^12')).to.equal('IseNoRouteToDest');
    expect(net.ask(at.A, '081^12')).to.equal('IseNoRouteToDest');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('says a broadcast to all of its scope, and nobody else', () => {
    const { net, at } = proposal();
    const say = (from: PhoneDevice, to: string): string => {
      for (const device of Object.values(at)) device.heard.length = 0;
      from.node.publish(news, e.allOf(e.PhoneAddress.parse(to)), to);
      net.scheduler.runFor(10);
      return Object.values(at)
        .map(({ name, heard }) => name.repeat(heard.length))
        .join('');
    };
    expect(say(at.D, '000^10')).to.equal('ABCDEF');
    expect(say(at.D, '000^9')).to.equal('CDE');
    expect(say(at.A, '000^10')).to.equal('ABCDEF');
    expect(say(at.E, '00000000^32')).to.equal('ABCDEF');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('says what is for all of a range, or of a link, to nobody but these', () => {
    const { net, at, cables } = proposal();
    const say = (from: PhoneDevice, to: e.PhoneAddress): string => {
      for (const device of Object.values(at)) device.heard.length = 0;
      from.node.publish(news, to, '');
      const asked: string[] = [];
      from.node.requestAll(who, to, 0).subscribe(({ value }) => asked.push(value.charAt(0)));
      net.scheduler.runFor(10);
      const heard = Object.values(at).map(({ name, heard: { length } }) => name.repeat(length));
      expect(asked.sort().join('')).to.equal(heard.join(''));
      return heard.join('');
    };
    const all = (text: string) => e.allOf(e.PhoneAddress.parse(text));
    expect([say(at.B, all('300^10')), say(at.C, all('180^9')), say(at.D, all('080^10'))]).to.deep.equal([
      'E',
      'E',
      'B',
    ]);
    // Its own range, by any of its names: once.
    expect([say(at.B, all('01^8')), say(at.C, all('180^10')), say(at.C, all('00^7'))]).to.deep.equal([
      'B',
      'CDE',
      'CDE',
    ]);
    const { upper, lower } = cables.AB;
    expect(say(at.A, e.atLink(upper, 0, e.PhoneCast.All))).to.equal('B');
    expect(say(at.B, e.atLink(lower, 0, e.PhoneCast.All))).to.equal('A');
    expect(net.end()).to.deep.equal([0, 0]);
  });

  it('drops what a child sends in the name of others', () => {
    const { net, at, cables } = proposal();
    const frame = net.env.pool.alloc(0);
    const forged = Object.assign(new e.PhoneHeader(), {
      sourceBits: 10,
      source: 0x181,
      bits: 10,
      destination: 1,
      kind: 3,
      ttl: 9,
    });
    forged.push(frame);
    cables.AB.lower.sink.next(frame as never);
    net.scheduler.runFor(10);
    expect(net.env.drops.count(DropReason.ErgotBadSource)).to.equal(1);
    expect(at.A.heard).to.deep.equal([]);
    expect(net.end()).to.deep.equal([0, 0]);
  });
});
