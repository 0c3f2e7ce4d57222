import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { connectRedis } from '@fmhl/ops';
import type { Keys } from '../keys.ts';
import type { Log } from '../log.ts';
import type { ProductMetrics } from '../metrics.ts';
import { type Charge, MemoryCounts } from './memory-counts.ts';
import type { Quota, QuotaName } from './quota.ts';

/** One request against one quota: `subject` is whose. */
export interface Use {
  readonly quota: Quota;
  readonly subject: string;
}

export interface Excess {
  readonly name: QuotaName;
  readonly retryAfterMs: number;
}

export interface LimiterOptions {
  readonly redis: ReturnType<typeof connectRedis>;
  readonly keys: Keys;
  readonly log: Log;
  readonly metrics: Pick<ProductMetrics, 'rateLimitFallbacks' | 'requestsRefused'>;
  /** First part of every Redis key. */
  readonly prefix: string;
}

const takeScript = readFileSync(new URL('take.lua', import.meta.url), 'utf8');
const takeSha = hash('sha1', takeScript);

/** Longest wait for Redis, and how long it is left alone after it did not answer, in ms. */
const answerWithinMs = 250;
const leaveAloneMs = 2_000;

/** Counts requests over all processes in Redis; while that is away, each process counts its own in memory. */
export class Limiter {
  readonly #options: LimiterOptions;
  readonly #memory = new MemoryCounts();
  #away = false;
  #askAgainAt = 0;
  #secret: string | undefined;

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /** Counts one request against each quota in turn, and answers the first that it is beyond; those after it are not charged. */
  async take(uses: readonly Use[]): Promise<Excess | undefined> {
    const live = uses.filter(({ quota }) => quota.limit > 0);
    if (live.length === 0) return undefined;
    const charges = live.map(({ quota, subject }) => ({ ...quota, key: this.#keyOf(quota, subject) }));
    const [place, leftMs] = await this.#take(charges);
    const beyond = charges[place - 1];
    if (!beyond) return undefined;
    this.#options.metrics.requestsRefused(beyond.name).inc();
    return { name: beyond.name, retryAfterMs: leftMs };
  }

  close(): void {
    this.#options.redis.disconnect();
  }

  async #take(charges: readonly Charge[]): Promise<readonly [number, number]> {
    if (Date.now() >= this.#askAgainAt) {
      try {
        const answer = await this.#takeInRedis(charges);
        this.#noteRedis();
        return answer;
      } catch (error) {
        this.#noteAway(error);
      }
    }
    this.#options.metrics.rateLimitFallbacks.inc();
    return this.#memory.take(charges, Date.now());
  }

  async #takeInRedis(charges: readonly Charge[]): Promise<readonly [number, number]> {
    const keys = charges.map(({ key }) => key);
    const bounds = charges.flatMap(({ limit, windowMs }) => [limit, windowMs]);
    const given = [keys.length, ...keys, ...bounds] as const;
    const { redis } = this.#options;
    const call = redis.evalsha(takeSha, ...given).catch((error: unknown) => {
      // A server that was restarted does not know the script.
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return redis.eval(takeScript, ...given);
      throw error;
    });
    return (await within(answerWithinMs, call)) as [number, number];
  }

  /** Addresses and mail addresses are personal: what stands in Redis is a hash with a secret in it. An HMAC took half the time of a count. */
  #keyOf({ name }: Quota, subject: string): string {
    this.#secret ??= this.#options.keys.derive('rate-limit')[0]?.key.toString('hex') ?? '';
    const hashed = hash('sha256', `${this.#secret}:${name}:${subject}`, 'base64url');
    return `${this.#options.prefix}:limit:${name}:${hashed.slice(0, 22)}`;
  }

  #noteAway(error: unknown): void {
    this.#askAgainAt = Date.now() + leaveAloneMs;
    if (!this.#away) this.#options.log.warn('rate_limits_in_memory', { error });
    this.#away = true;
  }

  #noteRedis(): void {
    if (this.#away) this.#options.log.info('rate_limits_in_redis');
    this.#away = false;
  }
}

async function within<T>(ms: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
    // It may still fail after the deadline; that was told already.
    call.catch(() => {});
  }
}
