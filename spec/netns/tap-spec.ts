import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { expect } from 'chai';
import { filter, firstValueFrom, map, take, toArray } from 'rxjs';
import type { Env } from '../../lib/core/env.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import { asTx, type Frame, FramePool } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { TUNSETSNDBUF } from '../../drivers/native/if-tun.js';
import { libc } from '../../drivers/native/libc.js';
import { Uring } from '../../drivers/native/uring.js';
import { writeMac } from '../../lib/wire/ethernet.js';
import { inNamespace, openTap, type TapOptions } from '../../drivers/tap.js';
import { describeNetns, type Netns } from './namespace.js';
import { pong } from './pong.js';

const OURS = '02:00:00:00:00:02';
const THEIRS = '02:00:00:00:00:01';

function code(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
}

function testEnv(): Env {
  return environment({ pool: new FramePool({ poison: true }) });
}

/** A UDP frame from us to the discard port of the kernel, with `length` bytes in all. */
function toKernel(env: Env, length: number, fill = 0): Frame {
  const frame = env.pool.alloc(length);
  const at = frame.put(length);
  const { bytes, view } = frame.slab;
  bytes.fill(fill, at, at + length);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], at);
  view.setUint16(at + 12, 0x88b5);
  return frame;
}

function open(netns: Netns, env: Env, options: TapOptions = {}): Device {
  return netns.namespace.openTap({ name: 'tap0', mac: OURS, peerMac: THEIRS, peer: ['10.77.0.1/24'], ...options }, env);
}

/** Frames that the kernel received on the interface. */
function received(netns: Netns, counter = 'packets'): number {
  return Number(
    netns.namespace.ip('-s', '-j', 'link', 'show', 'tap0').match(new RegExp(`"rx":{[^}]*"${counter}":(\\d+)`))?.[1],
  );
}

describeNetns('tap', (netns) => {
  it('answers pings of the kernel', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    tap.frames$.subscribe(pong(tap));
    // Whatever -W says, ping waits for the last answer no longer than for twice the longest round trip, or one interval.
    const ping = await netns.namespace.run('ping', ['-q', '-c', '20', '-i', '0.1', '-W', '1', '10.77.0.2']);
    expect(ping.stdout, ping.stdout).to.match(/20 received, 0% packet loss/);
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('keeps up with a flood of full-sized frames', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    tap.frames$.subscribe(pong(tap));
    const ping = await netns.namespace.run('ping', ['-q', '-f', '-l', '50', '-c', '5000', '-s', '1472', '10.77.0.2']);
    expect(ping.stdout, ping.stdout).to.match(/5000 received, 0% packet loss/);
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('sets the kernel side: address, MAC, MTU, queue, up', async () => {
    const env = testEnv();
    await using tap = open(netns, env, {
      mtu: 9000,
      receiveQueue: 77,
      peer: ['10.77.0.1/24', '10.78.0.1/16', 'fd00::1/64'],
    });
    expect(tap.mac.toString()).to.equal(OURS);
    expect(tap.mtu).to.equal(9000);
    const [link] = JSON.parse(netns.namespace.ip('-j', 'addr', 'show', 'tap0'));
    expect(link).to.include({ mtu: 9000, address: THEIRS, txqlen: 77 });
    expect(link.flags).to.include('UP');
    const addresses = link.addr_info.map(
      (info: { local: string; prefixlen: number }) => `${info.local}/${info.prefixlen}`,
    );
    expect(addresses).to.include.members(['10.77.0.1/24', '10.78.0.1/16', 'fd00::1/64']);
    expect(link.addr_info[0].broadcast).to.equal('10.77.0.255');
  });

  it('leaves the interface down where asked, and lets the kernel choose a name and a MAC', async () => {
    const env = testEnv();
    await using tap = netns.namespace.openTap({ up: false }, env);
    await using other = netns.namespace.openTap({ name: 'abc%d', up: false }, env);
    expect(tap.name).to.match(/^tap\d+$/);
    expect(other.name).to.equal('abc0');
    expect(JSON.parse(netns.namespace.ip('-j', 'link', 'show', tap.name))[0].flags).not.to.include('UP');
    expect(tap.mac.isGroup).to.equal(false);
    expect(tap.mac.value).not.to.equal(other.mac.value);
  });

  it('removes the interface when closed, unless it is persistent', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    await tap.close();
    await tap.close();
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
    await open(netns, env, { persist: true }).close();
    expect(netns.namespace.ip('link', 'show', 'tap0')).to.contain('tap0');
    await open(netns, env, { persist: false }).close();
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
  });

  it('does not leave a persistent interface behind that could not be opened', () => {
    const failing = (options: TapOptions): void => {
      expect(() => open(netns, testEnv(), { persist: true, ...options })).to.throw();
      expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
    };
    failing({
      onOpen: () => {
        throw new Error('not as it should be');
      },
    });
    // An MTU with which there is no IPv6.
    failing({ mtu: 1000, peer: ['fd00::1/64'] });
  });

  it('would be refused an io_uring if it could not say whether it would have to wait', () => {
    const fd = openSync('/proc/self/status', 'r');
    expect(() => new Uring(libc(), fd, 64))
      .to.throw(/Linux 6.4/)
      .with.property('code', 'ENOTSUP');
    closeSync(fd);
  });

  it('stamps all frames of a batch with one time, and names itself in them', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    const times = firstValueFrom(
      tap.frames$.pipe(
        filter((frame) => frame.length === 1014),
        map((frame) => ({ time: frame.time, device: frame.device })),
        take(20),
        toArray(),
      ),
    );
    netns.namespace.ip('neigh', 'add', '10.77.0.2', 'lladdr', OURS, 'dev', 'tap0');
    await netns.namespace.run('ping', ['-q', '-l', '20', '-c', '20', '-s', '972', '-W', '0.1', '10.77.0.2']);
    const seen = await times;
    expect(seen.every(({ device }) => device === tap)).to.equal(true);
    expect(new Set(seen.map(({ time }) => time)).size).to.be.lessThan(20);
    await tap.close();
  });

  it('sends in order, however many at once', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    const dump = netns.namespace.start('tcpdump', [
      '--immediate-mode',
      '-s',
      '128',
      '-i',
      'tap0',
      '-c',
      '200',
      '-xx',
      '-Q',
      'in',
      '-t',
      'ether',
      'proto',
      '0x88b5',
    ]);
    let text = '';
    dump.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await new Promise((resolve) => dump.stderr?.once('data', resolve));
    for (let i = 0; i < 200; i++) tap.sink.next(asTx(toKernel(env, 100, i)));
    await new Promise((resolve) => dump.once('close', resolve));
    const order = [...text.matchAll(/0x0010: {2}(\w\w)/g)].map((match) => Number.parseInt(match[1] ?? '', 16));
    expect(order).to.deep.equal(Array.from({ length: 200 }, (_, i) => i));
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('pads short frames with zeros, and changes nothing of the frame', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    const dump = netns.namespace.run('tcpdump', [
      '--immediate-mode',
      '-s',
      '128',
      '-i',
      'tap0',
      '-c',
      '1',
      '-xx',
      '-Q',
      'in',
      '-t',
      'ether',
      'proto',
      '0x88b5',
    ]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    const frame = toKernel(env, 20, 0xee);
    const { end } = frame;
    tap.sink.next(asTx(frame.retain()));
    const { stdout } = await dump;
    const hex = [...stdout.matchAll(/0x\w+: {2}([\w ]+)/g)].map((match) => match[1]?.replaceAll(' ', '')).join('');
    expect(hex).to.equal(`02000000000102000000000288b5${'ee'.repeat(6)}${'00'.repeat(40)}`);
    expect(frame.end).to.equal(end);
    frame.release();
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops what does not fit, either way, and what comes after close', async () => {
    const env = testEnv();
    const tap = open(netns, env, { mtu: 1000 });
    let long = 0;
    tap.frames$.subscribe((frame) => (long += frame.length > 1014 ? 1 : 0));
    tap.sink.next(asTx(toKernel(env, 1014)));
    tap.sink.next(asTx(toKernel(env, 1015)));
    tap.sink.next(asTx(toKernel(env, 13)));
    await Promise.resolve();
    expect(received(netns)).to.equal(1);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-too-big': 1, 'ethernet-truncated': 1 });
    netns.namespace.ip('neigh', 'add', '10.77.0.2', 'lladdr', OURS, 'dev', 'tap0');
    netns.namespace.ip('link', 'set', 'tap0', 'mtu', '1500');
    await netns.namespace.run('ping', ['-c', '1', '-W', '0.1', '-s', '973', '10.77.0.2']);
    expect(env.drops.count(DropReason.DeviceTooBig)).to.equal(2);
    expect(long).to.equal(0);
    await tap.close();
    tap.sink.next(asTx(toKernel(env, 100)));
    expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('drops, and lives on, while the interface is down', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    netns.namespace.ip('link', 'set', 'tap0', 'down');
    tap.sink.next(asTx(toKernel(env, 100)));
    await Promise.resolve();
    expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
    netns.namespace.ip('link', 'set', 'tap0', 'up');
    tap.sink.next(asTx(toKernel(env, 100)));
    await tap.close();
    expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
    expect(env.pool.outstanding).to.equal(0);
  });

  it('errors frames$ when the interface is deleted, while it waits and while it writes', async () => {
    for (const write of [false, true]) {
      const env = testEnv();
      const tap = open(netns, env);
      const failed = new Promise<{ code: string }>((resolve) => tap.frames$.subscribe({ error: resolve }));
      netns.namespace.ip('link', 'del', 'tap0');
      if (write) {
        tap.sink.next(asTx(toKernel(env, 100)));
        tap.sink.next(asTx(toKernel(env, 100)));
      }
      expect((await failed).code).to.equal('ENODEV');
      tap.sink.next(asTx(toKernel(env, 100)));
      const late = new Promise<{ code: string }>((resolve) => tap.frames$.subscribe({ error: resolve }));
      expect((await late).code).to.equal('ENODEV');
      await tap.close();
      expect(env.drops.count(DropReason.DeviceDown)).to.equal(write ? 3 : 1);
      expect(env.pool.outstanding).to.equal(0);
    }
  });

  it('may be closed from inside of a delivery', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    let frames = 0;
    const done = new Promise<void>((resolve) =>
      tap.frames$.subscribe({
        next: () => void (frames++, tap.sink.next(asTx(toKernel(env, 100))), tap.close()),
        complete: resolve,
      }),
    );
    void netns.namespace.run('ping', ['-c', '1', '-W', '0.1', '10.77.0.2']);
    await done;
    expect(frames).to.equal(1);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('counts what comes in while nobody is subscribed', async () => {
    const env = testEnv();
    const tap = open(netns, env);
    await netns.namespace.run('ping', ['-c', '1', '-W', '0.1', '10.77.0.2']);
    expect(env.drops.count(DropReason.DeviceUnwatched)).to.be.greaterThan(0);
    await tap.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('can be moved to another namespace, and still works', async () => {
    const env = testEnv();
    const there = netns.make('b');
    const tap = open(netns, env, { peer: [] });
    netns.namespace.ip('link', 'set', 'tap0', 'netns', there.name);
    there.ip('addr', 'add', '10.77.0.1/24', 'dev', 'tap0');
    there.ip('link', 'set', 'tap0', 'up');
    tap.frames$.subscribe(pong(tap));
    const ping = await there.run('ping', ['-q', '-c', '3', '-i', '0.1', '-W', '1', '10.77.0.2']);
    expect(ping.stdout, ping.stdout).to.match(/ 0% packet loss/);
    await tap.close();
  });

  it('shares an interface between queues', async () => {
    const env = testEnv();
    const a = open(netns, env, { multiQueue: true });
    const b = open(netns, env, { multiQueue: true });
    a.frames$.subscribe(pong(a));
    b.frames$.subscribe(pong(b));
    const ping = await netns.namespace.run('ping', ['-q', '-c', '3', '-i', '0.1', '-W', '1', '10.77.0.2']);
    expect(ping.stdout, ping.stdout).to.match(/ 0% packet loss/);
    await Promise.all([a.close(), b.close()]);
  });

  it('has a flow on one queue of several, offloads on each, as the first was opened', async () => {
    for (const offload of [true, false]) {
      const env = testEnv();
      const queues = [offload, true, false, true].map((each) =>
        open(netns, env, { multiQueue: true, offload: each, coalesce: false }),
      );
      const flows = new Map<number, Set<Device>>();
      let longest = 0;
      for (const device of queues) {
        device.frames$.subscribe((frame) => {
          const { view } = frame.slab;
          if (view.getUint16(frame.start + 12) !== 0x0800) return;
          longest = Math.max(longest, frame.length);
          const port = view.getUint16(frame.start + 34);
          flows.set(port, (flows.get(port) ?? new Set()).add(device));
        });
      }
      const script = `
import socket
for port in range(5001, 5065):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('10.77.0.1', port))
    for i in range(4): s.sendto(b'x' * 1000, ('10.77.0.2', 9))`;
      netns.namespace.ip('neigh', 'replace', '10.77.0.2', 'lladdr', OURS, 'dev', 'tap0');
      await netns.namespace.run('python3', ['-c', script]);
      const used = new Set([...flows.values()].flatMap((devices) => [...devices]));
      expect(flows.size).to.equal(64);
      expect([...flows.values()].every((devices) => devices.size === 1)).to.equal(true);
      expect(used.size).to.be.greaterThan(1);
      expect(longest).to.equal(1042);
      await Promise.all(queues.map((device) => device.close()));
      expect(env.pool.outstanding).to.equal(0);
    }
  });

  it('waits for a kernel that takes no more, and loses nothing', async () => {
    const env = testEnv();
    const tap = open(netns, env, { offload: false });
    const far = netns.namespace.openTap({ name: 'tap1' }, testEnv());
    netns.namespace.ip('link', 'add', 'br0', 'up', 'type', 'bridge', 'forward_delay', '0');
    for (const name of ['tap0', 'tap1']) netns.namespace.ip('link', 'set', name, 'master', 'br0');
    // What waits for its turn on the way out of the bridge counts against the sender's buffer.
    const shaper = 'qdisc add dev tap1 root tbf rate 8mbit burst 3000 limit 10000000'.split(' ');
    expect((await netns.namespace.run('tc', shaper)).code).to.equal(0);
    const { fd } = tap as unknown as { readonly fd: number };
    expect(libc().ioctl(fd, TUNSETSNDBUF, new Uint8Array(Uint32Array.of(20_000).buffer))).to.equal(0);
    const order: number[] = [];
    far.frames$.subscribe((frame) => {
      if (frame.slab.view.getUint16(frame.start + 12) !== 0x88b5) return;
      order.push(frame.slab.view.getUint8(frame.start + 20));
    });
    const numbers = Array.from({ length: 200 }, (_, i) => i);
    for (const i of numbers) {
      const frame = toKernel(env, 1000, i);
      writeMac(frame.slab.view, frame.start, far.mac.value);
      tap.sink.next(asTx(frame));
    }
    await Promise.resolve();
    expect(env.pool.outstanding, 'frames that wait').to.be.greaterThan(100);
    for (let i = 0; i < 100 && order.length < 200; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(order.toSorted((a, b) => a - b)).to.deep.equal(numbers);
    expect(env.drops.count(DropReason.DeviceQueueFull)).to.equal(0);
    await Promise.all([tap.close(), far.close()]);
    expect(env.pool.outstanding).to.equal(0);
  });
});

describeNetns('tap, refused', (netns) => {
  const env = testEnv();

  it('a name that is taken: EBUSY', async () => {
    await using tap = open(netns, env);
    expect(tap.name).to.equal('tap0');
    expect(code(() => open(netns, env))).to.equal('EBUSY');
    expect(code(() => open(netns, env, { name: 'lo' }))).to.equal('EBUSY');
  });

  it('names and options that cannot be', () => {
    const bad: TapOptions[] = [
      { name: 'a/b' },
      { name: 'sixteen-letters-' },
      { name: '..' },
      { name: 'a b' },
      { name: 'a%s' },
      { mtu: 67 },
      { mtu: 65_522 },
      { mtu: 1500.5 },
      { mac: '01:00:00:00:00:01' },
      { mac: '00:00:00:00:00:00' },
      { sendQueue: 0 },
      { receiveQueue: -1 },
    ];
    for (const options of bad)
      expect(
        code(() => open(netns, env, options)),
        JSON.stringify(options),
      ).to.equal('ERR_INVALID_OPTION');
    expect(code(() => open(netns, env, { peer: ['10.0.0.1/33'] }))).to.equal('ERR_INVALID_ADDRESS');
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
  });

  it('nothing is left behind when the kernel refuses a setting', () => {
    expect(code(() => open(netns, env, { peer: ['10.77.0.1/24', 'ff02::1/64'] }))).to.match(/^E/);
    expect(() => netns.namespace.ip('link', 'show', 'tap0')).to.throw();
  });

  it('without permission: EPERM or EACCES, in words', () => {
    const script = `
      import { openTap } from './drivers/tap.ts';
      import { environment } from './operators/time/environment.ts';
      process.setgid(65534); process.setuid(65534);
      try { openTap({}, environment()); } catch (error) { console.log(error.code, error.message); }`;
    const output = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(output).to.match(/^(EPERM|EACCES) cannot open/);
  });

  it('on another system: ENOTSUP', () => {
    const script = `
      Object.defineProperty(process, 'platform', { value: 'darwin' });
      const { openTap } = await import('./drivers/tap.ts');
      const { environment } = await import('./operators/time/environment.ts');
      try { openTap({}, environment()); } catch (error) { console.log(error.code); }`;
    const output = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(output).to.equal('ENOTSUP\n');
  });

  it('a namespace that does not exist: ENODEV, and we stay where we are', () => {
    const here = readlinkSync('/proc/thread-self/ns/net');
    expect(code(() => inNamespace('rxns-none', () => openTap({}, env)))).to.equal('ENODEV');
    expect(code(() => inNamespace(netns.namespace.name, () => openTap({ mtu: 1 }, env)))).to.equal(
      'ERR_INVALID_OPTION',
    );
    const there = inNamespace(netns.namespace.name, () => readlinkSync('/proc/thread-self/ns/net'));
    expect(there).not.to.equal(here);
    expect(readlinkSync('/proc/thread-self/ns/net')).to.equal(here);
  });
});
