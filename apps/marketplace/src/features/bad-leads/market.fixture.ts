import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { makeAssignments } from '../../testing/inbox.ts';
import { present } from '../../testing/nth.ts';
import type { TestWorld } from '../../testing/world.ts';
import { badLeadRoutes } from './index.ts';

/** A niche with providers who all buy every lead for $28 at most, and the routes of bad leads. */
export async function openMarket(world: TestWorld, { providers: count = 1, now = () => new Date() } = {}) {
  const { make, db } = world;
  const server = await openTestServer(world.log, {
    routes: (app) => badLeadRoutes(app, { ...world, now }),
  });
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id, maxRecipients: 20, priceCents: 2_800 });
  const providers = [];
  for (let at = 0; at < count; at += 1) {
    const provider = await make.provider();
    await make.credit({ providerId: provider.id });
    await make.subscription({ providerId: provider.id, levelId: level.id });
    providers.push(provider);
  }
  return {
    server,
    niche,
    level,
    providers,
    /** Sells a new lead and answers the assignment of each provider. */
    async sell(lead: { source?: string } = {}) {
      const { id, correlationId } = await make.lead({ nicheId: niche.id, ...lead });
      const assignments = await makeAssignments(db, id, world);
      return { leadId: id, correlationId, of: (provider: { id: string }) => present(assignments.get(provider.id)) };
    },
    ...callers(server),
  };
}

function callers(server: FastifyInstance) {
  const admin = { ...signedInAs(randomUUID(), 'admin') };
  const send = async (
    headers: Record<string, string>,
    [method, url, payload]: [method: 'GET' | 'POST', url: string, payload?: object],
  ) => {
    const answer = await server.inject({ method, url, headers, ...(payload && { payload }) });
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
  };
  return {
    asProvider: (provider: { userId: string }, ...request: Parameters<typeof send>[1]) =>
      send(signedInAs(provider.userId, 'provider'), request),
    /** Under a key of its own, unless one is given. */
    asAdmin: (...request: Parameters<typeof send>[1]) => send({ ...admin, 'idempotency-key': randomUUID() }, request),
    withKey: (key: string, ...request: Parameters<typeof send>[1]) =>
      send({ ...admin, 'idempotency-key': key }, request),
    withoutKey: (...request: Parameters<typeof send>[1]) => send(admin, request),
  };
}

export const memo = 'looked at by a test';

/** The ledger of a provider, oldest first, and the balance. */
export async function moneyOf({ db }: Pick<TestWorld, 'db'>, providerId: string) {
  const { rows } = await db.query<{ kind: string; amount_cents: number; assignment_id: string | null }>(sql`
    select kind, amount_cents, assignment_id from v_ledger_entry where provider_id = ${providerId} order by account_version`);
  const { rows: accounts } = await db.query<{ balance_cents: number }>(
    sql`select balance_cents from v_account where provider_id = ${providerId}`,
  );
  const refunds = rows.filter((row) => row.kind === 'lead_refund');
  return { refunds, balance: present(accounts[0]).balance_cents };
}
