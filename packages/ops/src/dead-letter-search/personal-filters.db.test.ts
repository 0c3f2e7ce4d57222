import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSearch, type Search } from './search.fixture.ts';

const order = '12345678-9012-4345-8789-012345678901';
let search: Search;
beforeAll(async () => {
  search = await openSearch();
  await search.letter({
    payload: '{"to":"user@example.com","user":{"id":42,"email":"user@example.com"},"template":"welcome"}',
  });
  await search.letter({
    payload: `{"note":"call 415 555 0187 today","contact":"ana@example.com","order":"${order}","n":41555501871}`,
  });
});
afterAll(() => search.close());

const dlq = '/queues/dlq';
const withoutReveal = 'dlq.read dlq.export dlq.annotate redrive.plan';
const paths = [
  'payload.to',
  'payload.user.email',
  'payload.user.Email',
  'payload.email.0',
  'payload.contact.phone_number',
];

describe('a filter on a payload path that is masked for the reader', () => {
  const refused = { statusCode: 403, body: expect.stringContaining('"permission":"dlq.reveal"') };

  it.each(paths)('is refused on %s, whatever it asks', async (path) => {
    for (const q of [`${path}:user@example.com`, `${path}:~u`, `-${path}:>a`, `${path}:none`]) {
      const answer = await search.get(`${dlq}?q=${encodeURIComponent(q)}`, { authorization: withoutReveal });
      expect(answer).toMatchObject(refused);
      expect(answer.body).not.toContain('user@example.com');
    }
  });

  it('is refused by all that takes a filter', async () => {
    const headers = { authorization: withoutReveal, 'idempotency-key': 'personal-0001' };
    const q = 'queue:email_send payload.user.email:~user';
    for (const url of [dlq, `${dlq}/groups`, `${dlq}/report`]) {
      expect(await search.get(`${url}?q=${encodeURIComponent(q)}`, headers)).toMatchObject(refused);
    }
    expect(await search.get(`${dlq}/export?format=csv&q=${encodeURIComponent(q)}`, headers)).toMatchObject(refused);
    expect(await search.request('POST', '/redrives', { headers, payload: { name: 'guess', filter: q } })).toMatchObject(
      refused,
    );
    expect(
      await search.request('POST', '/views', { headers, payload: { name: 'guess', q, scope: 'mine' } }),
    ).toMatchObject(refused);
  });

  it('selects for those who may see the value', async () => {
    const answer = await search.get(`${dlq}?q=payload.user.email:~USER`);
    expect(answer.json().pagination.total).toBe(1);
  });
});

describe('a filter on a payload path that is masked, of one whose second factor is not fresh', () => {
  it.each([
    ['stale', 'mfa_stale'],
    ['none', 'mfa_required'],
  ])('is refused, as with a token (%s): %s', async (factor, code) => {
    const headers = {
      'x-factor': factor,
      authorization: `${withoutReveal} dlq.reveal`,
      'idempotency-key': `fresh-${factor}`,
    };
    const q = 'queue:email_send payload.user.email:~u';
    const refused = { statusCode: 403, body: expect.stringContaining(`"code":"${code}"`) };
    for (const url of [dlq, `${dlq}/groups`, `${dlq}/report`])
      expect(await search.get(`${url}?q=${encodeURIComponent(q)}`, headers)).toMatchObject(refused);
    expect(await search.get(`${dlq}/export?format=csv&q=${encodeURIComponent(q)}`, headers)).toMatchObject(refused);
    expect(await search.request('POST', '/redrives', { headers, payload: { name: 'guess', filter: q } })).toMatchObject(
      refused,
    );
    const view = { name: 'guess', q, scope: 'mine' };
    expect(await search.request('POST', '/views', { headers, payload: view })).toMatchObject(refused);
  });
});

describe('a path that a kind of job declares to be personal', () => {
  it('is masked in an entry, and no filter looks at it, above it or below it', async () => {
    const id = await search.letter({ payload: '{"memo":{"door":"blue gate","n":1}}' });
    const headers = { authorization: withoutReveal };
    expect((await search.get(`${dlq}/${id}`, headers)).json()).toMatchObject({
      payload: { memo: { door: '[masked]', n: 1 } },
      payload_masked: ['memo.door'],
    });
    expect((await search.get(`${dlq}/${id}/payload`, headers)).body).not.toContain('blue');
    for (const path of ['payload.memo.door', 'payload.memo', 'payload.memo.door.0'])
      expect((await search.get(`${dlq}?q=${path}:blue`, headers)).statusCode).toBe(403);
    expect((await search.get(`${dlq}?q=payload.memo.n:1`, headers)).json().pagination.total).toBe(1);
    expect((await search.get(`${dlq}?q=payload.memo.door:~blue`)).json().pagination.total).toBe(1);
  });
});

describe('a filter on a text in which something is masked', () => {
  const found = async (q: string, headers: Record<string, string>) =>
    (await search.get(`${dlq}?q=${encodeURIComponent(q)}`, headers)).json().pagination.total;
  const viewer = { authorization: withoutReveal };

  it.each([
    'payload.note:~"415 555"',
    'payload.note:~call',
    'payload.note:>c',
    'payload.contact:ana@example.com',
    'payload.contact:~ana',
  ])('finds nothing for those who see the mask, and what is there for others: %s', async (q) => {
    expect([await found(q, viewer), await found(q, {})]).toEqual([0, 1]);
  });

  it('still tells whether it is there, and compares ids and numbers, which are not masked', async () => {
    for (const q of ['payload.note:*', `payload.order:${order}`, 'payload.n:41555501871', 'payload.n:>41555501870'])
      expect([q, await found(q, viewer)]).toEqual([q, 1]);
  });
});

describe('a filter on a payload path without personal values', () => {
  it('selects for everyone', async () => {
    const answer = await search.get(`${dlq}?q=payload.user.id:42 payload.template:~wel`, {
      authorization: withoutReveal,
    });
    expect(answer.json().pagination.total).toBe(1);
  });

  it('compares no object, whose text would hold what is masked below it', async () => {
    for (const q of ['payload.user:~user@example.com', 'payload.user:~42', 'payload.user:>a']) {
      expect((await search.get(`${dlq}?q=${encodeURIComponent(q)}`)).json().pagination.total).toBe(0);
    }
    expect((await search.get(`${dlq}?q=payload.user:*`)).json().pagination.total).toBe(1);
  });
});
