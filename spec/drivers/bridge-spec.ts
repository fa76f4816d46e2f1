import { expect } from 'chai';
import * as fc from 'fast-check';
import { bridgeDevice, type BridgeDevice, type BridgeDeviceOptions } from '../../drivers/bridge.js';
import { link } from '../../drivers/link.js';
import { vlanDevice } from '../../drivers/vlan.js';
import { vxlanDevice } from '../../drivers/vxlan.js';
import type { Device } from '../../lib/core/device.js';
import { asTx, ChecksumState, type Frame, GsoType } from '../../lib/core/frame.js';
import type { UdpMessage } from '../../lib/l4/udp-api.js';
import { host } from '../../operators/stack/host.js';
import { type FakeDevice, fakeDevice, virtualEnv, type VirtualEnv } from '../lib/l2/fake-device.js';
import { BULK, superSegment } from '../lib/wire/super-segments.js';
import { txOf, virtualBench } from './virtual-rigs.js';

const A = 0x0200_0000_000a;
const B = 0x0200_0000_000b;
const C = 0x0200_0000_000c;
const OWN = 0x0200_0000_00ff;
const EVERYBODY = 0xffff_ffff_ffff;
const GROUP = 0x0100_5e00_0001;
const RESERVED = 0x0180_c200_000e;

function bytesOf(from: number, to: number, number = 7, length = 60): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  [to, from].forEach((mac, i) => {
    view.setUint16(6 * i, Math.floor(mac / 2 ** 32));
    view.setUint32(6 * i + 2, mac % 2 ** 32);
  });
  view.setUint16(12, 0x88b5);
  view.setUint8(length - 1, number);
  return bytes;
}

describe('bridgeDevice', () => {
  let env: VirtualEnv;
  let ports: FakeDevice[];
  let lan: BridgeDevice;
  let own: number[];

  function start(options: BridgeDeviceOptions = {}, isObserved = true): void {
    lan = bridgeDevice(ports, { mac: '02:00:00:00:00:ff', ...options }, env);
    own = [];
    if (isObserved) lan.frames$.subscribe((frame) => own.push(frame.slab.view.getUint8(frame.end - 1)));
  }

  /** Where the frames went: the numbers of ports, 9 for the bridge's own; every copy of them whole. */
  function gone(bytes: Uint8Array): number[] {
    const out = ports.flatMap(({ sent }, i) => sent.splice(0).map((sentBytes) => [i, sentBytes] as const));
    for (const [, sentBytes] of out) expect([...sentBytes]).to.deep.equal([...bytes]);
    return [...out.map(([i]) => i), ...own.splice(0).map(() => 9)];
  }
  function receive(port: number, from: number, to: number): number[] {
    const bytes = bytesOf(from, to);
    ports[port]?.receive(bytes);
    return gone(bytes);
  }
  function send(from: number, to: number): number[] {
    const bytes = bytesOf(from, to);
    lan.sink.next(txOf(bytes, env));
    return gone(bytes);
  }

  beforeEach(() => {
    env = virtualEnv();
    ports = [fakeDevice(env, { name: 'p0' }), fakeDevice(env, { name: 'p1' }), fakeDevice(env, { name: 'p2' })];
    start();
  });
  afterEach(() => {
    expect(env.pool.outstanding).to.equal(0);
    expect(env.scheduler.pending).to.equal(0);
  });

  it('802.1D-1: is a port among the others for what is to it, to groups and to everybody', () => {
    expect(receive(0, A, OWN)).to.deep.equal([9]);
    expect(receive(1, B, EVERYBODY)).to.deep.equal([0, 2, 9]);
    expect(receive(1, B, GROUP)).to.deep.equal([0, 2, 9]);
    expect(receive(2, C, A)).to.deep.equal([0]);
    expect(receive(0, A, 0x0200_0000_0055)).to.deep.equal([1, 2]);
    expect(env.drops.toJSON()).to.deep.equal({});
  });

  it('802.1D-1: sends to the port behind which a station is, and to all where that is not known', () => {
    expect(send(OWN, A)).to.deep.equal([0, 1, 2]);
    receive(1, A, OWN);
    expect(send(OWN, A)).to.deep.equal([1]);
    expect(send(OWN, GROUP)).to.deep.equal([0, 1, 2]);
    env.scheduler.runFor(300_000);
    expect(send(OWN, A)).to.deep.equal([0, 1, 2]);
  });

  it('learns who else sits on it, and believes nobody who says to be itself', () => {
    send(C, EVERYBODY);
    expect(receive(0, A, C)).to.deep.equal([9]);
    expect(receive(0, OWN, B)).to.deep.equal([1, 2]);
    expect(receive(1, B, OWN)).to.deep.equal([9]);
    expect(lan.stations.map(({ mac, port }) => [mac, port.name])).to.deep.equal([
      [OWN, 'bridge0'],
      [C, 'bridge0'],
      [A, 'p0'],
      [B, 'p1'],
    ]);
  });

  it('gives frames to nobody on it where nobody is', () => {
    void lan.close();
    start({}, false);
    expect(receive(0, A, EVERYBODY)).to.deep.equal([1, 2]);
    expect(receive(0, A, OWN)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-unwatched': 1 });
  });

  it('shows everything on its own port if it is told to', () => {
    void lan.close();
    start({ promiscuous: true });
    expect(receive(0, A, B)).to.deep.equal([1, 2, 9]);
    expect(receive(1, B, A)).to.deep.equal([0, 9]);
  });

  it('keeps what is to stay on its segment, and sends nothing back', () => {
    expect(receive(0, A, RESERVED)).to.deep.equal([]);
    expect(send(OWN, RESERVED)).to.deep.equal([]);
    receive(0, A, EVERYBODY);
    expect(receive(0, B, A)).to.deep.equal([]);
    expect(send(OWN, OWN)).to.deep.equal([]);
    expect(receive(0, GROUP, B)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({
      'bridge-reserved': 2,
      'bridge-same-port': 2,
      'ethernet-bad-source': 1,
    });
  });

  it('gains and loses ports while it runs, and what it knew of those that are gone', () => {
    receive(1, B, EVERYBODY);
    expect(lan.remove(ports[1] ?? expect.fail())).to.equal(true);
    expect(lan.remove(ports[1] ?? expect.fail())).to.equal(false);
    expect(ports[1]?.input.observed).to.equal(false);
    expect(receive(0, A, B)).to.deep.equal([2]);
    lan.add(ports[1] ?? expect.fail());
    expect(receive(0, A, B)).to.deep.equal([1, 2]);
    expect(lan.ports.map(({ name }) => name)).to.deep.equal(['p0', 'p2', 'p1']);
    for (const port of ports.slice(1)) lan.remove(port);
    expect(receive(0, A, B)).to.deep.equal([]);
    lan.remove(ports[0] ?? expect.fail());
    expect(send(OWN, A)).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-unknown': 2 });
  });

  it('goes on without a port that ended, and tells of one that failed', () => {
    const told: string[] = [];
    void lan.close();
    start({ failed: (port, error) => told.push(`${port.name} ${String(error)}`) });
    ports[0]?.input.complete();
    ports[1]?.input.error(new Error('unplugged'));
    expect(lan.ports).to.deep.equal([ports[2]]);
    expect(told).to.deep.equal(['p1 Error: unplugged']);
    expect(send(OWN, EVERYBODY)).to.deep.equal([2]);
    void lan.close();
    expect(ports[2]?.input.observed).to.equal(false);
  });

  it('believes what it is told of stations before what it hears', () => {
    const [, , last] = ports;
    lan.pin('02:00:00:00:00:0a', last ?? expect.fail());
    receive(0, A, EVERYBODY);
    expect(receive(1, B, A)).to.deep.equal([2]);
    expect(lan.unpin('02:00:00:00:00:0a')).to.equal(true);
    expect(lan.unpin('02:00:00:00:00:0a')).to.equal(false);
    expect(lan.unpin('02:00:00:00:00:ff')).to.equal(false);
    expect(receive(1, B, A)).to.deep.equal([0, 2]);
  });

  it('is as its ports are: the smallest MTU, and what any of them does for frames', () => {
    expect(lan).to.include({ name: 'bridge0', mtu: 1500 });
    const able = {
      ...fakeDevice(env, { name: 'able', mtu: 9000 }),
      features: { checksum: true, segmentation: true, udpSegmentation: false },
    };
    const narrow = fakeDevice(env, { name: 'narrow', mtu: 67 });
    const had = lan.ports;
    expect(() => lan.add(narrow))
      .to.throw()
      .with.property('code', 'ERR_INVALID_OPTION');
    expect(lan.ports).to.deep.equal(had);
    const small = fakeDevice(env, { name: 'small', mtu: 1280 });
    lan.add(able);
    lan.add(small);
    expect(lan.mtu).to.equal(1280);
    expect(lan.features).to.deep.equal({ checksum: true, segmentation: true, udpSegmentation: false });
    lan.remove(small);
    expect(lan.mtu).to.equal(1500);
    expect(bridgeDevice([small], { mtu: 1000 }, env).mtu).to.equal(1000);
  });

  it('has what is made of it follow its ports: VLANs, those on them, and bridges that it is a port of', () => {
    const [port = expect.fail(), ...others] = ports;
    for (const other of others) lan.remove(other);
    const office = vlanDevice(lan, { vid: 10 }, env);
    const inner = vlanDevice(office, { vid: 11 }, env);
    const told = vlanDevice(lan, { vid: 12, mtu: 1400 }, env);
    const outer = bridgeDevice([vlanDevice(lan, { vid: 13 }, env)], {}, env);
    const mtus = (): number[] => [office, inner, told, outer].map(({ mtu }) => mtu);
    expect(mtus()).to.deep.equal([1500, 1500, 1400, 1500]);
    const able = { checksum: true, segmentation: false, udpSegmentation: false };
    const small = { ...fakeDevice(env, { name: 'small', mtu: 1280 }), features: able };
    lan.add(small);
    expect(mtus()).to.deep.equal([1280, 1280, 1400, 1280]);
    expect(outer.features).to.deep.equal(able);
    office.sink.next(txOf(bytesOf(A, B, 7, 14 + 1280), env));
    expect(port.sent).to.have.length(1);
    // Tags take room of a VXLAN's packets.
    const overlay = vxlanDevice({ vni: 42, mtu: 1280 }, env);
    lan.add(overlay);
    expect(mtus()).to.deep.equal([1276, 1272, 1400, 1276]);
    lan.add(vxlanDevice({ vni: 43, mtu: 70 }, env));
    expect(mtus()).to.deep.equal([68, 68, 1400, 68]);
    for (const gone of lan.ports.filter((one) => one !== port)) lan.remove(gone);
    expect(mtus()).to.deep.equal([1500, 1500, 1400, 1500]);
    expect(env.drops.toJSON()).to.deep.equal({});
    for (const device of [inner, outer, office]) void device.close();
    lan.add(small);
    expect(mtus().slice(0, 2)).to.deep.equal([1500, 1500]);
  });

  it('passes super-segments and open checksums on as they are', () => {
    const frames: Frame[] = [];
    for (const port of ports) port.sink.next = (frame) => void frames.push(frame);
    lan.sink.next(asTx(superSegment(BULK, env.pool)));
    expect(frames).to.have.lengthOf(3);
    for (const frame of frames) {
      expect(frame).to.include({ gsoType: GsoType.TcpV4, gsoSize: 1448, checksum: ChecksumState.Partial });
      expect(frame.checksumField - frame.start).to.equal(14 + 20 + 16);
      frame.release();
    }
  });

  it('refuses what cannot be', () => {
    const [first] = ports;
    for (const wrong of [
      () => bridgeDevice([first ?? lan, first ?? lan], {}, env),
      () => lan.add(lan),
      () => lan.add(vlanDevice(bridgeDevice([lan], { name: 'outer' }, env), { vid: 5 }, env)),
      () => lan.add(fakeDevice(env, { medium: 'ip' })),
      () => bridgeDevice([], { mtu: 10 }, env),
      () => bridgeDevice([], { stations: 0 }, env),
      () => lan.pin('01:00:00:00:00:01', lan),
      () => lan.pin('02:00:00:00:00:01', fakeDevice(env)),
    ]) {
      expect(wrong).to.throw().with.property('code', 'ERR_INVALID_OPTION');
    }
    void lan.close();
    expect(() => lan.add(fakeDevice(env)))
      .to.throw()
      .with.property('code', 'ERR_INVALID_STATE');
  });

  it('802.1D-1: sends what a list of all that was ever heard says, for any frames, and ports that come and go', () => {
    const mac = fc.constantFrom(A, B, C, OWN, EVERYBODY, GROUP, RESERVED, 0);
    const step = fc.record({
      act: fc.constantFrom('frame', 'frame', 'frame', 'toggle'),
      port: fc.constantFrom(0, 1, 2, 9),
      from: mac,
      to: mac,
      wait: fc.constantFrom(0, 500, 1000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        env = virtualEnv();
        ports = [0, 1, 2].map((i) => fakeDevice(env, { name: `p${i}` }));
        start({ ageing: 1500 });
        const oracle = new Oracle();
        for (const { act, port, from, to, wait } of steps) {
          const device = ports[port];
          if (act === 'toggle' && device !== undefined) {
            oracle.toggle(port);
            if (!lan.remove(device)) lan.add(device);
          } else if (act === 'frame') {
            const goes = port === 9 ? send(from, to) : receive(port, from, to);
            expect(goes).to.deep.equal(oracle.goes(port, from, to, env.timers.now()));
          }
          env.scheduler.runFor(wait);
        }
        expect(env.pool.outstanding).to.equal(0);
      }),
    );
  });

  it('carries a host that others reach, by cables and by VLANs on it', () => {
    const bench = virtualBench();
    const cables = [link({}, bench.env), link({}, bench.env)] as const;
    const shared = bridgeDevice(
      cables.map(({ ends }) => ends[0]),
      {},
      bench.env,
    );
    const tagged = vlanDevice(shared, { vid: 7 }, bench.env);
    const far = vlanDevice(cables[1].ends[1], { vid: 7 }, bench.env);
    const nodes: { device: Device; address: string }[] = [shared, cables[0].ends[1], cables[1].ends[1]].map(
      (device, i) => ({
        device,
        address: `10.0.0.${i + 1}`,
      }),
    );
    nodes.push({ device: tagged, address: '10.0.7.1' }, { device: far, address: '10.0.7.2' });
    const hosts = nodes.map(({ device, address }) => {
      const me = host({ device, addresses: [`${address}/24`] }, bench.env);
      device.frames$.pipe(me).subscribe(device.sink);
      return { me, address: me.tables.addresses.list()[0]?.cidr.address ?? expect.fail() };
    });
    const heard: string[] = [];
    for (const { me, address } of hosts) {
      const message = ({ source }: UdpMessage): void =>
        void heard.push(`${source.address.toString()} to ${address.toString()}`);
      me.udp.bind({ address, port: 7 }, { message, error() {} });
    }
    for (const [from, to] of [
      [1, 0],
      [1, 2],
      [0, 2],
      [4, 3],
      [3, 4],
    ] as const) {
      const [sender, receiver] = [hosts[from] ?? expect.fail(), hosts[to] ?? expect.fail()];
      const socket = sender.me.udp.bind({ address: sender.address, port: 0 }, { message() {}, error() {} });
      socket.send(Uint8Array.of(1), { address: receiver.address, port: 7 });
    }
    bench.scheduler.runFor(100);
    expect(heard.toSorted()).to.deep.equal([
      '10.0.0.1 to 10.0.0.3',
      '10.0.0.2 to 10.0.0.1',
      '10.0.0.2 to 10.0.0.3',
      '10.0.7.1 to 10.0.7.2',
      '10.0.7.2 to 10.0.7.1',
    ]);
  });
});

/** A bridge that keeps all it ever heard in a list; port 9 is its own. */
class Oracle {
  private heard: { mac: number; port: number; at: number }[] = [];
  private present = [0, 1, 2];

  toggle(port: number): void {
    const isThere = this.present.includes(port);
    this.present = isThere ? this.present.filter((other) => other !== port) : [...this.present, port];
    if (isThere) this.heard = this.heard.filter((entry) => entry.port !== port);
  }

  goes(port: number, from: number, to: number, now: number): number[] {
    const isGroup = (mac: number): boolean => [EVERYBODY, GROUP, RESERVED].includes(mac);
    if (port !== 9 && !this.present.includes(port)) return [];
    if (from === 0 || isGroup(from) || to === RESERVED) return [];
    if (from !== OWN) this.heard.push({ mac: from, port, at: now });
    const others = this.present.filter((other) => other !== port).toSorted((a, b) => a - b);
    if (isGroup(to)) return port === 9 ? others : [...others, 9];
    const last = this.heard.findLast(({ mac, at }) => mac === to && now - at < 1500);
    const found = to === OWN ? 9 : last?.port;
    if (found === undefined) return others;
    return found === port ? [] : [found];
  }
}
