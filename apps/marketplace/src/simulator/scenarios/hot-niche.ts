import { sql } from '@fmhl/ops';
import type { Ground } from '../live/ground.ts';
import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller, until } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

const leads = 6;

export const hotNiche = defineScenario<{ leads: Traveller[]; nicheId: string }>({
  name: 'hot-niche',
  title: 'The sales of one niche queue up behind each other',
  cause:
    'Each sale of one niche takes longer than another waits for its lock, while six of its leads are approved at once.',
  signals: [
    {
      metric: 'fmhl_distribution_lock_retries_total',
      rises: 1,
      tells: 'sales met a lock, and were tried again in place',
    },
    {
      metric: 'fmhl_jobs_active',
      labels: { queue: 'distribute_lead' },
      reaches: 4,
      tells: 'every place of the worker is taken, so that leads of other niches wait too',
    },
  ],
  steps: [
    'Find the niche: the slow runs of `GET /api/v1/admin/leads?status=approved` are all of one.',
    'Pause it alone, so that the others are sold: `PATCH /api/v1/admin/niches/<id>` with `{ "status": "paused" }`. Its leads are still taken in.',
    'Find what holds its lock (`pg_stat_activity`, `pg_blocking_pids`) and end it.',
    'Resume it: its approved leads are queued again by themselves.',
  ],
  async inject(ground) {
    const { nicheId } = await openMarket(ground);
    const travellers = await submitLeads(ground, leads);
    await confirmLeads(ground, travellers);
    await slowDown(ground, nicheId);
    await approveLeads(ground, travellers);
    return { leads: travellers, nicheId };
  },
  async remedy(ground, { leads: travellers, nicheId }) {
    await setStatus(ground, nicheId, 'paused');
    await speedUp(ground);
    await setStatus(ground, nicheId, 'active');
    await soldLeads(ground, travellers);
  },
  async stop(ground, { nicheId }) {
    await speedUp(ground);
    await setStatus(ground, nicheId, 'active');
  },
});

/** A change of a niche waits for the same lock as its sales, and is refused when that takes too long. */
async function setStatus({ operator }: Ground, nicheId: string, status: 'active' | 'paused'): Promise<void> {
  await until(`the niche is ${status}`, async () => {
    const answer = await operator.ask<{ status: string }>('PATCH', `/admin/niches/${nicheId}`, { body: { status } });
    return answer.status === 200;
  });
}

/** As an index that is missing, or a disk that is slow, would: longer than the 2 s that a sale waits for a lock. */
async function slowDown({ db }: Ground, nicheId: string): Promise<void> {
  await db.query(sql`create table if not exists demo_hot_niche (niche_id uuid primary key)`);
  await db.query(sql`insert into demo_hot_niche values (${nicheId}) on conflict do nothing`);
  await db.query(sql`
    create or replace function demo_slow_sale() returns trigger language plpgsql security definer as '
      begin
        if exists (select from public.demo_hot_niche where niche_id = new.niche_id) then perform pg_sleep(2.2); end if;
        return null;
      end'`);
  await db.query(sql`
    create or replace trigger demo_slow_sale after update of status on lead for each row when (new.status = 'distributed')
    execute function demo_slow_sale()`);
}

async function speedUp({ db }: Ground): Promise<void> {
  await db.query(sql`drop trigger if exists demo_slow_sale on lead`);
  await db.query(sql`drop function if exists demo_slow_sale`);
  await db.query(sql`drop table if exists demo_hot_niche`);
}
