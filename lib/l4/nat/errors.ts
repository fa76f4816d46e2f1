/** ICMP errors that a translator sends itself: about SYNs that nobody asked for (RFC 5382 REQ-4), and where there is no room (RFC 5508 REQ-8). */

import type { IpAddress } from '../../core/address.js';
import type { Env } from '../../core/env.js';
import type { Frame, TxPacket } from '../../core/frame.js';
import { IcmpErrors } from '../../l3/icmp-errors.js';
import type { IcmpErrorKind } from '../../l3/icmp-report.js';
import { Ipv4Packet } from '../../wire/ipv4.js';
import { Ipv6Packet } from '../../wire/ipv6.js';
import { ipOffset } from '../../wire/network-offset.js';
import type { Translator } from './translator.js';

/** See the module; not too many at once. */
export class NatErrors {
  private readonly errors: IcmpErrors;
  private readonly translator: Translator;

  constructor(translator: Translator, env: Env) {
    this.translator = translator;
    const tables = {
      isBroadcast: () => false,
      isLocal: (address: IpAddress) => this.isExternal(address),
      path: (address: IpAddress) => this.path(address.version),
    };
    this.errors = new IcmpErrors({ tables }, env);
  }

  /** An error about a packet, which the caller then owns, or `undefined` where there must be none. */
  about(frame: Frame, kind: IcmpErrorKind): TxPacket | undefined {
    const at = ipOffset(frame);
    const isIpv4 = frame.slab.view.getUint8(at) >>> 4 === 4;
    return this.errors.about(isIpv4 ? new Ipv4Packet(frame, at) : new Ipv6Packet(frame, at), kind);
  }

  private isExternal(address: IpAddress): boolean {
    const [a, b, c, d] = [address.word(0) | 0, address.word(1) | 0, address.word(2) | 0, address.word(3) | 0];
    return this.translator.policies.externals.find(a, b, c, d) !== undefined;
  }

  /** What is not about an external address comes from one of them: others of ours are not known here. */
  private path(version: 4 | 6): { readonly source: IpAddress; readonly mtu: number } | undefined {
    for (const { pool } of this.translator.policies.sources) {
      const source = pool[0]?.address;
      if (source?.version === version) return { source, mtu: 0 };
    }
    return undefined;
  }
}
