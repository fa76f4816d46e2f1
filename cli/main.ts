#!/usr/bin/env node
/** The `rx-netstack` command: the process around `runCommand`. */

import { setFlagsFromString } from 'node:v8';
import { runCommand } from './commands.js';
import { messageOf } from './command.js';
import { INLINING } from './inlining.js';

setFlagsFromString(INLINING);

const ending = new AbortController();

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // The first asks, the second insists.
    if (ending.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    ending.abort();
  });
}

/** Where nobody reads any more (`| head`), that is the end, and no failure. */
function closed(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') ending.abort();
  else {
    process.stderr.write(`rx-netstack: cannot write: ${messageOf(error)}\n`);
    process.exit(1);
  }
}
process.stdout.on('error', closed);
process.stderr.on('error', closed);

process.on('uncaughtException', (error) => {
  process.stderr.write(`rx-netstack: unexpected: ${messageOf(error)}\n`);
  process.exit(1);
});

const { stdin, stdout, stderr } = process;
process.exitCode = await runCommand(process.argv.slice(2), { stdin, stdout, stderr, signal: ending.signal });
