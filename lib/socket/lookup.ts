/** Node's `dns.lookup` over a resolver of ours, for `nodeNet(tcp, { lookup })` and `nodeDgram(udp, { lookup })`. */

import type { LookupFunction } from 'node:net';
import { DnsError } from '../l7/dns-error.js';
import type { DnsResolver } from '../l7/dns-resolver.js';
import { familyOf } from './names.js';
import { type CodedError, notFound } from './node-errors.js';

// What Node gives for EAI_AGAIN, which libuv numbers itself.
const AGAIN = -3001;

/**
 * A function in the shape of `dns.lookup`, with its errors: `ENOTFOUND` for a name without addresses, `EAI_AGAIN` where no server
 * could be asked.
 *
 * @example
 * ```ts
 * const net = nodeNet(me.tcp, { lookup: lookup(new DnsResolver(me, { servers: ['10.77.0.1'] }, env)) });
 * net.connect(80, 'www.example.test');
 * ```
 */
export function lookup(resolver: DnsResolver): LookupFunction {
  return (hostname, options, callback) => {
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
