import { afterEach, describe, expect, it, vi } from 'vitest';
import { sql } from '../postgres/index.ts';
import { openCli } from './cli.fixture.ts';

let plane: Awaited<ReturnType<typeof openCli>>['plane'];
afterEach(() => plane.close());

/** The commands, and three dead letters. */
async function open() {
  const cli = await openCli();
  ({ plane } = cli);
  const ids = [await cli.die(1), await cli.die(2), await cli.die(3)];
  /** Ends the ten seconds in which an abort touches nothing. */
  const beginAtOnce = () =>
    vi.waitFor(async () => {
      const { rowCount } = await cli.plane.db.query(
        sql`update ops.redrive set undo_until = now() where undo_until is not null`,
      );
      expect(rowCount).toBe(1);
    });
  return { ...cli, ids, beginAtOnce };
}

const lines = (text: string) => text.trimEnd().split('\n');

describe('fmhl redrive', () => {
  it('plans, starts and watches to the end, in lines where it is no screen', async () => {
    const { run, health, beginAtOnce, stateOf, ids } = await open();
    const plan = await run('redrive plan queue:letters --rate 100 --canary 1');
    const [, id = ''] = /^redrive (\S+)$/m.exec(plan.out) ?? [];
    expect(plan.out).toMatch(/^action +retry 3 of 3 dead letters$/m);
    expect(plan.out).toMatch(/^by queue +letters 3$/m);
    expect(plan.out).toMatch(/^expires +in 2\d min, at /m);
    expect(plan.out).toContain(`Nothing has run. Start it: redrive start ${id.slice(0, 8)} --reason`);
    expect(await run(`redrive start ${id} --yes`)).toMatchObject({ code: 2, err: expect.stringContaining('--reason') });
    expect(await run(`redrive start ${id} --reason "the server is back"`)).toMatchObject({ code: 2 });
    health.error = undefined;
    const waiting = run(`redrive start ${id.slice(0, 8)} --reason "the server is back" --yes --wait --as Ana`);
    await beginAtOnce();
    const { code, out } = await waiting;
    expect(lines(out).slice(0, 2)).toEqual([
      expect.stringMatching(new RegExp(`^redrive ${id} begins in \\d+ s$`)),
      expect.stringContaining('Until then an abort touches nothing'),
    ]);
    expect(out).toMatch(/^\[[#.]+\] +\d+ % {2}\d\/3 .*$/m);
    expect(out).toMatch(/^done: 3 succeeded, 0 failed, 0 skipped, 0 cancelled$/m);
    expect(out).toMatch(/^canary of 1: passed/m);
    expect(code).toBe(0);
    for (const letter of ids) expect(await stateOf(letter)).toBe('resolved');
    expect((await run(`redrive list`)).out).toMatch(new RegExp(`^${id.slice(0, 8)} +done .* 3/3 +0 `, 'm'));
    const items = lines((await run(`redrive items ${id} --outcome succeeded -q`)).out);
    expect(new Set(items)).toEqual(new Set(ids));
    const again = await run(`redrive start ${id} --reason "the server is back" --yes`);
    expect(again).toMatchObject({ code: 5, err: expect.stringContaining('by Ana') });
  }, 30_000);

  it('ends with 7 when the canary fails, having run nothing else', async () => {
    const { run, beginAtOnce, ids, stateOf } = await open();
    const id = (await run('redrive plan queue:letters --canary 1 -q')).out.trim();
    const waiting = run(`redrive start ${id} --reason "hoping for the best" --yes --wait`);
    await beginAtOnce();
    const { code, out } = await waiting;
    expect(code).toBe(7);
    expect(out).toMatch(/^canary of 1: failed/m);
    expect(out).toContain('It waits for you: redrive continue, or redrive abort.');
    expect((await run(`redrive items ${id} --outcome failed -q`)).out.trim().split('\n')).toHaveLength(1);
    expect((await run(`redrive abort ${id} --reason "it is not fixed yet"`)).out).toMatch(/is abort(ing|ed)$/m);
    expect((await run(`redrive watch ${id}`)).out).toMatch(/^aborted: 0 succeeded, 1 failed, 0 skipped, 2 cancelled$/m);
    for (const letter of ids) expect(await stateOf(letter)).toBe('pending');
  }, 30_000);

  it('ends with 6 when items fail without a canary', async () => {
    const { run, beginAtOnce } = await open();
    const id = (await run('redrive plan queue:letters --canary 0 -q')).out.trim();
    const waiting = run(`redrive start ${id} --reason "hoping for the best" --yes --wait --json`);
    await beginAtOnce();
    const { code, out } = await waiting;
    expect(code).toBe(6);
    expect(JSON.parse(out)).toMatchObject({ id, progress: { failed: 3 } });
  }, 30_000);

  it('is paused, goes on at another rate, and is refused what makes no sense', async () => {
    const { run } = await open();
    const id = (await run('redrive plan queue:letters -q')).out.trim();
    await run(`redrive start ${id} --reason "the server is back" --yes`);
    expect((await run(`redrive pause ${id} --reason "a closer look"`)).out).toBe(`redrive ${id} is paused\n`);
    expect((await run(`redrive rate ${id} 5`)).code).toBe(0);
    expect((await run(`redrive rate ${id} 5000`)).code).toBe(2);
    expect((await run(`redrive continue ${id} --reason "a closer look"`)).code).toBe(5);
    expect((await run(`redrive resume ${id} --reason "it looks well"`)).code).toBe(0);
    expect((await run(`redrive abort ${id} --reason "not today"`)).code).toBe(0);
    expect((await run('redrive plan')).code).toBe(2);
    expect((await run('redrive plan state:open error:x')).err).toContain('filter_too_wide');
    expect((await run('redrive watch 00000000')).code).toBe(3);
  });
});

describe('fmhl dlq report and proof', () => {
  it('count what died and show that nothing is lost', async () => {
    const { run } = await open();
    const report = await run('dlq report --queue letters --hours 2');
    expect(report.out).toMatch(/^captured +3 \(0\)$/m);
    expect(report.out).toMatch(/^open now +3 /m);
    expect(report.out).toMatch(/^ +3 {2}letters$/m);
    const proof = await run('dlq proof');
    expect(proof.out).toMatch(/^queue +failed +captured +resolved +discarded +open +gap$/m);
    expect(proof.out).toMatch(/^letters +3 +3 +0 +0 +3 +0$/m);
    expect(proof.out).toContain('Nothing is lost: every failure was captured.');
    expect(proof.code).toBe(0);
    expect((await run('dlq proof --repair --reason "to be sure of it"')).code).toBe(0);
  });
});
