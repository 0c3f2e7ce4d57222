import { randomUUID } from 'node:crypto';
import { sql } from '@fmhl/ops';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmailOverrides, makeEmail } from '../../testing/email.ts';
import { openTestServer, signedInAs } from '../../testing/http.ts';
import { planOf } from '../../testing/plan.ts';
import { openTestWorld, type TestWorld } from '../../testing/world.ts';
import { emailRoutes } from './routes.ts';
import { emailsStatement, examinedAtMost } from './reading.ts';
import { templates } from './templates.ts';

let world: TestWorld;
let app: FastifyInstance;
beforeAll(async () => {
  world = await openTestWorld();
  const deps = { db: world.db, publicUrl: 'https://fmhl.example.com' };
  app = await openTestServer(world.log, { routes: (server) => emailRoutes(server, deps) });
});
afterAll(async () => {
  await app?.close();
  await world?.close();
});

const headers = signedInAs(randomUUID(), 'admin');
const memo = 'They say that it never came';
const get = async (url: string) => {
  const answer = await app.inject({ url: `/admin/${url}`, headers });
  return { status: answer.statusCode, body: answer.json() };
};
const resend = async (id: string, payload: object = { memo }) => {
  const answer = await app.inject({ method: 'POST', url: `/admin/emails/${id}/resend`, headers, payload });
  return { status: answer.statusCode, body: answer.json() };
};
const make = (overrides?: EmailOverrides) => makeEmail(world.db, overrides);

async function stored(id: string) {
  const { rows } = await world.db.query<Record<string, unknown>>(sql`
    select m.status, m.template, m.to_address, m.variables, m.resends, m.dedupe_key,
           (select r.state || ' ' || r.queue from ops.job_run r where r.run_key = 'email-' || m.id) as job,
           exists (select from email_suppression s where s.address = m.to_address) as suppressed
    from email m where id = ${id}`);
  return rows[0];
}

describe('the list of mails', () => {
  it('shows them newest first, by state, template and what they are about, without an address in full', async () => {
    const lead = randomUUID();
    const failed = await make({ status: 'failed', template: 'deposit_receipt' });
    const about = await make({ status: 'sent' });
    await world.db.query(sql`update email set related_type = 'lead', related_id = ${lead} where id = ${about.id}`);
    const ids = async (query: string) => (await get(`emails?${query}`)).body.items.map(({ id }: { id: string }) => id);
    expect((await ids('')).slice(0, 2)).toEqual([about.id, failed.id]);
    expect(await ids('status=failed')).toEqual([failed.id]);
    expect(await ids('template=deposit_receipt')).toEqual([failed.id]);
    expect(await ids(`related=lead:${lead}`)).toEqual([about.id]);
    expect(await ids(`related=lead:${lead}&status=failed`)).toEqual([]);
    const { body } = await get('emails');
    expect(body.items[0]).toMatchObject({
      to_masked: 'r…@example.com',
      related: { type: 'lead', id: lead },
      resends: 0,
    });
    expect(JSON.stringify(body)).not.toContain(about.to);
    for (const query of ['status=lost', 'related=5', 'limit=0', 'cursor=abc'])
      expect((await get(`emails?${query}`)).status).toBe(400);
  });

  it('looks at so many mails a page, and goes on behind them', async () => {
    const rare = await make({ template: 'mfa_changed', variables: { enabled: true, method: 'totp' } });
    await world.db.query(sql`update email set created_at = now() - interval '2 days' where id = ${rare.id}`);
    await world.db.query(sql`
      insert into email (id, dedupe_key, template, template_version, to_address, status, created_at)
      select gen_random_uuid(), 'many:' || n, 'welcome', 1, 'many@example.com', 'queued', now() - interval '1 day' - n * interval '1 ms'
      from generate_series(1, ${examinedAtMost}::int) n`);
    await world.db.query(sql`analyze email`);
    const first = await get('emails?template=mfa_changed');
    expect(first.body).toMatchObject({ items: [], pagination: { next_cursor: expect.any(String) } });
    const second = await get(`emails?template=mfa_changed&cursor=${first.body.pagination.next_cursor}`);
    expect(second.body).toMatchObject({ items: [{ id: rare.id }], pagination: { next_cursor: null } });
    for (const query of [{ limit: 50 }, { limit: 50, status: 'failed' as const }]) {
      const nodes = await planOf(world.db, emailsStatement(query));
      expect(nodes.map((node) => node['Index Name'])).toContain('email_list');
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    }
  });
});

describe('a mail that is sent anew', () => {
  it('is a mail and a job of its own, with what the first one said, and is audited', async () => {
    const { id, to } = await make({ status: 'sent', template: 'reset_password', variables: { a: 1 } });
    const { status, body } = await resend(id);
    expect([status, body]).toEqual([201, { id: expect.any(String), status: 'queued' }]);
    expect(await stored(body.id)).toMatchObject({
      status: 'queued',
      template: 'reset_password',
      to_address: to,
      variables: { a: 1 },
      dedupe_key: `resend:${id}:1`,
      job: 'enqueued email_send',
    });
    expect(await stored(id)).toMatchObject({ status: 'sent', resends: 1 });
    const { rows } = await world.db.query(
      sql`select action, reason, details from ops.audit_log where target_id = ${id}`,
    );
    expect(rows).toEqual([
      { action: 'email.resent', reason: memo, details: { email_id: body.id, suppression_lifted: false } },
    ]);
    expect((await resend(id)).body.code).toBe('in_progress');
    await world.db.query(sql`update email set status = 'failed' where id = ${body.id}`);
    expect((await resend(id)).status).toBe(201);
  });

  it('is one, however many ask at the same moment', async () => {
    const { id } = await make({ status: 'sent' });
    const ends = await Promise.all(Array.from({ length: 8 }, () => resend(id)));
    expect(ends.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(ends.filter(({ body }) => body.code === 'in_progress')).toHaveLength(7);
  });

  it('reaches an address that refused one only when somebody says so', async () => {
    const { id, to } = await make({ status: 'failed' });
    await world.db.query(sql`insert into email_suppression (address, reason) values (${to}, 'mailbox_refused')`);
    expect((await resend(id)).body.code).toBe('address_suppressed');
    const { status, body } = await resend(id, { memo, lift_suppression: true });
    expect([status, await stored(body.id)]).toMatchObject([201, { status: 'queued', suppressed: false }]);
  });

  it('has come to an end before, is known, and knows its address', async () => {
    expect((await resend(randomUUID())).status).toBe(404);
    for (const status of ['queued', 'sending'] as const)
      expect((await resend((await make({ status })).id)).body.code).toBe('in_progress');
    const erased = await make({ status: 'sent', to: 'erased@erased.invalid' });
    expect((await resend(erased.id)).body).toMatchObject({ code: 'invalid_state', details: { status: 'erased' } });
  });
});

describe('the templates', () => {
  it('are listed, and shown with sample variables and links that lead nowhere', async () => {
    const { body } = await get('email-templates');
    expect(body.items.map(({ name }: { name: string }) => name)).toEqual(Object.keys(templates));
    expect(body.items[0]).toEqual({
      name: 'lead_confirm',
      version: 2,
      urgent: true,
      variables: ['lead_id', 'nonce', 'niche_name'],
    });
    for (const name of Object.keys(templates)) {
      const preview = await get(`email-templates/${name}/preview`);
      expect([preview.status, preview.body.subject, preview.body.html]).toEqual([
        200,
        expect.any(String),
        expect.stringContaining('<!doctype html>'),
      ]);
    }
    for (const name of ['nothing', '__proto__', 'constructor'])
      expect((await get(`email-templates/${name}/preview`)).status).toBe(404);
  });
});
