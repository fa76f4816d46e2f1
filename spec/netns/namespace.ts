/** Network namespaces for tests: skipped, loudly, where there is no root or no TAP. */

import { Namespace, whyNoNamespaces } from '../../bench/namespace.js';

export { Namespace, openTapIn, type Ran, type RunOptions, whyNoNamespaces } from '../../bench/namespace.js';

/** What {@link describeNetns} gives to its tests. */
export interface Netns {
  /** The namespace made for the test that is running. */
  readonly namespace: Namespace;
  /** A further one, removed after the test as well. */
  make(label?: string): Namespace;
}

/** Made, and not yet removed. */
const standing = new Set<Namespace>();

/** All of them, even where one cannot be: what runs in the others would keep this process from ending. */
function removeAll(): void {
  const failures: unknown[] = [];
  for (const namespace of standing) {
    standing.delete(namespace);
    try {
      namespace.remove();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** A `describe` whose tests each get a fresh namespace; skipped with a message where that cannot be. */
export function describeNetns(title: string, body: (netns: Netns) => void): void {
  const why = whyNoNamespaces();
  if (why !== undefined) {
    console.warn(`SKIPPED: ${title}: ${why}`);
    describe.skip(`${title} (${why})`, () => body({ namespace: undefined as never, make: () => undefined as never }));
    return;
  }
  describe(title, () => {
    const make = (label?: string): Namespace => {
      const namespace = new Namespace(label);
      standing.add(namespace);
      return namespace;
    };
    beforeEach(() => void make());
    afterEach(removeAll);
    body({
      get namespace(): Namespace {
        const [first] = standing;
        if (first === undefined) throw new Error('there is a namespace only while a test runs');
        return first;
      },
      make,
    });
  });
}
