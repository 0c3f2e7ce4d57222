import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { openLease } from '../leases/index.ts';
import { sql } from '../postgres/index.ts';
import { pollUntil } from '../testing/index.ts';
import { pauseRedrive, resumeRedrive } from './index.ts';
import { ana, bury, effect, openRedrives, type Redrives } from './redrives.fixture.ts';

let opened: Redrives;
afterEach(() => opened.close());

const batch = 10;
const letters = 95;
const all = Array.from({ length: letters }, (_, at) => ({ n: at + 1, times: 1 }));

async function started() {
  opened = await openRedrives();
  await bury(opened, letters);
  const { id } = await opened.plan({ filter: 'queue:mail', options: { rate: 'auto', canary: null } as never });
  await opened.start(id);
  return id;
}

/** Tells of each claim how many steps were begun and not committed; `during` is awaited in one that was begun early. */
function watched(during: () => Promise<unknown> = async () => {}) {
  const seen = { open: 0, most: 0 };
  const failpoint = async (name: string) => {
    if (name === 'redrive.after_commit') seen.open -= 1;
    if (name !== 'redrive.before_claim') return;
    seen.open += 1;
    seen.most = Math.max(seen.most, seen.open);
    if (seen.open > 1) await during();
  };
  return { seen, failpoint };
}

const counted = async () => {
  const { rows } = await opened.db.query<{ retrying: number; sent: number; audited: number; waiting: number }>(sql`
    select (select count(*) from ops.dead_letter_queue where state = 'retrying') as retrying,
           (select count(*) from ops.redrive_item where outcome = 'enqueued') as sent,
           (select count(*) from ops.audit_log where action = 'dlq.job_retried') as audited,
           (select count(*) from ops.job_outbox) as waiting`);
  return rows[0];
};

describe('a redrive that nothing limits', () => {
  it('claims letters while the step before commits, and each letter once', async () => {
    const id = await started();
    const { seen, failpoint } = watched();
    await opened.plane.start(opened.engine({ batch, failpoint }));
    await pollUntil(async () => (await counted())?.sent === letters);
    expect(seen.most).toBeGreaterThan(1);
    expect(await counted()).toEqual({ retrying: letters, sent: letters, audited: letters, waiting: letters });
    await opened.work(effect);
    await opened.ended(id);
    expect(await opened.effects()).toEqual(all);
  });

  it('leaves nothing of a step that a pause has overtaken, and goes on where it was', async () => {
    const id = await started();
    let paused: Promise<unknown> | undefined;
    const { failpoint } = watched(() => {
      paused ??= opened.write((tx) => pauseRedrive(tx, { id, actor: ana, reason: 'as agreed in the room' }));
      return paused;
    });
    const engine = opened.engine({ batch, failpoint });
    await opened.plane.start(engine);
    await opened.ended(id, 'paused');
    await engine.stop();
    const sent = (await counted())?.sent ?? 0;
    expect(sent).toBeLessThan(letters);
    expect(sent % batch).toBe(0);
    expect(await counted()).toEqual({ retrying: sent, sent, audited: sent, waiting: sent });
    await opened.work(effect);
    await opened.write((tx) => resumeRedrive(tx, { id, actor: ana, reason: 'as agreed in the room' }));
    await opened.plane.start(opened.engine({ batch }));
    await opened.ended(id);
    expect(await opened.effects()).toEqual(all);
  });

  it('gives way to another engine that works on it: each letter goes once', async () => {
    const id = await started();
    const lease = (name: string) => openLease(opened.db, { name, holder: randomUUID(), ttlMs: 1_000 });
    await opened.work(effect);
    for (const name of ['one', 'other']) await opened.plane.start(opened.engine({ batch, lease: lease(name) }));
    await opened.ended(id);
    expect(await opened.effects()).toEqual(all);
    expect((await counted())?.audited).toBe(letters);
  });

  it('does not go ahead where its window leaves no room for it', async () => {
    await started();
    const { seen, failpoint } = watched();
    await opened.plane.start(opened.engine({ batch, failpoint, limits: { window: 25 } }));
    await pollUntil(async () => (await counted())?.sent === 25);
    expect(seen.most).toBe(1);
  });
});
