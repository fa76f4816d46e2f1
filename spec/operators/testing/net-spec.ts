import { expect } from 'chai';
import { delay, filter, map, merge, type MonoTypeOperatorFunction, NEVER, type Observable, of, throwError } from 'rxjs';
import { readCapture } from '../../../lib/capture/index.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { pretty } from '../../../lib/text/pretty.js';
import { host } from '../../../operators/stack/host.js';
import { responder } from '../../../operators/flow/responder.js';
import { type NetHelpers, type NetOptions, net } from '../../../operators/testing/index.js';

/** Sends back what comes in, with the ends swapped by whoever wrote the expectation. */
function echo(env: Env): (source: Observable<RxFrame>) => Observable<TxFrame> {
  return (source) => source.pipe(map((frame) => asTx(env.pool.copy(frame))));
}

/** Sends what comes in `wait` milliseconds later, from a timer. */
function later(env: Env, wait: number, careful = true): (source: Observable<RxFrame>) => Observable<TxFrame> {
  return responder((emit) => {
    let held: Frame | undefined;
    const timer = env.timers.timer(() => {
      const frame = held;
      held = undefined;
      if (frame !== undefined) emit(asTx(frame));
    });
    return {
      next(frame) {
        held = env.pool.copy(frame);
        timer.arm(env.timers.now() + wait);
      },
      teardown() {
        if (!careful) return;
        timer.cancel();
        held?.release();
        held = undefined;
      },
    };
  });
}

/** The message of the mismatch that a test ends with. */
function mismatch(test: (helpers: NetHelpers) => void, options?: NetOptions): string {
  try {
    net(test, options);
  } catch (error) {
    expect(error).to.have.property('name', 'MarbleMismatch');
    return (error as Error).message;
  }
  throw new Error('the test passed, and should have failed');
}

const PING = '< icmp echo_request id 7 seq 1 (56)';
// The same packet, seen as one of ours.
const SAME =
  '> icmp echo_request id 7 seq 1 (56) from 192.0.2.1 to 192.168.0.1 mac-from 02:00:00:00:00:02 mac-to 02:00:00:00:00:01';

describe('net', () => {
  it('delivers packets of a diagram when they are due, and compares what goes out', () => {
    net(({ rx, expectTx, env }) => {
      const in$ = rx('                --e--x--|', { e: PING, x: '< udp 53 > 1024 (12)' });
      expectTx(in$.pipe(echo(env))).toBe('--e--x--|', {
        e: SAME,
        x: 'udp 53 > 1024 (...) from 192.0.2.1 to 192.168.0.1 mac-from 02:00:00:00:00:02 mac-to 02:00:00:00:00:01',
      });
    });
  });

  it('passes time at once', () => {
    net(({ rx, expectTx, env }) => {
      const in$ = rx('                         s 50ms s 7199s --', { s: PING });
      expectTx(in$.pipe(later(env, 40))).toBe('- 39ms s 10ms 39ms - s 7000s -', { s: SAME });
    });
  });

  it('draws a readable diff of canonical lines', () => {
    const message = mismatch(({ rx, expectTx, env }) => {
      const in$ = rx('                --e--e--|', { e: PING });
      expectTx(in$.pipe(echo(env))).toBe('--e---f-|', { e: SAME, f: SAME.replace('seq 1', 'seq 2') });
    });
    expect(message).to.equal(
      [
        'packets sent differ (- expected, + actual):',
        `        2 ms  ${SAME}`,
        `-       6 ms  ${SAME.replace('seq 1', 'seq 2')}`,
        `+       5 ms  ${SAME}`,
        '        8 ms  complete',
      ].join('\n'),
    );
  });

  it('tells of packets that are missing, and of those that nobody expected', () => {
    const none: MonoTypeOperatorFunction<TxFrame> = filter((frame) => {
      frame.release();
      return false;
    });
    const missing = mismatch(({ rx, expectTx, env }) => {
      expectTx(rx('-e-|', { e: PING }).pipe(echo(env), none)).toBe('-e-|', { e: SAME });
    });
    expect(missing).to.include(`-       1 ms  ${SAME}`);
    const extra = mismatch(({ rx, expectTx, env }) => {
      expectTx(rx('-e-|', { e: PING }).pipe(echo(env))).toBe('---|');
    });
    expect(extra).to.match(/\+ {7}1 ms {2}> icmp echo_request id 7 seq 1 \(56\) ttl 64 .* from 192\.0\.2\.1/);
  });

  it('tells of errors', () => {
    net(({ expectTx }) => expectTx(throwError(() => new Error('gone'))).toBe('#'));
    const message = mismatch(({ expectTx }) => expectTx(throwError(() => new Error('gone'))).toBe('|'));
    expect(message).to.include('+       0 ms  error: Error: gone').and.include('-       0 ms  complete');
  });

  it('learns our sequence numbers from our SYN, and acknowledges them in later diagrams', () => {
    net(
      ({ rx, expectTx, env, notation }) => {
        const live = (line: string): Frame => {
          const frame = notation.build(line, '>', env.pool);
          return frame;
        };
        const seen: string[] = [];
        const answer$ = rx('s--a--|', { s: '< S 0:0(0) win 1000', a: '< . 1:1(0) ack 1 win 1000' }).pipe(
          map((frame) => {
            seen.push(pretty(frame, { linkType: 'ip' }));
            return asTx(live(seen.length === 1 ? '> S. 7777:7777(0)! ack 1' : '> . 7778:7788(10)! ack 1'));
          }),
        );
        expectTx(answer$).toBe('s--a--|', { s: '> S. 0:0(0) ack 1', a: '> . 1:11(10) ack 1' });
        expectTx(of<TxFrame>()).toBe('|');
        env.scheduler.schedule(() => expect(seen[1]).to.include('ack 7778'), 5);
      },
      { linkType: 'ip' },
    );
  });

  it('compares drops', () => {
    const drops = ({ rx, expectTx, expectDrops, env }: NetHelpers, name: string): void => {
      const dropped$ = rx('-d-|', { d: PING }).pipe(
        filter((frame) => env.drops.report(DropReason.Filtered, frame, 'spec') !== undefined),
      );
      expectTx(dropped$).toBe('---|');
      expectDrops().toBe('-d--', { d: name });
    };
    net((helpers) => drops(helpers, 'filtered'));
    expect(mismatch((helpers) => drops(helpers, 'rate-limited'))).to.equal(
      'drops differ (- expected, + actual):\n-       1 ms  rate-limited\n+       1 ms  filtered',
    );
    expect(() => net((helpers) => drops(helpers, 'no-such-reason'))).to.throw(
      "no drop reason is called 'no-such-reason'",
    );
  });

  it('delivers as a driver does: released after next, and poisoned', () => {
    const kept: Frame[] = [];
    net(({ rx, expectTx, env }) => {
      const in$ = rx('-e-|', { e: PING });
      in$.subscribe((frame) => {
        expect(frame.shared).to.equal(true);
        expect(frame.time).to.equal(1);
        kept.push(frame);
      });
      expectTx(in$.pipe(echo(env))).toBe('-e-|', { e: SAME });
    });
    expect(kept[0]?.slab.bytes.subarray(kept[0].start, kept[0].start + 20).every((byte) => byte === 0xdb)).to.equal(
      true,
    );
  });

  it('fails where a frame is leaked', () => {
    const message = mismatch(({ rx }) => {
      rx('-e-|', { e: PING }).subscribe((frame) => frame.retain());
    });
    expect(message).to.equal('1 frames were not released');
  });

  it('fails where a timer is left', () => {
    const message = mismatch(({ rx, expectTx, env }) => {
      expectTx(rx('-e--', { e: PING }).pipe(later(env, 1000, false))).toBe('----');
    });
    expect(message).to.equal(
      '1 frames were not released\n\n1 timers are still armed after everything was unsubscribed',
    );
  });

  it('fails where an action is left', () => {
    const message = mismatch(({ env }) => {
      of(1).pipe(delay(5, env.scheduler)).subscribe();
    });
    expect(message).to.equal('1 actions are still scheduled after the end');
  });

  it('ends with the longest diagram, although timers would go on for ever', () => {
    net(({ rx, expectTx, env }) => {
      const forever$ = responder<RxFrame, TxFrame>(() => {
        const timer = env.timers.timer(() => timer.arm(env.timers.now() + 1000));
        timer.arm(1000);
        return { next: () => undefined, teardown: () => timer.cancel() };
      });
      expectTx(forever$(merge(rx('-- 3600s -'), NEVER))).toBe('--');
    });
  });

  it('does not look beyond the longest diagram, unless told to', () => {
    const test = ({ rx, expectTx, env }: NetHelpers): void =>
      expectTx(rx('e--', { e: PING }).pipe(later(env, 3))).toBe('---');
    net(test);
    expect(mismatch(test, { until: 4 })).to.include('+       3 ms  > icmp echo_request');
  });

  it('unsubscribes where the marbles say so', () => {
    net(({ rx, expectTx, env }) => {
      const in$ = rx('          -e-e-e-|', { e: PING });
      expectTx(in$.pipe(echo(env)), '--^-!').toBe('---e----', { e: SAME });
    });
  });

  it('refuses wrong legends at once', () => {
    expect(() => net(({ rx }) => rx('-a-'))).to.throw("the legend does not say what 'a' is");
    expect(() => net(({ rx }) => rx('-a-', { a: '< nonsense' }))).to.throw(/^1:3: /);
    expect(() => net(({ expectTx }) => expectTx(NEVER).toBe('-a-'))).to.throw("the legend does not say what 'a' is");
  });

  it('does not lose what is thrown while the run goes on', () => {
    expect(() => net(({ rx }) => rx('-a-', { a: '< udp 1 > 2 (3) frag 0:800' }))).to.throw('ends behind the packet');
    const thrower = (): never => {
      throw new Error('in a subscriber');
    };
    expect(() => net(({ rx }) => void rx('-a-', { a: PING }).subscribe(thrower))).to.throw('in a subscriber');
    expect(() => net(({ rx, env }) => void [rx('---'), env.scheduler.schedule(thrower, 1)])).to.throw('in a sub');
  });

  it('refuses an expectation that expects nothing', () => {
    expect(() => net(({ expectDrops }) => void expectDrops())).to.throw('expectation 1, expectDrops(), has no toBe()');
    expect(() => net(({ expectTx }) => void expectTx(NEVER)))
      .to.throw('expectTx(), has no toBe()')
      .with.property('code', 'ERR_INVALID_STATE');
  });

  it('takes raw bytes', () => {
    net(({ rx, expectTx, env }) => {
      expectTx(rx('-e-|', { e: Uint8Array.of(1, 2, 3) }).pipe(echo(env))).toBe('-e-|', {
        e: 'ether 0x0000 (3 0x010203)',
      });
    });
  });

  it('leaves a pcapng of a run that fails', () => {
    let file = new Uint8Array(0);
    const run = (line: string): void =>
      net(({ rx, expectTx, env }) => expectTx(rx('-e-|', { e: PING }).pipe(later(env, 1))).toBe('--e|', { e: line }), {
        pcapng: (bytes) => void (file = Uint8Array.from(bytes)),
      });
    run(SAME);
    expect(file.length).to.equal(0);
    expect(() => run('udp 1 > 2 (0)')).to.throw(/differ/);
    const records = [...readCapture(file)].map(({ direction, nanoseconds, capturedLength }) => [
      direction,
      nanoseconds,
      capturedLength,
    ]);
    expect(records).to.deep.equal([
      ['inbound', 1_000_000, 98],
      ['outbound', 2_000_000, 98],
    ]);
  });
});

describe('net over IPv6', () => {
  it('speaks with a host: neighbours find each other, and a ping is answered', () => {
    net(
      ({ rx, expectTx, expectDrops, env, device }) => {
        const me = host({ device: device(), addresses: ['fd00::1/64'] }, env);
        const in$ = rx('--e--n--p--', {
          e: '< icmpv6 echo_request id 7 seq 1 (56)',
          n: '< icmpv6 neighbor_advertisement target fd00::2 flags SO lladdr 02:00:00:00:00:02',
          p: '< icmpv6 echo_request id 7 seq 2 (56) bad-checksum',
        });
        expectTx(in$.pipe(me)).toBe('m-s--r-----', {
          m: '> icmpv6 listener_report_v2 hopopts 0x050200000100 from fe80::ff:fe00:1 to ff02::16',
          s: '> icmpv6 neighbor_solicitation target fd00::2 lladdr 02:00:00:00:00:01 ttl 255',
          r: '> icmpv6 echo_reply id 7 seq 1 (56)',
        });
        expectDrops().toBe('--------d--', { d: 'icmpv6-bad-checksum' });
      },
      { local: 'fd00::1', remote: 'fd00::2' },
    );
  });
});
