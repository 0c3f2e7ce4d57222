import { type Database, write } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { actorOf, provider, staff } from '../../access.ts';
import { idParams } from '../../id-params.ts';
import { cutPage, decodeCursor, pageOf, pageQuery } from '../../paging.ts';
import { ownProvider, ownWritingProvider } from '../subscriptions/index.ts';
import { type Adjusted, adjust } from './adjust.ts';
import {
  adjustmentRequest,
  adjustmentResponse,
  balanceResponse,
  depositRequest,
  depositResponse,
  entryView,
} from './contract.ts';
import { deposit, type DepositMode } from './deposit.ts';
import type { BillingDeps } from './measure.ts';
import { paymentRoutes } from './payment-routes.ts';
import { reconciliationRoutes } from './reconciliation-routes.ts';
import { type LedgerEntry, listEntries, type Payment, readBalance } from './queries.ts';

export interface BillingRouteDeps extends BillingDeps {
  readonly db: Database;
  readonly depositMode: DepositMode;
}

const versionCursor = z.tuple([z.int().min(1).max(2_147_483_647)]);

/** The provider's balance and deposits, and what the staff do about balances. */
export function billingRoutes(app: FastifyInstance, deps: BillingRouteDeps): void {
  depositRoute(app, deps);
  balanceRoutes(app, deps);
  adjustmentRoute(app, deps);
  paymentRoutes(app, deps);
  reconciliationRoutes(app, deps);
}

function depositRoute(app: FastifyInstance, deps: BillingRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/provider/deposits',
    config: { access: provider, idempotency: 'required' },
    schema: {
      tags: ['billing'],
      summary: 'Add money to the own balance',
      body: depositRequest,
      response: { 201: depositResponse },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const actor = actorOf(request);
        const { id } = await ownWritingProvider(tx, actor);
        const deposited = await deposit(
          tx,
          { providerId: id, amountCents: request.body.amount_cents, mode: deps.depositMode, actor },
          deps,
        );
        const { payment, balanceCents: balance_cents, resumed } = deposited;
        return { status: 201, body: { payment: viewPayment(payment), balance_cents, resumed } };
      }),
  });
}

function balanceRoutes(app: FastifyInstance, { db }: BillingRouteDeps): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();
  routes.route({
    method: 'GET',
    url: '/provider/balance',
    config: { access: provider },
    schema: { tags: ['billing'], summary: 'The own balance', response: { 200: balanceResponse } },
    handler: async (request) => {
      const { id } = await ownProvider(db, actorOf(request));
      return readBalance(db, id);
    },
  });
  routes.route({
    method: 'GET',
    url: '/provider/balance/entries',
    config: { access: provider },
    schema: {
      tags: ['billing'],
      summary: 'The own balance ledger, newest first',
      querystring: pageQuery,
      response: { 200: pageOf(entryView) },
    },
    handler: async (request) => {
      const { limit, cursor } = request.query;
      const [before] = cursor === undefined ? [] : decodeCursor(cursor, versionCursor);
      const { id } = await ownProvider(db, actorOf(request));
      const rows = await listEntries(db, { providerId: id, before, limit: limit + 1 });
      return cutPage(rows, limit, { item: viewEntry, cursor: (row) => [row.account_version] });
    },
  });
}

function adjustmentRoute(app: FastifyInstance, deps: BillingRouteDeps): void {
  app.withTypeProvider<ZodTypeProvider>().route({
    method: 'POST',
    url: '/admin/providers/:id/adjustments',
    config: { access: staff('money.write', 'fresh'), idempotency: 'required' },
    schema: {
      tags: ['billing'],
      summary: 'Add or take money by hand',
      params: idParams,
      body: adjustmentRequest,
      response: { 201: adjustmentResponse },
    },
    handler: (request, reply) =>
      write(deps.db, request, reply, async (tx) => {
        const { amount_cents: amountCents, memo } = request.body;
        const actor = actorOf(request);
        const adjusted = await adjust(tx, { providerId: request.params.id, amountCents, memo, actor }, deps);
        return { status: 201, body: viewAdjusted(adjusted, amountCents) };
      }),
  });
}

/** A payment as callers see it. */
export function viewPayment({ id, amount_cents, status, created_at }: Payment) {
  return { id, amount_cents, status, created_at: created_at.toISOString() };
}

function viewEntry({ account_version: _version, created_at, ...entry }: LedgerEntry) {
  return { ...entry, created_at: created_at.toISOString() };
}

function viewAdjusted({ entry, kind, resumed, paused }: Adjusted, amount_cents: number) {
  const { id, balance_cents, created_at } = entry;
  return {
    entry: { id, kind, amount_cents, balance_after_cents: balance_cents, created_at: created_at.toISOString() },
    balance_cents,
    resumed,
    paused,
  };
}
