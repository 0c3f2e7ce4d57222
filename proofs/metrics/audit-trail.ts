import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Sql, sql } from '../../packages/ops/src/postgres/index.ts';
import type { Stage } from '../harness/stage.ts';
import type { System } from './system.ts';

/** Where the scheduler is told to write the head of the audit chain: a directory that is missing at first. */
export const anchorOf = (stage: Stage): string => join(stage.directory, 'elsewhere', 'anchor.jsonl');

/** The anchor is tried again after 10 s. */
const anchoredWithinMs = 25_000;

/** Acts are linked, their anchor has no place and gets one, and somebody changes the chain. */
export async function auditTrail({ watch, people, market, scene, stage }: System): Promise<void> {
  const act = () => people.adjust(market.funded.mixed[0], 1_000);
  await watch.sees('an act', act, [{ metric: 'audit_rows_linked_total', rises: 'some' }]);
  await watch.sees(
    'the anchor has no place',
    async () => {},
    [{ metric: 'audit_anchor_failures_total', rises: 'some' }],
    anchoredWithinMs,
  );
  await watch.sees(
    'it gets one',
    async () => mkdirSync(dirname(anchorOf(stage))),
    [{ metric: 'audit_anchor_last_success_timestamp_seconds', becomes: 'positive' }],
    anchoredWithinMs,
  );
  const last = sql`where n = (select max(n) from ops.audit_chain)`;
  const turn = sql`update ops.audit_chain set hash = sha256(hash), seal = sha256(seal) ${last}`;
  const { rows } = await scene.db.query<{ hash: Buffer; seal: Buffer }>(
    sql`select hash, seal from ops.audit_chain ${last}`,
  );
  const restore = sql`update ops.audit_chain set hash = ${rows[0]?.hash}, seal = ${rows[0]?.seal} ${last}`;
  await watch.sees('somebody changes the last link', () => pastTriggers(scene, turn), [
    { metric: 'audit_chain_faults_total', labels: { kind: 'head_changed' }, rises: 1 },
  ]);
  await watch.sees('acts are not linked to it', act, [
    { metric: 'audit_chain_faults_total', labels: { kind: 'foreign_head' }, rises: 'some' },
    { metric: 'audit_rows_linked_total', rises: 0 },
  ]);
  await watch.sees('the link is as it was', () => pastTriggers(scene, restore), [
    { metric: 'audit_rows_linked_total', rises: 1 },
  ]);
}

function pastTriggers({ db }: System['scene'], statement: Sql): Promise<unknown> {
  return db.transaction(async (tx) => {
    await tx.query(sql`set local session_replication_role = replica`);
    await tx.query(statement);
  });
}
