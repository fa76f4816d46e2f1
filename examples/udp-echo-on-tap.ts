/**
 * A UDP echo host on a TAP interface; needs root, or CAP_NET_ADMIN in a network namespace of its own:
 * sudo unshare --net node --import=tsx examples/udp-echo-on-tap.ts, and then, in there: nc -u 10.77.0.2 7
 */
import { openTap } from '../drivers/tap.js';
import { environment, host, nodeDgram } from '../operators/main.js';

const env = environment();
const [name = 'tap0'] = process.argv.slice(2);
const tap = openTap({ name, peer: ['10.77.0.1/24'] }, env);
const me = host({ device: tap, addresses: ['10.77.0.2/24'] }, env);
tap.frames$.pipe(me).subscribe(tap.sink);

const socket = nodeDgram(me.udp).createSocket('udp4');
socket.on('message', (message, { port, address }) => {
  // Who sends from port 0 wants no answer (RFC 768).
  if (port > 0) socket.send(message, port, address);
});
socket.bind(7, () => console.log(`echoing on 10.77.0.2 port 7, by ${tap.name}`));

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    socket.close();
    void tap.close().then(() => console.log(me.stats().delivered, 'packets delivered, drops:', me.stats().drops));
  });
}
