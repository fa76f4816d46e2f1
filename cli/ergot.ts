/** `rx-netstack ergot`: nodes and routers of ergot networks, and tools for them. */

import { ArgumentError } from './args.js';
import type { Command } from './command.js';
import { discover } from './ergot/discover.js';
import { node } from './ergot/node.js';
import { ping } from './ergot/ping.js';
import { router } from './ergot/router.js';
import { sniff } from './ergot/sniff.js';

const PARTS: Readonly<Record<string, Command>> = { node, router, ping, discover, sniff };

/** The command. */
export const ergot: Command = {
  name: 'ergot',
  summary: `Take part in ergot networks over TCP, UDP or Ethernet: ${Object.keys(PARTS).join(', ')}.`,
  usage: 'COMMAND [OPTION]...',
  options: {},
  examples: [
    ['ergot router --tcp 2025', 'a network to play with, on this machine'],
    ['ergot node --tcp 2025 --name lamp', 'a device in it'],
    ['ergot discover --tcp 2025', 'who is there?'],
  ],
  parts: PARTS,
  run([word]) {
    const commands = Object.keys(PARTS).join(', ');
    const what = word === undefined ? 'name a command' : `unknown command ${JSON.stringify(word)}`;
    return Promise.reject(new ArgumentError(`${what}: there are ${commands}`));
  },
};
