import { expect } from 'chai';
import { DropReason } from '../../../lib/core/drops.js';
import * as e from '../../../lib/ergot/index.js';
import { address, nameOf, outcome, ping, type StackRig as Rig, stackRig, yeet } from './net-stack-rig.js';

const { ProtocolError, FrameKind } = e;
type Answer = e.Incoming<number, number> | e.ErgotError;

const told = (result: Answer): unknown => (result instanceof e.ErgotError ? nameOf(result) : result.value);

/** Serves `ping`, and notes the requests in `heard`. */
const server = (rig: Rig, heard: unknown[], name: string, options: e.ServeOptions = {}) =>
  rig.stack.serve(
    ping,
    ({ value }, answer) => {
      heard.push(`${name}:${value}`);
      answer(value + 1);
    },
    options,
  );
const listener = (rig: Rig, heard: unknown[], name: string, options: e.SubscribeOptions = {}) =>
  rig.stack.subscribe(yeet, ({ value }) => heard.push(`${name}:${value}`), options);

describe('net stack: send rules of ergot 0.12 (row 66)', () => {
  describe('to one socket: what the profile says counts', () => {
    const rows: readonly (readonly [string, string, e.ProtocolError | undefined, readonly string[], unknown])[] = [
      // destination, what it is, what the profile says, offered to the profile, what the sender hears
      ['0.0:1', 'this node: sockets only', ProtocolError.IseInterfaceFull, [], 43],
      ['0.0:0', 'any of this node: sockets only', ProtocolError.IseInterfaceFull, [], 43],
      ['10.10:10', 'no route', ProtocolError.IseNoRouteToDest, ['10.10:10'], 'IseNoRouteToDest'],
      ['10.10:10', 'full', ProtocolError.IseInterfaceFull, ['10.10:10'], 'IseInterfaceFull'],
      ['10.10:10', 'too big', ProtocolError.IsePacketTooBig, ['10.10:10'], 'IsePacketTooBig'],
      ['10.10:1', 'internal error', ProtocolError.IseInternalError, ['10.10:1'], 'IseInternalError'],
      ['10.10:10', 'ours, no such socket', ProtocolError.IseDestinationLocal, ['10.10:10'], 'NsseNoRoute'],
      ['10.10:1', 'ours', ProtocolError.IseDestinationLocal, ['10.10:1'], 43],
      ['10.10:0', 'ours, any', ProtocolError.IseDestinationLocal, ['10.10:0'], 43],
      ['10.10:1', 'a loop: ours', ProtocolError.IseRoutingLoop, ['10.10:1'], 43],
      ['10.10:10', 'a loop, no such socket', ProtocolError.IseRoutingLoop, ['10.10:10'], 'NsseNoRoute'],
    ];
    for (const [to, what, refusal, offered, expected] of rows) {
      it(`${to}, ${what}`, () => {
        const rig = stackRig();
        const results: unknown[] = [];
        server(rig, [], 'a');
        rig.profile.refusal = refusal;
        rig.stack.request(ping, address(to), 42, (result) => results.push(told(result)));
        expect(results).to.deep.equal([expected]);
        expect(rig.profile.sent).to.deep.equal(offered);
        rig.end();
      });
    }

    it('is success, and nothing for own sockets, where the profile takes it', () => {
      const rig = stackRig();
      const heard: unknown[] = [];
      rig.profile.refusal = undefined;
      rig.profile.takes = true;
      server(rig, heard, 'a');
      listener(rig, heard, 't', { own: true });
      expect(outcome(() => rig.stack.publish(yeet, address('10.10:2'), 5n))).to.equal('ok');
      expect(heard).to.deep.equal([]);
      expect(rig.profile.sent).to.deep.equal(['10.10:2']);
      rig.end();
    });
  });

  describe('which socket', () => {
    const rows: readonly (readonly [
      string,
      (rig: Rig, heard: unknown[]) => void,
      object,
      string,
      readonly string[],
    ])[] = [
      ['exact port', (rig, heard) => server(rig, heard, 'a', { port: 9 }), { to: '1.1:9' }, 'ok', ['a:42']],
      ['no such port', (rig, heard) => server(rig, heard, 'a', { port: 9 }), { to: '1.1:8' }, 'NsseNoRoute', []],
      ['wrong kind', (rig, heard) => listener(rig, heard, 'a', { port: 9 }), { to: '1.1:9' }, 'NsseWrongPortKind', []],
      [
        'a kind that nobody has',
        (rig, heard) => server(rig, heard, 'a', { port: 9 }),
        { to: '1.1:9', kind: 77 },
        'NsseWrongPortKind',
        [],
      ],
      ['hidden, by port', (rig, heard) => server(rig, heard, 'a', { hidden: true }), {}, 'ok', ['a:42']],
      ['any: none', () => undefined, { to: '1.1:0' }, 'NsseNoRoute', []],
      ['any: the only one', (rig, heard) => server(rig, heard, 'a'), { to: '1.1:0' }, 'ok', ['a:42']],
      [
        'any: of another key',
        (rig, heard) => server(rig, heard, 'a'),
        { to: '1.1:0', key: yeet.key },
        'NsseNoRoute',
        [],
      ],
      [
        'any: of another kind',
        (rig, heard) => server(rig, heard, 'a'),
        { to: '1.1:0', kind: FrameKind.Topic },
        'NsseNoRoute',
        [],
      ],
      ['any: hidden', (rig, heard) => server(rig, heard, 'a', { hidden: true }), { to: '1.1:0' }, 'NsseNoRoute', []],
      [
        'any: several',
        (rig, heard) => [server(rig, heard, 'a', { name: 'a' }), server(rig, heard, 'b')],
        { to: '1.1:0' },
        'NsseAnyPortNotUnique',
        [],
      ],
      [
        'any: several, one of them hidden',
        (rig, heard) => [server(rig, heard, 'a', { hidden: true }), server(rig, heard, 'b')],
        { to: '1.1:0' },
        'ok',
        ['b:42'],
      ],
      [
        'any: by name',
        (rig, heard) => [server(rig, heard, 'a', { name: 'a' }), server(rig, heard, 'b', { name: 'b' })],
        { to: '1.1:0', name: 'b' },
        'ok',
        ['b:42'],
      ],
      [
        'any: by a name that nobody has',
        (rig, heard) => [server(rig, heard, 'a', { name: 'a' }), server(rig, heard, 'b')],
        { to: '1.1:0', name: 'c' },
        'NsseNoRoute',
        [],
      ],
      [
        'any: named, asked without',
        (rig, heard) => server(rig, heard, 'a', { name: 'a' }),
        { to: '1.1:0' },
        'ok',
        ['a:42'],
      ],
      [
        'any: a topic that is listened to with all others',
        (rig, heard) => listener(rig, heard, 't'),
        { to: '1.1:0', kind: FrameKind.Topic, key: yeet.key },
        'ok',
        ['t:42'],
      ],
      [
        'all: every one with that key and no port of its own',
        (rig, heard) => [
          listener(rig, heard, 'a'),
          listener(rig, heard, 'b'),
          listener(rig, heard, 'c', { own: true }),
        ],
        { to: '1.1:255', kind: FrameKind.Topic, key: yeet.key },
        'ok',
        ['a:42', 'b:42'],
      ],
      [
        'all: by name',
        (rig, heard) => [
          listener(rig, heard, 'a', { name: 'a' }),
          listener(rig, heard, 'b'),
          listener(rig, heard, 'c', { name: 'a' }),
        ],
        { to: '1.1:255', kind: FrameKind.Topic, key: yeet.key, name: 'a' },
        'ok',
        ['a:42', 'c:42'],
      ],
      [
        'all: nobody',
        (rig, heard) => listener(rig, heard, 'a'),
        { to: '1.1:255', kind: FrameKind.Topic, key: ping.requestKey },
        'NsseNoRoute',
        [],
      ],
      [
        'all: servers, who have a port each',
        (rig, heard) => [server(rig, heard, 'a'), server(rig, heard, 'b'), server(rig, heard, 'c', { hidden: true })],
        { to: '1.1:255' },
        'ok',
        ['a:42', 'b:42'],
      ],
    ];
    for (const [what, open, message, expected, heardBy] of rows) {
      it(what, () => {
        const rig = stackRig();
        const heard: unknown[] = [];
        rig.profile.takes = true;
        open(rig, heard);
        expect(rig.arrive(message)).to.equal(expected);
        expect(heard).to.deep.equal(heardBy);
        rig.end();
      });
    }

    it('needs a key in every frame to any or all, so that none can lack it (NsseAnyPortMissingKey, NsseAllPortMissingKey)', () => {
      const header = new e.FrameHeader();
      for (const to of ['1.1:0', '1.1:255']) {
        const frame = stackRig().env.pool.alloc(0);
        Object.assign(header, {
          source: address('1.2:1'),
          destination: address(to),
          kind: FrameKind.Request,
          ttl: 1,
        }).push(frame);
        frame.end -= 9;
        expect(new e.FrameHeader().read(frame)).to.equal(DropReason.ErgotTruncated);
      }
    });
  });

  describe('to all: sockets and profile', () => {
    const all = '0.0:255';
    const rows: readonly (readonly [string, boolean, e.ProtocolError | undefined, string])[] = [
      ['heard here, and sent', true, undefined, 'ok'],
      ['heard by nobody here, and sent', false, undefined, 'ok'],
      ['heard here, no route', true, ProtocolError.IseNoRouteToDest, 'ok'],
      ['heard by nobody, no route', false, ProtocolError.IseNoRouteToDest, 'ok'],
      ['heard by nobody, a loop', false, ProtocolError.IseRoutingLoop, 'ok'],
      ['heard by nobody, local', false, ProtocolError.IseDestinationLocal, 'ok'],
      ['heard here, full', true, ProtocolError.IseInterfaceFull, 'ok'],
      ['heard by nobody, full', false, ProtocolError.IseInterfaceFull, 'NsseNoRoute'],
      ['heard by nobody, too big', false, ProtocolError.IsePacketTooBig, 'NsseNoRoute'],
    ];
    for (const [what, listens, refusal, expected] of rows) {
      it(what, () => {
        const rig = stackRig();
        const heard: unknown[] = [];
        rig.profile.takes = true;
        rig.profile.refusal = refusal;
        if (listens) listener(rig, heard, 'a');
        expect(outcome(() => rig.stack.publish(yeet, address(all), 5n))).to.equal(expected);
        expect(heard).to.deep.equal(listens ? ['a:5'] : []);
        expect(rig.profile.sent).to.deep.equal([all]);
        rig.end();
      });
    }
  });

  describe('what a socket says', () => {
    const text = e.endpoint('text', e.string, e.string);
    it('SseDeserFailed to what is not of its type, or more than that', () => {
      const rig = stackRig();
      const heard: unknown[] = [];
      rig.stack.serve(text, ({ value }) => heard.push(value));
      for (const body of [[], [5, 65], [1, 0xff], [1, 65, 66]]) {
        expect(rig.arrive({ body: Uint8Array.from(body) })).to.equal('SseDeserFailed');
      }
      expect(rig.arrive({ body: Uint8Array.of(1, 65) })).to.equal('ok');
      expect(heard).to.deep.equal(['A']);
      expect(rig.env.drops.toJSON()).to.deep.equal({ 'ergot-bad-message': 4 });
      expect(rig.env.drops.delivered).to.equal(1);
      rig.end();
    });

    it('SseTypeMismatch to what this node sends it of another type', () => {
      const rig = stackRig();
      const results: unknown[] = [];
      const { port } = rig.stack.serve(text, (_request, answer) => answer('yes'));
      rig.stack.request(ping, e.netAddress(0, 0, port), 1, (result) => results.push(told(result)));
      expect(results).to.deep.equal(['SseTypeMismatch']);
      rig.end();
    });

    it('SseNoSpace where as many wait as may, and goes on afterwards', () => {
      const rig = stackRig({ queue: 4 });
      const heard: unknown[] = [];
      const outcomes: string[] = [];
      const socket = rig.stack.subscribe(
        yeet,
        ({ value }) => {
          heard.push(value);
          if (value !== 0n) return;
          for (let i = 1n; i <= 6n; i++) outcomes.push(outcome(() => rig.stack.publish(yeet, address('0.0:1'), i)));
        },
        { own: true },
      );
      rig.stack.publish(yeet, address('0.0:1'), 0n);
      expect(heard).to.deep.equal([0n, 1n, 2n, 3n, 4n]);
      expect(outcomes).to.deep.equal(['ok', 'ok', 'ok', 'ok', 'SseNoSpace', 'SseNoSpace']);
      expect(socket.dropped).to.equal(2);
      expect(rig.env.drops.count(DropReason.ErgotQueueFull)).to.equal(2);
      rig.stack.publish(yeet, address('0.0:1'), 7n);
      expect(heard).to.have.length(6);
      rig.end();
    });

    it('SseNoSpace where as many are unanswered as may be', () => {
      const rig = stackRig();
      const answers: ((response: number) => void)[] = [];
      const socket = rig.stack.serve(ping, (_request, answer) => answers.push(answer), { unanswered: 2 });
      rig.profile.takes = true;
      expect([rig.arrive({}), rig.arrive({}), rig.arrive({})]).to.deep.equal(['ok', 'ok', 'SseNoSpace']);
      answers[0]?.(1);
      answers[0]?.(1);
      expect([rig.arrive({}), rig.arrive({})]).to.deep.equal(['ok', 'SseNoSpace']);
      expect(socket.dropped).to.equal(2);
      expect(rig.profile.sent).to.deep.equal(['1.9:7']);
      rig.end();
    });
  });
});
