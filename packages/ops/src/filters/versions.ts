/**
 * Orders two versions of an application: numbers by size, a release above its candidates. Anything without a leading number comes
 * first, by its letters. Negative, zero or positive, as for `sort`.
 */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [partsOf(a), partsOf(b)];
  for (const [at, number] of first.numbers.entries()) {
    const difference = number - (second.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  if (first.rest === second.rest) return 0;
  return first.rest < second.rest ? -1 : 1;
}

/** What decides the place of a version: three numbers, then a text that is ordered by its code units. */
export function partsOf(version: string): { numbers: readonly [number, number, number]; rest: string } {
  const match = /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.\d+)*(?:-([^+]*))?/.exec(version);
  if (!match) return { numbers: [-1, -1, -1], rest: version };
  const [, major = '0', minor = '0', patch = '0', candidate] = match;
  // `~` is above every letter a candidate may have.
  return { numbers: [Number(major), Number(minor), Number(patch)], rest: candidate ?? '~' };
}
