import type { Redis } from 'ioredis';

/**
 * Adds jobs that wait for nothing, each as BullMQ's own scripts for a job and for one with a priority do, in the same order and with the
 * same events, but many in one call: those read the same counters and settings again for each job, and unpack its options to encode them
 * anew. Ids that exist are left as they are. Flows, repeats and de-duplication, which are never used, are left out.
 *
 * KEYS meta, id, wait, prioritized, pc, active, marker, events · ARGV[1] what the keys of jobs begin with · ARGV[2] now in ms · then for
 * each job: id, name, data, options as JSON, priority. Returns how many were new.
 */
const addScript = `
local call, prefix, now = redis.call, ARGV[1], ARGV[2]
local meta, ids, wait, prioritized, counter, active, marker, events = unpack(KEYS)
local length = call('HGET', meta, 'opts.maxLenEvents')
if not length then
  length = '10000'
  call('HSET', meta, 'opts.maxLenEvents', length)
end
call('INCRBY', ids, (#ARGV - 2) / 5)
local added = 0
for at = 3, #ARGV, 5 do
  local id, name, priority = ARGV[at], ARGV[at + 1], ARGV[at + 4]
  local key = prefix .. id
  if call('EXISTS', key) == 1 then
    call('XADD', events, 'MAXLEN', '~', length, '*', 'event', 'duplicated', 'jobId', id)
  else
    call('HSET', key, 'name', name, 'data', ARGV[at + 2], 'opts', ARGV[at + 3], 'timestamp', now, 'delay', '0', 'priority', priority)
    call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
    if priority == '0' then
      call('LPUSH', wait, id)
    else
      call('ZADD', prioritized, tonumber(priority) * 0x100000000 + call('INCR', counter) % 0x100000000, id)
    end
    call('XADD', events, 'MAXLEN', '~', length, '*', 'event', 'waiting', 'jobId', id)
    added = added + 1
  end
end
local limits = call('HMGET', meta, 'paused', 'concurrency')
local isFull = limits[2] and call('LLEN', active) >= tonumber(limits[2])
if added > 0 and not limits[1] and not isFull then call('ZADD', marker, 0, '0') end
return added`;

const keys = ['meta', 'id', 'wait', 'prioritized', 'pc', 'active', 'marker', 'events'] as const;

/** Redis does nothing else during one call: about 2 ms. */
const jobsACall = 100;

/** A job as the script takes it. `options` are JSON. */
export interface AddedJob {
  readonly id: string;
  readonly name: string;
  readonly data: string;
  readonly options: string;
  /** 0 for none. */
  readonly priority: number;
}

/** Adds jobs without a delay to the queue whose keys begin with `prefix`. Throws when Redis refuses one of the calls; what it took stays. */
export async function addReady(redis: Redis, prefix: string, jobs: readonly AddedJob[]): Promise<void> {
  const pipeline = redis.pipeline();
  const names = keys.map((name) => `${prefix}:${name}`);
  for (let from = 0; from < jobs.length; from += jobsACall) {
    const values = jobs
      .slice(from, from + jobsACall)
      .flatMap(({ id, name, data, options, priority }) => [id, name, data, options, String(priority)]);
    pipeline.eval(addScript, names.length, ...names, `${prefix}:`, String(Date.now()), ...values);
  }
  const failure = (await pipeline.exec())?.find(([error]) => error)?.[0];
  if (failure) throw failure;
}
