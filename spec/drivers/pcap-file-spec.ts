import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { config, VirtualTimeScheduler } from 'rxjs';
import { CaptureFileWriter } from '../../drivers/capture-file.js';
import { FileSink } from '../../drivers/file-sink.js';
import { openPcapFile, type PcapFileOptions } from '../../drivers/pcap-file.js';
import { type CapturePacket, type CaptureRecord, LinkType } from '../../lib/capture/capture.js';
import { PcapWriter } from '../../lib/capture/pcap.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import { readCapture } from '../../lib/capture/reader.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { asTx, FramePool, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { Gathered } from '../lib/capture/capture-bytes.js';

/** A packet of `length` bytes of value `length`, `ms` milliseconds after an epoch. */
function packet(length: number, ms: number): CapturePacket {
  return {
    seconds: 1_700_000_000 + Math.floor(ms / 1000),
    nanoseconds: (ms % 1000) * 1e6,
    data: new Uint8Array(length).fill(length),
  };
}

describe('pcap-file', () => {
  let directory = '';
  let scheduler = new VirtualTimeScheduler();
  let env: Env = environment();

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rx-netstack-pcap-file-'));
    scheduler = new VirtualTimeScheduler();
    env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  });
  afterEach(() => {
    expect(env.pool.outstanding, 'frames left').to.equal(0);
    rmSync(directory, { recursive: true });
  });

  const path = (name: string) => join(directory, name);

  function capture(packets: readonly CapturePacket[], linkType: number = LinkType.Ethernet): string {
    const file = new Gathered();
    const writer = new PcapWriter(file, { linkType, precision: 'ns' });
    for (const each of packets) writer.write(each);
    writeFileSync(path('in.pcap'), file.bytes);
    return path('in.pcap');
  }

  function open(options: Omit<PcapFileOptions, 'env'>) {
    return openPcapFile({ ...options, env });
  }

  /** Subscribes and notes lengths and times, and how it ends. */
  function watch(device: ReturnType<typeof open>, log: string[] = []) {
    const subscription = device.frames$.subscribe({
      next: (frame) => log.push(`${frame.length}@${scheduler.now()}`),
      error: (error: Error) => log.push(error instanceof UsageError ? error.code : error.message),
      complete: () => log.push('end'),
    });
    return { log, subscription };
  }

  function frame(length: number): TxFrame {
    const made = env.pool.alloc(length);
    made.slab.bytes.fill(length, made.put(length), made.end);
    return asTx(made);
  }

  function written(name: string): CaptureRecord[] {
    return [...readCapture(readFileSync(path(name)))];
  }

  describe('replay', () => {
    it('delivers at once, after subscribing, and completes', () => {
      const device = open({ read: capture([packet(60, 0), packet(61, 5000)]) });
      const { log } = watch(device);
      expect(log, 'not from inside subscribe').to.deep.equal([]);
      scheduler.flush();
      expect(log).to.deep.equal(['60@0', '61@0', 'end']);
      expect(device.end).to.equal('complete');
      expect(watch(device).log, 'a later subscriber finds it over').to.deep.equal(['end']);
    });

    it('keeps the original gaps, or so many times faster ones; packets out of order come at once', () => {
      const read = capture([packet(60, 500), packet(61, 600), packet(62, 100), packet(63, 2500)]);
      const times = (speed: number) => {
        scheduler = new VirtualTimeScheduler();
        env = environment({ scheduler, seed: 1 });
        const { log } = watch(open({ read, timing: 'original', speed }));
        scheduler.flush();
        return log;
      };
      expect(times(1)).to.deep.equal(['60@0', '61@100', '62@100', '63@2000', 'end']);
      expect(times(4)).to.deep.equal(['60@0', '61@25', '62@25', '63@500', 'end']);
    });

    it('gives frames of the pool that say where they came from and are released after next', () => {
      const device = open({ read: capture([packet(60, 0), packet(61, 0)]) });
      let kept: RxFrame | undefined;
      device.frames$.subscribe((frame) => {
        expect(frame.device).to.equal(device);
        expect(frame.wholeEnd).to.equal(frame.end);
        expect(frame.exclusive).to.equal(true);
        expect([...frame.bytes()]).to.deep.equal(Array.from({ length: frame.length }, () => frame.length));
        kept ??= frame.retain();
      });
      scheduler.flush();
      expect(env.pool.outstanding).to.equal(1);
      expect(kept?.bytes()[0]).to.equal(60);
      kept?.release();
    });

    it('waits while nobody listens, also with its clock, and leaves no timer', () => {
      const device = open({ read: capture([packet(60, 0), packet(61, 100), packet(62, 200)]), timing: 'original' });
      const first = watch(device);
      scheduler.maxFrames = 50;
      scheduler.flush();
      first.subscription.unsubscribe();
      scheduler.maxFrames = Number.POSITIVE_INFINITY;
      scheduler.flush();
      expect(first.log).to.deep.equal(['60@0']);
      const since = scheduler.now();
      const second = watch(device);
      scheduler.flush();
      expect(second.log).to.deep.equal([`61@${since}`, `62@${since + 100}`, 'end']);
    });

    it('is one replay for all subscribers, and what one does to its frame the others do not see', () => {
      const device = open({ read: capture([packet(60, 0), packet(61, 0)]) });
      const seen: number[] = [];
      for (let i = 0; i < 2; i++) {
        device.frames$.subscribe((frame) => {
          seen.push(frame.length);
          expect(frame.exclusive).to.equal(true);
          frame.start += 14;
        });
      }
      scheduler.flush();
      expect(seen).to.deep.equal([60, 60, 61, 61]);
    });

    it('stops at once when the subscriber leaves or the device is closed in the middle of a batch', async () => {
      const read = capture([packet(60, 0), packet(61, 0), packet(62, 0)]);
      const left: number[] = [];
      const leaving = open({ read }).frames$.subscribe((frame) => {
        left.push(frame.length);
        leaving.unsubscribe();
      });
      const closing = open({ read });
      const { log } = watch(closing);
      closing.frames$.subscribe(() => void closing.close());
      scheduler.flush();
      expect(left).to.deep.equal([60]);
      expect(log).to.deep.equal(['60@0', 'end']);
      await closing.close();
    });

    it('gives the event loop control between batches', () => {
      const device = open({ read: capture(Array.from({ length: 1000 }, (_, i) => packet(60, i))) });
      const { log } = watch(device);
      let between = 0;
      scheduler.schedule(() => {
        between = log.length;
      });
      scheduler.flush();
      expect(between).to.be.within(1, 999);
      expect(log.length).to.equal(1001);
    });

    it('reports a truncated tail as the end, and a broken record as an error, after what came before', () => {
      const bytes = readFileSync(capture([packet(60, 0), packet(61, 0)]));
      writeFileSync(path('cut'), bytes.subarray(0, -1));
      const cut = open({ read: path('cut') });
      const { log } = watch(cut);
      scheduler.flush();
      expect(log).to.deep.equal(['60@0', 'end']);
      expect(cut.end).to.equal('truncated');
      bytes.fill(0xff, 24 + 16 + 60);
      writeFileSync(path('bad'), bytes);
      const bad = watch(open({ read: path('bad') }));
      scheduler.flush();
      expect(bad.log).to.deep.equal([`60@${scheduler.now()}`, 'ERR_BAD_CAPTURE']);
    });

    it('replays raw IP as an ip medium, and drops what is of another link type, too big or unwanted', () => {
      const ip = open({ read: capture([packet(60, 0)], LinkType.RawIp) });
      expect([ip.medium, ip.mac.value]).to.deep.equal(['ip', 0]);
      const file = new Gathered();
      const writer = new PcapngWriter(file);
      writer.addInterface();
      writer.addInterface({ linkType: LinkType.RawIp });
      for (const length of [60, 61, 70_000, 62]) writer.write({ ...packet(length, 0), interfaceId: length % 2 });
      writeFileSync(path('mixed'), file.bytes);
      const filter = ({ capturedLength }: CaptureRecord) => {
        if (capturedLength === 60) throw new Error('mine');
        return true;
      };
      const { log } = watch(open({ read: path('mixed'), filter }));
      scheduler.flush();
      expect(log).to.deep.equal(['62@0', 'end']);
      for (const reason of [DropReason.CallbackThrew, DropReason.DeviceOtherMedium, DropReason.DeviceTooBig]) {
        expect(env.drops.count(reason)).to.equal(1);
      }
    });
  });

  describe('sink', () => {
    it('writes what it is given, in order, with the time of the environment, and takes over the references', async () => {
      for (const name of ['out.pcap', 'out.pcapng']) {
        const device = open({ write: path(name), name: 'tap9' });
        device.sink.next(frame(60));
        scheduler.schedule(() => device.sink.next(frame(61)), 1500);
        scheduler.flush();
        await Promise.resolve();
        expect(written(name).length, 'flushed without closing').to.equal(2);
        await device.close();
        const [first, second] = written(name);
        expect([first?.capturedLength, second?.capturedLength]).to.deep.equal([60, 61]);
        const elapsed = (r?: CaptureRecord) => (r === undefined ? 0 : r.seconds * 1000 + r.nanoseconds / 1e6);
        expect(elapsed(second) - elapsed(first)).to.equal(1500);
        expect(first?.direction).to.equal(name.endsWith('.pcap') ? undefined : 'outbound');
      }
    });

    it('appends to either format, and removes a record that was cut off', async () => {
      for (const name of ['a.pcap', 'a.pcapng']) {
        for (const length of [60, 61, 62]) {
          const device = open({ write: { path: path(name), append: true } });
          device.sink.next(frame(length));
          await device.close();
          if (length === 61) writeFileSync(path(name), readFileSync(path(name)).subarray(0, -3));
        }
        expect(written(name).map(({ capturedLength }) => capturedLength)).to.deep.equal([60, 62]);
      }
    });

    it('refuses to append to another format or link type, and leaves that file alone', () => {
      const read = capture([packet(60, 0)], LinkType.RawIp);
      const before = readFileSync(read);
      for (const format of ['pcap', 'pcapng'] as const) {
        const attempt = () => open({ write: { path: read, append: true, format } });
        expect(attempt).to.throw(UsageError).with.property('code', 'ERR_BAD_CAPTURE');
      }
      expect(() => open({ write: { path: read, snapLength: -1 } })).to.throw(UsageError, 'snapLength');
      expect(readFileSync(read).equals(before)).to.equal(true);
    });

    it('drops what is too big, what comes after close and what has nowhere to go', async () => {
      const device = open({ write: path('out'), mtu: 1500 });
      device.sink.next(frame(1600));
      await device.close();
      device.sink.next(frame(60));
      open({ read: capture([]) }).sink.next(frame(60));
      expect(env.drops.toJSON()).to.deep.equal({ 'device-too-big': 1, 'device-down': 2 });
    });

    it('stays open when the stream into it ends, also with an error, which nobody swallows', async () => {
      const unhandled: unknown[] = [];
      config.onUnhandledError = (error) => unhandled.push(error);
      try {
        const device = open({ write: path('out') });
        const failure = new Error('of the pipeline');
        device.sink.complete();
        device.sink.error(failure);
        device.sink.next(frame(60));
        await device.close();
        expect(written('out').length).to.equal(1);
        await new Promise((done) => setTimeout(done, 5));
        expect(unhandled).to.deep.equal([failure]);
      } finally {
        config.onUnhandledError = null;
      }
    });

    it('makes frames$ fail and close() reject when the file cannot be written', async () => {
      const device = open({ write: '/dev/full' });
      const { log } = watch(device);
      device.sink.next(frame(60));
      await Promise.resolve();
      await Promise.resolve();
      expect(log.join()).to.match(/ENOSPC/);
      device.sink.next(frame(60));
      expect(env.drops.count(DropReason.DeviceDown)).to.equal(1);
      const failure: unknown = await device.close().catch((error: unknown) => error);
      expect(failure).to.have.property('code', 'ENOSPC');
    });
  });

  it('refuses impossible options', () => {
    const read = capture([packet(60, 0)]);
    const wrong: Omit<PcapFileOptions, 'env'>[] = [
      {},
      { read, speed: 0 },
      { read, speed: Number.NaN },
      { read, mtu: 10 },
      { read, write: `${directory}/../${directory.split('/').at(-1)}/in.pcap` },
    ];
    for (const options of wrong) {
      expect(() => open(options))
        .to.throw(UsageError)
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(() => open({ read: path('none') })).to.throw(/ENOENT/);
    expect(() => open({ read, write: path('no/such/directory') })).to.throw(/ENOENT/);
    expect(() => open({ read: capture([packet(60, 0)], 113) })).to.throw(UsageError, 'link type 113');
  });

  it('completes frames$ on close, once, also without a file to read', async () => {
    const device = open({ write: path('out') });
    const { log } = watch(device);
    await Promise.all([device.close(), device[Symbol.asyncDispose]()]);
    expect(log).to.deep.equal(['end']);
    expect(watch(device).log).to.deep.equal(['end']);
  });
});

describe('FileSink', () => {
  it('writes pieces of any size in order, and closes twice', () => {
    const directory = mkdtempSync(join(tmpdir(), 'rx-netstack-file-sink-'));
    try {
      const file = join(directory, 'x');
      const sink = new FileSink(file);
      const sizes = [1, 65_535, 65_536, 65_537, 3, 200_000, 0, 7];
      sizes.forEach((size, i) => sink.write(new Uint8Array(size).fill(i)));
      sink.close();
      sink.close();
      sink.write(new Uint8Array(1));
      const bytes = readFileSync(file);
      expect(bytes.equals(Buffer.concat(sizes.map((size, i) => Buffer.alloc(size, i))))).to.equal(true);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('lets a capture be written to where nothing can be truncated', () => {
    const writer = new CaptureFileWriter({ path: '/dev/null' });
    writer.write(packet(60, 0));
    writer.flush();
    expect(writer.failed).to.equal(false);
    writer.close();
  });
});
