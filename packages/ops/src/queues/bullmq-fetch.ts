import {
  type BackendFactory,
  createRedisBackend,
  raw2NextJobData,
  type RedisQueueBackend,
  type WorkerOptions,
} from 'bullmq';
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
local wanted = #ARGV - 3
local ids = call('RPOP', wait, wanted) or {}
local popped = #ids < wanted and call('ZPOPMIN', prioritized, wanted - #ids) or {}
for at = 1, #popped, 2 do ids[#ids + 1] = popped[at] end
if #ids == 0 then return {} end
call('LPUSH', active, unpack(ids))
local jobs = {}
for at, id in ipairs(ids) do
  local key = prefix .. id
  call('SET', key .. ':lock', ARGV[at + 3], 'PX', lockMs)
  call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  local job, starts = call('HGETALL', key), 1
  for of = 1, #job, 2 do
    if job[of] == 'ats' then starts = (tonumber(job[of + 1]) or 0) + 1 end
  end
  call('HSET', key, 'processedOn', now, 'ats', starts)
  -- Of a field that is told twice the last counts.
  for _, told in ipairs({ 'processedOn', now, 'ats', tostring(starts) }) do job[#job + 1] = told end
  jobs[at] = { job, id, 0, 0 }
end
call('ZADD', marker, 0, '0')
return jobs`;

const keys = ['wait', 'active', 'prioritized', 'delayed', 'meta', 'marker', 'events'] as const;

/**
 * Makes the backend of a worker on `redis`: jobs that it asks for in one turn are fetched in one call. Who gets none by it, and who is alone,
 * asks BullMQ's own script. So does everybody of a worker with a name or a limiter, which the script knows nothing of.
 */
export function fetchMany(redis: Redis): BackendFactory<RedisQueueBackend> {
  return (queue, options, connections) => {
    const backend = createRedisBackend(queue, options, connections);
    const { lockDuration, name, limiter } = options as Partial<WorkerOptions>;
    if (name !== undefined || limiter) return backend;
    const names = keys.map((key) => backend.toKey(key));
    const fetchOne = backend.moveToActive.bind(backend);
    const calls = groupCommit<string, unknown[]>({
      keyOf: (token) => token,
      async write(tokens) {
        if (tokens.length === 1) return new Map();
        const values = [backend.toKey(''), String(Date.now()), String(lockDuration), ...tokens];
        const jobs = (await redis.eval(fetchScript, names.length, ...names, ...values)) as unknown[][];
        return new Map(jobs.map((job, at) => [tokens[at] ?? '', job]));
      },
    });
    backend.moveToActive = async (token) => {
      const job = await calls.add(token);
      // Read for each alone: one that is not JSON must not take the others along, which are this worker's already.
      return job ? raw2NextJobData(job) : fetchOne(token);
    };
    return backend;
  };
}
