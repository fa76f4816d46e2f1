/** `rx-netstack packetdrill`: runs scripts against this stack in virtual time. */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, resolve, sep } from 'node:path';
import { ScriptError } from '../operators/testing/packetdrill/script-error.js';
import { packetdrill as runScript, type PacketdrillOptions } from '../operators/testing/packetdrill/packetdrill.js';
import {
  type EventResult,
  outcomeText,
  resultText,
  type ScriptResult,
} from '../operators/testing/packetdrill/result.js';
import type { IpMode } from '../operators/testing/packetdrill/script.js';
import type { ProfileName } from '../operators/testing/packetdrill/settings.js';
import { ArgumentError, flag, many, parseArguments, text, type Value, words } from './args.js';
import { type Command, CommandError, type Io, messageOf, print } from './command.js';

const MODES: readonly IpMode[] = ['ipv4', 'ipv6', 'ipv4-mapped-ipv6'];

const OPTIONS = {
  json: flag('Print one JSON object a run.'),
  pcap: text(
    'FILE',
    'Write the packets as pcapng; with several runs, each to a file of its own, named after FILE and the script.',
  ),
  profile: words<ProfileName>(
    'NAME',
    'Defaults of the host: linux or freebsd. Default: what the script says, else linux.',
    ['linux', 'freebsd'],
  ),
  define: many(defined()),
  'ip-version': words<IpMode | 'all'>(
    'VERSION',
    'ipv4, ipv6, ipv4-mapped-ipv6 or all. Default: what the script says, else ipv4 and ipv6.',
    [...MODES, 'all'],
  ),
  strict: flag('Without tolerance: times are exact to a millisecond, timestamp echoes count.'),
  verbose: flag('Print each event.', 'v'),
} as const;

/** `SYM=value`. */
function defined(): Value<readonly [string, string]> {
  const read = (given: string) => {
    const [, name, value] = /^(\w+)=([\s\S]*)$/.exec(given) ?? [];
    if (name === undefined || value === undefined)
      throw new ArgumentError(`must be SYM=VALUE, not ${JSON.stringify(given)}`);
    return [name, value] as const;
  };
  return { help: 'Put VALUE wherever a script says SYM; may be repeated.', short: 'D', placeholder: 'SYM=VALUE', read };
}

/** A script that is to be run. */
interface Job {
  readonly path: string;
  /** What its captures are called after. */
  readonly name: string;
  readonly options: PacketdrillOptions;
}

/** What came of all. */
interface Tally {
  passed: number;
  failed: number;
  skipped: number;
  broken: number;
}

/** The command. */
export const packetdrill: Command = {
  name: 'packetdrill',
  summary: 'Run packetdrill scripts against this stack, in virtual time, without root.',
  usage: 'FILE... [--profile NAME] [--ip-version VERSION] [-D SYM=VALUE]... [--strict] [--json] [--pcap FILE] [-v]',
  options: OPTIONS,
  examples: [
    ['packetdrill scripts/', 'all scripts of a directory, over IPv4 and IPv6'],
    ['packetdrill -v --pcap run.pcapng --ip-version ipv4 handshake.pkt', 'one script, event by event, and its packets'],
    ['packetdrill --json --profile freebsd tests/ | jq -r "select(.ok | not) | .name"', 'names of those that fail'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length === 0) throw new ArgumentError('name a FILE or a directory');
    const given = values['ip-version'];
    const profile = single('profile', values.profile);
    const options: PacketdrillOptions = {
      defines: Object.fromEntries(values.define),
      strict: values.strict,
      ...(given === undefined
        ? {}
        : { ipVersions: given.includes('all') ? MODES : MODES.filter((m) => given.includes(m)) }),
      ...(profile === undefined ? {} : { profile }),
    };
    const tally: Tally = { passed: 0, failed: 0, skipped: 0, broken: 0 };
    const { json, verbose, pcap } = values;
    const paths = positionals.flatMap((path) => find(path, io, tally));
    const names = namesOf(paths);
    const style = { json, verbose, pcap, several: paths.length > 1 };
    for (const [index, path] of paths.entries()) {
      if (io.signal.aborted) break;
      await runFile({ path, name: names[index] ?? path, options }, style, tally, io);
      // Others get their turn, a signal among them.
      await new Promise((resume) => setImmediate(resume));
    }
    if (!json) await print(io, summary(tally));
    if (tally.broken > 0) return 2;
    return tally.failed > 0 ? 1 : 0;
  },
};

function single<T>(name: string, values: readonly T[] | undefined): T | undefined {
  if (values !== undefined && values.length > 1) throw new ArgumentError(`--${name}: give one`);
  return values?.[0];
}

function summary({ passed, failed, skipped, broken }: Tally): string {
  const parts = [`${passed} passed`, `${failed} failed`];
  if (skipped > 0) parts.push(`${skipped} assertions skipped`);
  if (broken > 0) parts.push(`${broken} could not be read`);
  return `${parts.join(', ')}\n`;
}

/** The scripts that a path names: a file, or all `.pkt` files of a directory, of which there must be some. */
function find(path: string, io: Io, tally: Tally): readonly string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const scripts = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.pkt'));
    if (scripts.length === 0) throw new CommandError('no .pkt file is in it');
    return scripts.sort().map((name) => join(path, name));
  } catch (error) {
    io.stderr.write(`rx-netstack packetdrill: ${path}: ${messageOf(error)}\n`);
    tally.broken++;
    return [];
  }
}

/** A name for each script, no two the same: the way to it from the nearest directory that has them all in it. */
function namesOf(paths: readonly string[]): readonly string[] {
  const ways = paths.map((path) =>
    resolve(path)
      .replace(/\.pkt$/, '')
      .split(sep),
  );
  const [first = []] = ways;
  const shared = first.findIndex((part, at) => ways.some((way) => way[at] !== part || at === way.length - 1));
  const taken = new Set<string>();
  return ways.map((way) => {
    const name = way.slice(shared).join('-');
    let own = name;
    for (let copy = 2; taken.has(own); copy++) own = `${name}-${copy}`;
    taken.add(own);
    return own;
  });
}

interface Style {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly pcap: string | undefined;
  /** There are several files. */
  readonly several: boolean;
}

async function runFile({ path, name, options }: Job, style: Style, tally: Tally, io: Io): Promise<void> {
  let results: readonly ScriptResult[];
  try {
    results = runScript(readFileSync(path, 'utf8'), { ...options, name: path });
  } catch (error) {
    tally.broken++;
    const message = error instanceof ScriptError ? error.message : `${path}: ${messageOf(error)}`;
    await print(
      io,
      style.json
        ? `${JSON.stringify({ name: path, ok: false, error: message })}\n`
        : `not ok ${path}\n    ${message}\n`,
    );
    return;
  }
  for (const result of results) {
    if (result.ok) tally.passed++;
    else if (result.error === undefined) tally.failed++;
    else tally.broken++;
    tally.skipped += result.skipped;
    if (style.pcap !== undefined) {
      const alone = !style.several && results.length === 1;
      writeCapture(alone ? style.pcap : namedAfter(style.pcap, name, result), result);
    }
    await print(io, style.json ? `${JSON.stringify(jsonOf(result))}\n` : textOf(result, style.verbose));
  }
}

/** `run.pcapng` becomes `run.handshake.ipv4.pcapng`. */
function namedAfter(file: string, name: string, { mode }: ScriptResult): string {
  const extension = extname(file);
  return `${file.slice(0, file.length - extension.length)}.${name}.${mode}${extension}`;
}

/** @throws CommandError that names the file */
function writeCapture(file: string, result: ScriptResult): void {
  try {
    writeFileSync(file, result.pcapng());
  } catch (error) {
    throw new CommandError(`cannot write ${file}: ${messageOf(error)}`);
  }
}

function textOf(result: ScriptResult, verbose: boolean): string {
  const lines = verbose ? result.events.map(eventText) : [];
  return `${[...lines, resultText(result)].join('\n')}\n`;
}

function eventText({ place, text: said, time, off, outcome }: EventResult): string {
  const [what = ''] = outcomeText(outcome);
  const difference = off === undefined || off === 0 ? '' : ` (${off > 0 ? '+' : ''}${off.toFixed(3)} ms)`;
  return `  ${String(place.line).padStart(4)} ${(time / 1000).toFixed(6).padStart(11)} ${what}: ${said}${difference}`;
}

function jsonOf({ pcapng: _pcapng, ...result }: ScriptResult): object {
  return result;
}
