import type { CommandGroup } from '../command.ts';
import {
  abortCommand,
  acknowledgeCommand,
  approveCommand,
  continueCommand,
  pauseCommand,
  rateCommand,
  resumeCommand,
} from './control.ts';
import { itemsCommand, redriveListCommand } from './list.ts';
import { planCommand } from './plan.ts';
import { startCommand } from './start.ts';
import { watchCommand } from './watch.ts';

export const redriveCommands: CommandGroup = {
  name: 'redrive',
  summary: 'many retries or closings as one thing: planned, counted, watched, stopped',
  commands: [
    planCommand,
    startCommand,
    watchCommand,
    pauseCommand,
    resumeCommand,
    continueCommand,
    abortCommand,
    itemsCommand,
    redriveListCommand,
    rateCommand,
    approveCommand,
    acknowledgeCommand,
  ],
};
