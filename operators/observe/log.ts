import type { MonoTypeOperatorFunction } from 'rxjs';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { layer } from '../flow/layer.js';
import { frameOf, type Packet } from '../flow/packet.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Writes a line for each packet.
 *
 *     in   --a--b--|
 *     out  --a--b--|     write(format(a)), write(format(b))
 *
 * **Drops** `CallbackThrew` where `format` or `write` throws.
 * **State and timers** none.
 *
 * @example
 * tap.frames$.pipe(logPackets(pretty, console.log), host).subscribe(tap.sink);
 */
export function logPackets<T extends Packet>(
  format: (packet: T) => string,
  write: (line: string) => void,
  env: Env = defaultEnvironment(),
): MonoTypeOperatorFunction<T> {
  return layer(() => (packet) => {
    try {
      write(format(packet));
    } catch {
      return env.drops.report(DropReason.CallbackThrew, frameOf(packet), 'logPackets');
    }
    return packet;
  });
}
