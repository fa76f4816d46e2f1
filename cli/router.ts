/** `rx-netstack router`: a router by a configuration, until it is told to end; SIGHUP has it read the configuration again. */

import { readFileSync } from 'node:fs';
import { ArgumentError, flag, parseArguments, text } from './args.js';
import { type Command, CommandError, type Io, messageOf } from './command.js';
import type { RouterConfiguration } from './router/configuration.js';
import { ControlSocket } from './router/control.js';
import { serveMetrics } from './router/metrics.js';
import { readConfiguration } from './router/read.js';
import { type LoadedConfiguration, RunningRouter } from './router/running-router.js';
import { wallEnvironment } from './wall-environment.js';

const OPTIONS = {
  config: text('FILE', 'The configuration, YAML or JSON.', 'c'),
  check: flag('Say what is wrong with the configuration, if anything, and end.'),
  json: flag('Tell that it is ready, and that it goes by another configuration, as JSON objects of one line.'),
} as const;

/** The command. */
export const router: Command = {
  name: 'router',
  summary: 'Be a router by a configuration: firewall, NAT, several devices, both IP versions; needs root.',
  usage: '--config FILE [--check] [--json]',
  options: OPTIONS,
  examples: [
    ['router --config router.yaml --check', 'is it right?'],
    [
      'router --config router.yaml',
      'run it; on SIGHUP it reads the file again, and goes on by the old one if the new one is wrong',
    ],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const { config: file, check, json } = values;
    if (file === undefined) throw new ArgumentError('name a configuration with --config');
    const configuration = load(file);
    if (check) return 0;
    await run(configuration, file, json, io);
    return 0;
  },
};

/** @throws CommandError that has a line for each problem */
function load(file: string): LoadedConfiguration {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`${file}: ${messageOf(error)}`);
  }
  return { source, ...readConfiguration(source, file) };
}

async function run(configuration: LoadedConfiguration, file: string, json: boolean, io: Io): Promise<void> {
  const say = (event: 'ready' | 'changed' | 'unchanged', what: string) => {
    io.stderr.write(json ? `${JSON.stringify({ event, what })}\n` : `${event}: ${what}\n`);
  };
  const warn = (message: string) => void io.stderr.write(`rx-netstack router: warning: ${message}\n`);
  const ending = new AbortController();
  let failure: unknown;
  const failed = (error: unknown) => {
    failure = error;
    ending.abort();
  };
  const running = await RunningRouter.start(configuration, wallEnvironment(), failed, warn);
  const again = () => {
    try {
      running.change(load(file));
      say('changed', file);
    } catch (error) {
      say('unchanged', error instanceof Error ? error.message : String(error));
    }
  };
  process.on('SIGHUP', again);
  try {
    const closing = await serve(configuration, running);
    say('ready', [...running.devices.keys()].join(', '));
    await aborted(AbortSignal.any([io.signal, ending.signal]));
    await closing();
  } finally {
    process.off('SIGHUP', again);
    await running.stop();
  }
  if (failure !== undefined) throw new CommandError(messageOf(failure));
}

/** Opens what others ask it by; the function that comes back closes it. */
async function serve({ control, metrics }: RouterConfiguration, running: RunningRouter): Promise<() => Promise<void>> {
  const socket = control === undefined ? undefined : await ControlSocket.listen(control, running);
  try {
    const server = metrics === undefined ? undefined : await serveMetrics(metrics, running);
    return async () => {
      server?.close();
      server?.closeAllConnections();
      await socket?.close();
    };
  } catch (error) {
    await socket?.close();
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
