import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { auditCommands } from './audit/commands.ts';
import type { OperationsClient } from './client.ts';
import { deadLetterCommands } from './dead-letters/commands.ts';
import { addAlone, addGroup, type CommandGroup, type Host } from './command.ts';
import type { Streams } from './print/terminal.ts';
import { doctorCommands } from './doctor/commands.ts';
import { jobCommands, queueCommands } from './queues/commands.ts';
import { redriveCommands } from './redrives/commands.ts';
import { scheduleCommands } from './schedules/commands.ts';

/** What the host's settings say to the commands. */
export interface OperationsEnvironment {
  /** Of a running application; without it the commands work in this process. */
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  /** True where `NO_COLOR` is set. */
  readonly noColour?: boolean | undefined;
}

/** What a host brings for {@link operationsCommands}. */
export interface OperationsCommandsOptions {
  /** Asked when a command runs, not before. What it throws is printed, and the command fails. */
  readonly environment: () => OperationsEnvironment;
  /**
   * Opens the API in this process for the person of that name: {@link openLocalClient} on a plane whose `authorize` is
   * {@link localOperator}. Without it a command that is given no URL fails.
   */
  readonly openLocal?: (operator: string) => Promise<OperationsClient>;
  /** Ends the process with this code once what was written has been written. */
  readonly end: (code: number) => void;
  /** Default those of the process. */
  readonly streams?: Streams;
  readonly now?: () => Date;
  /** Pause between two looks at something that is watched, in ms. Default 1,000. */
  readonly pollMs?: number;
}

/** Every group of operations commands, in the order of the help. */
export const commandGroups: readonly CommandGroup[] = [
  deadLetterCommands,
  queueCommands,
  jobCommands,
  redriveCommands,
  scheduleCommands,
  auditCommands,
];

/** Adds `dlq`, `queue`, `job`, `redrive`, `schedule`, `audit`, `doctor` and `invariants` to the host's program. They talk to the operations API and to nothing else. */
export function operationsCommands(program: Command, options: OperationsCommandsOptions): void {
  const { environment, openLocal, end, now = () => new Date(), pollMs = 1_000, streams = process } = options;
  const host: Host = { environment, openLocal, end, now, pollMs, streams, loginName };
  for (const group of commandGroups) addGroup(program, group, host);
  for (const alone of doctorCommands) addAlone(program, alone, host);
}

/** A container may run under a number that has no name. */
function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
