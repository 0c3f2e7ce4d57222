import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface RedisOptions {
  /** `redis://…`, `rediss://…`, or the path of a unix socket. */
  readonly url: string;
  readonly connectionName?: string;
  /** Told of connection errors; the client reconnects by itself. */
  readonly onError?: (error: Error) => void;
}

/** Longest pause between two attempts to reconnect, in ms: readiness must return within 2 s of the server. */
const longestReconnectPauseMs = 500;

/**
 * Connects for short commands: each fails within one retry instead of waiting for a server that is away.
 * For BullMQ's workers use {@link workerConnection}, whose blocking reads must wait for ever.
 */
export function connectRedis(options: RedisOptions): Redis {
  return client(options, { maxRetriesPerRequest: 1, commandTimeout: 10_000 });
}

/** A connection for BullMQ, which needs commands that outlive a reconnect. */
export function workerConnection(options: RedisOptions): Redis {
  return client(options, { maxRetriesPerRequest: null });
}

function client(
  options: RedisOptions,
  settings: { maxRetriesPerRequest: number | null; commandTimeout?: number },
): Redis {
  const redis = new Redis(options.url, {
    ...settings,
    ...(options.connectionName && { connectionName: options.connectionName }),
    connectTimeout: 5_000,
    enableReadyCheck: true,
    retryStrategy: (times) => Math.min(50 * times, longestReconnectPauseMs),
  });
  redis.on('error', (error: Error) => options.onError?.(error));
  return redis;
}

/** Thrown when Redis did not answer in time. */
export class RedisTimeout extends Error {
  override name = 'RedisTimeout';
}

/** Bounds a call to Redis: libraries on top of it wait for ever for a server that never comes. */
export async function withDeadline<T>(call: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController();
  const expiry = wait(ms, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new RedisTimeout(`${what}: no answer within ${ms} ms`);
  });
  // The call may still fail after the deadline; that failure has been reported as the timeout.
  call.catch(() => {});
  expiry.catch(() => {});
  try {
    return await Promise.race([call, expiry]);
  } finally {
    timer.abort();
  }
}

/** Refuses a Redis that may throw jobs away. Throws an error that names the setting to change. */
export async function refuseEviction(redis: Redis): Promise<void> {
  const info = await withDeadline(redis.info('memory'), 5_000, 'INFO memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    throw new Error(
      `Redis evicts keys (maxmemory-policy ${policy}), which loses jobs; set "maxmemory-policy noeviction"`,
    );
  }
}
