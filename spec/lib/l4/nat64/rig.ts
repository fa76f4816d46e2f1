/** What the specs of translators share: one of them with its output caught, and packets looked at by naive means. */

import { expect } from 'chai';
import { ChecksumState, Frame, FramePool, type TxPacket } from '../../../../lib/core/frame.js';
import type { EndsMapper } from '../../../../lib/l4/nat64/ends.js';
import { Translator, type TranslatorOptions } from '../../../../lib/l4/nat64/translator.js';
import type { Env } from '../../../../lib/core/env.js';
import { environment } from '../../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../../operators/time/simulation-scheduler.js';
import { plainSum } from '../../wire/plain-packets.js';

/** A translator, what it made of each packet, and what it answered. */
export class Rig {
  readonly scheduler: SimulationScheduler = new SimulationScheduler();
  readonly env: Env = environment({ scheduler: this.scheduler, seed: 7, pool: new FramePool({ poison: true }) });
  readonly translator: Translator;
  readonly replies: Uint8Array[] = [];

  constructor(mapper: EndsMapper | ((env: Env) => EndsMapper), options: TranslatorOptions = {}) {
    this.translator = new Translator(typeof mapper === 'function' ? mapper(this.env) : mapper, options, this.env);
    this.translator.reply = (error: TxPacket) => {
      this.replies.push(Uint8Array.from(error.bytes()));
      error.release();
    };
  }

  /** What becomes of a packet; fails where it passed by. */
  all(packet: Frame | Uint8Array): Uint8Array[] {
    const out: Uint8Array[] = [];
    const took = this.give(packet, (frame) => out.push(Uint8Array.from(frame.bytes())));
    expect(took, 'taken').to.equal(true);
    expect(this.env.pool.outstanding, 'frames').to.equal(0);
    return out;
  }

  /** The one packet that it becomes. */
  one(packet: Frame | Uint8Array): Uint8Array {
    const out = this.all(packet);
    const [only] = out;
    if (only === undefined || out.length > 1)
      throw new Error(`${out.length} packets: ${JSON.stringify(this.env.drops)}`);
    return only;
  }

  /** The reason for which a packet is dropped. */
  dropped(packet: Frame | Uint8Array): string {
    const before = this.env.drops.toJSON();
    expect(this.all(packet)).to.deep.equal([]);
    const changed = Object.entries(this.env.drops.toJSON()).filter(([name, count]) => count !== before[name]);
    expect(changed).to.have.length(1);
    return changed[0]?.[0] ?? '';
  }

  give(packet: Frame | Uint8Array, emit: (frame: Frame) => void): boolean {
    const frame = packet instanceof Frame ? packet : Frame.from(packet);
    frame.network = frame.start;
    return this.translator.translate(frame, frame.start, emit);
  }
}

/** Whether all checksums of a whole packet are right, summed word by word; partial ones as `ChecksumState.Partial` asks for. */
export function isSound(bytes: Uint8Array, checksum: ChecksumState = ChecksumState.None): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const is4 = view.getUint8(0) >>> 4 === 4;
  const header = is4 ? (view.getUint8(0) & 15) * 4 : 40;
  if (is4 && plainSum(bytes.subarray(0, header)) !== 0xffff) return false;
  if ((is4 ? view.getUint16(2) : view.getUint16(4) + 40) !== bytes.length) return false;
  const protocol = view.getUint8(is4 ? 9 : 6);
  const addresses = is4 ? bytes.subarray(12, 20) : bytes.subarray(8, 40);
  const segment = bytes.subarray(header);
  const length = segment.length;
  const pseudo =
    protocol === 1 ? 0 : plainSum(Uint8Array.of(0, protocol, length >>> 8, length & 255), plainSum(addresses));
  if (protocol === 17 && new DataView(bytes.buffer, bytes.byteOffset + header).getUint16(6) === 0) return is4;
  if (checksum === ChecksumState.Partial) {
    const place = protocol === 6 ? 16 : 6;
    return new DataView(bytes.buffer, bytes.byteOffset + header).getUint16(place) === pseudo;
  }
  return plainSum(segment, pseudo) === 0xffff;
}

/** Packets of a translator in hex, for one look. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
