/** Two time lines side by side, as lines of text that people can compare. */

/** Something that happened, or should have. */
export interface TimelineEntry {
  /** Milliseconds. */
  readonly time: number;
  /** What it was, as a canonical line. */
  readonly text: string;
}

/** Whether both are the same in the same order. */
export function sameTimeline(expected: readonly TimelineEntry[], actual: readonly TimelineEntry[]): boolean {
  return expected.length === actual.length && expected.every((entry, index) => same(entry, actual[index]));
}

function same(a: TimelineEntry | undefined, b: TimelineEntry | undefined): boolean {
  return a !== undefined && b !== undefined && a.time === b.time && a.text === b.text;
}

/** A diff of the two: `-` is expected and missing, `+` is there and was not expected. */
export function timelineDiff(expected: readonly TimelineEntry[], actual: readonly TimelineEntry[]): string {
  const lines: string[] = [];
  const common = longestCommon(expected, actual);
  let [e, a] = [0, 0];
  for (const [nextE, nextA] of [...common, [expected.length, actual.length] as const]) {
    for (; e < nextE; e++) lines.push(line('-', expected[e]));
    for (; a < nextA; a++) lines.push(line('+', actual[a]));
    if (nextE < expected.length) lines.push(line(' ', expected[nextE]));
    e = nextE + 1;
    a = nextA + 1;
  }
  return lines.join('\n');
}

function line(mark: string, entry: TimelineEntry | undefined): string {
  const time = `${Math.round((entry?.time ?? 0) * 1000) / 1000} ms`;
  return `${mark} ${time.padStart(10)}  ${entry?.text ?? ''}`;
}

/** Index pairs of the longest common subsequence; both time lines of a test are short. */
function longestCommon(
  expected: readonly TimelineEntry[],
  actual: readonly TimelineEntry[],
): readonly (readonly [number, number])[] {
  const width = actual.length + 1;
  const lengths = new Uint32Array((expected.length + 1) * width);
  const at = (e: number, a: number): number => lengths[e * width + a] ?? 0;
  for (let e = expected.length - 1; e >= 0; e--) {
    for (let a = actual.length - 1; a >= 0; a--) {
      lengths[e * width + a] = same(expected[e], actual[a])
        ? at(e + 1, a + 1) + 1
        : Math.max(at(e + 1, a), at(e, a + 1));
    }
  }
  const pairs: [number, number][] = [];
  for (let e = 0, a = 0; e < expected.length && a < actual.length; ) {
    if (same(expected[e], actual[a])) pairs.push([e++, a++]);
    else if (at(e + 1, a) >= at(e, a + 1)) e++;
    else a++;
  }
  return pairs;
}
