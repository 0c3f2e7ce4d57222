import { type Database, type Queryable, sql } from '@fmhl/ops';
import { networkOf } from '../../client-network.ts';
import { refuse } from '../../errors.ts';
import type { Keys } from '../../keys.ts';

/** Failures within 15 minutes after which no further attempt is looked at: of one account, from one address, and of all together. */
export const attemptLimits = { account: 5, address: 50, all: 2_000 } as const;

const windowMs = 15 * 60_000;

/** Long enough to look into an attack of the day. */
const keptForMs = 24 * 60 * 60_000;

export interface Attempt {
  /** Names the account in the table without telling it. */
  readonly accountKey: string;
  readonly ip: string;
}

/** The password of an account is tried, be there such an account or not. */
export function passwordAttempt(emailNorm: string, ip: string, keys: Keys): Attempt {
  return { accountKey: keys.sign('login-failure', `password:${emailNorm}`), ip: networkOf(ip) };
}

/** The code of an account is tried: counted apart, so that strangers who guess passwords lock out nobody who is in. */
export function codeAttempt(userId: string, ip: string, keys: Keys): Attempt {
  return { accountKey: keys.sign('login-failure', `code:${userId}`), ip: networkOf(ip) };
}

/** A passkey is tried, be there such a passkey or not. */
export function passkeyAttempt(credentialId: string, ip: string, keys: Keys): Attempt {
  return { accountKey: keys.sign('login-failure', `passkey:${credentialId}`), ip: networkOf(ip) };
}

/**
 * Counts an attempt as failed before it is made, so that many at once get no further than one after the other. Answers its id for
 * {@link forgetAttempt}. Refuses `rate_limited`. Postgres decides: without it nobody signs in.
 */
export async function admitAttempt(db: Database, attempt: Attempt, now: Date): Promise<string> {
  const after = new Date(now.getTime() - windowMs);
  const admitted = await db.transaction(async (tx) => {
    await lockAttempts(tx, attempt);
    if (await isOverLimit(tx, attempt, after)) return undefined;
    return insertFailure(tx, attempt, now);
  });
  if (admitted === undefined) throw refuse('rate_limited', { retry_after_s: windowMs / 1000 });
  return admitted;
}

/** The attempt was none: it went well, or nobody got to judge it. */
export async function forgetAttempt(tx: Queryable, id: string): Promise<void> {
  await tx.query(sql`delete from identity.login_failure where id = ${id}`);
}

/** Its owner has shown who they are: what failed before is forgiven. */
export async function forgiveFailures(tx: Queryable, { accountKey }: Attempt): Promise<void> {
  await tx.query(sql`delete from identity.login_failure where account_key = ${accountKey}`);
}

/** Removes what is too old to be looked at. Answers how many rows. */
export async function removeOldFailures(db: Queryable, { now, limit }: { now: Date; limit: number }): Promise<number> {
  const before = new Date(now.getTime() - keptForMs);
  const { rowCount } = await db.query(sql`
    delete from identity.login_failure
    where id in (select id from identity.login_failure where at < ${before} order by at limit ${limit} for update skip locked)`);
  return rowCount ?? 0;
}

/** Attempts of one account, and of one address, wait for each other; in this order, so that no two wait for each other's second. */
async function lockAttempts(tx: Queryable, { accountKey, ip }: Attempt): Promise<void> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('login_account ' || ${accountKey}::text, 0))`);
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('login_address ' || ${ip}::text, 0))`);
}

async function isOverLimit(tx: Queryable, { accountKey, ip }: Attempt, after: Date): Promise<boolean> {
  const { account, address, all } = attemptLimits;
  const { rows } = await tx.query<{ over: boolean }>(sql`
    select (select count(*) from identity.login_failure where account_key = ${accountKey} and at > ${after}) >= ${account}::int
        or (select count(*) from identity.login_failure where ip = ${ip} and at > ${after}) >= ${address}::int
        or (select count(*) from (select from identity.login_failure where at > ${after} limit ${all}) f) >= ${all}::int as over`);
  return rows[0]?.over !== false;
}

async function insertFailure(tx: Queryable, { accountKey, ip }: Attempt, now: Date): Promise<string | undefined> {
  const { rows } = await tx.query<{ id: string }>(sql`
    insert into identity.login_failure (account_key, ip, at) values (${accountKey}, ${ip}, ${now}) returning id`);
  return rows[0]?.id;
}
