/** Failures of name resolution, with the codes of Node's `dns` module. */

import { DnsRcode, DnsType } from '../wire/dns.js';

/** Codes of {@link DnsError}: those of Node's `dns`. */
export type DnsCode =
  /** The name does not exist. */
  | 'ENOTFOUND'
  /** The name exists, and has no record of that type. */
  | 'ENODATA'
  | 'EFORMERR'
  | 'ESERVFAIL'
  | 'ENOTIMP'
  | 'EREFUSED'
  /** The answer makes no sense: an endless chain of aliases, say. */
  | 'EBADRESP'
  | 'EBADNAME'
  /** No server answered in time. */
  | 'ETIMEOUT'
  /** No server is there, or none is configured. */
  | 'ECONNREFUSED'
  | 'ECANCELLED';

const typeNames = new Map<number, string>(Object.entries(DnsType).map(([name, type]) => [type, name]));

/** The name of a type of record, `TYPE123` for those without one (RFC 3597 5). */
export function dnsTypeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** A name could not be resolved. */
export class DnsError extends Error {
  readonly code: DnsCode;
  /** `queryA`, `queryPTR`, ... */
  readonly syscall: string;
  readonly hostname: string;

  constructor(code: DnsCode, type: number, hostname: string) {
    const syscall = `query${dnsTypeName(type)}`;
    super(`${syscall} ${code} ${hostname}`);
    this.name = 'DnsError';
    this.code = code;
    this.syscall = syscall;
    this.hostname = hostname;
  }
}

/** The code for a response code that is an error of the server. */
export function codeOfRcode(rcode: number): DnsCode {
  if (rcode === DnsRcode.FormatError) return 'EFORMERR';
  if (rcode === DnsRcode.NotImplemented) return 'ENOTIMP';
  return rcode === DnsRcode.Refused ? 'EREFUSED' : 'ESERVFAIL';
}
