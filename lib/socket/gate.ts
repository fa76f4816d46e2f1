/** Waiting for something to change, with a way out: what the promise faces of connections are made of. */

/** Holds whoever waits until it is opened, or until their signal aborts. */
export class Gate {
  #waiting = new Set<() => void>();

  /** Lets everybody go on. */
  open(): void {
    const released = this.#waiting;
    this.#waiting = new Set();
    for (const release of released) release();
  }

  /** Resolves when the gate is opened next; rejects with the signal's reason. Leaves nothing behind on the signal. */
  wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(reasonOf(signal));
      const release = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting.delete(release);
        reject(reasonOf(signal));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(release);
    });
  }
}

/** Resolves when `earlier` does, which does not reject; rejects with the signal's reason. Leaves nothing behind on the signal. */
export function waitFor(earlier: Promise<void>, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return earlier;
  const gate = new Gate();
  void earlier.then(() => gate.open());
  return gate.wait(signal);
}

/** What an aborted call rejects with. */
export function reasonOf(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  return reason instanceof Error ? reason : new Error('aborted', { cause: reason });
}

/** @throws the signal's reason */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal);
}
