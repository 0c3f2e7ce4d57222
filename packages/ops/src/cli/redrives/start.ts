import type { RedriveDetail } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
import type { ExitCode } from '../exit-codes.ts';
import { get, misused, type Run, write } from '../run.ts';
import { redriveId } from './redrive-id.ts';
import { watch } from './watch.ts';

interface StartOptions {
  readonly wait?: boolean;
  readonly acceptDrift?: boolean;
}

export const startCommand = command<StartOptions>({
  usage: 'start <id>',
  summary: 'run a plan: its first item goes out 10 s later',
  options: [
    { flags: '--wait', meaning: 'watch it to its end; 6 when items failed, 7 when the canary did' },
    { flags: '--accept-drift', meaning: 'although many items changed since the plan; those are skipped' },
  ],
  writes: true,
  act: start,
});

async function start(run: Run, [text = '']: readonly string[], options: StartOptions): Promise<ExitCode | void> {
  const { terminal, output } = run;
  const id = await redriveId(run, text);
  const plan = await get<RedriveDetail>(run, `/redrives/${id}`);
  if (plan.plan_hash === null) throw misused(`${id} is ${plan.state}: there is no plan to start yet`);
  await consent(run, { does: `${plan.action} ${plan.included ?? 0} dead letters (${plan.name})`, isBulk: true });
  const started = await write<RedriveDetail>(run, 'POST', `/redrives/${id}/start`, {
    plan_hash: plan.plan_hash,
    confirm_count: plan.included,
    reason: output.reason,
    ...(options.acceptDrift && { accept_drift: true }),
  });
  if (output.json && !options.wait) return terminal.json(started);
  if (output.quiet) terminal.line(id);
  else if (!output.json) sayStarted(run, started);
  return options.wait ? watch(run, id) : undefined;
}

function sayStarted({ terminal, now }: Run, { id, waiting_behind, undo_until }: RedriveDetail): void {
  if (waiting_behind)
    return terminal.line(`redrive ${id} waits behind ${waiting_behind.name} (${waiting_behind.state})`);
  const left = undo_until ? Math.max(0, Math.ceil((Date.parse(undo_until) - now().getTime()) / 1_000)) : 0;
  terminal.line(`redrive ${id} begins in ${left} s`, 'green');
  terminal.line(`Until then an abort touches nothing: redrive abort ${id.slice(0, 8)} --reason "…"`, 'dim');
}
