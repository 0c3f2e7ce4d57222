import { randomUUID } from 'node:crypto';
import { openPasswords } from '../../apps/marketplace/src/features/auth/passwords.ts';
import { makeLead } from '../../apps/marketplace/src/testing/leads.ts';
import {
  makeLevel,
  makeNiche,
  makeProvider,
  makeSubscription,
} from '../../apps/marketplace/src/testing/subscriptions.ts';
import { type Database, sql } from '../../packages/ops/src/postgres/index.ts';
import { type ApiClient, openApiClient } from '../harness/api-client.ts';
import { openAuthenticator } from '../harness/authenticator.ts';
import type { Scene } from '../harness/scene.ts';
import { admin } from '../harness/stage.ts';

/** Niches by slug: their buyers differ in their money. */
export const slugs = {
  /** Three places; buyers in the order funded, broke, funded, funded, broke. */
  mixed: 'mixed',
  /** One place and one buyer, with money. */
  single: 'single',
  /** As `single`, under a buyer of its own. */
  other: 'other',
  /** One place and forty buyers without money. */
  broke: 'broke',
} as const;
type Slug = keyof typeof slugs;

const priceCents = 1_000;
export const places = 3;
export const brokeBuyers = 40;

export interface Market {
  readonly db: Database;
  /** Ids of the providers with money, by niche. */
  readonly funded: Readonly<Record<Slug, readonly string[]>>;
  /** A lead approved long ago, of which no job and no verdict exists. */
  readonly forgottenLead: string;
  readonly buyer: { readonly email: string; readonly password: string };
}

export async function buildMarket(db: Database): Promise<Market> {
  await plantFaults(db);
  const mixed = await buildNiche(db, { slug: 'mixed', maxRecipients: places, buyers: 'fbffb' });
  const single = await buildNiche(db, { slug: 'single', maxRecipients: 1, buyers: 'f' });
  const other = await buildNiche(db, { slug: 'other', maxRecipients: 1, buyers: 'f' });
  await buildNiche(db, { slug: 'broke', maxRecipients: 1, buyers: 'b'.repeat(brokeBuyers) });
  const tenMinutesAgo = new Date(Date.now() - 600_000);
  const forgotten = await makeLead(db, { nicheId: single.nicheId, createdAt: tenMinutesAgo });
  await db.query(sql`update lead set updated_at = created_at where id = ${forgotten.id}`);
  const password = 'a-password-of-the-proof';
  const { rows } = await db.query<{ email: string }>(sql`
    update identity.users set password_hash = ${await openPasswords().hash(password)}
    where id = (select user_id from provider where id = ${mixed.funded[0] ?? ''}) returning email`);
  return {
    db,
    funded: { mixed: mixed.funded, single: single.funded, other: other.funded, broke: [] },
    forgottenLead: forgotten.id,
    buyer: { email: rows[0]?.email ?? '', password },
  };
}

async function buildNiche(
  db: Database,
  { slug, maxRecipients, buyers }: { slug: Slug; maxRecipients: number; buyers: string },
): Promise<{ nicheId: string; funded: string[] }> {
  const { id: nicheId } = await makeNiche(db, { slug: slugs[slug] });
  const level = await makeLevel(db, { nicheId, priceCents, maxRecipients });
  const funded: string[] = [];
  for (const [vt, purse] of buyers.split('').entries()) {
    const provider = await makeProvider(db);
    await makeSubscription(db, { providerId: provider.id, levelId: level.id, vt });
    if (purse === 'f') funded.push(provider.id);
  }
  return { nicheId, funded };
}

/** What can be made to go wrong, for one provider or one lead. */
type Fault = 'ledger_raises' | 'commit_raises' | 'charge_is_lost';

/** Real errors of Postgres, which no statement of the product can foresee. */
async function plantFaults(db: Database): Promise<void> {
  await db.query(sql`create table proof_fault (fault text, id uuid, primary key (fault, id))`);
  await db.query(sql`grant select on proof_fault to public`);
  await db.query(sql`
    create function proof_raise() returns trigger language plpgsql as $$
    begin
      if exists (select from proof_fault where fault = tg_argv[0] and id = (to_jsonb(new) ->> tg_argv[1])::uuid) then
        raise exception 'planted fault %', tg_argv[0];
      end if;
      return new;
    end $$`);
  await db.query(sql`
    create function proof_lose() returns trigger language plpgsql as $$
    begin
      return case when exists (select from proof_fault where fault = 'charge_is_lost' and id = new.provider_id) then null else new end;
    end $$`);
  await db.query(sql`
    create trigger proof_ledger before insert on ledger_entry
    for each row execute function proof_raise('ledger_raises', 'provider_id')`);
  await db.query(sql`
    create constraint trigger proof_commit after insert on assignment deferrable initially deferred
    for each row execute function proof_raise('commit_raises', 'lead_id')`);
  await db.query(sql`
    create trigger proof_account before update on account for each row execute function proof_lose()`);
}

export async function armFault(db: Database, fault: Fault, id: string | undefined): Promise<() => Promise<void>> {
  await db.query(sql`insert into proof_fault (fault, id) values (${fault}, ${id ?? null})`);
  return async () => void (await db.query(sql`delete from proof_fault where fault = ${fault} and id = ${id ?? null}`));
}

/** Those who use the product. */
export interface People {
  readonly stranger: ApiClient;
  readonly staff: ApiClient;
  submit(niche: Slug): Promise<string>;
  /** Clicks on the link of the mail, once it has come. */
  confirm(leadId: string): Promise<void>;
  approve(leadId: string): Promise<void>;
  /** All three. */
  bring(niche: Slug, count: number): Promise<string[]>;
  adjust(providerId: string | undefined, cents: number): Promise<unknown>;
}

export async function meetPeople({ fleet, mails }: Scene): Promise<People> {
  const stranger = openApiClient(fleet.apiUrl);
  const staff = await stranger.signIn(admin.email, admin.password, openAuthenticator(admin.totpSecret));
  const addresses = new Map<string, string>();
  const clickOf = clicksIn(mails);
  const people: People = {
    stranger,
    staff,
    async submit(niche) {
      const email = `person-${randomUUID()}@example.com`;
      const person = { name: 'A Person', email, postcode: '94107' };
      const lead = { niche: slugs[niche], ...person, form: {}, consent: { version: 1 } };
      const { body } = await stranger.post<{ id: string }>('/leads', lead);
      addresses.set(body.id, email);
      return body.id;
    },
    async confirm(leadId) {
      const token = await clickOf(addresses.get(leadId) ?? '');
      await stranger.post('/leads/confirm', { token });
    },
    async approve(leadId) {
      await staff.post(`/admin/leads/${leadId}/approve`);
    },
    async bring(niche, count) {
      const ids = await Promise.all(Array.from({ length: count }, () => people.submit(niche)));
      await Promise.all(ids.map((id) => people.confirm(id)));
      await Promise.all(ids.map((id) => people.approve(id)));
      return ids;
    },
    adjust: (providerId, cents) =>
      staff.post(
        `/admin/providers/${providerId}/adjustments`,
        { amount_cents: cents, memo: 'money of the proof' },
        randomUUID(),
      ),
  };
  return people;
}

/** The token of the confirmation mail to an address, once it has come. */
function clicksIn(mails: Scene['mails']): (address: string) => Promise<string> {
  const clicks = new Map<string, PromiseWithResolvers<string>>();
  const clickOf = (address: string) => {
    const click = clicks.get(address) ?? Promise.withResolvers<string>();
    clicks.set(address, click);
    return click;
  };
  mails.onMail(({ to, text }) => {
    const token = /#token=([\w-]+)/.exec(text)?.[1];
    if (token !== undefined) clickOf(to).resolve(token);
  });
  return (address) => clickOf(address).promise;
}
