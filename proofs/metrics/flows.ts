import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { sql } from '../../packages/ops/src/postgres/index.ts';
import { settles } from '../harness/settled.ts';
import type { Expectation } from './watch.ts';
import { armFault, brokeBuyers, places, slugs } from './market.ts';
import type { System } from './system.ts';

const sale = { queue: 'distribute_lead' };
const mail = { queue: 'email_send' };
/** A collector reads again after 5 s at the latest, and what it reads may be 2 s old. */
const collectedWithinMs = 10_000;

/** The roles start one after another, so that a job stands still at every station. */
export async function stations(system: System): Promise<string> {
  const lead = await unrelayed(system);
  await unworked(system);
  await startWork(system);
  return lead;
}

async function unrelayed({ watch, people }: System): Promise<string> {
  let lead = '';
  const submit = async () => {
    lead = await people.submit('mixed');
  };
  await watch.sees(
    'a lead is submitted, nobody relays',
    submit,
    [
      { metric: 'leads_submitted_total', rises: 1 },
      { metric: 'http_request_duration_ms', labels: { method: 'POST', status: '202' }, rises: 1 },
      { metric: 'job_outbox_backlog', labels: mail, becomes: 1 },
      { metric: 'job_outbox_oldest_age_seconds', labels: mail, becomes: 'positive' },
      { metric: 'jobs_enqueued_total', rises: 0 },
    ],
    collectedWithinMs,
  );
  return lead;
}

async function unworked({ watch, queues, start }: System): Promise<void> {
  await watch.sees(
    'the relay starts, nobody works',
    async () => {
      await queues.pause(sale.queue);
      await start('relay');
    },
    [
      { metric: 'jobs_enqueued_total', labels: mail, rises: 1 },
      { metric: 'job_outbox_backlog', labels: mail, becomes: 0 },
      { metric: 'queue_depth', labels: mail, becomes: 1 },
      { metric: 'queue_oldest_job_age_seconds', labels: mail, becomes: 'positive' },
      { metric: 'queue_paused', labels: sale, becomes: 1 },
    ],
    collectedWithinMs,
  );
}

async function startWork({ watch, start }: System): Promise<void> {
  await watch.sees(
    'two workers and a scheduler start',
    () => Promise.all([start('worker'), start('worker'), start('scheduler')]),
    [
      { metric: 'worker_concurrency', labels: mail, becomes: 32 },
      { metric: 'worker_last_tick_timestamp_seconds', becomes: 'positive' },
      { metric: 'redis_blocked_clients', becomes: 'positive' },
      { metric: 'jobs_completed_total', labels: mail, rises: 1 },
      { metric: 'job_duration_ms', labels: mail, rises: 1 },
      { metric: 'job_wait_ms', labels: mail, rises: 1 },
      // The lead that was approved long ago, and has no job.
      { metric: 'lead_assignment_verdicts_total', labels: { verdict: 'late' }, rises: 1 },
      { metric: 'reconciler_repairs_total', labels: { kind: 'lead_requeued' }, rises: 1 },
      { metric: 'jobs_enqueued_total', labels: sale, rises: 1 },
      // It waits, for the queue is paused.
      { metric: 'queue_depth', labels: sale, becomes: 1 },
    ],
    collectedWithinMs,
  );
}

/** What `leads` sold leads move in all, each to `buyers` of them. */
function sold({ leads, buyers, skipped = 0 }: { leads: number; buyers: number; skipped?: number }): Expectation[] {
  return [
    { metric: 'assignments_created_total', rises: leads * buyers },
    { metric: 'assignments_skipped_insufficient_balance_total', rises: skipped },
    { metric: 'distribution_duration_ms', beyond: 'distribution_lock_retries_total', rises: leads },
    { metric: 'distribution_candidates', rises: leads },
    { metric: 'lead_assignment_latency_ms', rises: leads },
    { metric: 'lead_assignment_verdicts_total', labels: { verdict: 'in_time' }, rises: leads },
    { metric: 'lead_assignment_verdicts_total', labels: { verdict: 'late' }, rises: 0 },
    { metric: 'billing_operation_duration_ms', labels: { operation: 'charge' }, rises: leads },
    { metric: 'jobs_completed_total', labels: sale, rises: leads },
    { metric: 'jobs_failed_total', rises: 0 },
  ];
}

export async function firstSale({ watch, people, market, queues }: System, firstLead: string): Promise<void> {
  const providers = Object.values(market.funded).flat();
  await watch.sees('money by hand', () => Promise.all(providers.map((id) => people.adjust(id, 1_000_000))), [
    { metric: 'billing_operation_duration_ms', labels: { operation: 'adjust' }, rises: providers.length },
  ]);
  await watch.sees(
    'the queue goes on',
    () => queues.resume(sale.queue),
    [
      { metric: 'queue_paused', labels: sale, becomes: 0 },
      { metric: 'assignments_created_total', rises: 1 },
      // It was counted as late while it waited.
      { metric: 'lead_assignment_verdicts_total', rises: 0 },
    ],
    collectedWithinMs,
  );
  const approve = async () => {
    await people.confirm(firstLead);
    await people.approve(firstLead);
  };
  await watch.sees('one lead', approve, [
    { metric: 'leads_approved_total', rises: 1 },
    ...sold({ leads: 1, buyers: places, skipped: 1 }),
  ]);
  await watch.sees('approved again', () => people.approve(firstLead), [
    { metric: 'leads_approved_total', rises: 0 },
    { metric: 'http_request_duration_ms', labels: { route: '/api/v1/admin/leads/:id/approve' }, rises: 1 },
  ]);
}

/** Many leads, and one that nobody can pay. */
export async function furtherSales({ watch, people }: System): Promise<void> {
  await watch.sees('nine leads, two workers', () => people.bring('mixed', 9), [
    { metric: 'leads_submitted_total', rises: 9 },
    { metric: 'leads_approved_total', rises: 9 },
    { metric: 'jobs_enqueued_total', labels: sale, rises: 9 },
    ...sold({ leads: 9, buyers: places, skipped: 1 }),
  ]);
  await watch.sees(
    'nobody can pay',
    () => people.bring('broke', 1),
    [
      { metric: 'level_sweeps_total', rises: 1 },
      { metric: 'assignments_skipped_insufficient_balance_total', rises: brokeBuyers },
      { metric: 'assignments_created_total', rises: 0 },
      { metric: 'lead_assignment_latency_ms', rises: 0 },
      { metric: 'lead_assignment_verdicts_total', labels: { verdict: 'in_time' }, rises: 1 },
      { metric: 'queue_delayed', labels: sale, becomes: 1 },
    ],
    collectedWithinMs,
  );
}

/** A mail server that turns mails away. The next try comes while other flows go on. */
export async function refusedMail({ watch, people, scene }: System): Promise<void> {
  await settles(scene.db, 10_000);
  scene.mails.refuse(true);
  await watch.sees('a mail is refused', () => people.submit('single'), [
    { metric: 'jobs_failed_total', labels: mail, rises: 1 },
    { metric: 'jobs_retried_total', labels: mail, rises: 1 },
    { metric: 'jobs_dead_lettered_total', rises: 0 },
  ]);
  scene.mails.refuse(false);
}

async function signInBuyer({ stranger }: System['people'], { buyer: { email, password } }: System['market']) {
  const buyer = await stranger.signIn(email, password);
  return { buyer, pay: () => buyer.post('/provider/deposits', { amount_cents: 5_000 }, randomUUID()) };
}

/** A provider's own money and inbox, requests that are refused, and lines of log that are not written. */
export async function requests({ watch, people, market, scene }: System): Promise<void> {
  const { buyer, pay } = await signInBuyer(people, market);
  await watch.sees('a deposit and a look into the inbox', () => Promise.all([pay(), buyer.get('/provider/inbox')]), [
    { metric: 'billing_operation_duration_ms', labels: { operation: 'deposit' }, rises: 1 },
    { metric: 'inbox_query_duration_ms', rises: 1 },
  ]);
  const ask = (path: string, method = 'GET') => fetch(`${scene.fleet.apiUrl}${path}`, { method });
  const many = Array.from({ length: 50 }, () => '/api/v1/niches');
  await watch.sees(
    'requests that are refused',
    () =>
      Promise.all([
        ask('/api/v1/nothing'),
        ask('/api/v1/provider/inbox'),
        ask('/api/v1/leads', 'POST'),
        ...many.map((path) => ask(path)),
      ]),
    [
      { metric: 'http_request_duration_ms', labels: { route: 'unmatched', status: '404' }, rises: 1 },
      { metric: 'http_request_duration_ms', labels: { route: '/api/v1/provider/inbox', status: '401' }, rises: 1 },
      { metric: 'http_request_duration_ms', labels: { route: '/api/v1/niches', status: '200' }, rises: many.length },
      { metric: 'logs_suppressed_total', labels: { reason: 'sampled' }, rises: 'some' },
    ],
  );
}

/** Postgres raises what no statement foresaw. */
export async function errors({ watch, people, market }: System): Promise<void> {
  const { db } = market;
  const { pay } = await signInBuyer(people, market);
  const disarm = await armFault(db, 'ledger_raises', market.funded.mixed[0]);
  const fail = Array.from({ length: 12 }, () => () => people.adjust(market.funded.mixed[0], 1_000));
  await watch.sees(
    'twelve adjustments and a deposit fail',
    () => Promise.allSettled([...fail.map((one) => one()), pay()]),
    [
      { metric: 'billing_failures_total', labels: { operation: 'adjust', reason: 'error' }, rises: 12 },
      { metric: 'billing_failures_total', labels: { operation: 'deposit', reason: 'error' }, rises: 1 },
      { metric: 'billing_operation_duration_ms', rises: 0 },
      { metric: 'http_request_duration_ms', labels: { status: '500' }, rises: 13 },
      { metric: 'logs_suppressed_total', labels: { reason: 'identical_error' }, rises: 'some' },
    ],
  );
  await disarm();
}

/** A charge without a trace in the account: nothing to try again. */
export async function astrayCharge(system: System): Promise<void> {
  const { watch, people, market } = system;
  const { db, funded } = market;
  const restore = await armFault(db, 'charge_is_lost', funded.other[0]);
  await watch.sees(
    'a charge goes astray',
    () => people.bring('other', 1),
    [
      { metric: 'billing_failures_total', labels: { operation: 'charge', reason: 'charge_mismatch' }, rises: 1 },
      { metric: 'jobs_dead_lettered_total', labels: { ...sale, reason: 'permanent' }, rises: 1 },
      { metric: 'jobs_failed_total', labels: sale, rises: 1 },
      { metric: 'jobs_retried_total', labels: sale, rises: 0 },
      { metric: 'dlq_size', labels: sale, becomes: 1 },
      { metric: 'dlq_oldest_age_seconds', labels: sale, becomes: 'positive' },
      { metric: 'assignments_created_total', rises: 0 },
    ],
    collectedWithinMs,
  );
  await retriedInVain(system);
  await restore();
  await redriven(system);
}

/** The letter of the sale that died, as a list shows it. */
async function openLetter({ people }: System): Promise<string> {
  const { entries } = await people.staff.get<{ entries: { id: string }[] }>('/admin/queues/dlq?q=state:open');
  return entries[0]?.id ?? '';
}

/** Retries the dead sale before its fault is mended. */
async function retriedInVain(system: System): Promise<void> {
  const id = await openLetter(system);
  const retry = () => system.people.staff.post(`/admin/queues/dlq/${id}/retry`);
  await system.watch.sees('the dead sale is retried in vain', retry, [
    { metric: 'dlq_retried_total', labels: { ...sale, mode: 'retry', result: 'failed' }, rises: 1 },
    { metric: 'jobs_dead_lettered_total', labels: { ...sale, reason: 'permanent' }, rises: 1 },
  ]);
}

/** A redrive begins 10 s after its start, so that it can be taken back. */
const redrivenWithinMs = 10_000 + collectedWithinMs;

async function redriven(system: System): Promise<void> {
  const { staff } = system.people;
  const plan = { name: 'the dead sale', action: 'retry', ids: [await openLetter(system)] };
  const { body } = await staff.post<{ id: string; plan_hash: string }>('/admin/redrives', plan);
  const start = { plan_hash: body.plan_hash, confirm_count: 1, reason: 'the charge is mended' };
  await system.watch.sees(
    'the dead sale is redriven',
    () => staff.post(`/admin/redrives/${body.id}/start`, start, randomUUID()),
    [
      { metric: 'redrive_items_total', labels: { outcome: 'sent' }, rises: 1 },
      { metric: 'dlq_retried_total', labels: { ...sale, mode: 'redrive', result: 'succeeded' }, rises: 1 },
      { metric: 'assignments_created_total', rises: 'some' },
      { metric: 'dlq_size', labels: sale, becomes: 0 },
    ],
    redrivenWithinMs,
  );
}

/** Sales that did all their work and were undone. */
export async function undoneSales({ watch, people, market: { db, funded } }: System): Promise<void> {
  const rolledBack = await people.submit('single');
  await people.confirm(rolledBack);
  const repairs = await Promise.all([
    armFault(db, 'ledger_raises', funded.other[0]),
    armFault(db, 'commit_raises', rolledBack),
  ]);
  await watch.sees(
    'one sale fails, one is rolled back at its commit',
    () => Promise.all([people.approve(rolledBack), people.bring('other', 1)]),
    [
      { metric: 'distribution_duration_ms', rises: 2 },
      { metric: 'jobs_failed_total', labels: sale, rises: 2 },
      { metric: 'jobs_retried_total', labels: sale, rises: 2 },
      { metric: 'billing_failures_total', labels: { operation: 'charge', reason: 'error' }, rises: 1 },
      { metric: 'assignments_created_total', rises: 0 },
      { metric: 'billing_operation_duration_ms', labels: { operation: 'charge' }, rises: 0 },
      { metric: 'lead_assignment_verdicts_total', rises: 0 },
    ],
  );
  await Promise.all(repairs.map((repair) => repair()));
  await watch.sees('both are sold at their second attempt', async () => {}, [
    { metric: 'assignments_created_total', rises: 2 },
    { metric: 'jobs_completed_total', labels: sale, rises: 2 },
  ]);
}

export async function lockedSale({ watch, people, hold }: System): Promise<void> {
  const release = await hold(sql`select from niche where slug = ${slugs.single}`);
  const meanwhile = async () => {
    await people.bring('single', 1);
    // Longer than a sale waits for a lock, shorter than three times that.
    await wait(2_500);
    await release();
  };
  await watch.sees('a sale meets a lock', meanwhile, [
    { metric: 'distribution_lock_retries_total', rises: 1 },
    { metric: 'assignments_created_total', rises: 1 },
    { metric: 'distribution_duration_ms', rises: 2 },
    { metric: 'jobs_failed_total', rises: 0 },
  ]);
}
