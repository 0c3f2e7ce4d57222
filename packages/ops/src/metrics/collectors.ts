/** What a collector needs to run. `publish` and `withdraw` write and remove its series. */
export interface CollectorOptions<Readings> {
  read: () => Promise<Readings>;
  publish: (readings: Readings) => void;
  withdraw: () => void;
  onFailure: (error: unknown) => void;
  timeoutMs: number;
  cacheMs: number;
  now: () => number;
}

/** The collector's read took longer than its time. */
export class CollectorTimeout extends Error {
  override name = 'CollectorTimeout';
}

// A read that never settles is given up after this many timeouts, so that a collector recovers from a lost answer.
const patience = 10;

/**
 * Makes the function that refreshes one collector's series before a scrape: fresh ones are kept, simultaneous calls share
 * a read, and a read that throws or hangs removes the series. It never rejects and takes at most `timeoutMs`.
 */
export function createCollector<Readings>(options: CollectorOptions<Readings>): () => Promise<void> {
  const { timeoutMs, cacheMs, now } = options;
  let refreshedAt = Number.NEGATIVE_INFINITY;
  let current: { read: Promise<Readings>; startedAt: number } | undefined;
  let refreshing: Promise<void> | undefined;

  function begin() {
    if (current && now() - current.startedAt < patience * timeoutMs) return current;
    const started = { read: (async () => options.read())(), startedAt: now() };
    current = started;
    const settle = () => {
      if (current === started) current = undefined;
    };
    started.read.then(settle, settle);
    return started;
  }

  async function refresh() {
    try {
      options.publish(await within(timeoutMs, begin().read));
      refreshedAt = now();
    } catch (error) {
      refreshedAt = Number.NEGATIVE_INFINITY;
      options.withdraw();
      options.onFailure(error);
    }
  }

  return () => {
    if (now() - refreshedAt < cacheMs) return Promise.resolve();
    refreshing ??= refresh().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new CollectorTimeout(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
