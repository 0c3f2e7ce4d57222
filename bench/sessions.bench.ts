/**
 * What sign-in costs: the check of a session on each request, the hash of a password, and what 20 people who sign in at once do to those
 * who submit leads.
 *
 * The check runs in this process against 100,000 sessions, on cores that are kept awake; logins and leads go over HTTP to the application in a process of its own.
 */
import autocannon from 'autocannon';
import { liveSession } from '../apps/marketplace/src/features/auth/authorizer.ts';
import { openPasswords } from '../apps/marketplace/src/features/auth/passwords.ts';
import { sha256Of } from '../apps/marketplace/src/features/auth/token.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { makeNiche } from '../apps/marketplace/src/testing/subscriptions.ts';
import { type Database, openDatabase, openMigrator, prepared, sql } from '../packages/ops/src/postgres/index.ts';
import { keepAwake } from './awake.ts';
import { type Arm, fields, openArm, submissionOf } from './intake-load.ts';
import { atLeast, below, type Figure, medianOf, type RunOptions } from './report.ts';
import { startServers } from './servers.ts';

export const about = 'checks of 100,000 sessions, the hash of a password, and leads beside 20 logins at once';

const sessions = 100_000;
const users = 10_000;
const password = 'a-password-of-the-benchmark';
const loggingIn = 20;

export async function run({ quick, say }: RunOptions): Promise<Figure[]> {
  const servers = await startServers();
  await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 8 });
  const niche = await makeNiche(db, { formSchema: { fields } });
  await fill(db);
  say(`${sessions} sessions of ${users} users stand`);
  const arm = await openArm('ours', servers);
  try {
    return [
      ...(await onAwakeCores(() => checkFigures(db, quick ? 2_000 : 20_000))),
      await hashFigure(),
      ...(await leadFigures(arm, niche.slug, { amount: quick ? 200 : 1_000, say })),
    ];
  } finally {
    await arm.close();
    await db.close();
    await servers.stop();
  }
}

async function onAwakeCores<T>(work: () => Promise<T>): Promise<T> {
  const awake = await keepAwake();
  return work().finally(() => awake.stop());
}

async function fill(db: Database): Promise<void> {
  const passwordHash = await openPasswords().hash(password);
  await db.query(sql`
    insert into identity.users (email, email_norm, password_hash, display_name, role, email_verified_at)
    select 'user-' || n || '@example.com', 'user-' || n || '@example.com', ${passwordHash}, 'A User', 'provider', now()
    from generate_series(1, ${users}::int) n`);
  await db.query(sql`
    insert into identity.session (user_id, token_sha256, idle_expires_at, expires_at)
    select u.id, sha256(('token-' || n)::bytea), now() + interval '1 hour', now() + interval '12 hours'
    from generate_series(1, ${sessions}::int) n join identity.users u on u.email_norm = 'user-' || (n % ${users}::int + 1) || '@example.com'`);
  await db.query(sql`vacuum analyze identity.session, identity.users`);
}

/** One after the other, in turns with a query that does nothing, and eight at a time. */
async function checkFigures(db: Database, amount: number): Promise<Figure[]> {
  const check = async (): Promise<number> => {
    const token = `token-${1 + Math.floor(Math.random() * sessions)}`;
    const startedAt = performance.now();
    const session = await liveSession(db, sha256Of(token), new Date());
    if (!session) throw new Error(`${token} has no session`);
    return performance.now() - startedAt;
  };
  const many = async (times: number) => {
    const took: number[] = [];
    for (let n = 0; n < times; n += 1) took.push(await check());
    return took;
  };
  await many(amount / 10);
  const rounds: number[][] = [];
  const empty: number[][] = [];
  for (let round = 0; round < 10; round += 1) {
    rounds.push(await many(amount / 10));
    empty.push(await emptyQueries(db, amount / 10));
  }
  const together = (await Promise.all(Array.from({ length: 8 }, () => many(amount / 8)))).flat();
  return [
    { what: 'session check, median', value: medianOf(rounds.flat()), unit: 'ms', target: '', ok: true },
    { what: 'an empty query, p95 likewise', value: medianOf(empty.map(p95Of)), unit: 'ms', target: '', ok: true },
    // What else the machine does spoils some rounds, and says nothing of the check.
    below(0.5, { what: 'session check, p95, median of ten rounds', value: medianOf(rounds.map(p95Of)), unit: 'ms' }),
    { what: 'session check, p95, eight at a time', value: p95Of(together), unit: 'ms', target: '', ok: true },
  ];
}

async function emptyQueries(db: Database, amount: number): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < amount; n += 1) {
    const startedAt = performance.now();
    await db.query(prepared('empty', sql`select`));
    took.push(performance.now() - startedAt);
  }
  return took;
}

const p95Of = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? Number.NaN;

/** The fastest of some: whatever else runs only adds to it. */
async function hashFigure(): Promise<Figure> {
  const passwords = openPasswords();
  const passwordHash = await passwords.hash(password);
  const took: number[] = [];
  for (let n = 0; n < 12; n += 1) {
    const startedAt = performance.now();
    await passwords.matches(password, passwordHash);
    took.push(performance.now() - startedAt);
  }
  return atLeast(50, { what: 'argon2id of a login, fastest', value: Math.min(...took), unit: 'ms' });
}

async function leadFigures(
  { url }: Arm,
  slug: string,
  { amount, say }: { amount: number; say: (line: string) => void },
): Promise<Figure[]> {
  await leads(url, slug, amount / 4);
  const quiet = await leads(url, slug, amount);
  const logins = keepLoggingIn(url);
  const beside = await leads(url, slug, amount);
  const { took, failed } = await logins.stop();
  say(`${took.length} logins meanwhile, median ${Math.round(medianOf(took))} ms`);
  const wrong = quiet.failed + beside.failed + failed;
  return [
    { what: 'p95 of POST /api/v1/leads alone', value: quiet.p95Ms, unit: 'ms', target: '', ok: true },
    below(300, { what: `the same beside ${loggingIn} logins at once`, value: beside.p95Ms, unit: 'ms' }),
    { what: 'a login among them, median', value: medianOf(took), unit: 'ms', target: '', ok: true },
    { what: 'requests that failed', value: wrong, unit: 'requests', target: '= 0', ok: wrong === 0 },
  ];
}

async function leads(url: string, slug: string, amount: number): Promise<{ p95Ms: number; failed: number }> {
  const latencies: number[] = [];
  const load = autocannon({ url, connections: 8, amount, requests: [{ setupRequest: () => submissionOf(slug) }] });
  load.on('response', (_client, _status, _bytes, ms) => latencies.push(ms));
  const { errors, timeouts, non2xx } = await load;
  return { p95Ms: p95Of(latencies), failed: errors + timeouts + non2xx };
}

/** Twenty people, each of whom signs in again as soon as they are in. */
function keepLoggingIn(url: string): { stop(): Promise<{ took: number[]; failed: number }> } {
  const took: number[] = [];
  let failed = 0;
  let isOver = false;
  const person = async (n: number): Promise<void> => {
    const body = JSON.stringify({ email: `user-${n}@example.com`, password });
    while (!isOver) {
      const startedAt = performance.now();
      const headers = { 'content-type': 'application/json' };
      const { ok } = await fetch(`${url}/api/v1/auth/login`, { method: 'POST', headers, body });
      if (!ok) failed += 1;
      took.push(performance.now() - startedAt);
    }
  };
  const people = Array.from({ length: loggingIn }, (_, n) => person(n + 1));
  return {
    async stop() {
      isOver = true;
      await Promise.all(people);
      return { took, failed };
    },
  };
}
