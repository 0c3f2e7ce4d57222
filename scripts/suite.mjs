// What `npm test` runs after the checks, as data. Everything here runs on a fresh machine, by Node 24 at the root.

/** The two kinds of vitest tests: vitest.config.ts says which files each takes. */
export const testProjects = [
  { project: 'fast', title: 'fast tests' },
  { project: 'db', title: 'database tests' },
];

/**
 * Slow proofs with few seeds, examples and the guides' own commands: `{ name, run }`, where `run` are arguments of node.
 * Each counts as one: exit code 0 is passed.
 *
 * @type {{ name: string, run: string[] }[]}
 */
export const proofs = [
  prove('bare-example'),
  prove('first-lead'),
  prove('recover-failed-jobs'),
  prove('commands', '--quick'),
  prove('metrics'),
  prove('main-flow', '--seeds', '2'),
  prove('mail-outage', '--quick'),
  prove('dead-letters', '--seeds', '2', '--quick'),
  prove('retention', '--quick'),
  prove('schedules', '--quick'),
  prove('scenarios', '--quick'),
];

/** As `npm run prove` runs it: the reporter imports the file, from where it stands itself. */
function prove(name, ...options) {
  return { name, run: ['bench/report.ts', `../proofs/${name}.proof.ts`, name, ...options] };
}
