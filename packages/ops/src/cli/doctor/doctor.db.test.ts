import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DoctorReport } from '../contract.ts';
import { openCli } from '../cli.fixture.ts';

let cli: Awaited<ReturnType<typeof openCli>>;
beforeAll(async () => {
  cli = await openCli();
});
afterAll(() => cli.plane.close());

const execute = (text: string) => cli.plane.db.query({ name: '', text, values: [] });
const asAtTerminal = { answer: 'y' };
// oxlint-disable-next-line no-control-regex -- that is what colours are
const colours = /\u001b\[\d+m/g;
const forget = `delete from ops.job_run where run_key = 'forgotten-1'`;

describe('fmhl invariants', () => {
  it('ends with 0 and OK where all that is asked holds', async () => {
    const { code, out } = await cli.run('invariants J1 J2 J3');
    expect(code).toBe(0);
    expect(out).toMatch(/^name +is +rows/);
    expect(out).toMatch(/\nOK: 3 of 3 invariants hold, of everything\n$/);
  });

  it('ends with 1, and names what breaks it and what to do', async () => {
    await execute(`insert into ops.job_run (run_key, root_key, queue, kind, max_attempts, correlation_id)
                   values ('forgotten-1', 'forgotten-1', 'letters', 'send', 1, 'test')`);
    const { code, out } = await cli.run('invariants J2 J3', asAtTerminal);
    const quietly = await cli.run('invariants J2 J3 -q');
    const { probes, parts } = JSON.parse((await cli.run('invariants J2 --json')).out) as DoctorReport;
    await execute(forget);
    expect(code).toBe(1);
    const plain = out.replaceAll(colours, '');
    expect(plain).toContain('\nJ2 is broken by 1: Every open run has a row in the outbox');
    expect(plain).toContain('\n    lacks=no outbox row run_key=forgotten-1\n');
    expect(plain).toContain('\n    next: fmhl job show');
    expect(plain).toContain('NOT SOUND: 1 of 2 invariants hold, 1 broken');
    expect(quietly).toMatchObject({ code: 1, out: 'J2\n' });
    expect([probes.length, parts]).toEqual([1, []]);
    expect(probes[0]).toMatchObject({ name: 'J2', state: 'breached', count: 1, rows: [{ run_key: 'forgotten-1' }] });
  });

  it('ends with 2 for a name that is none, and for a time that is none', async () => {
    expect(await cli.run('invariants J99')).toMatchObject({ code: 2 });
    expect(await cli.run('invariants --within never')).toMatchObject({ code: 2 });
  });

  it('asks over HTTP as it asks here', async () => {
    const url = await cli.listen();
    expect(await cli.run('invariants J2 -q', { environment: { url, token: 'ana' } })).toMatchObject({
      code: 0,
      out: '',
    });
    expect(await cli.run('doctor', { environment: { url, token: 'stranger' } })).toMatchObject({ code: 4 });
  });
});

describe('fmhl doctor', () => {
  it('shows parts and what is not sound on one screen of 80 columns, and ends with 1', async () => {
    const { code, out } = await cli.run('doctor', asAtTerminal);
    expect(code).toBe(1);
    const plain = out.replaceAll(colours, '');
    expect(plain.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(plain.split('\n').length).toBeLessThan(40);
    expect(plain).toMatch(/^· database +PostgreSQL \d/);
    expect(plain).toMatch(/\n· workers +1 alive\n/);
    // The Redis of tests keeps nothing on disk.
    expect(plain).toContain('P3 is broken by 1');
    expect(plain).toContain('setting=aof_enabled');
    expect(plain).toMatch(/NOT SOUND: \d+ of \d+ invariants hold, 1 broken, of everything/);
    expect(await cli.run('doctor -q')).toMatchObject({ code: 1, out: 'P3\n' });
  });
});
