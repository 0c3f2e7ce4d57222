import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { promoteDelayed, pauseQueue, resumeQueue } from './queue-steps.ts';
import { defineScenario } from './scenario.ts';

const leads = 5;
const mail = { queue: 'email_send' };

export const smtpOutage = defineScenario<{ leads: Traveller[] }>({
  name: 'smtp-outage',
  title: 'The mail server turns every mail away',
  cause: 'Five people submit a lead while the mail server answers 421 to everybody.',
  signals: [
    { metric: 'fmhl_jobs_failed_total', labels: mail, rises: leads, tells: 'attempts at mails fail' },
    { metric: 'fmhl_jobs_retried_total', labels: mail, rises: leads, tells: 'each of them is tried again later' },
    { list: '/admin/queues/email_send/jobs?state=delayed', count: leads, tells: 'mails wait for their next try' },
  ],
  steps: [
    'Pause the queue, so that no attempt is spent: `fmhl queue pause email_send --reason "the mail server is down"`.',
    'Bring the mail server back.',
    'Resume the queue: `fmhl queue resume email_send --reason "the mail server is back"`. The oldest mails go first.',
    'Send off what waits for its next try: `fmhl job promote email_send <job>` for each of `fmhl queue jobs email_send --state delayed --quiet`.',
    'What died meanwhile is redriven: `fmhl redrive plan queue:email_send`.',
  ],
  async inject(ground) {
    await openMarket(ground);
    await ground.control.set({ smtp: { mode: 'refuse' } });
    return { leads: await submitLeads(ground, leads) };
  },
  async remedy(ground, { leads: waiting }) {
    await pauseQueue(ground, mail.queue, 'the mail server is down');
    await ground.control.set({ smtp: { mode: 'ok' } });
    await resumeQueue(ground, mail.queue, 'the mail server is back');
    await promoteDelayed(ground, mail.queue);
    await confirmLeads(ground, waiting);
    await approveLeads(ground, waiting);
    await soldLeads(ground, waiting);
  },
  stop: async ({ control }) => void (await control.set({ smtp: { mode: 'ok' } })),
});
