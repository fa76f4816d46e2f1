/** `rx-netstack resolve`: names and addresses looked up by the stub resolver of a host of ours. */

import type { IpAddress } from '../lib/core/address.js';
import { DnsError, dnsTypeName } from '../lib/l7/dns-error.js';
import { literalAddress, reverseName, searchNames } from '../lib/l7/dns-names.js';
import type { DnsResolver } from '../lib/l7/dns-resolver.js';
import { type DnsData, type DnsRecord, DnsType } from '../lib/wire/dns.js';
import { ArgumentError, flag, parseArguments, words } from './args.js';
import type { Command, Io } from './command.js';
import { dnsText } from './destination.js';
import { HOST_OPTIONS, HOST_USAGE, hostSetting, PLACE } from './host-options.js';
import { withHost } from './running-host.js';

const PROGRAM = 'rx-netstack resolve';
const TYPES = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const;

const OPTIONS = {
  type: words('LIST', `Kinds of records, joined by commas: ${TYPES.join(', ')}; A and AAAA otherwise.`, TYPES),
  json: flag('Print one JSON object a line for each record.'),
  ...HOST_OPTIONS,
} as const;

/** The command. */
export const resolve: Command = {
  name: 'resolve',
  summary: 'Look names and addresses up from a host of our own on a TAP interface; needs root.',
  usage: `NAME|ADDRESS... [--type LIST] [--json] ${HOST_USAGE}`,
  options: OPTIONS,
  examples: [
    [`resolve www.example.com --dns 10.77.0.1 ${PLACE}`, 'its addresses of both versions'],
    [`resolve example.com --type MX,TXT --dns 192.0.2.53 --gateway 10.77.0.1 ${PLACE}`, 'other records'],
    [`resolve 192.0.2.1 2001:db8::1 --json --dns 10.77.0.1 ${PLACE}`, 'the names of addresses, for other programs'],
  ],
  async run(args, io) {
    const { positionals, values } = parseArguments(args, OPTIONS);
    if (positionals.length === 0) throw new ArgumentError('name a NAME, or an ADDRESS');
    const setting = hostSetting(values);
    const { type, json, dns, dhcp, slaac } = values;
    if (dns.length === 0 && !dhcp && !slaac) throw new ArgumentError('name a name server with --dns');
    return withHost(setting, io, PROGRAM, async (running) => {
      const { me, signal } = running;
      await running.configured(0);
      let code = 0;
      for (const name of positionals) {
        if (!(await show(name, new Query(me.dns, type, signal), json, io))) code = 1;
      }
      return code;
    });
  },
};

/** Prints what there is; returns whether there was anything. */
async function show(name: string, query: Query, json: boolean, io: Io): Promise<boolean> {
  try {
    for (const record of await query.records(name)) {
      io.stdout.write(json ? `${JSON.stringify(recordJson(record))}\n` : `${recordText(record)}\n`);
    }
    return true;
  } catch (error) {
    if (!(error instanceof DnsError)) throw error;
    io.stderr.write(`${PROGRAM}: ${name}: ${dnsText(error, query.servers)}\n`);
    return false;
  }
}

class Query {
  private readonly resolver: DnsResolver;
  private readonly types: readonly (keyof typeof DnsType)[] | undefined;
  private readonly signal: AbortSignal;

  constructor(resolver: DnsResolver, types: readonly (keyof typeof DnsType)[] | undefined, signal: AbortSignal) {
    this.resolver = resolver;
    this.types = types;
    this.signal = signal;
  }

  get servers(): number {
    return this.resolver.getServers().length;
  }

  /** The records of a name, or of an address, with the aliases that led to them. @throws DnsError */
  async records(name: string): Promise<readonly DnsRecord[]> {
    const address: IpAddress | undefined = literalAddress(name);
    if (address !== undefined) return this.ask(reverseName(address), ['PTR']);
    let failure: unknown;
    for (const candidate of searchNames(name, this.resolver.getSearch(), 1)) {
      try {
        return await this.ask(candidate, this.types ?? ['A', 'AAAA']);
      } catch (error) {
        if (!(error instanceof DnsError) || (error.code !== 'ENOTFOUND' && error.code !== 'ENODATA')) throw error;
        // That a name exists without such records says more than that another does not exist.
        if (failure === undefined || error.code === 'ENODATA') failure = error;
      }
    }
    throw failure;
  }

  /** Of several types those that there are; what fails fails only where there are none. */
  private async ask(name: string, types: readonly (keyof typeof DnsType)[]): Promise<readonly DnsRecord[]> {
    const asked = types.map((type) => this.resolver.resolve(name, DnsType[type], { signal: this.signal }));
    const results = await Promise.allSettled(asked);
    this.signal.throwIfAborted();
    const found = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    if (found.length === 0) {
      const reasons = results.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
      throw reasons.find((reason) => !(reason instanceof DnsError) || reason.code !== 'ENODATA') ?? reasons[0];
    }
    const aliases = new Map(found.flatMap((answer) => answer.aliases.map((alias) => [alias.name, alias] as const)));
    return [...aliases.values(), ...found.flatMap(({ records }) => records)];
  }
}

function recordText(record: DnsRecord): string {
  return `${record.name}\t${record.ttl}\t${dnsTypeName(record.type)}\t${dataText(record.data)}`;
}

function recordJson({ name, ttl, type, data }: DnsRecord): object {
  return { name, ttl, type: dnsTypeName(type), data: dataText(data) };
}

/** As zone files have it (RFC 1035 5.1, RFC 3597 5). */
function dataText(data: DnsData): string {
  switch (data.kind) {
    case 'address':
      return data.address.toString();
    case 'name':
      return data.name;
    case 'mx':
      return `${data.preference} ${data.exchange}`;
    case 'srv':
      return `${data.priority} ${data.weight} ${data.port} ${data.target}`;
    case 'txt':
      return data.strings.map(quoted).join(' ');
    case 'soa':
      return [data.primary, data.mailbox, data.serial, data.refresh, data.retry, data.expire, data.minimum].join(' ');
    case 'unknown':
      return `\\# ${data.bytes.length} ${Buffer.from(data.bytes).toString('hex')}`.trimEnd();
  }
}

function quoted(bytes: Uint8Array): string {
  const text = [...bytes].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, '0')}`;
  });
  return `"${text.join('')}"`;
}
