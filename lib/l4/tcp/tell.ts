/** What a connection has to tell its owner when an event ends; bits. */
export const Tell = {
  CONNECTED: 1,
  URGENT: 2,
  READABLE: 4,
  WRITABLE: 8,
  FLUSHED: 16,
  CLOSED: 32,
  LINGERED: 64,
  TROUBLE: 128,
} as const;
