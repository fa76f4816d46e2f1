import type { MonoTypeOperatorFunction } from 'rxjs';
import { type ByteSink, type CaptureDirection, captureTime, linkTypeOf } from '../../lib/capture/capture.js';
import { checkSnapLength } from '../../lib/capture/pcap.js';
import { PcapngWriter } from '../../lib/capture/pcapng-writer.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Medium } from '../../lib/core/device.js';
import type { Env } from '../../lib/core/env.js';
import { copyBytes } from '../../lib/core/copy.js';
import type { Frame, FramePool } from '../../lib/core/frame.js';
import { asOnWire, isAsOnWire } from '../../lib/wire/as-on-wire.js';
import { mediumAt, packetEnd, packetStart } from '../../lib/wire/whole-packet.js';
import { conditionOf, type PacketFilter } from '../filter/pcap-filter.js';
import { layer } from '../flow/layer.js';
import { frameOf } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/** What can be recorded: a frame of any kind, or a layer's view of one. */
export type Capturable = Frame | { readonly frame: Frame };

/** Options of {@link capture}. */
export interface CaptureOptions<T extends Capturable> {
  /** Name of the interface in the capture: of this point of the pipeline. */
  readonly name?: string;
  readonly direction?: CaptureDirection;
  /** A comment for each packet; a function may leave some without. */
  readonly comment?: string | ((packet: T) => string | undefined);
  /** Which packets to record, by a condition or in the language of `pcapFilter`: `'tcp port 80'`. Default all. All pass. */
  readonly filter?: PacketFilter<T>;
  /** Most bytes kept per packet, 1 to 262,144, which is the default. */
  readonly snapLength?: number;
}

/**
 * Records packets as pcapng at any point of a pipeline, and passes them on unchanged.
 *
 *     in    --a--b--c--|
 *     out   --a--b--c--|
 *     sink  s-a--b--c         s: section header, at once
 *
 * A frame is recorded as it stands; of a view, the whole packet that it belongs to, from the link header on where there was
 * one, with its padding. What starts at a link header is of link type Ethernet, what starts at an IP header is raw IP, and frames of
 * ergot are of `LinkType.Ergot`; each becomes an interface of the capture when it first occurs. Of a super-segment the packets are recorded that it stands for, and checksums
 * that are left to a device are complete. Bytes are copied at once and no frame is held. Several points record
 * into one capture if they are given the same {@link PcapngWriter}.
 *
 * **Drops** no packet; where `filter`, `comment` or the sink throws, the record is left out and counted as `CallbackThrew`.
 * **State and timers** none; the time of a record is that of `env`.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a `snapLength` that cannot be
 * @throws PcapFilterError `ERR_BAD_FILTER`
 *
 * @example
 * ```ts
 * const writer = new PcapngWriter(file);
 * tap.frames$.pipe(capture(writer, { direction: 'inbound' }), host(options), capture(writer, { direction: 'outbound' })).subscribe(tap.sink);
 * ```
 */
export function capture<T extends Capturable>(
  sink: ByteSink | PcapngWriter,
  options: CaptureOptions<T> = {},
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  const { comment, direction, name } = options;
  const snapLength = checkSnapLength(options.snapLength);
  const isWanted = conditionOf(options.filter);
  const writer = 'addInterface' in sink ? sink : new PcapngWriter(sink, { application: 'rx-netstack' });
  const interfaces = new Map<Medium, number>();

  function interfaceOf(medium: Medium): number {
    const known = interfaces.get(medium);
    if (known !== undefined) return known;
    const added = writer.addInterface({
      linkType: linkTypeOf(medium),
      snapLength,
      ...(name === undefined ? {} : { name }),
    });
    interfaces.set(medium, added);
    return added;
  }

  function record(packet: T): void {
    if (!isWanted(packet)) return;
    const { frame, start, end, medium } = rangeOf(packet);
    const about = {
      ...captureTime(env.timers.now()),
      interfaceId: interfaceOf(medium),
      direction,
      comment: typeof comment === 'function' ? comment(packet) : comment,
    };
    const write = (data: Uint8Array): void => writer.write({ ...about, data });
    if (isAsOnWire(frame)) write(frame.slab.bytes.subarray(start, end));
    else writeAsOnWire(copyOf(frame, start, end, env.pool), medium, env.pool, write);
  }

  return layer(() => (packet) => {
    try {
      record(packet);
    } catch {
      env.drops.report(DropReason.CallbackThrew, undefined, 'capture');
    }
    return packet;
  });
}

/** A range of a frame as a frame of its own, with what its metadata leave to do. */
function copyOf(frame: Frame, start: number, end: number, pool: FramePool): Frame {
  const copy = pool.alloc(end - start);
  const shift = copy.put(end - start) - start;
  copyBytes(frame.slab, start, copy.slab, start + shift, end - start);
  copy.checksum = frame.checksum;
  copy.checksumStart = frame.checksumStart + shift;
  copy.checksumField = frame.checksumField + shift;
  copy.gsoType = frame.gsoType;
  copy.gsoSize = frame.gsoSize;
  return copy;
}

/** Writes the packets that a wire would carry of a frame, and releases it; one that stands for none is written as it is. */
function writeAsOnWire(frame: Frame, medium: Medium, pool: FramePool, write: (data: Uint8Array) => void): void {
  const packets: Frame[] = [];
  const wrong = asOnWire(frame, medium, pool, (packet) => packets.push(packet));
  if (wrong !== undefined) packets.push(frame);
  try {
    for (const packet of packets) write(packet.bytes());
  } finally {
    for (const packet of packets) packet.release();
  }
}

/** Which bytes are the packet, and what they start with. */
function rangeOf(packet: Capturable): { frame: Frame; start: number; end: number; medium: Medium } {
  const frame = frameOf(packet);
  const isView = frame !== packet;
  const start = packetStart(frame, isView);
  return { frame, start, end: packetEnd(frame, isView), medium: mediumAt(frame, start) };
}
