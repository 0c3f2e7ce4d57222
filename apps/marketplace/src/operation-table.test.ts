import { beforeAll, describe, expect, it } from 'vitest';
import { openApp } from './app.ts';
import { readConfig } from './config.ts';
import { buildHttp } from './http.ts';
import { openOperationTable, type OperationRow } from './operation-table.ts';

/**
 * What every route asks of its caller, as a reviewer approved it. A new route fails here until its row stands below; so does one that
 * asks for something else than before. † a second factor of the last 15 minutes, ‡ an `Idempotency-Key`.
 */
const approved: Readonly<Record<string, readonly string[]>> = {
  everybody: [
    'GET /openapi.json',
    'POST /auth/register',
    'POST /auth/login',
    'POST /auth/login/passkey/options',
    'POST /auth/login/passkey',
    'POST /auth/verify-email',
    'POST /auth/forgot-password',
    'POST /auth/reset-password',
    'GET /niches',
    'GET /niches/:slug/form',
    'POST /leads',
    'POST /leads/confirm',
    'POST /leads/:id/resend',
    'POST /leads/erase',
    'POST /webhooks/payments',
  ],
  'whoever is signed in': [
    'GET /auth/me',
    'POST /auth/mfa/enroll',
    'POST /auth/mfa/verify',
    'POST /auth/mfa/disable',
    'POST /auth/verify-email/resend',
    'GET /auth/sessions',
    'DELETE /auth/sessions/:id',
    'GET /auth/tokens',
    'POST /auth/tokens †',
    'DELETE /auth/tokens/:id',
    'GET /auth/passkeys',
    'POST /auth/passkeys/options',
    'POST /auth/passkeys',
    'DELETE /auth/passkeys/:id †',
  ],
  'whoever showed a right password': ['POST /auth/logout', 'POST /auth/mfa/challenge'],
  'portal.use': [
    'GET /provider/me',
    'PATCH /provider/me',
    'GET /provider/levels',
    'GET /provider/subscriptions',
    'POST /provider/subscriptions',
    'PATCH /provider/subscriptions/:id',
    'DELETE /provider/subscriptions/:id',
    'GET /provider/subscriptions/:id/preview',
    'POST /provider/deposits ‡',
    'GET /provider/balance',
    'GET /provider/balance/entries',
    'GET /provider/inbox',
    'GET /provider/inbox/:id',
    'POST /provider/inbox/:id/accept',
    'POST /provider/inbox/:id/decline',
    'POST /provider/inbox/:id/report',
    'GET /provider/reports/bad-leads',
    'POST /provider/reports/export',
    'GET /provider/reports/exports',
    'GET /provider/reports/exports/:id',
    'GET /provider/reports/exports/:id/download',
    'POST /provider/reports/exports/:id/cancel',
  ],
  'report.read': [
    'GET /admin/reports/kpis',
    'GET /admin/reports/funnel',
    'GET /admin/reports/revenue',
    'GET /admin/reports/coverage',
    'GET /admin/reports/starvation',
    'GET /admin/reports/providers',
    'GET /admin/reports/sources',
    'GET /admin/reports/bad-leads',
    'GET /admin/reports/exports',
    'GET /admin/reports/exports/:id',
  ],
  'report.export': [
    'POST /admin/reports/export',
    'GET /admin/reports/exports/:id/download',
    'POST /admin/reports/exports/:id/cancel',
  ],
  'lead.read': [
    'GET /admin/leads',
    'GET /admin/leads/:id',
    'GET /admin/leads/:id/runs',
    'GET /admin/leads/:id/explain',
    'GET /admin/sources',
    'GET /admin/emails',
    'GET /admin/email-templates',
    'GET /admin/email-templates/:name/preview',
    'GET /admin/niches',
    'GET /admin/levels',
  ],
  'lead.review': [
    'POST /admin/leads/:id/approve',
    'POST /admin/leads/:id/reject',
    'POST /admin/leads/:id/distribute',
    'POST /admin/leads/:id/erase †',
    'POST /admin/leads/bulk †‡',
    'POST /admin/sources/:source/block',
    'POST /admin/emails/:id/resend',
    'POST /admin/sources/:source/unblock',
  ],
  'catalogue.write': ['POST /admin/niches', 'PATCH /admin/niches/:id', 'POST /admin/levels', 'PATCH /admin/levels/:id'],
  'provider.read': ['GET /admin/providers', 'GET /admin/providers/:id'],
  'provider.write': [
    'POST /admin/providers ‡',
    'POST /admin/providers/:id/subscriptions',
    'POST /admin/providers/:id/suspend',
    'POST /admin/providers/:id/reinstate',
    'POST /admin/providers/:id/close',
    'POST /admin/subscriptions/:id/pause',
    'POST /admin/subscriptions/:id/resume',
  ],
  'money.read': [
    'GET /admin/bad-leads',
    'GET /admin/balance-corrections',
    'GET /admin/payments',
    'POST /admin/levels/:id/price-preview',
  ],
  'money.write': [
    'POST /admin/bad-leads/:assignment_id/approve †',
    'POST /admin/bad-leads/:assignment_id/reject †',
    'POST /admin/bad-leads/bulk †‡',
    'POST /admin/assignments/:id/refund †‡',
    'POST /admin/leads/mark-bad †‡',
    'POST /admin/providers/:id/adjustments †‡',
    'POST /admin/providers/:id/reconcile †',
    'PUT /admin/levels/:id/price †‡',
  ],
  'user.write': [
    'GET /admin/users',
    'POST /admin/users †',
    'PUT /admin/users/:id/role †',
    'POST /admin/users/:id/disable',
    'POST /admin/users/:id/enable',
    'POST /admin/users/:id/revoke-sessions',
  ],
  'audit.read': ['GET /admin/audit', 'GET /admin/audit/verify'],
  'queue.read': [
    'GET /admin/me',
    'GET /admin/doctor',
    'GET /admin/queues',
    'GET /admin/queues/:queue',
    'GET /admin/queues/:queue/jobs',
    'GET /admin/queues/:queue/jobs/:job_id',
    'GET /admin/queues/:queue/explain',
    'GET /admin/queues/:queue/jobs/:job_id/explain',
  ],
  'queue.control': ['POST /admin/queues/:queue/pause', 'POST /admin/queues/:queue/resume'],
  'job.control': [
    'POST /admin/queues/:queue/jobs/:job_id/promote',
    'POST /admin/queues/:queue/jobs/:job_id/remove †',
    'POST /admin/queues/dlq/proof/repair ‡',
  ],
  'dlq.read': [
    'GET /admin/queues/dlq',
    'GET /admin/queues/dlq/:id',
    'GET /admin/queues/dlq/:id/attempts',
    'GET /admin/queues/dlq/:id/payload',
    'GET /admin/queues/dlq/:id/notes',
    'GET /admin/queues/dlq/groups',
    'GET /admin/queues/dlq/groups/:fp',
    'GET /admin/queues/dlq/groups/:fp/notes',
    'GET /admin/queues/dlq/report',
    'GET /admin/queues/dlq/retention',
    'GET /admin/queues/dlq/proof',
    'GET /admin/views',
    'POST /admin/views ‡',
    'DELETE /admin/views/:id',
    'GET /admin/redrives',
    'GET /admin/redrives/:id',
    'GET /admin/redrives/:id/items',
  ],
  'dlq.export': ['GET /admin/queues/dlq/export'],
  'dlq.retry': ['POST /admin/queues/dlq/:id/retry'],
  'dlq.resolve': [
    'DELETE /admin/queues/dlq/:id',
    'POST /admin/queues/dlq/:id/resolve',
    'POST /admin/queues/dlq/:id/restore',
  ],
  'dlq.discard': ['POST /admin/queues/dlq/:id/discard'],
  'dlq.edit': ['POST /admin/queues/dlq/groups/reclassify †‡'],
  'dlq.annotate': [
    'POST /admin/queues/dlq/:id/notes ‡',
    'PUT /admin/queues/dlq/:id/assignee',
    'PUT /admin/queues/dlq/:id/ticket',
    'PUT /admin/queues/dlq/:id/snooze',
    'DELETE /admin/queues/dlq/:id/snooze',
    'POST /admin/queues/dlq/groups/:fp/notes ‡',
    'PUT /admin/queues/dlq/groups/:fp/assignee',
    'PUT /admin/queues/dlq/groups/:fp/ticket',
    'PUT /admin/queues/dlq/groups/:fp/snooze',
    'DELETE /admin/queues/dlq/groups/:fp/snooze',
    'PUT /admin/queues/dlq/groups/:fp/fixed-in',
  ],
  'redrive.plan': ['POST /admin/redrives'],
  'redrive.run': [
    'POST /admin/redrives/:id/start †‡',
    'POST /admin/redrives/:id/pause',
    'POST /admin/redrives/:id/resume',
    'POST /admin/redrives/:id/continue †',
    'POST /admin/redrives/:id/abort',
    'PUT /admin/redrives/:id/rate',
    'POST /admin/redrives/:id/acknowledge',
  ],
  'schedule.read': ['GET /admin/schedules', 'GET /admin/schedules/:name/runs'],
  'schedule.run': ['POST /admin/schedules/:name/run ‡', 'POST /admin/schedules/:name/catch-up ‡'],
  'schedule.control': ['POST /admin/schedules/:name/pause', 'POST /admin/schedules/:name/resume'],
  'redrive.approve': ['POST /admin/redrives/:id/approve'],
};

/** Pages and probes: what is no operation, shows nobody's data, and changes nothing. */
const pages = [
  'GET /',
  'GET /confirm',
  'GET /docs',
  'GET /docs/json',
  'GET /docs/static/*',
  'GET /docs/static/index.html',
  'GET /docs/static/swagger-initializer.js',
  'GET /docs/yaml',
  'GET /erase',
  'GET /health',
  'GET /health/live',
  'GET /health/ready',
  'GET /health/serving',
  'GET /metrics',
  'GET /reset-password',
  'GET /verify-email',
];

let rows: readonly OperationRow[];
beforeAll(async () => {
  const nowhere = {
    databaseUrl: 'postgres://127.0.0.1:1/none',
    redisUrl: 'redis://127.0.0.1:1',
    smtpUrl: 'smtp://127.0.0.1:1',
  };
  const config = { ...readConfig({}), ...nowhere, tokenKey: '00'.repeat(32) };
  const app = openApp(config, { role: 'api', logTo: { write() {} } });
  const table = openOperationTable();
  const server = await buildHttp(app, { onRoute: table.note });
  rows = table.rows;
  await server.close();
  await app.close();
});

describe('the table of operations', () => {
  it('asks of every caller what was approved, of no route anything else', () => {
    const declared = rows.filter(({ access }) => access !== undefined).map((row) => `${askedBy(row)}: ${lineOf(row)}`);
    const expected = Object.entries(approved).flatMap(([asks, routes]) => routes.map((route) => `${asks}: ${route}`));
    expect(declared.toSorted()).toEqual(expected.toSorted());
  });

  it('leaves out pages and probes, and nothing else', () => {
    expect(rows.filter(({ access }) => access === undefined).map(({ method, path }) => `${method} ${path}`)).toEqual(
      expect.arrayContaining(pages),
    );
    expect(rows.filter(({ access }) => access === undefined)).toHaveLength(pages.length);
  });

  it('asks for a second factor wherever the staff work', () => {
    const lax = rows.filter(({ path, secondFactor }) => path.startsWith('/api/v1/admin') && secondFactor === 'none');
    expect(lax).toEqual([]);
  });

  it('changes nothing by GET, and lets no method be chosen in any other way', () => {
    expect([...new Set(rows.map(({ method }) => method))].sort()).toEqual(['DELETE', 'GET', 'PATCH', 'POST', 'PUT']);
  });
});

function askedBy({ access, acceptsPending }: OperationRow): string {
  if (access === 'public') return 'everybody';
  if (access === 'signed_in') return acceptsPending ? 'whoever showed a right password' : 'whoever is signed in';
  return access?.permission ?? 'nothing';
}

function lineOf({ method, path, secondFactor, idempotency }: OperationRow): string {
  const fresh = secondFactor === 'fresh' ? '†' : '';
  const line = `${method} ${path.replace('/api/v1', '')}`;
  const marks = `${fresh}${idempotency === 'required' ? '‡' : ''}`;
  return marks === '' ? line : `${line} ${marks}`;
}
