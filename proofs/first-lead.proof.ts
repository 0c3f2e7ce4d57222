/**
 * The guide to the first lead, by its own commands: what it shows is what happens, and nothing happens twice.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { below, type Figure, type RunOptions } from '../bench/report.ts';
import { missingStations, readLog, strayLines } from './first-lead/journey.ts';
import { temporaryDirectory } from './harness/directory.ts';
import { exactly, none } from './harness/figures.ts';
import { readGuide, unlike } from './harness/guide.ts';
import { type Walk, walk } from './harness/guide-walk.ts';
import { root } from './harness/product.ts';

export const about = 'the guide docs/guides/first-lead.md, run as it stands from npm start on';

/** The variables of the guide that the proof looks at. */
const facts = ['BASE', 'ADMIN', 'SECRET', 'PAT', 'CLICK', 'LEAD', 'PROVIDER', 'ASSIGNMENT', 'CORRELATION'] as const;
type Fact = (typeof facts)[number];
type Facts = Record<Fact, string>;

export async function run({ say }: RunOptions): Promise<Figure[]> {
  const directory = temporaryDirectory('first-lead');
  const steps = readGuide(join(root, 'docs', 'guides', 'first-lead.md'));
  const taken = await walk(steps, { directory: directory.path, facts });
  try {
    const figures = [
      none('answers of the guide not given', unlike(steps, taken.outputs), say),
      ...(await saleFigures(taken.facts)),
      ...counterFigures(taken),
      ...(await logFigures(taken, say)),
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

async function get<Body>(url: string, authorization?: string): Promise<Body> {
  const [, token = ''] = authorization?.split(': ') ?? [];
  const response = await fetch(url, { headers: token ? { authorization: token } : {} });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return (await response.json()) as Body;
}

interface LeadCard {
  readonly status: string;
  readonly approved_at: string;
  readonly distributed_at: string;
  readonly assignments: readonly object[];
}

/** How soon it was sold, and that it was sold, charged and told of once. */
async function saleFigures({ BASE, ADMIN, PAT, LEAD, ASSIGNMENT }: Facts): Promise<Figure[]> {
  const lead = await get<LeadCard>(`${BASE}/api/v1/admin/leads/${LEAD}`, ADMIN);
  const mails = await get<{ text: string; receivedAt: string }[]>(`${BASE}/mailbox.json`);
  const told = mails.filter(({ text }) => text.includes(ASSIGNMENT));
  const { items: entries } = await get<{ items: { kind: string; amount_cents: number }[] }>(
    `${BASE}/api/v1/provider/balance/entries`,
    PAT,
  );
  const charges = entries.filter(({ kind }) => kind === 'lead_charge');
  const since = (moment = '') => Date.parse(moment) - Date.parse(lead.approved_at);
  return [
    below(2_000, { what: 'approval to sale', value: since(lead.distributed_at), unit: 'ms' }),
    below(2_000, { what: 'approval to new_lead mail in the mailbox', value: since(told[0]?.receivedAt), unit: 'ms' }),
    exactly(1, { what: 'new_lead mails', value: told.length, unit: 'mails' }),
    exactly(1, { what: 'assignments', value: lead.assignments.length, unit: 'rows' }),
    exactly(1, { what: 'charges', value: charges.length, unit: 'entries' }),
    exactly(-6_000, { what: 'charged', value: charges[0]?.amount_cents ?? 0, unit: 'cents' }),
  ];
}

/** By how much the counters rose between the two looks of the guide. The demo world's own jobs may add to the last three. */
function counterFigures({ outputs }: Walk<Fact>): Figure[] {
  const looks = outputs.map(readCounters).filter((counters) => counters.size > 0);
  const [before, after] = [looks.at(0), looks.at(-1)];
  const rise = (name: string) => (after?.get(name) ?? 0) - (before?.get(name) ?? 0);
  const completed = (queue: string) => `fmhl_jobs_completed_total{queue="${queue}"}`;
  const atLeastOne = ['fmhl_assignments_created_total', completed('distribute_lead'), completed('email_send')];
  return [
    ...['fmhl_leads_submitted_total', 'fmhl_leads_approved_total'].map((name) =>
      exactly(1, { what: name, value: rise(name), unit: 'more' }),
    ),
    ...atLeastOne.map((name) => ({ what: name, value: rise(name), unit: 'more', target: '≥ 1', ok: rise(name) >= 1 })),
  ];
}

function readCounters(output: string): Map<string, number> {
  return new Map([...output.matchAll(/^(fmhl_\S+) (\d+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}

/** What a log or a metric must never hold: the person, the provider, and what lets somebody in. */
const personal = ['zephyrine', 'quill', '555 0187', '5550187', 'pat@', 'daughters', 'rain runs'];

async function logFigures({ facts, logPath }: Walk<Fact>, say: (line: string) => void): Promise<Figure[]> {
  const lines = readLog(logPath);
  const metrics = await (await fetch(`${facts.BASE}/metrics`)).text();
  const written = `${readFileSync(logPath, 'utf8')}\n${metrics}`.toLowerCase();
  const secrets = [facts.CLICK, facts.SECRET, facts.ADMIN.split(' ').at(-1) ?? '', facts.PAT.split(' ').at(-1) ?? ''];
  const leaks = [...personal, ...secrets].filter((text) => written.includes(text.toLowerCase()));
  return [
    none('stations of the journey not in the log', missingStations(lines, facts.CORRELATION), say),
    none(
      'lines of this lead under another correlation id',
      strayLines(lines, [facts.LEAD, facts.ASSIGNMENT], facts.CORRELATION),
      say,
    ),
    none('personal data and secrets in log or metrics', leaks, say),
  ];
}
