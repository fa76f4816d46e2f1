/** Rewrites packets between networks that stand for each other ({@link PrefixPair}), in place, the packets that ICMP errors quote included. */

import type { Frame } from '../../core/frame.js';
import { PacketFields } from '../../wire/packet-fields.js';
import {
  readQuote,
  rewriteDestination,
  rewriteQuotedDestination,
  rewriteQuotedSource,
  rewriteSource,
  SAME_PORT,
} from '../../wire/rewrite.js';
import type { PrefixPair } from './prefix-pair.js';

/** What is to be done with a packet. */
export const PrefixVerdict = {
  /** Nothing. */ Pass: 0,
  Rewrite: 1,
  /** There is no address for it. */ Drop: 2,
} as const;
export type PrefixVerdict = (typeof PrefixVerdict)[keyof typeof PrefixVerdict];

/** Sides of a packet that are translated, as bits. */
export const PrefixSide = { Source: 1, Destination: 2 } as const;
/** Only the packet that an ICMP error quotes is. */
const QUOTED_ONLY = 4;

/** Translates packets by pairs of networks. */
export class PrefixTranslator {
  private readonly pairs: readonly PrefixPair[];
  private readonly fields = new PacketFields();
  private readonly quote = new PacketFields();
  private readonly words = new Int32Array(4);
  private pair: PrefixPair | undefined = undefined;
  private sides = 0;

  constructor(pairs: readonly PrefixPair[]) {
    this.pairs = pairs;
  }

  /**
   * What is to be done with the packet at `network`, of whose ends those in `sides` may be changed. A packet of an internal host to an external address
   * has both changed, wherever its destination is: its answer comes this way, too (RFC 6296 2.4).
   */
  look(frame: Frame, network: number, sides: number): PrefixVerdict {
    const { fields } = this;
    if (!fields.read(frame, network)) return PrefixVerdict.Pass;
    const { source0, source1, source2, source3, destination0, destination1, destination2, destination3 } = fields;
    this.sides = 0;
    for (const pair of this.pairs) {
      if (pair.version !== fields.version) continue;
      const isFrom = pair.isInternal(source0, source1, source2, source3);
      const isTo = pair.isExternal(destination0, destination1, destination2, destination3);
      if (isTo && (sides & PrefixSide.Destination) !== 0) {
        this.sides = PrefixSide.Destination | (isFrom ? PrefixSide.Source : 0);
      } else if (isFrom && (sides & PrefixSide.Source) !== 0) {
        if (!pair.isInternal(destination0, destination1, destination2, destination3)) this.sides = PrefixSide.Source;
      }
      this.pair = pair;
      // Of a router on the way, which has seen the packet as it is inside.
      if (this.sides === 0 && (sides & PrefixSide.Source) !== 0 && this.isAboutInside(frame, pair)) {
        this.sides = QUOTED_ONLY;
      }
      if (this.sides !== 0) return this.hasAddresses(pair) ? PrefixVerdict.Rewrite : PrefixVerdict.Drop;
    }
    return PrefixVerdict.Pass;
  }

  /** Rewrites the packet at `network`, which was looked at last and whose bytes are the caller's to change. */
  rewrite(frame: Frame, network: number): void {
    const { fields, quote, pair, words } = this;
    if (pair === undefined || !fields.read(frame, network)) return;
    const isError = readQuote(frame, fields, quote);
    if ((this.sides & PrefixSide.Destination) !== 0) {
      if (isError && this.quotedSource(pair, quote)) {
        rewriteQuotedSource(
          frame,
          fields,
          quote,
          words[0] ?? 0,
          words[1] ?? 0,
          words[2] ?? 0,
          words[3] ?? 0,
          SAME_PORT,
        );
      }
      this.read(fields.destination0, fields.destination1, fields.destination2, fields.destination3);
      pair.toInternal(words);
      rewriteDestination(frame, fields, words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0, SAME_PORT);
    }
    if ((this.sides & (PrefixSide.Source | QUOTED_ONLY)) !== 0) {
      if (isError && this.quotedDestination(pair, quote)) {
        rewriteQuotedDestination(
          frame,
          fields,
          quote,
          words[0] ?? 0,
          words[1] ?? 0,
          words[2] ?? 0,
          words[3] ?? 0,
          SAME_PORT,
        );
      }
      if (this.sides === QUOTED_ONLY) return;
      this.read(fields.source0, fields.source1, fields.source2, fields.source3);
      pair.toExternal(words);
      rewriteSource(frame, fields, words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0, SAME_PORT);
    }
  }

  /** Whether it is an ICMP error to an outside host about what that had sent to an internal one. */
  private isAboutInside(frame: Frame, pair: PrefixPair): boolean {
    const { fields, quote } = this;
    const { destination0, destination1, destination2, destination3 } = fields;
    if (!readQuote(frame, fields, quote) || pair.isInternal(destination0, destination1, destination2, destination3)) {
      return false;
    }
    return this.quotedDestination(pair, quote);
  }

  /** Whether the packet's ends have addresses in the other network. */
  private hasAddresses(pair: PrefixPair): boolean {
    const { fields, sides, words } = this;
    if ((sides & PrefixSide.Source) !== 0) {
      this.read(fields.source0, fields.source1, fields.source2, fields.source3);
      if (!pair.toExternal(words)) return false;
    }
    if ((sides & PrefixSide.Destination) === 0) return true;
    this.read(fields.destination0, fields.destination1, fields.destination2, fields.destination3);
    return pair.toInternal(words);
  }

  private quotedSource(pair: PrefixPair, { source0, source1, source2, source3 }: PacketFields): boolean {
    this.read(source0, source1, source2, source3);
    return pair.isExternal(source0, source1, source2, source3) && pair.toInternal(this.words);
  }

  private quotedDestination(pair: PrefixPair, quote: PacketFields): boolean {
    const { destination0, destination1, destination2, destination3 } = quote;
    this.read(destination0, destination1, destination2, destination3);
    return pair.isInternal(destination0, destination1, destination2, destination3) && pair.toExternal(this.words);
  }

  private read(word0: number, word1: number, word2: number, word3: number): void {
    const { words } = this;
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    words[3] = word3;
  }
}
