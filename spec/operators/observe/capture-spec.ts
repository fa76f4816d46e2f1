import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { from, map, NEVER, Subject, throwError, VirtualTimeScheduler } from 'rxjs';
import { LinkType } from '../../../lib/capture/capture.js';
import { PcapngWriter } from '../../../lib/capture/pcapng-writer.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import type { Device } from '../../../lib/core/device.js';
import { DropReason } from '../../../lib/core/drops.js';
import type { Env } from '../../../lib/core/env.js';
import {
  asRx,
  asTx,
  asTxPacket,
  ChecksumState,
  type Frame,
  FramePool,
  GsoType,
  NOT_PARSED,
  type RxFrame,
} from '../../../lib/core/frame.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { IpProtocol } from '../../../lib/wire/ip.js';
import { Ipv4Packet } from '../../../lib/wire/ipv4.js';
import { networkOffset } from '../../../lib/wire/network-offset.js';
import { completeChecksum, segment } from '../../../lib/wire/segmentation.js';
import { capture, type CaptureOptions } from '../../../operators/observe/capture.js';
import { environment } from '../../../operators/time/environment.js';
import { Gathered } from '../../lib/capture/capture-bytes.js';
import { BULK, descriptions, superSegment } from '../../lib/wire/super-segments.js';
import { Recording } from '../../netns/recording.js';

describe('capture', () => {
  let env: Env = environment();
  let scheduler = new VirtualTimeScheduler();
  let file = new Gathered();

  beforeEach(() => {
    scheduler = new VirtualTimeScheduler();
    env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
    file = new Gathered();
  });
  afterEach(() => expect(env.pool.outstanding).to.equal(0));

  function read() {
    const reader = new CaptureReader();
    reader.push(file.bytes);
    const records = [];
    for (let record = reader.next(); record !== undefined; record = reader.next()) records.push(record);
    expect(reader.end()).to.equal('complete');
    return { records, interfaces: reader.interfaces };
  }

  /** An IPv4 packet of `length` payload bytes. */
  function ipFrame(length = 8): Frame {
    const frame = env.pool.alloc(100);
    frame.slab.bytes.fill(7, frame.put(length), frame.end);
    Ipv4Packet.emit(frame, { source: 0x0a000001, destination: 0x0a000002, protocol: IpProtocol.Udp });
    return frame;
  }

  /** The same with a link header and padding. */
  function etherFrame(): Frame {
    const frame = ipFrame();
    EthernetFrame.emit(frame, 0x02_00_00_00_00_02, 0x02_00_00_00_00_01, EtherType.Ipv4);
    frame.pad(60);
    frame.wholeEnd = frame.end;
    return frame;
  }

  /** Frames as a driver gives them: not parsed yet, and released after `next`. */
  function received(...frames: Frame[]) {
    return from(frames).pipe(
      map((frame) => {
        frame.link = frame.network = NOT_PARSED;
        frame.wholeEnd = frame.end;
        return asRx(frame);
      }),
    );
  }

  it('passes packets on unchanged and records them at once, without holding them', () => {
    const frame = etherFrame();
    const before = Uint8Array.from(frame.bytes());
    const { start, end } = frame;
    const out: Frame[] = [];
    received(frame)
      .pipe(capture(file, { name: 'tap0', direction: 'inbound', comment: 'hello' }, env))
      .subscribe((same) => {
        out.push(same);
        expect(same.exclusive).to.equal(true);
        same.release();
      });
    expect(out).to.deep.equal([frame]);
    expect([frame.start, frame.end]).to.deep.equal([start, end]);
    const { records, interfaces } = read();
    expect(records).to.deep.equal([
      {
        interfaceId: 0,
        linkType: LinkType.Ethernet,
        seconds: 0,
        nanoseconds: 0,
        capturedLength: 60,
        originalLength: 60,
        data: before,
        direction: 'inbound',
        comment: 'hello',
      },
    ]);
    expect(interfaces[0]?.name).to.equal('tap0');
  });

  it('records of a view the whole packet, whatever was narrowed', () => {
    const ether = etherFrame();
    const whole = Uint8Array.from(ether.bytes());
    ether.start = ether.network + 20;
    ether.end = ether.start + 8;
    const views = from([new EthernetFrame(ether, ether.link), new Ipv4Packet(ether, ether.network)]);
    views.pipe(capture(file, {}, env)).subscribe();
    const ip = ipFrame();
    ip.wholeEnd = ip.end;
    const packet = Uint8Array.from(ip.bytes());
    ip.start += 20;
    from([new Ipv4Packet(ip, ip.network)])
      .pipe(capture(file, {}, env))
      .subscribe();
    ether.release();
    ip.release();
    const { records } = read();
    expect(records.map(({ linkType }) => linkType)).to.deep.equal([1, 1, 101]);
    expect(records.map(({ data }) => data)).to.deep.equal([whole, whole, packet]);
  });

  it('records the packets that a super-segment stands for, and complete checksums, and changes nothing', () => {
    fc.assert(
      fc.property(descriptions, fc.boolean(), (of, isView) => {
        file = new Gathered();
        const medium = of.tags === undefined ? 'ip' : 'ethernet';
        const frame = superSegment(of, env.pool);
        frame.device = { medium } as Device;
        const before = Buffer.from(frame.bytes()).toString('hex');
        const wanted: string[] = [];
        segment(frame, networkOffset(frame, medium), env.pool, (piece) => {
          wanted.push(Buffer.from(piece.bytes()).toString('hex'));
          piece.release();
        });
        const view = new Ipv4Packet(frame, frame.network);
        if (isView) frame.start = view.offset + 20;
        from([isView ? view : frame])
          .pipe(capture<Frame | Ipv4Packet>(file, {}, env))
          .subscribe();
        frame.start = isView && medium === 'ethernet' ? frame.link : isView ? frame.network : frame.start;
        expect(Buffer.from(frame.bytes()).toString('hex')).to.equal(before);
        expect(frame.gsoSize).to.equal(of.gsoSize);
        frame.release();
        expect(read().records.map(({ data }) => Buffer.from(data).toString('hex'))).to.deep.equal(wanted);
        expect(env.pool.outstanding).to.equal(0);
      }),
    );
    const partial = superSegment({ ...BULK, gsoSize: 0 }, env.pool);
    partial.gsoType = GsoType.None;
    file = new Gathered();
    from([partial])
      .pipe(capture(file, {}, env))
      .subscribe();
    expect(partial.checksum).to.equal(ChecksumState.Partial);
    completeChecksum(partial);
    expect(read().records[0]?.data).to.deep.equal(Uint8Array.from(partial.bytes()));
    partial.release();
  });

  it('records packets in which tshark finds nothing wrong, whatever super-segments it is given', async function () {
    if (spawnSync('tshark', ['-v']).status !== 0) {
      console.warn('SKIPPED: tshark is not installed');
      this.skip();
    }
    this.timeout(60_000);
    const recording = new Recording();
    const payload = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
    const supers = fc
      .sample(descriptions, { numRuns: 200, seed: 1 })
      .filter(({ tags }) => tags !== undefined)
      .map((of) => asTx(superSegment({ ...of, port: 45_678, payload }, env.pool)));
    from(supers)
      .pipe(recording.outgoing(env))
      .subscribe((frame) => frame.release());
    await recording.expectSound({ frames: supers.length * 2, ip: 100, tcp: 100, udp: 100 });
  });

  it('records a super-segment that cannot be cut as it is', () => {
    const bad = superSegment({ ...BULK, gsoSize: 0 }, env.pool);
    from([bad])
      .pipe(capture(file, {}, env))
      .subscribe();
    expect(read().records[0]?.data).to.deep.equal(Uint8Array.from(bad.bytes()));
    bad.release();
  });

  it('records frames as they stand: packets to be routed as raw IP, frames for a device with their link header', () => {
    const tx = asTx(etherFrame());
    // A reply in the buffer that asked: the link header in front of it is an old one.
    const reply = etherFrame();
    reply.start = reply.network;
    const fresh = asTxPacket(ipFrame(3));
    from([tx, asTxPacket(reply), fresh])
      .pipe(capture(file, { direction: 'outbound' }, env))
      .subscribe((f) => f.release());
    const { records, interfaces } = read();
    expect(records.map(({ linkType, capturedLength }) => [linkType, capturedLength])).to.deep.equal([
      [LinkType.Ethernet, 60],
      [LinkType.RawIp, 46],
      [LinkType.RawIp, 23],
    ]);
    expect(interfaces.length).to.equal(2);
  });

  it('takes what an ip device received for raw IP', () => {
    const frame = ipFrame();
    frame.device = { medium: 'ip' } as Device;
    received(frame)
      .pipe(capture(file, {}, env))
      .subscribe((f) => f.release());
    expect(read().records[0]?.linkType).to.equal(LinkType.RawIp);
  });

  it('records into one capture from several points, each an interface', () => {
    const writer = new PcapngWriter(file);
    const options = (name: string): CaptureOptions<RxFrame> => ({
      name,
      comment: (frame) => (name === 'before' ? `${frame.length} bytes` : undefined),
    });
    received(etherFrame())
      .pipe(capture(writer, options('before'), env), capture(writer, options('after'), env))
      .subscribe((frame) => frame.release());
    const { records, interfaces } = read();
    expect(interfaces.map(({ name }) => name)).to.deep.equal(['before', 'after']);
    expect(records.map(({ interfaceId, comment }) => [interfaceId, comment])).to.deep.equal([
      [0, '60 bytes'],
      [1, undefined],
    ]);
  });

  it('records only what the filter wants, cut to the snapshot length, with the time of the environment', () => {
    const in$ = new Subject<RxFrame>();
    in$
      .pipe(capture(file, { filter: (frame) => frame.length === 60, snapLength: 20 }, env))
      .subscribe((f) => f.release());
    in$.next(asRx(etherFrame()));
    in$.next(asRx(ipFrame()));
    scheduler.schedule(() => in$.next(asRx(etherFrame())), 1500.25);
    scheduler.flush();
    expect(
      read().records.map(({ seconds, nanoseconds, capturedLength }) => [seconds, nanoseconds, capturedLength]),
    ).to.deep.equal([
      [0, 0, 20],
      [1, 500_250_000, 20],
    ]);
  });

  it('records what a filter in the language of tcpdump wants, and refuses a wrong one at once', () => {
    const [ether, ip] = [etherFrame(), ipFrame()];
    received(ether, ip)
      .pipe(capture(file, { filter: 'ether src 02:00:00:00:00:01 and udp' }, env))
      .subscribe((frame) => frame.release());
    expect(read().records.map(({ linkType }) => linkType)).to.deep.equal([LinkType.Ethernet]);
    expect(() => capture(file, { filter: 'udp nonsense' }, env))
      .to.throw('column 5')
      .with.property('code', 'ERR_BAD_FILTER');
  });

  it('refuses a snapshot length that cannot be', () => {
    for (const snapLength of [0, -1, 1.5, Number.NaN, 262_145]) {
      expect(() => capture(file, { snapLength }, env))
        .to.throw()
        .with.property('code', 'ERR_INVALID_OPTION');
    }
    expect(file.bytes.length).to.equal(0);
  });

  it('leaves a record out, never a packet, where a callback or the sink throws', () => {
    const broken = () => {
      throw new Error('mine');
    };
    let full = false;
    const sink = { write: () => (full ? broken() : undefined) };
    let passed = 0;
    const in$ = new Subject<RxFrame>();
    for (const operator of [
      capture<RxFrame>(sink, { filter: broken }, env),
      capture<RxFrame>(sink, { comment: broken }, env),
      capture<RxFrame>(sink, {}, env),
    ]) {
      in$.pipe(operator).subscribe(() => passed++);
    }
    full = true;
    const frame = asRx(etherFrame());
    in$.next(frame);
    frame.release();
    expect(passed).to.equal(3);
    expect(env.drops.count(DropReason.CallbackThrew)).to.equal(3);
    expect(frame.fate).to.equal(0);
  });

  it('forwards completion, errors and unsubscribing', () => {
    const seen: string[] = [];
    from<RxFrame[]>([])
      .pipe(capture(file, {}, env))
      .subscribe({ complete: () => seen.push('complete') });
    throwError(() => new Error('boom'))
      .pipe(capture<RxFrame>(file, {}, env))
      .subscribe({ error: (e: Error) => seen.push(e.message) });
    const in$ = new Subject<RxFrame>();
    in$
      .pipe(capture(file, {}, env))
      .subscribe()
      .unsubscribe();
    expect(in$.observed).to.equal(false);
    NEVER.pipe(capture<RxFrame>(file, {}, env))
      .subscribe()
      .unsubscribe();
    expect(seen).to.deep.equal(['complete', 'boom']);
    scheduler.flush();
    expect(scheduler.actions).to.deep.equal([]);
  });
});
