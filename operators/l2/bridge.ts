import type { OperatorFunction } from 'rxjs';
import { isGroupMac } from '../../lib/core/address.js';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import type { Env } from '../../lib/core/env.js';
import { UsageError } from '../../lib/core/errors.js';
import { asTx, type Frame, type RxFrame, type TxFrame } from '../../lib/core/frame.js';
import { AGEING, MOST_STATIONS, StationTable } from '../../lib/l2/station-table.js';
import { EthernetFrame, readMac } from '../../lib/wire/ethernet.js';
import { responder } from '../flow/responder.js';
import { defaultEnvironment } from '../time/environment.js';

const SOURCE = 6;
const FIRST_RESERVED = 0x0180_c200_0000;
const LAST_RESERVED = 0x0180_c200_000f;

/** Options of {@link bridge}. */
export interface BridgeOptions {
  /** Milliseconds after which a silent station is forgotten. Default 5 minutes. */
  readonly ageing?: number;
  /** Stations that it remembers. Default 8192; of more, those that were heard of last. */
  readonly stations?: number;
}

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
  const { ageing = AGEING, stations: most = MOST_STATIONS } = options;
  const wrong = ports.find(({ medium }) => medium !== 'ethernet');
  if (wrong !== undefined) throw new UsageError('ERR_INVALID_OPTION', `port '${wrong.name}' is no Ethernet device`);
  if (ports.length < 2) throw new UsageError('ERR_INVALID_OPTION', 'a bridge has at least two ports');
  if (!(ageing >= 0 && most >= 1)) throw new UsageError('ERR_INVALID_OPTION', 'a bridge that remembers nothing');
  const known = new Set<Device | undefined>(ports);
  return responder((emit) => {
    const stations = new StationTable<Device>(ageing, most);
    const send = (frame: Frame, port: Device): void => {
      frame.device = port;
      emit(asTx(frame));
    };
    const flood = (frame: RxFrame, from: Device): void => {
      const others = ports.filter((port) => port !== from);
      const last = others.pop();
      for (const port of others) send(env.pool.copy(frame), port);
      if (last !== undefined) send(frame.retain(), last);
    };
    return {
      next: (frame) => {
        const from = frame.device;
        const refusal = known.has(from) ? checked(frame) : DropReason.DeviceUnknown;
        if (refusal !== undefined || from === undefined) {
          return env.drops.report(refusal ?? DropReason.DeviceUnknown, frame, 'bridge');
        }
        const { view } = frame.slab;
        const now = env.timers.now();
        const to = readMac(view, frame.start);
        stations.learn(readMac(view, frame.start + SOURCE), from, now);
        const port = isGroupMac(to) ? undefined : stations.find(to, now);
        if (port === from) return env.drops.report(DropReason.BridgeSamePort, frame, 'bridge');
        if (port === undefined) return flood(frame, from);
        send(frame.retain(), port);
      },
    };
  });
}

/** Why a frame is not for a bridge, or `undefined`. */
function checked(frame: RxFrame): DropReason | undefined {
  const wrong = EthernetFrame.check(frame, frame.start);
  if (wrong !== undefined) return wrong;
  const to = readMac(frame.slab.view, frame.start);
  return to >= FIRST_RESERVED && to <= LAST_RESERVED ? DropReason.BridgeReserved : undefined;
}
