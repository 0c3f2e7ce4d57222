/** What the export benchmark exports, where it goes, and what it is compared with. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type Database, sql } from '../packages/ops/src/postgres/index.ts';
import { messageOf } from './child-messages.ts';
import type { WorkerMessage } from './export-server.ts';

/** Leads as people fill them in: some with what breaks files and starts formulas. */
export async function fillLeads(db: Database, leads: number): Promise<void> {
  await db.query(sql`insert into niche (slug, name) values ('roofing', 'Roofing')`);
  for (let from = 0; from < leads; from += 100_000) {
    await db.query(sql`
      insert into lead (id, niche_id, status, name, email, email_norm, phone_e164, area_codes, form, source, correlation_id,
                        confirm_expires_at, confirmed_at, created_at)
      select gen_random_uuid(), (select id from niche), 'pending_approval',
             case n % 10 when 0 then '=HYPERLINK("x")' when 1 then 'Jane "J" Doe, Jr.' else 'Person ' || n end,
             'person-' || n || '@example.com', 'person-' || n || '@example.com', '+1202555' || lpad((n % 10000)::text, 4, '0'),
             '{*,US,US-CA,US-941}', jsonb_build_object('roof', 'flat', 'rooms', n % 9, 'what', 'It leaks' || chr(10) || 'badly'),
             'search', 'bench', now(), now(), now() - n * interval '1 second'
      from generate_series(${from + 1}::int, ${Math.min(from + 100_000, leads)}::int) n`);
  }
  await db.query(sql`vacuum analyze lead`);
}

export interface ExportWorker {
  peakMb(): Promise<number>;
  stop(): Promise<void>;
}

export async function startWorker(env: Record<string, string>): Promise<ExportWorker> {
  const child = fork(fileURLToPath(new URL('./export-server.ts', import.meta.url)), [JSON.stringify(env)]);
  const answer = () => messageOf<WorkerMessage>(child, 'the worker');
  await answer();
  return {
    async peakMb() {
      child.send('memory');
      return (await answer()).peakMb ?? Number.NaN;
    },
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

/** Takes whatever is uploaded in the language of S3, and keeps nothing of it. */
export async function startSink(): Promise<{ url: string; stop(): void }> {
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => {
      response.setHeader('etag', '"0"');
      response.end('<UploadId>1</UploadId>');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What pg does for a query that it is handed. */
class CopyOut extends pg.Query {
  readonly #take: (chunk: Buffer) => void;

  constructor(text: string, take: (chunk: Buffer) => void) {
    super(text);
    this.#take = take;
  }

  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#take(chunk);
  }
}

/** The same columns by COPY over the wire into a file, without any escaping of formulas: the fastest that Postgres can do. Answers seconds. */
export async function copySeconds(databaseUrl: string, path: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const file = createWriteStream(path);
  const startedAt = performance.now();
  const copy = `copy (
    select l.id, l.created_at, n.name, l.status, p.name, p.email, p.phone_e164, array_to_string(p.area_codes, ' '), p.form::text, l.source,
           l.campaign, array_to_string(l.risk_flags, ' '), l.is_test, l.duplicate_of, l.confirmed_at, l.approved_at, l.rejected_at,
           l.distributed_at, l.assigned_count, l.bad_at
    from v_lead l join v_lead_person p on p.lead_id = l.id join v_niche n on n.id = l.niche_id order by l.created_at, l.id) to stdout csv`;
  const query = new CopyOut(copy, (chunk) => void file.write(chunk));
  client.query(query);
  await once(query, 'end');
  file.end();
  await once(file, 'close');
  const seconds = (performance.now() - startedAt) / 1_000;
  await client.end();
  return seconds;
}
