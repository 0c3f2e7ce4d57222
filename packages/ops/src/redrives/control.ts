import { type Actor, audit } from '../audit/index.ts';
import { sql, type Tx } from '../postgres/index.ts';
import { refuse } from '../refusals/index.ts';
import type { RedriveRate, RedriveState } from './contract.ts';
import { admit, changeRedrive, lockAdmissions, lockRedrive, type Redrive } from './queries.ts';

/** Who asks for a change of one redrive, and why. */
export interface Asking {
  readonly id: string;
  readonly actor: Actor;
  readonly reason?: string | undefined;
}

/** `already`: what was asked held before; nothing was written. */
export interface Changed {
  readonly already: boolean;
}

const changed: Changed = { already: false };
const already: Changed = { already: true };

const ended: readonly RedriveState[] = ['done', 'aborted', 'expired'];

/** Nothing new goes out from this commit on; running jobs finish. Throws `not_found`, `redrive_done` or `redrive_not_running`. */
export async function pauseRedrive(tx: Tx, asking: Asking): Promise<Changed> {
  const redrive = await read(tx, asking.id);
  const { state } = redrive;
  if (state === 'paused') return already;
  if (state !== 'waiting' && state !== 'canary' && state !== 'running') throw refuseState(redrive);
  // A redrive that waits keeps what it will begin as.
  const resumes = state === 'waiting' ? redrive.resumes_as : state;
  await changeRedrive(tx, redrive.id, { state: 'paused', resumes_as: resumes });
  await record(tx, asking, 'redrive.paused', { was: state });
  return changed;
}

/** Goes on after a pause, or waits until its destinations are free. Throws as {@link pauseRedrive}. */
export async function resumeRedrive(tx: Tx, asking: Asking): Promise<Changed> {
  await lockAdmissions(tx);
  const redrive = await read(tx, asking.id);
  if (['waiting', 'canary', 'running'].includes(redrive.state)) return already;
  if (redrive.state !== 'paused') throw refuseState(redrive);
  await goOn(tx, redrive);
  await record(tx, asking, 'redrive.resumed');
  return changed;
}

/**
 * Overrides the rule that stopped it: older verdicts and the errors met so far do not stop it again.
 * Throws refusal `not_found` or `not_stopped`.
 */
export async function continueRedrive(tx: Tx, asking: Asking): Promise<void> {
  await lockAdmissions(tx);
  const redrive = await read(tx, asking.id);
  if (redrive.state !== 'stopped') throw refuse('not_stopped', { state: redrive.state });
  const { rows } = await tx.query<{ stopped_because: unknown; new_fingerprints: string[] }>(sql`
    update ops.redrive set fingerprints = fingerprints || new_fingerprints
    where id = ${redrive.id} returning stopped_because, new_fingerprints`);
  await changeRedrive(tx, redrive.id, { judged_from: redrive.now, stopped_because: null });
  await goOn(tx, { ...redrive, resumes_as: redrive.resumes_as ?? 'running' });
  await record(tx, asking, 'redrive.verdict_overridden', { ...rows[0] });
}

/** To `waiting`, and on from there at once when nothing is in front. */
async function goOn(tx: Tx, { id, resumes_as, undo_until, now }: Redrive): Promise<void> {
  await changeRedrive(tx, id, { state: 'waiting', resumes_as });
  if (!undo_until || undo_until <= now) await admit(tx, id);
}

/** Holds from the next second on. Throws as {@link pauseRedrive}. */
export async function setRate(tx: Tx, asking: Asking & { rate: RedriveRate }): Promise<Changed> {
  const redrive = await read(tx, asking.id);
  const { state, rate } = redrive;
  if (!['waiting', 'canary', 'running', 'paused', 'stopped'].includes(state)) throw refuseState(redrive);
  if (rate.asked === asking.rate) return already;
  await changeRedrive(tx, redrive.id, { rate: { ...rate, asked: asking.rate, governed_at: 0 } });
  await record(tx, asking, 'redrive.rate_changed', { from: rate.asked, to: asking.rate });
  return changed;
}

/** Cancels what was not sent; its letters stay as they are. With `recall` what has not begun is taken back too. Throws `not_found` or `redrive_done`. */
export async function abortRedrive(tx: Tx, asking: Asking & { recall: boolean }): Promise<Changed> {
  const { id, state } = await read(tx, asking.id);
  if (state === 'aborting' || state === 'aborted') return already;
  if (ended.includes(state)) throw refuse('redrive_done', { state });
  await changeRedrive(tx, id, { state: 'aborting', resumes_as: null, recall: asking.recall });
  await record(tx, asking, 'redrive.aborted', { was: state, recall: asking.recall });
  return changed;
}

/** Takes an ended redrive off the front page. The first name stays. Throws `not_found` or `redrive_not_running`. */
export async function acknowledgeRedrive(tx: Tx, asking: Asking): Promise<Changed> {
  const { id, state, acknowledged_by } = await read(tx, asking.id);
  if (acknowledged_by !== null) return already;
  if (!ended.includes(state)) throw refuse('redrive_not_running', { state, needs: ended });
  await tx.query(sql`
    update ops.redrive
    set acknowledged_by = ${asking.actor.id}, acknowledged_by_name = ${asking.actor.name}, acknowledged_at = clock_timestamp(),
        version = version + 1
    where id = ${id}`);
  await record(tx, asking, 'redrive.acknowledged', { state });
  return changed;
}

async function read(tx: Tx, id: string): Promise<Redrive> {
  const redrive = await lockRedrive(tx, id);
  if (!redrive) throw refuse('not_found');
  return redrive;
}

function refuseState({ state }: Redrive) {
  return refuse(ended.includes(state) || state === 'aborting' ? 'redrive_done' : 'redrive_not_running', { state });
}

async function record(tx: Tx, asking: Asking, action: string, details: Record<string, unknown> = {}): Promise<void> {
  const { actor, id, reason } = asking;
  await audit(tx, { actor, action, targetType: 'redrive', targetId: id, reason, details });
}
