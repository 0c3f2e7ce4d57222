import { type Actor, audit, type Tx } from '@fmhl/ops';
import type { z } from 'zod';
import { refuse } from '../../errors.ts';
import {
  insertLevel,
  insertNiche,
  levelById,
  type LevelDraft,
  type LevelRow,
  lockNiche,
  type NicheRow,
  repeatedConstraint,
  updateLevel,
  updateNiche,
} from './catalogue-queries.ts';
import type { createNicheRequest, FormSchema, LevelChange, NicheChange } from './contract.ts';
import { formFault, shrinkage } from './form-schema.ts';

/** Puts the approved leads of a niche back into the queue, in the caller's transaction. Leads belong to a feature above this one. */
export type RequeueApproved = (tx: Tx, nicheId: string) => Promise<unknown>;

/** Refuses `already_exists` for a taken slug and `validation_failed` for a form that contradicts itself. */
export async function createNiche(tx: Tx, draft: z.infer<typeof createNicheRequest>, actor: Actor): Promise<NicheRow> {
  refuseForm(formFault(draft.form_schema));
  const niche = await insertNiche(tx, { ...draft, form_schema: JSON.stringify(draft.form_schema) });
  if (!niche) throw refuse('already_exists', { field: 'slug' });
  await audit(tx, { actor, action: 'niche.created', targetType: 'niche', targetId: niche.id });
  return niche;
}

/**
 * Changes a niche. A new consent text gets the next version. When a paused niche becomes active, its approved leads are queued again.
 * Refuses `not_found`, `version_changed`, and `validation_failed` for a form that takes something away.
 */
export async function changeNiche(
  tx: Tx,
  { id, change, actor }: { id: string; change: NicheChange; actor: Actor },
  { requeueApproved }: { requeueApproved: RequeueApproved },
): Promise<NicheRow> {
  const present = await lockNiche(tx, id);
  if (!present) throw refuse('not_found');
  const { expected_version, form_schema, ...plain } = change;
  refuseOtherVersion(present, expected_version);
  if (form_schema) refuseForm(formFault(form_schema) ?? shrinkage(present.form_schema, form_schema));
  const isNewText = plain.consent_text !== undefined && plain.consent_text !== present.consent_text;
  const next = await updateNiche(tx, id, {
    ...plain,
    ...(form_schema && { form_schema: JSON.stringify(form_schema) }),
    ...(isNewText && { consent_version: present.consent_version + 1 }),
  });
  if (present.status === 'paused' && next.status === 'active') await requeueApproved(tx, id);
  const details = { fields: namesOf({ ...plain, form_schema }), from: present.status, to: next.status };
  await audit(tx, { actor, action: 'niche.changed', targetType: 'niche', targetId: id, details });
  return next;
}

/** Refuses `not_found` for an unknown niche and `already_exists` for a taken name or place. */
export async function createLevel(tx: Tx, draft: LevelDraft, actor: Actor): Promise<LevelRow> {
  if (!(await lockNiche(tx, draft.niche_id))) throw refuse('not_found', { at: 'body.niche_id' });
  const id = await insertLevel(tx, draft).catch(refuseTaken);
  const { price_cents, max_recipients } = draft;
  await audit(tx, {
    actor,
    action: 'level.created',
    targetType: 'level',
    targetId: id,
    details: { price_cents, max_recipients },
  });
  return (await levelById(tx, id)) as LevelRow;
}

/** Changes a level but for its price, which moves subscriptions with it. Refuses as {@link createLevel}, and `version_changed`. */
export async function changeLevel(
  tx: Tx,
  { id, change, actor }: { id: string; change: LevelChange; actor: Actor },
): Promise<LevelRow> {
  const seen = await levelById(tx, id);
  if (!seen) throw refuse('not_found');
  // A sale reads the levels of its niche under this lock, so that a lead is sold on one set of terms.
  await lockNiche(tx, seen.niche_id);
  const { expected_version, ...columns } = change;
  refuseOtherVersion(seen, expected_version);
  const isUpdated = await updateLevel(tx, seen, columns).catch(refuseTaken);
  if (!isUpdated) throw refuse('version_changed');
  const next = (await levelById(tx, id)) as LevelRow;
  const from = Object.fromEntries(namesOf(columns).map((name) => [name, seen[name as keyof LevelRow]]));
  await audit(tx, {
    actor,
    action: 'level.changed',
    targetType: 'level',
    targetId: id,
    details: { from, to: columns },
  });
  return next;
}

const namesOf = (columns: object) =>
  Object.entries(columns).flatMap(([name, value]) => (value === undefined ? [] : [name]));

const fieldOfConstraint: Readonly<Record<string, string>> = { level_ord_taken: 'ord', level_name_taken: 'name' };

function refuseTaken(error: unknown): never {
  const field = fieldOfConstraint[repeatedConstraint(error) ?? ''];
  throw field === undefined ? error : refuse('already_exists', { field });
}

function refuseForm(fault: ReturnType<typeof formFault>): void {
  if (fault) throw refuse('validation_failed', { faults: [fault] });
}

/** A change that names the version it was made on must find that version. */
export function refuseOtherVersion(present: { version: number }, expected: number | undefined): void {
  if (expected !== undefined && expected !== present.version)
    throw refuse('version_changed', { version: present.version });
}

/** The questions of a niche and the consent a lead gives with its answers. */
export function formOf({ slug, name, form_schema, consent_text, consent_version }: NicheRow): {
  slug: string;
  name: string;
  fields: FormSchema['fields'];
  consent: { text: string; version: number };
} {
  return { slug, name, fields: form_schema.fields, consent: { text: consent_text, version: consent_version } };
}
