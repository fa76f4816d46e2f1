/** What a learning bridge does with a frame (IEEE 802.1Q 8.6): checks it, learns where its sender is, and says where it is to go. */

import { isGroupMac } from '../core/address.js';
import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { EthernetFrame, readMac } from '../wire/ethernet.js';
import { AGEING, MOST_STATIONS, StationTable } from './station-table.js';

const SOURCE = 6;
const FIRST_RESERVED = 0x0180_c200_0000;
const LAST_RESERVED = 0x0180_c200_000f;

/** What a bridge remembers. */
export interface BridgingOptions {
  /** Milliseconds after which a silent station is forgotten. Default 5 minutes. */
  readonly ageing?: number;
  /** Stations that it remembers. Default 8192; of more, those that were heard of last. */
  readonly stations?: number;
}

/** The decisions of one bridge between ports `P`. */
export class Bridging<P> {
  readonly stations: StationTable<P>;
  /** Of the last frame: the port that it is to go to; `undefined` is all others than its own. */
  to: P | undefined = undefined;
  /** Of the last frame: whether it is to a group, or to everybody. */
  isToGroup = false;

  /** @throws UsageError `ERR_INVALID_OPTION` */
  constructor({ ageing = AGEING, stations = MOST_STATIONS }: BridgingOptions) {
    if (!(ageing >= 0 && stations >= 1)) {
      throw new UsageError('ERR_INVALID_OPTION', 'a bridge that remembers nothing');
    }
    this.stations = new StationTable(ageing, stations);
  }

  /** Looks at an Ethernet frame that came by `from`: says why it goes nowhere, or sets {@link Bridging.to}. */
  decide(frame: Frame, from: P, now: number): DropReason | undefined {
    const wrong = EthernetFrame.check(frame, frame.start);
    if (wrong !== undefined) return wrong;
    const { view } = frame.slab;
    const destination = readMac(view, frame.start);
    if (destination >= FIRST_RESERVED && destination <= LAST_RESERVED) return DropReason.BridgeReserved;
    this.stations.learn(readMac(view, frame.start + SOURCE), from, now);
    this.isToGroup = isGroupMac(destination);
    this.to = this.isToGroup ? undefined : this.stations.find(destination, now);
    return this.to === from ? DropReason.BridgeSamePort : undefined;
  }
}
