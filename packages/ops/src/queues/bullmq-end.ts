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
call('XTRIM', events, 'MAXLEN', '~', length)
local locks = {}
for at = 2, #ARGV, 5 do locks[#locks + 1] = prefix .. ARGV[at] .. ':lock' end
local ended, held, gone = 0, {}, {}
for at, token in ipairs(call('MGET', unpack(locks))) do
  local id, lock, reason, made, allowed = unpack(ARGV, at * 5 - 3, at * 5 + 1)
  if token == lock then
    held[#held + 1] = id
    gone[#gone + 1] = locks[at]
    if call('LREM', active, -1, id) > 0 then
      ended = ended + 1
      for _, part in ipairs({ '', ':logs', ':dependencies', ':processed', ':failed', ':unsuccessful' }) do
        gone[#gone + 1] = prefix .. id .. part
      end
      call('XADD', events, '*', 'event', 'failed', 'jobId', id, 'failedReason', reason, 'prev', 'active')
      if tonumber(made) >= tonumber(allowed) then
        call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', tonumber(made))
      end
    end
  end
end
if #held == 0 then return 0 end
call('SREM', stalled, unpack(held))
call('DEL', unpack(gone))
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
