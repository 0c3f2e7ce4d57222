import { problem } from '@fmhl/ops/contract';
import { statusTexts } from '@fmhl/ops';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Caller, signInCaller } from './testing/callers.ts';
import { makeDeadLetters } from './testing/dead-letters.ts';
import { nth } from './testing/nth.ts';
import { describedOperations, hostileRequest } from './testing/hostile-requests.ts';
import { openTestProduct, type TestProduct } from './testing/product.ts';
import { type Random, seededRandom } from './testing/random.ts';

const requests = Number(process.env.FUZZ_REQUESTS ?? 2_000);
/** Side by side, by one caller. */
const atOnce = 8;
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000_000);

const callers: Omit<Caller, 'name'>[] = [
  { role: 'admin', factor: 'fresh' },
  { role: 'admin', factor: 'fresh' },
  { role: 'admin', factor: 'fresh' },
  { role: 'provider', factor: 'fresh' },
  { role: 'responder', factor: 'fresh' },
  { role: 'finance', factor: 'stale' },
];

let product: TestProduct;
let ids: string[];
beforeAll(async () => {
  product = await openTestProduct({ redisDatabase: 8 });
  ids = await makeIds(product);
});
afterAll(() => product?.close());

/** Ids of things that are there, and names of queues and niches. */
async function makeIds({ app, world: { db, make }, call }: TestProduct): Promise<string[]> {
  const niche = await make.niche();
  const level = await make.level({ nicheId: niche.id });
  const provider = await make.provider();
  await make.credit({ providerId: provider.id });
  const subscription = await make.subscription({ providerId: provider.id, levelId: level.id });
  const lead = await make.lead({ nicheId: niche.id });
  const letters = await makeDeadLetters(app, { count: 5, error: new Error('the mail server is down') });
  const { headers, userId } = await signInCaller(db, { role: 'admin', factor: 'fresh' });
  const plan = await call({
    method: 'POST',
    url: '/api/v1/admin/redrives',
    headers,
    payload: { name: 'All mails', action: 'retry', filter: 'state:open queue:email_send' },
  });
  const { fingerprint, jobId } = nth(letters, 0);
  const things = [niche.id, niche.slug, level.id, provider.id, subscription.id, lead.id, userId, plan.json().id];
  return [...things, ...letters.map(({ id }) => id), fingerprint, jobId, 'email_send', 'email_send'];
}

/** What is wrong with an answer, or undefined. */
function fault({ statusCode, headers, body }: LightMyRequestResponse): string | undefined {
  if (statusCode >= 500) return 'is an error of ours';
  if (/node_modules|\n {4}at |select .* from |insert into /i.test(body)) return 'tells of our insides';
  if (statusCode < 400) return undefined;
  if (!String(headers['content-type']).startsWith('application/json')) return 'is no JSON';
  const told = problem.strict().safeParse(JSON.parse(body));
  if (!told.success) return 'has not the shape of errors';
  if (told.data.error !== statusTexts[statusCode]) return 'has not the text of its status';
  return told.data.correlation_id === headers['x-correlation-id'] ? undefined : 'has two correlation ids';
}

/** Signs in anew now and then: some requests end their session, or the account. */
async function headersOf(random: Random): Promise<Record<string, string>> {
  if (random.chance(0.05)) return {};
  return (await signInCaller(product.world.db, random.pick(callers))).headers;
}

describe('the API', () => {
  it(
    `answers ${requests} hostile requests without a fault of its own, in the one shape of errors; seed ${seed}`,
    async () => {
      const random = seededRandom(seed);
      const operations = describedOperations(product.server.swagger());
      const faults: string[] = [];
      const statuses: Record<number, number> = {};
      for (let at = 0; at < requests; at += atOnce) {
        const headers = await headersOf(random);
        const sent = Array.from({ length: atOnce }, (_, more) => {
          const request = hostileRequest(nth(operations, (at + more) % operations.length), { random, ids });
          return { ...request, headers: { ...request.headers, ...headers } };
        });
        const answers = await Promise.all(sent.map((request) => product.call(request)));
        for (const [index, answer] of answers.entries()) {
          statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1;
          const wrong = fault(answer);
          if (wrong)
            faults.push(`${answer.statusCode} ${wrong}: ${JSON.stringify(sent[index])} → ${answer.body.slice(0, 500)}`);
        }
      }
      const errors = product.lines.filter((line) => line.includes('"http_error"'));
      expect({ faults: faults.slice(0, 10), errors: errors.slice(0, 5) }, `FUZZ_SEED=${seed}`).toEqual({
        faults: [],
        errors: [],
      });
      // Requests that all fail at the door would show little.
      expect(statuses[200] ?? 0).toBeGreaterThan(requests / 20);
    },
    requests * 60,
  );
});
