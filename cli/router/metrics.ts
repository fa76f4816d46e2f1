/** Metrics of a running router for Prometheus (text format 0.0.4), over HTTP on loopback. */

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { CommandError, messageOf } from '../command.js';
import type { RunningRouter } from './running-router.js';
import type { Place } from './text-types.js';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PREFIX = 'rx_netstack';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

/** Serves the metrics at `/metrics`. @throws CommandError where the port cannot be had */
export async function serveMetrics({ address, port }: Place, router: RunningRouter): Promise<Server> {
  const server = createServer((request, response) => {
    const isKnown = request.url === '/metrics' || request.url === '/';
    if (!isKnown || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(isKnown ? 405 : 404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': CONTENT_TYPE }).end(metricsText(router));
  });
  try {
    server.listen(port, address);
    await once(server, 'listening');
    return server;
  } catch (error) {
    throw new CommandError(`metrics: ${messageOf(error)}`);
  }
}

/** All metrics as they are now. */
export function metricsText(router: RunningRouter): string {
  return metricsOf(router)
    .map(({ name, help, type, samples }) => {
      const full = `${PREFIX}_${name}`;
      const lines = samples.map(([labels, value]) => `${full}${labelText(labels)} ${value}\n`);
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
    })
    .join('');
}

function metricsOf({ env, me, devices, traffic, functions }: RunningRouter): Metric[] {
  const ofDevices = (value: (way: 'received' | 'sent', name: string) => number): Sample[] =>
    [...devices.keys()].flatMap((device) =>
      (['received', 'sent'] as const).map((way): Sample => [{ device, direction: way }, value(way, device)]),
    );
  const count = (way: 'received' | 'sent', name: string) => {
    const device = devices.get(name);
    return device === undefined ? undefined : traffic.get(device)?.[way];
  };
  const stages = Object.entries(functions.hooks).flatMap(([hook, line]) =>
    Object.entries(line.counters()).map(([stage, counts]) => ({ hook, stage, counts })),
  );
  const translated = functions.translator?.stats();
  return [
    {
      name: 'device_packets_total',
      help: 'Packets by device and direction, as a wire carries them.',
      type: 'counter',
      samples: ofDevices((way, name) => count(way, name)?.packets ?? 0),
    },
    {
      name: 'device_bytes_total',
      help: 'Bytes of frames by device and direction.',
      type: 'counter',
      samples: ofDevices((way, name) => count(way, name)?.bytes ?? 0),
    },
    {
      name: 'dropped_packets_total',
      help: 'Dropped packets by reason.',
      type: 'counter',
      samples: Object.entries(env.drops.toJSON()).map(([reason, packets]): Sample => [{ reason }, packets]),
    },
    {
      name: 'stage_packets_total',
      help: 'What stages did with packets, by hook and stage.',
      type: 'counter',
      samples: stages.flatMap(({ hook, stage, counts }) =>
        (['in', 'passed', 'dropped', 'taken'] as const).map((what): Sample => [{ hook, stage, what }, counts[what]]),
      ),
    },
    {
      name: 'routes',
      help: 'Routes of the main table by IP version.',
      type: 'gauge',
      samples: ([4, 6] as const).map((version): Sample => [{ version: String(version) }, me.routing[version].size]),
    },
    {
      name: 'flows',
      help: 'Flows that are tracked.',
      type: 'gauge',
      samples: functions.tracker === undefined ? [] : [[{}, functions.tracker.table.size]],
    },
    {
      name: 'nat_sessions',
      help: 'Sessions of the translator.',
      type: 'gauge',
      samples: translated === undefined ? [] : [[{}, translated.sessions]],
    },
    {
      name: 'frames',
      help: 'Frames that are held somewhere in the stack.',
      type: 'gauge',
      samples: [[{}, env.pool.outstanding]],
    },
  ];
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '';
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`;
}
