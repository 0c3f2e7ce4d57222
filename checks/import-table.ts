/** Who may import whom: the table of ARCHITECTURE.md as data. `imports.ts` walks the real imports against it. */

export type Slices = {
  /** Where the slices stand, from the root. */
  root: string;
  /** Each slice with the slices whose `index.ts` it may import. */
  mayImport: Record<string, string[]>;
  /** The slice (or folder of the package) that only tests may import, for hosts and for our own tests. */
  forTests: string;
};

/** A slice of the library may import the slices of lower levels. */
const levels: string[][] = [
  ['causes', 'permissions'],
  ['postgres', 'redis', 'logging', 'metrics', 'refusals', 'failpoints', 'filters', 'csv'],
  ['leases', 'loops'],
  ['audit'],
  ['queues', 'idempotency'],
  ['events', 'schedules'],
  ['dead-letters', 'health'],
  ['dead-letter-search', 'alerts'],
  ['dead-letter-groups', 'dead-letter-report', 'redrives', 'queue-control'],
  ['incidents', 'trace', 'doctor'],
  ['http', 'cli', 'testing'],
];

export const operations: Slices = {
  root: 'packages/ops/src',
  mayImport: Object.fromEntries(
    levels.flatMap((slices, level) => slices.map((slice) => [slice, levels.slice(0, level).flat()])),
  ),
  forTests: 'testing',
};

export const features: Slices = {
  root: 'apps/marketplace/src/features',
  mayImport: {
    email: [],
    'second-factor': [],
    auth: ['email', 'second-factor'],
    accounts: ['auth', 'second-factor', 'email'],
    subscriptions: ['auth', 'email'],
    leads: ['subscriptions', 'email'],
    billing: ['subscriptions', 'email'],
    distribution: ['leads', 'subscriptions', 'billing', 'email'],
    inbox: ['leads', 'distribution', 'billing', 'email'],
    'bad-leads': ['leads', 'distribution', 'billing', 'subscriptions', 'email'],
    reports: ['subscriptions', 'email'],
  },
  forTests: 'testing',
};

/** Files and folders at the top of an application's `src` that few may import. All others there are open to features. */
export type Restricted = { path: string; importedBy: string[]; because: string };

const application = 'apps/marketplace/src';

export const restricted: Restricted[] = [
  {
    path: `${application}/app.ts`,
    importedBy: ['top', 'commands', 'roles', 'simulator', 'testing'],
    because: 'it constructs everything',
  },
  { path: `${application}/cli.ts`, importedBy: [], because: 'it is the command' },
  { path: `${application}/commands`, importedBy: ['cli.ts'], because: 'a command is a face, not a part' },
  { path: `${application}/up.ts`, importedBy: ['cli.ts', 'commands', 'testing'], because: 'it starts everything' },
  { path: `${application}/whole-product.ts`, importedBy: ['up.ts'], because: 'it is loaded while the servers start' },
  { path: `${application}/contract.ts`, importedBy: ['top'], because: 'it is for the browser side' },
  {
    path: `${application}/roles`,
    importedBy: ['whole-product.ts', 'cli.ts', 'commands'],
    because: 'a role is where a process begins',
  },
  {
    path: `${application}/embedded`,
    importedBy: ['top', 'commands', 'simulator', 'testing'],
    because: 'only a start needs servers',
  },
  { path: `${application}/simulator`, importedBy: ['top', 'commands'], because: 'traffic is not part of the product' },
  { path: `${application}/testing`, importedBy: ['tests'], because: 'it is for tests' },
];

/** What each workspace may import of ours by package name, besides itself. npm does not stop an undeclared import. */
export const packages: { root: string; mayImport: string[]; inTests?: string[] }[] = [
  { root: 'packages/ops', mayImport: [] },
  { root: 'packages/ops-ui', mayImport: ['@fmhl/ops/contract'] },
  {
    root: 'apps/marketplace',
    mayImport: ['@fmhl/ops', '@fmhl/ops/cli', '@fmhl/ops/contract'],
    inTests: ['@fmhl/ops/testing'],
  },
  { root: 'apps/console', mayImport: ['@fmhl/ops-ui', '@fmhl/ops/contract', '@fmhl/marketplace/contract'] },
  { root: 'examples', mayImport: ['@fmhl/ops'], inTests: ['@fmhl/ops/testing'] },
  { root: 'checks', mayImport: [] },
];

/** A `contract.ts` is browser-safe: it and the files it imports may use these packages, nothing else. */
export const contractPackages = ['zod', '@fmhl/ops/contract'];
