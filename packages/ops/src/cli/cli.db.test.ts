import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openCli } from './cli.fixture.ts';

let opened: Awaited<ReturnType<typeof openCli>>;
afterEach(() => opened.plane.close());

async function open() {
  opened = await openCli();
  return opened;
}

const lines = (text: string) => text.trimEnd().split('\n');

describe('fmhl dlq list', () => {
  it('says which filter it used and what it found, in 80 columns', async () => {
    const { run, die } = await open();
    const id = await die(1);
    const { code, out } = await run('dlq list');
    const [filter, head, row, footer] = lines(out);
    expect(filter).toBe('filter: state:open');
    expect(head).toMatch(/^id +queue +error .* died$/);
    expect(row).toMatch(new RegExp(`^${id.slice(0, 13)} +letters +SMTP timeout after 30 s .* \\d+ s$`));
    expect(footer).toBe('1 of 1');
    expect(Math.max(...lines(out).map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(code).toBe(0);
  });

  it('says of an empty list that nothing is open, and how much was', async () => {
    const { run, die } = await open();
    expect((await run('dlq list --queue letters')).out).toBe(
      'filter: queue:letters state:open\nNo open dead letters on letters (0 closed in the last 30 days).\n',
    );
    await run(`dlq resolve ${await die(1)} --reason "sent by hand"`);
    expect(await run('dlq list queue:letters')).toEqual({
      code: 0,
      out: 'filter: queue:letters state:open\nNo open dead letters on letters (1 closed in the last 30 days).\n',
      err: '',
    });
    expect(lines((await run('dlq list --all-states')).out)).toHaveLength(4);
  });

  it("answers ids alone, or the API's own objects one a line", async () => {
    const { run, die } = await open();
    const ids = [await die(1), await die(2)];
    expect(lines((await run('dlq list -q --sort failed_at')).out)).toEqual(ids);
    const entries = lines((await run('dlq list --json --sort failed_at')).out).map((line) => JSON.parse(line));
    expect(entries).toMatchObject(ids.map((id) => ({ id, queue_name: 'letters', state: 'pending', resolved: false })));
    expect(lines((await run('dlq list -q --count 1 --page 2 --sort failed_at')).out)).toEqual([ids[1]]);
  });

  it('ends with 2 for a filter that is none, and says what was meant', async () => {
    const { run } = await open();
    const { code, out, err } = await run('dlq list qeue:letters');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('filter_invalid');
    expect(err).toContain('queue:letters');
  });
});

describe('fmhl dlq inspect', () => {
  it('tells all of one letter, its payload masked, by the start of its id', async () => {
    const { run, die, audited } = await open();
    const id = await die(1);
    const { out } = await run(`dlq inspect ${id.slice(0, 8)} --as Ana`);
    expect(lines(out)[0]).toBe(`letters ${id}`);
    expect(out).toMatch(/^error +PermanentError: SMTP timeout after 30 s$/m);
    expect(out).toMatch(/^cause +permanent: /m);
    expect(out).toMatch(/^payload \(\d+ bytes, masked: to\)$/m);
    expect(out).not.toContain('ana@example.com');
    const rows = await audited();
    expect(rows).toContainEqual({ action: 'dlq.entry_viewed', actor_name: 'Ana', via: 'cli-local', reason: null });
  });

  it('shows personal fields for a reason, and records it', async () => {
    const { run, die, audited } = await open();
    const id = await die(1);
    expect(await run(`dlq inspect ${id} --payload`)).toMatchObject({ code: 2, out: '' });
    const { out } = await run(`dlq inspect ${id} --payload --reason "which mailbox was it"`);
    expect(out).toContain('"to": "ana@example.com"');
    expect((await audited()).map(({ reason }) => reason)).toContain('which mailbox was it');
  });

  it('does not let a payload drive the terminal', async () => {
    const { run, die, health } = await open();
    health.error = new Error('\u001b[2J\u202eowned\u009b31m');
    const id = await die(1, { to: '\u001b]0;owned\u0007' });
    for (const words of ['dlq list', `dlq inspect ${id} --payload --reason "to have a look"`, 'dlq list --json']) {
      const { out } = await run(words);
      expect(out).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
      expect(out).toContain('owned');
    }
  });

  it('ends with 3 where there is none, and with 2 where there are several', async () => {
    const { run, die } = await open();
    await die(1);
    expect(await run('dlq inspect 00000000-0000-4000-8000-000000000000')).toMatchObject({ code: 3 });
    expect(await run('dlq inspect 00000000')).toEqual({
      code: 3,
      out: '',
      err: 'fmhl: there is no dead letter 00000000\n',
    });
    expect(await run('dlq inspect 123')).toMatchObject({ code: 2, err: expect.stringContaining('first 8 characters') });
  });
});

describe('fmhl dlq retry', () => {
  it('runs a letter again once; who comes second learns who was first', async () => {
    const { run, die, health, stateOf } = await open();
    const id = await die(1);
    health.error = undefined;
    const { promise, resolve: goOn } = Promise.withResolvers<void>();
    health.gate = promise;
    const first = await run(`dlq retry ${id.slice(0, 8)} --as Ana`);
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining(`${id} runs again as dlq-${id}-r1`) });
    const second = await run(`dlq reprocess ${id} --as Ben`);
    expect(second.code).toBe(5);
    expect(second.err).toContain('already_retrying');
    expect(second.err).toContain('by Ana');
    goOn();
    await vi.waitFor(async () => expect(await stateOf(id)).toBe('resolved'), { timeout: 10_000 });
  });

  it('says what a dry run would do, and does nothing', async () => {
    const { run, die, stateOf } = await open();
    const id = await die(1);
    const { out } = await run(`dlq retry ${id} --dry-run`);
    expect(JSON.parse(out)).toMatchObject({ dry_run: true, queue: 'letters', kind: 'send' });
    expect(await stateOf(id)).toBe('pending');
  });

  it('takes a patch for the payload it was written for', async () => {
    const { run, die, health, stateOf } = await open();
    const id = await die(1);
    health.error = undefined;
    const file = join(tmpdir(), `patch-${id}.json`);
    writeFileSync(file, JSON.stringify([{ op: 'replace', path: '/n', value: 7 }]));
    expect(await run(`dlq retry ${id} --patch ${file}`)).toMatchObject({
      code: 2,
      err: expect.stringContaining('--reason'),
    });
    const { code, out } = await run(`dlq retry ${id} --patch ${file} --reason "the number was wrong"`);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining(`dlq-${id}-r1`) });
    await vi.waitFor(async () => expect(await stateOf(id)).toBe('resolved'), { timeout: 10_000 });
  });

  it('asks on a terminal, and leaves everything as it is for a no', async () => {
    const { run, die, stateOf } = await open();
    const id = await die(1);
    const { code, err } = await run(`dlq retry ${id}`, { answer: 'n' });
    expect(code).toBe(1);
    expect(err).toContain(`This will retry 1 dead letter ${id}. Go on? [y/N]`);
    expect(err).toContain('nothing was changed');
    expect(await stateOf(id)).toBe('pending');
  });
});

describe('fmhl dlq resolve, discard, restore', () => {
  it('close and open letters, each with its reason', async () => {
    const { run, die, stateOf, audited } = await open();
    const id = await die(1);
    expect(await run(`dlq discard ${id}`)).toMatchObject({ code: 2, err: expect.stringContaining('--reason') });
    expect((await run(`dlq discard ${id} --reason "a test customer"`)).out).toBe(`${id} is discarded\n`);
    expect(await stateOf(id)).toBe('discarded');
    expect((await run(`dlq discard ${id} --reason "a test customer"`)).code).toBeOneOf([0, 5]);
    expect((await run(`dlq restore ${id} --reason "it was a real one"`)).out).toBe(`${id} is pending again\n`);
    expect((await run(`dlq resolve ${id} --reason "done by hand"`)).out).toBe(`${id} is resolved\n`);
    const actions = (await audited()).filter(({ action }) => action.startsWith('dlq.entry_'));
    expect(actions.map(({ action, reason }) => [action, reason])).toEqual([
      ['dlq.entry_discarded', 'a test customer'],
      ['dlq.entry_restored', 'it was a real one'],
      ['dlq.entry_resolved', 'done by hand'],
    ]);
  });

  it('want a word for many at once where nobody can answer', async () => {
    const { run, die, stateOf } = await open();
    const ids = [await die(1), await die(2)];
    const refused = await run(`dlq resolve ${ids.join(' ')} --reason "done by hand"`);
    expect(refused).toEqual({
      code: 2,
      out: '',
      err: 'fmhl: to resolve 2 dead letters without a terminal to ask on, say --yes\n',
    });
    expect(await stateOf(ids[0] ?? '')).toBe('pending');
    expect(await run(`dlq resolve ${ids.join(' ')} --reason "done by hand" --yes -q`)).toEqual({
      code: 0,
      out: `${ids.join('\n')}\n`,
      err: '',
    });
  });
});

describe('fmhl dlq note, assign, snooze', () => {
  it('leave marks that the next person sees', async () => {
    const { run, die } = await open();
    const id = await die(1);
    expect((await run(`dlq note ${id} "the mail server was down" --as Ana`)).out).toBe(`${id} has one more note\n`);
    expect((await run(`dlq assign ${id} Ben`)).out).toBe(`${id} is Ben's\n`);
    expect((await run(`dlq snooze ${id} --for 2h --reason "until the fix is out"`)).code).toBe(0);
    const { out } = await run(`dlq inspect ${id}`);
    expect(lines(out)[1]).toMatch(/^snoozed, assigned to Ben, until /);
    expect(out).toMatch(/^Ana, \d+ s ago: the mail server was down$/m);
    expect((await run(`dlq snooze ${id} --end`)).code).toBe(0);
    expect((await run(`dlq snooze ${id}`)).code).toBe(2);
  });
});

describe('fmhl dlq groups', () => {
  it('shows what the dead have in common', async () => {
    const { run, die, health } = await open();
    await die(1);
    await die(2);
    health.error = new Error('no such template');
    await die(3);
    const { out } = await run('dlq groups --sort -count');
    const [, head, first, second] = lines(out);
    expect(head).toMatch(/^group +count +failure/);
    expect(first).toMatch(/^v1_[0-9a-f]{16} +2 +/);
    expect(second).toMatch(/^v1_[0-9a-f]{16} +1 +/);
    const [fingerprint = ''] = (await run('dlq groups -q --sort -count')).out.split('\n');
    expect((await run(`dlq list -q fp:${fingerprint}`)).out.trim().split('\n')).toHaveLength(2);
  });
});

describe('fmhl dlq export', () => {
  it('writes every row as a line, and says how many', async () => {
    const { run, die } = await open();
    const ids = [await die(1), await die(2)];
    const { code, out, err } = await run('dlq export queue:letters --format ndjson');
    expect(
      lines(out)
        .map((line) => (JSON.parse(line) as { id: string }).id)
        .sort(),
    ).toEqual(ids.sort());
    expect({ code, err }).toEqual({ code: 0, err: '2 rows\n' });
    const csv = await run('dlq export --format csv --columns id,error_message');
    expect(lines(csv.out)).toHaveLength(3);
  });
});

describe('fmhl queue', () => {
  it('lists, pauses and resumes', async () => {
    const { run, die, audited } = await open();
    await die(1);
    const { out } = await run('queue list');
    expect(out).toMatch(/^queue +waiting +active +delayed +oldest +workers +died 1h +dead$/m);
    expect(out).toMatch(/^letters +0 .* 1 +1$/m);
    expect((await run('queue pause post --reason "the provider is down" --for 10m')).out).toBe('post is paused\n');
    // The overview is kept for two seconds.
    const isPaused = async () => expect((await run('queue list')).out).toMatch(/^letters .* paused$/m);
    await vi.waitFor(isPaused, { timeout: 5_000, interval: 200 });
    expect((await run('queue show letters')).out).toMatch(/^paused +by \S+ \d+ s ago, .*"the provider is down"$/m);
    expect((await run('queue explain letters')).out).toContain('(queue_paused)');
    expect((await run('queue resume letters')).out).toBe('letters is running\n');
    expect((await audited()).map(({ action }) => action)).toEqual(
      expect.arrayContaining(['queue.paused', 'queue.resumed']),
    );
    expect((await run('queue show nowhere')).code).toBe(3);
  });

  it('shows its jobs, one by one', async () => {
    const { run, die } = await open();
    await die(1);
    expect((await run('queue jobs letters --state dead')).out).toMatch(/^task-1 +send +dead/m);
    expect((await run('job show letters task-1')).out).toMatch(/^state +dead$/m);
    expect((await run('job promote letters task-1')).code).toBe(5);
  });
});

describe('a command', () => {
  it('ends with 2 for wrong use, and says what is right', async () => {
    const { run } = await open();
    expect(await run('dlq lst')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('Did you mean list?'),
    });
    expect((await run('dlq list --count 900')).err).toContain('from 1 to 200');
    expect(await run('dlq list --help')).toMatchObject({ code: 0, out: expect.stringContaining('Usage: ') });
  });

  it('says over HTTP what it says here', async () => {
    const { run, die, listen } = await open();
    await die(1);
    const environment = { url: await listen(), token: 'good' };
    for (const words of ['dlq list --json', 'dlq export', 'queue jobs letters']) {
      const there = await run(words, { environment });
      expect(there.code).toBe(0);
      expect(lines(there.out).length).toBeGreaterThan(0);
      expect(there).toEqual(await run(words));
    }
  });

  it('ends with 4 for a token that is none, with 1 where nobody answers, with 2 for a name beside a token', async () => {
    const { run, listen } = await open();
    const url = await listen();
    expect(await run('dlq list', { environment: { url, token: 'stranger' } })).toEqual({
      code: 4,
      out: '',
      err: 'fmhl: No session or token was sent. (no_session)\n',
    });
    expect(await run('dlq list', { environment: { url: 'http://127.0.0.1:1' } })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^fmhl: http:\/\/127\.0\.0\.1:1 cannot be reached/),
    });
    expect(await run('dlq list --as Ana', { environment: { url } })).toMatchObject({ code: 2 });
  });
});
