import { type BackendFactory, createRedisBackend, raw2NextJobData, type RedisQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { groupCommit } from './group-commit.ts';

/**
 * Fetches jobs, each as BullMQ's own script does, in the same order and with the same events, but many in one call: that one reads the same
 * settings and looks for the same delayed jobs again for each. A queue that is paused or has a limit, or whose delayed jobs are due, is left
 * to BullMQ's script, which knows what to do. Lists of versions before 5 are left out.
 *
 * KEYS wait, active, prioritized, delayed, meta, marker, events · ARGV[1] what the keys of jobs begin with · ARGV[2] now in ms ·
 * ARGV[3] how long locks last in ms · then a token for each job that is wanted. Returns as many jobs as there were, as BullMQ's script does.
 */
const fetchScript = `
local call, prefix, now, lockMs = redis.call, ARGV[1], ARGV[2], ARGV[3]
local wait, active, prioritized, delayed, meta, marker, events = unpack(KEYS)
local limits = call('HMGET', meta, 'paused', 'concurrency', 'max')
if limits[1] or limits[2] or limits[3] then return {} end
if #call('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1) > 0 then return {} end
local jobs = {}
for at = 4, #ARGV do
  local id = call('RPOPLPUSH', wait, active)
  if not id then
    id = call('ZPOPMIN', prioritized)[1]
    if not id then break end
    call('LPUSH', active, id)
  end
  local key = prefix .. id
  call('SET', key .. ':lock', ARGV[at], 'PX', lockMs)
  call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  call('HSET', key, 'processedOn', now)
  call('HINCRBY', key, 'ats', 1)
  jobs[#jobs + 1] = { call('HGETALL', key), id, 0, 0 }
end
if #jobs > 0 then call('ZADD', marker, 0, '0') end
return jobs`;

const keys = ['wait', 'active', 'prioritized', 'delayed', 'meta', 'marker', 'events'] as const;

/** What BullMQ takes for a job that was fetched: data, id, and twice nothing. */
type Fetched = ReturnType<typeof raw2NextJobData>;

/**
 * Makes the backend of a worker on `redis`: jobs that it asks for in one turn are fetched in one call. Who gets none by it, and who is alone,
 * asks BullMQ's own script.
 */
export function fetchMany(redis: Redis): BackendFactory<RedisQueueBackend> {
  return (queue, options, connections) => {
    const backend = createRedisBackend(queue, options, connections);
    const names = keys.map((name) => backend.toKey(name));
    const { lockDuration } = options as { lockDuration?: number };
    const fetchOne = backend.moveToActive.bind(backend);
    const calls = groupCommit<string, Fetched>({
      keyOf: (token) => token,
      async write(tokens) {
        if (tokens.length === 1) return new Map();
        const values = [backend.toKey(''), String(Date.now()), String(lockDuration), ...tokens];
        const jobs = (await redis.eval(fetchScript, names.length, ...names, ...values)) as unknown[][];
        return new Map(jobs.map((job, at) => [tokens[at] ?? '', raw2NextJobData(job)]));
      },
    });
    backend.moveToActive = async (token) => (await calls.add(token)) ?? fetchOne(token);
    return backend;
  };
}
