import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Actor, audit } from '../audit/index.ts';
import { absolute, type Filter, printFilter } from '../filters/index.ts';
import { type Database, join, type Queryable, raw, sql, type Sql } from '../postgres/index.ts';
import type { QueueRegistry } from '../queues/index.ts';
import { refuse } from '../refusals/index.ts';
import type { ExportColumn } from './contract.ts';
import { type Cell, csvLine } from '../csv/index.ts';
import { countUpTo, pageStatement } from './list-queries.ts';
import { type FilterReader, type FilterTexts, readFilter } from './read-filter.ts';
import { armsOf, completed, selectionOf } from './selection.ts';
import { isCancelled, tooSlow } from './slow.ts';

export interface ExportRequest extends FilterTexts, FilterReader {
  readonly actor: Actor;
  readonly format: 'csv' | 'ndjson';
  /** `payload` is given in clear: whoever calls has checked the permission. */
  readonly columns: readonly ExportColumn[];
}

/** A file under way. */
export interface Export {
  /** How many rows follow, 200,000 at most. */
  readonly rows: number;
  /** More rows matched than follow. */
  readonly isCut: boolean;
  /** Fails in its middle when the time is over or the reader too slow. */
  readonly stream: Readable;
}

export const exportLimits = { rows: 200_000, ms: 60_000, atOnce: 2 } as const;

/**
 * Makes the operation that exports letters from one snapshot, newest failure first, with the audit row `dlq.exported` before the first
 * row leaves. It throws refusal `filter_invalid`, `missing_permission`, `filter_too_slow`, or `rate_limited` while two others run in this process.
 */
export function openExporter({ db, registry }: { db: Database; registry: QueueRegistry }) {
  let running = 0;
  return async (request: ExportRequest, now: Date): Promise<Export> => {
    const filter = readFilter(request, registry, request);
    if (running >= exportLimits.atOnce) throw refuse('rate_limited', { retry_after_s: 10 });
    running += 1;
    const { begun, ended } = begin({ db, registry, request, filter, now });
    void ended.finally(() => {
      running -= 1;
    });
    return begun;
  };
}

interface Work {
  readonly db: Database;
  readonly registry: QueueRegistry;
  readonly request: ExportRequest;
  readonly filter: Filter;
  readonly now: Date;
}

function begin(work: Work): { begun: Promise<Export>; ended: Promise<void> } {
  const stream = new PassThrough();
  const begun = Promise.withResolvers<Export>();
  const ended = work.db
    .transaction(
      async (tx) => {
        const { registry, request, filter, now } = work;
        const selection = selectionOf(await completed(tx, absolute(filter, now)), { registry, actor: request.actor });
        const counted = await countUpTo(tx, selection, exportLimits.rows + 1);
        const rows = Math.min(counted, exportLimits.rows);
        await record(work, rows);
        begun.resolve({ rows, isCut: counted > rows, stream });
        await pipeline(lines(tx, { ...request, arms: armsOf(selection), rows }), stream, {
          signal: AbortSignal.timeout(exportLimits.ms),
        });
      },
      { isolation: 'repeatable read', readOnly: true, statementTimeoutMs: exportLimits.ms / 2 },
    )
    .catch((error: unknown) => {
      begun.reject(isCancelled(error) ? tooSlow() : error);
      stream.destroy(error instanceof Error ? error : undefined);
    });
  return { begun: begun.promise, ended };
}

/** In a commit of its own: it stands also when the file breaks off. */
async function record({ db, request, filter }: Work, rows: number): Promise<void> {
  const { actor, columns, format } = request;
  await db.transaction((tx) =>
    audit(tx, {
      actor,
      action: 'dlq.exported',
      targetType: 'dead_letter',
      targetId: '*',
      details: { filter: printFilter(filter), columns, format, rows },
    }),
  );
}

type ExportRow = Record<string, Cell> & { failed_at_exact: string; row_id: string };

/** Rows held in memory at a time; fewer of the large ones. */
const batch = { small: 1_000, large: 50 };

interface Lines {
  readonly columns: readonly ExportColumn[];
  readonly format: 'csv' | 'ndjson';
  readonly arms: readonly Sql[];
  readonly rows: number;
}

async function* lines(db: Queryable, { columns, format, arms, rows }: Lines): AsyncGenerator<string> {
  const isLarge = columns.includes('payload') || columns.includes('stack_trace');
  let cursor: { position: string[]; towards: 'next' } | undefined;
  if (format === 'csv') yield csvLine(columns);
  for (let left = rows; left > 0; ) {
    const limit = Math.min(left, isLarge ? batch.large : batch.small);
    const page = pageStatement({ arms, sort: '-failed_at', limit, cursor }, shown(columns), payloadJoin(columns));
    const found = (await db.query<ExportRow>(page)).rows;
    const last = found.at(-1);
    if (!last) return;
    yield found.map((row) => (format === 'csv' ? csvOf(row, columns) : ndjsonOf(row, columns))).join('');
    left -= found.length;
    cursor = { position: [last.failed_at_exact, last.row_id], towards: 'next' };
  }
}

const renamed: Partial<Record<ExportColumn, string>> = { retries: 'd.generation', captured_at: 'd.created_at' };

function shown(columns: readonly ExportColumn[]): Sql {
  const selected = columns.map((column) =>
    column === 'payload'
      ? sql`coalesce(p.body, encode(p.bytes, 'base64')) as payload, p.encoding as payload_encoding`
      : raw(`${renamed[column] ?? `d.${column}`} as ${column}`),
  );
  const position = sql`d.id as row_id, to_char(d.failed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as failed_at_exact`;
  return join([...selected, position]);
}

function payloadJoin(columns: readonly ExportColumn[]): Sql {
  if (!columns.includes('payload')) return sql``;
  return sql`left join ops.dead_letter_payload p on p.letter_id = d.id and p.version = d.payload_version`;
}

function csvOf(row: ExportRow, columns: readonly ExportColumn[]): string {
  return csvLine(columns.map((column) => row[column]));
}

/** A payload that is JSON stands in the line as it is, letter by letter; any other is a text. */
function ndjsonOf(row: ExportRow, columns: readonly ExportColumn[]): string {
  const members = columns.map((column) => `${JSON.stringify(column)}:${valueOf(row, column)}`);
  return `{${members.join(',')}}\n`;
}

function valueOf(row: ExportRow, column: ExportColumn): string {
  const value = row[column] ?? null;
  if (column === 'payload' && row.payload_encoding !== 'bytes' && typeof value === 'string') return inOneLine(value);
  return JSON.stringify(value);
}

function inOneLine(text: string): string {
  try {
    JSON.parse(text);
    // Outside of strings a line break is only a blank, and inside of one JSON does not allow it.
    return text.replace(/[\r\n]/g, ' ');
  } catch {
    return JSON.stringify(text);
  }
}
