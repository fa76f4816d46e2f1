import { expect } from 'chai';
import { defer, EMPTY, NEVER, type Observable, Subject, throwError } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { asRx, Frame, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { UsageError } from '../../../lib/core/errors.js';
import * as e from '../../../lib/ergot/index.js';
import { ergot, type ErgotNode } from '../../../operators/ergot/ergot.js';
import { toDevices } from '../../../operators/stack/to-devices.js';
import { hex, unhex } from '../../lib/ergot/bytes.js';
import { FlatProfile } from '../../lib/ergot/flat-profile.js';
import { address, NodeRig, ping, yeet } from './node-rig.js';

const codeOf = (error: unknown): string => (error as { readonly code: string }).code;

/** Notes what an Observable does: values by `say`, `#` and the code of an error, `|`. */
function notes<T>(observable: Observable<T>, say: (value: T) => unknown) {
  const heard: unknown[] = [];
  const subscription = observable.subscribe({
    next: (value) => void heard.push(say(value)),
    error: (error: unknown) => void heard.push(`# ${codeOf(error)}`),
    complete: () => void heard.push('|'),
  });
  return { heard, subscription };
}

describe('ergot()', () => {
  let rig: NodeRig;
  beforeEach(() => {
    rig = new NodeRig();
  });
  afterEach(() => rig.end());

  function pair(): { readonly a: ErgotNode<number>; readonly b: ErgotNode<number> } {
    const a = rig.node(new FlatProfile(1));
    const b = rig.node(new FlatProfile(2));
    rig.join(a, b);
    return { a, b };
  }

  it('refuses a profile that serves another node, or served one', () => {
    const profiles = [e.nullProfile(), e.edgeProfile(), e.routerProfile(), e.bridgeProfile(), new FlatProfile(1)];
    for (const profile of profiles) {
      const wrong = () => rig.node(profile, { queue: 0 });
      expect(wrong).to.throw(UsageError).with.property('code', 'ERR_INVALID_OPTION');
      const first = rig.node(profile);
      const again = () => rig.node(profile);
      expect(again).to.throw(UsageError).with.property('code', 'ERR_INVALID_STATE');
      first.serve(ping).subscribe();
      first.dispose();
      expect(again).to.throw(UsageError).with.property('code', 'ERR_INVALID_STATE');
    }
  });

  describe('as an operator', () => {
    // A request of 1.2:5 to 1.1:1 with number 7, for 42, and its answer.
    const REQUEST = '85840481820407010f2a';
    const ANSWER = '81820485840407020f2b';

    /** A node of one piped link, by hand. */
    function piped(source$?: Observable<RxFrame>) {
      const subject = new Subject<RxFrame>();
      const [device, stranger] = rig.cable().ends;
      const profile = new FlatProfile(1);
      const node = ergot(profile, { links: [device] }, rig.env);
      const feed = (text: string, by = device) => {
        const frame = Frame.from(unhex(text));
        frame.device = by;
        subject.next(asRx(frame));
      };
      const { heard, subscription } = notes((source$ ?? subject).pipe(node), (frame: TxFrame) => {
        expect(frame.device).to.equal(device);
        const text = hex(frame.bytes());
        frame.release();
        return text;
      });
      return { node, profile, subject, stranger, feed, heard, subscription };
    }

    it('answers in the call in which it was asked', () => {
      const { node, feed, heard, subscription } = piped();
      node.serve(ping).subscribe((request) => request.answer(request.value + 1));
      feed(REQUEST);
      expect(heard).to.deep.equal([ANSWER]);
      subscription.unsubscribe();
    });

    it('drops frames of devices that it does not have', () => {
      const { node, feed, heard, stranger, subscription } = piped();
      node.serve(ping).subscribe((request) => request.answer(0));
      feed(REQUEST, stranger);
      expect(heard).to.deep.equal([]);
      expect(rig.env.drops.toJSON()).to.deep.equal({ 'device-unknown': 1 });
      subscription.unsubscribe();
    });

    it('ends with its subscription: no link, no timer, and who waits is told', () => {
      const { node, profile, subject, subscription } = piped();
      const { heard } = notes(node.request(ping, address('1.2:1'), 1), ({ value }) => value);
      const served = notes(node.serve(ping), ({ value }) => value);
      expect([rig.scheduler.pending, subject.observed, profile.links.length]).to.deep.equal([1, true, 1]);
      subscription.unsubscribe();
      expect([rig.scheduler.pending, subject.observed, profile.links.length]).to.deep.equal([0, false, 0]);
      expect([heard, served.heard]).to.deep.equal([['# ERR_ERGOT_CLOSED'], ['|']]);
      expect(profile.calls).to.deep.equal({ start: 1, stop: 1 });
    });

    it('completes when it is disposed, and lets go of its source', () => {
      const { node, subject, heard } = piped();
      node.dispose();
      node[Symbol.dispose]();
      expect([heard, subject.observed]).to.deep.equal([['|'], false]);
    });

    it('ends as its source does', () => {
      const broken = throwError(() => new e.ErgotError('ERR_ERGOT_TIMEOUT', ''));
      for (const [source, expected] of [
        [EMPTY, ['|']],
        [NEVER, []],
        [broken, ['# ERR_ERGOT_TIMEOUT']],
      ] as const) {
        const { heard, profile, subscription } = piped(source);
        expect(heard).to.deep.equal(expected);
        expect(profile.calls.stop).to.equal(source === NEVER ? 0 : 1);
        subscription.unsubscribe();
      }
    });

    it('is subscribed once', () => {
      const { node, subscription } = piped();
      expect(notes(NEVER.pipe(node), () => '').heard).to.deep.equal(['# ERR_INVALID_STATE']);
      subscription.unsubscribe();
      expect(notes(NEVER.pipe(node), () => '').heard).to.deep.equal(['# ERR_INVALID_STATE']);
      const other = ergot(new FlatProfile(1), {}, rig.env);
      other.dispose();
      expect(notes(NEVER.pipe(other), () => '').heard).to.deep.equal(['# ERR_ERGOT_CLOSED']);
    });

    it('ends at once with links that its profile cannot use', () => {
      const [device] = rig.cable().ends;
      const profile = new FlatProfile(1);
      const node = ergot(profile, { links: [device, device] }, rig.env);
      expect(notes(NEVER.pipe(node), () => '').heard).to.deep.equal(['# ERR_INVALID_OPTION']);
      expect([profile.links.length, profile.calls.stop]).to.deep.equal([0, 1]);
    });

    it('stands between drivers', () => {
      const [left, right] = rig.cable().ends;
      const a = ergot(new FlatProfile(1), { links: [left] }, rig.env);
      const b = rig.node(new FlatProfile(2));
      left.frames$.pipe(a).subscribe(toDevices(left));
      b.plug(right);
      a.serve(ping).subscribe((request) => request.answer(request.value + 1));
      const { heard } = notes(b.request(ping, address('1.1:0'), 41), ({ value, source }) => [value, source]);
      rig.scheduler.run();
      expect(heard).to.deep.equal([[42, address('1.1:1')], '|']);
      a.dispose();
    });
  });

  describe('with links that are plugged in', () => {
    it('lets go of a link that is unplugged, or closed', async () => {
      const { a } = pair();
      const states = notes(a.links$, (links) => links.length);
      const cable = rig.cable();
      const subscription = a.plug(cable.ends[0]);
      subscription.unsubscribe();
      a.plug(cable.ends[0]);
      await cable.ends[0].close();
      expect(states.heard).to.deep.equal([1, 2, 1, 2, 1]);
      a.dispose();
      expect(states.heard.at(-1)).to.equal('|');
      expect(notes(a.links$, () => '').heard).to.deep.equal(['|']);
    });

    it('tells of a device that failed, and goes on without it', () => {
      const { a, b } = pair();
      const failures = notes(a.failures$, ({ link, error }) => `${link.name} ${codeOf(error)}`);
      const [device] = rig.cable({ ends: ['bad', 'end'] }).ends;
      const frames$ = new Subject<RxFrame>();
      a.plug({ ...device, name: 'bad', medium: 'ergot', frames$ });
      frames$.error(new e.ErgotError('ERR_ERGOT_TIMEOUT', ''));
      expect(failures.heard).to.deep.equal(['bad ERR_ERGOT_TIMEOUT']);
      a.serve(ping).subscribe((request) => request.answer(1));
      const { heard } = notes(b.request(ping, address('1.1:1'), 1), ({ value }) => value);
      rig.scheduler.run();
      expect(heard).to.deep.equal([1, '|']);
      a.dispose();
      expect(failures.heard.at(-1)).to.equal('|');
    });

    for (const end of ['error', 'complete'] as const) {
      it(`keeps a device that is plugged in again by who hears of its ${end}`, () => {
        const { a } = pair();
        const lines = Array.from({ length: 2 }, () => new Subject<RxFrame>());
        let count = 0;
        const device = { ...rig.cable().ends[0], name: 'again', frames$: defer(() => lines[count++] ?? NEVER) };
        a.plug(device);
        const names = () => a.profile.links.map(({ link }) => link.name);
        const before = names().length;
        const plugAgain = () => count === 1 && a.plug(device);
        a.failures$.subscribe(plugAgain);
        a.links$.subscribe((links) => links.length < before && plugAgain());
        if (end === 'error') lines[0]?.error(new Error('gone'));
        else lines[0]?.complete();
        expect([count, names().includes('again'), lines[1]?.observed]).to.deep.equal([2, true, true]);
        lines[1]?.complete();
        expect(names()).to.not.include('again');
        a.dispose();
      });
    }

    it('takes a device once', () => {
      const { a } = pair();
      const [device] = rig.cable().ends;
      a.plug(device);
      expect(() => a.plug(device))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
      a.dispose();
      expect(() => a.plug(device))
        .to.throw()
        .with.property('code', 'ERR_ERGOT_CLOSED');
    });

    it('may be ended by who hears of them', () => {
      const edge = rig.node(e.edgeProfile({ claim: {} }));
      edge.links$.subscribe((links) => {
        if (links.length > 0) edge.dispose();
      });
      edge.plug(rig.cable().ends[0]);
      const router = ergot(e.routerProfile(), { links: rig.cable().ends }, rig.env);
      router.links$.subscribe((links) => {
        if (links.length === 1) router.dispose();
      });
      expect(notes(NEVER.pipe(router), () => '').heard).to.deep.equal(['|']);
      rig.scheduler.runFor(60_000);
      expect([edge.profile.links, router.profile.links, rig.scheduler.pending]).to.deep.equal([[], [], 0]);
    });

    it('can be asked again for a link that its profile had no room for', () => {
      const edge = rig.node(e.edgeProfile());
      const [first, second] = rig.cable().ends;
      const subscription = edge.plug(first);
      for (let i = 0; i < 2; i++) {
        const plug = () => edge.plug(second);
        expect(plug).to.throw('the edge has a link').with.property('code', 'ERR_INVALID_OPTION');
      }
      subscription.unsubscribe();
      edge.plug(second);
      expect(edge.profile.links.map(({ link }) => link)).to.deep.equal([second]);
    });
  });

  describe('as Observables', () => {
    it('asks once for each subscription', () => {
      const { a, b } = pair();
      const asked = notes(a.serve(ping), (request) => {
        request.answer(request.value + 1);
        return [request.value, request.source, request.sequence];
      });
      const question = b.request(ping, address('1.1:0'), 41);
      expect(asked.heard).to.deep.equal([]);
      const answers = [notes(question, ({ value }) => value), notes(question, ({ value }) => value)];
      rig.scheduler.run();
      expect(answers.map(({ heard }) => heard)).to.deep.equal([
        [42, '|'],
        [42, '|'],
      ]);
      expect(asked.heard).to.deep.equal([
        [41, address('1.2:1'), 0],
        [41, address('1.2:2'), 1],
      ]);
    });

    it('gives a question up that is unsubscribed', () => {
      const { b } = pair();
      const { heard, subscription } = notes(b.request(ping, address('1.1:9'), 1), ({ value }) => value);
      subscription.unsubscribe();
      expect(rig.scheduler.pending).to.equal(1);
      rig.scheduler.run();
      expect(heard).to.deep.equal([]);
    });

    it('errors with what became of a question', () => {
      const { a, b } = pair();
      const text = e.endpoint('text', e.string, e.string);
      a.serve(text).subscribe();
      const asked = [
        notes(b.request(ping, address('1.1:9'), 1), () => ''),
        notes(b.request(ping, address('1.1:1'), 0x80), () => ''),
        notes(b.request(text, address('1.1:1'), 'later', { timeout: 70 }), () => ''),
        notes(b.request(ping, address('1.1:1'), -1), () => ''),
      ];
      rig.scheduler.run();
      expect(asked.map(({ heard }) => heard)).to.deep.equal([
        ['# ERR_ERGOT_PROTOCOL'],
        ['# ERR_ERGOT_PROTOCOL'],
        ['# ERR_ERGOT_TIMEOUT'],
        ['# ERR_BAD_MESSAGE'],
      ]);
    });

    it('serves and listens as long as somebody is subscribed', () => {
      const { a, b } = pair();
      const topic = notes(a.topic(yeet), ({ value }) => value);
      const served = notes(a.serve(ping, { port: 9 }), (request) => request.answer(0));
      expect(notes(a.serve(ping, { port: 9 }), () => '').heard).to.deep.equal(['# ERR_INVALID_OPTION']);
      b.publish(yeet, address('1.1:255'), 1n);
      rig.scheduler.run();
      for (const { subscription } of [topic, served]) subscription.unsubscribe();
      b.publish(yeet, address('1.1:255'), 2n);
      rig.scheduler.run();
      expect([topic.heard, [...a.stack.sockets()]]).to.deep.equal([[1n], []]);
    });

    it('hears answers and topics until the node ends', () => {
      const { a, b } = pair();
      a.serve(ping, { name: 'x' }).subscribe((request) => request.answer(request.value + 1));
      a.serve(ping, { name: 'y' }).subscribe((request) => request.answer(request.value + 2));
      const answers = notes(b.requestAll(ping, address('1.1:255'), 1), ({ value }) => value);
      const named = notes(b.requestAll(ping, address('1.1:255'), 1, { name: 'y' }), ({ value }) => value);
      const topic = notes(b.topic(yeet, { own: true }), ({ value }) => value);
      a.publish(yeet, address('1.2:3'), 5n);
      rig.scheduler.run();
      b.dispose();
      expect([answers.heard, named.heard, topic.heard]).to.deep.equal([
        [2, 3, '|'],
        [3, '|'],
        [5n, '|'],
      ]);
    });

    it('answers in topics, to the port that a message came from', () => {
      const { a, b } = pair();
      a.topic(yeet).subscribe(({ source, value }) => a.publish(yeet, source, value + 1n));
      const mine = b.stack.subscribe(yeet, ({ value }) => heard.push(value), { own: true });
      const heard: bigint[] = [];
      b.publish(yeet, address('0.0:255'), 1n, { from: mine.port });
      rig.scheduler.run();
      expect(heard).to.deep.equal([2n]);
    });
  });

  it('does not grow the stack when nodes answer one another', () => {
    const { a, b } = pair();
    let depth = 0;
    let deepest = 0;
    let rounds = 0;
    const bounce = (from: ErgotNode<number>, to: string) =>
      from.topic(yeet, { port: 1 }).subscribe(({ value }) => {
        deepest = Math.max(deepest, ++depth);
        rounds++;
        if (value > 0n) from.publish(yeet, address(to), value - 1n);
        depth--;
      });
    bounce(a, '1.2:1');
    bounce(b, '1.1:1');
    a.publish(yeet, address('1.2:1'), 20_000n);
    rig.scheduler.run();
    expect([rounds, deepest]).to.deep.equal([20_001, 1]);
  });

  it('keeps nothing of conversations that are over', () => {
    const { a, b } = pair();
    a.serve(ping).subscribe((request) => request.answer(request.value));
    let done = 0;
    for (let i = 0; i < 3000; i++) {
      b.request(ping, address(i % 3 === 0 ? '1.1:9' : '1.1:0'), i).subscribe({
        next: () => done++,
        error: () => done++,
      });
      rig.scheduler.runFor(1);
    }
    expect(done).to.equal(3000);
    expect([rig.scheduler.pending, rig.env.pool.outstanding, [...b.stack.sockets()].length]).to.deep.equal([0, 0, 0]);
    expect(rig.env.drops.count(DropReason.ErgotNoSocket)).to.equal(1000);
  });
});
