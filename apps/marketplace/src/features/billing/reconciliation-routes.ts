import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { actorOf, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, momentCursor, pageOf } from '../../paging.ts';
import { correctionQuery, correctionView, reconcileRequest, reconcileResponse } from './contract.ts';
import { type CorrectionRow, listCorrections } from './corrections.ts';
import type { BillingDeps } from './measure.ts';
import { reconcileAccount } from './reconcile-account.ts';

type Deps = Pick<BillingDeps, 'log'> & { readonly db: Database };

/** What reconciliation found, and how a person settles it. */
export function reconciliationRoutes(app: FastifyInstance, { db, log }: Deps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/admin/balance-corrections',
    config: { access: staff('money.read') },
    schema: {
      tags: ['billing'],
      summary:
        'Balances that differed from their ledger, newest first; with `open=true` the cases that wait for a person',
      querystring: correctionQuery,
      response: { 200: pageOf(correctionView) },
    },
    handler: async ({ query: { limit, cursor, open, provider_id: providerId } }) => {
      const after = decodeCursor(cursor, momentCursor);
      const rows = await listCorrections(db, { open: open === 'true', providerId, after, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewCorrection, cursor: (row) => [row.position, row.id] });
    },
  });
  routes.route({
    method: 'POST',
    url: '/admin/providers/:id/reconcile',
    config: { access: staff('money.write', 'fresh'), idempotency: 'accepted' },
    schema: {
      tags: ['billing'],
      summary: 'Set a balance to the sum of its ledger, and close its case',
      params: idParams,
      body: reconcileRequest,
      response: { 200: reconcileResponse },
    },
    handler: (request, reply) =>
      write(db, request, reply, async (tx) => {
        const input = { providerId: request.params.id, memo: request.body.memo, actor: actorOf(request) };
        const { beforeCents, afterCents, changed, closedCaseId, resumed, paused } = await reconcileAccount(tx, input, {
          log,
        });
        const body = {
          before_cents: beforeCents,
          after_cents: afterCents,
          changed,
          closed_case_id: closedCaseId,
          resumed,
          paused,
        };
        return { status: 200, body };
      }),
  });
}

function viewCorrection({ position: _position, created_at, closed_at, ...row }: CorrectionRow) {
  return { ...row, created_at: created_at.toISOString(), closed_at: closed_at?.toISOString() ?? null };
}
