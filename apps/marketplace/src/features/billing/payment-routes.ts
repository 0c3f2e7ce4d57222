import { type Database, type Queryable, sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { staff } from '../../access.ts';
import { cutPage, decodeCursor, momentCursor, pageOf } from '../../paging.ts';
import { adminPaymentView, paymentQuery } from './contract.ts';
import type { PaymentStatus } from './queries.ts';

/** Payments, for staff. */
export function paymentRoutes(app: FastifyInstance, { db }: { db: Database }): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'GET',
    url: '/admin/payments',
    config: { access: staff('money.read') },
    schema: {
      tags: ['billing'],
      summary: 'Payments of a status, those that wait for the gateway by default, oldest first',
      querystring: paymentQuery,
      response: { 200: pageOf(adminPaymentView) },
    },
    handler: async ({ query: { limit, cursor, status, provider_id: providerId } }) => {
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listPayments(db, { status, providerId, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewListed, cursor: (row) => [row.position, row.id] });
    },
  });
}

interface ListedPayment {
  id: string;
  provider_id: string;
  company: string;
  gateway: string | null;
  external_id: string | null;
  amount_cents: number;
  status: PaymentStatus;
  created_at: Date;
  updated_at: Date;
  /** Of `created_at`, to the microsecond. */
  position: string;
}

async function listPayments(
  db: Queryable,
  filter: {
    status: PaymentStatus;
    providerId: string | undefined;
    after: readonly [string, string] | undefined;
    limit: number;
  },
): Promise<ListedPayment[]> {
  const { status, providerId, after, limit } = filter;
  const { rows } = await db.query<ListedPayment>(sql`
    select y.id, y.provider_id, p.company, y.gateway, y.external_id, y.amount_cents, y.status, y.created_at, y.updated_at,
           y.created_at::text as position
    from payment y join v_provider p on p.id = y.provider_id
    where y.status = ${status} ${providerId === undefined ? sql`` : sql`and y.provider_id = ${providerId}`}
      ${after ? sql`and (y.created_at, y.id) > (${after[0]}::timestamptz, ${after[1]}::uuid)` : sql``}
    order by y.created_at, y.id limit ${limit}::int`);
  return rows;
}

function viewListed({ position: _position, created_at, updated_at, ...row }: ListedPayment) {
  return { ...row, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() };
}
