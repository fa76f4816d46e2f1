/** Linux's `net.ipv4` settings as options of ours. */

import { congestionName } from './congestion-names.js';
import type { Settings } from './settings.js';

type Setter = (settings: Settings, value: number, all: readonly number[]) => void;

const ECN_MODES = ['off', 'on', 'passive', 'accurate', 'accurate-classic', 'accurate-passive'] as const;

const SETTERS: Readonly<Record<string, Setter>> = {
  tcp_timestamps: ({ tcp }, value) => (tcp.timestamps = value !== 0),
  tcp_sack: ({ tcp }, value) => (tcp.sack = value !== 0),
  tcp_dsack: ({ tcp }, value) => (tcp.dsack = value !== 0),
  tcp_recovery: ({ tcp }, value) => (tcp.rack = (value & 1) !== 0),
  // 1 and 2 were of a mechanism that is no more.
  tcp_early_retrans: ({ tcp }, value) => (tcp.tlp = value >= 3),
  tcp_frto: ({ tcp }, value) => (tcp.frto = value !== 0),
  tcp_reordering: ({ tcp }, value) => (tcp.reordering = value),
  tcp_window_scaling: ({ tcp }, value) => (tcp.windowScaling = value !== 0),
  tcp_rmem: ({ tcp }, _low, [, start = 0, most = 0]) => {
    const space = Math.max(1, start >>> 1);
    tcp.receiveBuffer = space;
    tcp.receiveBufferMax = Math.max(1, most);
  },
  tcp_wmem: ({ tcp }, _low, [, start = 0, most = 0]) => {
    tcp.sendBuffer = Math.max(1, start);
    tcp.sendBufferMax = Math.max(1, most);
  },
  tcp_min_snd_mss: ({ tcp }, value) => (tcp.minMss = Math.max(1, value)),
  tcp_syn_retries: ({ tcp }, value) => (tcp.synRetries = value),
  tcp_synack_retries: ({ tcp }, value) => (tcp.synAckRetries = value),
  tcp_invalid_ratelimit: ({ tcp }, value) => {
    tcp.challengeLimit = value === 0 ? Number.POSITIVE_INFINITY : 1;
    tcp.challengePeriod = value;
  },
  tcp_keepalive_time: ({ keepAlive }, value) => (keepAlive.idle = value * 1000),
  tcp_keepalive_intvl: ({ keepAlive }, value) => (keepAlive.interval = value * 1000),
  tcp_keepalive_probes: ({ keepAlive }, value) => (keepAlive.count = value),
  // Nothing said means 8.
  tcp_orphan_retries: ({ tcp }, value) => (tcp.orphanRetries = value === 0 ? 8 : value),
  tcp_retries2: ({ tcp }, value) => (tcp.dataRetries = value),
  tcp_fin_timeout: ({ tcp }, value) => (tcp.finWait2Timeout = value * 1000),
  tcp_max_tw_buckets: ({ tcp }, value) => (tcp.maxTimeWait = value),
  tcp_rfc1337: ({ tcp }, value) => (tcp.ignoreTimeWaitResets = value !== 0),
  tcp_max_syn_backlog: ({ tcp }, value) => (tcp.maxEmbryonic = value),
  tcp_mtu_probing: ({ tcp }, value) => (tcp.mtuProbing = value === 0 ? 'off' : value === 1 ? 'blackhole' : 'always'),
  tcp_rto_min_us: ({ tcp }, value) => (tcp.minRto = value / 1000),
  tcp_rto_max_ms: ({ tcp }, value) => (tcp.maxRto = value),
  tcp_ecn: ({ tcp }, value) => (tcp.ecn = ECN_MODES[value] ?? 'passive'),
  tcp_ecn_option: ({ tcp }, value) => (tcp.ecnOption = value === 0 ? 'off' : value === 1 ? 'sparing' : 'full'),
  tcp_ecn_fallback: ({ tcp }, value) => (tcp.ecnFallback = value !== 0),
  tcp_syncookies: ({ tcp }, value) => (tcp.synCookies = value === 0 ? 'off' : value === 1 ? 'auto' : 'always'),
  tcp_slow_start_after_idle: ({ tcp }, value) => (tcp.slowStartAfterIdle = value !== 0),
  tcp_fastopen: (settings, value) => {
    settings.fastOpenListeners = (value & FAST_OPEN.server) !== 0 && (value & FAST_OPEN.everyListener) !== 0;
    settings.tcp.fastOpenWithoutCookie = (value & FAST_OPEN.withoutCookie) !== 0;
  },
  ip_default_ttl: (settings, value) => (settings.hopLimit = value),
};

/** Bits of `tcp_fastopen`; without a cookie: as a client, or as a server. */
const FAST_OPEN = { server: 2, everyListener: 0x400, withoutCookie: 0x204 } as const;

/** Applies a setting; returns whether it is one that means something to us. */
export function linuxSetting(settings: Settings, name: string, text: string): boolean {
  if (name === 'tcp_congestion_control') return setCongestion(settings, text);
  if (name === 'tcp_fastopen_key') return setKey(settings, text);
  const setter = Object.hasOwn(SETTERS, name) ? SETTERS[name] : undefined;
  if (setter === undefined) return false;
  const values = text.split(/\s+/).map(numeric);
  if (values.some(Number.isNaN)) return false;
  setter(settings, values[0] ?? 0, values);
  return true;
}

/** `a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4`; of two, separated by a comma, the first makes cookies. */
function setKey(settings: Settings, text: string): boolean {
  const [a, b, c, d, more] = (text.split(',')[0] ?? '').split('-').map((word) => Number.parseInt(word, 16));
  if (a === undefined || b === undefined || c === undefined || d === undefined || more !== undefined) return false;
  if ([a, b, c, d].some(Number.isNaN)) return false;
  settings.tcp.fastOpenKey = [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
  return true;
}

function setCongestion(settings: Settings, text: string): boolean {
  const name = congestionName(text);
  if (name !== undefined) settings.tcp.congestion = name;
  return name !== undefined;
}

/** A number, or `$[256*1024]`, as scripts write what a shell would compute. */
function numeric(text: string): number {
  const [, a, b] = /^\$\[(\d+)\*(\d+)\]$/.exec(text) ?? [];
  return a === undefined ? Number(text) : Number(a) * Number(b);
}
