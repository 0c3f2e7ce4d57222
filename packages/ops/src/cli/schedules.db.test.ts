import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../postgres/index.ts';
import { defineSchedule } from '../schedules/index.ts';
import { pollUntil } from '../testing/index.ts';
import { openCli } from './cli.fixture.ts';

/** Yearly, so that only runs by hand happen. */
const yearly = { cron: '0 0 1 1 *', auditAction: 'tidy.ran' };
const schedules = [
  defineSchedule({ ...yearly, name: 'tidy', run: async () => ({ checked: 12, removed: 3 }) }),
  defineSchedule({ ...yearly, name: 'off', enabled: false, run: async () => ({}) }),
];

let cli: Awaited<ReturnType<typeof openCli>>;
beforeAll(async () => {
  cli = await openCli({ schedules });
  await pollUntil(async () => (await cli.plane.db.query(sql`select from ops.schedule`)).rowCount === 2);
});
afterAll(() => cli.plane.close());

const reason = '--reason "to see that it runs"';
const miss = (minutes: number) =>
  cli.plane.db.query(sql`
    insert into ops.schedule_run (schedule, fire_at, origin, state, reason, late_after, miss_after, limit_ms)
    values ('tidy', date_trunc('second', now()) - ${minutes} * interval '1 minute', 'schedule', 'missed', 'outage', now(), now(), 1)`);
const done = (runs: number) =>
  pollUntil(
    async () => (await cli.plane.db.query(sql`select from ops.schedule_run where state = 'done'`)).rowCount === runs,
  );

describe('fmhl schedule', () => {
  it('lists them within 80 columns, with what is off', async () => {
    const { code, out } = await cli.run('schedule list');
    expect(code).toBe(0);
    expect(out.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(out).toMatch(/^schedule +runs +last +ago +next +missed +late\n/);
    expect(out).toMatch(/\ntidy +cron 0 0 1 1 \* +– +– +\d+ d +0 +0\n/);
    expect(out).toMatch(/\noff .* off +0 +0\n/);
    expect((await cli.run('schedule list -q')).out).toBe('tidy\noff\n');
    const [first = ''] = (await cli.run('schedule list --json')).out.split('\n');
    expect(JSON.parse(first)).toMatchObject({ name: 'tidy', words: 'cron 0 0 1 1 * UTC', drift: [] });
  });

  it('runs one by hand, and shows what it did', async () => {
    const { code, out } = await cli.run(`schedule run tidy ${reason}`);
    expect([code, out]).toEqual([0, expect.stringMatching(/^tidy runs as job sch-tidy-\d+-[0-9a-f]{8}\n$/)]);
    await done(1);
    const runs = await cli.run('schedule runs tidy --state done');
    expect(runs.out.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(runs.out).toMatch(/done +manual +\d+ ms +checked 12, removed 3/);
  });

  it('lists missed ticks, then runs them', async () => {
    await miss(30);
    await miss(20);
    const dry = await cli.run('schedule catch-up tidy --from 2h --dry-run');
    expect([dry.code, dry.out]).toEqual([0, expect.stringContaining('2 missed ticks of tidy would be run:')]);
    expect(await cli.run(`schedule catch-up tidy --from 2h ${reason}`)).toMatchObject({ code: 2 });
    const { out } = await cli.run(`schedule catch-up tidy --from 2h ${reason} --yes`);
    expect(out).toContain('2 missed ticks of tidy will be run:');
    await done(3);
    expect((await cli.run(`schedule catch-up tidy --from 2h ${reason} --yes`)).out).toBe(
      'tidy missed no ticks in this time.\n',
    );
  });

  it('pauses and resumes, and says what is so already', async () => {
    expect((await cli.run(`schedule pause tidy --for 10m ${reason}`)).out).toBe('tidy is paused\n');
    expect((await cli.run(`schedule pause tidy ${reason}`)).out).toBe('tidy is already paused\n');
    expect((await cli.run('schedule list')).out).toMatch(/\ntidy .* paused +0 +\d\n/);
    expect((await cli.run('schedule resume tidy')).out).toBe('tidy is running\n');
    expect((await cli.run('schedule resume tidy')).out).toBe('tidy is already running\n');
  });

  it.each([
    ['schedule runs nobody', 3, 'not_found'],
    [`schedule run off ${reason}`, 5, 'switched off by configuration'],
    ['schedule run tidy', 2, 'say why'],
    ['schedule catch-up tidy --from yesterday --dry-run', 2, '--from takes a time'],
  ])('%s ends with %i', async (words, code, text) => {
    const ran = await cli.run(words);
    expect([ran.code, ran.err]).toEqual([code, expect.stringContaining(text)]);
  });
});
