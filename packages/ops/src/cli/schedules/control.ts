import type { CaughtUp, RequestedRun } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
import { pauseCommands } from '../pausing.ts';
import { moment, readDuration } from '../print/ages.ts';
import { misused, type Run, write } from '../run.ts';
import { pathOf } from './list.ts';

export const scheduleRunCommand = command({
  usage: 'run <schedule>',
  summary: 'run it now, whatever its rule says',
  writes: true,
  act: async (run, [name = '']) => {
    await consent(run, { does: `run ${name} now`, needsReason: true });
    const body = { reason: run.output.reason };
    const answer = await write<RequestedRun>(run, 'POST', `${pathOf(name)}/run`, body);
    const { terminal, output } = run;
    if (output.json) return terminal.json(answer);
    terminal.line(output.quiet ? answer.run_id : `${name} runs as job ${answer.job_id}`, 'green');
  },
});

interface CatchUpOptions {
  readonly from: string;
  readonly to?: string;
  readonly dryRun?: boolean;
}

export const scheduleCatchUpCommand = command<CatchUpOptions>({
  usage: 'catch-up <schedule>',
  summary: 'run ticks that it missed, the oldest 100 at most',
  options: [
    { flags: '--from <time>', meaning: 'since then: 2026-01-02T14:00Z, or an age such as 12h', default: '24h' },
    { flags: '--to <time>', meaning: 'until then; without it until now' },
    { flags: '--dry-run', meaning: 'only list them' },
  ],
  writes: true,
  act: async (run, [name = ''], { from, to, dryRun = false }) => {
    const span = { from: readMoment(run, '--from', from), to: readMoment(run, '--to', to ?? '0s') };
    const path = `${pathOf(name)}/catch-up`;
    if (!dryRun) {
      const { ticks } = await write<CaughtUp>(run, 'POST', path, { ...span, dry_run: true });
      await consent(run, {
        does: `run ${ticks.length} missed ticks of ${name}`,
        isBulk: ticks.length > 1,
        needsReason: true,
      });
    }
    const body = dryRun ? { ...span, dry_run: true } : { ...span, reason: run.output.reason };
    printTicks(run, name, await write<CaughtUp>(run, 'POST', path, body));
  },
});

function readMoment({ now }: Run, flag: string, text: string): string {
  const seconds = readDuration(text);
  if (seconds !== undefined) return new Date(now().getTime() - seconds * 1_000).toISOString();
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw misused(`${flag} takes a time such as 2026-01-02T14:00Z or an age such as 12h, not "${text}"`);
  return new Date(time).toISOString();
}

function printTicks({ terminal, output }: Run, name: string, answer: CaughtUp): void {
  const { ticks, more, dry_run } = answer;
  if (output.json) return terminal.json(answer);
  if (output.quiet) return ticks.forEach(({ run_id }) => terminal.line(run_id));
  if (ticks.length === 0) return terminal.line(`${name} missed no ticks in this time.`);
  const does = dry_run ? 'would be run' : 'will be run';
  terminal.line(`${ticks.length} missed ${ticks.length === 1 ? 'tick' : 'ticks'} of ${name} ${does}:`);
  terminal.table(
    [
      { title: 'expected', of: ({ expected_at }: CaughtUp['ticks'][number]) => moment(expected_at) },
      { title: 'job', of: ({ job_id }: CaughtUp['ticks'][number]) => job_id ?? '–', least: 20 },
    ],
    ticks,
  );
  if (more) terminal.line('There are more: say it again for the next ones.', 'yellow');
}

export const [schedulePauseCommand, scheduleResumeCommand] = pauseCommands({
  what: 'schedule',
  means: 'skip its ticks; a run under way goes on',
  pathOf,
});
