import type { Device } from '../../lib/core/device.js';
import { asTx, type RxFrame } from '../../lib/core/frame.js';

/** Answers ARP requests and echo requests in place, straight on the bytes: what driver tests need of a host, and no more. */
export function pong(device: Device): (frame: RxFrame) => void {
  const mac = Uint8Array.from(device.mac.toString().split(':'), (part) => Number.parseInt(part, 16));
  const swap = (frame: RxFrame, a: number, b: number, length: number) => {
    const { bytes } = frame.slab;
    bytes.set(Uint8Array.from([...bytes.subarray(b, b + length), ...bytes.subarray(a, a + length)]), a);
  };
  return (frame) => {
    const { bytes, view } = frame.slab;
    const at = frame.start;
    const network = at + (device.medium === 'ethernet' ? 14 : 0);
    const arp = device.medium === 'ethernet' && view.getUint16(at + 12) === 0x0806;
    if (!frame.exclusive) throw new Error('a received frame of the only subscriber is exclusive');
    if (arp) {
      view.setUint8(at + 21, 2);
      bytes.copyWithin(at, at + 6, at + 12);
      swap(frame, at + 22, at + 32, 10);
      bytes.set(mac, at + 22);
      frame.end = at + 42;
    } else if (
      view.getUint8(network) === 0x45 &&
      view.getUint8(network + 9) === 1 &&
      view.getUint8(network + 20) === 8
    ) {
      swap(frame, network + 12, network + 16, 4);
      const sum = view.getUint16(network + 22) + 0x0800;
      view.setUint8(network + 20, 0);
      view.setUint16(network + 22, (sum & 0xffff) + (sum >>> 16));
      if (device.medium === 'ethernet') bytes.copyWithin(at, at + 6, at + 12);
    } else {
      return;
    }
    if (device.medium === 'ethernet') bytes.set(mac, at + 6);
    device.sink.next(asTx(frame.retain()));
  };
}
