import { sql } from '@fmhl/ops';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signInCaller } from './testing/callers.ts';
import { makeDeadLetters } from './testing/dead-letters.ts';
import { openTestProduct, type TestProduct } from './testing/product.ts';

const password = 'tangerine-lamp-42';
const script = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
const forged = '{"level":"error","event":"http_error","metadata":{"forged":true}}';

let product: TestProduct;
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 10 });
});
afterAll(() => product?.close());

async function makeSignIn(email: string) {
  const { db } = product.world;
  const { userId } = await signInCaller(db, { role: 'provider', factor: 'missing' });
  const hash = await product.app.authDeps.passwords.hash(password);
  await db.query(sql`
    update identity.users set email = ${email}, email_norm = ${email}, password_hash = ${hash} where id = ${userId}`);
  return userId;
}

const meAs = (cookie: string) => product.call({ url: '/api/v1/auth/me', headers: { cookie } });

describe('a session token that somebody planted in a browser', () => {
  it('does not become that of whoever signs in there', async () => {
    const victim = await makeSignIn('victim@example.com');
    const planter = await signInCaller(product.world.db, { role: 'provider', factor: 'missing' });
    const madeUp = 'A'.repeat(43);
    for (const planted of [planter.token, madeUp]) {
      const answer = await product.call({
        method: 'POST',
        url: '/api/v1/auth/login',
        headers: { cookie: `fmhl_session=${planted}`, 'x-fmhl-client': '1' },
        payload: { email: 'victim@example.com', password },
      });
      expect(answer.statusCode).toBe(200);
      const given = /fmhl_session=([\w-]{43})/.exec(String(answer.headers['set-cookie']))?.[1];
      expect(given).toBe(answer.json().token);
      expect(given).not.toBe(planted);
      expect((await meAs(`fmhl_session=${given}`)).json().user.id).toBe(victim);
    }
    expect((await meAs(`fmhl_session=${planter.token}`)).json().user.id).toBe(planter.userId);
    expect((await meAs(`fmhl_session=${madeUp}`)).statusCode).toBe(401);
  });

  it('is not taken from a URL or a body', async () => {
    const { token } = await signInCaller(product.world.db, { role: 'admin', factor: 'fresh' });
    const places = [`?token=${token}`, `?access_token=${token}`, `?fmhl_session=${token}`, `;fmhl_session=${token}`];
    for (const place of places) {
      const answer = await product.call({ url: `/api/v1/admin/me${place}` });
      expect([401, 404]).toContain(answer.statusCode);
    }
    expect(product.lines.join('')).not.toContain(token);
  });
});

describe('line ends in what callers send', () => {
  it('begin no header of an answer', async () => {
    const split = 'abcdefgh\r\nset-cookie: planted=1\r\n\r\n<h1>planted</h1>';
    const { headers } = await signInCaller(product.world.db, { role: 'admin', factor: 'fresh' });
    const answers = await Promise.all([
      product.call({ url: '/api/v1/admin/me', headers: { ...headers, 'x-correlation-id': split } }),
      product.call({ url: '/api/v1/admin/me', headers: { ...headers, traceparent: split } }),
      product.call({ url: `/api/v1/admin/queues/dlq?q=${encodeURIComponent(split)}`, headers }),
      product.call({ url: `/api/v1/${encodeURIComponent(split)}`, headers }),
      product.call({ url: `/api/v1/admin/queues/dlq/export?format=${encodeURIComponent(split)}`, headers }),
    ]);
    for (const answer of answers) {
      expect(answer.headers).not.toHaveProperty('set-cookie');
      expect(answer.headers['x-correlation-id']).toMatch(/^[\w-]{36}$/);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
    }
  });

  it('begin no line of the log', async () => {
    const planted = `x\n${forged}\r\n${forged}\u2028${forged}`;
    const first = product.lines.length;
    await product.call({ url: '/api/v1/niches', headers: { 'user-agent': planted, 'x-correlation-id': planted } });
    await product.call({ url: `/api/v1/niches/${encodeURIComponent(planted)}/form` });
    await product.call({ method: 'POST', url: '/api/v1/auth/login', payload: { email: planted, password: planted } });
    await makeDeadLetters(product.app, { count: 1, error: new Error(planted) });
    const written = product.lines.slice(first);
    expect(written.length).toBeGreaterThan(3);
    for (const text of written) {
      expect(text.trimEnd()).not.toMatch(/[\n\r]/);
      expect((JSON.parse(text) as { metadata: object }).metadata).not.toHaveProperty('forged');
    }
  });
});

describe('a script that somebody stored', () => {
  it('is answered as JSON that no browser takes for a page, and stands in no page', async () => {
    const { db, make } = product.world;
    const niche = await make.niche({ name: script });
    await make.lead({ nicheId: niche.id, source: script, form: { what: script } });
    await makeDeadLetters(product.app, { count: 1, error: Object.assign(new Error(script), { name: script }) });
    const { headers } = await signInCaller(db, { role: 'admin', factor: 'fresh' });
    const reads = ['niches', 'leads', 'queues/dlq', 'queues/dlq/groups'].map((path) => `/api/v1/admin/${path}`);
    const answers = await Promise.all([...reads, '/api/v1/niches'].map((url) => product.call({ url, headers })));
    expect(answers.filter(({ body }) => body.includes('alert(1)')).length).toBeGreaterThan(3);
    for (const answer of answers) {
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    }
    const pages = ['/', `/confirm?token=${encodeURIComponent(script)}`, `/${encodeURIComponent(script)}`];
    for (const url of pages) {
      const { body } = await product.call({ url, headers: { accept: 'text/html' } });
      expect(body).not.toContain('alert(1)');
    }
  });
});
