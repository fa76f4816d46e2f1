import type { MonoTypeOperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { type Frame, NOT_PARSED } from '../../lib/core/frame.js';
import { KeyedLimiter, Limiter, UNITS } from '../../lib/filter/limiter.js';
import type { Rate, RateKey, Side } from '../../lib/filter/model.js';
import { ipOffset } from '../../lib/wire/network-offset.js';
import { PacketFields } from '../../lib/wire/packet-fields.js';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link rateLimit}. */
export interface RateLimitOptions extends Rate {
  /** A rate for each sender, or receiver, rather than one for all; the table of them has a fixed size. */
  readonly by?: Side | RateKey;
  /** Packets come with their reference, as on the way out: what is dropped is released. Default false. */
  readonly outgoing?: boolean;
}

/**
 * Lets through as many packets, or bytes of IP packets, as a rate allows; after a pause a burst of packets at once, or so many bytes more than the
 * rate says.
 *
 *     in     --abc-------d--|
 *     out    --ab--------d--|     1/second burst 2
 *
 * What is not IP has no address: where addresses are told apart it passes.
 *
 * **Drops** `RateLimited`.
 * **State and timers** a bucket, or a table of them, for each subscription; no timers.
 *
 * @example
 * packets$.pipe(rateLimit({ rate: 100, per: 'second', burst: 200, by: 'source' }))
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a rate, burst or size that is no positive integer
 */
export function rateLimit<P extends Packet>(
  options: RateLimitOptions,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<P> {
  const { by, outgoing = false } = options;
  const key: RateKey | undefined = typeof by === 'string' ? { by } : by;
  checkOptions(options, key);
  const { drops } = env;
  return layer(() => {
    const limiter = key === undefined ? new CommonRate(options, env) : new RatePerAddress(options, key, env);
    return (packet) => {
      const frame = frameOf(packet);
      if (limiter.allows(frame)) return packet;
      if (outgoing) drops.refuse(DropReason.RateLimited, frame, 'rateLimit');
      else drops.report(DropReason.RateLimited, frame, 'rateLimit');
      return undefined;
    };
  });
}

function checkOptions({ rate, burst = 1, per }: Rate, key: RateKey | undefined): void {
  const { size = 1, bits } = key ?? {};
  for (const [value, what] of [[rate, 'rate'] as const, [burst, 'burst'] as const, [size, 'size'] as const]) {
    if (!Number.isInteger(value) || value < 1) {
      throw new UsageError('ERR_INVALID_OPTION', `a ${what} is a positive integer, not ${value}`);
    }
  }
  if (!Object.hasOwn(UNITS, per)) throw new UsageError('ERR_INVALID_OPTION', `no unit of time: ${String(per)}`);
  for (const [value, most] of [[bits?.[4] ?? 0, 32] as const, [bits?.[6] ?? 0, 128] as const]) {
    if (!Number.isInteger(value) || value < 0 || value > most) {
      throw new UsageError('ERR_INVALID_OPTION', `the bits of an address are 0..${most}, not ${value}`);
    }
  }
}

/** One rate for all packets. */
class CommonRate {
  private readonly limiter: Limiter;
  private readonly env: Env;
  private readonly fields = new PacketFields();

  constructor(rate: Rate, env: Env) {
    this.limiter = new Limiter(rate);
    this.env = env;
  }

  allows(frame: Frame): boolean {
    const { fields } = this;
    const bytes = readIp(fields, frame) ? fields.length : frame.length;
    return this.limiter.take(this.env.timers.now(), bytes);
  }
}

/** A rate for each address. */
class RatePerAddress {
  private readonly limiter: KeyedLimiter;
  private readonly isSource: boolean;
  private readonly env: Env;
  private readonly fields = new PacketFields();
  private readonly words = new Float64Array(4);

  constructor(rate: Rate, key: RateKey, env: Env) {
    this.limiter = new KeyedLimiter(rate, key, env.random);
    this.isSource = key.by === 'source';
    this.env = env;
  }

  allows(frame: Frame): boolean {
    const { fields, words, isSource } = this;
    if (!readIp(fields, frame)) return true;
    words[0] = isSource ? fields.source0 : fields.destination0;
    words[1] = isSource ? fields.source1 : fields.destination1;
    words[2] = isSource ? fields.source2 : fields.destination2;
    words[3] = isSource ? fields.source3 : fields.destination3;
    return this.limiter.take(this.env.timers.now(), fields.length, fields.version, words, 0);
  }
}

function readIp(fields: PacketFields, frame: Frame): boolean {
  const network = ipOffset(frame);
  return network !== NOT_PARSED && fields.read(frame, network);
}
