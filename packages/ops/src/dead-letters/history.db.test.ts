import { afterEach, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { type JobHandler, PermanentError } from '../queues/index.ts';
import { pollUntil } from '../testing/index.ts';
import { attemptsHistory, captureRemoved } from './index.ts';
import { ana, openLetters, type Task } from './letters.fixture.ts';

let opened: Awaited<ReturnType<typeof openLetters>>;
afterEach(() => opened.plane.close());

/** A plane whose jobs fail with the next of these errors. */
async function openFailing(...errors: readonly Error[]) {
  opened = await openLetters();
  const { plane } = opened;
  const left = [...errors];
  const fail: JobHandler<Task> = async () => {
    throw left.shift() ?? new Error('one more');
  };
  await plane.run({ work: fail, spare: fail });
  const histories = async () => {
    const { rows } = await plane.db.query<{ run_key: string; attempts_history: Record<string, unknown>[] | null }>(
      sql`select r.run_key, ${attemptsHistory} from ops.job_run r order by generation`,
    );
    return rows;
  };
  return { ...opened, histories };
}

const told = (message: string, stack: RegExp) => ({
  type: expect.stringMatching(/Error$/),
  message,
  stack: expect.stringMatching(stack),
});

describe('the history of a run that died', () => {
  it('ends with the attempt it died of, which its letter tells of', async () => {
    const { plan, letterOf, histories } = await openFailing(new Error('no host'), new Error('no route'));
    await plan(1);
    const letter = await letterOf('task-1');
    const [run] = await histories();
    expect(run?.attempts_history).toMatchObject([
      { attempt: 1, outcome: 'failed', error: told('no host', /openFailing|history\.db/) },
      { attempt: 2, outcome: 'died', cause: 'exhausted', error: told('no route', /history\.db/) },
    ]);
    const [first, second] = run?.attempts_history ?? [];
    expect(second).toMatchObject({ worker: first?.worker, started_at: expect.any(String) });
    expect(Date.parse(String(second?.ended_at))).toBe((letter.failed_at as Date).getTime());
  });

  it('keeps the whole evidence of each death when retries die of others', async () => {
    const errors = ['the first', 'the second', 'the third'].map((message) => new PermanentError(message));
    const { plan, letterOf, retry, histories } = await openFailing(...errors);
    await plan(1);
    const { id } = await letterOf('task-1', 'pending');
    for (const message of ['the second', 'the third']) {
      await retry(id);
      await pollUntil(async () => (await letterOf('task-1', 'pending')).error_message === message);
    }
    const runs = await histories();
    expect(runs.map(({ attempts_history }) => attempts_history)).toMatchObject(
      ['the first', 'the second', 'the third'].map((message) => [
        { attempt: 1, outcome: 'died', error: told(message, /history\.db/) },
      ]),
    );
  });

  it('has no attempt for a run that was removed before it began', async () => {
    opened = await openLetters();
    const { plane, plan } = opened;
    await plan(1);
    const removal = { actor: ana, reason: 'not needed', workerId: ana.id, queue: 'work', hooks: {} };
    await plane.db.transaction((tx) => captureRemoved(tx, 'task-1', removal));
    const { rows } = await plane.db.query(sql`select ${attemptsHistory} from ops.job_run r`);
    expect(rows).toMatchObject([{ attempts_history: [{ attempt: null, outcome: 'died', cause: 'removed' }] }]);
    // As a redrive leaves what it takes back.
    await plane.db.query(sql`update ops.job_run set attempts_history = null, started = 0, finished = 0`);
    const taken = await plane.db.query(sql`select ${attemptsHistory} from ops.job_run r`);
    expect(taken.rows).toEqual([{ attempts_history: null }]);
  });
});
