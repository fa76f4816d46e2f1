/**
 * The pcap filter language (pcap-filter(7), as tcpdump has it), compiled to a decision about packets. It is read once; a packet then costs
 * some nanoseconds per header field that must be looked at.
 */

import { UsageError } from '../../core/errors.js';
import type { FilterNode } from './ast.js';
import { type Decision, decide, matches } from './decision.js';
import type { PcapLinkType } from './layout.js';
import { lower } from './lower.js';
import { maskOf } from './numbers.js';
import { parsePcapFilter } from './parser.js';
import { printPcapFilter } from './printer.js';

/** Options of {@link PcapFilter}. */
export interface PcapFilterOptions {
  /**
   * Prefix length of the IPv4 network, 0 to 32, whose broadcast addresses `ip broadcast` means; default 0: only 255.255.255.255 and 0.0.0.0.
   */
  readonly prefixLength?: number;
}

/** A compiled filter; it has no state, so that any number of pipelines may share one. */
export class PcapFilter {
  /** What it says. */
  readonly node: FilterNode;
  private readonly ethernet: Decision;
  private readonly ip: Decision;

  /**
   * @param text e.g. `tcp dst port 80 and not host 10.0.0.1`; an empty one matches all packets
   * @throws PcapFilterError `ERR_BAD_FILTER`, with the column and what was expected there
   * @throws UsageError `ERR_INVALID_OPTION`
   */
  constructor(text: string, options: PcapFilterOptions = {}) {
    const { prefixLength = 0 } = options;
    if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32) {
      throw new UsageError(
        'ERR_INVALID_OPTION',
        `prefixLength must be a whole number from 0 to 32, not ${prefixLength}`,
      );
    }
    this.node = parsePcapFilter(text);
    this.ethernet = decide(lower(this.node, 'ethernet', maskOf(prefixLength)));
    this.ip = decide(lower(this.node, 'ip', maskOf(prefixLength)));
  }

  /**
   * Whether a packet matches: the bytes `start` (inclusive) to `end` (exclusive) of `view`, which start with a header of `linkType`. `length`
   * is its length on the wire, where a capture cut it.
   */
  matches(view: DataView, start: number, end: number, linkType: PcapLinkType, length: number = end - start): boolean {
    return matches(linkType === 'ethernet' ? this.ethernet : this.ip, view, start, end, length);
  }

  /** The canonical text, in which every qualifier is said. */
  toString(): string {
    return printPcapFilter(this.node);
  }
}
