import { compareVersions } from '../filters/index.ts';

/** When the first worker of each version began, ISO 8601: the order of versions that are not numbers. */
export type FirstStarts = ReadonlyMap<string, string>;

/**
 * Is `version` the one a fix went into, or newer? Numbers are compared as versions; other names, such as those of commits, by the first
 * start of their workers. What cannot be compared is not newer.
 */
export function isAtLeast(version: string, fixedIn: string, starts: FirstStarts): boolean {
  if (version === fixedIn) return true;
  if (isNumbered(version) && isNumbered(fixedIn)) return compareVersions(version, fixedIn) >= 0;
  const [started, fixed] = [starts.get(version), starts.get(fixedIn)];
  return started !== undefined && fixed !== undefined && started > fixed;
}

function isNumbered(version: string): boolean {
  return /^v?\d{1,9}(\.\d{1,9})+(-[0-9A-Za-z.-]+)?(\+.*)?$/.test(version);
}
