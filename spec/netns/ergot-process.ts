/**
 * A node of ergot as a program: what it is and which links it has are its argument, in JSON. It serves what is well known, an endpoint that doubles, and listens to
 * a topic. Each line of its standard input asks for something, each line of its standard output answers, in JSON both; it ends with its input.
 */

import { execFileSync } from 'node:child_process';
import { firstValueFrom, map, type Observable, of, switchMap, timer, toArray } from 'rxjs';
import { ergotOverEthernet } from '../../drivers/ergot/ethernet.js';
import { listenErgotTcp } from '../../drivers/ergot/tcp-listener.js';
import { ergotOverTcp } from '../../drivers/ergot/tcp.js';
import { listenErgotUdp } from '../../drivers/ergot/udp-listener.js';
import { ergotOverUdp } from '../../drivers/ergot/udp.js';
import { openTap } from '../../drivers/tap.js';
import type { Device } from '../../lib/core/device.js';
import {
  bridgeProfile,
  edgeProfile,
  endpoint,
  netAddressText,
  parseNetAddress,
  type Profile,
  type RouterOptions,
  routerProfile,
  topic,
  u32,
} from '../../lib/ergot/index.js';
import { ergot } from '../../operators/ergot/ergot.js';
import { discover, ping, services } from '../../operators/ergot/services/index.js';
import { environment } from '../../operators/time/environment.js';
import { type Answers, answerLines } from './answer-lines.js';

/** A link, or a source of links. */
export type LinkPlan =
  | { readonly over: 'tcp'; readonly port: number }
  /** With port 0 at any that is free. */
  | { readonly over: 'tcp-listener'; readonly port: number }
  | { readonly over: 'udp'; readonly port: number; readonly localPort?: number }
  | { readonly over: 'udp-listener'; readonly port: number }
  /** A TAP that is made, on a bridge of the kernel's that is there. */
  | { readonly over: 'ethernet'; readonly tap: string; readonly bridge: string };

/** What a node is. */
export interface NodePlan {
  readonly name: string;
  readonly role: 'root' | 'bridge' | 'edge';
  readonly leases?: RouterOptions['leases'];
  /** Of a bridge the first one leads up. */
  readonly links: readonly LinkPlan[];
}

/** What a node can be asked for. */
export interface Asked {
  /** Names of all devices that answer in time, and their addresses. */
  discover: { readonly within: number };
  /** Milliseconds that each of three pings took. */
  ping: { readonly to: string };
  /** Twice the value, from whoever serves it there. */
  double: { readonly to: string; readonly value: number };
  publish: { readonly value: number };
  /** What was published by others so far. */
  heard: undefined;
  /** Names, states and addresses of the links. */
  links: undefined;
}

const plan = JSON.parse(process.argv[2] ?? '') as NodePlan;
const doubling = endpoint('spec/double', u32, u32);
const reading = topic('spec/reading', u32);
const env = environment();

function profileOf({ role, leases }: NodePlan): Profile<number> {
  const options = leases === undefined ? {} : { leases };
  if (role === 'root') return routerProfile(options);
  return role === 'bridge' ? bridgeProfile(options) : edgeProfile();
}

/** The links of a plan, and the port where it listens. */
async function open(link: LinkPlan): Promise<{ readonly devices$: Observable<Device>; readonly port?: number }> {
  switch (link.over) {
    case 'tcp':
      return { devices$: of(ergotOverTcp({ port: link.port, retry: { first: 20, most: 100 } }, env)) };
    case 'udp': {
      const { port, localPort = 0 } = link;
      return { devices$: of(ergotOverUdp({ host: '127.0.0.1', port, localPort }, env)) };
    }
    case 'ethernet': {
      const device = openTap({ name: link.tap }, env);
      execFileSync('ip', ['link', 'set', link.tap, 'up', 'master', link.bridge]);
      return { devices$: of(ergotOverEthernet(device, { ageing: 500 }, env)) };
    }
    default: {
      const listener = (link.over === 'tcp-listener' ? listenErgotTcp : listenErgotUdp)({ port: link.port }, env);
      const { port } = await listener.listening;
      return { devices$: listener.devices$, port };
    }
  }
}

const node = ergot(profileOf(plan), {}, env);
const heard: number[] = [];

const answers: Answers<Asked> = {
  discover: ({ within }) =>
    firstValueFrom(
      discover(node, { timeout: within }).pipe(
        map(({ name, address }) => [name, netAddressText(address)]),
        toArray(),
      ),
    ),
  ping: ({ to }) => firstValueFrom(ping(node, to, { count: 3, interval: 10 }).pipe(toArray())),
  double: ({ to, value }) =>
    firstValueFrom(node.request(doubling, parseNetAddress(to), value).pipe(map((r) => r.value))),
  publish: ({ value }) => node.publish(reading, node.profile.addressing.everyone, value),
  heard: () => heard,
  links: () =>
    node.profile.links.map(({ link, state, address }) => [
      link.name,
      state,
      address === undefined ? undefined : netAddressText(address),
    ]),
};

services(node, { device: { name: plan.name, id: BigInt(process.pid) } });
node.serve(doubling).subscribe((request) => request.answer(2 * request.value));
node.topic(reading).subscribe(({ value }) => void heard.push(value));
let port: number | undefined;
for (const link of plan.links) {
  const opened = await open(link);
  opened.devices$.subscribe((device) => node.plug(device));
  port = opened.port ?? port;
}
if (plan.role === 'edge') {
  // So that whoever is at the other end knows that somebody is here, and says which network this is: another one, where it was replaced.
  timer(0, 250)
    .pipe(switchMap(() => ping(node, '0.1:0', { count: 1 })))
    .subscribe();
}
answerLines(plan.name, port, answers);
