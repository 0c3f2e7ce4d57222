export interface CacheOptions {
  /** A value is served for this long, in ms; who asks later waits for the next. */
  readonly ttlMs: number;
  readonly now?: () => number;
}

/** Answers `read` from memory; simultaneous callers share one read. A failed read is not kept. */
export function cached<T>(
  { ttlMs, now = () => performance.now() }: CacheOptions,
  read: () => Promise<T>,
): () => Promise<T> {
  let last: { value: T; at: number } | undefined;
  let running: Promise<T> | undefined;
  const refresh = () => {
    running ??= read()
      .then((value) => {
        last = { value, at: now() };
        return value;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };
  return () => (last && now() - last.at < ttlMs ? Promise.resolve(last.value) : refresh());
}
