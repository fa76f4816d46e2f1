/** The words of system calls: constants of Linux, or FreeBSD where they are seen in results, and error numbers. */

import type { Expression } from './expression.js';

const WORDS: Readonly<Record<string, number>> = {
  AF_UNSPEC: 0,
  AF_INET: 2,
  AF_INET6: 10,
  PF_INET: 2,
  PF_INET6: 10,
  SOMAXCONN: 4096,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0x800,
  SOCK_CLOEXEC: 0x80000,
  IPPROTO_IP: 0,
  IPPROTO_TCP: 6,
  IPPROTO_UDP: 17,
  IPPROTO_IPV6: 41,
  INADDR_ANY: 0,
  F_GETFL: 3,
  F_SETFL: 4,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_NONBLOCK: 0x800,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  MSG_OOB: 1,
  MSG_PEEK: 2,
  MSG_DONTWAIT: 0x40,
  MSG_WAITALL: 0x100,
  MSG_TRUNC: 0x20,
  MSG_CTRUNC: 8,
  MSG_EOR: 0x80,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  MSG_ERRQUEUE: 0x2000,
  MSG_ZEROCOPY: 0x400_0000,
  MSG_FASTOPEN: 0x2000_0000,
  SIOCINQ: 0x541b,
  FIONREAD: 0x541b,
  SIOCOUTQ: 0x5411,
  TIOCOUTQ: 0x5411,
  SIOCOUTQNSD: 0x894b,
  FIONBIO: 0x5421,
  POLLIN: 1,
  POLLPRI: 2,
  POLLOUT: 4,
  POLLERR: 8,
  POLLHUP: 0x10,
  POLLNVAL: 0x20,
  POLLRDNORM: 0x40,
  POLLRDBAND: 0x80,
  POLLWRNORM: 0x100,
  POLLWRBAND: 0x200,
  POLLRDHUP: 0x2000,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IP_PMTUDISC_PROBE: 3,
};

/** Error numbers of Linux. */
export const ERRNO: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EINVAL: 22,
  EPIPE: 32,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  ENONET: 64,
  EPROTO: 71,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENETRESET: 102,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

/** The number that an expression stands for; `undefined` where it is none, or a word that is not known. */
export function numberOf(expression: Expression | undefined): number | undefined {
  switch (expression?.kind) {
    case 'number':
      return expression.value;
    case 'word':
      return wordValue(expression.name);
    case 'or': {
      const parts = expression.parts.map(numberOf);
      return parts.reduce((sum, part) => (sum === undefined || part === undefined ? undefined : sum | part), 0);
    }
    case 'call':
      return ['htons', 'htonl', 'ntohs', 'ntohl'].includes(expression.name) ? numberOf(expression.args[0]) : undefined;
    default:
      return undefined;
  }
}

function wordValue(name: string): number | undefined {
  if (Object.hasOwn(WORDS, name)) return WORDS[name];
  return Object.hasOwn(ERRNO, name) ? ERRNO[name] : undefined;
}

/** What is in `[...]`, or the expression itself. */
export function innerOf(expression: Expression | undefined): Expression | undefined {
  return expression?.kind === 'list' ? expression.items[0] : expression;
}

/** The number in `[n]`, or the number. */
export function valueIn(expression: Expression | undefined): number | undefined {
  return numberOf(innerOf(expression));
}

/** Whether a script says a value: with `...` it does not. */
export function isAsked(expression: Expression | undefined): boolean {
  const value = innerOf(expression);
  return value !== undefined && value.kind !== 'any';
}

/** The name of an expression that is a word; a number is its decimal. */
export function nameOf(expression: Expression | undefined): string {
  if (expression?.kind === 'word') return expression.name;
  return expression?.kind === 'number' ? String(expression.value) : '';
}

/** An expression as a script writes it. */
export function expressionText(expression: Expression): string {
  const list = (items: readonly Expression[]) => items.map(expressionText).join(', ');
  switch (expression.kind) {
    case 'any':
      return '...';
    case 'number':
      return String(expression.value);
    case 'word':
      return expression.name;
    case 'string':
      return JSON.stringify(expression.value);
    case 'address':
      return expression.value;
    case 'or':
      return expression.parts.map(expressionText).join('|');
    case 'call':
      return `${expression.name}(${list(expression.args)})`;
    case 'list':
      return `[${list(expression.items)}]`;
    case 'struct':
      return `{${[...[...expression.fields].map(([name, value]) => `${name}=${expressionText(value)}`), ...expression.items.map(expressionText)].join(', ')}}`;
  }
}
