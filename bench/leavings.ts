/** What processes that make namespaces and directories leave behind where they are interrupted: nothing. */

/** Something of the machine's that is to be removed. */
interface Removable {
  remove(): void;
}

const left = new Set<Removable>();

/** It is removed when this process ends, unless it has been before: see {@link removed}. */
export function removeAtExit(one: Removable): void {
  if (left.size === 0) process.on('exit', removeAll);
  left.add(one);
}

export function removed(one: Removable): void {
  left.delete(one);
  if (left.size === 0) process.off('exit', removeAll);
}

function removeAll(): void {
  // Those that were made last may need those before them.
  for (const one of [...left].toReversed()) {
    try {
      one.remove();
    } catch (error) {
      process.stderr.write(`left behind: ${String(error)}\n`);
    }
  }
}

/** Has the signals that interrupt a program end it as `process.exit` does. */
export function exitOnSignals(): void {
  const numbers = { SIGINT: 2, SIGTERM: 15 } as const;
  for (const [signal, number] of Object.entries(numbers)) process.once(signal, () => process.exit(128 + number));
}
