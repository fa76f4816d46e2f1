import type { MonoTypeOperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { conditionOf, type PacketFilter } from '../filter/pcap-filter.js';
import { layer } from '../flow/layer.js';
import type { Packet } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link logPackets}. */
export interface LogOptions<T extends Packet> {
  /** Which packets to write of, by a condition or in the language of `pcapFilter`: `'icmp or arp'`. Default all. All pass. */
  readonly filter?: PacketFilter<T>;
}

/**
 * Writes a line for each packet.
 *
 *     in   --a--b--|
 *     out  --a--b--|     write(format(a)), write(format(b))
 *
 * **Drops** no packet; where `filter`, `format` or `write` throws, that is counted as `CallbackThrew`.
 * **State and timers** none.
 *
 * @example
 * tap.frames$.pipe(logPackets(pretty, console.log, { filter: 'icmp or arp' }), host).subscribe(tap.sink);
 *
 * @throws PcapFilterError `ERR_BAD_FILTER`
 */
export function logPackets<T extends Packet>(
  format: (packet: T) => string,
  write: (line: string) => void,
  options: LogOptions<T> = {},
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  const isWanted = conditionOf(options.filter);
  return layer(() => (packet) => {
    try {
      if (isWanted(packet)) write(format(packet));
    } catch {
      env.drops.report(DropReason.CallbackThrew, undefined, 'logPackets');
    }
    return packet;
  });
}
