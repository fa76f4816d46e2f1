/** The operators that a router is made of besides those of a host: how they begin and end, and what they do to frames. */

import { expect } from 'chai';
import { EMPTY, NEVER, Observable, of, Subject, throwError } from 'rxjs';
import { asRx, asTxPacket, DELIVERED, Frame, NOT_PARSED, type TxPacket } from '../../../lib/core/frame.js';
import { Ipv4Address } from '../../../lib/core/address.js';
import { EthernetLink } from '../../../lib/l2/ethernet-link.js';
import { Decisions, Destination } from '../../../lib/l3/forward-decisions.js';
import { IcmpErrors } from '../../../lib/l3/icmp-errors.js';
import { IpTables } from '../../../lib/l3/ip-tables.js';
import { EtherType, type LinkPacket } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { Ipv6Packet } from '../../../lib/wire/ipv6.js';
import { PacketNotation } from '../../../lib/text/notation.js';
import { demux } from '../../../operators/flow/demux.js';
import { funnel } from '../../../operators/flow/funnel.js';
import { lend } from '../../../operators/flow/lend.js';
import { outgoing } from '../../../operators/flow/outgoing.js';
import { ethernet } from '../../../operators/l2/ethernet.js';
import { defragment } from '../../../operators/l3/defragment.js';
import { forward } from '../../../operators/l3/forward.js';
import { ip } from '../../../operators/l3/ip.js';
import { routeAndResolve } from '../../../operators/l3/route-and-resolve.js';
import { toDevices } from '../../../operators/stack/to-devices.js';
import { FACTS, forBothVersions } from '../../both-versions.js';
import { fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';

/** How a stream goes, in marbles of one character an event. */
function course(stream$: Observable<unknown>): string {
  let text = '';
  stream$
    .subscribe({ next: () => (text += 'x'), error: () => (text += '#'), complete: () => (text += '|') })
    .unsubscribe();
  return text;
}

describe('the operators of routers', () => {
  const env = virtualEnv();
  const operators: Readonly<Record<string, (source$: Observable<never>) => Observable<unknown>>> = {
    ip: (source$: Observable<never>) => source$.pipe(ip(env)),
    outgoing: (source$: Observable<never>) => source$.pipe(outgoing()),
    lend: (source$: Observable<never>) => source$.pipe(lend()),
    defragment: (source$: Observable<never>) => source$.pipe(defragment({}, env)),
  };
  for (const [name, operator] of Object.entries(operators)) {
    it(`${name} begins and ends as its source does`, () => {
      expect(course(operator(NEVER))).to.equal('');
      expect(course(operator(EMPTY))).to.equal('|');
      expect(course(operator(throwError(() => new Error('gone'))))).to.equal('#');
      let left = 0;
      const source$ = new Observable<never>(() => () => left++);
      const running = operator(source$).subscribe();
      running.unsubscribe();
      expect(left).to.equal(1);
      expect(env.scheduler.pending).to.equal(0);
    });
  }
});

forBothVersions('the operators of routers', ({ version }) => {
  const notation = new PacketNotation({ version, linkType: 'ip' });
  const headers = version === 4 ? 20 : 40;
  let env: VirtualEnv;
  const frameOf = (line: string): Frame => notation.build(line, '<', env.pool);
  beforeEach(() => {
    env = virtualEnv();
  });
  afterEach(() => expect(env.pool.outstanding).to.equal(0));

  /** What `ip` makes of a frame: lengths of the range and of what follows it, and its fate. */
  function read(frame: Frame): string {
    let text = '';
    of({ frame, etherType: 0 } satisfies LinkPacket)
      .pipe(ip(env))
      .subscribe((packet) => {
        const view = packet instanceof Ipv4Packet ? 4 : packet instanceof Ipv6Packet ? 6 : 0;
        text = `IPv${view} ${frame.length}${frame.network === frame.start ? '' : ' elsewhere'}`;
      });
    frame.release();
    return text === '' ? Object.keys(env.drops.toJSON()).join() : text;
  }

  it('ip reads whole packets, whoever they are for, and cuts the padding', () => {
    const to = FACTS[version].elsewhere.toString();
    expect(read(frameOf(`< udp 53 > 1024 (12) to ${to}`))).to.equal(`IPv${version} ${headers + 20}`);
    const padded = frameOf('< udp 53 > 1024 (12)');
    padded.put(17);
    expect(read(padded)).to.equal(`IPv${version} ${headers + 20}`);
  });

  it('ip drops what is cut short anywhere, and what is no IP', () => {
    for (let length = 0; length < headers + 20; length++) {
      env = virtualEnv();
      const frame = frameOf('< udp 53 > 1024 (12)');
      frame.end = frame.start + length;
      expect(read(frame), `${length} bytes`).to.be.oneOf([`ipv${version}-truncated`, 'ipv6-truncated']);
    }
    env = virtualEnv();
    const other = frameOf('< udp 53 > 1024 (12)');
    other.slab.view.setUint8(other.start, 0x55);
    expect(read(other)).to.equal('ip-unknown-version');
  });

  it('outgoing takes a reference, lend gives it back', () => {
    const packets = new Subject<TxPacket>();
    const kept: Frame[] = [];
    const running = packets.pipe(lend(), outgoing()).subscribe((frame) => void kept.push(frame));
    const frame = frameOf('< udp 53 > 1024 (12)');
    frame.link = frame.start;
    frame.fate = DELIVERED;
    packets.next(asTxPacket(frame));
    running.unsubscribe();
    expect(kept).to.deep.equal([frame]);
    expect([frame.link, frame.network, frame.fate]).to.deep.equal([NOT_PARSED, frame.start, DELIVERED]);
    expect(env.pool.outstanding).to.equal(1);
    frame.release();
  });

  it('lend releases what nobody keeps', () => {
    const packets = new Subject<TxPacket>();
    packets.pipe(lend()).subscribe();
    packets.next(asTxPacket(frameOf('< udp 53 > 1024 (12)')));
  });

  it('defragment passes what is whole as it is, and puts the rest together, in any order', () => {
    const lengths: string[] = [];
    const frames = new Subject<Frame>();
    const running = frames
      .pipe(
        (source$) => new Observable<LinkPacket>((to) => source$.subscribe((frame) => to.next({ frame, etherType: 0 }))),
      )
      .pipe(ip(env), defragment({}, env))
      .subscribe(({ frame }) => lengths.push(`${frame.length} ${frame.fragmentSize}`));
    const line = '< udp 53 > 1024 (2000) ipid 9';
    for (const part of ['', ' frag 1200:2008', ' frag 0:1200+']) {
      const frame = frameOf(`${line}${part}`);
      frames.next(asRx(frame));
      frame.release();
    }
    const fragment = 1200 + headers + (version === 4 ? 0 : 8);
    expect(lengths).to.deep.equal([`${2008 + headers} 0`, `${2008 + headers} ${fragment}`]);
    running.unsubscribe();
    expect(env.scheduler.pending).to.equal(0);
  });
});

describe('a router made by hand', () => {
  it('is these operators, one behind another', () => {
    const env = virtualEnv();
    const left = fakeDevice(env, { name: 'left', mac: '02:00:00:00:00:01' });
    const right = fakeDevice(env, { name: 'right', mac: '02:00:00:00:00:11' });
    const tables = new IpTables(env);
    tables.addAddress(left, '10.1.0.1/24');
    tables.addAddress(right, '10.2.0.1/24');
    const links = [left, right].map(
      (device) => new EthernetLink({ device, addresses: tables.arpAddresses(device) }, env),
    );
    links[1]?.neighbours.setStatic(Ipv4Address.parse('10.2.0.2'), 0x0200_0000_0012);
    const errors$ = new Subject<TxPacket>();
    const errors = new IcmpErrors({ tables }, env);
    const interfaces = [{ device: left }, { device: right }];
    const decisions = new Decisions(tables);

    const link$ = left.frames$.pipe(
      ethernet({ mac: left.mac }, env),
      demux(({ etherType }) => etherType, {}, env),
    );
    const packets$ = link$.on(EtherType.Ipv4).pipe(
      ip(env),
      demux(({ frame }) => decisions.decide(frame), {}, env),
    );
    const transit$ = packets$
      .on(Destination.Beyond)
      .pipe(forward({ interfaces, tables, errors, complain: (error) => errors$.next(error) }, env), outgoing());
    const running = funnel(transit$, errors$)
      .pipe(routeAndResolve({ tables, links }, env))
      .subscribe(toDevices(left, right));

    const notation = new PacketNotation({ local: '10.1.0.1', remote: '10.1.0.2' });
    for (const ttl of [64, 1]) {
      const frame = notation.build(`< udp 53 > 1024 (12) to 10.2.0.2 ttl ${ttl}`);
      left.receive(Uint8Array.from(frame.bytes()));
    }
    const [sent] = right.sent.map((bytes) => notation.format(Frame.from(bytes), '>'));
    expect(sent).to.contain('udp 53 > 1024 (12) ttl 63');
    expect([right.sent.length, env.drops.toJSON()]).to.deep.equal([1, { 'hop-limit-exceeded': 1 }]);
    running.unsubscribe();
    expect([env.pool.outstanding, env.scheduler.pending]).to.deep.equal([0, 0]);
  });
});

describe('toDevices', () => {
  it('sends each frame by its device, and takes none for another', () => {
    const env = virtualEnv();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => fakeDevice(env, { name }));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three devices');
    const frames = new Subject<Frame>();
    frames.subscribe(toDevices(a, b) as { next(frame: Frame): void });
    for (const device of [a, b, b, c, undefined]) {
      const frame = env.pool.alloc(20);
      frame.put(20);
      frame.device = device;
      frames.next(frame);
    }
    expect([a.sent.length, b.sent.length, c.sent.length]).to.deep.equal([1, 2, 0]);
    expect(env.pool.outstanding).to.equal(0);
    expect(() => toDevices())
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
  });
});
