import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { actingAs } from '../../database-roles.ts';
import type { Ground } from '../live/ground.ts';
import { approveLeads, confirmLeads, soldLeads, submitLeads, type Traveller } from '../live/journeys.ts';
import { openMarket } from '../live/market.ts';
import { defineScenario } from './scenario.ts';

export const killWorker = defineScenario<{ leads: Traveller[] }>({
  name: 'kill-worker',
  title: 'A worker is killed in the middle of a sale',
  cause: 'A worker process gets SIGKILL inside the commit of a sale. Another one goes on after it.',
  signals: [
    {
      metric: 'fmhl_jobs_stalled_total',
      labels: { queue: 'distribute_lead' },
      rises: 1,
      tells: 'a job whose worker fell silent was given to another',
    },
  ],
  steps: [
    'Nothing is to be repaired: a job whose worker is silent for `JOB_LOCK_MS` is run again by another one.',
    'Look at the job, `fmhl job show distribute_lead <job>`: two attempts, the first without an end.',
    'Look at the lead, `GET /api/v1/admin/leads/<id>`: one sale, each buyer charged once.',
  ],
  async inject(ground) {
    await openMarket(ground);
    const leads = await submitLeads(ground, 1);
    await confirmLeads(ground, leads);
    await ground.control.set({ worker: false });
    await approveLeads(ground, leads);
    await dieWorking(ground);
    await ground.control.set({ worker: true });
    return { leads };
  },
  async remedy(ground, { leads }) {
    const [sold] = await soldLeads(ground, leads);
    const buyers = sold?.assignments.map(({ provider_id }) => provider_id) ?? [];
    if (new Set(buyers).size !== buyers.length) throw new Error('a buyer got the lead twice');
  },
  stop: async ({ control }) => void (await control.set({ worker: true })),
});

const program = fileURLToPath(new URL('../../../bin/fmhl.mjs', import.meta.url));

/** Runs a worker of its own until it kills itself at the commit of a sale. */
async function dieWorking({ control, databaseUrl, redisUrl, tokenKey }: Ground): Promise<void> {
  const { smtp_url: smtpUrl } = await control.standing();
  const child = spawn(process.execPath, [program, 'run', 'worker'], {
    stdio: 'ignore',
    env: {
      DATABASE_URL: actingAs(databaseUrl, 'fmhl_worker'),
      REDIS_URL: redisUrl,
      SMTP_URL: smtpUrl,
      TOKEN_KEY: tokenKey,
      METRICS_PORT: '0',
      JOB_LOCK_MS: '1000',
      FAILPOINT: 'worker.inside_commit[distribute_lead]:kill',
    },
  });
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  clearTimeout(late);
  if (signal !== 'SIGKILL') throw new Error(`the worker that was to die ended with ${code}`);
}
