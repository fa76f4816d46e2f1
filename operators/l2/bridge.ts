import type { OperatorFunction } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { Bridging, type BridgingOptions } from '../../lib/l2/bridging.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

/** Options of {@link bridge}. */
export type BridgeOptions = BridgingOptions;

/**
 * A learning bridge, which is what a switch is: sends each frame to the port behind which its destination was last heard of, and to all
 * others where that is not known, or a group.
 *
 *     in   --a--b--c--|     a: from station A by port 1 to B, b: B's answer by port 2, c: from A to B again
 *     out  --23-1--2--|     the numbers are ports
 *
 * Give the frames of all ports in (`merge` them; each knows its device), and send what comes out by `frame.device`. There is no spanning
 * tree: a network with a loop of bridges floods itself to death, as it would with wires.
 *
 * **Drops** `EthernetTruncated`, `EthernetBadSource`, `BridgeSamePort`, `BridgeReserved`; `DeviceUnknown` what comes from no port.
 * **State and timers** the table of stations; no timer.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a port that is no Ethernet device, or for less than two ports
 * @example
 * merge(left.frames$, right.frames$).pipe(bridge([left, right])).subscribe((frame) => frame.device?.sink.next(frame));
 */
export function bridge(
  ports: readonly Device[],
  options: BridgeOptions = {},
  env: Env = defaultEnvironment(),
): OperatorFunction<RxFrame, TxFrame> {
  const wrong = ports.find(({ medium }) => medium !== 'ethernet');
  if (wrong !== undefined) throw new UsageError('ERR_INVALID_OPTION', `port '${wrong.name}' is no Ethernet device`);
  if (ports.length < 2) throw new UsageError('ERR_INVALID_OPTION', 'a bridge has at least two ports');
  const known = new Set<Device | undefined>(ports);
  const start = (): Bridging<Device> => new Bridging(options, env.random.uint32());
  start();
  return responder((emit) => {
    const bridging = start();
    const send = (frame: Frame, port: Device): void => {
      frame.device = port;
      emit(asTx(frame));
    };
    // What others look at, too, leaves as a copy: they may narrow it meanwhile, and know it by the device that it came by.
    const own = (frame: RxFrame): Frame => (frame.shared ? env.pool.copy(frame) : frame.handOver());
    const flood = (frame: RxFrame, from: Device): void => {
      const others = ports.filter((port) => port !== from);
      const last = others.pop();
      for (const port of others) send(env.pool.copy(frame), port);
      if (last !== undefined) send(own(frame), last);
    };
    return {
      next: (frame) => {
        const from = frame.device;
        if (from === undefined || !known.has(from)) {
          return env.drops.report(DropReason.DeviceUnknown, frame, 'bridge');
        }
        const refusal = bridging.decide(frame, from, env.timers.now());
        if (refusal !== undefined) return env.drops.report(refusal, frame, 'bridge');
        if (bridging.to === undefined) return flood(frame, from);
        send(own(frame), bridging.to);
      },
    };
  });
}
