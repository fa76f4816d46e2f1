import { expect } from 'chai';
import { EMPTY, from, map, merge, mergeMap, NEVER, Observable, of, Subject, type Subscription, take, tap } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { type Frame, FramePool } from '../../../lib/core/frame.js';
import { demux } from '../../../operators/flow/demux.js';
import type { Packet } from '../../../operators/flow/packet.js';
import { environment } from '../../../operators/time/environment.js';
import { driver, frameWith, letterOf, letters, marbles, passesOn } from './marbles.js';

const key = (packet: Packet) => letterOf(packet).charCodeAt(0) - 'a'.charCodeAt(0);

/** A source that emits in the very call that subscribes to it. */
function burst(env: Env, text: string): Observable<Frame> {
  return driver(from(text.split('')).pipe(map((letter) => frameWith(env, letter))));
}

function bench(): { env: Env; source$: Subject<Frame>; send: (text: string) => void } {
  const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
  const source$ = new Subject<Frame>();
  const send = (text: string) => {
    for (const letter of text) {
      const frame = frameWith(env, letter);
      source$.next(frame);
      frame.release();
    }
  };
  return { env, source$, send };
}

describe('demux', () => {
  describe('with all packets of one key', () => {
    passesOn((env) => (source$) => demux(source$, () => 4711, {}, env).on(4711));
  });

  describe('with nobody subscribed to the key', () => {
    passesOn((env) => (source$) => demux(source$, () => 6, {}, env).rest$);
  });

  it('hands each packet to the subscribers of its key, and the rest to rest$', () => {
    marbles(({ env, rx, expectObservable }) => {
      const letters$ = demux(rx('    -a-b-(abc)-|'), key, {}, env);
      expectObservable(letters$.on(0).pipe(letters())).toBe('-a---a-----|');
      expectObservable(letters$.on(1).pipe(letters())).toBe('---b-b-----|', { b: 'b' });
      expectObservable(letters$.rest$.pipe(letters())).toBe('-----c-----|');
    });
  });

  it('connects once, with the first subscriber, and leaves with the last', () => {
    marbles(({ env, cold, expectObservable, expectSubscriptions }) => {
      const source = cold('         ---a--b--a--b--');
      const letters$ = demux(driver(source.pipe(map((letter) => frameWith(env, letter)))), key, {}, env);
      expectObservable(letters$.on(0).pipe(letters()), '  -^---!').toBe('    ----a');
      expectObservable(letters$.on(1).pipe(letters()), '  ---^------!').toBe('-------b');
      expectSubscriptions(source.subscriptions).toBe('     -^--------!');
    });
  });

  it('starts the source again after it ended', () => {
    marbles(({ env, cold, expectObservable, expectSubscriptions }) => {
      const source = cold('                                 -a|');
      const letters$ = demux(driver(source.pipe(map((letter) => frameWith(env, letter)))), key, {}, env);
      expectObservable(letters$.on(0).pipe(letters()), '    ^').toBe('     -a|');
      expectObservable(letters$.on(0).pipe(letters()), '    -----^').toBe('------a|');
      expectSubscriptions(source.subscriptions).toBe(['     ^-!', '-----^-!']);
    });
  });

  it('passes an error to every branch', () => {
    marbles(({ env, rx, expectObservable }) => {
      const letters$ = demux(rx('-a-#'), key, {}, env);
      expectObservable(letters$.on(0).pipe(letters())).toBe('-a-#');
      expectObservable(letters$.on(1).pipe(letters())).toBe('---#');
      expectObservable(letters$.rest$.pipe(letters())).toBe('---#');
    });
  });

  it('reports what nobody wants, with the reason that it was given', () => {
    const { env, source$, send } = bench();
    const letters$ = demux(source$, key, { reason: DropReason.EthernetUnknownType }, env);
    const plain$ = demux(source$, key, {}, env);
    letters$.on(0).subscribe();
    send('abb');
    expect(env.drops.toJSON()).to.deep.equal({ 'ethernet-unknown-type': 2 });
    plain$.on(1).subscribe();
    send('c');
    expect(env.drops.count(DropReason.EthernetUnknownType)).to.equal(3);
    const rest = letters$.rest$.subscribe();
    send('c');
    expect(env.drops.count(DropReason.EthernetUnknownType)).to.equal(3);
    expect(env.drops.count(DropReason.NotSubscribed)).to.equal(1);
    rest.unsubscribe();
    send('c');
    expect(env.drops.count(DropReason.EthernetUnknownType)).to.equal(4);
  });

  it('drops the packet whose key throws, and goes on', () => {
    const { env, source$, send } = bench();
    const picky = (packet: Frame) => {
      if (letterOf(packet) === 'x') throw new Error('mine');
      return 0;
    };
    const seen: string[] = [];
    demux(source$, picky, {}, env)
      .on(0)
      .pipe(letters())
      .subscribe((letter) => seen.push(letter));
    send('axb');
    expect(seen).to.deep.equal(['a', 'b']);
    expect(env.drops.count(DropReason.CallbackThrew)).to.equal(1);
  });

  it('takes large, negative and odd keys for what they are', () => {
    const env = environment({ seed: 1 });
    const keys = [0, 255, 256, 0x86dd, -1, 1.5, Number.NaN];
    const source$ = new Subject<Frame & { key?: number }>();
    const keyed$ = demux(source$, (frame: Frame & { key?: number }) => frame.key ?? 0, {}, env);
    const seen: string[] = [];
    for (const each of keys) keyed$.on(each).subscribe((frame) => seen.push(`${each}:${frame.key}`));
    for (const each of keys) source$.next(Object.assign(frameWith(env, 'a'), { key: each }));
    expect(seen).to.deep.equal(keys.map((each) => `${each}:${each}`));
  });

  it('follows who comes and goes at a large key, of which it remembers the last', () => {
    const { env, source$, send } = bench();
    const seen: string[] = [];
    const large$ = demux(source$, (frame) => 0x800 + key(frame), {}, env);
    large$.rest$.subscribe((frame) => seen.push(`-${letterOf(frame)}`));
    send('aab');
    const first = large$.on(0x800).subscribe((frame) => seen.push(letterOf(frame)));
    send('a');
    const second = large$.on(0x801).subscribe((frame) => seen.push(letterOf(frame).toUpperCase()));
    send('ba');
    first.unsubscribe();
    send('ab');
    second.unsubscribe();
    large$.on(0x800).subscribe((frame) => seen.push(`again ${letterOf(frame)}`));
    send('ba');
    expect(seen).to.deep.equal(['-a', '-a', '-b', 'a', 'B', 'a', '-a', 'B', '-b', 'again a']);
  });

  it('lets branches come and go from within a next', () => {
    const { env, source$, send } = bench();
    const letters$ = demux(source$, key, {}, env);
    const seen: string[] = [];
    let late: Subscription | undefined;
    const first = letters$.on(0).subscribe(() => {
      seen.push('first');
      late ??= letters$.on(0).subscribe(() => seen.push('late'));
    });
    const second = letters$.on(0).subscribe(() => {
      seen.push('second');
      first.unsubscribe();
    });
    send('a');
    expect(seen).to.deep.equal(['first', 'second']);
    send('a');
    expect(seen.slice(2)).to.deep.equal(['second', 'late']);
    second.unsubscribe();
    late?.unsubscribe();
    expect(source$.observed).to.equal(false);
  });

  it('does not show a packet to a subscriber that another one removed', () => {
    const { env, source$, send } = bench();
    const letters$ = demux(source$, key, {}, env);
    const victims: Subscription[] = [];
    letters$.on(0).subscribe(() => victims[0]?.unsubscribe());
    victims.push(letters$.on(0).subscribe(() => expect.fail()));
    send('a');
  });

  it('shows several subscribers of a key the range that came in, and that they are not alone', () => {
    const { env, source$, send } = bench();
    const letters$ = demux(source$, key, {}, env);
    const seen: (string | boolean)[] = [];
    const narrow = (frame: Frame) => {
      seen.push(letterOf(frame), frame.shared, frame.exclusive, frame.length === 1);
      frame.start++;
      frame.end = frame.start;
    };
    const both = [letters$.on(0).subscribe(narrow), letters$.on(0).subscribe(narrow)];
    send('a');
    expect(seen).to.deep.equal(['a', true, false, true, 'a', true, false, true]);
    both[0]?.unsubscribe();
    seen.length = 0;
    send('a');
    expect(seen).to.deep.equal(['a', false, true, true]);
  });

  it('serves the seed composition', () => {
    marbles(({ env, rx, expectObservable }) => {
      class View {
        readonly frame: Frame;
        constructor(frame: Frame) {
          this.frame = frame;
        }
      }
      const views$ = rx('-a-b-c-d-|').pipe(map((frame) => new View(frame)));
      const link$ = demux(views$, (view) => (key(view.frame) < 2 ? 0 : key(view)), {}, env);
      const frames$ = link$.on(0).pipe(map((view) => view.frame));
      const net$ = demux(frames$, key, {}, env);
      const out$ = merge(
        link$.on(2).pipe(letters()),
        net$.on(0).pipe(letters()),
        net$.on(1).pipe(map((frame) => letterOf(frame).toUpperCase())),
      );
      expectObservable(out$).toBe('-a-B-c---|');
    });
  });

  describe('with a source that emits while it is being subscribed to', () => {
    it('loses nothing in a merge of branches, and keeps the order', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const letters$ = demux(burst(env, 'cabbac'), key, {}, env);
      const out$ = merge(letters$.on(0), letters$.on(1), letters$.rest$);
      for (let round = 0; round < 2; round++) {
        const seen: string[] = [];
        out$.subscribe({ next: (frame) => seen.push(letterOf(frame)), complete: () => seen.push('|') });
        expect(seen.join('')).to.equal('cabbac|');
      }
      expect(env.drops.total).to.equal(0);
      expect(env.pool.outstanding).to.equal(0);
    });

    it('holds for demuxes behind demuxes, with the range of each layer', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const two = (text: string) => {
        const frame = env.pool.alloc(2);
        const at = frame.put(2);
        frame.slab.bytes[at] = text.charCodeAt(0);
        frame.slab.bytes[at + 1] = text.charCodeAt(1);
        return frame;
      };
      const link$ = demux(driver(of('aa', 'bz', 'ab', 'ac').pipe(map(two))), key, {}, env);
      const net$ = demux(link$.on(0).pipe(tap((frame) => frame.start++)), key, {}, env);
      const seen: string[] = [];
      const see = (name: string) => map((frame: Frame) => name + letterOf(frame));
      merge(link$.on(1).pipe(see('link ')), net$.on(0).pipe(see('net ')), net$.on(1).pipe(see('net '))).subscribe(
        (text) => seen.push(text),
      );
      expect(seen).to.have.members(['net a', 'link b', 'net b']);
      expect(env.drops.toJSON()).to.deep.equal({ 'not-subscribed': 1 });
      expect(env.pool.outstanding).to.equal(0);
    });

    it('waits no longer than a microtask for a branch that never comes', async () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const letters$ = demux(burst(env, 'aba'), key, {}, env);
      const seen: string[] = [];
      letters$.on(1);
      letters$.on(0).subscribe({ next: (frame) => seen.push(letterOf(frame)), complete: () => seen.push('|') });
      expect(seen).to.deep.equal([]);
      await Promise.resolve();
      expect(seen).to.deep.equal(['a', 'a', '|']);
      expect(env.drops.count(DropReason.NotSubscribed)).to.equal(1);
      expect(env.pool.outstanding).to.equal(0);
    });

    it('releases what waits when the subscriber leaves', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const letters$ = demux(burst(env, 'aba'), key, {}, env);
      letters$.on(1);
      const subscription = letters$.on(0).subscribe(() => expect.fail());
      expect(env.pool.outstanding).to.equal(3);
      subscription.unsubscribe();
      expect(env.pool.outstanding).to.equal(0);
      expect(env.drops.count(DropReason.Disposed)).to.equal(3);
    });

    it('can leave a source that would never stop by itself', () => {
      const env = environment({ seed: 1 });
      let made = 0;
      const endless$ = new Observable<Frame>((subscriber) => {
        while (!subscriber.closed && made < 1000) {
          made++;
          subscriber.next(frameWith(env, 'a'));
        }
      });
      demux(endless$, key, {}, env).on(0).pipe(take(2)).subscribe();
      expect(made).to.equal(2);
    });

    it('shows what waited with the range that it came with', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const moving$ = new Observable<Frame>((subscriber) => {
        const frame = frameWith(env, 'a');
        subscriber.next(frame);
        frame.start = frame.end;
        frame.release();
      });
      const letters$ = moving$.pipe(demux(key, {}, env));
      const seen: string[] = [];
      const out$ = merge(letters$.on(0), letters$.on(1));
      out$.subscribe((frame) => seen.push(letterOf(frame)));
      expect(seen).to.deep.equal(['a']);
    });

    it('does not nest packets when a branch attaches while it catches up', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const letters$ = burst(env, 'abc').pipe(demux(key, {}, env));
      const seen: string[] = [];
      const see = (frame: Frame) => seen.push(letterOf(frame));
      const [a$, b$] = [letters$.on(0), letters$.on(1)];
      a$.subscribe((frame) => {
        letters$.on(2).subscribe(see);
        see(frame);
      });
      b$.subscribe(see);
      expect(seen).to.deep.equal(['a', 'b', 'c']);
      expect(env.pool.outstanding).to.equal(0);
    });

    it('shows a branch that attaches while it catches up only what follows', () => {
      const env = environment({ seed: 1, pool: new FramePool({ poison: true }) });
      const letters$ = demux(burst(env, 'abc'), key, {}, env);
      const seen: string[] = [];
      const attach$ = letters$.on(0).pipe(mergeMap(() => letters$.on(2)));
      merge(attach$, letters$.on(1)).subscribe((frame) => seen.push(letterOf(frame)));
      expect(seen).to.deep.equal(['b', 'c']);
      expect(env.pool.outstanding).to.equal(0);
    });
  });

  describe('connect', () => {
    it('connects without branches and stays, whoever comes and goes', () => {
      const { env, source$, send } = bench();
      const letters$ = demux(source$, key, { autoConnect: false }, env);
      const seen: string[] = [];
      const branch = letters$.on(0).subscribe((frame) => seen.push(letterOf(frame)));
      expect(source$.observed).to.equal(false);
      const connection = letters$.connect();
      expect(letters$.connect()).to.equal(connection);
      send('a');
      branch.unsubscribe();
      expect(source$.observed).to.equal(true);
      send('a');
      connection.unsubscribe();
      expect(source$.observed).to.equal(false);
      expect(seen).to.deep.equal(['a']);
      expect(env.drops.count(DropReason.NotSubscribed)).to.equal(1);
    });

    it('is over when the source is', () => {
      const ended$ = demux(EMPTY, () => 0);
      expect(ended$.connect().closed).to.equal(true);
      const open$ = demux(NEVER, () => 0);
      const connection = open$.connect();
      expect(connection.closed).to.equal(false);
      connection.unsubscribe();
    });
  });

  it('asks for the key of a packet once, and none of the others, among ten thousand subscribers', () => {
    const { env, source$ } = bench();
    let wanted = 0;
    let asked = 0;
    const key = (frame: Frame) => {
      asked++;
      return frame.flow;
    };
    const keyed$ = demux(source$, key, {}, env);
    let others = 0;
    for (let i = 0; i < 10_000; i++) keyed$.on(i).subscribe(() => (i === 7 ? wanted++ : others++));
    const frame = frameWith(env, 'a');
    frame.flow = 7;
    for (let i = 0; i < 100; i++) source$.next(frame);
    expect([wanted, others, asked]).to.deep.equal([100, 0, 100]);
  });
});
