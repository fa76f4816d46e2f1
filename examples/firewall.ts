/** A firewall in a cable: from inside there are connections to the web, from outside there are pings, and nothing else. */
import { lastValueFrom, merge } from 'rxjs';
import { link } from '../drivers/index.js';
import { accept, drop, dport, icmpType, iif, log, state, tcp } from '../lib/filter/index.js';
import { bridge, conntrack, firewall, toDevices } from '../operators/index.js';
import { connect, environment, host, Ipv4Address, ping } from '../operators/main.js';

const env = environment();
const [anne, inner] = link({ ends: ['anne', 'inner'] }, env).ends;
const [outer, bert] = link({ ends: ['outer', 'bert'] }, env).ends;
const rules = [
  accept(state('established', 'related')),
  accept(iif('inner'), tcp, dport(80, 443)),
  accept(icmpType('echo-request')),
  drop(log('refused')),
];
const wall = firewall(rules, {}, env);
const tracking = conntrack({}, env);
merge(inner.frames$, outer.frames$)
  .pipe(tracking, wall, tracking.confirm, bridge([inner, outer], {}, env))
  .subscribe(toDevices(inner, outer));
wall.logs$.subscribe(({ prefix, frame }) => console.log(prefix, 'from', frame.device?.name));

// That was it. Now both sides try each other.
const [first, second] = [anne, bert].map((device, i) => {
  const me = host({ device, addresses: [`10.0.0.${i + 1}/24`] }, env);
  device.frames$.pipe(me).subscribe(device.sink);
  return me;
});
if (first === undefined || second === undefined) throw new Error('there are two');
const told = (error: { readonly code: unknown }) => (error.code === 'ECONNREFUSED' ? 'refused' : 'no answer');
for (const [name, me, address, port] of [
  ['anne', first, '10.0.0.2', 80],
  ['anne', first, '10.0.0.2', 22],
  ['bert', second, '10.0.0.1', 80],
] as const) {
  const remote = { address: Ipv4Address.parse(address), port };
  const outcome = await connect(me.tcp, remote, { signal: AbortSignal.timeout(300) }).then(() => 'connected', told);
  console.log(`${name} to port ${port}:`, outcome);
}
const { kind } = await lastValueFrom(ping(second.ping, '10.0.0.1', { count: 1 }, env));
console.log('bert pings:', kind);
tracking.dispose();
for (const device of [anne, inner, outer, bert]) await device.close();
