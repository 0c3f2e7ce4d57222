import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, type Job, type JobOutcome, sql } from '@fmhl/ops';
import { type ExportHandlerDeps, openExportHandler, requestExport } from '../features/reports/index.ts';

import { openLocalStore } from '../file-store/index.ts';
import { makeUser } from './auth.ts';

/** A directory of files which is removed again, and what stands in it. */
export async function makeFiles() {
  const directory = await mkdtemp(join(tmpdir(), 'fmhl-exports-'));
  return {
    directory,
    files: openLocalStore(directory),
    names: () => readdir(directory),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Runs one attempt at an export as a worker does, without the queue. */
export function runExport(
  db: Database,
  exportId: string,
  deps: Omit<ExportHandlerDeps, 'db'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<JobOutcome> {
  const commit: Job['commit'] = (work) => db.transaction(work);
  const job = { payload: { v: 1 as const, export_id: exportId }, signal, commit, attempt: 1, maxAttempts: 3 };
  return openExportHandler({ db, ...deps })(job as unknown as Parameters<ReturnType<typeof openExportHandler>>[0]);
}

/** What stands in the row of an export. */
export async function exportState(db: Database, id: string) {
  const { rows } = await db.query<{
    status: string;
    rows_done: number;
    rows_estimate: number | null;
    storage_key: string | null;
    error: string | null;
  }>(sql`select status, rows_done, rows_estimate, storage_key, error from v_export_job where id = ${id}`);
  return rows[0];
}

/** Reads a file of CSV as RFC 4180 has it: rows of cells. */
export function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain = '', end = ''] of text
    .replace(/^\ufeff/, '')
    .matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (end === '\r\n') rows.push(row);
    row = [];
  }
  return rows;
}

/** Asks for an export of everything as a new member of the staff, writes it, and reads it. */
export async function exportWhole(db: Database, type: 'leads' | 'assignments' | 'ledger'): Promise<Buffer> {
  const { id: userId } = await makeUser(db);
  const storage = await makeFiles();
  try {
    const actor = { id: userId, name: 'test', via: 'system' } as const;
    const range = { from: '2000-01-01', to: new Date(Date.now() + 3_600_000).toISOString() };
    const { id } = await db.transaction((tx) =>
      requestExport(tx, { type, ...range, providerId: undefined, actor }, new Date()),
    );
    const silent = { info() {}, warn() {}, error() {} } as unknown as ExportHandlerDeps['log'];
    await runExport(db, id, { files: storage.files, log: silent });
    const [name = ''] = await storage.names();
    return await readFile(join(storage.directory, name));
  } finally {
    await storage.remove();
  }
}
