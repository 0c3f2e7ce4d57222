/**
 * What an export of a million leads takes: rows a second and the memory of the worker, into a local file and in parts to a server of the
 * language of S3, beside a bare COPY of the same columns.
 *
 * The worker is the product's own, in a process of its own, and gets its work by the queue.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requestExport } from '../apps/marketplace/src/features/reports/index.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { makeUser } from '../apps/marketplace/src/testing/auth.ts';
import { type Database, openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { pollUntil } from '../packages/ops/src/testing/index.ts';
import { copySeconds, fillLeads, startSink, startWorker } from './export-world.ts';
import { below, type Figure, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'an export of a million leads into a file and to S3: rate, and memory of the worker';

const mostMb = 300;

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const leads = quick ? 100_000 : 1_000_000;
  const servers = await startServers();
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-bench-exports-'));
  const sink = await startSink();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 4, statementTimeoutMs: 300_000 });
  try {
    await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
    await fillLeads(db, leads);
    say(`${leads} leads stand`);
    const env = {
      DATABASE_URL: servers.databaseUrl,
      REDIS_URL: servers.redisUrl,
      SMTP_URL: 'smtp://127.0.0.1:1',
      TOKEN_KEY: 'ab'.repeat(32),
      EXPORT_DIR: directory,
    };
    const s3 = { S3_ENDPOINT: sink.url, S3_BUCKET: 'bench', S3_ACCESS_KEY_ID: 'bench', S3_SECRET_ACCESS_KEY: 'bench' };
    const copied = leads / (await copySeconds(servers.databaseUrl, join(directory, 'copy.csv')));
    const local = await measure(db, leads, { ...env, EXPORT_STORAGE: 'local' });
    const remote = await measure(db, leads, { ...env, ...s3, EXPORT_STORAGE: 's3' });
    const rate = (what: string, value: number, unit: string): Figure => ({ what, value, unit, target: '', ok: true });
    return [
      rate('into a file', local.rate, 'rows/s'),
      rate('to S3', remote.rate, 'rows/s'),
      rate('a bare COPY of the same columns', copied, 'rows/s'),
      rate('into a file ÷ bare COPY', local.rate / copied, 'ratio'),
      rate('size of the file', local.bytes / 1_048_576, 'MB'),
      below(mostMb, { what: 'most memory of the worker, file', value: local.peakMb, unit: 'MB' }),
      below(mostMb, { what: 'most memory of the worker, S3', value: remote.peakMb, unit: 'MB' }),
      rate('growth from a tenth of the file to its end', local.peakMb - local.earlyMb, 'MB'),
      rate('the same to S3', remote.peakMb - remote.earlyMb, 'MB'),
    ];
  } finally {
    await db.close();
    sink.stop();
    await servers.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One export by a fresh worker, with its memory after a tenth of the rows and at the end. */
async function measure(db: Database, leads: number, env: Record<string, string>) {
  const user = await makeUser(db);
  const worker = await startWorker(env);
  const range = { from: '2000-01-01', to: new Date().toISOString() };
  const actor = { id: user.id, name: 'bench', via: 'system' } as const;
  const startedAt = performance.now();
  const { id } = await db.transaction((tx) =>
    requestExport(tx, { type: 'leads', ...range, providerId: undefined, actor }, new Date()),
  );
  const until = async (isThere: (row: Progress) => boolean) => {
    const look = async () => {
      const row = await readProgress(db, id);
      return (isThere(row) || row.status === 'failed') && row;
    };
    const row = await pollUntil(look, { deadlineMs: 600_000 });
    if (row.status === 'failed') throw new Error(`the export has failed: ${row.error}`);
    return row;
  };
  await until(({ rows_done }) => rows_done >= leads / 10);
  const earlyMb = await worker.peakMb();
  const { rows_done, bytes } = await until(({ status }) => status === 'completed');
  const seconds = (performance.now() - startedAt) / 1_000;
  if (rows_done !== leads) throw new Error(`the file has ${rows_done} rows in place of ${leads}`);
  const peakMb = await worker.peakMb();
  await worker.stop();
  return { rate: leads / seconds, bytes: bytes ?? 0, earlyMb, peakMb };
}

interface Progress {
  status: string;
  rows_done: number;
  bytes: number | null;
  error: string | null;
}

async function readProgress(db: Database, id: string): Promise<Progress> {
  const { rows } = await db.query<Progress>(
    sql`select status, rows_done, bytes, error from v_export_job where id = ${id}`,
  );
  if (!rows[0]) throw new Error('the export is gone');
  return rows[0];
}
