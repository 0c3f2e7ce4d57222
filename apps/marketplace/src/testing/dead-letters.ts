import { randomUUID } from 'node:crypto';
import { bury, type Database, enqueue, sql } from '@fmhl/ops';
import { pollUntil } from '@fmhl/ops/testing';
import type { App } from '../app.ts';
import { emailQueue } from '../queues.ts';

export interface MadeLetter {
  readonly id: string;
  readonly jobId: string;
  readonly fingerprint: string;
}

/** Lets mails that do not exist die of an error, by worker and relay, and answers their letters. */
export async function makeDeadLetters(
  app: App,
  { count, error }: { count: number; error: Error },
): Promise<MadeLetter[]> {
  const { db, ops } = app;
  const keys = Array.from({ length: count }, () => randomUUID());
  await db.transaction(async (tx) => {
    for (const key of keys)
      await enqueue(tx, emailQueue, 'send_email', { v: 1, email_id: key }, { key: `email-${key}` });
  });
  const parts = [ops.relay(), ops.worker({ email_send: async () => bury(error) })];
  for (const part of parts) await part.start();
  const letters = await pollUntil(
    async () => {
      const found = await lettersOf(db, keys);
      return found.length === count && found;
    },
    { deadlineMs: 15_000 },
  );
  for (const part of parts.toReversed()) await part.stop();
  return letters;
}

async function lettersOf(db: Database, keys: readonly string[]): Promise<MadeLetter[]> {
  const jobIds = keys.map((key) => `email-${key}`);
  const { rows } = await db.query<{ id: string; job_id: string; fingerprint: string }>(sql`
    select id, job_id, fingerprint from ops.dead_letter_queue where job_id = any(${jobIds})`);
  return rows.map(({ id, job_id, fingerprint }) => ({ id, jobId: job_id, fingerprint }));
}
