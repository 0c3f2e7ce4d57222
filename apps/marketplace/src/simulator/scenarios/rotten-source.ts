import { randomUUID } from 'node:crypto';
import { bringLeads } from '../live/journeys.ts';
import type { Ground } from '../live/ground.ts';
import { openMarket } from '../live/market.ts';
import { reportAll } from './reporting.ts';
import { defineScenario } from './scenario.ts';

const source = 'cheap-clicks';
const leads = 3;

export const rottenSource = defineScenario<object>({
  name: 'rotten-source',
  title: 'A source sends leads that are no leads',
  cause: 'Three leads of one source are sold, and all their buyers report them as spam.',
  signals: [
    { metric: 'fmhl_bad_leads_reported_total', rises: leads, tells: 'reports come in, of many providers' },
    {
      list: `/admin/bad-leads?status=pending&source=${source}&limit=200`,
      count: leads,
      tells: 'they all name the same source',
    },
  ],
  steps: [
    'Compare the sources: `GET /api/v1/admin/reports/bad-leads?by=source`.',
    `See what it costs: \`POST /api/v1/admin/leads/mark-bad\` with \`{ "source": "${source}", "memo": "…", "dry_run": true }\` answers leads, assignments, providers and dollars.`,
    'Do it: the same without `dry_run`, and with that answer as `expected`. Each buyer gets back what was charged, once; waiting reports are granted with it.',
    `Refuse what comes next: \`POST /api/v1/admin/sources/${source}/block\` with a memo. Its leads are answered with 403 \`source_blocked\`.`,
  ],
  async inject(ground) {
    const { buyers } = await openMarket(ground);
    const sold = await bringLeads(ground, leads, { source });
    for (const buyer of buyers) await reportAll(buyer, sold, 'spam');
    return {};
  },
  async remedy(ground) {
    const { operator, stranger } = ground;
    const marking = { source, memo: 'Every buyer reports the leads of this source' };
    const { body: expected } = await operator.post<{ leads: number }>(
      '/admin/leads/mark-bad',
      { ...marking, dry_run: true },
      randomUUID(),
    );
    await operator.post('/admin/leads/mark-bad', { ...marking, expected: planOf(expected) }, randomUUID());
    await operator.post(`/admin/sources/${source}/block`, { memo: 'Its leads are all reported as spam' });
    const lead = { niche: 'gutters', name: 'Eve', email: `eve-${randomUUID()}@example.com`, form: {} };
    const { status } = await stranger.ask('POST', '/leads', { body: { ...lead, consent: { version: 1 }, source } });
    if (status !== 403) throw new Error(`a lead of the blocked source was answered with ${status}`);
  },
  stop: unblock,
});

type Plan = Readonly<Record<'leads' | 'assignments' | 'providers' | 'refund_cents', number>>;

const planOf = (plan: object): Plan => {
  const { leads, assignments, providers, refund_cents } = plan as Plan;
  return { leads, assignments, providers, refund_cents };
};

async function unblock({ operator }: Ground): Promise<void> {
  await operator.ask('POST', `/admin/sources/${source}/unblock`, { body: { memo: 'The demonstration is over' } });
}
