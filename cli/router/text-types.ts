/** Words of a router's configuration that mean something: read where they stand, with what was expected in the error. */

import { z } from 'zod';
import { Cidr, type IpAddress, Ipv4Address, Ipv6Address, MacAddress, parseIp } from '../../lib/core/address.js';
import { writeDomainNames } from '../../lib/wire/domain-names.js';

/** A string that `read` makes sense of, or throws. */
export function readable<T>(expected: string, read: (text: string) => T): z.ZodType<T, string> {
  return z
    .string({ error: `expected ${expected}` })
    .meta({ description: expected })
    .transform((text, context): T => {
      try {
        return read(text);
      } catch {
        context.addIssue({ code: 'custom', message: `expected ${expected}, not ${JSON.stringify(text)}` });
        return z.NEVER;
      }
    });
}

/** A whole number within limits, both included. */
export function whole(what: string, least: number, most: number): z.ZodType<number, number> {
  const expected = `expected ${what}: a whole number from ${least} to ${most}`;
  const within = z.int({ error: expected }).min(least, { error: expected }).max(most, { error: expected });
  return within.meta({ description: what });
}

export const address: z.ZodType<IpAddress, string> = readable('an IP address', parseIp);

export const ipv4Address: z.ZodType<Ipv4Address, string> = readable('an IPv4 address', (text) =>
  Ipv4Address.parse(text),
);

export const ipv6Address: z.ZodType<Ipv6Address, string> = readable('an IPv6 address', (text) =>
  Ipv6Address.parse(text),
);

/** A name that DNS can write. */
export const domainName: z.ZodType<string, string> = readable('a domain name', (text) => {
  writeDomainNames([text]);
  return text;
});

/** An address of ours with the length of its network's prefix. */
export const interfaceAddress: z.ZodType<Cidr, string> = readable('an address with a prefix length', (text) =>
  withLength(text),
);

/** A prefix, all of whose bits behind its length are 0. */
export const prefix: z.ZodType<Cidr, string> = readable('a prefix, e.g. 10.0.0.0/8', (text) => {
  const cidr = withLength(text);
  if (!cidr.network.equals(cidr.address)) throw new RangeError(text);
  return cidr;
});

export const mac: z.ZodType<MacAddress, string> = readable('the MAC address of one interface', (text) => {
  const parsed = MacAddress.parse(text);
  if (parsed.isGroup || parsed.value === 0) throw new RangeError(text);
  return parsed;
});

/** What devices and tables may be called: no more than the kernel takes. */
export const name: z.ZodType<string, string> = readable('a name of 1 to 15 letters, digits and . _ -', (text) => {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/.test(text)) throw new RangeError(text);
  return text;
});

/** An address and a port, e.g. `127.0.0.1:9090`, `[::1]:9090`. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** A place on this machine: what is told there is not for others. */
export const loopbackPlace: z.ZodType<Place, string> = readable('a loopback address and a port', (text) => {
  const [, host = '', digits = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const at = parseIp(host.replace(/^\[(.*)\]$/, '$1'));
  const port = Number(digits);
  if (!at.isLoopback || port > 65_535) throw new RangeError(text);
  return { address: at.toString(), port };
});

function withLength(text: string): Cidr {
  if (!text.includes('/')) throw new RangeError(text);
  return Cidr.parse(text);
}
