/**
 * What the stack set out to reach on a TAP. The goals were set on a machine of the same kind, from what others had there: on a faster or slower
 * one they hold in proportion to those.
 */

import { table } from './report.js';
import { COLUMNS, figure, ratio, shown, type TapReport } from './tap-report.js';

/** A goal of a row of ours, in the units of its column. */
interface Goal {
  readonly peer: string;
  readonly column: string;
  readonly value: number;
  /** Whose figure it was set by, and what that was. */
  readonly by: string;
  readonly had: number;
}

const OFFLOADS = 'rx-netstack, offloads';
const PLAIN = 'rx-netstack, no offload';
const POLLING = 'rx-netstack, offloads, busy polling';
const LWIP = 'lwIP, TAP, no offload';
const KERNEL = 'kernel, veth, offloads';

const GOALS: readonly Goal[] = [
  { peer: PLAIN, column: 'send', value: 6, by: LWIP, had: 2.9 },
  { peer: PLAIN, column: 'receive', value: 5, by: LWIP, had: 2.5 },
  { peer: OFFLOADS, column: 'send', value: 15, by: KERNEL, had: 19.1 },
  { peer: OFFLOADS, column: 'receive', value: 35, by: KERNEL, had: 35.9 },
  { peer: OFFLOADS, column: 'roundTrips', value: 16_000, by: LWIP, had: 17_200 },
  { peer: OFFLOADS, column: 'roundTrips64', value: 200_000, by: LWIP, had: 197_000 },
  { peer: OFFLOADS, column: 'connections', value: 11_000, by: LWIP, had: 11_200 },
  { peer: OFFLOADS, column: 'connections64', value: 45_000, by: LWIP, had: 62_500 },
  { peer: OFFLOADS, column: 'datagrams', value: 300_000, by: LWIP, had: 325_000 },
  { peer: POLLING, column: 'roundTrips', value: 35_000, by: KERNEL, had: 17_900 },
  { peer: POLLING, column: 'connections', value: 14_000, by: KERNEL, had: 12_600 },
];

const heading = ['', 'goal', 'here', 'times', 'set by', 'which had', 'has here', 'times in proportion'];

/** Each goal beside what was measured: how many times as much that is, as it stands and in proportion to whom the goal was set by. */
export function goalTable(report: TapReport): string {
  const valueOf = (name: string, column: string) =>
    report.peers.find((peer) => peer.name === name)?.figures[column]?.value ?? Number.NaN;
  const rows = GOALS.map(({ peer, column, value, by, had }) => {
    const [here, other] = [valueOf(peer, column), valueOf(by, column)];
    const title = COLUMNS.find(({ key }) => key === column)?.title ?? column;
    const [times, proportion] = [here / value, here / other / (value / had)];
    return [
      `${peer}: ${title}`,
      shown(figure, value),
      shown(figure, here),
      shown(ratio, times),
      by,
      shown(figure, had),
      shown(figure, other),
      shown(ratio, proportion),
    ];
  });
  return table(heading, rows);
}
