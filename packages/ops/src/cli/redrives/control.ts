import type { RedriveSummary } from '../contract.ts';
import { command, type CommandDefinition } from '../command.ts';
import { consent } from '../consent.ts';
import { misused, type Run, write } from '../run.ts';
import { redriveId } from './redrive-id.ts';

export const pauseCommand = control('pause', 'send nothing more for now; what runs ends');
export const resumeCommand = control('resume', 'go on after a pause');
export const continueCommand = control('continue', 'go on after a stop, against its verdict');
export const approveCommand = control('approve', "let another person's plan be started");
export const acknowledgeCommand = control('acknowledge', 'take an ended redrive off the front page', false);

function control(action: string, summary: string, needsReason = true): CommandDefinition {
  return command({
    usage: `${action} <id>`,
    summary,
    writes: true,
    act: async (run, [text = '']) => {
      const id = await redriveId(run, text);
      await consent(run, { does: `${action} redrive ${id}`, needsReason });
      const body = run.output.reason ? { reason: run.output.reason } : {};
      say(run, await write<RedriveSummary>(run, 'POST', `/redrives/${id}/${action}`, needsReason ? body : {}));
    },
  });
}

export const abortCommand = command<{ recall?: boolean }>({
  usage: 'abort <id>',
  summary: 'end it: what was not sent stays as it is',
  options: [{ flags: '--recall', meaning: 'also take back what was sent and has not begun' }],
  writes: true,
  act: async (run, [text = ''], { recall = false }) => {
    const id = await redriveId(run, text);
    await consent(run, { does: `abort redrive ${id}${recall ? ' and take back what waits' : ''}`, needsReason: true });
    const { reason } = run.output;
    say(run, await write<RedriveSummary>(run, 'POST', `/redrives/${id}/abort`, { reason, ...(recall && { recall }) }));
  },
});

export const rateCommand = command({
  usage: 'rate <id> <rate>',
  summary: 'so many a second from now on, 1 to 500, or auto',
  writes: true,
  act: async (run, [text = '', rate = '']) => {
    const id = await redriveId(run, text);
    if (rate !== 'auto' && !/^[1-9]\d{0,2}$/.test(rate))
      throw misused(`a rate is a number from 1 to 500, or auto, not "${rate}"`);
    await consent(run, { does: `run redrive ${id} at ${rate} a second` });
    say(
      run,
      await write<RedriveSummary>(run, 'PUT', `/redrives/${id}/rate`, {
        rate: rate === 'auto' ? rate : Number(rate),
      }),
    );
  },
});

function say({ terminal, output }: Run, redrive: RedriveSummary): void {
  if (output.json) return terminal.json(redrive);
  if (output.quiet) return terminal.line(redrive.id);
  terminal.line(`redrive ${redrive.id} is ${redrive.already ? 'already ' : ''}${redrive.state}`, 'green');
}
