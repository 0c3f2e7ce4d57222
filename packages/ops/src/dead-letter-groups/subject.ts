import type { z } from 'zod';
import { raw, type Sql, sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { annotations } from './contract.ts';

/** What a note, an assignee, a ticket or a snooze is about. */
export type Subject =
  | { readonly kind: 'letter'; readonly id: string }
  | { readonly kind: 'group'; readonly fingerprint: string };

export type Annotations = z.infer<typeof annotations>;

/** A subject as it is now, locked until the end of the transaction. */
export interface Annotated {
  fingerprint: string;
  /** Of a letter. */
  state: string | null;
  assignee: string | null;
  ticket: string | null;
  snoozed_until: Date | null;
  snoozed_deaths: number | null;
  /** Of a group. */
  fixed_in: string | null;
  /** Of a group: it died again on the version of its fix. */
  regressed: boolean;
  notes_count: number;
  version: number;
}

/** Locks what is to be annotated. Throws refusal `not_found`, or `version_changed` with the present object. */
export async function lockSubject(tx: Tx, subject: Subject, expectedVersion: number | undefined): Promise<Annotated> {
  const { rows } = await tx.query<Annotated>(sql`select ${columnsOf(subject)} from ${tableOf(subject)} for update`);
  const present = rows[0];
  if (!present) throw refuse('not_found');
  if (expectedVersion !== undefined && expectedVersion !== present.version) {
    throw refuse('version_changed', { present: annotationsOf(subject, present) });
  }
  return present;
}

/** Writes columns of a locked subject, under a new version. */
export async function changeSubject(tx: Tx, subject: Subject, change: Sql): Promise<Annotations> {
  const { rows } = await tx.query<Annotated>(
    sql`update ${targetOf(subject)} set ${change}, version = version + 1 ${whereOf(subject)} returning ${columnsOf(subject)}`,
  );
  if (!rows[0]) throw refuse('not_found');
  return annotationsOf(subject, rows[0]);
}

export function annotationsOf(subject: Subject, row: Annotated): Annotations {
  const { fingerprint, assignee, ticket, notes_count, version, snoozed_until, snoozed_deaths } = row;
  const isSet = snoozed_until !== null || snoozed_deaths !== null;
  return {
    ...(subject.kind === 'letter' && { id: subject.id, state: row.state ?? '' }),
    fingerprint,
    assignee,
    ticket,
    snooze: isSet ? { until: snoozed_until?.toISOString() ?? null, until_deaths: snoozed_deaths } : null,
    ...(subject.kind === 'group' && { fixed_in: row.fixed_in }),
    notes_count,
    version,
  };
}

/** What the audit log names. */
export function targetOfAudit(subject: Subject): { targetType: string; targetId: string } {
  return subject.kind === 'letter'
    ? { targetType: 'dead_letter', targetId: subject.id }
    : { targetType: 'dead_letter_group', targetId: subject.fingerprint };
}

export function targetOf({ kind }: Subject): Sql {
  return raw(kind === 'letter' ? 'ops.dead_letter_queue' : 'ops.dead_letter_group');
}

export function whereOf(subject: Subject): Sql {
  return subject.kind === 'letter' ? sql`where id = ${subject.id}` : sql`where fingerprint = ${subject.fingerprint}`;
}

function tableOf(subject: Subject): Sql {
  return sql`${targetOf(subject)} ${whereOf(subject)}`;
}

function columnsOf({ kind }: Subject): Sql {
  return kind === 'letter'
    ? sql`fingerprint, state, assignee, ticket, snoozed_until, case when state = 'snoozed' then snoozed_deaths end as snoozed_deaths,
          null as fixed_in, false as regressed, notes_count, version`
    : sql`fingerprint, null as state, assignee, ticket, snoozed_until, snoozed_deaths, fixed_in,
          regressed_at is not null as regressed, notes_count, version`;
}
