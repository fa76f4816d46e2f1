/**
 * One turn of the platform's event loop: promises, `process.nextTick` and what they cause have run when it resolves. The one
 * place where virtual time waits for the real loop; no time is read and none is waited for.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    // oxlint-disable-next-line no-restricted-globals -- the event loop's turn, not its time
    setImmediate(resolve);
  });
}
