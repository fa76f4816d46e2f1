/** Transfers between curl in a namespace and the HTTP service of a host of ours, and what their bytes must be. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OURS } from './live-host.js';
import type { Namespace } from './namespace.js';

const execute = promisify(execFile);

/**
 * Shell words that print the bytes of `/bytes/N`, made by OpenSSL's own program: the AES-128-CTR key stream of the zero key from the
 * counter block N.
 */
export function opensslBytes(length: string): string {
  const iv = `$(printf %032x ${length})`;
  return `openssl enc -aes-128-ctr -K ${'0'.repeat(32)} -iv ${iv} -in /dev/zero 2>/dev/null | head -c ${length}`;
}

const digests = new Map<string, Promise<string>>();

/** The sha256 of the bytes of `/bytes/N`, or of so many at their beginning, without any code of ours. */
export function digestOf(length: number, first: number = length): Promise<string> {
  const key = `${length} ${first}`;
  const known = digests.get(key);
  if (known !== undefined) return known;
  const bytes = `${opensslBytes(`${length}`)} | head -c ${first}`;
  const digest = execute('bash', ['-c', `${bytes} | sha256sum`]).then(({ stdout }) => stdout.slice(0, 64));
  digests.set(key, digest);
  return digest;
}

/** What `transfers` offers; each gives the hex sha256, or what went wrong. */
export interface Transfers {
  /** The digest of what `GET /bytes/N` brought. */
  readonly fetch: (length: number) => Promise<string>;
  /** What `POST /sha256` of these bytes answered. */
  readonly upload: (length: number) => Promise<string>;
}

/** Transfers by curl from within a namespace; each must end within `timeout` milliseconds. */
export function transfers(namespace: Namespace, timeout = 10_000, host: string = OURS): Transfers {
  const run = async (line: string): Promise<string> => {
    const { code, stdout, stderr } = await namespace.sh(`set -o pipefail; ${line}`, { timeout });
    const digest = /^[0-9a-f]{64}/.exec(stdout)?.[0];
    return code === 0 && digest !== undefined ? digest : `exit code ${code}: ${stdout}${stderr}`;
  };
  const curl = `curl -sS --fail --max-time ${timeout / 1000}`;
  return {
    fetch: (length) => run(`${curl} http://${host}/bytes/${length} | sha256sum`),
    upload: (length) => {
      // pipefail would count the SIGPIPE that ends OpenSSL.
      const body = `(set +o pipefail; ${opensslBytes(`${length}`)})`;
      const headers = `-H 'Expect:' -H 'Transfer-Encoding:' -H 'Content-Length: ${length}'`;
      return run(`${body} | ${curl} -X POST -T - ${headers} http://${host}/sha256`);
    },
  };
}
