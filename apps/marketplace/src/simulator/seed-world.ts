import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Actor,
  audit,
  type Database,
  enqueueMany,
  type Queryable,
  recordPastDeaths,
  sql,
  type Tx,
} from '@fmhl/ops';
import { hashChosenPassword, readablePassword } from '../features/auth/index.ts';
import { saleKey } from '../features/leads/index.ts';
import type { Log } from '../log.ts';
import { distributeLeadQueue } from '../queues.ts';
import { BackfillWriter } from './backfill-writer.ts';
import { type History, tellHistory } from './history.ts';
import { type ProfileName, profiles } from './shape.ts';
import { writeFinalStates } from './final-states.ts';

const actor: Actor = { id: 'demo-world', name: 'Demo world', via: 'system' };

export interface SeedOptions {
  readonly profile: ProfileName;
  readonly seed: number;
  /** Days of history. */
  readonly days: number;
  /** The end of the history. */
  readonly now: Date;
  /** Told now and then, with the share of the leads that has arrived. */
  readonly onProgress?: (progress: SeedProgress) => void;
}

export interface SeedProgress {
  readonly share: number;
  readonly rows: number;
}

export interface SeedDeps {
  readonly db: Database;
  readonly log: Log;
  readonly authDeps: Parameters<typeof hashChosenPassword>[1];
}

export interface SeededWorld {
  /** Rows written, by table. */
  readonly rows: Readonly<Record<string, number>>;
  readonly deadLetters: number;
  /** What every provider of the world signs in with. */
  readonly password: string;
  /** The address of one of them. */
  readonly email: string;
}

/** The database holds something that a made-up world must not be mixed with. */
export class NotEmpty extends Error {
  override name = 'NotEmpty';
}

/**
 * Fills a database that holds no niche, provider or lead with the history of a made-up market: the same for the same profile, seed, days
 * and now, but for the password. One transaction: a kill in the middle leaves nothing. Constraints and triggers judge each row as any
 * other. Throws {@link NotEmpty}.
 */
export async function seedWorld(options: SeedOptions, deps: SeedDeps): Promise<SeededWorld> {
  await refuseUnlessEmpty(deps.db);
  const startedAt = performance.now();
  const password = readablePassword();
  const passwordHash = await hashChosenPassword({ email: 'provider@example.com', password }, deps.authDeps);
  const made = await deps.db.transaction((tx) => fill(tx, options, passwordHash), {
    statementTimeoutMs: 0,
    lockTimeoutMs: 10_000,
  });
  await analyze(deps.db);
  const { profile, seed, days } = options;
  const counts = { providers: profiles[profile].providers, leads: profiles[profile].leads };
  const duration_ms = Math.round(performance.now() - startedAt);
  deps.log.info('world_seeded', { profile, seed, days, ...counts, duration_ms });
  return { ...made, password };
}

async function fill(tx: Tx, options: SeedOptions, passwordHash: string): Promise<Omit<SeededWorld, 'password'>> {
  const { profile, seed, days, now, onProgress } = options;
  await tx.query(sql`set local synchronous_commit = off`);
  // A step of the history takes no second; one of the machine may.
  await tx.query(sql`set local idle_in_transaction_session_timeout = '10min'`);
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('demo_world', 0))`);
  await refuseUnlessEmpty(tx);
  const rows = new BackfillWriter(tx);
  const history = await tellHistory({
    seed,
    profile: profiles[profile],
    days,
    now: now.getTime(),
    rows,
    passwordHash,
    consentText: await consentText(tx),
    pause: async (share) => {
      if (rows.isFull) {
        onProgress?.({ share, rows: rows.total });
        await rows.write();
      }
      // Also what is on its way to the database wants its turn.
      await nextTurn();
    },
  });
  await rows.finish();
  await writeFinalStates(tx, history, now.getTime());
  await recordPastDeaths(
    tx,
    history.deaths.map((death) => ({
      ...death,
      enqueuedAt: new Date(death.enqueuedAt),
      diedAt: new Date(death.diedAt),
    })),
  );
  await planSales(tx, history, now.getTime());
  const details = { profile, seed, days };
  await audit(tx, { actor, action: 'world.seeded', targetType: 'database', targetId: 'demo-world', details });
  return { rows: rows.counts, deadLetters: history.deaths.length, email: signInOf(history) };
}

/** The one who has bought most: there is something to see. */
function signInOf({ providers }: History): string {
  const richest = providers.reduce((most, one) => (one.version > most.version ? one : most));
  return richest.draft.email;
}

/** The sales that lie ahead, as those who planned them would have. */
async function planSales(tx: Tx, { planned }: History, now: number): Promise<void> {
  const drafts = planned.map(({ leadId, saleNo, at, correlationId }) => ({
    key: saleKey(leadId, saleNo),
    payload: { v: 1 as const, lead_id: leadId, sale_no: saleNo },
    delayMs: Math.max(0, at - now),
    context: { correlationId },
  }));
  for (let from = 0; from < drafts.length; from += 500)
    await enqueueMany(tx, distributeLeadQueue, 'distribute_lead', drafts.slice(from, from + 500));
}

async function refuseUnlessEmpty(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ niches: boolean; providers: boolean; leads: boolean }>(sql`
    select exists (select from v_niche) as niches, exists (select from v_provider) as providers, exists (select from v_lead) as leads`);
  const held = Object.entries(rows[0] ?? {}).flatMap(([what, isThere]) => (isThere ? [what] : []));
  if (held.length > 0) throw new NotEmpty(`the database holds ${held.join(' and ')}`);
}

/** What a niche gets that is added without a text of its own. */
async function consentText(tx: Queryable): Promise<string> {
  const { rows } = await tx.query<{ text: string }>(sql`
    select pg_get_expr(adbin, adrelid) as text from pg_attrdef
    where adrelid = 'niche'::regclass and adnum = (select attnum from pg_attribute where attrelid = 'niche'::regclass and attname = 'consent_text')`);
  return /^'(.*)'::text$/s.exec(rows[0]?.text ?? '')?.[1]?.replaceAll("''", "'") ?? '';
}

/** Plans made while the tables were empty would be those of the first hours. Who does not own the tables leaves it to autovacuum. */
async function analyze(db: Database): Promise<void> {
  await db.query(sql`
    analyze identity.users, niche, level, provider, account, ledger_entry, payment, subscription, subscription_area, lead, lead_consent,
            distribution_run, assignment, inbox_mark, bad_lead_report, email, ops.job_run`);
}
