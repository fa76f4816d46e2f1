/** A phone that has IPv6 alone reads a page of a server that has IPv4 alone: the router between them has a device that translates. */
import { text } from 'node:stream/consumers';
import { merge } from 'rxjs';
import { link, nat64Device } from '../drivers/index.js';
import { environment, host, nodeNet, router, SimulationScheduler, toDevices } from '../operators/main.js';

const scheduler = new SimulationScheduler();
const env = environment({ scheduler, seed: 1 });
const [home, phone] = link({}, env).ends;
const [uplink, web] = link({}, env).ends;

const reader = host({ device: phone, addresses: ['2001:db8::2/64'], gateway: '2001:db8::1' }, env);
const server = host({ device: web, addresses: ['198.51.100.7/24'], gateway: '198.51.100.1' }, env);
phone.frames$.pipe(reader).subscribe(phone.sink);
web.frames$.pipe(server).subscribe(web.sink);

// IPv4 is behind 64:ff9b:1::/96, and those who come from there are 192.0.2.1 out there: both are routed to the translator.
const translator = nat64Device({ prefix: '64:ff9b:1::/96', pool: ['192.0.2.1'] }, env);
const gateway = router(
  {
    interfaces: [
      { device: home, addresses: ['2001:db8::1/64'] },
      { device: uplink, addresses: ['198.51.100.1/24'] },
      { device: translator },
    ],
    routes: [
      { destination: '64:ff9b:1::/96', device: translator },
      { destination: '192.0.2.1/32', device: translator },
    ],
  },
  env,
);
merge(home.frames$, uplink.frames$, translator.frames$)
  .pipe(gateway)
  .subscribe(toDevices(home, uplink, translator));

const page = nodeNet(server.tcp).createServer((socket) => {
  console.log(`the server sees ${socket.remoteAddress}`);
  socket.end('hello from IPv4');
});
page.listen(80, '0.0.0.0');

// 198.51.100.7, as a DNS64 would write it.
const connection = nodeNet(reader.tcp).connect(80, '64:ff9b:1::c633:6407');
connection.end();
let answer: string | undefined;
void text(connection).then((all) => (answer = all));
await scheduler.advance(5000, () => answer !== undefined);
console.log(`the phone reads: ${answer}`);
const [mapping] = translator.list();
console.log(`${mapping?.protocol}: ${mapping?.internal.address.toString()} is ${mapping?.external.address}`);
