import { expect } from 'chai';
import { EMPTY, finalize, map, merge, type Observable, Subject } from 'rxjs';
import { DropReason } from '../../../lib/core/drops.js';
import { ChecksumState, FlowState, Frame } from '../../../lib/core/frame.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { FlowTuple } from '../../../lib/l4/conntrack/flow-tuple.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { type ConntrackOptions, conntrack, type FlowEvent } from '../../../operators/filter/conntrack.js';
import { where } from '../../../operators/flow/where.js';
import { net, type NetHelpers } from '../../../operators/testing/net.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { truncations } from '../../lib/wire/frames.js';
import { FACTS, forBothVersions, type VersionFacts } from '../../both-versions.js';

const { New, Established, Related, Invalid, Untracked } = FlowState;

/** A tracking that packets in text are sent through; `allowed` stands between it and the end of the way. */
function through(facts: VersionFacts, options: ConntrackOptions = {}, allowed: (frame: Frame) => boolean = () => true) {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1 });
  const tracking = conntrack(options, env);
  const notation = new PacketNotation({ local: facts.a.toString(), remote: facts.b.toString() });
  const in$ = new Subject<Frame>();
  const out: Frame[] = [];
  in$.pipe(tracking, where(allowed, DropReason.Filtered, env), tracking.confirm).subscribe((frame) => out.push(frame));
  /** What the packet's frame says after it has gone its way. */
  const send = (text: string) => {
    const frame = notation.build(text);
    in$.next(frame);
    return frame;
  };
  return { scheduler, env, tracking, in$, out, send };
}

forBothVersions('conntrack', (facts) => {
  it('tells new from established, and which way a packet goes', () => {
    const { send, tracking } = through(facts);
    const first = send('< udp 5000 > 53 (10)');
    expect(first).to.include({ flowState: New, flowReply: false });
    expect(first.flow).to.not.equal(0);
    expect(send('< udp 5000 > 53 (10)')).to.include({ flowState: New, flowReply: false, flow: first.flow });
    expect(send('> udp 53 > 5000 (10)')).to.include({ flowState: Established, flowReply: true, flow: first.flow });
    expect(send('< udp 5000 > 53 (10)')).to.include({ flowState: Established, flowReply: false, flow: first.flow });
    expect(send('< udp 5001 > 53 (10)').flow).to.not.equal(first.flow);
    expect(tracking.table.size).to.equal(2);
  });

  it('takes no room for what is dropped on the way', () => {
    const { send, tracking, env } = through(facts, {}, ({ flowState }) => flowState !== New);
    for (let port = 1; port < 2000; port++) send(`< udp ${port} > 53 (10)`);
    expect(tracking.table.size).to.equal(0);
    expect(env.drops.total).to.equal(1999);
  });

  it('relates errors to the flow of what they quote', () => {
    const { send } = through(facts);
    const { flow } = send('< udp 5000 > 53 (10)');
    expect(send(`> ${facts.icmp} unreachable port [udp 5000 > 53 (10)]`)).to.include({
      flowState: Related,
      flowReply: true,
      flow,
    });
    expect(send(`< ${facts.icmp} unreachable port [udp 53 > 5000 (10)]`)).to.include({
      flowState: Related,
      flowReply: false,
      flow,
    });
    expect(send(`> ${facts.icmp} unreachable port [udp 5001 > 53 (10)]`)).to.include({ flowState: Invalid, flow: 0 });
  });

  it('forgets flows in time, and leaves no timer', () => {
    const { send, tracking, scheduler } = through(facts);
    const { flow } = send('< udp 5000 > 53 (10)');
    scheduler.runFor(119_999);
    expect(send('> udp 53 > 5000 (10)').flow).to.equal(flow);
    scheduler.runFor(120_000);
    expect(send('> udp 53 > 5000 (10)')).to.include({ flowState: New });
    expect(tracking.table.size).to.equal(1);
    scheduler.run();
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
    send('< udp 5000 > 53 (10)');
    tracking.dispose();
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
    send('< udp 5000 > 53 (10)');
    expect([tracking.table.size, scheduler.pending]).to.deep.equal([0, 0]);
  });

  it('tells of flows that come and go, while somebody listens', () => {
    const { send, tracking } = through(facts);
    const events: FlowEvent[] = [];
    const subscription = tracking.events$.subscribe((event) => events.push(event));
    const { flow } = send('< udp 5000 > 53 (10)');
    send('> udp 53 > 5000 (10)');
    send('< udp 5000 > 53 (10)');
    expect(tracking.table.delete(flow)).to.equal(true);
    subscription.unsubscribe();
    send('< udp 5000 > 53 (10)');
    expect(events.map(({ type }) => type)).to.deep.equal(['new', 'established', 'destroyed']);
    expect(events[2]).to.include({ why: 'deleted' });
    expect(new Set(events.map((event) => event.flow.id))).to.deep.equal(new Set([flow]));
  });

  it('bears it that those that are told of flows delete them', () => {
    for (const when of ['new', 'established', 'destroyed'] as const) {
      const { send, tracking } = through(facts);
      const told: string[] = [];
      tracking.events$.subscribe(({ type, flow }) => {
        told.push(type);
        if (type === when) tracking.table.deleteWhere(() => true);
        if (type === 'destroyed') expect(tracking.table.delete(flow.id)).to.equal(false);
      });
      for (let round = 0; round < 2; round++) {
        send('< udp 5000 > 53 (10)');
        send('> udp 53 > 5000 (10)');
        const last = send('< udp 5000 > 53 (10)');
        if (when === 'established') expect(tracking.table.flow(last.flow)).to.equal(undefined);
        tracking.table.deleteWhere(() => true);
      }
      expect(tracking.table.size).to.equal(0);
      expect(told.filter((type) => type === 'new').length).to.equal(told.filter((type) => type === 'destroyed').length);
    }
  });

  describe('bears it that those that are told of flows send packets', () => {
    const RECORD = '< udp 9999 > 514 (10)';

    it('where a connection takes the place of another', () => {
      const { send, tracking } = through(facts);
      tracking.events$.subscribe(({ type, flow }) => {
        if (type === 'destroyed' && flow.original.protocol === IpProtocol.Tcp) send(RECORD);
      });
      send('< S 0:0(0) win 1000');
      send('> S. 0:0(0) ack 1 win 1000');
      send('< R 1:1(0) win 0');
      const syn = send('< S 900000:900000(0) win 1000');
      expect(tracking.table.flow(syn.flow)?.original.protocol).to.equal(IpProtocol.Tcp);
      expect(send('> S. 0:0(0) ack 900001 win 1000')).to.include({ flowState: Established, flow: syn.flow });
      expect(tracking.table.size).to.equal(2);
    });

    it('where a flow is found to have expired', () => {
      const { send, tracking, scheduler } = through(facts);
      // Between two sweeps.
      send('< udp 5000 > 53 (10)');
      scheduler.runFor(5000);
      send('< udp 5000 > 53 (10)');
      scheduler.runFor(119_999);
      tracking.events$.subscribe(({ type }) => {
        if (type === 'destroyed') send(RECORD);
      });
      scheduler.runFor(1);
      const { flow } = send('< udp 5000 > 53 (10)');
      expect(tracking.table.flow(flow)?.original.sourcePort).to.equal(5000);
      expect(send('> udp 53 > 5000 (10)')).to.include({ flowState: Established, flow });
    });

    it('where one begins', () => {
      const { send, tracking } = through(facts);
      let told = 0;
      tracking.events$.subscribe(({ type }) => {
        if (type === 'new' && told++ === 0) send(RECORD);
      });
      const { flow } = send('< udp 5000 > 53 (10)');
      expect(tracking.table.flow(flow)?.original.sourcePort).to.equal(5000);
      expect([told, tracking.table.size]).to.deep.equal([2, 2]);
    });

    it('where one makes room for another, which is taken again at once', () => {
      const { send, tracking } = through(facts, { capacity: 2 });
      let port = 9000;
      tracking.events$.subscribe(({ type }) => {
        if (type === 'destroyed' && port < 9010) send(`< udp ${port++} > 514 (10)`);
      });
      for (let i = 1; i <= 4; i++) send(`< udp ${i} > 53 (10)`);
      expect([tracking.table.size, [...tracking.table.flows()].length]).to.deep.equal([2, 2]);
      expect(port).to.equal(9010);
    });
  });

  it('tells of flows in the order in which it happened, as they were then', () => {
    const { send, tracking } = through(facts);
    const told: string[] = [];
    const tell = ({ type, flow }: FlowEvent) => told.push(`${type} ${flow.original.sourcePort} ${flow.state}`);
    tracking.events$.subscribe((event) => {
      if (event.type === 'new' && event.flow.original.sourcePort === 5000) send('< udp 5001 > 53 (10)');
      tell(event);
    });
    tracking.events$.subscribe(tell);
    send('< udp 5000 > 53 (10)');
    send('> udp 53 > 5000 (10)');
    send('< udp 5000 > 53 (10)');
    expect(told).to.deep.equal([
      'new 5001 new',
      'new 5001 new',
      'new 5000 new',
      'new 5000 new',
      'established 5000 assured',
      'established 5000 assured',
    ]);
  });

  it('takes a reply tuple that is not the mirror, unless it is taken', () => {
    const { a, b, c } = facts;
    const { tracking, env } = through(facts);
    const { table } = tracking;
    const notation = new PacketNotation({ local: facts.a.toString(), remote: facts.b.toString() });
    const replies = FlowTuple.of({
      protocol: IpProtocol.Udp,
      source: a,
      destination: c,
      sourcePort: 53,
      destinationPort: 7000,
    });
    const in$ = new Subject<Frame>();
    const answers: boolean[] = [];
    const translate = where(
      (frame: Frame) => answers.push(table.setReply(frame.flow, replies)) > 0,
      DropReason.Filtered,
      env,
    );
    in$.pipe(tracking, translate, tracking.confirm).subscribe();
    const first = notation.build('< udp 5000 > 53 (10)');
    in$.next(first);
    in$.next(notation.build('< udp 5001 > 53 (10)'));
    in$.next(first);
    expect(answers).to.deep.equal([true, false, false]);
    expect(table.find(replies)).to.equal(first.flow);
    const flow = table.flow(first.flow);
    expect(flow?.translated).to.equal(true);
    expect(flow?.reply.toString()).to.equal(replies.toString());
    expect(flow?.original.sourceAddress.toString()).to.equal(b.toString());
    expect(table.deleteWhere(({ translated }) => translated)).to.equal(1);
    expect(table.find(replies)).to.equal(0);
  });

  it('leaves alone what is of a link only', () => {
    const { send } = through(facts);
    if (facts.version === 6)
      expect(send('< icmpv6 neighbor_solicitation target fe80::1')).to.include({ flowState: Untracked });
    expect(send('< udp 5000 > 53 (10) frag 8:18')).to.include({ flowState: Invalid });
  });
});

describe('conntrack', () => {
  it('can drop what fits no flow', () => {
    const { send, env, out } = through(FACTS[4], { invalid: 'drop' });
    send('> icmp echo_reply id 7 seq 1 (56)');
    expect(out).to.deep.equal([]);
    expect(env.drops.count(DropReason.ConntrackInvalid)).to.equal(1);
  });

  it('throws for options that cannot be', () => {
    const wrong: ConntrackOptions[] = [
      { capacity: 0 },
      { capacity: 2 ** 24 },
      { timeouts: { udp: 0 } },
      { timeouts: { udp: Number.NaN } },
    ];
    for (const options of wrong)
      expect(() => conntrack(options))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    expect(() => EMPTY.pipe(conntrack()).subscribe()).to.not.throw();
  });

  const LETTERS = ['u', 'n', 'e', 'r', 'i'];
  const LEGEND = {
    s: '< S 0:0(0) win 1000',
    a: '> S. 0:0(0) ack 1 win 1000',
    k: '< . 1:1(0) ack 1 win 1000',
    x: '< P. 9001:9101(100) ack 1 win 1000',
    o: '< R 5:5(0) win 0',
  };

  /** Runs a diagram through a tracking of its own, and shows what each packet is: a letter of its state. */
  function marbles(test: (run: NetHelpers & { states: (in$: Observable<Frame>) => Observable<string> }) => void): void {
    net(
      (run) => {
        const states = (in$: Observable<Frame>) => {
          const tracking = conntrack({}, run.env);
          return in$.pipe(
            tracking,
            tracking.confirm,
            map(({ flowState }) => LETTERS[flowState] ?? '?'),
            finalize(() => tracking.dispose()),
          );
        };
        test({ ...run, states });
      },
      { until: 20 },
    );
  }

  it('passes everything on, and says what it is', () => {
    marbles(({ rx, states, scheduler }) => {
      scheduler.expectObservable(states(rx('-s-s-a-k-x-o-|', LEGEND))).toBe('-n-n-e-e-i-e-|');
    });
  });

  it('keeps to its source: never, empty, error, and when it is unsubscribed from', () => {
    marbles(({ states, scheduler, notation }) => {
      const frames = { s: notation.build(LEGEND.s) };
      const hot = (diagram: string) => scheduler.createHotObservable<Frame>(diagram, frames);
      scheduler.expectObservable(states(hot('---'))).toBe('---');
      scheduler.expectObservable(states(hot('|'))).toBe('|');
      scheduler.expectObservable(states(hot('-s-#'))).toBe('-n-#');
      const source = hot('-s--s--s-');
      scheduler.expectObservable(states(source), '---!').toBe('-n--');
      scheduler.expectSubscriptions(source.subscriptions).toBe('^--!');
    });
  });

  it('is one table for all places that it stands at, and each its own', () => {
    marbles(({ rx, env, scheduler }) => {
      const [one, other] = [conntrack({}, env), conntrack({}, env)];
      const state = (frame: Frame) => LETTERS[frame.flowState];
      const left$ = rx('-s-----', LEGEND).pipe(one, one.confirm, map(state));
      const right$ = rx('---a---', LEGEND).pipe(one, one.confirm, map(state));
      scheduler.expectObservable(merge(left$, right$)).toBe('-n-e---');
      scheduler.expectObservable(rx('---a---|', LEGEND).pipe(other, map(state))).toBe('---i---|');
      scheduler.schedule(() => one.dispose(), 7);
    });
  });

  it('goes by the IP header, however far the packet was read, and changes no byte', () => {
    const { tracking, in$ } = through(FACTS[4]);
    const notation = new PacketNotation({ local: '10.0.0.1', remote: '10.0.0.2' });
    const frame = notation.build(LEGEND.s);
    const bytes = frame.bytes().slice();
    in$.next(frame);
    const { flow } = frame;
    frame.network = frame.start + 14;
    frame.start += 34;
    in$.next(frame);
    expect([frame.flow, tracking.table.size]).to.deep.equal([flow, 1]);
    frame.start -= 34;
    expect(frame.bytes()).to.deep.equal(bytes);
  });

  it('takes packets that are cut anywhere, and opens no flow for them', () => {
    const { in$, tracking, out } = through(FACTS[4]);
    const notation = new PacketNotation();
    for (const line of [LEGEND.s, '< udp 1 > 2 (4)', '< icmp echo_request id 7 seq 1 (4)']) {
      const bytes = notation.build(line).bytes();
      for (const frame of truncations(bytes)) in$.next(frame);
    }
    expect(tracking.table.size).to.equal(0);
    expect(
      out.every(({ flow, flowState }) => flow === 0 && (flowState === Invalid || flowState === Untracked)),
    ).to.equal(true);
  });

  it('takes packets with padding behind them for what they are', () => {
    const { in$, tracking } = through(FACTS[4]);
    const notation = new PacketNotation();
    for (const line of [LEGEND.s, LEGEND.a, LEGEND.k, '< P. 1:11(10) ack 1 win 1000', '> . 1:1(0) ack 11 win 1000']) {
      const bytes = notation.build(line).bytes();
      const padded = new Uint8Array(bytes.length + 30).fill(0xaa);
      padded.set(bytes);
      const frame = Frame.from(padded);
      in$.next(frame);
      expect(frame.flowState, line).to.be.oneOf([New, Established]);
    }
    expect([...tracking.table.flows()].map(String)).to.deep.equal([
      'tcp 192.0.2.1:40000 > 192.168.0.1:8080 established, 432000 s left',
    ]);
  });

  it('leaves checksums alone that the device has verified, or that nobody has made yet', () => {
    for (const checksum of [ChecksumState.Valid, ChecksumState.Partial]) {
      const { in$ } = through(FACTS[4]);
      const frame = new PacketNotation().build(`${LEGEND.s} bad-checksum`);
      frame.checksum = checksum;
      in$.next(frame);
      expect(frame.flowState).to.equal(New);
    }
  });
});
