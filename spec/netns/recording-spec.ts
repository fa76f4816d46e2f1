/** The judge of the other netns tests must be able to find somebody guilty. */

import { expect } from 'chai';
import { of } from 'rxjs';
import { asTx, Frame } from '../../lib/core/frame.js';
import { environment } from '../../operators/time/environment.js';
import { LiveHost, OURS } from './live-host.js';
import { describeNetns } from './namespace.js';
import { complaints, Recording } from './recording.js';

const ETHERNET = '0277000000010277000000020800';
const ECHO_REPLY = '4500001c00010000400166440a4d00020a4d00010000fff600070002';
const DATAGRAM = '4500001e00010000401166320a4d00020a4d00010007c000000ac2cc6869';

function judged(packets: readonly string[]): Promise<string[]> {
  const recording = new Recording();
  const env = environment();
  const frames = packets.map((hex) => asTx(Frame.from(Buffer.from(ETHERNET + hex, 'hex'))));
  of(...frames)
    .pipe(recording.outgoing(env))
    .subscribe();
  return recording
    .judge()
    .then(({ wrong }) => wrong.map((line) => line.split('\t')[0] ?? ''))
    .finally(() => recording.remove());
}

describeNetns('what tshark is asked', (netns) => {
  it('finds bad checksums of IP, ICMP and UDP, and what is malformed; and only those', async () => {
    const spoil = (hex: string, byte: number) => {
      const bytes = Buffer.from(hex, 'hex');
      bytes[byte] = (bytes[byte] ?? 0) ^ 0x10;
      return bytes.toString('hex');
    };
    const packets = [
      ECHO_REPLY,
      DATAGRAM,
      spoil(ECHO_REPLY, 8),
      spoil(ECHO_REPLY, 27),
      spoil(DATAGRAM, 29),
      // An IPv4 header that ends in the middle.
      ECHO_REPLY.slice(0, 20),
    ];
    expect(await judged(packets)).to.deep.equal(['3', '4', '5', '6']);
  });

  it('knows what the kernel complained about', async () => {
    // No link header and no ARP: what is spoiled is IP or ICMP.
    const live = new LiveHost(netns.namespace, { medium: 'ip', impairments: { corrupt: 0.5, seed: 3 } });
    await netns.namespace.run('ping', ['-q', '-c', '100', '-f', '-s', '1400', '-W', '1', OURS]);
    expect(await complaints(netns.namespace)).to.include.keys('Icmp.InCsumErrors');
    await live.close({ complaints: true });
  });
});
