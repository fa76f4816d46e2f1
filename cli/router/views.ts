/** What a running router shows: each view is a list of rows, plain data with the names of their columns. */

import { type IpAddress, MacAddress } from '../../lib/core/address.js';
import type { RoutingRule } from '../../lib/l3/routing-rules.js';
import type { Routes } from '../../lib/l3/routes.js';
import { kindOf } from './check.js';
import type { RunningRouter } from './running-router.js';

/** A value of a row. */
export type Cell = string | number;
/** A row: values by the name of their column. */
export type Row = Readonly<Record<string, Cell>>;

/** A view: what it is of, and its rows as they are now. */
interface View {
  readonly summary: string;
  readonly rows: (running: RunningRouter) => readonly Row[];
}

const WAYS = ['received', 'sent'] as const;

/** The views, by name. */
export const VIEWS: Readonly<Record<string, View>> = {
  interfaces: { summary: 'interfaces, their addresses, and what came and went', rows: interfaces },
  routes: { summary: 'routes of all tables', rows: routes },
  policy: { summary: 'rules that choose between routing tables', rows: policy },
  neighbours: { summary: 'neighbours, and what is known of them', rows: neighbours },
  flows: { summary: 'tracked flows', rows: flows },
  nat: { summary: 'sessions of the translator', rows: sessions },
  rules: { summary: 'rules of the firewall, and how often they were fulfilled', rows: rules },
  counters: { summary: 'what the stages did with packets', rows: counters },
  drops: { summary: 'dropped packets by reason', rows: drops },
};

function interfaces({ configuration, devices, me, traffic }: RunningRouter): Row[] {
  return [...devices].map(([name, device]) => {
    const addresses = [...me.tables.addresses.list(), ...me.tables.addresses6.list()];
    const own = addresses.filter((one) => one.device === device).map(({ cidr }) => cidr.toString());
    const forwarded = me.forwarded(device);
    const counts = WAYS.map((way) => traffic.get(device)?.[way]);
    return {
      name,
      kind: kindOf(configuration.devices[name] ?? {}),
      mac: device.mac.toString(),
      mtu: device.mtu,
      addresses: own.join(' '),
      'rx packets': counts[0]?.packets ?? 0,
      'rx bytes': counts[0]?.bytes ?? 0,
      'tx packets': counts[1]?.packets ?? 0,
      'tx bytes': counts[1]?.bytes ?? 0,
      'forwarded in': forwarded?.received ?? 0,
      'forwarded out': forwarded?.sent ?? 0,
    };
  });
}

function routes({ me }: RunningRouter): Row[] {
  return ([4, 6] as const).flatMap((version) => {
    const tables = me.routing[version];
    return tables.ids().flatMap((id) => {
      const table: Pick<Routes, 'list'> = tables.table(id);
      return table.list().map((route) => ({
        table: id === 254 ? 'main' : id,
        destination: route.destination.toString(),
        type: route.type ?? 'unicast',
        via: route.gateway?.toString() ?? '',
        device: (route.type ?? 'unicast') === 'unicast' ? route.device.name : '',
        metric: route.metric ?? 0,
        weight: route.weight ?? 1,
      }));
    });
  });
}

function policy({ me }: RunningRouter): Row[] {
  return ([4, 6] as const).flatMap((version) =>
    me.routing[version].rules().map((rule) => ({
      version,
      priority: rule.priority,
      packets: selector(rule),
      does: rule.action ?? `table ${rule.table === 254 ? 'main' : rule.table}`,
    })),
  );
}

function selector({
  priority: _priority,
  table: _table,
  action: _action,
  device,
  invert,
  ...rest
}: RoutingRule): string {
  const parts = Object.entries({ ...rest, ...(device === undefined ? {} : { device: device.name }) });
  const text = parts.map(([key, value]) => `${key} ${String(value)}`).join(' ');
  return `${invert === true ? 'not ' : ''}${text === '' ? 'all' : text}`;
}

function neighbours({ devices, me }: RunningRouter): Row[] {
  return [...devices].flatMap(([name, device]) =>
    (me.neighbours(device)?.entries() ?? []).map(({ address, mac, state, isRouter, pending }) => ({
      device: name,
      address: address.toString(),
      mac: mac === undefined ? '' : new MacAddress(mac).toString(),
      state,
      router: isRouter ? 'yes' : '',
      waiting: pending,
    })),
  );
}

function flows({ functions }: RunningRouter): Row[] {
  return [...(functions.tracker?.table.flows() ?? [])].map((flow) => ({
    flow: flow.original.toString(),
    reply: flow.reply.toString(),
    state: flow.phase ?? (flow.replied ? 'replied' : 'new'),
    'seconds left': Math.ceil(flow.expiresIn / 1000),
  }));
}

function sessions({ functions }: RunningRouter): Row[] {
  const end = ({ address, port }: { readonly address: IpAddress; readonly port: number }) =>
    `${address.toString()} ${port}`;
  return (functions.translator?.sessions() ?? []).map(({ protocol, internal, external, remote, state, expiresIn }) => ({
    protocol,
    internal: end(internal),
    external: end(external),
    remote: end(remote),
    state,
    'seconds left': Math.ceil(expiresIn / 1000),
  }));
}

function rules({ functions }: RunningRouter): Row[] {
  return [...functions.walls].flatMap(([hook, wall]) => {
    const { rules: all, policies } = wall.counters();
    return [
      ...all.map(({ chain, number, comment = '', packets, bytes }) => ({
        hook,
        chain,
        rule: number,
        packets,
        bytes,
        comment,
      })),
      ...policies.map(({ chain, packets, bytes }) => ({ hook, chain, rule: 'policy', packets, bytes, comment: '' })),
    ];
  });
}

function counters({ functions }: RunningRouter): Row[] {
  return Object.entries(functions.hooks).flatMap(([hook, line]) =>
    Object.entries(line.counters()).map(([stage, counts]) => ({ hook, stage, ...counts })),
  );
}

function drops({ env }: RunningRouter): Row[] {
  return Object.entries(env.drops.toJSON()).map(([reason, packets]) => ({ reason, packets }));
}

/** Rows as a table for people: text to the left, numbers to the right. */
export function tableOf(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return 'none\n';
  const names = Object.keys(first);
  const cells = rows.map((row) => names.map((name) => shown(row[name])));
  const widths = names.map((name, at) =>
    cells.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), name.length),
  );
  const isNumber = names.map((name) => typeof first[name] === 'number');
  const line = (row: readonly string[]) => {
    const padded = row.map((cell, at) =>
      isNumber[at] ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
    );
    return `${padded.join('  ').trimEnd()}\n`;
  };
  return [names, ...cells].map(line).join('');
}

function shown(cell: Cell | undefined): string {
  return typeof cell === 'number' ? cell.toLocaleString('en-US') : (cell ?? '');
}
