import type { Redis } from 'ioredis';
import { withDeadline } from '../redis/index.ts';
import { groupCommit } from './group-commit.ts';

/**
 * Ends jobs as failed and removes them, each as BullMQ's own script for one that is not kept does, in the same order and with the same events,
 * but many in one call, and without writing into the job what goes with it. Whoever does not hold a job's lock leaves it alone. Flows,
 * repeats, de-duplication and BullMQ's metrics, which are never used, are left out.
 *
 * KEYS meta, active, stalled, wait, prioritized, events · ARGV[1] what the keys of jobs begin with · then for each job: id, token of the
 * lock, reason, attempts made, attempts allowed. Returns how many were ended.
 */
const endScript = `
local call, prefix = redis.call, ARGV[1]
local meta, active, stalled, wait, prioritized, events = unpack(KEYS)
local length = call('HGET', meta, 'opts.maxLenEvents')
if not length then
  length = '10000'
  call('HSET', meta, 'opts.maxLenEvents', length)
end
local ended = 0
for at = 2, #ARGV, 5 do
  local id, made = ARGV[at], tonumber(ARGV[at + 3])
  local key = prefix .. id
  if call('GET', key .. ':lock') == ARGV[at + 1] then
    call('SREM', stalled, id)
    if call('LREM', active, -1, id) > 0 then
      call('XTRIM', events, 'MAXLEN', '~', length)
      call('DEL', key, key .. ':lock', key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
      call('XADD', events, '*', 'event', 'failed', 'jobId', id, 'failedReason', ARGV[at + 2], 'prev', 'active')
      if made >= tonumber(ARGV[at + 4]) then
        call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
      end
      ended = ended + 1
    else
      call('DEL', key .. ':lock')
    end
  end
end
if ended > 0 and call('LLEN', wait) == 0 and call('LLEN', active) == 0 and call('ZCARD', prioritized) == 0 then
  call('XADD', events, '*', 'event', 'drained')
end
return ended`;

const keys = ['meta', 'active', 'stalled', 'wait', 'prioritized', 'events'] as const;

/** A job under way, as the script takes it. */
export interface EndedJob {
  readonly id: string;
  readonly token: string;
  readonly reason: string;
  readonly attemptsMade: number;
  readonly attempts: number;
}

/** As long as the deadline of other calls that write. */
const answerWithinMs = 5_000;

/**
 * Ends jobs of the queue whose keys begin with `prefix`; those that are asked for while a call is under way share the next one. Rejects when
 * Redis refuses the call, or does not answer in 5 s.
 */
export function openEnds(redis: Redis, prefix: string): (job: EndedJob) => Promise<void> {
  const names = keys.map((name) => `${prefix}:${name}`);
  const calls = groupCommit<EndedJob, true>({
    keyOf: ({ id }) => id,
    async write(jobs) {
      const values = jobs.flatMap(({ id, token, reason, attemptsMade, attempts }) => [
        id,
        token,
        reason,
        String(attemptsMade),
        String(attempts),
      ]);
      const call = redis.eval(endScript, names.length, ...names, `${prefix}:`, ...values);
      await withDeadline(call, answerWithinMs, 'Redis');
      return new Map();
    },
  });
  return async (job) => void (await calls.add(job));
}
