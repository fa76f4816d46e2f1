/** The contract between a pipeline and whatever brings and takes frames. `drivers/compliance` holds a driver to it. */

import type { Observable, Observer } from 'rxjs';
import type { MacAddress } from './address.js';
import type { RxFrame, TxFrame } from './frame.js';

/**
 * `ethernet`: frames start at an Ethernet header; `ip`: they start at an IP header and there are no neighbours; `ergot`: each is a frame of
 * ergot, from its header on.
 */
export type Medium = 'ethernet' | 'ip' | 'ergot';

/**
 * What a device does for its frames. A hint to those that make frames: what it does not do is done in software by its sink, which takes
 * whatever the metadata of a frame describe.
 */
export interface DeviceFeatures {
  /** It completes partial checksums on the way out; on the way in it marks those that were verified, or that were never on a wire. */
  readonly checksum: boolean;
  /** It takes super-segments of TCP, IP packets of at most 65,535 bytes, and may deliver them. */
  readonly segmentation: boolean;
  /** The same for datagrams of UDP (`GsoType.UdpL4`). */
  readonly udpSegmentation: boolean;
}

/** Features of a device that does nothing of that kind. */
export const NO_FEATURES: DeviceFeatures = { checksum: false, segmentation: false, udpSegmentation: false };

/** Which part of a host's traffic a device brings, where several hosts with the same addresses share it. */
export interface DeviceShare {
  /** Number of this host, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly of: number;
  /** 32 bits that all of them know and nobody else. */
  readonly secret: number;
}

/**
 * A network device.
 *
 * Opening a device is not subscribing to it: the device lives until `close()`, subscriptions only listen. `frames$` delivers
 * frame by frame, synchronously within a batch; a received frame is valid only during that `next` (see `Frame.retain`). `sink`
 * takes over the reference of each frame that it is given, sends in order, flushes at the end of a batch or microtask, and
 * never calls back into the pipeline from inside its `next`. A failure of the device errors `frames$`; `close()` completes it.
 */
export interface Device extends AsyncDisposable {
  readonly name: string;
  /** All zero on a medium without link addresses. */
  readonly mac: MacAddress;
  /** Largest IP packet, in bytes, without the link header; of `ergot` the largest frame. */
  readonly mtu: number;
  readonly medium: Medium;
  readonly features: DeviceFeatures;
  /** Left out where the device brings all traffic. Hosts choose the local ports of what they open so that answers come to them. */
  readonly share?: DeviceShare;
  readonly frames$: Observable<RxFrame>;
  readonly sink: Observer<TxFrame>;
  close(): Promise<void>;
}
