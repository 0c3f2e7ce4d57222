import { randomBytes } from 'node:crypto';

/** A key prefix for one test file, so that files share a Redis and never a key: `{t-xxxxxxxx}`, in braces to stay on one cluster node. */
export function testPrefix(): string {
  return `{t-${randomBytes(4).toString('hex')}}`;
}
