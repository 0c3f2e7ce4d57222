import { CommandFailed, misused, type Run } from './run.ts';
import { exitCodes } from './exit-codes.ts';

export interface Intent {
  /** What will be done, with the count: `resolve 3 dead letters`. */
  readonly does: string;
  /** Many at once: asks for a reason, and where nobody can answer for `--yes`. */
  readonly isBulk?: boolean;
  /** The API asks for a reason, so better to say so before anything is sent. */
  readonly needsReason?: boolean;
}

/** Says on a terminal what a write will do, and asks. Elsewhere single writes go on, and many need `--yes`. */
export async function consent(run: Run, { does, isBulk = false, needsReason = isBulk }: Intent): Promise<void> {
  const { terminal, output } = run;
  if (needsReason && !output.reason) throw misused(`to ${does}, say why: --reason "…"`);
  if (output.yes) return;
  if (terminal.isInteractive) {
    if (await terminal.ask(`This will ${does}. Go on?`)) return;
    throw new CommandFailed(exitCodes.failed, 'nothing was changed');
  }
  if (isBulk) throw misused(`to ${does} without a terminal to ask on, say --yes`);
}
