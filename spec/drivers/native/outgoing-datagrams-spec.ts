import { expect } from 'chai';
import { constants } from 'node:os';
import { TunDevice } from '../../../drivers/native/tun-device.js';
import { MacAddress } from '../../../lib/core/address.js';
import { asTx, FramePool, type TxFrame } from '../../../lib/core/frame.js';
import { EthernetFrame, EtherType } from '../../../lib/wire/ethernet.js';
import { Ipv4Packet, ipv4PseudoHeaderSum } from '../../../lib/wire/ipv4.js';
import { UdpDatagram } from '../../../lib/wire/udp.js';
import { environment } from '../../../operators/time/environment.js';
import { StandInLibc } from './stand-in-libc.js';

function make(vnetHeader: boolean, udpSegmentation: boolean) {
  const c = new StandInLibc();
  c.reads.push(-constants.errno.EAGAIN);
  const env = environment({ pool: new FramePool({ poison: true }) });
  const settings = {
    fd: StandInLibc.descriptor(),
    name: 'tap0',
    medium: 'ethernet',
    mac: MacAddress.parse('02:00:00:00:00:01'),
    offloads: { vnetHeader, udpSegmentation },
    isOwn: false,
  } as const;
  return { c, env, device: new TunDevice(settings, { io: 'calls' }, env, c.libc) };
}

describe('TunDevice, datagrams in a row', () => {
  /** A datagram over IPv4 that leaves its checksum to the device. */
  const datagram = (pool: FramePool, size: number, identification: number): TxFrame => {
    const made = pool.alloc(size);
    made.slab.bytes.fill(1, made.put(size), made.end);
    UdpDatagram.emitPartial(made, 7, 50_000, ipv4PseudoHeaderSum(1, 2, 17, size + 8));
    Ipv4Packet.push(made, 1, 2, 17, 64, 0, identification, false);
    EthernetFrame.emit(made, 2, 1, EtherType.Ipv4);
    return asTx(made);
  };
  /** A frame of something else. */
  const other = (pool: FramePool, length: number): TxFrame => {
    const made = pool.alloc(length);
    made.slab.bytes.fill(0, made.put(length), made.end);
    return asTx(made);
  };
  const HEADERS = 12 + 14 + 20 + 8;

  it('go in one write where the kernel takes them apart, with what is sent before and behind them in order', async () => {
    const { c, env, device } = make(true, true);
    device.sink.next(datagram(env.pool, 100, 0xffff));
    device.sink.next(datagram(env.pool, 100, 0));
    device.sink.next(datagram(env.pool, 100, 1));
    device.sink.next(other(env.pool, 200));
    device.sink.next(datagram(env.pool, 100, 2));
    device.sink.next(datagram(env.pool, 10, 3));
    device.sink.next(datagram(env.pool, 10, 4));
    device.sink.next(datagram(env.pool, 10, 5));
    await Promise.resolve();
    // A shorter one is the last; behind one that was padded nothing can be.
    expect(c.written).to.deep.equal([HEADERS + 300, 212, HEADERS + 110, 72, 72]);
    await device.close();
    expect(env.pool.outstanding).to.equal(0);
  });

  it('go without waiting for more once there are many bytes of them', async () => {
    const { c, env, device } = make(true, true);
    for (let i = 0; i < 100; i++) device.sink.next(datagram(env.pool, 1400, i));
    expect(c.written).to.deep.equal([HEADERS + 46 * 1400, HEADERS + 45 * 1400]);
    await device.close();
    expect(c.written).to.deep.equal([HEADERS + 46 * 1400, HEADERS + 45 * 1400, HEADERS + 9 * 1400]);
    expect(env.pool.outstanding).to.equal(0);
  });

  it('go one by one where the kernel does not', async () => {
    for (const vnetHeader of [true, false]) {
      const { c, env, device } = make(vnetHeader, !vnetHeader);
      for (let i = 0; i < 3; i++) device.sink.next(datagram(env.pool, 100, i));
      await device.close();
      const length = vnetHeader ? HEADERS + 100 : HEADERS + 88;
      expect(c.written).to.deep.equal([length, length, length]);
    }
  });
});
