/** When a cleanup is due where no schedule `dlq-cleanup` says it: the coming Sunday at midnight, UTC. */
export function nextCleanup(now: Date): Date {
  const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  return new Date(midnight + (7 - now.getUTCDay()) * 86_400_000);
}
