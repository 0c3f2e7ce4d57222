import { setTimeout as wait } from 'node:timers/promises';
import type { RedriveDetail } from '../contract.ts';
import { command, type OptionDefinition, wholeNumber } from '../command.ts';
import { selectionOptions, filterText, type Selection } from '../dead-letters/filter-text.ts';
import { duration, moment } from '../print/ages.ts';
import { facts, type Terminal } from '../print/terminal.ts';
import { get, misused, type Run, write } from '../run.ts';

interface PlanOptions extends Selection {
  readonly action: string;
  readonly name?: string;
  readonly rate?: number | 'auto';
  readonly canary?: number;
  readonly order?: string;
  readonly to?: string;
  readonly includeUnsafe?: boolean;
}

const rate: OptionDefinition = {
  flags: '--rate <n>',
  meaning: 'so many a second, 1 to 500, or auto: as fast as live work allows',
  read: (text) => (text === 'auto' ? text : wholeNumber(1, 500)(text)),
};

export const planCommand = command<PlanOptions>({
  usage: 'plan [filter...]',
  summary: 'freeze what a redrive would touch, and count it; nothing runs yet',
  options: [
    ...selectionOptions,
    {
      flags: '--action <action>',
      meaning: 'what becomes of each',
      choices: ['retry', 'resolve', 'discard', 'restore'],
      default: 'retry',
    },
    { flags: '--name <text>', meaning: 'what people will know it by' },
    rate,
    { flags: '--canary <n>', meaning: 'so many run first, and decide; 0 for none', read: wholeNumber(0, 100) },
    { flags: '--order <order>', meaning: 'which go first', choices: ['oldest', 'newest'] },
    { flags: '--to <queue>', meaning: 'into another queue that takes the kind' },
    { flags: '--include-unsafe', meaning: 'also kinds whose repeat may do harm' },
  ],
  act: plan,
});

async function plan(run: Run, words: readonly string[], options: PlanOptions): Promise<void> {
  const { terminal, output } = run;
  const filter = restoring(options) ? filterText(words, { ...options, allStates: true }) : filterText(words, options);
  if (words.length === 0 && !options.queue && !options.stream)
    throw misused('say what to redrive: a filter, or --queue');
  const planned = await write<RedriveDetail>(run, 'POST', '/redrives', {
    name: options.name ?? `${options.action} ${filter}`.slice(0, 200),
    action: options.action,
    filter,
    options: optionsOf(options),
  });
  const whole = await whenPlanned(run, planned);
  if (output.quiet) return terminal.line(whole.id);
  if (output.json) return terminal.json(whole);
  printPlan(terminal, whole, run.now());
}

const restoring = ({ action }: PlanOptions): boolean => action === 'restore';

function optionsOf({ rate, canary, order, to, includeUnsafe }: PlanOptions): object {
  return {
    ...(rate !== undefined && { rate }),
    ...(canary !== undefined && { canary: canary === 0 ? null : { size: canary } }),
    ...(order && { order }),
    ...(to && { target_queue: to }),
    ...(includeUnsafe && { include_unsafe: true }),
  };
}

/** A large plan is answered while it is being made. */
async function whenPlanned(run: Run, planned: RedriveDetail): Promise<RedriveDetail> {
  let seen = planned;
  while (seen.state === 'planning') {
    run.terminal.status('planning …');
    await wait(run.pollMs);
    seen = await get<RedriveDetail>(run, `/redrives/${planned.id}`);
  }
  run.terminal.status('');
  return seen;
}

export function printPlan(terminal: Terminal, plan: RedriveDetail, now: Date): void {
  terminal.line(`redrive ${plan.id}`, 'bold');
  const left = plan.expires_at ? (Date.parse(plan.expires_at) - now.getTime()) / 1_000 : null;
  facts(terminal, [
    ['filter', plan.filter ?? undefined],
    ['action', `${plan.action} ${plan.included ?? 0} of ${plan.matched ?? 0} dead letters`],
    ['left out', counts(plan.left_out)?.replaceAll('_', ' ')],
    ['by queue', counts(plan.by_queue)],
    ['by error', counts(plan.by_error)],
    ['by effect', counts(plan.by_effect)],
    ['touches', counts(plan.touches)],
    ['takes', plan.estimate ? `${duration(plan.estimate.duration_s)} (${plan.estimate.basis})` : undefined],
    ['approval', plan.approval.needed ? `needed: ${plan.approval.because ?? ''}` : undefined],
    ['expires', left === null ? undefined : `in ${duration(left)}, at ${moment(plan.expires_at)}`],
  ]);
  for (const warning of plan.warnings) terminal.line(warning, 'yellow');
  if (plan.state !== 'planned') return;
  terminal.line();
  terminal.line(`Nothing has run. Start it: redrive start ${plan.id.slice(0, 8)} --reason "…"`, 'dim');
}

function counts(numbers: Readonly<Record<string, number>> | undefined): string | undefined {
  const entries = Object.entries(numbers ?? {});
  if (entries.length === 0) return undefined;
  return entries.map(([name, count]) => `${name} ${count}`).join(', ');
}
