/** The next run of `dlq-cleanup`, `0 0 * * 0` in UTC: the coming Sunday at midnight. */
export function nextCleanup(now: Date): Date {
  const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  return new Date(midnight + (7 - now.getUTCDay()) * 86_400_000);
}
