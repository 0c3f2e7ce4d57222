import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { audit } from '../../audit/index.ts';
import { sql } from '../../postgres/index.ts';
import { openCli } from '../cli.fixture.ts';

let cli: Awaited<ReturnType<typeof openCli>>;
let directory: string;
beforeAll(async () => {
  cli = await openCli();
  directory = await mkdtemp(join(tmpdir(), 'fmhl-audit-'));
  const actor = { id: 'ana', name: 'Ana \u001b[31m', via: 'http' } as const;
  for (const id of ['1', '2', '3'])
    await cli.plane.db.transaction((tx) =>
      audit(tx, { actor, action: 'thing.changed', targetType: 'thing', targetId: id, reason: 'for a test' }),
    );
  await vi.waitUntil(async () => (await cli.plane.db.query(sql`select from ops.audit_chain`)).rowCount === 3);
});
afterAll(async () => {
  await cli.plane.close();
  await rm(directory, { recursive: true });
});

describe('audit list', () => {
  it('shows who did what', async () => {
    const { code, out } = await cli.run('audit list --target thing --count 2');
    expect(code).toBe(0);
    expect(out).toMatch(/age +by +/);
    expect(out.match(/thing\.changed/g)).toHaveLength(2);
    expect(out).toContain('There are more');
    expect(out).not.toContain('\u001b[31m');
    expect((await cli.run('audit list --actor nobody')).out).toBe('Nothing was done.\n');
    expect((await cli.run('audit list --target thing -q')).out.split('\n')).toHaveLength(4);
  });

  it('says what is wrong with a filter', async () => {
    expect(await cli.run('audit list --from yesterday')).toMatchObject({ code: 2 });
  });
});

describe('audit verify', () => {
  it('ends with 0 where all is as it was written, and says what it could not look at', async () => {
    const { code, out, err } = await cli.run('audit verify');
    expect(code).toBe(0);
    expect(out).toContain('3 of 3 rows are as they were written');
    expect(err).toContain('no anchor to compare with');
    expect(err).toContain('without the key of the chain');
  });

  it('compares with anchors of a file, and ends with 1 where the tail was cut', async () => {
    const { rows } = await cli.plane.db.query<{ hash: string }>(
      sql`select encode(hash, 'hex') as hash from ops.audit_chain where n = 3`,
    );
    const anchor = { n: 3, seq: 3, hash: rows[0]?.hash, at: '2026-01-31T12:00:00.000Z', database: '1' };
    const file = join(directory, 'anchor.jsonl');
    await writeFile(file, `${JSON.stringify(anchor)}\n`);
    expect(await cli.run(`audit verify --anchor ${file}`)).toMatchObject({ code: 0 });
    await writeFile(file, `${JSON.stringify({ ...anchor, n: 5, seq: 3 })}\n`);
    const cut = await cli.run(`audit verify --anchor ${file}`);
    expect(cut.code).toBe(1);
    expect(cut.out).toContain('tail_cut: number 4: ');
    expect((await cli.run(`audit verify -q --anchor ${file}`)).out).toBe('tail_cut\n');
    expect(await cli.run(`audit verify --anchor ${join(directory, 'none')}`)).toMatchObject({ code: 2 });
  });

  it('tells from where on seals can be checked again', async () => {
    const actor = { id: 'ana', name: 'Ana', via: 'cli-local' } as const;
    await cli.plane.db.transaction((tx) =>
      audit(tx, { actor, action: 'keys.adopted', targetType: 'audit_chain', targetId: 'k', reason: 'stolen' }),
    );
    await vi.waitUntil(async () => (await cli.plane.db.query(sql`select from ops.audit_chain`)).rowCount === 4);
    expect((await cli.run('audit verify')).err).toContain('up to number 4 of');
  });
});
