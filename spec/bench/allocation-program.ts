/** Prints how many bytes a frame takes of the heap on its way to a connection: `allocation-program.ts 4|6 FLOWS`. */

import type { IpVersion } from '../../lib/core/address.js';
import { BATCH, tcpDemux } from '../../bench/micro/pipeline.js';
import { allocated } from './heap.js';

const [version, flows] = process.argv.slice(2).map(Number);
process.stdout.write(String(allocated(tcpDemux(version as IpVersion, flows ?? 1), BATCH)));
