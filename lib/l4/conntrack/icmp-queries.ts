/** Which messages of ICMP ask, which answer, which report errors, and which are of the link alone (RFC 792, 950, 4443, 4620). */

import { isIcmpv4Error } from '../../wire/icmpv4.js';

/** What a message of ICMP is to the tracking of flows. */
export const IcmpClass = {
  /** Nobody knows what follows from it. */
  Unknown: 0,
  /** It opens a flow. */
  Query: 1,
  /** It belongs to a flow that a query has opened. */
  Answer: 2,
  /** It is about the flow of the packet that it quotes. */
  Error: 3,
  /** Of neighbours and routers on one link: nobody's flow. */
  Link: 4,
} as const;
export type IcmpClass = (typeof IcmpClass)[keyof typeof IcmpClass];

/** Queries and their answers: echo, timestamp, information, address mask; of ICMPv6 echo and node information. */
const PAIRS: Readonly<Record<4 | 6, readonly (readonly [query: number, answer: number])[]>> = {
  4: [
    [8, 0],
    [13, 14],
    [15, 16],
    [17, 18],
  ],
  6: [
    [128, 129],
    [139, 140],
  ],
};
// Router advertisement and solicitation (RFC 1256); MLD, NDP, and MLDv2 reports.
const LINK: Readonly<Record<4 | 6, readonly number[]>> = {
  4: [9, 10],
  6: [130, 131, 132, 133, 134, 135, 136, 137, 143],
};

const FIRST_INFORMATIONAL_V6 = 128;
const CLASSES: Readonly<Record<4 | 6, Uint8Array>> = { 4: classes(4), 6: classes(6) };
const COUNTERPARTS: Readonly<Record<4 | 6, Uint8Array>> = { 4: counterparts(4), 6: counterparts(6) };

function classes(version: 4 | 6): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, type) => {
    if (LINK[version].includes(type)) return IcmpClass.Link;
    if (PAIRS[version].some(([query]) => query === type)) return IcmpClass.Query;
    if (PAIRS[version].some(([, answer]) => answer === type)) return IcmpClass.Answer;
    const error = version === 4 ? isIcmpv4Error(type) : type < FIRST_INFORMATIONAL_V6;
    return error ? IcmpClass.Error : IcmpClass.Unknown;
  });
}

function counterparts(version: 4 | 6): Uint8Array {
  const types = Uint8Array.from({ length: 256 }, (_, type) => type);
  for (const [query, answer] of PAIRS[version]) {
    types[query] = answer;
    types[answer] = query;
  }
  return types;
}

/** The class of messages of `type`, 0 to 255. */
export function icmpClass(version: 4 | 6, type: number): IcmpClass {
  return (CLASSES[version][type] ?? IcmpClass.Unknown) as IcmpClass;
}

/** The type of what answers messages of `type`, or is answered by them; itself where there is none. */
export function answeredBy(version: 4 | 6, type: number): number {
  return COUNTERPARTS[version][type] ?? type;
}
