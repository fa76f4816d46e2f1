/** Recording what connections do: at a host of a running network, with what they believe, or from a capture, from the frames alone. */

import { captureMilliseconds, readable } from '../../../lib/capture/capture.js';
import { CaptureReader } from '../../../lib/capture/reader.js';
import { Frame } from '../../../lib/core/frame.js';
import type { Connection } from '../../../lib/l4/tcp/connection.js';
import type { Network } from '../network.js';
import { type Flow, FlowRecorder } from './flow-recorder.js';
import type { StateSample, TcpSeries } from './tcp-series.js';

/** A recording that goes on. */
export interface TcpRecording {
  /** The connections so far, in the order in which they were first seen. */
  readonly series: readonly TcpSeries[];
  /** Stops; what was recorded stays. */
  stop(): void;
}

/**
 * Records all TCP connections of a host of a simulated network from now on. Each frame costs a look at it; hosts that are not recorded cost
 * nothing. Frames are seen as they leave the host, before the link loses them.
 *
 * @throws UsageError `ERR_INVALID_OPTION` for a host that there is not
 * @example
 * const recording = recordTcp(net, 'a');
 * net.run();
 * writeFileSync('cwnd.svg', toSvg(recording.series, { kind: 'cwnd' }));
 */
export function recordTcp<H extends string>(net: Pick<Network<H>, 'hosts' | 'observe'>, host: H): TcpRecording {
  const recorder = new FlowRecorder(host);
  const connections = new Map<Flow, Connection>();
  const changed = new Set<Flow>();
  const stop = net.observe(host, {
    frame: (direction, frame, time, { medium }) => {
      const flow = recorder.add(direction, frame, time, medium);
      if (flow !== undefined) changed.add(flow);
    },
    settled: (time) => {
      for (const flow of changed) {
        const connection = connections.get(flow) ?? find(flow, net.hosts[host].tcp.connections());
        if (connection === undefined) continue;
        connections.set(flow, connection);
        note(flow, connection, time);
      }
      changed.clear();
    },
  });
  return {
    get series() {
      return recorder.series;
    },
    stop,
  };
}

function find({ local, remote }: Flow, connections: Iterable<Connection>): Connection | undefined {
  const text = ({ address, port }: Connection['local']) =>
    address.version === 6 ? `[${address.toString()}]:${port}` : `${address.toString()}:${port}`;
  for (const one of connections) if (text(one.local) === local && text(one.remote) === remote) return one;
  return undefined;
}

function note(flow: Flow, connection: Connection, time: number): void {
  const info = connection.info();
  const sample: StateSample = {
    time,
    state: info.state,
    cwnd: info.sndCwndBytes,
    ssthresh: Number.isFinite(info.sndSsthreshBytes) ? info.sndSsthreshBytes : -1,
    inFlight: flow.inFlight,
    srtt: info.rtt,
    rto: info.rto,
    sendWindow: info.sndWnd,
    receiveWindow: info.rcvWnd,
    deliveryRate: info.deliveryRate,
    pacingRate: info.pacingRate,
  };
  const last = flow.states.at(-1);
  if (last === undefined || !isSame(last, sample)) flow.states.push(sample);
}

function isSame(one: StateSample, other: StateSample): boolean {
  return JSON.stringify({ ...one, time: 0 }) === JSON.stringify({ ...other, time: 0 });
}

/**
 * The connections in a capture, of one of its interfaces: those of a network's link are called `host.link`. Which way a frame went is what
 * the capture says; where it does not (pcap), the end that a connection was first heard of is the local one. Of a file that is cut short what is
 * whole counts; packets of links that {@link readable} knows nothing of are passed over.
 *
 * @throws UsageError `ERR_BAD_CAPTURE`
 * @example
 * seriesOfCapture(net.links.lan.pcapng(), 'a.lan');
 */
export function seriesOfCapture(file: Uint8Array, interfaceName?: string): readonly TcpSeries[] {
  const reader = new CaptureReader();
  reader.push(file);
  const recorder = new FlowRecorder(interfaceName ?? 'capture');
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    if (interfaceName !== undefined && reader.interfaces[record.interfaceId]?.name !== interfaceName) continue;
    const { direction, data, originalLength } = record;
    const { header, linkType: medium } = readable(record.linkType, data);
    if (medium === undefined) continue;
    const frame = Frame.from(data.subarray(header));
    recorder.add(direction, frame, captureMilliseconds(record), medium, originalLength - header);
  }
  return recorder.series;
}
