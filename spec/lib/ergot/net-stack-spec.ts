import { expect } from 'chai';
import { DropReason } from '../../../lib/core/drops.js';
import { UsageError } from '../../../lib/core/errors.js';
import * as e from '../../../lib/ergot/index.js';
import { address, nameOf, outcome, ping, stackRig, yeet } from './net-stack-rig.js';

const { ProtocolError, FrameKind } = e;
type Answer = e.Incoming<number, number> | e.ErgotError;

const told = (result: Answer): unknown => (result instanceof e.ErgotError ? nameOf(result) : result.value);

describe('net stack', () => {
  describe('requests', () => {
    it('are answered with the number and the port that they had, once', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const asked: e.Incoming<number, number>[] = [];
      rig.stack.serve(ping, (request, answer) => {
        asked.push(request);
        answer(1);
        answer(2);
      });
      rig.arrive({ sequence: 65_535 });
      expect(asked).to.deep.equal([{ value: 42, source: address('1.9:7'), sequence: 65_535 }]);
      const [sent] = rig.profile.messages;
      expect(rig.profile.messages).to.have.length(1);
      expect(sent).to.include({ kind: FrameKind.Response, sequence: 65_535, port: 1, destination: address('1.9:7') });
      rig.end();
    });

    it('are answered once, even by who hears of the answer while it is being given', () => {
      const rig = stackRig();
      let answer: (response: number) => void = () => undefined;
      const heard: unknown[] = [];
      const socket = rig.stack.serve(
        ping,
        (_request, reply) => {
          answer = reply;
        },
        { unanswered: 1 },
      );
      for (let i = 0; i < 2; i++) {
        rig.stack.request(ping, address('0.0:1'), 1, (result) => {
          heard.push(told(result));
          answer(2);
        });
        answer(1);
      }
      expect([heard, rig.env.drops.toJSON(), socket.dropped]).to.deep.equal([[1, 1], {}, 0]);
      rig.end();
    });

    it('are given up after their time, by default 1 second', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const results: unknown[] = [];
      const note = (result: Answer) => results.push([told(result), rig.scheduler.now()]);
      rig.stack.request(ping, address('1.2:1'), 1, note);
      rig.stack.request(ping, address('1.2:1'), 1, note, { timeout: 250 });
      rig.scheduler.run();
      expect(results).to.deep.equal([
        ['ERR_ERGOT_TIMEOUT', 250],
        ['ERR_ERGOT_TIMEOUT', 1000],
      ]);
      rig.end();
    });

    it('can be given up', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const results: unknown[] = [];
      rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(result))();
      expect(rig.scheduler.pending).to.equal(0);
      expect(rig.arrive({ kind: FrameKind.Response, sequence: 0 })).to.equal('NsseNoRoute');
      expect(results).to.deep.equal([]);
      rig.end();
    });

    it('take the answer of their number only: one that is late is not that of who has the port now', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const results: unknown[] = [];
      const first = rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(['first', result]));
      first();
      rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(told(result)));
      expect(rig.arrive({ kind: FrameKind.Response, sequence: 0 })).to.equal('ok');
      expect(results).to.deep.equal([]);
      expect(rig.env.drops.count(DropReason.ErgotUnsolicited)).to.equal(1);
      expect(rig.arrive({ kind: FrameKind.Response, sequence: 1, body: e.encode(e.u32, 7) })).to.equal('ok');
      expect(results).to.deep.equal([7]);
      rig.end();
    });

    it('fail at once with an answer of another type', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const results: unknown[] = [];
      rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(told(result)));
      const body = Uint8Array.of(0x80);
      expect(rig.arrive({ kind: FrameKind.Response, sequence: 0, body })).to.equal('SseDeserFailed');
      expect(results).to.deep.equal(['ERR_ERGOT_BAD_MESSAGE']);
      expect(rig.scheduler.pending).to.equal(0);
      rig.end();
    });

    it('fail with the protocol error about them, and not with those about others', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const results: e.ErgotError[] = [];
      rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(result as e.ErgotError));
      const kind = FrameKind.Error;
      const tooBig = Uint8Array.of(12, 0xb0, 9);
      expect(rig.arrive({ kind, sequence: 1, body: tooBig })).to.equal('ok');
      expect(rig.arrive({ kind, sequence: 0, body: tooBig, to: '1.1:2' })).to.equal('ok');
      expect(rig.arrive({ kind, sequence: 0, body: Uint8Array.of(12) })).to.equal('ok');
      expect(results).to.deep.equal([]);
      expect(rig.env.drops.toJSON()).to.deep.equal({ 'ergot-unsolicited': 2, 'ergot-bad-error': 1 });
      rig.arrive({ kind, sequence: 0, body: tooBig });
      rig.arrive({ kind, sequence: 0, body: tooBig });
      expect(results).to.have.length(1);
      expect(results[0]).to.include({
        code: 'ERR_ERGOT_PROTOCOL',
        protocolError: ProtocolError.IsePacketTooBig,
        mtu: 1200,
      });
      rig.end();
    });

    it('say what MTU they were too large for on the first link', () => {
      const rig = stackRig();
      rig.profile.refusal = ProtocolError.IsePacketTooBig;
      const results: unknown[] = [];
      rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push((result as e.ErgotError).mtu));
      expect(results).to.deep.equal([rig.profile.mtu]);
      rig.end();
    });

    it('number what they send from 0 to 65535, and again', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      for (let i = 0; i < 65_538; i++) rig.stack.publish(yeet, address('1.2:1'), 1n);
      expect(rig.profile.messages.slice(-3).map(({ sequence }) => sequence)).to.deep.equal([65_535, 0, 1]);
      rig.end();
    });

    it('fail without a port where all are taken', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const run = () => rig.stack.request(ping, address('1.2:1'), 1, () => undefined);
      for (let i = 0; i < 254; i++) run();
      expect(outcome(run)).to.equal('ERR_ERGOT_NO_PORT');
      rig.scheduler.run();
      expect(outcome(run)).to.equal('ok');
      rig.scheduler.run();
      rig.end();
    });

    it('leave nothing behind where their value is none of the type', () => {
      const rig = stackRig();
      expect(outcome(() => rig.stack.request(ping, address('1.2:1'), -1, () => undefined))).to.equal('ERR_BAD_MESSAGE');
      expect(outcome(() => rig.stack.requestAll(ping, address('0.0:255'), 1.5, () => undefined))).to.equal(
        'ERR_BAD_MESSAGE',
      );
      expect(outcome(() => rig.stack.publish(yeet, address('1.2:1'), -1n))).to.equal('ERR_BAD_MESSAGE');
      expect(rig.scheduler.pending).to.equal(0);
      expect(rig.stack.serve(ping, () => undefined).port).to.equal(1);
      rig.end();
    });

    it('to all hear every answer until they are ended', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const heard: unknown[] = [];
      for (let i = 0; i < 2; i++) rig.stack.serve(ping, ({ value: asked }, answer) => answer(asked + 1));
      const end = rig.stack.requestAll(ping, address('0.0:255'), 1, ({ value, source }) =>
        heard.push(`${value} ${e.netAddressText(source)}`),
      );
      expect(heard).to.deep.equal(['2 0.0:1', '2 0.0:2']);
      rig.arrive({ kind: FrameKind.Response, to: '1.1:3', sequence: 0 });
      expect(heard.at(-1)).to.equal('42 1.9:7');
      end();
      expect(rig.arrive({ kind: FrameKind.Response, to: '1.1:3', sequence: 0 })).to.equal('NsseNoRoute');
      rig.end();
    });
  });

  describe('handlers', () => {
    it('that throw lose that message only, and answer it no more', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const answers: ((response: number) => void)[] = [];
      rig.stack.serve(
        ping,
        (_request, answer) => {
          answers.push(answer);
          if (answers.length === 1) throw new Error('no');
          answer(2);
        },
        { unanswered: 1 },
      );
      expect([rig.arrive({}), rig.arrive({})]).to.deep.equal(['ok', 'ok']);
      answers[0]?.(1);
      expect(rig.profile.sent).to.have.length(1);
      expect(rig.env.drops.count(DropReason.CallbackThrew)).to.equal(1);
      rig.end();
    });

    it('may answer again where the answer was none of the type', () => {
      const rig = stackRig();
      rig.profile.takes = true;
      const codes: string[] = [];
      rig.stack.serve(ping, (_request, answer) => {
        codes.push(outcome(() => answer(-1)));
        codes.push(outcome(() => answer(1)));
      });
      rig.arrive({});
      expect(codes).to.deep.equal(['ERR_BAD_MESSAGE', 'ok']);
      expect(rig.profile.sent).to.have.length(1);
      rig.end();
    });

    it('are told why their answer did not leave', () => {
      const rig = stackRig();
      const told: unknown[] = [];
      const later: (() => unknown)[] = [];
      rig.stack.serve(ping, ({ value }, answer) => {
        if (value === 0) later.push(() => answer(1));
        else told.push(answer(1), answer(2));
      });
      const one = e.encode(e.u32, 1);
      rig.profile.refusal = ProtocolError.IsePacketTooBig;
      rig.arrive({ body: one });
      rig.profile.refusal = undefined;
      rig.arrive({ body: one });
      rig.profile.takes = true;
      rig.arrive({ body: one });
      rig.arrive({ body: e.encode(e.u32, 0) });
      rig.end();
      told.push(...later.map((answer) => answer()));
      const words = told.map((error) => (error instanceof e.ErgotError ? `${error.message} ${error.code}` : error));
      const tooBig = `IsePacketTooBig, of ${rig.profile.mtu} bytes at most ERR_ERGOT_PROTOCOL`;
      const lines = [tooBig, undefined, 'IseNoRouteToDest ERR_ERGOT_PROTOCOL', undefined, undefined, undefined];
      expect(words).to.deep.equal([...lines, 'the node has ended ERR_ERGOT_CLOSED']);
    });

    it('of sockets that answer one another do not grow the stack, and leave the clock its turns', () => {
      const rig = stackRig();
      let depth = 0;
      let deepest = 0;
      let calls = 0;
      for (const [here, there] of [
        [1, 2],
        [2, 1],
      ] as const) {
        rig.stack.subscribe(
          yeet,
          ({ value }) => {
            calls++;
            deepest = Math.max(deepest, ++depth);
            if (value < 10_000n) rig.stack.publish(yeet, e.netAddress(0, 0, there), value + 1n);
            depth--;
          },
          { port: here },
        );
      }
      rig.stack.publish(yeet, address('0.0:1'), 1n);
      expect([deepest, rig.scheduler.pending]).to.deep.equal([1, 1]);
      expect(calls).to.be.lessThan(1000);
      rig.scheduler.run();
      expect([calls, deepest, rig.scheduler.now()]).to.deep.equal([10_000, 1, 0]);
      rig.end();
    });

    it('hear what came before they closed their socket, and nothing afterwards', () => {
      const rig = stackRig();
      const heard: bigint[] = [];
      const socket = rig.stack.subscribe(yeet, ({ value }) => {
        heard.push(value);
        if (value === 0n) for (let i = 1n; i < 4n; i++) rig.stack.publish(yeet, address('0.0:255'), i);
        if (value === 2n) socket.close();
      });
      rig.stack.publish(yeet, address('0.0:255'), 0n);
      expect(heard).to.deep.equal([0n, 1n, 2n]);
      rig.end();
    });
  });

  it('tells which sockets are open to be found, by their ports', () => {
    const rig = stackRig();
    rig.stack.subscribe(yeet, () => undefined);
    rig.stack.serve(ping, () => undefined, { port: 7, name: 'seven' });
    rig.stack.serve(ping, () => undefined, { hidden: true });
    const own = rig.stack.subscribe(yeet, () => undefined, { own: true });
    const { low: keyLow, high: keyHigh } = yeet.key;
    const { low, high } = ping.requestKey;
    expect([...rig.stack.sockets()]).to.deep.equal([
      { kind: FrameKind.Topic, keyLow, keyHigh, name: 0, port: 0 },
      { kind: FrameKind.Topic, keyLow, keyHigh, name: 0, port: own.port },
      { kind: FrameKind.Request, keyLow: low, keyHigh: high, name: e.nameHash('seven'), port: 7 },
    ]);
    rig.end();
  });

  it('refuses wrong options at once', () => {
    const rig = stackRig();
    rig.stack.serve(ping, () => undefined, { port: 7 });
    const wrong: readonly (() => unknown)[] = [
      () => stackRig({ queue: 0 }),
      () => stackRig({ queue: 1.5 }),
      ...[0, 7, 255, -1, 1.5].map((port) => () => rig.stack.serve(ping, () => undefined, { port })),
      ...[0, 7, 255].map((port) => () => rig.stack.subscribe(yeet, () => undefined, { port })),
      () => rig.stack.serve(ping, () => undefined, { unanswered: 0 }),
      () => rig.stack.serve(ping, () => undefined, { unanswered: Number.NaN }),
      () => rig.stack.request(ping, 0, 1, () => undefined, { timeout: -1 }),
      () => rig.stack.request(ping, 0, 1, () => undefined, { timeout: Number.NaN }),
      () => rig.stack.publish(yeet, 0, 1n, { from: 255 }),
    ];
    for (const run of wrong)
      expect(run, run.toString()).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
    rig.end();
  });

  it('ends: who waits is told, and nothing goes any more', () => {
    const rig = stackRig();
    rig.profile.takes = true;
    const results: unknown[] = [];
    const answers: ((response: number) => void)[] = [];
    rig.stack.serve(ping, (_request, answer) => answers.push(answer));
    rig.arrive({});
    rig.stack.request(ping, address('1.2:1'), 1, (result) => results.push(told(result)));
    rig.stack.requestAll(ping, address('0.0:255'), 1, (answer) => results.push(answer));
    rig.machine.close();
    rig.machine.close();
    expect(results).to.deep.equal(['ERR_ERGOT_CLOSED']);
    const sent = rig.profile.sent.length;
    answers[0]?.(1);
    expect(rig.profile.sent).to.have.length(sent);
    for (const run of [
      () => rig.stack.serve(ping, () => undefined),
      () => rig.stack.subscribe(yeet, () => undefined),
      () => rig.stack.publish(yeet, address('0.0:255'), 1n),
      () => rig.stack.request(ping, address('0.0:1'), 1, () => undefined),
    ]) {
      expect(outcome(run)).to.equal('ERR_ERGOT_CLOSED');
    }
    expect(rig.profile.calls).to.deep.equal({ start: 1, stop: 1 });
    rig.end();
  });
});
