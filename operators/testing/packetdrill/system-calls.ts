/** The system calls that scripts may make. */

const CALLS: ReadonlySet<string> = new Set([
  'socket',
  'bind',
  'listen',
  'accept',
  'accept4',
  'connect',
  'read',
  'readv',
  'recv',
  'recvfrom',
  'recvmsg',
  'write',
  'writev',
  'send',
  'sendto',
  'sendmsg',
  'fcntl',
  'ioctl',
  'close',
  'shutdown',
  'getsockopt',
  'setsockopt',
  'poll',
]);

/** Whether a script may call it. */
export function isSystemCall(name: string): boolean {
  return CALLS.has(name);
}

/** Calls that prepare a test: that they succeed shows nothing. */
const PREPARATIONS: ReadonlySet<string> = new Set(['socket', 'bind', 'listen', 'setsockopt', 'fcntl', 'close']);

/** Whether a call's success is no assertion. */
export function isPreparation(name: string, errno: string | undefined): boolean {
  return errno === undefined && PREPARATIONS.has(name);
}
