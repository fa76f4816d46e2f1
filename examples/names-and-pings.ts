/** Names and diagnosis: a host finds an address, pings it, traces the way, and connects to the name by happy eyeballs. */
import { createServer, get } from 'node:http';
import { lastValueFrom, map, toArray } from 'rxjs';
import { link } from '../drivers/index.js';
import { agent, environment, host, lookup, ping, serveHttp, traceRoute } from '../operators/main.js';

const cable = link({ ends: ['client', 'server'] }, environment());
const [left, right] = cable.ends;
if (left === undefined || right === undefined) throw new Error('a cable has two ends');

// With `servers` in place of `hosts` it asks name servers; DHCP and routers may name some, too.
const dns = { hosts: { 'www.test': ['fd00::99', 'fd00::2'] } };
const me = host({ device: left, addresses: ['10.0.0.1/24', 'fd00::1/64'], dns }, environment());
const them = host({ device: right, addresses: ['10.0.0.2/24', 'fd00::2/64'] }, environment());
left.frames$.pipe(me).subscribe(left.sink);
right.frames$.pipe(them).subscribe(right.sink);

console.log('addresses:', (await me.dns.lookup('www.test')).join(', '));
for (const address of ['10.0.0.2', 'fd00::2']) {
  const replies$ = ping(me.ping, address, { count: 3, interval: 1 }, me.env).pipe(map(({ kind }) => kind));
  console.log(`ping ${address}:`, (await lastValueFrom(replies$.pipe(toArray()))).join(', '));
  const hops$ = traceRoute(me, address, { queries: 1 }, me.env);
  const { hop, from, outcome } = await lastValueFrom(hops$);
  console.log(`hop ${hop}: ${String(from)} ${outcome}`);
}

// Nobody has fd00::99: the next address is tried a quarter of a second later, and answers.
const server = serveHttp(
  createServer((_request, response) => response.end('hello')),
  { tcp: them.tcp, port: 80 },
);
get('http://www.test/', { agent: agent(me.tcp, { lookup: lookup(me.dns) }) }, (response) => {
  console.log(response.statusCode, 'from', response.socket.remoteAddress);
  response.resume().on('end', () => {
    server.close();
    void cable.close();
  });
});
