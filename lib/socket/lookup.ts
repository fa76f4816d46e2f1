/** Node's `dns.lookup` over a resolver of ours, for `nodeNet(tcp, { lookup })` and `nodeDgram(udp, { lookup })`. */

import { DnsError } from '../l7/dns-error.js';
import type { DnsResolver } from '../l7/dns-resolver.js';
import type { StagedLookup } from './connect-race.js';
import { familyOf } from './names.js';
import { type CodedError, notFound } from './node-errors.js';

// What Node gives for EAI_AGAIN, which libuv numbers itself.
const AGAIN = -3001;

/** What {@link lookup} makes: Node's `dns.lookup`, which our own sockets hear address by address. */
export type Lookup = StagedLookup;

/**
 * A function in the shape of `dns.lookup`, with its errors: `ENOTFOUND` for a name without addresses, `EAI_AGAIN` where no server
 * could be asked.
 *
 * @example
 * ```ts
 * const me = host({ device: tap, addresses: ['10.77.0.2/24'], dns: { servers: ['10.77.0.1'] } });
 * const net = nodeNet(me.tcp, { lookup: lookup(me.dns) });
 * net.connect(80, 'www.example.test');
 * ```
 */
export function lookup(resolver: DnsResolver): Lookup {
  const find: StagedLookup = (hostname, options, callback) => {
    resolver.lookup(hostname, { family: familyOf(options.family) }).then(
      (addresses) => {
        const all = addresses.map((address) => ({ address: address.toString(), family: address.version }));
        const [first] = all;
        if (options.all === true) callback(null, all);
        else callback(null, first?.address ?? '', first?.family);
      },
      (error: unknown) => callback(nodeError(error, hostname), '', 0),
    );
  };
  const stages: NonNullable<Lookup['stages']> = (hostname, family, told) =>
    resolver.stages(
      hostname,
      { family },
      {
        found: (addresses) => told.found(addresses),
        done: (error) => told.done(error && nodeError(error, hostname)),
      },
    );
  return Object.assign(find, { stages, timers: resolver.timers });
}

function nodeError(error: unknown, hostname: string): NodeJS.ErrnoException {
  if (!(error instanceof DnsError)) return error instanceof Error ? error : new Error(String(error));
  if (error.code === 'ENOTFOUND' || error.code === 'ENODATA' || error.code === 'EBADNAME') return notFound(hostname);
  const again: CodedError = Object.assign(new Error(`getaddrinfo EAI_AGAIN ${hostname}`), {
    code: 'EAI_AGAIN',
    errno: AGAIN,
    syscall: 'getaddrinfo',
    hostname,
    cause: error,
  });
  return again;
}
