import type { Lease } from '../leases/index.ts';
import type { Logger } from '../logging/index.ts';
import { type Loop, repeating } from '../loops/index.ts';
import { systemActor } from '../audit/index.ts';
import { type Database, type Sql, sql } from '../postgres/index.ts';
import { markRegressions } from './regressions.ts';

const batchSize = 500;

/** Ends snoozes whose time or number of deaths has come, and marks groups that died again although fixed. */
export async function wakeOnce(db: Database): Promise<{ letters: number; groups: number; regressed: number }> {
  const letters = (await db.query(wakeLetters)).rowCount;
  const groups = (await db.query(wakeGroups)).rowCount;
  return { letters, groups, regressed: await markRegressions(db) };
}

/** The loop of {@link wakeOnce}. */
export function openSnoozeWaker(deps: { db: Database; lease: Lease; log: Logger; everyMs?: number }): Loop {
  const { db, lease, log, everyMs = 1_000 } = deps;
  return repeating({
    name: 'snooze-waker',
    everyMs,
    onError: (error) => log.error('loop_failed', error, { loop: 'snooze-waker' }),
    async runOnce() {
      if (!(await lease.hold())) return { more: false };
      const { letters } = await wakeOnce(db);
      return { more: letters >= batchSize };
    },
  });
}

/** Deaths of the groups somebody waits for: of few, so that this may run every second. */
const deathsOf = (waiting: Sql) => sql`
  (select coalesce(sum(deaths), 0) from (
     select deaths from ops.dead_letter_stock s where s.fingerprint = ${waiting}
     union all select deaths from ops.dead_letter_change c where c.fingerprint = ${waiting}) sums)`;

const auditRow = (targetType: string, id: Sql, woken: Sql) => sql`
  insert into ops.audit_log (actor, actor_name, via, action, target_type, target_id, correlation_id)
  select ${systemActor.id}, ${systemActor.name}, ${systemActor.via}, 'dlq.snooze_ended', ${targetType}, ${id}, 'none' from ${woken}`;

const wakeLetters = sql`
  with due as (
    select id from ops.dead_letter_queue where snoozed_until <= clock_timestamp()
    union
    select l.id from ops.dead_letter_queue l
    join (select fingerprint, ${deathsOf(sql`waiting.fingerprint`)} as deaths
          from (select distinct fingerprint from ops.dead_letter_queue where snoozed_deaths is not null and state = 'snoozed') waiting) g
      using (fingerprint)
    where l.snoozed_deaths is not null and l.snoozed_deaths < g.deaths
    limit ${batchSize}),
  woken as (
    update ops.dead_letter_queue l
    set state = 'pending', snoozed_until = null, snoozed_deaths = null, version = version + 1
    from due where l.id = due.id and l.state = 'snoozed'
    returning l.id)
  ${auditRow('dead_letter', sql`id::text`, sql`woken`)}`;

const wakeGroups = sql`
  with woken as (
    update ops.dead_letter_group g
    set snoozed_until = null, snoozed_deaths = null, version = version + 1
    where (snoozed_until is not null or snoozed_deaths is not null)
      and (snoozed_until <= clock_timestamp() or snoozed_deaths < ${deathsOf(sql`g.fingerprint`)})
    returning fingerprint)
  ${auditRow('dead_letter_group', sql`fingerprint`, sql`woken`)}`;
