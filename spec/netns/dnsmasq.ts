/** dnsmasq as a name server in a namespace. */

import { execFileSync } from 'node:child_process';
import type { Namespace } from './namespace.js';
import { until } from '../until.js';

/** Whether it can be had; says so, loudly, where it cannot. */
export function hasDnsmasq(): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v dnsmasq'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('SKIPPED: tests with a name server: dnsmasq is not installed');
    return false;
  }
}

/** A name server for `test`, with the queries that it was asked in its log. */
export class NameServer {
  log = '';

  private constructor(namespace: Namespace, options: readonly string[]) {
    const basic = [
      '--no-daemon',
      '--conf-file=/dev/null',
      '--no-resolv',
      '--no-hosts',
      '--pid-file=',
      '--log-facility=-',
    ];
    const own = ['--bind-dynamic', '--interface=tap0', '--local=/test/', '--log-queries=extra', '--local-ttl=300'];
    const child = namespace.start('dnsmasq', [...basic, ...own, ...options]);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    }
  }

  /** Starts one, and waits until it answers. */
  static async start(namespace: Namespace, ...options: string[]): Promise<NameServer> {
    const server = new NameServer(namespace, options);
    await until(() => server.log.includes('started'));
    for (let sockets = ''; !/:53\b/.test(sockets); ) sockets = (await namespace.run('ss', ['-Hlun'])).stdout;
    return server;
  }

  /** The queries that it was asked, e.g. `A www.test`; `udp` and `tcp` apart where the log tells. */
  get queries(): string[] {
    return [...this.log.matchAll(/query\[(\w+)\] (\S+) from/g)].map(([, type, name]) => `${type} ${name}`);
  }
}
