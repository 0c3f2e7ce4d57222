import { command, type CommandDefinition } from './command.ts';
import { consent } from './consent.ts';
import { readDuration } from './print/ages.ts';
import { misused, type Run, write } from './run.ts';

interface Pausable {
  /** What an operator names: `queue`. */
  readonly what: string;
  /** What a pause does to it, and what not. */
  readonly means: string;
  readonly pathOf: (name: string) => string;
}

/** `pause` and `resume` of whatever can rest: asked for, answered and told in the same way. */
export function pauseCommands(pausable: Pausable): readonly [pause: CommandDefinition, resume: CommandDefinition] {
  return [pauseCommand(pausable), resumeCommand(pausable)];
}

function pauseCommand({ what, means, pathOf }: Pausable): CommandDefinition {
  return command<{ for?: string }>({
    usage: `pause <${what}>`,
    summary: means,
    options: [{ flags: '--for <time>', meaning: 'so long: 10m, 2h; without it until resumed' }],
    writes: true,
    act: async (run, [name = ''], { for: span }) => {
      const seconds = span === undefined ? undefined : readDuration(span);
      if (span !== undefined && seconds === undefined)
        throw misused(`--for takes a time such as 10m or 2h, not "${span}"`);
      await consent(run, { does: `pause ${name}${span ? ` for ${span}` : ''}`, needsReason: true });
      const body = { reason: run.output.reason, ...(seconds !== undefined && { for_s: seconds }) };
      tell(run, name, await write<Answer>(run, 'POST', `${pathOf(name)}/pause`, body), 'paused');
    },
  });
}

function resumeCommand({ what, pathOf }: Pausable): CommandDefinition {
  return command({
    usage: `resume <${what}>`,
    summary: 'go on after a pause',
    writes: true,
    act: async (run, [name = '']) => {
      await consent(run, { does: `resume ${name}` });
      const body = run.output.reason ? { reason: run.output.reason } : {};
      tell(run, name, await write<Answer>(run, 'POST', `${pathOf(name)}/resume`, body), 'running');
    },
  });
}

interface Answer {
  readonly already?: boolean;
}

function tell({ terminal, output }: Run, name: string, answer: Answer, state: string): void {
  if (output.json) return terminal.json(answer);
  terminal.line(output.quiet ? name : `${name} is ${answer.already ? 'already ' : ''}${state}`, 'green');
}
