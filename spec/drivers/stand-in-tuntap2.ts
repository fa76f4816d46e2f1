/** Stands in for an instance of `tuntap2`: the same interface, and an array for a wire. */

import { Duplex } from 'node:stream';

/** See the module. */
export class StandInTunTap2 extends Duplex {
  readonly name = 'tap0';
  mtu = 1500;
  isUp = true;
  readonly mac?: string;
  readonly wire: Uint8Array[] = [];
  /** How often it was released. */
  releases = 0;

  constructor(mac?: string) {
    super({ readableObjectMode: true, writableHighWaterMark: 300 });
    if (mac !== undefined) this.mac = mac;
  }

  override _read(): void {
    // Frames are pushed when they come.
  }

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.wire.push(chunk);
    setImmediate(done);
  }

  release(): void {
    this.releases++;
    this.destroy();
  }
}
