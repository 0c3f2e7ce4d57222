import type { FastifyInstance } from 'fastify';
import type { Database } from '../postgres/index.ts';
import {
  type FailedSets,
  type DeathHooks,
  type QueueOverview,
  type QueueRegistry,
  queueOverview,
  type RedisQueues,
} from '../queues/index.ts';
import { type AuditProof, auditRoutes } from './audit.ts';
import { deadLetterActionRoutes } from './dead-letter-actions.ts';
import { deadLetterGroupRoutes } from './dead-letter-groups.ts';
import { deadLetterReportRoutes } from './dead-letter-report.ts';
import { deadLetterReadRoutes } from './dead-letters.ts';
import type { RedriveHost } from '../redrives/index.ts';
import type { ScheduleDefinition } from '../schedules/index.ts';
import type { Doctor } from '../doctor/index.ts';
import { doctorRoutes } from './doctor.ts';
import { jsonBody } from './json-body.ts';
import { meRoute } from './me.ts';
import { queueControlRoutes } from './queue-control.ts';
import { redriveRoutes } from './redrives.ts';
import { operation } from './route.ts';
import { scheduleRoutes } from './schedules.ts';
import { web, type WebOptions } from './web.ts';

export interface AdminDeps {
  readonly web: WebOptions;
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly queues: RedisQueues;
  readonly failedSets: FailedSets;
  /** Told of jobs that an operator ends, in the transaction that does it and after their letters were written. */
  readonly deathHooks: DeathHooks;
  /** Looks through the failed sets of Redis once. */
  readonly sweep: () => Promise<unknown>;
  readonly overview: () => Promise<QueueOverview>;
  readonly redrives?: RedriveHost | undefined;
  /** Default none. */
  readonly schedules?: readonly ScheduleDefinition[];
  /** Default: no key, and no anchors. */
  readonly audit?: AuditProof;
  /** Default: nobody can be asked how the system is. */
  readonly doctor?: Doctor;
  /** What kind of installation this is. Default `development`. */
  readonly environment?: string | undefined;
}

/** The operations API, to be mounted under `/api/v1/admin`. It brings its own hooks and shape of errors. */
export function adminRoutes(deps: AdminDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    jsonBody(app);
    web(app, deps.web);
    meRoute(app, deps);
    overviewRoutes(app, deps);
    queueControlRoutes(app, deps);
    deadLetterReadRoutes(app, deps);
    deadLetterActionRoutes(app, deps);
    deadLetterGroupRoutes(app, deps);
    deadLetterReportRoutes(app, deps);
    redriveRoutes(app, deps);
    scheduleRoutes(app, deps);
    auditRoutes(app, deps);
    if (deps.doctor) doctorRoutes(app, { doctor: deps.doctor });
  };
}

function overviewRoutes(app: FastifyInstance, { overview }: AdminDeps): void {
  operation(
    app,
    {
      method: 'GET',
      url: '/queues',
      permission: 'queue.read',
      summary: 'Every queue: what waits, what runs, what died',
      answer: queueOverview,
    },
    async () => overview(),
  );
}
