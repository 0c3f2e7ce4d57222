/** One arm of the intake benchmark, in a process of its own: tells its parent the port, and answers each message with its CPU time. */
import { randomUUID } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import fastify from 'fastify';
import pg from 'pg';
import { openApp, type ReadyConfig } from '../apps/marketplace/src/app.ts';
import { readConfig } from '../apps/marketplace/src/config.ts';
import { buildHttp } from '../apps/marketplace/src/http.ts';
import { noLimits } from './servers.ts';

export type ArmName = 'bare' | 'ours';

export interface ServerMessage {
  readonly port?: number;
  /** CPU time of the process so far, in µs. */
  readonly cpuMicros?: number;
}

const poolSize = 10;

/** The application as role api runs it; its log goes to /dev/null, at the level of production. */
async function openOurs(databaseUrl: string, redisUrl: string) {
  const env = {
    ...noLimits,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    SMTP_URL: 'smtp://127.0.0.1:1',
    TOKEN_KEY: 'ab'.repeat(32),
    PG_POOL_SIZE: String(poolSize),
  };
  const sink = openSync('/dev/null', 'w');
  const logTo = { write: (line: string) => writeSync(sink, line) };
  const app = openApp(readConfig(env) as ReadyConfig, { role: 'api', logTo });
  const server = await buildHttp(app);
  return { server, close: () => app.close() };
}

/** What a submission looks like here; the other arm checks it, this one trusts it. */
interface Submission {
  name: string;
  email: string;
  phone: string;
  form: object;
  source: string;
}

const bareInsert = `
  insert into bare_lead (id, niche_id, name, email, email_norm, phone_e164, area_codes, form, source, ip, idempotency_key,
                         request_sha256, correlation_id, confirm_expires_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now() + interval '24 hours')`;

/** A route that writes a row of the same columns, into a table of the same indexes and checks, and does nothing else. */
async function openBare(databaseUrl: string) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
  const { rows } = await pool.query<{ id: string }>('select id from niche');
  const nicheId = rows[0]?.id;
  const areas = ['*', 'US', 'US-CA', 'US-941'];
  const server = fastify({ logger: false });
  server.post<{ Body: Submission }>('/api/v1/leads', async ({ body, headers, ip }, reply) => {
    const id = randomUUID();
    const { name, email, phone, form, source } = body;
    const person = [name, email, email, phone, areas, JSON.stringify(form), source, ip];
    const values = [id, nicheId, ...person, headers['idempotency-key'], '0'.repeat(64), randomUUID()];
    await pool.query({ name: 'bare_lead', text: bareInsert, values });
    return reply.code(202).send({ id, status: 'pending_confirmation' });
  });
  return { server, close: () => pool.end() };
}

async function serve([arm, databaseUrl = '', redisUrl = '']: string[]): Promise<void> {
  const { server, close } = await (arm === 'ours' ? openOurs(databaseUrl, redisUrl) : openBare(databaseUrl));
  await server.listen({ host: '127.0.0.1', port: 0 });
  const tell = (message: ServerMessage) => process.send?.(message);
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    tell({ cpuMicros: user + system });
  });
  process.once('disconnect', () => void server.close().then(close));
  const address = server.server.address();
  tell({ port: typeof address === 'object' && address ? address.port : 0 });
}

if (import.meta.main) await serve(process.argv.slice(2));
