import { expect } from 'chai';
import { Subject, type Subscription } from 'rxjs';
import type { Device } from '../../../lib/core/device.js';
import { asRx, type Frame, type RxFrame, type TxFrame } from '../../../lib/core/frame.js';
import { bridge, type BridgeOptions } from '../../../operators/l2/bridge.js';
import { type FakeDevice, fakeDevice, type VirtualEnv, virtualEnv } from '../../lib/l2/fake-device.js';

const A = 0x0200_0000_000a;
const B = 0x0200_0000_000b;
const C = 0x0200_0000_000c;
const EVERYBODY = 0xffff_ffff_ffff;

describe('bridge', () => {
  let env: VirtualEnv;
  let ports: FakeDevice[];
  let frames$: Subject<RxFrame>;
  let running: Subscription;
  /** Numbers of the ports that the last frame went to, its number from its payload. */
  let sent: { port: number; number: number }[];

  function start(options: BridgeOptions = {}): void {
    frames$ = new Subject();
    running = frames$.pipe(bridge(ports, options, env)).subscribe((frame) => {
      sent.push({ port: ports.indexOf(frame.device as FakeDevice), number: frame.slab.view.getUint8(frame.end - 1) });
      frame.release();
    });
  }

  function build(port: Device | undefined, from: number, to: number, length = 60, number = 7): Frame {
    const frame = env.pool.alloc(length);
    frame.slab.bytes.fill(0, frame.put(length), frame.end);
    const { view } = frame.slab;
    const header = [to, from].flatMap((mac) => [Math.floor(mac / 2 ** 32), (mac % 2 ** 32) >>> 16, mac & 0xffff]);
    header.slice(0, length >> 1).forEach((word, i) => view.setUint16(frame.start + 2 * i, word));
    if (length >= 14) view.setUint16(frame.start + 12, 0x800);
    if (length > 14) view.setUint8(frame.end - 1, number);
    frame.device = port;
    return frame;
  }

  /** Receives a frame, as a driver delivers it, and returns where it goes. */
  function receive(port: Device | undefined, from: number, to: number, length = 60, number = 7): number[] {
    const frame = build(port, from, to, length, number);
    const bytes = [...frame.bytes()];
    frames$.next(asRx(frame));
    expect([...frame.bytes()]).to.deep.equal(bytes);
    frame.release();
    return sent.splice(0).map((one) => one.port);
  }

  beforeEach(() => {
    env = virtualEnv();
    ports = [fakeDevice(env), fakeDevice(env), fakeDevice(env)];
    sent = [];
    start();
  });
  afterEach(() => {
    running.unsubscribe();
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  it('802.1D-1: floods what it does not know and groups, and learns who is where', () => {
    const [left, middle, right] = ports;
    expect(receive(left, A, B)).to.deep.equal([1, 2]);
    expect(receive(middle, B, A)).to.deep.equal([0]);
    expect(receive(left, A, B)).to.deep.equal([1]);
    expect(receive(right, C, EVERYBODY)).to.deep.equal([0, 1]);
    expect(receive(middle, B, 0x0100_5e00_0001)).to.deep.equal([0, 2]);
    expect(env.drops.toJSON()).to.deep.equal({});
  });

  it('follows a station that moves', () => {
    const [left, middle, right] = ports;
    receive(left, A, B);
    expect(receive(right, C, A)).to.deep.equal([0]);
    receive(middle, A, B);
    expect(receive(right, C, A)).to.deep.equal([1]);
  });

  it('802.1D-1: forgets a station that is silent for the ageing time, and no other', () => {
    running.unsubscribe();
    start({ ageing: 1000 });
    const [left, middle] = ports;
    receive(left, A, EVERYBODY);
    env.scheduler.runFor(999);
    expect(receive(middle, B, A)).to.deep.equal([0]);
    env.scheduler.runFor(1);
    expect(receive(middle, B, A)).to.deep.equal([0, 2]);
    expect(receive(left, A, B)).to.deep.equal([1]);
  });

  it('remembers as many stations as it is told: those heard of last', () => {
    running.unsubscribe();
    start({ stations: 2 });
    const [left, middle, right] = ports;
    receive(left, A, EVERYBODY);
    receive(middle, B, EVERYBODY);
    receive(left, A, EVERYBODY);
    receive(right, C, EVERYBODY);
    expect(receive(right, C, A)).to.deep.equal([0]);
    expect(receive(right, C, B)).to.deep.equal([0, 1]);
  });

  it('sends a copy of a frame that others look at, too: they narrow it, and know it by where it came from', () => {
    const [left, middle] = ports;
    const shared$ = new Subject<RxFrame>();
    const out: TxFrame[] = [];
    const watching = shared$.pipe(bridge(ports, {}, env)).subscribe((frame) => out.push(frame));
    const give = (port: Device | undefined, from: number, to: number): void => {
      const frame = build(port, from, to);
      frame.shared = true;
      shared$.next(asRx(frame));
      expect(frame.device).to.equal(port);
      frame.start += 14;
      frame.release();
    };
    give(middle, B, EVERYBODY);
    give(left, A, B);
    expect(out.map(({ device, length }) => [ports.indexOf(device as FakeDevice), length])).to.deep.equal([
      [0, 60],
      [2, 60],
      [1, 60],
    ]);
    for (const frame of out) frame.release();
    watching.unsubscribe();
  });

  it('sends nothing back where it came from', () => {
    const [left] = ports;
    receive(left, A, EVERYBODY);
    expect(receive(left, B, A)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'bridge-same-port': 1 });
  });

  it('802.1D-1: drops what is no frame, comes from nobody, or is for the next bridge only', () => {
    const [left] = ports;
    for (let length = 0; length < 14; length++) expect(receive(left, A, B, length)).to.deep.equal([]);
    expect(receive(left, 0, B)).to.deep.equal([]);
    expect(receive(left, 0x0100_0000_0001, B)).to.deep.equal([]);
    for (const to of [0x0180_c200_0000, 0x0180_c200_000f]) expect(receive(left, A, to)).to.deep.equal([]);
    expect(receive(left, A, 0x0180_c200_0010)).to.deep.equal([1, 2]);
    expect(receive(undefined, A, B)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({
      'ethernet-truncated': 14,
      'ethernet-bad-source': 2,
      'bridge-reserved': 2,
      'device-unknown': 1,
    });
  });

  it('passes on the end, and has tables of its own for each subscriber', () => {
    const events: string[] = [];
    const others = new Subject<RxFrame>();
    others.pipe(bridge(ports, {}, env)).subscribe({ complete: () => events.push('complete') });
    receive(ports[0], A, EVERYBODY);
    others.complete();
    expect(events).to.deep.equal(['complete']);
    expect(receive(ports[1], B, A)).to.deep.equal([0]);
  });

  it('refuses what cannot be', () => {
    const raw = { ...fakeDevice(env), medium: 'ip' as const };
    for (const make of [
      () => bridge([ports[0] ?? raw], {}, env),
      () => bridge([...ports, raw], {}, env),
      () => bridge(ports, { stations: 0 }, env),
      () => bridge(ports, { ageing: Number.NaN }, env),
    ]) {
      expect(make).to.throw().with.property('code', 'ERR_INVALID_OPTION');
    }
  });
});
