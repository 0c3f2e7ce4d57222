/**
 * The guide to recovering failed jobs, by its own commands: what it shows is what happens, and each sale is made once.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure, RunOptions } from '../bench/report.ts';
import { temporaryDirectory } from './harness/directory.ts';
import { exactly, none } from './harness/figures.ts';
import { readGuide, unlike } from './harness/guide.ts';
import { walk } from './harness/guide-walk.ts';
import { root } from './harness/product.ts';

export const about = 'the guide docs/guides/recover-failed-jobs.md, run as it stands from a bad deploy on';

/** The leads of the demo world that are approved. */
const sales = 5;

export async function run({ say }: RunOptions): Promise<Figure[]> {
  const directory = temporaryDirectory('recover-failed-jobs');
  const steps = readGuide(join(root, 'docs', 'guides', 'recover-failed-jobs.md'));
  const taken = await walk(steps, {
    directory: directory.path,
    facts: ['FMHL_URL', 'ID', 'REDRIVE'],
    withinMs: 360_000,
    // The token of the guide's sign-in goes there.
    settings: { HOME: directory.path, TMPDIR: directory.path },
  });
  try {
    const api = openApi(taken.facts.FMHL_URL, tokenIn(directory.path));
    const figures = [
      none('answers of the guide not given', unlike(steps, taken.outputs), say),
      ...(await letterFigures(api)),
      ...(await redriveFigures(api, taken.facts.REDRIVE)),
      ...(await saleFigures(api)),
    ];
    return [
      ...figures,
      exactly(0, { what: 'exit code of npm start after kill', value: (await taken.finish()) ?? 1, unit: '' }),
    ];
  } finally {
    await taken.killAll();
    directory.remove();
  }
}

function tokenIn(home: string): string {
  const { token } = JSON.parse(readFileSync(join(home, '.config', 'fmhl', 'token'), 'utf8')) as { token: string };
  return token;
}

type Api = <Body>(path: string) => Promise<Body>;

function openApi(url: string, token: string): Api {
  return async (path) => {
    const response = await fetch(`${url}/api/v1/admin${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json() as Promise<never>;
  };
}

async function letterFigures(api: Api): Promise<Figure[]> {
  const numberOf = async (q: string) => {
    const { pagination } = await api<{ pagination: { total: number } }>(`/queues/dlq?q=${encodeURIComponent(q)}`);
    return pagination.total;
  };
  const { ok, gap } = await api<{ ok: boolean; gap: number }>('/queues/dlq/proof');
  return [
    exactly(0, { what: 'open dead letters', value: await numberOf('state:open'), unit: 'letters' }),
    exactly(sales, { what: 'resolved by a retry', value: await numberOf('state:resolved retries:1'), unit: 'letters' }),
    exactly(0, { what: 'gap of the capture proof', value: ok ? gap : Number.NaN, unit: 'deaths' }),
  ];
}

async function redriveFigures(api: Api, id: string): Promise<Figure[]> {
  const { progress, canary } = await api<{ progress: { succeeded: number }; canary: { verdict: string } }>(
    `/redrives/${id}`,
  );
  return [
    exactly(sales - 1, { what: 'items of the redrive that succeeded', value: progress.succeeded, unit: 'items' }),
    exactly(1, { what: 'canaries that passed', value: Number(canary.verdict === 'passed'), unit: 'canaries' }),
  ];
}

/** Each lead of a dead sale was sold, and to nobody twice. */
async function saleFigures(api: Api): Promise<Figure[]> {
  const { items } = await api<{ items: { id: string; status: string }[] }>('/leads?limit=200');
  const waiting = items.filter(({ status }) => status === 'approved' || status === 'distributing');
  const cards = items.map(({ id }) => api<{ assignments: { provider_id: string }[] }>(`/leads/${id}`));
  const doubled = (await Promise.all(cards)).filter(
    ({ assignments }) => new Set(assignments.map(({ provider_id }) => provider_id)).size < assignments.length,
  );
  return [
    exactly(0, { what: 'approved leads that still wait for their sale', value: waiting.length, unit: 'leads' }),
    exactly(0, { what: 'leads sold twice to one provider', value: doubled.length, unit: 'leads' }),
  ];
}
