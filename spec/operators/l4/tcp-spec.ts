import { expect } from 'chai';
import { Subject } from 'rxjs';
import type { IpVersion } from '../../../lib/core/address.js';
import { FramePool, type Frame, type TxPacket } from '../../../lib/core/frame.js';
import { TcpHost } from '../../../lib/l4/tcp/tcp-host.js';
import { pseudoHeaderSum, pushIpHeader } from '../../../lib/l3/ip-output.js';
import type { IpFlow, IpPacket } from '../../../lib/wire/ip.js';
import { TcpFlag, TcpSegment } from '../../../lib/wire/tcp.js';
import { tcp } from '../../../operators/l4/tcp.js';
import { environment } from '../../../operators/time/environment.js';
import { SimulationScheduler } from '../../../operators/time/simulation-scheduler.js';
import { forBothVersions } from '../../both-versions.js';
import { ENDS, paths, viewOf } from '../../lib/l4/tcp/pair.js';

function stage(version: IpVersion) {
  const scheduler = new SimulationScheduler();
  const env = environment({ scheduler, seed: 1, pool: new FramePool({ poison: true }) });
  const [own, peer] = ENDS[version];
  const host = new TcpHost(paths(own), {}, env);
  const packets$ = new Subject<IpPacket>();
  const out: number[] = [];
  const receive = (flags: number, port: number, spoil?: (frame: Frame) => void) => {
    const frame = env.pool.alloc(0);
    const flow = { version, source: peer, destination: own, protocol: 6, hopLimit: 64 } as IpFlow;
    const fields = { sourcePort: 5, destinationPort: port, sequence: 0, acknowledgment: 0, flags };
    TcpSegment.emit(frame, { ...fields, window: 1000, urgentPointer: 0 }, 0);
    TcpSegment.seal(frame, pseudoHeaderSum(flow, frame.length));
    pushIpHeader(frame, flow, 1);
    const packet = viewOf(frame);
    spoil?.(frame);
    if (packet !== undefined) packets$.next(packet);
    const { fate } = frame;
    frame.release();
    return fate;
  };
  const take = (packet: TxPacket) => {
    const view = viewOf(packet);
    if (view !== undefined) out.push(new TcpSegment(packet, packet.start).flags);
    packet.release();
  };
  const end = () => {
    host.dispose();
    expect([env.pool.outstanding, scheduler.pending]).to.deep.equal([0, 0]);
  };
  return { scheduler, env, host, own, packets$, out, receive, take, end };
}

forBothVersions('tcp', ({ version }) => {
  it('answers a SYN within the call, and again on its timer', () => {
    const { host, own, packets$, out, receive, take, scheduler, end } = stage(version);
    host.listen({ address: own, port: 80 });
    packets$.pipe(tcp(host)).subscribe(take);
    receive(TcpFlag.Syn, 80);
    expect(out).to.deep.equal([TcpFlag.Syn | TcpFlag.Ack]);
    scheduler.runFor(1000);
    expect(out.length).to.equal(2);
    end();
  });

  it('refuses where nobody listens', () => {
    const { host, packets$, out, receive, take, env, end } = stage(version);
    packets$.pipe(tcp(host)).subscribe(take);
    receive(TcpFlag.Syn, 81);
    expect(out).to.deep.equal([TcpFlag.Rst | TcpFlag.Ack]);
    expect(env.drops.toJSON()).to.deep.equal({ 'tcp-no-connection': 1 });
    end();
  });

  it('drops what is truncated or damaged, at every length', () => {
    const { host, packets$, out, receive, take, env, end } = stage(version);
    packets$.pipe(tcp(host)).subscribe(take);
    for (let length = 0; length < 20; length++) {
      receive(TcpFlag.Syn, 80, (frame) => {
        frame.end = frame.start + length;
      });
    }
    receive(TcpFlag.Syn, 80, (frame) => frame.slab.view.setUint8(frame.start + 12, 0x40));
    receive(TcpFlag.Syn, 80, (frame) => frame.slab.view.setUint8(frame.start + 12, 0xf0));
    receive(TcpFlag.Syn, 80, (frame) => frame.slab.view.setUint16(frame.start + 16, 1));
    expect(env.drops.toJSON()).to.deep.equal({ 'tcp-truncated': 20, 'tcp-bad-header': 2, 'tcp-bad-checksum': 1 });
    expect(out).to.deep.equal([]);
    end();
  });

  it('completes and errors with its source, and is silent when nobody is subscribed', () => {
    const { host, own, packets$, out, take, scheduler, env, end } = stage(version);
    const events: string[] = [];
    const subscription = packets$.pipe(tcp(host)).subscribe(take);
    const handler = { connected() {}, readable() {}, writable() {}, flushed() {}, closed() {} };
    host.connect({ address: ENDS[version][1], port: 9 }, handler, { localAddress: own });
    expect(out).to.deep.equal([TcpFlag.Syn]);
    subscription.unsubscribe();
    scheduler.runFor(1000);
    expect(out.length).to.equal(1);
    expect(env.drops.toJSON()).to.deep.equal({ 'device-down': 1 });
    packets$.pipe(tcp(host)).subscribe({ next: take, complete: () => events.push('complete') });
    packets$.complete();
    expect(events).to.deep.equal(['complete']);
    const failing$ = new Subject<IpPacket>();
    failing$.pipe(tcp(host)).subscribe({ next: take, error: (error) => events.push(String(error)) });
    failing$.error('gone');
    expect(events).to.deep.equal(['complete', 'gone']);
    end();
  });
});
