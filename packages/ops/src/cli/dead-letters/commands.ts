import type { CommandGroup } from '../command.ts';
import { assignCommand, noteCommand, snoozeCommand } from './annotate.ts';
import { discardCommand, resolveCommand, restoreCommand } from './close.ts';
import { exportCommand } from './export.ts';
import { groupsCommand } from './groups.ts';
import { inspectCommand } from './inspect.ts';
import { listCommand } from './list.ts';
import { proofCommand } from './proof.ts';
import { reportCommand } from './report.ts';
import { retryCommand } from './retry.ts';

export const deadLetterCommands: CommandGroup = {
  name: 'dlq',
  summary: 'dead letters: jobs that will not be tried again by themselves',
  commands: [
    listCommand,
    inspectCommand,
    retryCommand,
    resolveCommand,
    discardCommand,
    restoreCommand,
    noteCommand,
    assignCommand,
    snoozeCommand,
    groupsCommand,
    reportCommand,
    exportCommand,
    proofCommand,
  ],
};
