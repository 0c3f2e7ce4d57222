import { randomUUID } from 'node:crypto';
import { type Actor, audit, runWithContext, sql, type Tx } from '@fmhl/ops';
import type { App } from '../app.ts';
import { hashChosenPassword, readablePassword } from '../features/auth/index.ts';
import { adjust, type BillingDeps } from '../features/billing/index.ts';
import {
  approveLead,
  confirmLead,
  confirmToken,
  openIntake,
  openNicheDirectory,
  rejectLead,
  submitLead,
} from '../features/leads/index.ts';
import { createLevel, createNiche, createProviderAccount, subscribe } from '../features/subscriptions/index.ts';
import type { Log } from '../log.ts';
import { demoLevels, demoNiches } from './demo-catalogue.ts';
import { type DemoLead, demoLeads } from './demo-leads.ts';
import { type DemoProvider, demoProviders, demoSignIn } from './demo-providers.ts';

const actor: Actor = { id: 'demo-world', name: 'Demo world', via: 'system' };

/** What of the application it works through. */
export type DemoWorldDeps = Pick<App, 'db' | 'log' | 'authDeps' | 'billingDeps' | 'leadDeps'>;

/** Who can sign in as a provider of the demo world. */
export interface DemoSignIn {
  readonly email: string;
  readonly password: string;
}

/**
 * Fills an empty database with a small world to look at: the same each time but for ids, times and the password that all its
 * providers share. One transaction, so a kill in the middle leaves nothing and the next start begins anew. Answers undefined,
 * after one small query, where there is a niche or a provider already.
 */
export async function seedDemoWorld(app: DemoWorldDeps): Promise<DemoSignIn | undefined> {
  if (!(await isEmpty(app.db))) return undefined;
  const startedAt = performance.now();
  const signIn = { email: demoSignIn, password: readablePassword() };
  const passwordHash = await hashChosenPassword(signIn, app.authDeps);
  const isSeeded = await runWithContext({ correlationId: randomUUID() }, () =>
    app.db.transaction((tx) => seed(tx, passwordHash, app)),
  );
  if (!isSeeded) return undefined;
  const counts = { niches: demoNiches.length, providers: demoProviders.length, leads: demoLeads.length };
  app.log.info('demo_world_seeded', { ...counts, duration_ms: Math.round(performance.now() - startedAt) });
  return signIn;
}

/** False when another starter was faster. */
async function seed(tx: Tx, passwordHash: string, app: DemoWorldDeps): Promise<boolean> {
  await tx.query(sql`select pg_advisory_xact_lock(hashtextextended('demo_world', 0))`);
  if (!(await isEmpty(tx))) return false;
  const log = withoutFacts(app.log);
  const levelIds = await seedCatalogue(tx);
  for (const provider of demoProviders) {
    await seedProvider(tx, { provider, levelIds, passwordHash }, { ...app.billingDeps, log });
  }
  await seedLeads(tx, { ...app.leadDeps, log });
  await audit(tx, { actor, action: 'demo_world.seeded', targetType: 'database', targetId: 'demo-world' });
  return true;
}

async function isEmpty(db: Pick<Tx, 'query'>): Promise<boolean> {
  const { rows } = await db.query<{ empty: boolean }>(
    sql`select not exists (select from v_niche) and not exists (select from v_provider) as empty`,
  );
  return rows[0]?.empty === true;
}

/** Eighty lines of facts which nobody caused would bury the summary of the first start. */
function withoutFacts(log: Log): Log {
  return {
    info() {},
    debug() {},
    sampled() {},
    warn: (event, metadata) => log.warn(event, metadata),
    error: (event, error, metadata) => log.error(event, error, metadata),
    withCorrelation: (correlationId) => withoutFacts(log.withCorrelation(correlationId)),
    enableDebugFor() {},
    isDebug: false,
  };
}

/** Answers the ids of the levels, by `niche/level`. */
async function seedCatalogue(tx: Tx): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for (const draft of demoNiches) {
    const niche = await createNiche(tx, draft, actor);
    for (const level of demoLevels) {
      const { id } = await createLevel(tx, { ...level, niche_id: niche.id }, actor);
      ids.set(`${draft.slug}/${level.name}`, id);
    }
  }
  return ids;
}

async function seedProvider(
  tx: Tx,
  input: { provider: DemoProvider; levelIds: Map<string, string>; passwordHash: string },
  deps: BillingDeps,
): Promise<void> {
  const { company, email, tz, creditCents, subscriptions } = input.provider;
  const draft = { company, email, tz, passwordHash: input.passwordHash };
  const { id: providerId } = await createProviderAccount(tx, { draft, actor }, deps);
  const memo = 'Opening balance of the demo world';
  if (creditCents > 0) await adjust(tx, { providerId, amountCents: creditCents, memo, actor }, deps);
  for (const { niche, level, areas, filter, dailyCap } of subscriptions) {
    const terms = {
      level_id: input.levelIds.get(`${niche}/${level}`) ?? '',
      areas: [...areas],
      filter_rules: filter ? [...filter] : null,
      daily_cap: dailyCap ?? null,
      weight: 1,
    };
    await subscribe(tx, { providerId, terms, actor }, deps);
  }
}

async function seedLeads(tx: Tx, deps: App['leadDeps']): Promise<void> {
  const niches = openNicheDirectory(tx);
  const intake = openIntake(tx);
  for (const [index, lead] of demoLeads.entries()) {
    const input = { submission: submissionOf(lead), key: `demo-lead-${index}`, ...visitor(index) };
    // Each is a journey of its own, as if a request had brought it.
    await runWithContext({ correlationId: randomUUID() }, async () => {
      const submitted = await submitLead(input, { ...deps, db: tx, intake, niches });
      await review(tx, { leadId: submitted.lead.id, until: lead.until }, deps);
    });
  }
}

/** Takes a submitted lead as far as it goes. */
async function review(
  tx: Tx,
  { leadId, until }: { leadId: string; until: DemoLead['until'] },
  deps: App['leadDeps'],
): Promise<void> {
  if (until === 'submitted') return;
  await confirmLead(tx, confirmToken(deps.keys, { leadId, nonce: 1 }), deps);
  if (until === 'approved') await approveLead(tx, { leadId, actor }, deps);
  const reason = 'A test of the form, not a person in need';
  if (until === 'rejected') await rejectLead(tx, { leadId, reason, actor }, deps);
}

function submissionOf({ niche, name, postcode, form }: DemoLead) {
  const email = `${name.toLowerCase().replace(' ', '.')}@example.com`;
  const consent = { version: 1 };
  return { niche, name, email, phone: phoneOf(name), postcode, form: { ...form }, consent, source: 'demo' };
}

/** A number of the range kept for fiction; one person has one. */
function phoneOf(name: string): string {
  const person = [...new Set(demoLeads.map((lead) => lead.name))].indexOf(name);
  return `+1415555${String(100 + person).padStart(4, '0')}`;
}

/** Addresses of the range kept for documentation, each its own, so that nobody looks like a crowd. */
function visitor(index: number) {
  return { ip: `192.0.2.${index + 1}`, userAgent: 'Demo', pageUrl: 'https://www.example.com/quote' };
}
