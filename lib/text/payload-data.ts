/** Data of packets as the notation says them. */

import type { PayloadSpec } from './packet-spec.js';

/** Data that are these bytes; of zeros only the length is said. */
export function payloadData(bytes: Uint8Array): PayloadSpec {
  return { length: bytes.length, bytes: bytes.every((byte) => byte === 0) ? undefined : bytes };
}
