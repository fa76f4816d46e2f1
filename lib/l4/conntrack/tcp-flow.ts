/** The state of a tracked connection of TCP, as it stands in a record. */

import { FlowBit } from './flow-records.js';

/** Where a connection of TCP is in its life, as a bystander sees it. */
export type TcpPhase = 'opening' | 'established' | 'closing';

export function tcpPhase(bits: number): TcpPhase {
  if ((bits & FlowBit.Closing) !== 0) return 'closing';
  return (bits & FlowBit.Assured) !== 0 ? 'established' : 'opening';
}
