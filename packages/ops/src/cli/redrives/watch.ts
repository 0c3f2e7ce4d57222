import { setTimeout as wait } from 'node:timers/promises';
import type { RedriveDetail } from '../contract.ts';
import { command } from '../command.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { type Progress, progressLine } from '../print/progress.ts';
import { CommandFailed, get, type Run } from '../run.ts';
import { redriveId } from './redrive-id.ts';

export const watchCommand = command({
  usage: 'watch <id>',
  summary: 'follow a redrive to its end; 6 when items failed, 7 when the canary did',
  act: async (run, [text = '']) => watch(run, await redriveId(run, text)),
});

/** States in which nothing more happens by itself. */
const settled = new Set<string>(['planned', 'expired', 'paused', 'stopped', 'done', 'aborted']);

/** A line where lines are not rewritten, in ms. */
const plainLineEveryMs = 5_000;

/** Looks until the redrive needs somebody or has ended. Leaving it does not stop the redrive. */
export async function watch(run: Run, id: string): Promise<ExitCode> {
  const { terminal, output, pollMs } = run;
  let printed = { text: '', state: '', at: Number.NEGATIVE_INFINITY };
  const isQuiet = output.json === true || output.quiet === true;
  for (;;) {
    const seen = await get<RedriveDetail>(run, `/redrives/${id}`);
    const text = progressLine(progressOf(seen, run.now()), terminal.width - 1);
    const isDue = seen.state !== printed.state || performance.now() - printed.at > plainLineEveryMs;
    if (terminal.isLive && !isQuiet) terminal.status(text);
    else if (!isQuiet && isDue && text !== printed.text) {
      terminal.line(text);
      printed = { text, state: seen.state, at: performance.now() };
    }
    if (settled.has(seen.state)) return finish(run, seen);
    if (isIdle(seen, run.now()))
      throw new CommandFailed(exitCodes.failed, `${id} was started and does not begin: does a scheduler run?`);
    await wait(pollMs);
  }
}

/** How long a redrive may take to begin once it could, in ms: schedulers hand their work over within half of it. */
const beginsWithinMs = 60_000;

function isIdle({ state, undo_until, waiting_behind }: RedriveDetail, now: Date): boolean {
  if (state !== 'waiting' || waiting_behind || !undo_until) return false;
  return now.getTime() - Date.parse(undo_until) > beginsWithinMs;
}

function progressOf({ progress, state, rate, eta, canary }: RedriveDetail, now: Date): Progress {
  const { total, succeeded, failed, skipped, cancelled } = progress;
  return {
    total,
    failed,
    ended: succeeded + failed + skipped + cancelled,
    state: state === 'canary' && canary ? `canary of ${canary.picked}` : state,
    rate: rate.effective,
    etaS: eta?.at ? Math.max(0, (Date.parse(eta.at) - now.getTime()) / 1_000) : null,
  };
}

function finish({ terminal, output }: Run, redrive: RedriveDetail): ExitCode {
  const { state, progress, canary, new_fingerprints, stopped_because } = redrive;
  terminal.status('');
  const exit = exitOfRedrive(redrive);
  if (output.json) terminal.json(redrive);
  if (output.json || output.quiet) return exit;
  const { succeeded, failed, skipped, cancelled } = progress;
  const counts = [`${succeeded} succeeded`, `${failed} failed`, `${skipped} skipped`, `${cancelled} cancelled`];
  const isWell = exit === exitCodes.done && state === 'done';
  terminal.line(`${state}: ${counts.join(', ')}`, isWell ? 'green' : 'yellow');
  if (canary && canary.verdict !== null) {
    const why = canary.why ? ` (${canary.why})` : '';
    terminal.line(`canary of ${canary.picked}: ${canary.verdict}${why}`, canary.verdict === 'passed' ? 'green' : 'red');
  }
  if (new_fingerprints.length > 0) terminal.line(`new failures: ${new_fingerprints.join(', ')}`, 'red');
  if (state === 'stopped') {
    if (stopped_because) terminal.line(`stopped because ${JSON.stringify(stopped_because)}`, 'red');
    terminal.line('It waits for you: redrive continue, or redrive abort.', 'dim');
  }
  if (failed > 0) terminal.line(`See them: redrive items ${redrive.id.slice(0, 8)} --outcome failed`, 'dim');
  return exit;
}

function exitOfRedrive({ state, canary, progress }: RedriveDetail): ExitCode {
  if (canary?.verdict === 'failed' && state !== 'done') return exitCodes.canaryFailed;
  if (progress.failed > 0) return exitCodes.itemsFailed;
  return state === 'stopped' || state === 'expired' ? exitCodes.failed : exitCodes.done;
}
