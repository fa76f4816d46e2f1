/**
 * Arguments of the commands, by table: each option is one line that says how it is written, read and explained. Node's own
 * `parseArgs` takes the line apart; values are checked here, and the help is made of the same table.
 */

import { parseArgs } from 'node:util';
import { Cidr, Ipv4Address, MacAddress, parseIp, type IpAddress } from '../lib/core/address.js';

/** The command line is wrong: one line for the user, and exit code 2. */
export class ArgumentError extends Error {
  readonly code = 'ERR_BAD_ARGUMENTS';
}

/** An option without a value. */
export interface Flag {
  readonly help: string;
  readonly short?: string;
}

/** An option with a value that `read` makes of the text. It throws, with a message for the user, what it cannot read. */
export interface Value<T> extends Flag {
  readonly placeholder: string;
  readonly read: (text: string) => T;
}

/** An option with a value that may be given more than once; `each` is a {@link Value}'s `read`. */
export interface Many<T> extends Flag {
  readonly placeholder: string;
  readonly each: (text: string) => T;
}

/** The options of a command by their long names. */
export type Options = Readonly<Record<string, Flag | Value<unknown> | Many<unknown>>>;

/** What the options of a table become: flags are true or false, values are there or `undefined`, those that repeat a list. */
export type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Value<infer T>
    ? T | undefined
    : O[K] extends Many<infer T>
      ? readonly T[]
      : boolean;
};

/** An option that is there or not. */
export function flag(help: string, short?: string): Flag {
  return { help, ...(short === undefined ? {} : { short }) };
}

/** An option whose value is taken as it is, but not empty. */
export function text(placeholder: string, help: string, short?: string): Value<string> {
  const read = (value: string) => {
    if (value === '') throw new ArgumentError('must not be empty');
    return value;
  };
  return { ...flag(help, short), placeholder, read };
}

/** A whole number within limits. */
export function whole(placeholder: string, help: string, least: number, most: number, short?: string): Value<number> {
  const read = (value: string) => {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new ArgumentError(`must be a whole number from ${least} to ${most}, not ${JSON.stringify(value)}`);
  };
  return { ...flag(help, short), placeholder, read };
}

/** A time in seconds, with decimals; read as milliseconds. */
export function seconds(placeholder: string, help: string, least: number, most: number, short?: string): Value<number> {
  const read = (value: string) => {
    const number = /^(?:\d{1,9}(?:\.\d*)?|\.\d+)$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number * 1000;
    throw new ArgumentError(`must be a number of seconds from ${least} to ${most}, not ${JSON.stringify(value)}`);
  };
  return { ...flag(help, short), placeholder, read };
}

/** One of some words, or several of them joined by commas. */
export function words<W extends string>(placeholder: string, help: string, choices: readonly W[]): Value<readonly W[]> {
  const read = (value: string) =>
    value.split(',').map((word) => {
      const choice = choices.find((one) => one === word);
      if (choice === undefined)
        throw new ArgumentError(`must be of ${choices.join(', ')}, not ${JSON.stringify(word)}`);
      return choice;
    });
  return { help, placeholder, read };
}

/** Lets an option be given more than once. */
export function many<T>({ read, ...rest }: Value<T>): Many<T> {
  return { ...rest, each: read };
}

/** An address with the length of its prefix, e.g. `10.77.0.2/24`. */
export function prefix(placeholder: string, help: string): Value<Cidr> {
  const read = (value: string) => {
    if (!value.includes('/'))
      throw new ArgumentError(
        `must have a prefix length, as in 10.77.0.2/24 or fd00::2/64, not ${JSON.stringify(value)}`,
      );
    return Cidr.parse(value);
  };
  return { help, placeholder, read };
}

/** An IP address of either version. */
export function address(placeholder: string, help: string): Value<IpAddress> {
  return { help, placeholder, read: parseIp };
}

/** An IPv4 address. */
export function ipv4Address(placeholder: string, help: string): Value<Ipv4Address> {
  return { help, placeholder, read: (value) => Ipv4Address.parse(value) };
}

/** A MAC address that an interface can have. */
export function mac(placeholder: string, help: string): Value<MacAddress> {
  const read = (value: string) => {
    const parsed = MacAddress.parse(value);
    if (parsed.isGroup || parsed.value === 0)
      throw new ArgumentError(`must be the address of one interface, not ${value}`);
    return parsed;
  };
  return { help, placeholder, read };
}

/** What is not an option, and what the options say. */
export interface Arguments<O extends Options> {
  readonly positionals: readonly string[];
  readonly values: Values<O>;
}

/**
 * Reads a command line by a table. Unknown options, missing and bad values are refused.
 *
 * @throws ArgumentError with one line that names the option
 */
export function parseArguments<const O extends Options>(args: readonly string[], options: O): Arguments<O> {
  const { values: given, positionals } = split(args, options);
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const value = given[name];
    const read = (one: string | boolean) => readValue(name, option, String(one));
    if ('each' in option) values[name] = Array.isArray(value) ? value.map(read) : [];
    else if ('read' in option) values[name] = typeof value === 'string' ? read(value) : undefined;
    else values[name] = value === true;
  }
  return { positionals, values: values as Values<O> };
}

function split(args: readonly string[], options: Options) {
  const config = Object.entries(options).map(([name, option]) => {
    const type = 'placeholder' in option ? ('string' as const) : ('boolean' as const);
    const multiple = 'each' in option;
    return [name, { type, multiple, ...(option.short === undefined ? {} : { short: option.short }) }] as const;
  });
  try {
    return parseArgs({ args: [...args], options: Object.fromEntries(config), allowPositionals: true });
  } catch (error) {
    // Node explains at length how to write what was probably not meant.
    throw new ArgumentError((error as Error).message.split(/\. To specify|\n/)[0]);
  }
}

function readValue(name: string, option: Flag | Value<unknown> | Many<unknown>, text: string): unknown {
  try {
    if ('read' in option) return option.read(text);
    return 'each' in option ? option.each(text) : undefined;
  } catch (error) {
    const shown = 'placeholder' in option ? `--${name} ${option.placeholder}` : `--${name}`;
    throw new ArgumentError(`${shown}: ${(error as Error).message}`);
  }
}

/** The lines of help about a table of options. */
export function optionsHelp(options: Options): string {
  const rows = Object.entries(options).map(([name, option]) => {
    const short = option.short === undefined ? '    ' : `-${option.short}, `;
    return [`${short}--${name}${'placeholder' in option ? ` ${option.placeholder}` : ''}`, option.help] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('');
}
