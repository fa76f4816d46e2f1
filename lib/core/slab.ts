/** Memory that frames lie in. */

/** Memory with the one long-lived `DataView` that reads it. */
export class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(memory: number | Uint8Array) {
    this.bytes = typeof memory === 'number' ? new Uint8Array(memory) : memory;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}
