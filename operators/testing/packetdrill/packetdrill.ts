/** Runs packetdrill scripts against this stack, in virtual time. */

import { parseScript } from './parser.js';
import type { ScriptResult } from './result.js';
import { Run } from './run.js';
import type { IpMode, Script } from './script.js';
import type { ProfileName } from './settings.js';

/** Options of {@link packetdrill}. */
export interface PacketdrillOptions {
  /** The script's name in reports; default `script`. A name that ends in `v4`, `v6`, `ipv4` or `ipv6` says what it runs over. */
  readonly name?: string;
  /** What to run it over, unless the script says so itself (`--ip_version`, or its name). Default: IPv4 and IPv6. */
  readonly ipVersions?: readonly IpMode[];
  /** Whose defaults the host under test has, and how segments are compared. Default: what a `// profile:` comment says, else `linux`. */
  readonly profile?: ProfileName;
  /** Values of words of the script. */
  readonly defines?: Readonly<Record<string, string>>;
  /** No tolerance: what is to happen at once happens at once, timers are exact to a millisecond, echoes of timestamps count. */
  readonly strict?: boolean;
}

/**
 * Runs a script in the notation of packetdrill against a host of this stack: once for each IP version. Everything happens in virtual time
 * and within the call. Commands of scripts are never given to a shell: `sysctl` becomes configuration, others mean nothing.
 *
 * @example
 * ```ts
 * const [result] = packetdrill(`
 *   0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
 *   +0 bind(3, ..., ...) = 0
 *   +0 listen(3, 1) = 0
 *   +0 < S 0:0(0) win 65535 <mss 1460>
 *   +0 > S. 0:0(0) ack 1 <mss 1460>
 * `);
 * console.log(result.ok);
 * ```
 *
 * @returns one result a version
 * @throws ScriptError `ERR_BAD_PACKET_TEXT` with file, line and column, for what is no script
 * @throws UsageError `ERR_TOO_MANY_EVENTS` where the host never comes to rest
 */
export function packetdrill(text: string, options: PacketdrillOptions = {}): readonly ScriptResult[] {
  const { name = 'script', strict = false } = options;
  const profile = options.profile ?? profileOf(text);
  // What it runs over does not depend on the values of words.
  const script = parseScript(text, { name, defines: definesFor('ipv4', options.defines) });
  return modesFor(script, options.ipVersions).map((mode) => {
    const parsed = parseScript(text, { name, defines: definesFor(mode, options.defines) });
    return new Run(parsed, { mode, profile, strict }).run();
  });
}

/** What the user wants, as far as the script is for it; a script that is for none of it runs as it says itself. */
function modesFor(script: Script, wanted: readonly IpMode[] | undefined): readonly IpMode[] {
  const own = modesOf(script);
  if (wanted === undefined) return own;
  const both = own.length > 1 ? wanted : own.filter((mode) => wanted.includes(mode));
  return both.length > 0 ? both : own;
}

/** What a script runs over: what it says, or what its name says, or both versions. */
export function modesOf({ name, options }: Pick<Script, 'name' | 'options'>): readonly IpMode[] {
  const said = options.get('ip_version');
  if (said === 'ipv4' || said === 'ipv6' || said === 'ipv4-mapped-ipv6') return [said];
  const [, digit] = /(?:^|[-_.])(?:ip)?v([46])(?:\.pkt)?$/.exec(name) ?? [];
  if (digit !== undefined) return [digit === '4' ? 'ipv4' : 'ipv6'];
  return ['ipv4', 'ipv6'];
}

/** The profile that a comment of a script names: `// profile: freebsd`. */
export function profileOf(text: string): ProfileName {
  return /^\s*(?:\/\/|\/\*|\*)\s*profile:\s*freebsd\b/m.test(text) ? 'freebsd' : 'linux';
}

/** The words that scripts of either version expect to be defined. */
export function definesFor(
  mode: IpMode,
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const six = mode === 'ipv6';
  return {
    // The cookies for the default addresses, with the key of the profile and with one of zeros.
    TFO_COOKIE: six ? 'c1d1e9742a47a9bc' : '3021b9d889017eeb',
    TFO_COOKIE_ZERO: six ? '82af1a8f9a205c34' : 'b7c12350a90dc8f5',
    CODE: six ? 'address_unreachable' : 'host_unreachable',
    CMSG_LEVEL_IP: six ? 'SOL_IPV6' : 'SOL_IP',
    CMSG_TYPE_RECVERR: six ? 'IPV6_RECVERR' : 'IP_RECVERR',
    ...given,
  };
}
