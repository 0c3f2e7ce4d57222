import type { z } from 'zod';
import { type Actor, audit } from '../audit/index.ts';
import { readLetter } from '../dead-letters/index.ts';
import { type Queryable, type Sql, sql, type Tx } from '../postgres/index.ts';
import type { deadLetterNote } from './contract.ts';
import {
  type Annotated,
  type Annotations,
  annotationsOf,
  changeSubject,
  lockSubject,
  type Subject,
  targetOf,
  targetOfAudit,
  whereOf,
} from './subject.ts';

export type Note = z.infer<typeof deadLetterNote>;

interface NoteRow {
  id: string;
  author: string;
  author_name: string;
  text: string;
  created_at: Date;
}

const noteOf = (row: NoteRow): Note => ({ ...row, created_at: row.created_at.toISOString() });

/** Adds a note. It changes no version: nobody who decides about the subject is contradicted by it. Throws refusal `not_found`. */
export async function addNote(
  tx: Tx,
  { subject, text, actor }: { subject: Subject; text: string; actor: Actor },
): Promise<Note> {
  await lockSubject(tx, subject, undefined);
  const { rows } = await tx.query<NoteRow>(sql`
    insert into ops.dead_letter_note (letter_id, fingerprint, author, author_name, text)
    values (${subject.kind === 'letter' ? subject.id : null}, ${subject.kind === 'group' ? subject.fingerprint : null},
            ${actor.id}, ${actor.name}, ${text})
    returning id, author, author_name, text, created_at`);
  await tx.query(sql`update ${targetOf(subject)} set notes_count = notes_count + 1 ${whereOf(subject)}`);
  const note = noteOf(rows[0] as NoteRow);
  await audit(tx, { actor, action: 'dlq.note_added', ...targetOfAudit(subject), details: { note_id: note.id } });
  return note;
}

/** Newest first, 200 at most. Throws refusal `not_found`. */
export async function readNotes(db: Queryable, subject: Subject): Promise<Note[]> {
  if (subject.kind === 'letter') await readLetter(db, subject.id);
  const { rows } = await db.query<NoteRow>(sql`
    select id, author, author_name, text, created_at from ops.dead_letter_note
    where ${subject.kind === 'letter' ? sql`letter_id = ${subject.id}` : sql`fingerprint = ${subject.fingerprint}`}
    order by created_at desc, id limit 200`);
  return rows.map(noteOf);
}

interface Change {
  readonly subject: Subject;
  readonly actor: Actor;
  /** Refuses `version_changed` when the subject is at another one. */
  readonly expectedVersion?: number | undefined;
}

/** Names who looks after it; null for nobody. Throws refusal `not_found` or `version_changed`. */
export async function assign(tx: Tx, change: Change & { assignee: string | null }): Promise<Annotations> {
  const assignee = change.assignee === 'me' ? change.actor.name : change.assignee;
  return set(tx, change, {
    holds: (present) => present.assignee === assignee,
    columns: sql`assignee = ${assignee}`,
    action: 'dlq.assigned',
    details: { assignee },
  });
}

/** Links an https address; null removes the link. Throws refusal `not_found` or `version_changed`. */
export async function linkTicket(tx: Tx, change: Change & { url: string | null }): Promise<Annotations> {
  return set(tx, change, {
    holds: (present) => present.ticket === change.url,
    columns: sql`ticket = ${change.url}`,
    action: 'dlq.ticket_linked',
    details: { url: change.url },
  });
}

interface Setting {
  readonly holds: (present: Annotated) => boolean;
  readonly columns: Sql;
  readonly action: string;
  readonly reason?: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Under the lock of the subject; what holds already is left as it is, and leaves no row. */
export async function set(
  tx: Tx,
  { subject, actor, expectedVersion }: Change,
  setting: Setting,
  check: (tx: Tx, subject: Subject, present: Annotated) => Promise<void> = async () => {},
): Promise<Annotations> {
  const present = await lockSubject(tx, subject, expectedVersion);
  await check(tx, subject, present);
  if (setting.holds(present)) return { ...annotationsOf(subject, present), already: true };
  const answer = await changeSubject(tx, subject, setting.columns);
  const { action, reason, details } = setting;
  await audit(tx, {
    actor,
    action,
    reason,
    details: { ...details, version: answer.version },
    ...targetOfAudit(subject),
  });
  return answer;
}
