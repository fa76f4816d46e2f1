/** Ports of the benchmark's application. */
export const PORTS = { discard: 9001, source: 9002, echo: 9003, udp: 9004 } as const;
