import type { CommandGroup } from '../command.ts';
import { scheduleCatchUpCommand, schedulePauseCommand, scheduleResumeCommand, scheduleRunCommand } from './control.ts';
import { scheduleListCommand, scheduleRunsCommand } from './list.ts';

export const scheduleCommands: CommandGroup = {
  name: 'schedule',
  summary: 'what runs by the clock: what was expected, and what became of it',
  commands: [
    scheduleListCommand,
    scheduleRunsCommand,
    scheduleRunCommand,
    scheduleCatchUpCommand,
    schedulePauseCommand,
    scheduleResumeCommand,
  ],
};
