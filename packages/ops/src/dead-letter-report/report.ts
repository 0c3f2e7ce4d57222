import type { z } from 'zod';
import type { Actor } from '../audit/index.ts';
import { type FilterReader, matching, readFilter } from '../dead-letter-search/index.ts';
import { absolute, printFilter } from '../filters/index.ts';
import { type Database, prepared, type Queryable, type Sql } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { deadLetterReport } from './contract.ts';
import {
  type CellRow,
  cellsOfLetters,
  cellsOfSums,
  medianTimeToClose,
  openOfLetters,
  openOfSums,
  report,
  titlesOf,
  type Windows,
  windowsOf,
} from './report-queries.ts';
import { scopeOf } from './scope.ts';
import { trendOf } from './trend.ts';

export type Report = z.infer<typeof deadLetterReport>;

export interface ReportRequest extends FilterReader {
  /** 1–720, default 24: whole hours, the running one among them. */
  readonly hours?: number | undefined;
  /** Filter text. Default: everything. */
  readonly q?: string | undefined;
  readonly actor: Actor;
}

/** Longest aggregation of letters, in ms. */
const slowFilterMs = 2_000;

/**
 * What died, of what and when, and what became of it, beside the window before. Read from sums by hour; a filter they cannot answer counts
 * the letters it selects. Throws refusal `filter_invalid`, `missing_permission`, or `filter_too_slow` when that takes longer than 2 s.
 */
export async function readReport(
  { db, registry }: { db: Database; registry: QueueRegistry },
  { hours = 24, q, actor, reveal }: ReportRequest,
): Promise<Report> {
  const filter = readFilter({ q }, registry, { reveal });
  const fixed = absolute(filter, new Date());
  const scope = scopeOf(fixed);
  const condition = matching(fixed, { registry, actor });
  const read = async (tx: Queryable): Promise<Figures> => {
    const windows = await one<Windows>(tx, windowsOf(hours));
    const cells = scope ? cellsOfSums(scope, windows) : cellsOfLetters(condition, windows);
    const { rows } = await tx.query<CellRow>(prepared('report', report(cells, windows)));
    const open = await one<Figures['open']>(tx, scope ? openOfSums(scope) : openOfLetters(condition));
    const { median_s } = await one<{ median_s: number | null }>(tx, medianTimeToClose(condition, windows));
    const top = byDeaths(rows, 'fingerprint').slice(0, 50);
    const titles = await tx.query<Title>(titlesOf(top.map((row) => row.fingerprint ?? '')));
    return { hours, windows, rows, open, median_s, top, titles: titles.rows };
  };
  const figures = await bounded(db, scope !== undefined, read);
  return { ...reportOf(figures), filter: printFilter(filter) };
}

/** All figures of one snapshot. */
async function bounded<T>(db: Database, isQuick: boolean, read: (tx: Queryable) => Promise<T>): Promise<T> {
  const time = isQuick ? {} : { statementTimeoutMs: slowFilterMs };
  try {
    return await db.transaction(read, { readOnly: true, isolation: 'repeatable read', ...time });
  } catch (error) {
    if (isQuick || (error as { code?: unknown }).code !== '57014') throw error;
    throw refuse('filter_too_slow', { hint: 'name a queue, a fingerprint, or fewer hours' });
  }
}

async function one<Row extends object>(tx: Queryable, statement: Sql): Promise<Row> {
  return (await tx.query<Row>(statement)).rows[0] as Row;
}

interface Title {
  fingerprint: string;
  title: string;
  first_seen: Date;
}

interface Figures {
  readonly hours: number;
  readonly windows: Windows;
  readonly rows: readonly CellRow[];
  readonly open: { open: number; oldest: Date | null };
  readonly median_s: number | null;
  readonly top: readonly CellRow[];
  readonly titles: readonly Title[];
}

const hourMs = 3_600_000;

function reportOf(figures: Figures): Omit<Report, 'filter'> {
  const { hours, windows, rows } = figures;
  const { now, since } = windows;
  const deaths = totalsOf(rows, true).deaths;
  const elapsed = (now.getTime() - since.getTime()) / hourMs;
  return {
    hours,
    since: since.toISOString(),
    as_of: now.toISOString(),
    totals: totals(figures),
    by_queue: rowsOf(rows, 'queue').map((row) => ({
      queue: row.queue_name ?? '',
      source: row.source ?? '',
      ...flowsOf(row),
    })),
    by_error: errorsOf(figures, deaths),
    by_cause: byDeaths(rows, 'cause').map((row) => ({ cause: row.cause ?? '', ...shareOf(row, deaths) })),
    by_version: byDeaths(rows, 'version').map((row) => ({
      version: row.worker_version || null,
      ...shareOf(row, deaths),
    })),
    by_hour: hoursOf(figures),
    trend: trendOf({ count: deaths, hours: elapsed }, { count: totalsOf(rows, false).deaths, hours }),
  };
}

function totals({ windows, rows, open, median_s }: Figures): Report['totals'] {
  const [now, before] = [totalsOf(rows, true), totalsOf(rows, false)];
  const figure = (key: keyof Flows) => figureOf(now[key], before[key]);
  // Every letter is open from its capture to its closing, so what was open then follows from what is open now.
  const openBefore = open.open - (now.captured - now.resolved - now.discarded);
  return {
    captured: figure('captured'),
    deaths: figure('deaths'),
    resolved: figure('resolved'),
    discarded: figure('discarded'),
    retried_ok: figure('retried_ok'),
    open_now: figureOf(open.open, openBefore),
    oldest_open_s: open.oldest ? Math.round((windows.now.getTime() - open.oldest.getTime()) / 1_000) : null,
    median_time_to_close_s: median_s === null ? null : Math.round(median_s * 10) / 10,
  };
}

function figureOf(value: number, previous: number): Report['totals']['captured'] {
  return { value, previous, change: value - previous };
}

type Flows = Pick<CellRow, 'captured' | 'deaths' | 'resolved' | 'discarded' | 'retried_ok'>;
const noFlows: Flows = { captured: 0, deaths: 0, resolved: 0, discarded: 0, retried_ok: 0 };

function flowsOf({ captured, deaths, resolved, discarded, retried_ok }: Flows): Flows {
  return { captured, deaths, resolved, discarded, retried_ok };
}

function totalsOf(rows: readonly CellRow[], current: boolean): Flows {
  return rows.find((row) => row.dimension === 'all' && row.current === current) ?? noFlows;
}

function rowsOf(rows: readonly CellRow[], dimension: CellRow['dimension']): CellRow[] {
  const chosen = rows.filter((row) => row.dimension === dimension);
  return chosen.sort((a, b) => b.deaths - a.deaths || (nameOf(a) < nameOf(b) ? -1 : 1));
}

function nameOf({ queue_name, fingerprint, cause, worker_version }: CellRow): string {
  return queue_name ?? fingerprint ?? cause ?? worker_version ?? '';
}

/** Values that somebody died with; a letter that changed its group leaves a value without deaths. */
function byDeaths(rows: readonly CellRow[], dimension: CellRow['dimension']): CellRow[] {
  return rowsOf(rows, dimension).filter((row) => row.deaths > 0);
}

function shareOf({ deaths }: CellRow, all: number): { count: number; share: number } {
  return { count: deaths, share: Math.round((deaths / all) * 10_000) / 10_000 };
}

function errorsOf({ top, titles, windows }: Figures, deaths: number): Report['by_error'] {
  const known = new Map(titles.map((row) => [row.fingerprint, row]));
  return top.map((row) => {
    const fingerprint = row.fingerprint ?? '';
    const group = known.get(fingerprint);
    const isNew = group !== undefined && group.first_seen >= windows.since;
    return { fingerprint, title: group?.title ?? fingerprint, ...shareOf(row, deaths), new: isNew };
  });
}

/** Hours without a change are in it, too. */
function hoursOf({ hours, windows, rows }: Figures): Report['by_hour'] {
  const known = new Map(rowsOf(rows, 'hour').map((row) => [row.hour?.getTime(), row]));
  return Array.from({ length: hours }, (_, at) => {
    const hour = new Date(windows.since.getTime() + at * hourMs);
    const row = known.get(hour.getTime()) ?? noFlows;
    return { hour: hour.toISOString(), ...flowsOf(row), ...(at === hours - 1 && { partial: true as const }) };
  });
}
