import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSearch, type Search } from './search.fixture.ts';

let search: Search;
beforeAll(async () => {
  search = await openSearch();
  await search.letter({
    payload: '{"to":"user@example.com","user":{"id":42,"email":"user@example.com"},"template":"welcome"}',
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
