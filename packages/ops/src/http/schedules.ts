import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { openCursors } from '../dead-letter-search/index.ts';
import {
  catchUp,
  catchUpBody,
  caughtUp,
  controlledSchedule,
  listRuns,
  listSchedules,
  pauseSchedule,
  pauseScheduleBody,
  requestedRun,
  resumeSchedule,
  resumeScheduleBody,
  runNow,
  runScheduleBody,
  scheduleList,
  scheduleNamed,
  scheduleRunList,
  scheduleRunStates,
} from '../schedules/index.ts';
import type { AdminDeps } from './admin.ts';
import { count, operation } from './route.ts';
import { write } from './write.ts';

const nameParam = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,59}$/, 'must be the name of a schedule'),
});

/** What runs by the clock: what was expected, what became of it, and what operators ask for. */
export function scheduleRoutes(app: FastifyInstance, deps: AdminDeps): void {
  listRoute(app, deps);
  runsRoute(app, deps);
  runRoute(app, deps);
  catchUpRoute(app, deps);
  pauseRoute(app, deps);
  resumeRoute(app, deps);
}

function listRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: '/schedules',
      permission: 'schedule.read',
      summary: 'Every schedule: its rule, its last and next run, what was late or missed',
      answer: scheduleList,
    },
    async () => listSchedules(db, { schedules }),
  );
}

function runsRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: '/schedules/:name/runs',
      permission: 'schedule.read',
      summary: 'The ledger of a schedule: every fire time and what became of it, newest first',
      params: nameParam,
      query: z.strictObject({
        state: z.enum(scheduleRunStates).optional(),
        limit: count(1, 200).optional(),
        cursor: z.string().max(2_000).optional(),
      }),
      answer: scheduleRunList,
    },
    async ({ params, query }) => {
      const { name } = scheduleNamed(schedules, params.name);
      const { state, limit = 50, cursor } = query;
      const scope = { sort: 'schedule_runs', filter: JSON.stringify([name, state ?? null]) };
      const begun = new Date().toISOString();
      const read = cursor === undefined ? undefined : await cursors.read(cursor, scope);
      const from = read && ([String(read.position[0]), String(read.position[1])] as const);
      const { runs, next } = await listRuns(db, { schedule: name, state, limit, from });
      const next_cursor = next ? await cursors.sign({ position: next, towards: 'next', begun }, scope) : null;
      return { runs, pagination: { limit, next_cursor } };
    },
  );
}

function runRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/schedules/:name/run',
      permission: 'schedule.run',
      idempotency: 'required',
      summary: 'Run a schedule now, whatever its rule says',
      params: nameParam,
      body: runScheduleBody,
      answer: requestedRun,
      status: 202,
    },
    async ({ params, body, actor, request, reply }) => {
      const definition = scheduleNamed(schedules, params.name);
      return write(db, request, reply, async (tx) => ({
        status: 202,
        body: await runNow(tx, { definition, actor, reason: body.reason }),
      }));
    },
  );
}

function catchUpRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/schedules/:name/catch-up',
      permission: 'schedule.run',
      idempotency: 'required',
      summary: 'Run ticks that were missed, 100 at most; with `dry_run` only list them (200)',
      params: nameParam,
      body: catchUpBody,
      answer: caughtUp,
      status: 202,
    },
    async ({ params, body, actor, request, reply }) => {
      const definition = scheduleNamed(schedules, params.name);
      const { from, to, dry_run: isDryRun, reason } = body;
      const span = { from: new Date(from), to: new Date(to) };
      return write(db, request, reply, async (tx) => ({
        status: isDryRun ? 200 : 202,
        body: await catchUp(tx, { definition, ...span, actor, reason, isDryRun }),
      }));
    },
  );
}

function pauseRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/schedules/:name/pause',
      permission: 'schedule.control',
      summary: 'Skip the ticks of a schedule; they stay in the ledger, and a run under way goes on',
      params: nameParam,
      body: pauseScheduleBody,
      answer: controlledSchedule,
    },
    async ({ params, body, actor, request, reply }) => {
      const { name } = scheduleNamed(schedules, params.name);
      return write(db, request, reply, async (tx) => ({
        status: 200,
        body: await pauseSchedule(tx, { name, actor, reason: body.reason, forS: body.for_s }),
      }));
    },
  );
}

function resumeRoute(app: FastifyInstance, { db, schedules = [] }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/schedules/:name/resume',
      permission: 'schedule.control',
      summary: 'Let a schedule run again',
      params: nameParam,
      body: resumeScheduleBody,
      answer: controlledSchedule,
    },
    async ({ params, body, actor, request, reply }) => {
      const { name } = scheduleNamed(schedules, params.name);
      return write(db, request, reply, async (tx) => ({
        status: 200,
        body: await resumeSchedule(tx, { name, actor, reason: body.reason }),
      }));
    },
  );
}
