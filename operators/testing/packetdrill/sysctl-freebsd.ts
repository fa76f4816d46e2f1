/** FreeBSD's `net.inet` settings as options of ours. */

import { congestionName } from './congestion-names.js';
import type { Settings } from './settings.js';

type Setter = (settings: Settings, value: number) => void;

const ECN_MODES = ['off', 'on', 'passive', 'accurate', 'accurate-passive'] as const;

// In milliseconds; connections in FIN-WAIT-2 are kept for as long as keep-alives would have tried, unless they are recycled.
const DELAY = 40;
const LONGEST_IDLE = 600_000;
const RECYCLE_AFTER = 60_000;

const SETTERS: Readonly<Record<string, Setter>> = {
  'tcp.rfc1323': ({ tcp }, value) => {
    tcp.timestamps = value === 1 || value === 3;
    tcp.windowScaling = value === 1 || value === 2;
  },
  'tcp.sack.enable': ({ tcp }, value) => (tcp.sack = value !== 0),
  'tcp.delayed_ack': ({ tcp }, value) => {
    tcp.delayedAck = value === 0 ? 0 : tcp.delayedAck || DELAY;
  },
  'tcp.delacktime': ({ tcp }, value) => (tcp.delayedAck = Math.min(499, value)),
  'tcp.rexmit_initial': ({ tcp }, value) => (tcp.initialRto = value),
  'tcp.rexmit_min': ({ tcp }, value) => (tcp.minRto = Math.max(1, value)),
  'tcp.rexmit_slop': ({ tcp }, value) => (tcp.rtoSlop = value),
  'tcp.rfc3042': ({ tcp }, value) => (tcp.limitedTransmit = value !== 0),
  'tcp.do_prr': ({ tcp }, value) => (tcp.prr = value !== 0),
  'tcp.insecure_rst': ({ tcp }, value) => (tcp.exactResets = value === 0),
  'tcp.insecure_syn': ({ tcp }, value) => (tcp.challengeSyns = value === 0),
  'tcp.drop_synfin': ({ tcp }, value) => (tcp.acceptSynFin = value === 0),
  'tcp.minmss': ({ tcp }, value) => (tcp.minMss = Math.max(1, value)),
  'tcp.keepinit': ({ tcp }, value) => (tcp.handshakeTimeout = value),
  'tcp.syncache.rexmtlimit': ({ tcp }, value) => (tcp.synAckRetries = value),
  'tcp.keepidle': ({ keepAlive }, value) => (keepAlive.idle = value),
  'tcp.keepintvl': ({ keepAlive }, value) => (keepAlive.interval = value),
  'tcp.keepcnt': ({ keepAlive }, value) => (keepAlive.count = value),
  'tcp.recvspace': ({ tcp }, value) => (tcp.receiveBuffer = Math.max(1, value)),
  'tcp.sendspace': ({ tcp }, value) => (tcp.sendBuffer = Math.max(1, value)),
  'tcp.ack_war_cnt': ({ tcp }, value) => (tcp.challengeLimit = value === 0 ? Number.POSITIVE_INFINITY : value),
  'tcp.ack_war_timewindow': ({ tcp }, value) => (tcp.challengePeriod = value),
  'tcp.msl': ({ tcp }, value) => (tcp.timeWait = 2 * value),
  'tcp.finwait2_timeout': ({ tcp }, value) => (tcp.finWait2Timeout = value),
  'tcp.fast_finwait2_recycle': ({ tcp }, value) => (tcp.finWait2Timeout = value === 0 ? LONGEST_IDLE : RECYCLE_AFTER),
  'tcp.initcwnd_segments': ({ tcp }, value) => {
    if (value > 0) tcp.initialWindow = value;
  },
  'tcp.abc_l_var': ({ tcp }, value) => (tcp.slowStartLimit = Math.max(1, value)),
  'tcp.tolerate_missing_ts': ({ tcp }, value) => (tcp.acceptMissingTimestamps = value !== 0),
  'tcp.ecn.enable': ({ tcp }, value) => (tcp.ecn = ECN_MODES[value] ?? 'passive'),
  'tcp.ecn.maxretries': ({ tcp }, value) => (tcp.ecnSynRetries = value),
  'tcp.syncookies': ({ tcp }, value) => (tcp.synCookies = value === 0 ? 'off' : 'auto'),
  'kern.ipc.maxsockbuf': ({ tcp }, value) => (tcp.receiveBufferMax = Math.max(1, value)),
  'ip.ttl': (settings, value) => (settings.hopLimit = value),
};

/** Applies a setting; returns whether it is one that means something to us. */
export function freebsdSetting(settings: Settings, name: string, text: string): boolean {
  if (name === 'tcp.cc.algorithm') {
    const congestion = congestionName(text);
    if (congestion !== undefined) settings.tcp.congestion = congestion;
    return congestion !== undefined;
  }
  const setter = Object.hasOwn(SETTERS, name) ? SETTERS[name] : undefined;
  const value = Number(text);
  if (setter === undefined || Number.isNaN(value)) return false;
  setter(settings, value);
  return true;
}
