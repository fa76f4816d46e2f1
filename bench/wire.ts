/**
 * The wire of the impaired benchmark: a process that joins a TAP in one network namespace to one in another, through the operators that impair.
 *
 *     wire.ts INTERFACE NAMESPACE PEER/LENGTH NAMESPACE PEER/LENGTH IMPAIRMENTS-AS-JSON
 */

import type { Device } from '../lib/core/device.js';
import { asTx } from '../lib/core/frame.js';
import { inNamespace } from '../drivers/native/namespace.js';
import { openTap } from '../drivers/tap.js';
import { impair, type Impairments } from '../operators/flow/impair.js';
import { environment } from '../operators/time/environment.js';

const [name = '', left = '', leftPeer = '', right = '', rightPeer = '', settings = '{}'] = process.argv.slice(2);
const impairments = JSON.parse(settings) as Impairments;
const env = environment();
const open = (namespace: string, peer: string) => inNamespace(namespace, () => openTap({ name, peer: [peer] }, env));

function join(from: Device, to: Device): void {
  from.frames$.pipe(impair(impairments, env)).subscribe((frame) => to.sink.next(asTx(frame.retain())));
}

const ends = [open(left, leftPeer), open(right, rightPeer)] as const;
join(ends[0], ends[1]);
join(ends[1], ends[0]);
process.stdout.write('ready\n');
