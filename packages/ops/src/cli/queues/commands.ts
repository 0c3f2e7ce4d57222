import type { CommandGroup } from '../command.ts';
import { jobExplainCommand, jobPromoteCommand, jobRemoveCommand, jobShowCommand } from './job.ts';
import {
  queueExplainCommand,
  queueJobsCommand,
  queueListCommand,
  queuePauseCommand,
  queueResumeCommand,
  queueShowCommand,
} from './queue.ts';

export const queueCommands: CommandGroup = {
  name: 'queue',
  summary: 'queues: what waits, what runs, what holds it up',
  commands: [
    queueListCommand,
    queueShowCommand,
    queueJobsCommand,
    queuePauseCommand,
    queueResumeCommand,
    queueExplainCommand,
  ],
};

export const jobCommands: CommandGroup = {
  name: 'job',
  summary: 'single jobs of a queue',
  commands: [jobShowCommand, jobExplainCommand, jobPromoteCommand, jobRemoveCommand],
};
