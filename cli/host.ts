/** `rx-netstack host`: a host of this stack on a TAP interface, with small services, until it is told to end. */

import { ArgumentError, flag, parseArguments, words } from './args.js';
import { type Command, type Io, print } from './command.js';
import type { ConfigurationNews } from './configuration.js';
import { HOST_OPTIONS, HOST_USAGE, hostSetting, type HostSetting, PLACE } from './host-options.js';
import { type RunningHost, withHost } from './running-host.js';
import { type RunningServices, SERVICE_NAMES, servicePorts, startServices } from './services.js';
import { statisticsTable } from './statistics.js';

const OPTIONS = {
  ...HOST_OPTIONS,
  serve: words('LIST', `Services, joined by commas: ${servicePorts(SERVICE_NAMES).join(', ')}.`, SERVICE_NAMES),
  json: flag('Tell that it is ready (on standard error), and the statistics, as JSON objects of one line.'),
} as const;

/** The command. */
export const host: Command = {
  name: 'host',
  summary: 'Be a host on a TAP interface: answer ARP, neighbour discovery and ping, serve TCP and UDP; needs root.',
  usage: `${HOST_USAGE} [--serve ${SERVICE_NAMES.join(',')}] [--json]`,
  options: OPTIONS,
  examples: [
    [`host ${PLACE}`, 'now ping 10.77.0.2'],
    [
      `host ${PLACE} --address fd77::2/64 --peer fd77::1/64 --serve echo,http --pcap host.pcapng`,
      'now curl http://10.77.0.2/ or http://[fd77::2]/, or nc 10.77.0.2 7; the packets are kept',
    ],
    [
      'host --tap tap0 --dhcp --slaac',
      'on an interface that exists, in a bridge, say: everything comes from the network',
    ],
    [`host ${PLACE} --gateway 10.77.0.1 --json | jq .drops`, 'statistics at the end for other programs'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length > 0) throw new ArgumentError(`what is ${JSON.stringify(positionals[0])}?`);
    const setting = hostSetting(values);
    const { serve = [], json } = values;
    const news = (one: ConfigurationNews) => io.stderr.write(json ? `${JSON.stringify(one)}\n` : newsText(one));
    const work = async (running: RunningHost): Promise<number> => {
      await running.settled();
      const services = startServices(serve, running.me, () => running.statistics());
      announce(running, services, setting, json, io);
      const failed = await running.ended().then(
        () => undefined,
        (error: unknown) => error,
      );
      // Services first, then their connections, then the stack; the interface goes last.
      await services.close();
      await running.stop();
      const statistics = running.statistics();
      await write(io, json ? `${JSON.stringify(statistics)}\n` : statisticsTable(statistics));
      if (failed !== undefined) throw failed;
      return 0;
    };
    return withHost(setting, io, 'rx-netstack host', work, news);
  },
};

/** Tells people and scripts that it runs; not on standard output, which has nothing but the statistics. */
function announce(
  { device, me }: RunningHost,
  services: RunningServices,
  setting: HostSetting,
  json: boolean,
  io: Io,
): void {
  const addresses = setting.addresses.filter(({ address }) => me.tables.isLocal(address));
  const own = { device: device.name, mac: device.mac.toString(), mtu: device.mtu };
  if (json) {
    const written = addresses.map(String);
    const [address] = written;
    const ready = { ready: true, ...own, ...(address && { address }), addresses: written, services: services.names };
    io.stderr.write(`${JSON.stringify(ready)}\n`);
    return;
  }
  const serving = services.names.length === 0 ? '' : `, serving ${servicePorts(services.names).join(', ')}`;
  const where = addresses.length === 0 ? 'no address yet' : addresses.join(', ');
  io.stderr.write(`ready: ${where} at ${own.mac} on ${own.device}${serving} (Ctrl-C ends it)\n`);
}

function newsText({ by, event, addresses }: ConfigurationNews): string {
  return `${[by, event, ...addresses].join(' ')}\n`;
}

/** The signal that ended us must not keep the statistics from being printed. */
function write(io: Io, out: string): Promise<void> {
  return print({ ...io, signal: new AbortController().signal }, out);
}
