import { readdir, statfs } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import { type AuditKey, type AnchorStore, readAnchors } from '../audit/index.ts';
import { type Database, type MigrationSet, sql } from '../postgres/index.ts';
import type { QueueOverview } from '../queues/index.ts';
import { withDeadline } from '../redis/index.ts';
import { databaseClock, readOverdue, type ScheduleDefinition } from '../schedules/index.ts';
import type { DoctorPart } from './contract.ts';
import { staleAfterMs } from './watch.ts';

/** What a look at one part says. `next` is what to do first; default nothing. */
export interface PartFinding {
  readonly state: 'ok' | 'attention' | 'bad';
  /** One short sentence, with ids and numbers only. */
  readonly says: string;
  readonly next?: string;
}

/** A part of a host's system that the doctor looks at too. What throws is `unknown`. */
export interface Part {
  readonly name: string;
  readonly look: () => Promise<PartFinding>;
}

export interface PartDeps {
  readonly db: Database;
  readonly redis: Redis;
  readonly overview: () => Promise<QueueOverview>;
  readonly schedules: readonly ScheduleDefinition[];
  readonly auditKeys: readonly AuditKey[];
  readonly anchors: AnchorStore | undefined;
  readonly anchorEveryMs: number;
  /** What this version of the application wants applied. */
  readonly migrationSets: readonly MigrationSet[];
}

const partWithinMs = 3_000;

/** Looks at all at once; each has 3 s. Never throws. */
export async function lookAtParts(parts: readonly Part[]): Promise<DoctorPart[]> {
  return Promise.all(
    parts.map(async ({ name, look }) => {
      try {
        const { state, says, next = null } = await withDeadline(look(), partWithinMs, name);
        return { name, state, says, next };
      } catch (error) {
        const { name: kind, code } = error as { name?: string; code?: unknown };
        const why = typeof code === 'string' ? code : (kind ?? 'unknown');
        return { name, state: 'unknown' as const, says: `cannot be asked (${why})`, next: 'see whether it runs' };
      }
    }),
  );
}

/** The parts of the plane itself. */
export function planeParts(deps: PartDeps): readonly Part[] {
  return [
    { name: 'database', look: () => lookAtDatabase(deps) },
    { name: 'schema', look: () => lookAtSchema(deps) },
    { name: 'redis', look: () => lookAtRedis(deps) },
    { name: 'workers', look: () => lookAtWorkers(deps) },
    { name: 'hand-over', look: () => lookAtOutbox(deps) },
    { name: 'queues', look: () => lookAtQueues(deps) },
    { name: 'schedules', look: () => lookAtSchedules(deps) },
    { name: 'dead letters', look: () => lookAtLetters(deps) },
    { name: 'invariants', look: () => lookAtInvariantRuns(deps) },
    { name: 'audit', look: () => lookAtAudit(deps) },
  ];
}

const fine = (says: string): PartFinding => ({ state: 'ok', says });
const note = (says: string, next: string): PartFinding => ({ state: 'attention', says, next });
const bad = (says: string, next: string): PartFinding => ({ state: 'bad', says, next });

async function lookAtDatabase({ db }: PartDeps): Promise<PartFinding> {
  const begunAt = performance.now();
  const { rows } = await db.query<{ version: string; used: number; most: number; oldest_s: number | null }>(sql`
    select current_setting('server_version') as version, (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
           current_setting('max_connections')::int as most,
           (select extract(epoch from max(clock_timestamp() - xact_start))::int from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_s`);
  const ms = Math.round(performance.now() - begunAt);
  const { version = '', used = 0, most = 0, oldest_s = 0 } = rows[0] ?? {};
  const says = `PostgreSQL ${version.split(' ')[0]}, ${ms} ms, ${used} of ${most} connections, oldest transaction ${oldest_s ?? 0} s`;
  if (used > 0.9 * most) return bad(says, 'find who holds the connections: select * from pg_stat_activity');
  return fine(says);
}

async function lookAtSchema({ db, migrationSets }: PartDeps): Promise<PartFinding> {
  const { rows } = await db.query<{ set: string; version: number }>(sql`select "set", version from ops.migration`);
  const applied = new Set(rows.map(({ set, version }) => `${set} ${version}`));
  const files = await Promise.all(
    migrationSets.map(async ({ name, directory }) => (await readdir(directory)).map((file) => ({ name, file }))),
  );
  const wanted = files.flat().flatMap(({ name, file }) => {
    const version = /^(\d+)_.*\.sql$/.exec(file)?.[1];
    return version === undefined ? [] : [`${name} ${Number(version)}`];
  });
  const missing = wanted.filter((one) => !applied.has(one));
  if (missing.length > 0) return bad(`${missing.length} migrations wait, first ${missing[0]}`, 'fmhl migrate up');
  const known = new Set(migrationSets.map(({ name }) => name));
  const newer = rows.filter(({ set, version }) => known.has(set) && !wanted.includes(`${set} ${version}`));
  if (newer.length > 0)
    return bad(
      `${newer.length} migrations are of a newer version than this one`,
      'run the newer version, or fmhl migrate down with it',
    );
  return fine(`${wanted.length} migrations, all applied`);
}

async function lookAtRedis({ redis }: PartDeps): Promise<PartFinding> {
  const begunAt = performance.now();
  const info = await withDeadline(redis.info(), 2_000, 'INFO');
  const field = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
  const used = Number(field('used_memory') ?? 0);
  const most = Number(field('maxmemory') ?? 0);
  const says = `Redis ${field('redis_version')}, ${Math.round(performance.now() - begunAt)} ms, ${mib(used)}${most > 0 ? ` of ${mib(most)}` : ''}`;
  if (most > 0 && used > 0.9 * most) return bad(says, 'give it more memory: a full Redis takes no jobs');
  return fine(says);
}

const mib = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MiB`;

async function lookAtWorkers({ db }: PartDeps): Promise<PartFinding> {
  const { rows } = await db.query<{ alive: number; open: boolean }>(sql`
    select (select count(*)::int from ops.worker
            where stopped_at is null and last_seen_at > clock_timestamp() - interval '30 seconds') as alive,
           exists (select from ops.job_outbox) as open`);
  const { alive = 0, open = false } = rows[0] ?? {};
  if (alive > 0) return fine(`${alive} alive`);
  return open
    ? bad('none is alive, and jobs wait', 'start one: npm start, or fmhl run worker')
    : note('none is alive', 'start one: npm start, or fmhl run worker');
}

const slowHandOverS = 60;

async function lookAtOutbox({ db }: PartDeps): Promise<PartFinding> {
  const { rows } = await db.query<{ waiting: number; oldest_s: number | null }>(sql`
    select count(*)::int as waiting, extract(epoch from clock_timestamp() - min(r.enqueued_at))::int as oldest_s
    from (select run_key from ops.job_outbox where dispatched_at is null order by id limit 10001) o join ops.job_run r using (run_key)`);
  const { waiting = 0, oldest_s } = rows[0] ?? {};
  if (waiting === 0) return fine('nothing waits to be handed to Redis');
  const says = `${waiting > 10_000 ? 'over 10,000' : waiting} jobs wait to be handed to Redis, the oldest for ${oldest_s ?? 0} s`;
  return (oldest_s ?? 0) > slowHandOverS ? bad(says, 'see that a relay runs: fmhl run relay') : fine(says);
}

async function lookAtQueues({ overview }: PartDeps): Promise<PartFinding> {
  const { queues, counted_from } = await overview();
  const paused = queues.filter(({ paused: wish, paused_in_redis }) => wish !== null || paused_in_redis === true);
  const waiting = queues.reduce((sum, { depth }) => sum + depth, 0);
  const says = `${queues.length} queues, ${waiting} jobs wait${counted_from === 'redis' ? '' : ' (counted in Postgres)'}`;
  if (paused.length === 0) return fine(says);
  const names = paused.map(({ name }) => name).join(', ');
  return note(`${says}; paused: ${names}`, `fmhl queue resume ${paused[0]?.name}`);
}

async function lookAtSchedules({ db, schedules }: PartDeps): Promise<PartFinding> {
  const now = await databaseClock(db);
  const late = (await readOverdue(db, { schedules, now, since: now })).filter(
    ({ overdueS, graceS }) => overdueS > graceS,
  );
  if (late.length === 0) return fine(`${schedules.length} schedules, none overdue`);
  const names = late.map(({ schedule, overdueS }) => `${schedule} for ${Math.round(overdueS / 60)} min`).join(', ');
  return bad(`overdue: ${names}`, 'see that a scheduler and a worker run; then fmhl schedule catch-up <name>');
}

async function lookAtLetters({ overview }: PartDeps): Promise<PartFinding> {
  const { queues } = await overview();
  const open = queues.reduce((sum, { dlq_size }) => sum + dlq_size, 0);
  if (open === 0) return fine('none is open');
  const worst = queues.toSorted((one, other) => other.dlq_size - one.dlq_size)[0];
  return note(`${open} open, most of them of ${worst?.name}`, 'fmhl dlq groups');
}

async function lookAtInvariantRuns({ db }: PartDeps): Promise<PartFinding> {
  const { rows } = await db.query<{ age_s: number; breached: number; unchecked: number }>(sql`
    select extract(epoch from clock_timestamp() - begun_at)::int as age_s,
           jsonb_array_length(jsonb_path_query_array(probes, '$[*] ? (@.state == "breached")')) as breached,
           jsonb_array_length(jsonb_path_query_array(probes, '$[*] ? (@.state == "not_checked")')) as unchecked
    from ops.invariant_run order by id desc limit 1`);
  const last = rows[0];
  if (!last) return note('no scheduled look yet', 'fmhl schedule list');
  const says = `last scheduled look ${Math.round(last.age_s / 60)} min ago: ${last.breached} breached, ${last.unchecked} not checked`;
  return last.age_s * 1_000 > staleAfterMs ? note(says, 'see that a scheduler runs: fmhl schedule list') : fine(says);
}

async function lookAtAudit({ db, auditKeys, anchors, anchorEveryMs }: PartDeps): Promise<PartFinding> {
  const { rows } = await db.query<{ pending: number; oldest_s: number | null }>(sql`
    select count(*)::int as pending, extract(epoch from clock_timestamp() - min(l.at))::int as oldest_s
    from (select seq from ops.audit_pending order by seq limit 10001) p join ops.audit_log l using (seq)`);
  const { pending = 0, oldest_s } = rows[0] ?? {};
  if ((oldest_s ?? 0) > 60)
    return bad(
      `${pending} rows wait for their link, the oldest for ${oldest_s} s`,
      'see that a scheduler runs: fmhl run scheduler',
    );
  if (auditKeys.length === 0)
    return note('linked; this process has no key to seal it, or to judge its seals', 'give TOKEN_KEY');
  if (!anchors) return note('linked and sealed, but not anchored', 'give AUDIT_ANCHOR');
  const newest = readAnchors(await anchors.read()).at(-1);
  if (!newest) return note('linked and sealed; no anchor yet', 'wait some seconds, then ask again');
  const minutes = Math.round((Date.now() - Date.parse(newest.at)) / 60_000);
  const says = `linked and sealed; newest anchor ${minutes} min old, at number ${newest.n}`;
  const { rows: heads } = await db.query<{ n: number }>(sql`select n from ops.audit_chain order by n desc limit 1`);
  const isLate = minutes * 60_000 > 2 * anchorEveryMs && (heads[0]?.n ?? 0) > newest.n;
  return isLate ? bad(says, 'see that a scheduler runs and may write to the place of the anchor') : fine(says);
}

const giB = 1_073_741_824;

/** A part for the disk that holds `directory`: bad below 5 % or 1 GiB. */
export function diskPart(directory: string): Part {
  return {
    name: 'disk',
    async look() {
      const found = await statfs(directory).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (!found) return fine('no data directory on this machine');
      const { bavail, blocks, bsize } = found;
      const free = bavail * bsize;
      const share = Math.round((100 * bavail) / Math.max(1, blocks));
      const says = `${(free / giB).toFixed(1)} GiB free (${share} %) for the data directory`;
      if (share < 5 || free < giB) return bad(says, 'make room: a full disk stops Postgres');
      return share < 15 ? note(says, 'make room soon') : fine(says);
    },
  };
}
