import type { JobDetail, RemovedJob } from '../contract.ts';
import { command } from '../command.ts';
import { consent } from '../consent.ts';
import { age } from '../print/ages.ts';
import { facts, type Terminal } from '../print/terminal.ts';
import { get, type Run, write } from '../run.ts';
import { printExplanation } from './explanation.ts';
import { pathOf } from './queue.ts';

const jobPath = (queue: string, id: string): string => `${pathOf(queue)}/jobs/${encodeURIComponent(id)}`;

export const jobShowCommand = command({
  usage: 'show <queue> <id>',
  summary: 'one job: its run, its attempts, its payload; the look is audited',
  act: async (run, [queue = '', id = '']) => {
    const job = await get<JobDetail>(run, jobPath(queue, id));
    if (run.output.json || run.output.quiet) return run.terminal.json(job, 2);
    printJob(run.terminal, job, run.now());
  },
});

function printJob(terminal: Terminal, job: JobDetail, now: Date): void {
  terminal.line(job.job_id, 'bold');
  facts(terminal, [
    ['kind', job.kind],
    ['state', job.state],
    ['planned', `${age(job.enqueued_at, now)} ago`],
    ['attempts', `${job.attempts} begun, ${job.failures} failed, ${job.max_attempts} at most`],
    ['cause of death', job.cause ?? undefined],
    ['dead letter', job.dead_letter_id ?? undefined],
    ['worker', job.worker ? `${job.worker.version} on ${job.worker.host}` : undefined],
    ['correlation', job.correlation_id],
  ]);
  terminal.line();
  terminal.line('payload', 'dim');
  if (job.payload_lacks) terminal.line(job.payload_lacks);
  else terminal.json(job.payload, 2);
}

export const jobExplainCommand = command({
  usage: 'explain <queue> <id>',
  summary: 'why it does not run',
  act: async (run, [queue = '', id = '']) => printExplanation(run, `${jobPath(queue, id)}/explain`),
});

export const jobPromoteCommand = command({
  usage: 'promote <queue> <id>',
  summary: 'run a delayed job now',
  writes: true,
  act: async (run, [queue = '', id = '']) => {
    await consent(run, { does: `promote ${id} of ${queue}` });
    const answer = await write<object>(run, 'POST', `${jobPath(queue, id)}/promote`, {});
    say(run, answer, { id, text: `${id} runs as soon as a worker is free` });
  },
});

export const jobRemoveCommand = command({
  usage: 'remove <queue> <id>',
  summary: 'bury a job before it runs: it becomes a discarded dead letter, which can be restored',
  writes: true,
  act: async (run, [queue = '', id = '']) => {
    await consent(run, { does: `remove ${id} of ${queue}`, needsReason: true });
    const body = { reason: run.output.reason };
    const answer = await write<RemovedJob>(run, 'POST', `${jobPath(queue, id)}/remove`, body);
    const { dead_letter_id: letter, already } = answer;
    say(run, answer, {
      id: letter,
      text: `${id} is ${already ? 'already ' : ''}removed; its dead letter is ${letter}`,
    });
  },
});

function say({ terminal, output }: Run, answer: object, { id, text }: { id: string; text: string }): void {
  if (output.json) return terminal.json(answer);
  terminal.line(output.quiet ? id : text, 'green');
}
