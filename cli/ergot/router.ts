/** `rx-netstack ergot router`: the root of an ergot network or a bridge in it, until it is told to end. */

import type { Device } from '../../lib/core/device.js';
import { bridgeProfile, routerProfile } from '../../lib/ergot/profiles/router.js';
import type { ErgotListener } from '../../drivers/ergot/listener.js';
import { ArgumentError, parseArguments, type Values } from '../args.js';
import { type Command, CommandError, type Io, messageOf } from '../command.js';
import { closeAll, LISTENER_OPTIONS, listen, type OpenPlace, openLink, placeText } from './place.js';
import { RunningNode } from './running-node.js';
import { DEVICE_OPTIONS, DEVICE_USAGE, serve, tell, tellOfAddresses } from './serving.js';

const OPTIONS = { ...LISTENER_OPTIONS, ...DEVICE_OPTIONS } as const;

/** The command. */
export const router: Command = {
  name: 'ergot router',
  summary: 'Be a router of an ergot network: its root, or with --upstream a bridge to another router.',
  usage: `[--tcp [HOST:]PORT]... [--udp [HOST:]PORT]... [--tap NAME]... [--upstream LINK] ${DEVICE_USAGE}`,
  options: OPTIONS,
  examples: [
    [
      'ergot router --tcp 2025 --udp 2025',
      'the root of a network on this machine; each connection is a network of its own',
    ],
    ['ergot router --upstream tcp:10.0.0.1:2025 --tcp 0.0.0.0:2025 --name hall', 'a bridge for devices further down'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    if (values.tcp.length + values.udp.length + values.tap.length === 0) {
      throw new ArgumentError('say where to listen: --tcp, --udp or --tap');
    }
    await run(values, io);
    return 0;
  },
};

async function run(values: Values<typeof OPTIONS>, io: Io): Promise<void> {
  const { upstream, json } = values;
  const above = upstream === undefined ? undefined : placeText(upstream);
  const profile = above === undefined ? routerProfile() : bridgeProfile({ upstream: above });
  const running = new RunningNode(profile, io);
  const { node, env, fail } = running;
  const open: OpenPlace<unknown>[] = [];
  try {
    const places = await listen(values, env);
    open.push(...places);
    // A link that fails is one peer less. Without the one upstream a bridge is nothing.
    node.failures$.subscribe(({ link, error }) => {
      if (link.name === above) fail(new CommandError(`${link.name}: ${messageOf(error)}`));
    });
    if (upstream !== undefined) {
      const link = await openLink(upstream, true, env);
      open.push(link);
      node.plug(link.open);
    }
    serve(running, values, io);
    tellOfAddresses(running, io, json);
    for (const place of places) accept(running, place, io);
    tell(io, json, 'ready', { link: places.map(({ name }) => name).join(', ') });
    await running.ended();
  } finally {
    node.dispose();
    await closeAll(open);
  }
}

/** Takes the links of a listener as they come. */
function accept({ node, fail }: RunningNode, { name, open }: OpenPlace<ErgotListener>, io: Io): void {
  const plug = (link: Device): void => {
    try {
      node.plug(link);
    } catch (error) {
      io.stderr.write(`rx-netstack ergot router: warning: ${link.name} is refused: ${messageOf(error)}\n`);
      void link.close();
    }
  };
  open.devices$.subscribe({
    next: plug,
    error: (error: unknown) => fail(new CommandError(`${name}: ${messageOf(error)}`)),
  });
}
