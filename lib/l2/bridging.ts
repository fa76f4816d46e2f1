/** What a learning bridge does with a frame (IEEE 802.1Q 8.6): checks it, learns where its sender is, and says where it is to go. */

import { DropReason } from '../core/drops.js';
import { UsageError } from '../core/errors.js';
import type { Frame } from '../core/frame.js';
import { EthernetFrame } from '../wire/ethernet.js';
import { AGEING, MOST_STATIONS, StationTable } from './station-table.js';

// Offsets of the lower 32 bits of the addresses, behind the upper 16 bits.
const DESTINATION_LOW = 2;
const SOURCE = 6;
const SOURCE_LOW = 8;
/** The bit of groups, in the upper 16 bits of an address (IEEE 802 8.2). */
const GROUP = 0x100;
/** 01-80-c2-00-00-00 to 0f, the last four bits left out. */
const RESERVED_HIGH = 0x0180;
const RESERVED_LOW = 0xc200_0000 >> 4;

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

  /** @param secret see {@link StationTable}. @throws UsageError `ERR_INVALID_OPTION` */
  constructor({ ageing = AGEING, stations = MOST_STATIONS }: BridgingOptions, secret = 0) {
    if (!(ageing >= 0 && stations >= 1)) {
      throw new UsageError('ERR_INVALID_OPTION', 'a bridge that remembers nothing');
    }
    this.stations = new StationTable(ageing, stations, secret);
  }

  /** Looks at an Ethernet frame that came by `from`: says why it goes nowhere, or sets {@link Bridging.to}. */
  decide(frame: Frame, from: P, now: number): DropReason | undefined {
    const wrong = EthernetFrame.check(frame, frame.start);
    if (wrong !== undefined) return wrong;
    const { view } = frame.slab;
    const { start } = frame;
    const high = view.getUint16(start);
    const low = view.getInt32(start + DESTINATION_LOW);
    if (high === RESERVED_HIGH && low >> 4 === RESERVED_LOW) return DropReason.BridgeReserved;
    this.stations.learn(view.getUint16(start + SOURCE), view.getInt32(start + SOURCE_LOW), from, now);
    this.isToGroup = (high & GROUP) !== 0;
    this.to = this.isToGroup ? undefined : this.stations.find(high, low, now);
    return this.to === from ? DropReason.BridgeSamePort : undefined;
  }
}
