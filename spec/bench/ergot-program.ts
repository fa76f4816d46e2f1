/** Prints how many bytes of the heap each part of an ergot frame's way takes, as JSON: by its name, a number. */

import { decisions, headers, stuffing } from '../../bench/micro/ergot.js';
import { hops, scenes } from '../../bench/micro/ergot-nodes.js';
import { BATCH } from '../../bench/micro/pipeline.js';
import { allocated } from './heap.js';

const WORKS: Readonly<Record<string, () => void>> = {
  'a header that is read': headers.read(true),
  'a header that is written': headers.write(true),
  'a hop': headers.hop(),
  'a frame that is stuffed': stuffing.encode(64),
  'a frame taken out of a stream': stuffing.decode(64),
  'a decision': decisions(100),
  'a decision among siblings': decisions(100, true),
  'a frame through a router': hops(scenes.router()),
  'a frame from child to child': hops(scenes.phone('child', 'child')),
  'a frame from child to parent': hops(scenes.phone('child', 'parent')),
  'a frame from sibling to child': hops(scenes.phone('sibling', 'child')),
};

const bytes = Object.entries(WORKS).map(([name, work]) => [name, allocated(work, BATCH)] as const);
process.stdout.write(JSON.stringify(Object.fromEntries(bytes)));
