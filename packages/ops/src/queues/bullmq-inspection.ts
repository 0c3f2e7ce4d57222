import type { Redis } from 'ioredis';

/** Where Redis has one job. */
export interface RedisPlace {
  readonly state: 'waiting' | 'active' | 'delayed' | 'waiting_children' | 'failed' | 'absent';
  /** Jobs that will be fetched before it; null unless it waits. */
  readonly ahead: number | null;
  /** How many of those are ahead by their priority. */
  readonly aheadByPriority: number;
  /** A worker holds the lock of the job. */
  readonly hasLock: boolean;
}

/** The options of a job as its producer set them. */
export interface SampledJob {
  readonly runKey: string;
  readonly options: Record<string, unknown>;
}

/** Questions to BullMQ's keys. They change nothing. Each throws when Redis is away or does not answer in time. */
export interface RedisInspection {
  isPaused(queue: string): Promise<boolean>;
  /** The jobs that are fetched next: the first by order and the first by priority. */
  heads(queue: string): Promise<string[]>;
  place(queue: string, runKey: string): Promise<RedisPlace>;
  /** Jobs under way, 1,000 at most. */
  activeJobs(queue: string): Promise<{ runKey: string; hasLock: boolean }[]>;
  /** How long a limit of BullMQ keeps the queue from fetching, in ms; 0 for not at all. */
  limitedForMs(queue: string): Promise<number>;
  /** A few of the jobs that wait. */
  sample(queue: string): Promise<SampledJob[]>;
  /** Those of the jobs that wait for their time. */
  delayed(queue: string, runKeys: readonly string[]): Promise<string[]>;
  /** In how many places each of these jobs is at one moment: in one, where all is well. Undefined where more wait than can be looked through. */
  places(queue: string, runKeys: readonly string[]): Promise<number[] | undefined>;
  /** The data of the first `count` jobs of each place, as Redis has it. */
  contents(queue: string, count: number): Promise<{ readonly id: string; readonly data: string | null }[]>;
}

type Pipeline = ReturnType<Redis['pipeline']>;
type Ask = (fill: (pipeline: Pipeline) => unknown) => Promise<unknown[]>;
type Bounded = <T>(call: Promise<T>) => Promise<T>;

const mostActive = 1_000;
const sampleSize = 20;
/** Jobs that wait in one list; the dispatcher keeps them below 10,000. */
const mostListed = 50_000;
const sets = ['prioritized', 'delayed', 'waiting-children', 'failed'] as const;
/** BullMQ scores a job of a priority by `priority * bandWidth + counter`. */
const bandWidth = 0x1_0000_0000;

export function inspectRedis(redis: Redis, prefix: string, bounded: Bounded): RedisInspection {
  const ask: Ask = async (fill) => {
    const pipeline = redis.pipeline();
    fill(pipeline);
    const replies = (await bounded(pipeline.exec())) ?? [];
    const failure = replies.find(([error]) => error)?.[0];
    if (failure) throw failure;
    return replies.map(([, value]) => value);
  };
  const askEach = (ids: readonly string[], question: (pipeline: Pipeline, id: string) => unknown) =>
    ask((all) => {
      for (const id of ids) question(all, id);
    });
  const key = (queue: string, name: string) => `${prefix}:${queue}:${name}`;
  return {
    isPaused: async (queue) => (await bounded(redis.hexists(key(queue, 'meta'), 'paused'))) === 1,
    async heads(queue) {
      const [next, first] = await ask((all) =>
        all.lindex(key(queue, 'wait'), -1).zrange(key(queue, 'prioritized'), '0', '0'),
      );
      return [next, ...(first as string[])].filter((id): id is string => typeof id === 'string');
    },
    place: (queue, runKey) => findPlace(ask, (name) => key(queue, name), runKey),
    async activeJobs(queue) {
      const ids = await bounded(redis.lrange(key(queue, 'active'), 0, mostActive - 1));
      const locks = await askEach(ids, (all, id) => all.exists(key(queue, `${id}:lock`)));
      return ids.map((runKey, at) => ({ runKey, hasLock: locks[at] === 1 }));
    },
    limitedForMs: async (queue) => Math.max(0, await bounded(redis.pttl(key(queue, 'limiter')))),
    async sample(queue) {
      const [wait, delayed] = await ask((all) =>
        all.lrange(key(queue, 'wait'), -sampleSize, -1).zrange(key(queue, 'delayed'), '0', String(sampleSize - 1)),
      );
      const ids = [...(wait as string[]), ...(delayed as string[])];
      const options = await askEach(ids, (all, id) => all.hget(key(queue, id), 'opts'));
      return ids.map((runKey, at) => ({ runKey, options: parsed(options[at]) }));
    },
    async delayed(queue, runKeys) {
      const scores = await askEach(runKeys, (all, runKey) => all.zscore(key(queue, 'delayed'), runKey));
      return runKeys.filter((_runKey, at) => typeof scores[at] === 'string');
    },
    places: (queue, runKeys) => countPlaces({ redis, bounded, key: (name) => key(queue, name) }, runKeys),
    async contents(queue, count) {
      const last = String(count - 1);
      const ids = (await ask((all) => {
        for (const list of ['wait', 'active']) all.lrange(key(queue, list), 0, last);
        for (const set of sets) all.zrange(key(queue, set), '0', last);
      })) as string[][];
      const unique = [...new Set(ids.flat())];
      const data = await askEach(unique, (all, id) => all.hget(key(queue, id), 'data'));
      return unique.map((id, at) => ({ id, data: typeof data[at] === 'string' ? data[at] : null }));
    },
  };
}

/** One transaction of Redis: a job that moves meanwhile would be seen in two places, or in none. */
async function countPlaces(
  { redis, bounded, key }: { redis: Redis; bounded: Bounded; key: (name: string) => string },
  runKeys: readonly string[],
): Promise<number[] | undefined> {
  if (runKeys.length === 0) return [];
  const all = redis.multi().llen(key('wait')).lrange(key('wait'), 0, mostListed).lrange(key('active'), 0, mostListed);
  for (const set of sets) all.zmscore(key(set), ...runKeys);
  const replies = (await bounded(all.exec())) ?? [];
  const failure = replies.find(([error]) => error)?.[0];
  if (failure) throw failure;
  const [waiting, wait, active, ...scores] = replies.map(([, value]) => value) as [
    number,
    string[],
    string[],
    ...unknown[],
  ];
  if (waiting > mostListed) return undefined;
  const listed = new Map<string, number>();
  for (const id of [...wait, ...active]) listed.set(id, (listed.get(id) ?? 0) + 1);
  const inSets = (at: number) => scores.filter((found) => typeof (found as unknown[])[at] === 'string').length;
  return runKeys.map((id, at) => (listed.get(id) ?? 0) + inSets(at));
}

async function findPlace(ask: Ask, key: (name: string) => string, runKey: string): Promise<RedisPlace> {
  const [index, waiting, rank, score, active, delayed, parent, failed, lock] = (await ask((all) =>
    all
      // Jobs are fetched from the tail; searching from there finds the next ones first.
      .lpos(key('wait'), runKey, 'RANK', -1)
      .llen(key('wait'))
      .zrank(key('prioritized'), runKey)
      .zscore(key('prioritized'), runKey)
      .lpos(key('active'), runKey)
      .zscore(key('delayed'), runKey)
      .zscore(key('waiting-children'), runKey)
      .zscore(key('failed'), runKey)
      .exists(key(`${runKey}:lock`)),
  )) as (number | string | null)[];
  const hasLock = lock === 1;
  const inOrder = Number(waiting);
  const elsewhere = (state: RedisPlace['state']): RedisPlace => ({ state, ahead: null, aheadByPriority: 0, hasLock });
  if (typeof index === 'number') {
    return { state: 'waiting', ahead: inOrder - 1 - index, aheadByPriority: 0, hasLock };
  }
  if (typeof rank === 'number') {
    const band = Math.floor(Number(score) / bandWidth) * bandWidth;
    const [before] = await ask((all) => all.zcount(key('prioritized'), '-inf', `(${band}`));
    return { state: 'waiting', ahead: inOrder + rank, aheadByPriority: inOrder + Number(before), hasLock };
  }
  if (typeof active === 'number') return elsewhere('active');
  if (delayed !== null) return elsewhere('delayed');
  if (parent !== null) return elsewhere('waiting_children');
  return elsewhere(failed === null ? 'absent' : 'failed');
}

function parsed(options: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(options));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
