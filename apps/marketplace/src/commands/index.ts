import type { Command } from 'commander';

type AddCommands = (program: Command) => void;

/** The commands by name, with where they are, in the order of the help. */
const rooms: readonly { readonly names: readonly string[]; readonly load: () => Promise<AddCommands> }[] = [
  { names: ['up'], load: async () => (await import('./up.ts')).upCommand },
  { names: ['run'], load: async () => (await import('./run.ts')).runCommand },
  { names: ['migrate'], load: async () => (await import('./migrate.ts')).migrateCommand },
  { names: ['user'], load: async () => (await import('./user.ts')).userCommand },
  { names: ['login'], load: async () => (await import('./login.ts')).loginCommand },
  { names: ['totp'], load: async () => (await import('./totp.ts')).totpCommand },
  { names: ['keys'], load: async () => (await import('./keys.ts')).keysCommand },
  {
    names: ['dlq', 'queue', 'job', 'redrive', 'schedule', 'audit', 'doctor', 'invariants'],
    load: async () => (await import('./operations.ts')).operationCommands,
  },
  { names: ['seed'], load: async () => (await import('./seed.ts')).seedCommand },
  { names: ['demo'], load: async () => (await import('./demo.ts')).demoCommand },
  { names: ['simulate'], load: async () => (await import('./simulate.ts')).simulateCommand },
];

/** Every command of `fmhl`. */
export const commandNames: readonly string[] = rooms.flatMap(({ names }) => names);

/** Adds the command that is asked for, or all where none is: to load all takes a second of CPU, one that talks to a running product a third. */
export async function addCommands(program: Command, asked?: string): Promise<void> {
  const room = rooms.find(({ names }) => names.some((name) => name === asked));
  const added = await Promise.all((room ? [room] : rooms).map(({ load }) => load()));
  for (const add of added) add(program);
}
