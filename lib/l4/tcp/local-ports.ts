/** The ports of a host's own ends: which may be used, and which is used where nobody names one (RFC 6056). */

import type { IpAddress } from '../../core/address.js';
import type { DeviceShare } from '../../core/device.js';
import { ownsFlow, ownsNumber } from '../share.js';
import type { Endpoint } from './api.js';
import type { ConnectionTable } from './demux.js';
import type { SequenceNumbers } from './isn.js';
import type { ListenerTable } from './listener.js';
import { mayReuse } from './opening.js';
import type { TcpConfig } from './options.js';

/** Chooses ports. */
export class LocalPorts {
  /** Which part of what comes to our addresses comes to us, where it is not all. */
  share: DeviceShare | undefined = undefined;
  private readonly config: TcpConfig;
  private readonly numbers: SequenceNumbers;
  private readonly listeners: ListenerTable;
  private readonly table: ConnectionTable;
  private step = 0;

  constructor(config: TcpConfig, numbers: SequenceNumbers, listeners: ListenerTable, table: ConnectionTable) {
    this.config = config;
    this.numbers = numbers;
    this.listeners = listeners;
    this.table = table;
  }

  /** A free port that no listener uses (RFC 6056 3.3.3): towards `remote`, or for a listener of its own. */
  choose(local: IpAddress, remote?: Endpoint): number | undefined {
    const [first, last] = this.config.portRange;
    const count = last - first + 1;
    const towards = remote ?? { address: local, port: 0 };
    const offset = this.numbers.portOffset(local, towards.address, towards.port) + this.step;
    this.step += this.share?.of ?? 1;
    let reusable: number | undefined;
    for (let i = 0; i < count; i++) {
      const port = first + ((offset + i) % count);
      if (this.listeners.hasPort(port) || !this.owns(port, remote)) continue;
      const old = remote && this.table.get(local, port, remote.address, remote.port);
      if (old === undefined) return port;
      if (mayReuse(old)) reusable ??= port;
    }
    return reusable;
  }

  /** Whether what comes from `remote`, or from anybody, to a port of ours comes to us. */
  owns(port: number, remote?: Endpoint): boolean {
    return remote === undefined
      ? ownsNumber(this.share, port)
      : ownsFlow(this.share, port, remote.address, remote.port);
  }
}
