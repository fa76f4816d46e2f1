/** What nodes and routers of the command line serve and tell of. */

import type { DeviceInfo } from '../../lib/ergot/services/device-info.js';
import { MAX_DEVICE_DESCRIPTION, MAX_DEVICE_NAME } from '../../lib/ergot/services/descriptors.js';
import { netAddressText } from '../../lib/ergot/net-address.js';
import { valueText } from '../../lib/ergot/value-text.js';
import { logs } from '../../operators/ergot/services/logs.js';
import { services } from '../../operators/ergot/services/services.js';
import { ArgumentError, type Flag, flag, type Value } from '../args.js';
import type { Io } from '../command.js';
import type { RunningNode } from './running-node.js';

/** Options of who says what it is. */
export const DEVICE_OPTIONS: {
  readonly name: Value<string>;
  readonly description: Value<string>;
  readonly id: Value<bigint>;
  readonly logs: Flag;
  readonly json: Flag;
} = {
  name: short('TEXT', 'What it is called, by those who ask who is there.', MAX_DEVICE_NAME),
  description: short('TEXT', 'What it is.', MAX_DEVICE_DESCRIPTION),
  id: id(),
  logs: flag('Print the lines of logs that others say.'),
  json: flag('Tell of itself, and print logs, as JSON objects of one line.'),
};

export const DEVICE_USAGE = '[--name TEXT] [--description TEXT] [--id N] [--logs] [--json]';

function short(placeholder: string, help: string, most: number): Value<string> {
  const read = (given: string) => {
    const bytes = Buffer.byteLength(given);
    if (bytes <= most && given !== '') return given;
    throw new ArgumentError(`must have 1 to ${most} bytes, and ${JSON.stringify(given)} has ${bytes}`);
  };
  return { placeholder, help: `${help} At most ${most} bytes.`, read };
}

function id(): Value<bigint> {
  const read = (given: string) => {
    const value = /^(?:\d{1,20}|0x[0-9a-f]{1,16})$/i.test(given) ? BigInt(given) : -1n;
    if (value >= 0n && value < 2n ** 64n) return value;
    throw new ArgumentError(`must be a number of 64 bits, as 7 or 0x7, not ${JSON.stringify(given)}`);
  };
  return { placeholder: 'N', help: 'What no other device has; a random number otherwise.', read };
}

/** What the options say of a device. */
export interface DeviceValues {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly id: bigint | undefined;
  readonly logs: boolean;
  readonly json: boolean;
}

/** Serves what is well known, and prints the logs of others, if the options say so. */
export function serve({ node, env }: RunningNode, values: DeviceValues, io: Io): void {
  const { name, description, json } = values;
  const anyId = (BigInt(env.random.uint32()) << 32n) | BigInt(env.random.uint32());
  const device: DeviceInfo = { name, description, id: values.id ?? anyId };
  services(node, { device });
  if (!values.logs) return;
  logs(node).subscribe(({ level, text, source }) => {
    // A log does not wait for whoever reads it.
    if (io.stdout.writableNeedDrain) return;
    const from = netAddressText(source);
    io.stdout.write(json ? `${JSON.stringify({ level, from, text })}\n` : `${level} ${from} ${valueText(text)}\n`);
  });
}

/** Tells people and scripts of something that happened: on standard error. */
export function tell(io: Io, json: boolean, event: string, what: Readonly<Record<string, string>>): void {
  const text = Object.values(what).join(' at ');
  io.stderr.write(json ? `${JSON.stringify({ event, ...what })}\n` : `${event}: ${text}\n`);
}

/** Tells of each address that the node has or loses, by its links, until it ends. */
export function tellOfAddresses(running: RunningNode, io: Io, json: boolean): void {
  let known: ReadonlyMap<string, string> = new Map();
  running.node.links$.subscribe(() => {
    const now = running.addresses();
    for (const [link, address] of now) {
      if (known.get(link) !== address) tell(io, json, 'address', { address, link });
    }
    for (const [link, address] of known) if (!now.has(link)) tell(io, json, 'gone', { address, link });
    known = now;
  });
}
