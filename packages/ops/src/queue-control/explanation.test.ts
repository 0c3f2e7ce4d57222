import { describe, expect, it } from 'vitest';
import { type BacklogFacts, explainJob, explainQueue, type JobFacts, type QueueFacts } from './explanation.ts';

const now = new Date('2026-01-02T14:30:00Z');
const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000);

/** The queue of these tables. */
const queue = 'work';
const calm: QueueFacts = {
  now,
  queue,
  pause: null,
  redis: { paused: false, waiting: 10, active: 4, limitedForMs: 0 },
  workers: 2,
  perMinute: 60,
  redrive: null,
  mostWaiting: 10_000,
};
const waits: JobFacts = {
  jobId: 'task-1',
  state: 'waiting',
  enqueuedAt: at(-60),
  runAt: at(-60),
  startedAt: null,
  endedAt: null,
  dispatched: true,
  priority: 0,
  isRetry: false,
  crashes: 0,
  place: { state: 'waiting', ahead: 10, aheadByPriority: 0, hasLock: false },
  workerSeenAt: null,
  ahead: 10,
};
const pause = { by: 'Ana', at: at(-5).toISOString(), reason: 'mail is down', until: null };
const place = { state: 'active', ahead: null, aheadByPriority: 0, hasLock: true } as const;
const under = { ...waits, state: 'active', startedAt: at(-9), ahead: null, place, workerSeenAt: at(-2) } as const;
const codes = (queue: Partial<QueueFacts>, job: Partial<JobFacts> = {}) =>
  explainJob({ ...calm, ...queue }, { ...waits, ...job }).reasons.map(({ code }) => code);

describe('why a job does not run', () => {
  it.each<[string[], Partial<QueueFacts>, Partial<JobFacts>]>([
    [['workers_busy'], {}, {}],
    [['queue_paused', 'workers_busy'], { pause }, {}],
    [['queue_paused', 'workers_busy'], { redis: { paused: true, waiting: 10, active: 4, limitedForMs: 0 } }, {}],
    [['redis_unavailable', 'workers_busy'], { redis: null }, { place: null }],
    [['no_workers'], { workers: 0 }, {}],
    [['delayed_until'], {}, { state: 'delayed', runAt: at(60) }],
    [['delayed_until', 'not_dispatched'], {}, { state: 'delayed', runAt: at(60), dispatched: false, place: null }],
    [['not_dispatched'], {}, { dispatched: false, ahead: 0 }],
    [['waiting_for_children'], {}, { ahead: 0, place: { ...place, state: 'waiting_children' } }],
    [['rate_limited'], { redis: { paused: false, waiting: 1, active: 0, limitedForMs: 900 } }, { ahead: 0 }],
    [['behind_priority', 'workers_busy'], {}, { place: { ...place, state: 'waiting', aheadByPriority: 7 } }],
    [['behind_redrive', 'workers_busy'], { redrive: { id: 'r', name: 'outage' } }, { isRetry: true }],
    [['workers_busy'], { redrive: { id: 'r', name: 'outage' } }, { isRetry: false }],
    [['stalled_before'], {}, { ahead: 0, crashes: 2 }],
    [['unknown'], {}, { ahead: 0 }],
    [['unknown'], {}, { ahead: null }],
    [[], {}, under],
    [['worker_silent'], {}, { ...under, place: { ...place, hasLock: false } }],
    [['worker_silent'], {}, { ...under, workerSeenAt: at(-31) }],
    [['stalled_before'], {}, { ...under, crashes: 1 }],
    [[], { pause, workers: 0 }, { state: 'done', endedAt: at(-1) }],
    [[], { pause, workers: 0 }, { state: 'dead', endedAt: at(-1) }],
  ])('is %j', (expected, queue, job) => {
    expect(codes(queue, job)).toEqual(expected);
  });

  it('comes strongest first, with a sentence and the request that would help', () => {
    const { reasons } = explainJob(
      { ...calm, pause, workers: 0 },
      { ...waits, state: 'delayed', runAt: at(60), dispatched: false },
    );
    expect(reasons.map(({ code }) => code)).toEqual(['queue_paused', 'no_workers', 'delayed_until', 'not_dispatched']);
    expect(reasons[0]).toMatchObject({
      text: 'Ana paused the queue: mail is down. It ends when somebody resumes it.',
      facts: { by: 'Ana', reason: 'mail is down' },
      action: { method: 'POST', path: `/queues/${queue}/resume`, permission: 'queue.control' },
    });
    expect(reasons[2]?.action).toEqual({
      method: 'POST',
      path: `/queues/${queue}/jobs/task-1/promote`,
      permission: 'job.control',
    });
  });

  it('says how long a full Redis keeps it in Postgres', () => {
    const redis = { paused: false, waiting: 10_000, active: 4, limitedForMs: 0 };
    const [reason] = explainJob({ ...calm, redis }, { ...waits, dispatched: false }).reasons;
    expect(reason).toMatchObject({ code: 'not_dispatched', facts: { queue_full: true, most_waiting: 10_000 } });
  });
});

describe('when a job will run', () => {
  const eta = (queue: Partial<QueueFacts>, job: Partial<JobFacts> = {}) =>
    explainJob({ ...calm, ...queue }, { ...waits, ...job }).eta;

  it('follows from the jobs ahead and the rate', () => {
    expect(eta({})).toEqual({ at: at(10).toISOString(), basis: '1 jobs/s over 5 min', sure: true });
  });

  it('counts from when it may run, and from the end of a pause, and is then not sure', () => {
    expect(eta({}, { state: 'delayed', runAt: at(60) })).toMatchObject({ at: at(70).toISOString(), sure: false });
    const ends = { ...pause, until: at(100).toISOString() };
    expect(eta({ pause: ends })).toMatchObject({ at: at(110).toISOString(), sure: false });
  });

  it.each<[string, Partial<QueueFacts>]>([
    ['nothing leaves the queue', { perMinute: 0 }],
    ['nobody knows the rate', { perMinute: null }],
    ['there is no worker', { workers: 0 }],
    ['the queue is paused without end', { pause }],
  ])('is not said where %s', (_why, queue) => {
    expect(eta(queue)).toBeNull();
  });

  it('never has the words for it', () => {
    const [reason] = explainJob({ ...calm, perMinute: 0 }, waits).reasons;
    expect(reason?.text).toMatch(/never at this rate\.$/);
  });
});

describe('why a queue waits', () => {
  const backlog: BacklogFacts = { depth: 10, active: 4, delayed: 0, notDispatched: 0, oldestAgeS: 30 };
  it.each<[string, string[], Partial<BacklogFacts>, Partial<QueueFacts>]>([
    ['waiting', ['workers_busy'], {}, {}],
    ['waiting', ['no_workers'], {}, { workers: 0 }],
    ['waiting', ['queue_paused', 'workers_busy'], {}, { pause }],
    ['waiting', ['not_dispatched', 'workers_busy'], { notDispatched: 3 }, {}],
    ['working', [], { depth: 0 }, {}],
    ['delayed', ['delayed_until'], { depth: 0, active: 0, delayed: 2 }, {}],
    ['idle', [], { depth: 0, active: 0, oldestAgeS: null }, { workers: 0 }],
  ])('is %s because of %j', (state, reasons, facts, queue) => {
    const told = explainQueue({ ...calm, ...queue }, { ...backlog, ...facts });
    expect([told.state, told.reasons.map(({ code }) => code)]).toEqual([state, reasons]);
  });

  it('says since when the oldest waits and when the queue is empty', () => {
    expect(explainQueue(calm, backlog)).toMatchObject({
      since: at(-30).toISOString(),
      ahead: 10,
      eta: { at: at(10).toISOString() },
    });
  });
});
