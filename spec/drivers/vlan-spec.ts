import { expect } from 'chai';
import { link } from '../../drivers/link.js';
import { vlanDevice, type VlanDeviceOptions } from '../../drivers/vlan.js';
import type { Device } from '../../lib/core/device.js';
import { MacAddress } from '../../lib/core/address.js';
import { DropReason } from '../../lib/core/drops.js';
import { asTx, ChecksumState, type Frame, GsoType } from '../../lib/core/frame.js';
import { EtherType } from '../../lib/wire/ethernet.js';
import { host } from '../../operators/stack/host.js';
import { fakeDevice, virtualEnv, type VirtualEnv } from '../lib/l2/fake-device.js';
import { hexBytes, hexOf } from '../lib/wire/frames.js';
import { BULK, parse, superSegment } from '../lib/wire/super-segments.js';
import { virtualBench } from './virtual-rigs.js';

const MACS = 'ffffffffffff 020000000001';
const UNTAGGED = `${MACS} 88b5 0102030405`;

function tagged(tag: string, rest = '88b5 0102030405'): Uint8Array {
  return hexBytes(`${MACS} ${tag} ${rest}`);
}

describe('vlanDevice', () => {
  let env: VirtualEnv;
  let parent: ReturnType<typeof fakeDevice>;
  /** What each device received: its name and the bytes. */
  let seen: string[];

  function make(options: VlanDeviceOptions, on: Device = parent): Device {
    const device = vlanDevice(on, options, env);
    device.frames$.subscribe({
      next: (frame) => {
        expect(frame.device).to.equal(device);
        seen.push(`${device.name} ${hexOf(frame)}`);
      },
      complete: () => seen.push(`${device.name} ends`),
      error: (error) => seen.push(`${device.name} ${String(error)}`),
    });
    return device;
  }

  function send(device: Device, hex: string): string[] {
    const bytes = hexBytes(hex);
    const frame = env.pool.alloc(bytes.length);
    frame.slab.bytes.set(bytes, frame.put(bytes.length));
    device.sink.next(asTx(frame));
    return parent.sent.splice(0).map((sent) => Buffer.from(sent).toString('hex'));
  }

  beforeEach(() => {
    env = virtualEnv();
    parent = fakeDevice(env, { name: 'eth0', mtu: 1400 });
    seen = [];
  });
  afterEach(() => expect(env.pool.outstanding).to.equal(0));

  const hex = (text: string): string => text.replaceAll(' ', '');

  it('is named after its parent, and is as it in everything else', () => {
    const device = vlanDevice(parent, { vid: 7 }, env);
    expect(device).to.include({ name: 'eth0.7', mtu: 1400, medium: 'ethernet', features: parent.features });
    expect(device.mac).to.equal(parent.mac);
    const other = vlanDevice(parent, { vid: 8, name: 'guests', mtu: 1000, mac: '02:00:00:00:00:09' }, env);
    expect(other).to.include({ name: 'guests', mtu: 1000 });
    expect(other.mac.equals(MacAddress.parse('02:00:00:00:00:09'))).to.equal(true);
  });

  it('802.1Q-1: takes the tag off frames of its VLAN, whatever their priority', () => {
    make({ vid: 7 });
    make({ vid: 8 });
    parent.receive(tagged('8100 0007'));
    parent.receive(tagged('8100 f008'));
    expect(seen).to.deep.equal([`eth0.7 ${hex(UNTAGGED)}`, `eth0.8 ${hex(UNTAGGED)}`]);
  });

  it('tells the two protocols of tags apart', () => {
    make({ vid: 7 });
    make({ vid: 7, protocol: EtherType.QinQ, name: 'service' });
    parent.receive(tagged('88a8 0007'));
    expect(seen).to.deep.equal([`service ${hex(UNTAGGED)}`]);
  });

  it('says of a frame that somebody keeps what became of the copy in its place', () => {
    const kept: Frame[] = [];
    parent.frames$.subscribe((frame) => kept.push(frame.retain()));
    vlanDevice(parent, { vid: 7 }, env);
    expect(parent.receive(tagged('8100 0007'))).to.equal(DropReason.DeviceUnwatched);
    for (const frame of kept) frame.release();
  });

  it('802.1Q-1: tags what it sends, with its priority', () => {
    expect(send(make({ vid: 7 }), UNTAGGED)).to.deep.equal([hex(`${MACS} 8100 0007 88b5 0102030405`)]);
    expect(send(make({ vid: 4094, priority: 5 }), UNTAGGED)).to.deep.equal([hex(`${MACS} 8100 affe 88b5 0102030405`)]);
  });

  it('is a parent of others: a tag inside a tag', () => {
    const outer = make({ vid: 100, protocol: EtherType.QinQ });
    const inner = make({ vid: 7 }, outer);
    expect(inner.name).to.equal('eth0.100.7');
    parent.receive(tagged('88a8 0064', '8100 0007 88b5 0102030405'));
    expect(seen).to.deep.equal([`eth0.100 ${hex(`${MACS} 8100 0007 88b5 0102030405`)}`, `eth0.100.7 ${hex(UNTAGGED)}`]);
    expect(send(inner, UNTAGGED)).to.deep.equal([hex(`${MACS} 88a8 0064 8100 0007 88b5 0102030405`)]);
  });

  it('leaves to the users of the parent what they had, as if there were no VLANs', () => {
    make({ vid: 7 });
    const theirs: string[] = [];
    const [near, far] = link({}, env).ends;
    near.frames$.subscribe((frame) => theirs.push(hexOf(frame)));
    make({ vid: 7 }, near);
    near.frames$.subscribe((frame) => theirs.push(hexOf(frame)));
    for (const bytes of [hexBytes(UNTAGGED), tagged('8100 0007')]) {
      const frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      far.sink.next(asTx(frame));
    }
    env.scheduler.run();
    const both = [hex(UNTAGGED), hex(`${MACS} 8100 0007 88b5 0102030405`)];
    expect(theirs).to.deep.equal([both[0], both[0], both[1], both[1]]);
    expect(seen).to.deep.equal([`link0.7 ${hex(UNTAGGED)}`]);
  });

  it('of VLAN 0 is the device of what belongs to no VLAN', () => {
    const native = make({ vid: 0 });
    make({ vid: 7 });
    parent.receive(hexBytes(UNTAGGED));
    parent.receive(tagged('8100 6000'));
    parent.receive(tagged('88a8 0000'));
    expect(seen).to.deep.equal(Array(3).fill(`eth0.0 ${hex(UNTAGGED)}`));
    expect(send(native, UNTAGGED)).to.deep.equal([hex(UNTAGGED)]);
    void native.close();
    expect(send(make({ vid: 0, priority: 6 }), UNTAGGED)).to.deep.equal([hex(`${MACS} 8100 c000 88b5 0102030405`)]);
    expect(env.drops.toJSON()).to.deep.equal({});
  });

  it('802.1Q-1: drops what is of a VLAN that nobody has, and tags that end early', () => {
    make({ vid: 7 });
    parent.receive(tagged('8100 0008'));
    parent.receive(tagged('8100 0fff'));
    const whole = tagged('8100 0007');
    for (let length = 0; length < 18; length++) parent.receive(whole.slice(0, length));
    expect(seen).to.deep.equal([]);
    expect(env.drops.toJSON()).to.deep.equal({ 'vlan-unknown': 2, 'vlan-truncated': 4 });
  });

  it('passes super-segments and open checksums on as they are', () => {
    const frames: Frame[] = [];
    parent.sink.next = (frame) => void frames.push(frame);
    const bulk = superSegment({ ...BULK, gsoSize: 1000 }, env.pool);
    const { start, checksumStart, length } = bulk;
    make({ vid: 7 }).sink.next(asTx(bulk));
    expect(frames).to.deep.equal([bulk]);
    expect(bulk).to.include({ start: start - 4, checksumStart, gsoType: GsoType.TcpV4, length: length + 4 });
    expect(bulk.checksum).to.equal(ChecksumState.Partial);
    bulk.release();
  });

  it('tags a frame in place that was forwarded from another device, but not one that others hold', () => {
    const kept: Frame[] = [];
    parent.sink.next = (frame) => void kept.push(frame);
    const device = make({ vid: 7 });
    const [near, far] = link({}, env).ends;
    const came: Frame[] = [];
    near.frames$.subscribe((frame) => {
      came.push(frame);
      device.sink.next(asTx(came.length === 1 ? frame.handOver() : frame.retain()));
    });
    for (let i = 0; i < 2; i++) {
      const bytes = hexBytes(UNTAGGED);
      const frame = env.pool.alloc(bytes.length);
      frame.slab.bytes.set(bytes, frame.put(bytes.length));
      far.sink.next(asTx(frame));
    }
    env.scheduler.run();
    expect(kept[0]).to.equal(came[0]);
    expect(kept[1]).not.to.equal(came[1]);
    for (const frame of kept) expect(hexOf(frame)).to.equal(hex(`${MACS} 8100 0007 88b5 0102030405`));
    for (const frame of kept) frame.release();
  });

  it('counts no tag against the MTU', () => {
    const device = make({ vid: 7 });
    const at = (length: number): string => `${MACS} 88b5 ${'00'.repeat(length)}`;
    expect(send(device, at(1400))).to.have.lengthOf(1);
    expect(send(device, at(1401))).to.have.lengthOf(0);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-too-big': 1 });
  });

  it('ends as its parent does, and leaves the parent alone when it is closed itself', () => {
    const first = make({ vid: 7 });
    make({ vid: 8 });
    void first.close();
    expect(parent.input.observed).to.equal(true);
    expect(send(first, UNTAGGED)).to.deep.equal([]);
    parent.input.error(new Error('unplugged'));
    expect(seen).to.deep.equal(['eth0.7 ends', 'eth0.8 Error: unplugged']);
    const [near] = link({}, env).ends;
    const last = make({ vid: 7 }, near);
    void near.close();
    expect(seen.at(-1)).to.equal('link0.7 ends');
    expect(make({ vid: 9 }, near)).not.to.equal(last);
    expect(seen.at(-1)).to.equal('link0.9 ends');
    expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
  });

  it('lets go of its parent when the last of them is closed, and can be made again', () => {
    const devices = [make({ vid: 7 }), make({ vid: 8 })];
    for (const device of devices) void device.close();
    expect(parent.input.observed).to.equal(false);
    make({ vid: 7 });
    seen = [];
    parent.receive(tagged('8100 0007'));
    expect(seen).to.deep.equal([`eth0.7 ${hex(UNTAGGED)}`]);
  });

  it('refuses what cannot be', () => {
    make({ vid: 7 });
    const inner = make({ vid: 8 }, make({ vid: 100, protocol: EtherType.QinQ }));
    const raw = fakeDevice(env, { medium: 'ip' });
    for (const [options, on] of [
      [{ vid: 7 }, parent],
      [{ vid: -1 }, parent],
      [{ vid: 4095 }, parent],
      [{ vid: 1.5 }, parent],
      [{ vid: 9, priority: 8 }, parent],
      [{ vid: 9, protocol: 0x800 }, parent],
      [{ vid: 9, mtu: 67 }, parent],
      [{ vid: 9 }, inner],
      [{ vid: 9 }, raw],
    ] as const) {
      expect(() => vlanDevice(on, options, env))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(vlanDevice(inner, { vid: 0 }, env).name).to.equal('eth0.100.8.0');
  });

  it('carries hosts: each VLAN is a network of its own, with the untagged one beside it', () => {
    const bench = virtualBench();
    const [near, far] = link({}, bench.env).ends;
    const hosts = [near, far].map((end, i) => {
      const one = vlanDevice(end, { vid: 7 }, bench.env);
      const two = vlanDevice(vlanDevice(end, { vid: 100, protocol: EtherType.QinQ }, bench.env), { vid: 7 }, bench.env);
      return [end, one, two].map((device, net) => {
        const me = host({ device, addresses: [`10.0.${net}.${i + 1}/24`] }, bench.env);
        device.frames$.pipe(me).subscribe(device.sink);
        return me;
      });
    });
    const heard: string[] = [];
    for (const me of hosts[1] ?? []) {
      const local = { address: me.tables.addresses.list()[0]?.cidr.address ?? expect.fail(), port: 7 };
      me.udp.bind(local, { message: ({ data }) => heard.push(`${local.address.toString()} ${data[0]}`), error() {} });
    }
    (hosts[0] ?? []).forEach((me, net) => {
      const local = { address: me.tables.addresses.list()[0]?.cidr.address ?? expect.fail(), port: 0 };
      const to = hosts[1]?.[net]?.tables.addresses.list()[0]?.cidr.address ?? expect.fail();
      me.udp.bind(local, { message() {}, error() {} }).send(Uint8Array.of(net), { address: to, port: 7 });
    });
    bench.scheduler.runFor(100);
    expect(heard.toSorted()).to.deep.equal(['10.0.0.2 0', '10.0.1.2 1', '10.0.2.2 2']);
  });

  it('sends the segments of a super-segment tagged, where the parent cuts it', () => {
    const bench = virtualBench();
    const [near, far] = link({}, bench.env).ends;
    const got: number[] = [];
    const device = vlanDevice(far, { vid: 7 }, bench.env);
    device.frames$.subscribe((frame) => got.push(parse(frame, 'ethernet').payload.length));
    vlanDevice(near, { vid: 7 }, bench.env).sink.next(asTx(superSegment(BULK, bench.env.pool)));
    bench.scheduler.run();
    expect(got).to.deep.equal([1448, 1448, 1104]);
  });
});
