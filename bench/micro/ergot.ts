/** What an ergot frame costs where it is neither sent nor received: its header, its stuffing, the decision where it goes. */

import type { Frame } from '../../lib/core/frame.js';
import { SeededRandom } from '../../lib/core/random.js';
import {
  CobsDecoder,
  CobsResult,
  cobsEncode,
  cobsLength,
  FrameHeader,
  FrameKind,
  netAddress,
  RouteDecision,
  type RouteQuery,
  RoutingTable,
} from '../../lib/ergot/index.js';
import { environment } from '../../operators/time/environment.js';
import { SimulationScheduler } from '../../operators/time/simulation-scheduler.js';
import { BATCH } from './pipeline.js';

const env = environment({ scheduler: new SimulationScheduler(), seed: 1 });
/** The routes of a table are of 2^4 addresses each. */
const ROUTE_BITS = 4;
const SCOPE = 28;

/** A frame of `length` bytes behind its header, from one network to another. */
function frameOf(header: FrameHeader, length: number): Frame {
  const frame = env.pool.alloc(length);
  frame.slab.bytes.fill(0x55, frame.put(length), frame.end);
  header.push(frame);
  return frame;
}

function headerOf(fields: Partial<Pick<FrameHeader, 'destination' | 'keyLow' | 'keyHigh'>>): FrameHeader {
  const header = new FrameHeader();
  const ends = { source: netAddress(1, 2, 5), destination: netAddress(2, 2, 7) };
  return Object.assign(header, { sequence: 300, kind: FrameKind.Request, ttl: 15 }, ends, fields);
}

/** Headers: to a port, or to any port that has the key. */
export const headers = {
  read(keyed: boolean): () => void {
    const frame = frameOf(headerOf(keyed ? { destination: netAddress(2, 2, 0), keyLow: 1, keyHigh: 2 } : {}), 64);
    const header = new FrameHeader();
    return () => {
      for (let i = 0; i < BATCH; i++) if (header.read(frame) !== undefined) throw new Error('a bad header');
    };
  },
  write(keyed: boolean): () => void {
    const header = headerOf(keyed ? { destination: netAddress(2, 2, 0), keyLow: 1, keyHigh: 2 } : {});
    const frame = frameOf(header, 64);
    return () => {
      for (let i = 0; i < BATCH; i++) {
        frame.start = header.body;
        header.push(frame);
      }
    };
  },
  /** What a hop does to a frame whose addresses are rewritten on the way: reads it, takes a hop off, puts the source in anew. */
  hop(): () => void {
    const frame = frameOf(headerOf({}), 64);
    const header = new FrameHeader();
    let network = 1;
    return () => {
      for (let i = 0; i < BATCH; i++) {
        if (header.read(frame) !== undefined) throw new Error('a bad header');
        header.ttl = 15;
        if (header.hop(frame) !== undefined) throw new Error('no hop left');
        header.source = netAddress((network = (network & 0xfff) + 1), 2, 5);
        header.replace(frame);
      }
    };
  },
};

/** Stuffing of frames whose every 16th byte is zero. */
export const stuffing = {
  encode(length: number): () => void {
    const bytes = mixed(length);
    const out = new Uint8Array(cobsLength(length));
    return () => {
      for (let i = 0; i < BATCH; i++) cobsEncode(bytes, 0, length, out, 0);
    };
  },
  decode(length: number): () => void {
    const out = new Uint8Array(cobsLength(length));
    const end = cobsEncode(mixed(length), 0, length, out, 0);
    const decoder = new CobsDecoder(length);
    return () => {
      for (let i = 0; i < BATCH; i++) {
        decoder.take(out, 0, end);
        if (decoder.result !== CobsResult.Frame) throw new Error('no frame');
      }
    };
  },
};

function mixed(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i % 16 === 15 ? 0 : i & 0xff || 1));
}

/** A table of so many routes of children; `meshed`: in a layer of siblings, where each packet is remembered. */
export function routes(count: number, meshed = false): RoutingTable {
  const table = new RoutingTable(SCOPE);
  table.addLink(0, 'parent');
  for (let link = 1; link <= 16; link++) table.addLink(link, meshed && link > 13 ? 'sibling' : 'child');
  for (let i = 0; i < count; i++) table.add((i + 1) << ROUTE_BITS, ROUTE_BITS, 1 + (i % 13));
  return table;
}

/** Decisions about packets to all of a table's ranges, without an order. */
export function decisions(count: number, meshed = false): () => void {
  const table = routes(count, meshed);
  const random = new SeededRandom(1);
  const values = Int32Array.from({ length: BATCH }, () => ((1 + random.below(count)) << ROUTE_BITS) + 1);
  const query: RouteQuery = { value: 0, bits: SCOPE, source: 1, sequence: 0, ttl: 16, broadcast: false };
  const out = new RouteDecision();
  return () => {
    for (let i = 0; i < BATCH; i++) {
      query.value = values[i] ?? 0;
      query.sequence = (query.sequence + 1) & 0xffff;
      if (table.decide(query, 0, out).links.length !== 1) throw new Error('no route');
    }
  };
}
