/** `rx-netstack ergot node`: a device at the edge of an ergot network, until it is told to end. */

import { ArgumentError, parseArguments } from '../args.js';
import type { Command } from '../command.js';
import { EDGE_OPTIONS, EDGE_USAGE, edgePlace, placeText } from './place.js';
import { keepInTouch, withEdge } from './running-node.js';
import { DEVICE_OPTIONS, DEVICE_USAGE, serve, tell, tellOfAddresses } from './serving.js';

/** Milliseconds between words to the neighbour: a router that was started again is known so soon. */
const TOUCH = 2000;

const OPTIONS = { ...EDGE_OPTIONS, ...DEVICE_OPTIONS } as const;

/** The command. */
export const node: Command = {
  name: 'ergot node',
  summary: 'Be a device of an ergot network: answer pings, say what it is and which sockets it has.',
  usage: `${EDGE_USAGE} ${DEVICE_USAGE}`,
  options: OPTIONS,
  examples: [
    ['ergot node --tcp 2025 --name lamp', 'a device of a router on this machine'],
    [
      'ergot node --udp 10.0.0.1:2025 --name hall --description "lamp and switch" --id 7 --logs',
      'with all that it says',
    ],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const place = edgePlace(values);
    return withEdge(place, true, io, async (running) => {
      serve(running, values, io);
      tell(io, values.json, 'ready', { link: placeText(place) });
      tellOfAddresses(running, io, values.json);
      const stop = keepInTouch(running, TOUCH);
      await running.ended().finally(stop);
      return 0;
    });
  },
};
