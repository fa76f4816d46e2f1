/** How the host under test is set up: profiles, and the `sysctl` commands of scripts, which are read and never run. */

import type { TcpOptions } from '../../../lib/l4/tcp/options.js';
import { freebsdSetting } from './sysctl-freebsd.js';
import { linuxSetting } from './sysctl-linux.js';

/** Whose defaults the host under test has. */
export type ProfileName = 'linux' | 'freebsd';

export type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Keepalive times of a socket, in milliseconds; `undefined` for the stack's defaults. */
export interface KeepAlive {
  on: boolean;
  idle: number | undefined;
  interval: number | undefined;
  count: number | undefined;
}

/** What scripts can set. */
export interface Settings {
  readonly profile: ProfileName;
  tcp: Mutable<TcpOptions>;
  hopLimit: number;
  /** Of sockets that say nothing else. */
  readonly keepAlive: KeepAlive;
  /** Listeners serve Fast Open that were not told to. */
  fastOpenListeners: boolean;
}

/** The host as a script finds it. */
export function profileSettings(profile: ProfileName): Settings {
  return {
    profile,
    tcp: { ...(profile === 'linux' ? LINUX : FREEBSD) },
    hopLimit: 64,
    keepAlive: { on: false, idle: undefined, interval: undefined, count: undefined },
    fastOpenListeners: profile === 'linux',
  };
}

const LINUX: TcpOptions = {
  // tcp_rmem is "4096 540000 15728640" in Linux's own scripts: half of it is for data, and the shift is 8.
  receiveBuffer: 270_000,
  receiveBufferMax: 15_728_640,
  sendBuffer: 256 * 1024,
  synRetries: 5,
  expungeSacks: false,
  resendSuspects: false,
  forgivenSyns: 1,
  peakVariation: true,
  halve: 'window',
  mtuProbing: 'off',
  halfWindowSegments: true,
  userTimeoutSince: 'resent',
  acceptMissingTimestamps: true,
  // tcp_invalid_ratelimit.
  challengeLimit: 1,
  challengePeriod: 500,
  // What Linux's own scripts set before they begin.
  ecn: 'off',
  slowStartAfterIdle: false,
  // A window grows by all that was acknowledged.
  slowStartLimit: Number.POSITIVE_INFINITY,
  // The key of Linux's own scripts, which spell out cookies made with it.
  fastOpenKey: [0xa1a1a1a1, 0xb2b2b2b2, 0xc3c3c3c3, 0xd4d4d4d4],
};

const FREEBSD: TcpOptions = {
  // The most that a buffer may have is 2 MiB, for which FreeBSD offers a shift of 6.
  receiveBuffer: 65_536,
  receiveBufferMax: 2_097_152,
  sendBuffer: 2_097_152,
  synRetries: 12,
  synAckRetries: 3,
  handshakeTimeout: 75_000,
  minMss: 216,
  ignoreTimeWaitResets: true,
  finWait2Timeout: 600_000,
  connectErrors: 'hard',
  acceptSynFin: true,
  resetUnread: false,
  mtuProbing: 'off',
  challengeLimit: 5,
  challengePeriod: 1000,
  receiveWindow: 'whole',
  wholeSegmentBuffers: true,
  minRto: 30,
  rtoSlop: 200,
  rack: false,
  tlp: false,
  frto: false,
  hystart: false,
  congestion: 'newreno',
  ecnSynRetries: 1,
  expungeSacks: false,
  resendSuspects: false,
  halve: 'window',
  ackPolicy: 'every-second',
  quickAcks: 0,
  delayedAck: 40,
};

/** Takes a command of a script in; returns whether it is one that changes nothing, or that could be followed. */
export function applyCommand(settings: Settings, command: string): 'applied' | 'ignored' {
  let applied = false;
  for (const line of command.split(/[\n;]|&&/)) {
    if (/(?:^|\/)defaults\.sh\b/.test(line)) {
      Object.assign(settings, profileSettings(settings.profile));
      applied = true;
    }
    for (const [name, value] of assignments(line)) applied = applySetting(settings, name, value) || applied;
  }
  return applied ? 'applied' : 'ignored';
}

/** `sysctl -q net.ipv4.tcp_sack=0`, `set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 ...`, `echo 0 > /proc/sys/net/ipv4/tcp_sack`. */
function assignments(line: string): readonly (readonly [string, string])[] {
  const [, echoed = '', path = ''] = /^\s*echo\s+(.*?)\s*>\s*\/proc\/sys\/(\S+)/.exec(line) ?? [];
  if (path !== '') return [[path.replaceAll('/', '.'), unquoted(echoed)]];
  if (!/\bsysctl\b|set_sysctls/.test(line)) return [];
  const found: (readonly [string, string])[] = [];
  for (const [, name = '', value = ''] of line.matchAll(
    /([a-z][\w./-]*[a-z0-9])\s*=\s*("[^"]*"|'[^']*'|[^\s"'><|&]+)/gi,
  )) {
    const path = name.replace(/^\/?proc\/sys\//, '');
    found.push([path.replaceAll('/', '.'), unquoted(value)]);
  }
  return found;
}

function unquoted(text: string): string {
  return text.replaceAll(/["']/g, '').trim();
}

function applySetting(settings: Settings, name: string, value: string): boolean {
  return name.startsWith('net.inet') || name.startsWith('kern.')
    ? freebsdSetting(settings, name.replace(/^net\.inet6?\./, ''), value)
    : linuxSetting(settings, name.replace(/^net\.(?:ipv4|ipv6|core)\./, ''), value);
}
