/** The commands, loaded when they are needed, and how one is run. */

import type { ArgumentError } from './args.js';
import { type Command, commandHelp, type Io, messageOf, print } from './command.js';

/** One line per command. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  dump: async () => (await import('./dump.js')).dump,
  host: async () => (await import('./host.js')).host,
  ping: async () => (await import('./ping.js')).ping,
  traceroute: async () => (await import('./traceroute.js')).traceroute,
  resolve: async () => (await import('./resolve.js')).resolve,
  router: async () => (await import('./router.js')).router,
  show: async () => (await import('./show.js')).show,
  iperf3: async () => (await import('./iperf3.js')).iperf3,
  packetdrill: async () => (await import('./packetdrill.js')).packetdrill,
  ergot: async () => (await import('./ergot.js')).ergot,
  demo: async () => (await import('./demo.js')).demo,
};

/** What runs where no command is named. */
const DEFAULT = 'demo';

const ARGUMENTS: ArgumentError['code'] = 'ERR_BAD_ARGUMENTS';

const HELP = ['--help', '-h', 'help'];

/**
 * Runs a command line, without the program's name, to its exit code: 0 all went well, 1 it failed, 2 the command line is wrong.
 * It never throws.
 */
export async function runCommand(argv: readonly string[], io: Io): Promise<number> {
  const [first, ...rest] = argv;
  if (first !== undefined && HELP.includes(first)) return help(rest, io);
  const implied = first === undefined || first.startsWith('-');
  const name = implied ? DEFAULT : first;
  if (!Object.hasOwn(COMMANDS, name)) {
    if (first === undefined) return help([], io);
    return complain(
      io,
      'rx-netstack',
      `unknown ${implied ? 'option' : 'command'} ${JSON.stringify(first)}`,
      'rx-netstack --help',
    );
  }
  const args = implied ? argv : rest;
  const end = args.indexOf('--');
  if (args.slice(0, end < 0 ? args.length : end).some((arg) => arg === '--help' || arg === '-h'))
    return help([name, ...args], io);
  const command = await commandOf([name, ...args]);
  if (command === undefined) return 1;
  const words = command.name.split(' ').length;
  try {
    return await command.run([name, ...args].slice(words), io);
  } catch (error) {
    return failed(error, command.name, io);
  }
}

/** The command that the first words name, or the part of it that the second one names. */
async function commandOf([name = '', word = '']: readonly string[]): Promise<Command | undefined> {
  const command = Object.hasOwn(COMMANDS, name) ? await COMMANDS[name]?.() : undefined;
  return command?.parts !== undefined && Object.hasOwn(command.parts, word) ? command.parts[word] : command;
}

function failed(error: unknown, name: string, io: Io): number {
  const program = `rx-netstack ${name}`;
  // Told apart by code: errors of wrong use, of the network, of Node and of the file system all have one.
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === ARGUMENTS) return complain(io, program, messageOf(error), `${program} --help`);
  if (io.signal.aborted) return 0;
  io.stderr.write(`${program}: ${typeof code === 'string' ? '' : 'unexpected: '}${messageOf(error)}\n`);
  return 1;
}

/** A wrong command line: one line. */
function complain(io: Io, program: string, message: string, see: string): number {
  io.stderr.write(`${program}: ${message} (see ${see})\n`);
  return 2;
}

async function help(words: readonly string[], io: Io): Promise<number> {
  const [name] = words;
  if (name !== undefined && !Object.hasOwn(COMMANDS, name)) {
    return complain(io, 'rx-netstack', `unknown command ${JSON.stringify(name)}`, 'rx-netstack --help');
  }
  if (name !== undefined) {
    const command = await commandOf(words);
    if (command !== undefined) await print(io, commandHelp(command));
    return 0;
  }
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}\n`);
  const examples = commands
    .flatMap((command) => command.examples.slice(0, 1))
    .map(([line]) => `  rx-netstack ${line}\n`);
  await print(
    io,
    `A network stack in user space, as streams.\n\nUsage:\n  rx-netstack COMMAND [OPTION]...\n\nCommands:\n${lines.join('')}
Without a command, ${DEFAULT} runs. Each command explains itself: rx-netstack COMMAND --help

Examples:\n${examples.join('')}`,
  );
  return 0;
}
