import { openDatabase, raw, sql } from '@fmhl/ops';

/**
 * r reads, a adds rows, w changes them (and locks them), d deletes, as PostgreSQL writes them. In brackets the columns that a letter is for:
 * `rw(column)` changes that column alone.
 */
export type Rights =
  | ''
  | 'r'
  | 'ra'
  | 'rd'
  | 'rw'
  | 'raw'
  | 'rwd'
  | 'rawd'
  | `r${`(${string})` | ''}${`w(${string})` | ''}${'d' | ''}`;

/** For who writes the audit log alone: a trigger, with the rights of its owner, notes which rows wait for their link. */
const linksNothing = { 'ops.audit_chain': '', 'ops.audit_pending': '' } as const;
/** For who verifies it. */
const readsLinks = { 'ops.audit_chain': 'r', 'ops.audit_pending': 'r' } as const;
/** For who links: what waits is taken away, and nobody says that a row waits. */
const links = { 'ops.audit_chain': 'ra', 'ops.audit_pending': 'rd' } as const;

/**
 * What each kind of process may do in the database, by table or view; `schema.*` is for those of a schema that are not named. The owner of
 * the tables runs migrations and is no process role.
 */
export const databaseRoles = {
  /** `fmhl up` and the commands: all roles in one. */
  fmhl_app: { 'ops.*': 'rawd', ...links, 'public.*': 'rawd', 'identity.*': 'rawd' },
  fmhl_api: {
    'ops.*': 'rawd',
    ...readsLinks,
    'public.*': 'raw',
    'public.subscription_area': 'rawd',
    'public.payment_event': 'ra',
    'public.reconciliation_run': 'r',
    'public.email_suppression': 'rawd',
    'identity.*': 'rawd',
  },
  // It runs the schedule that verifies the log.
  fmhl_worker: {
    'ops.*': 'rawd',
    ...readsLinks,
    'public.*': 'r',
    'public.email': 'raw',
    'public.email_suppression': 'ra',
    'public.lead': 'rw',
    'public.export_job': 'rwd',
    'public.account': 'rw',
    'public.ledger_entry': 'ra',
    'public.balance_correction': 'ra',
    'public.reconciliation_run': 'raw',
    'public.rotation': 'raw',
    'public.distribution_run': 'raw',
    'public.assignment': 'raw',
    'public.subscription': 'rw',
    'public.level': 'rw(vclock)',
    // A lock through a view asks for this right on some column of the view.
    'public.v_niche': 'rw(id)',
    'public.v_account': 'rw(provider_id)',
    'public.v_subscription': 'rw(id)',
    'identity.*': '',
    // To remove old rows it reads when they ended, and locks them: that asks for a right to change some column, one that opens nothing.
    'identity.session': 'r(id, expires_at)w(version)d',
    'identity.login_failure': 'r(id, at)w(id)d',
    'identity.user_token': 'r(expires_at)d',
    'identity.api_token': 'r(expires_at, revoked_at)d',
    'identity.passkey_challenge': 'r(expires_at)d',
  },
  fmhl_relay: { 'ops.*': 'rawd', ...linksNothing, 'public.*': '', 'identity.*': '' },
  fmhl_scheduler: {
    'ops.*': 'rawd',
    ...links,
    'public.*': 'r',
    'public.lead': 'rw',
    'public.export_job': 'rw',
    'public.payment': 'rw(status, version, updated_at)',
    'public.email': 'raw',
    'identity.*': '',
  },
} as const satisfies Record<string, Readonly<Record<string, Rights>>>;

export type DatabaseRole = keyof typeof databaseRoles;

/** Nobody but their owner changes or deletes a row of these: triggers refuse it, and so do these rights. */
export const appendOnly = ['ops.audit_log', 'ops.audit_chain', 'public.ledger_entry', 'public.lead_consent'];

/** Read by those who start, written by migrations. */
export const readOnly = ['ops.migration'];

const words = { r: 'select', a: 'insert', w: 'update', d: 'delete' } as const;

/**
 * SQL that makes the roles where they are missing and gives them exactly these rights on what there is now; run it again after each
 * migration. The roles cannot log in: give each process a login that is a member of its role.
 */
export function rolesSql(): string {
  const names = Object.keys(databaseRoles) as DatabaseRole[];
  return [...names.map(makeRole), ...names.map(grantSchemas), ...names.map(grantTables)].join('\n');
}

function makeRole(role: DatabaseRole): string {
  return `do $$ begin create role ${role} nologin; exception when duplicate_object or unique_violation then null; end $$;`;
}

function grantSchemas(role: DatabaseRole): string {
  return `grant usage on schema public, ops, identity to ${role};
grant usage, select on all sequences in schema public, ops, identity to ${role};`;
}

/** Takes all away first, so that what is granted is what stands here. */
function grantTables(role: DatabaseRole): string {
  const rights: Readonly<Record<string, Rights>> = databaseRoles[role];
  const named = Object.entries(rights).toSorted(
    ([one], [other]) => Number(other.endsWith('*')) - Number(one.endsWith('*')),
  );
  const kept = [
    ...appendOnly.map((table) => [table, 'wd'] as const),
    ...readOnly.map((table) => [table, 'awd'] as const),
  ];
  return [
    `revoke all on all tables in schema public, ops, identity from ${role};`,
    ...named.map(([table, letters]) => grantOn(table, letters, role)),
    ...kept.map(([table, letters]) => `revoke ${wordsOf(letters)} on ${table} from ${role};`),
  ].join('\n');
}

/** A table that is named gets its own rights in place of those of its schema. */
function grantOn(table: string, letters: Rights, role: DatabaseRole): string {
  const schema = /^(\w+)\.\*$/.exec(table)?.[1];
  const on = schema === undefined ? table : `all tables in schema ${schema}`;
  const fresh = schema === undefined ? `revoke all on ${table} from ${role};\n` : '';
  return letters === ''
    ? `revoke all on ${on} from ${role};`
    : `${fresh}grant ${wordsOf(letters)} on ${on} to ${role};`;
}

/** Each letter in a word, with the columns that it is for. */
function wordsOf(rights: string): string {
  return [...rights.matchAll(/([rawd])(\([^)]*\))?/g)]
    .map(([, letter = '', columns = '']) => [words[letter as keyof typeof words], columns].join(' ').trim())
    .join(', ');
}

/** Makes and grants the roles in the database of `url`, whose user owns the tables and may make roles. */
export async function grantRoles(url: string): Promise<void> {
  const db = openDatabase({ url, poolSize: 1 });
  try {
    await db.query(raw(rolesSql()));
  } finally {
    await db.close();
  }
}

/** Whether the roles were made in the server of `url`. */
export async function hasRoles(url: string): Promise<boolean> {
  const db = openDatabase({ url, poolSize: 1 });
  try {
    const { rows } = await db.query(sql`select 1 from pg_roles where rolname = ${'fmhl_app' satisfies DatabaseRole}`);
    return rows.length > 0;
  } finally {
    await db.close();
  }
}

/** The same database, where each connection acts as the role from its start. */
export function actingAs(url: string, role: DatabaseRole): string {
  const acting = new URL(url);
  acting.searchParams.set('options', `-c role=${role}`);
  return acting.href;
}
