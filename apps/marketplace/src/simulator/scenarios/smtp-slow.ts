import { approveLeads, confirmLeads, soldLeads, submitLead, submitLeads, type Traveller } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

const leads = 24;
const slowMs = 2_000;
const mail = { queue: 'email_send' };

export const smtpSlow = defineScenario<{ leads: Traveller[] }>({
  name: 'smtp-slow',
  title: 'The mail server takes its time',
  cause:
    'Two dozen leads are sold while the mail server needs two seconds for each mail. Nothing fails; mails only come later and later.',
  signals: [
    { list: '/admin/queues/email_send/jobs?state=waiting&limit=50', count: 4, tells: 'mails wait, though none fails' },
    { metric: 'fmhl_queue_oldest_job_age_seconds', labels: mail, reaches: 1, tells: 'the oldest of them grows older' },
  ],
  steps: [
    'See that nothing fails: `fmhl queue show email_send` has a long run time and no deaths.',
    'Confirmation mails keep their lane: they go before all others, so people who submit now are not held up.',
    'Use another mail server (`SMTP_URL`), or more connections (`WORKER_CONCURRENCY`), and watch the age of the oldest mail fall.',
  ],
  async inject(ground) {
    await openMarket(ground);
    const travellers = await submitLeads(ground, leads);
    await confirmLeads(ground, travellers);
    await ground.control.set({ smtp: { mode: 'slow', slow_ms: slowMs } });
    await approveLeads(ground, travellers);
    return { leads: travellers };
  },
  async remedy(ground, { leads: waiting }) {
    const newcomer = await submitLead(ground);
    await confirmLeads(ground, [newcomer]);
    await ground.control.set({ smtp: { mode: 'ok' } });
    await approveLeads(ground, [newcomer]);
    await soldLeads(ground, [...waiting, newcomer]);
  },
  stop: async ({ control }) => void (await control.set({ smtp: { mode: 'ok' } })),
});
