import type { Observer } from 'rxjs';
import type { Device } from '../../lib/core/device.js';
import { DropReason } from '../../lib/core/drops.js';
import { UsageError } from '../../lib/core/errors.js';
import type { TxFrame } from '../../lib/core/frame.js';
import { defaultEnvironment } from '../time/environment.js';

/**
 * Sends each frame by its device: what comes out of a router, a bridge, or a host of several devices is subscribed with it.
 *
 * An error of the stream goes the way of errors that nobody handles. Frames for none of the devices are dropped as `DeviceUnknown`, in the account of
 * the default environment.
 *
 * @throws UsageError `ERR_INVALID_OPTION` without a device
 * @example
 * merge(a.frames$, b.frames$).pipe(router({ interfaces })).subscribe(toDevices(a, b));
 */
export function toDevices(...devices: readonly Device[]): Observer<TxFrame> {
  const [first] = devices;
  if (first === undefined) throw new UsageError('ERR_INVALID_OPTION', 'no device to send by');
  const known = new Set<Device>(devices);
  return {
    next(frame) {
      const { device } = frame;
      if (device !== undefined && known.has(device)) device.sink.next(frame);
      else defaultEnvironment().drops.refuse(DropReason.DeviceUnknown, frame, 'toDevices');
    },
    error: (error: unknown) => first.sink.error(error),
    complete: () => undefined,
  };
}
