import { inject } from 'vitest';
import { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { sql } from '../postgres/index.ts';
import { defineQueue, enqueue, type JobHandler } from '../queues/index.ts';
import { openTestPlane, pollUntil, type TestPlane } from '../testing/index.ts';
import { retryLetter, type RetryRequest } from './index.ts';

export const ana: Actor = { id: '7f1c1f52-5f9e-4c2a-9d3e-0d4d1b6a2f10', name: 'Ana', via: 'http' };

const task = z.strictObject({ n: z.int(), note: z.string().optional() });
export type Task = z.infer<typeof task>;

/** A queue of jobs that may die. `pay` does harm when it is repeated, and locks its amount. */
export const work = defineQueue({
  name: 'work',
  aliases: ['labour'],
  attempts: 2,
  backoffMs: [10],
  kinds: {
    task: { schema: task, sideEffect: 'guarded' },
    pay: {
      schema: z.strictObject({ cents: z.int(), memo: z.string() }),
      sideEffect: 'unsafe',
      lockedPaths: ['/cents'],
    },
    stale: { schema: task, sideEffect: 'idempotent', safeForMs: 1 },
  },
});
export const spare = defineQueue({
  name: 'spare',
  attempts: 1,
  backoffMs: [],
  kinds: { task: { schema: task, sideEffect: 'guarded' } },
});

/** One row of `ops.dead_letter_queue`. */
export type LetterRow = Record<string, unknown> & { id: string; state: string; version: number; generation: number };

/** A plane with both queues, and a table of effects without a unique key: a doubled effect shows in place of being prevented. */
export async function openLetters(options: Partial<Parameters<typeof openTestPlane>[0]> = {}) {
  const plane = await openTestPlane({
    adminUrl: inject('databaseUrl'),
    redisUrl: inject('redisUrl'),
    queues: [work, spare],
    ...options,
  });
  await plane.db.query(sql`create table effect (root text not null, run text not null)`);
  return { plane, ...watch(plane) };
}

function watch(plane: TestPlane) {
  const letters = async () =>
    (await plane.db.query<LetterRow>(sql`select * from ops.dead_letter_queue where not synthetic order by root_key`))
      .rows;
  const letterOf = (root: string, state?: string) =>
    pollUntil(async () => {
      const letter = (await letters()).find((row) => row.root_key === root);
      return letter !== undefined && (state === undefined || letter.state === state) && letter;
    });
  return {
    letters,
    letterOf,
    plan: (n: number, more: Partial<Task> = {}) =>
      plane.db.transaction((tx) => enqueue(tx, work, 'task', { n, ...more }, { key: `task-${n}` })),
    retry: (id: string, ask: RetryRequest = {}) =>
      plane.db.transaction((tx) => retryLetter(tx, { id, ask, actor: ana, registry: plane.registry, now: new Date() })),
    effects: async () =>
      (
        await plane.db.query<{ root: string; times: number }>(
          sql`select root, count(*)::int as times from effect group by root order by root`,
        )
      ).rows,
    audits: async (action: string) =>
      (
        await plane.db.query<Record<string, unknown>>(
          sql`select * from ops.audit_log where action = ${action} order by seq`,
        )
      ).rows,
  };
}

/** Handlers that fail until they are mended. */
export function breakable() {
  const state = { broken: true, runs: 0 };
  const handler: JobHandler<Task> = async (job) => {
    state.runs += 1;
    if (state.broken) throw new Error(`no connection to 10.0.0.${job.payload.n}`);
    await job.commit((tx) => tx.query(sql`insert into effect (root, run) values (${job.rootKey}, ${job.runKey})`));
    return { kind: 'done' };
  };
  return { state, handler };
}
