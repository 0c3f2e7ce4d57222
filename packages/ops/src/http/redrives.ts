import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { openCursors } from '../dead-letter-search/index.ts';
import type { OpsPermission } from '../permissions/index.ts';
import type { Tx } from '../postgres/index.ts';
import {
  abortRedrive,
  acknowledgeRedrive,
  approveRedrive,
  type Asking,
  type Changed,
  continueRedrive,
  itemOutcomes,
  listItems,
  listRedrives,
  pauseRedrive,
  planRedrive,
  readRedrive,
  redriveAbortRequest,
  redriveContinueRequest,
  redriveDetail,
  redriveItems,
  redriveList,
  redrivePlanRequest,
  redriveRateRequest,
  redriveReason,
  redriveStartRequest,
  redriveStates,
  resumeRedrive,
  setRate,
  startRedrive,
} from '../redrives/index.ts';
import { demand, judgeReveal } from './access.ts';
import type { AdminDeps } from './admin.ts';
import { count, idParam, operation } from './route.ts';
import { write } from './write.ts';

const one = '/redrives/:id';
/** A start looks at every item of the plan. */
const startWithinMs = 120_000;

/** Many retries or closings as one object: planned, started, watched, stopped. */
export function redriveRoutes(app: FastifyInstance, deps: AdminDeps): void {
  planRoute(app, deps);
  readRoutes(app, deps);
  itemsRoute(app, deps);
  startRoute(app, deps);
  approveRoute(app, deps);
  changeRoute(app, deps, {
    name: 'pause',
    body: redriveReason,
    act: pauseRedrive,
    summary: 'Send nothing more for now',
  });
  changeRoute(app, deps, { name: 'resume', body: redriveReason, act: resumeRedrive, summary: 'Go on after a pause' });
  changeRoute(app, deps, {
    name: 'continue',
    fresh: true,
    body: redriveContinueRequest,
    act: async (tx, asking) => {
      await continueRedrive(tx, asking);
      return { already: false };
    },
    summary: 'Go on after a stop, against its verdict',
  });
  changeRoute(app, deps, {
    name: 'abort',
    body: redriveAbortRequest,
    act: abortRedrive,
    summary: 'End it: what was not sent is cancelled',
  });
  changeRoute(app, deps, {
    name: 'rate',
    method: 'PUT',
    body: redriveRateRequest,
    act: setRate,
    summary: 'Items a second, from the next second on',
  });
  changeRoute(app, deps, {
    name: 'acknowledge',
    body: z.strictObject({}),
    act: acknowledgeRedrive,
    summary: 'Take an ended redrive off the front page',
  });
}

function planRoute(app: FastifyInstance, { db, registry, redrives: host = {} }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: '/redrives',
      permission: 'redrive.plan',
      summary: 'Plan a redrive: freeze the set of letters, change none; above 10,000 the plan is made afterwards (202)',
      body: redrivePlanRequest,
      answer: redriveDetail,
      status: 201,
    },
    async ({ body, actor, authorization, request, reply }) =>
      write(db, request, reply, async (tx) => {
        const asking = { actor, registry, host, reveal: judgeReveal(authorization, new Date()) };
        const { id, state } = await planRedrive(tx, body, asking);
        return { status: state === 'planned' ? 201 : 202, body: await readRedrive(tx, id) };
      }),
  );
}

const states = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(redriveStates)));
const limit = count(1, 200).default(50);
const cursor = z.string().max(1_000).optional();

function readRoutes(app: FastifyInstance, { db }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: '/redrives',
      permission: 'dlq.read',
      summary: 'Redrives and plans, newest first; `state` takes several, with commas',
      query: z.strictObject({ state: states.optional(), cursor, limit }),
      answer: redriveList,
    },
    async ({ query }) => listRedrives(db, cursors, { ...query, states: query.state }),
  );
  operation(
    app,
    {
      method: 'GET',
      url: one,
      permission: 'dlq.read',
      summary: 'One redrive: its plan, its progress, its rate, its canary',
      params: idParam,
      answer: redriveDetail,
    },
    async ({ params }) => readRedrive(db, params.id),
  );
}

function itemsRoute(app: FastifyInstance, { db }: AdminDeps): void {
  const cursors = openCursors(db);
  operation(
    app,
    {
      method: 'GET',
      url: `${one}/items`,
      permission: 'dlq.read',
      summary: 'What became of each item, in the order of the plan',
      params: idParam,
      query: z.strictObject({ outcome: z.enum(itemOutcomes).optional(), cursor, limit }),
      answer: redriveItems,
    },
    async ({ params, query }) => listItems(db, cursors, { ...query, id: params.id }),
  );
}

function startRoute(app: FastifyInstance, { db, redrives: host = {} }: AdminDeps): void {
  operation(
    app,
    {
      method: 'POST',
      url: `${one}/start`,
      permission: 'redrive.run',
      fresh: true,
      idempotency: 'required',
      summary: 'Start a plan, exactly as it was shown',
      params: idParam,
      body: redriveStartRequest,
      answer: redriveDetail,
    },
    async ({ params: { id }, body, actor, authorization, request, reply }) =>
      write(
        db,
        request,
        reply,
        async (tx) => {
          const demands = (permission: string) => demand(authorization, { permission, secondFactor: 'fresh' });
          await startRedrive(tx, { id, ask: body, actor, host, demand: demands });
          return { status: 200, body: await readRedrive(tx, id) };
        },
        { statementTimeoutMs: startWithinMs },
      ),
  );
}

function approveRoute(app: FastifyInstance, deps: AdminDeps): void {
  changeRoute(app, deps, {
    name: 'approve',
    permission: 'redrive.approve',
    body: redriveReason,
    act: approveRedrive,
    summary: "Let another person's plan be started",
  });
}

interface ChangeRoute<Body extends z.ZodType> {
  readonly name: string;
  readonly method?: 'POST' | 'PUT';
  /** Default `redrive.run`. */
  readonly permission?: OpsPermission;
  readonly fresh?: true;
  readonly body: Body;
  readonly act: (tx: Tx, asking: Asking & z.infer<Body>) => Promise<Changed>;
  readonly summary: string;
}

/** A change of one redrive, answered with what it is then. */
function changeRoute<Body extends z.ZodType<object>>(
  app: FastifyInstance,
  { db }: AdminDeps,
  route: ChangeRoute<Body>,
): void {
  const { name, method = 'POST', permission = 'redrive.run', fresh, body, act, summary } = route;
  operation(
    app,
    {
      method,
      url: `${one}/${name}`,
      permission,
      fresh: fresh ?? false,
      summary,
      params: idParam,
      body,
      answer: redriveDetail,
    },
    async ({ params: { id }, body: asked, actor, request, reply }) =>
      write(db, request, reply, async (tx) => {
        const { already } = await act(tx, { ...asked, id, actor });
        return { status: 200, body: { ...(await readRedrive(tx, id)), ...(already && { already }) } };
      }),
  );
}
