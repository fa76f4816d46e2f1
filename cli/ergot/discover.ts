/** `rx-netstack ergot discover`: the devices of an ergot network that say what they are. */

import { fromEvent, lastValueFrom, of, takeUntil, tap } from 'rxjs';
import type { FoundDevice } from '../../lib/ergot/services/device-info.js';
import { netAddressText } from '../../lib/ergot/net-address.js';
import { valueText } from '../../lib/ergot/value-text.js';
import { discover as discoverDevices } from '../../operators/ergot/services/discover.js';
import { ArgumentError, flag, parseArguments, seconds } from '../args.js';
import type { Command, Io } from '../command.js';
import { EDGE_OPTIONS, EDGE_USAGE, edgePlace, placeText } from './place.js';
import { joined, type RunningNode, withEdge } from './running-node.js';

const OPTIONS = {
  timeout: seconds('SECONDS', 'How long to wait for answers; 1 otherwise.', 0.001, 3600, 'W'),
  json: flag('Print one JSON object a line.'),
  ...EDGE_OPTIONS,
} as const;

/** The command. */
export const discover: Command = {
  name: 'ergot discover',
  summary: 'List the devices of an ergot network: address, id, name and description.',
  usage: `${EDGE_USAGE} [--timeout SECONDS] [--json]`,
  options: OPTIONS,
  examples: [
    ['ergot discover --tcp 2025', 'who is there? The exit code is 1 if nobody is'],
    ['ergot discover --udp 10.0.0.1:2025 --timeout 5 --json | jq -r .address', 'their addresses for other programs'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const place = edgePlace(values);
    const { timeout, json } = values;
    return withEdge(place, false, io, async (running) => {
      if (!(await joined(running, placeText(place)))) return 1;
      return run(running, timeout === undefined ? {} : { timeout }, json, io);
    });
  },
};

async function run(
  running: RunningNode,
  options: { readonly timeout?: number },
  json: boolean,
  io: Io,
): Promise<number> {
  const { node, signal } = running;
  let found = 0;
  const devices$ = discoverDevices(node, options).pipe(
    tap((device) => {
      found++;
      io.stdout.write(`${json ? JSON.stringify(deviceJson(device)) : deviceText(device)}\n`);
    }),
    takeUntil(signal.aborted ? of(undefined) : fromEvent(signal, 'abort')),
  );
  await lastValueFrom(devices$, { defaultValue: undefined });
  if (signal.aborted && !io.signal.aborted) await running.ended();
  if (found === 0) io.stderr.write('nobody answered\n');
  return found > 0 ? 0 : 1;
}

function addressText({ address }: FoundDevice<number>): string {
  return netAddressText(address).replace(/:0$/, '');
}

/** Other people's words are quoted: they may be anything. */
function deviceText(device: FoundDevice<number>): string {
  const { name, description, id } = device;
  const words = [name, description].map((word) => (word === undefined ? '-' : valueText(word)));
  return [addressText(device).padEnd(9), String(id), ...words].join(' ');
}

function deviceJson(device: FoundDevice<number>): object {
  const { name, description, id } = device;
  // As text: JSON's numbers end before 64 bits do.
  return {
    address: addressText(device),
    id: String(id),
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
  };
}
