import { connectRedis, type Queryable, sql } from '@fmhl/ops';
import { pollUntil } from '@fmhl/ops/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInCaller } from './testing/callers.ts';
import { makeDeadLetters, type MadeLetter } from './testing/dead-letters.ts';
import { nth, present } from './testing/nth.ts';
import { openTestProduct, type Operation, type TestProduct } from './testing/product.ts';

/** Values of a person who is nobody: found nowhere but where this test puts them. */
const name = 'Quillan Canaryfeather';
const mail = 'quillan.canaryfeather@example.com';
const phone = '(415) 555-0187';
const card = '4111 1111 1111 1111';
const token = 'tok_canary_9f8e7d6c5b4a';
const tellTale = /canaryfeather|415\W{0,3}555\W?0187|4111\W?1111\W?1111\W?1111|tok_canary/i;

function canaryIn(text: string): string | undefined {
  const at = text.search(tellTale);
  return at === -1 ? undefined : text.slice(Math.max(0, at - 60), at + 60);
}

let product: TestProduct;
let letters: MadeLetter[];
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 9 });
  await submitLead();
  const error = new Error(`550 5.1.1 <${mail}>: no such person, ring ${phone}, card ${card.replaceAll(' ', '')}`);
  letters = await makeDeadLetters(product.app, { count: 1, error });
  await strangersJob();
});
afterAll(() => product?.close());

/** A lead whose every field is a canary, once as it should be and once wrong; and somebody who types the address elsewhere. */
async function submitLead(): Promise<void> {
  const fields = [{ name: 'what', label: 'What is it about?', type: 'text', required: true }];
  const niche = await product.world.make.niche({ formSchema: { fields } });
  const lead = {
    niche: niche.slug,
    name,
    email: mail,
    phone,
    consent: { version: 1 },
    form: { what: `${card} ${token}` },
  };
  const post = (url: string, payload: object) =>
    product.call({ method: 'POST', url, payload, headers: { 'user-agent': mail } });
  const right = await post('/api/v1/leads', lead);
  expect(right.statusCode).toBe(202);
  const wrong = [
    await post('/api/v1/leads', { ...lead, form: { [token]: card }, source: { mail } }),
    await post('/api/v1/leads', { ...lead, niche: mail }),
    await post('/api/v1/leads/confirm', { token }),
    await post('/api/v1/auth/login', { email: mail, password: token }),
    await post('/api/v1/auth/forgot-password', { email: mail }),
    await product.call({ url: `/api/v1/niches?email=${mail}&token=${token}` }),
    await product.call({ url: `/api/v1/${encodeURIComponent(mail)}/${token}` }),
    await product.call({ url: '/api/v1/admin/me', headers: { authorization: `Bearer ${token}` } }),
  ];
  expect(wrong.map(({ body }) => canaryIn(body)).filter(Boolean)).toEqual([]);
}

/** A job that another program wrote into Redis, with all it knows in its payload and in its error. */
async function strangersJob(): Promise<void> {
  const { app, world, call } = product;
  const redis = connectRedis({ url: app.config.redisUrl, onError: () => undefined });
  const key = '{fmhl}:email_send:stranger-1';
  const data = { name, to: mail, phone, card_number: card, reset_token: token };
  const failedReason = `cannot mail ${name} <${mail}> ${phone} ${card} ${token}`;
  await redis.hset(key, {
    name: 'greet',
    data: JSON.stringify(data),
    opts: '{}',
    failedReason,
    stacktrace: JSON.stringify([`Error: ${failedReason}\n    at greet (/app/greet.js:1:1)`]),
    attemptsMade: '1',
    timestamp: String(Date.now()),
    finishedOn: String(Date.now()),
  });
  await redis.zadd('{fmhl}:email_send:failed', Date.now(), 'stranger-1');
  redis.disconnect();
  const { headers } = await signInCaller(world.db, { role: 'admin', factor: 'fresh' });
  const repaired = await call({
    method: 'POST',
    url: '/api/v1/admin/queues/dlq/proof/repair',
    headers: { ...headers, 'idempotency-key': 'canaries-1' },
    payload: { reason: 'a stranger wrote' },
  });
  expect(repaired.statusCode).toBe(202);
  await pollUntil(
    async () =>
      (await world.db.query(sql`select 1 from ops.dead_letter_queue where cause = 'unreadable'`)).rows.length === 1,
    { deadlineMs: 15_000 },
  );
}

/** Every column that holds a canary, as `schema.table.column`. */
async function columnsWithCanaries(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ place: string; statement: string }>(sql`
    select format('%s.%s.%s', c.table_schema, c.table_name, c.column_name) as place,
           format('select 1 from %I.%I where %I::text ~* $1 limit 1', c.table_schema, c.table_name, c.column_name) as statement
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema in ('ops', 'identity', 'public') and t.table_type = 'BASE TABLE'
      and c.data_type in ('text', 'jsonb', 'json', 'ARRAY')
    order by 1`);
  const found: string[] = [];
  for (const { place, statement } of rows) {
    const hits = await db.query({ name: '', text: statement, values: [tellTale.source] });
    if (hits.rows.length > 0) found.push(place);
  }
  return found;
}

/** Paths of an operation that only reads, with the ids of all letters in turn. */
async function paths({ path }: Operation): Promise<string[]> {
  const { rows } = await product.world.db.query<{ id: string; fingerprint: string; job_id: string }>(
    sql`select id, fingerprint, job_id from ops.dead_letter_queue`,
  );
  if (!path.includes(':')) return [path];
  return rows.map(({ id, fingerprint, job_id }) => {
    const values: Record<string, string> = {
      id,
      fp: fingerprint,
      queue: 'email_send',
      job_id: encodeURIComponent(job_id),
    };
    return path.replaceAll(/:(\w+)/g, (_, part: string) => values[part] ?? part);
  });
}

describe('the mail, phone, card and tokens of a person', () => {
  it('are kept in the lead, its consent, its mail and the payload of the letter, and in no other column', async () => {
    expect(await columnsWithCanaries(product.world.db)).toEqual([
      'ops.dead_letter_payload.body',
      'ops.dead_letter_queue.payload',
      'public.email.to_address',
      'public.lead.email',
      'public.lead.email_norm',
      'public.lead.form',
      'public.lead.name',
      'public.lead.phone_e164',
      'public.lead_consent.user_agent',
    ]);
  });

  // Finance may read leads, where the person stands by right; of letters it sees what viewers see.
  it.each([
    ['viewer', /^/],
    ['responder', /^/],
    ['finance', /^\/api\/v1\/admin\/(?!leads)/],
    ['provider', /^/],
  ] as const)('are in no answer to a %s', async (role, which) => {
    const { headers } = await signInCaller(product.world.db, { role, factor: 'fresh' });
    const reads = product.operations.filter(({ method, path }) => method === 'GET' && which.test(path));
    let answered = 0;
    for (const operation of reads) {
      for (const path of await paths(operation)) {
        for (const query of ['', '?q=state:open', '?payload=masked', '?state=dead', `?q=${encodeURIComponent(mail)}`]) {
          const { statusCode, body } = await product.call({ url: `${path}${query}`, headers });
          answered += Number(statusCode === 200);
          // The filter that was asked is repeated to whoever asked it.
          const told = body.replaceAll(mail, query.includes('canaryfeather') ? '' : mail);
          expect({ path, query, canary: canaryIn(told) }).toEqual({ path, query, canary: undefined });
        }
      }
    }
    expect(answered).toBeGreaterThan(role === 'provider' ? 5 : 30);
  });

  it('are seen in clear by who may reveal them, says why, and is recorded for it', async () => {
    const { headers, userId } = await signInCaller(product.world.db, { role: 'admin', factor: 'fresh' });
    const { db } = product.world;
    const { rows } = await db.query<{ id: string }>(
      sql`select id from ops.dead_letter_queue where cause = 'unreadable'`,
    );
    const { id } = present(rows[0]);
    const clear = await product.call({
      url: `/api/v1/admin/queues/dlq/${id}?payload=clear&reason=asked+by+the+person`,
      headers,
    });
    expect(clear.json().payload).toMatchObject({ to: mail, phone });
    expect(canaryIn(clear.json().error_message)).toBeUndefined();
    const audited = await db.query(sql`select reason from ops.audit_log where actor = ${userId} and target_id = ${id}`);
    expect(audited.rows).toEqual([{ reason: 'asked by the person' }]);
  });

  it('are in no log line, no metric and no row of the audit log', async () => {
    expect(product.lines.length).toBeGreaterThan(50);
    expect(product.lines.map(canaryIn).filter(Boolean)).toEqual([]);
    expect(canaryIn(await product.app.metrics.render())).toBeUndefined();
    const { rows } = await product.world.db.query(sql`select * from ops.audit_log`);
    expect(canaryIn(JSON.stringify(rows))).toBeUndefined();
    expect(nth(letters, 0).jobId).toMatch(/^email-/);
  });
});
