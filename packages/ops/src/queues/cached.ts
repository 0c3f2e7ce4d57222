export interface CacheOptions {
  /** A value is served as it is for this long, in ms. */
  readonly ttlMs: number;
  /** After that it is still served, while one read makes a new one, for this long, in ms. Default 0: the caller waits for the read. */
  readonly staleMs?: number;
  readonly now?: () => number;
}

/** Answers `read` from memory; simultaneous callers share one read. A failed read is not kept. */
export function cached<T>(
  { ttlMs, staleMs = 0, now = () => performance.now() }: CacheOptions,
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
  return () => {
    const age = last ? now() - last.at : Number.POSITIVE_INFINITY;
    if (last && age < ttlMs) return Promise.resolve(last.value);
    const fresh = refresh();
    if (!last || age >= ttlMs + staleMs) return fresh;
    // Whoever asks when the old value's time is over is told of the failure.
    fresh.catch(() => {});
    return Promise.resolve(last.value);
  };
}
