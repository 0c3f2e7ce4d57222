import type { z } from 'zod';
import type { Queryable } from '../postgres/index.ts';
import type { deadLetterGroup } from './contract.ts';
import { growthOf, isGrowing, stateOf } from './group-state.ts';
import type { GroupRow } from './queries.ts';
import { findRegressions } from './regressions.ts';

export type Group = z.infer<typeof deadLetterGroup>;

/** Rows as an operator sees them, with the state each group is in now. */
export async function groupsOf(db: Queryable, rows: readonly GroupRow[]): Promise<Group[]> {
  const watched = rows.filter(({ fixed_in, regressed_at }) => fixed_in !== null && !regressed_at);
  const found =
    watched.length === 0
      ? []
      : await findRegressions(
          db,
          watched.map(({ fingerprint }) => fingerprint),
        );
  const regressed = new Map(found.map(({ fingerprint, at }) => [fingerprint, at]));
  return rows.map((row) => groupOf(row, row.regressed_at ?? regressed.get(row.fingerprint) ?? null));
}

function groupOf(row: GroupRow, regressedAt: Date | null): Group {
  const { snoozed_until, snoozed_deaths } = row;
  const facts = {
    open: row.open,
    deaths: row.deaths,
    fixedIn: row.fixed_in,
    regressedAt,
    snoozedUntil: snoozed_until,
    snoozedDeaths: snoozed_deaths,
  };
  const isSet = (snoozed_until ?? snoozed_deaths) !== null && !regressedAt;
  return {
    fingerprint: row.fingerprint,
    title: row.title,
    error_type: row.error_type,
    message: row.message,
    frame: row.frame,
    count: row.count,
    open: row.open,
    deaths: row.deaths,
    queues: row.queues,
    causes: row.causes,
    first_seen: row.first_seen.toISOString(),
    last_seen: row.last_seen.toISOString(),
    hourly: row.hourly,
    growth: growthOf(row.hourly),
    growing: isGrowing(row.hourly),
    first_version: row.first_version,
    last_version: row.last_version,
    state: stateOf(facts, row.now),
    fixed_in: row.fixed_in,
    assignee: row.assignee,
    snooze: isSet ? { until: snoozed_until?.toISOString() ?? null, until_deaths: snoozed_deaths } : null,
    ticket: row.ticket,
    last_canary: row.last_canary ?? null,
    sample_id: row.sample_id,
    notes_count: row.notes_count,
    version: row.version,
  };
}
