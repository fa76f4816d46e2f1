/** A pipeline of your own: the layers of a host, with a firewall between two of them, tried from the other end of a cable. */
import { merge } from 'rxjs';
import { link } from '../drivers/index.js';
import { EtherType, type IpPacket, IpProtocol, TcpSegment } from '../lib/wire/index.js';
import { connect, defaultEnvironment, environment, host, Ipv4Address } from '../operators/main.js';
import * as rx from '../operators/index.js';

const env = defaultEnvironment();
const cable = link({}, env);
const [ours, theirs] = cable.ends;
const tables = new rx.IpTables(env);
tables.addAddress(ours, '10.0.0.1/24');
const neighbours = new rx.EthernetLink({ device: ours, addresses: tables.arpAddresses(ours) }, env);
const server = new rx.TcpHost(tables, {}, env);

const onlyEcho = ({ protocol, frame }: IpPacket): boolean =>
  protocol === IpProtocol.Tcp && new TcpSegment(frame, frame.start).destinationPort === 7;

const link$ = ours.frames$.pipe(rx.ethernet({ mac: ours.mac })).pipe(rx.demux((frame) => frame.etherType));
const packets$ = link$.on(EtherType.Ipv4).pipe(rx.ipv4({ addresses: tables.addresses }));
merge(link$.on(EtherType.Arp).pipe(rx.arp(neighbours)), packets$.pipe(rx.where(onlyEcho), rx.tcp(server)))
  .pipe(rx.routeAndResolve({ tables, links: [neighbours] }))
  .subscribe(ours.sink);

const me = host({ device: theirs, addresses: ['10.0.0.2/24'] }, environment());
theirs.frames$.pipe(me).subscribe(theirs.sink);
for (const port of [7, 8]) {
  rx.listen(server, { address: Ipv4Address.ANY, port }).subscribe((echo) => echo.data$.subscribe(echo.sink));
  const remote = { address: Ipv4Address.parse('10.0.0.1'), port };
  const stream = await connect(me.tcp, remote, { signal: AbortSignal.timeout(300) }).catch(() => undefined);
  await stream?.write(Buffer.from('hello'));
  const answer = await stream?.readExactly(5);
  console.log(`port ${port}:`, answer === undefined ? 'no answer' : Buffer.from(answer).toString());
  stream?.close();
}
console.log(env.drops.toJSON());
server.dispose();
await cable.close();
