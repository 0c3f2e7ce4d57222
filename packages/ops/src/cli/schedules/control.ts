import type { CaughtUp, ControlledSchedule, RequestedRun } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
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
    say(run, answer, { id: answer.run_id, text: `${name} runs as job ${answer.job_id}` });
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

export const schedulePauseCommand = command<{ for?: string }>({
  usage: 'pause <schedule>',
  summary: 'skip its ticks; a run under way goes on',
  options: [{ flags: '--for <time>', meaning: 'so long: 10m, 2h; without it until resumed' }],
  writes: true,
  act: async (run, [name = ''], { for: span }) => {
    const seconds = span === undefined ? undefined : readDuration(span);
    if (span !== undefined && seconds === undefined)
      throw misused(`--for takes a time such as 10m or 2h, not "${span}"`);
    await consent(run, { does: `pause ${name}${span ? ` for ${span}` : ''}`, needsReason: true });
    const body = { reason: run.output.reason, ...(seconds !== undefined && { for_s: seconds }) };
    const answer = await write<ControlledSchedule>(run, 'POST', `${pathOf(name)}/pause`, body);
    say(run, answer, { id: name, text: `${name} is ${answer.already ? 'already ' : ''}paused` });
  },
});

export const scheduleResumeCommand = command({
  usage: 'resume <schedule>',
  summary: 'go on after a pause',
  writes: true,
  act: async (run, [name = '']) => {
    await consent(run, { does: `resume ${name}` });
    const body = run.output.reason ? { reason: run.output.reason } : {};
    const answer = await write<ControlledSchedule>(run, 'POST', `${pathOf(name)}/resume`, body);
    say(run, answer, { id: name, text: `${name} is ${answer.already ? 'already ' : ''}running` });
  },
});

function say({ terminal, output }: Run, answer: object, { id, text }: { id: string; text: string }): void {
  if (output.json) return terminal.json(answer);
  terminal.line(output.quiet ? id : text, 'green');
}
